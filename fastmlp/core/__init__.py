"""The compiled core: register tile, kernels, storage and the two-phase step, in four floors."""
