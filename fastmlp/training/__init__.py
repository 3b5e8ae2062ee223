"""A call of fit, from its data to the compiled steps: state, sources, epochs, checkpoints."""
