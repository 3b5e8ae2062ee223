"""The machine below the kernels: processor, compilation, register tiles, threads and signals."""
