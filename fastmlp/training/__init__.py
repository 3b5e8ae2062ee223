"""Training: state, data sources, the loop of epochs, checkpoints and resuming."""
