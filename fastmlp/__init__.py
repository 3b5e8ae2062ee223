"""fastmlp: the multilayer perceptron of NumPy tutorials as a compiled core for fast CPU training."""

from fastmlp import datasets
from fastmlp.neural_net import NeuralNet, warmup

__version__ = "0.1.0"
__all__ = ["NeuralNet", "__version__", "datasets", "warmup"]
