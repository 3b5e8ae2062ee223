"""The equations of training: products of matrices, activations, losses and update rules."""
