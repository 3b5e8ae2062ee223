"""fastmlp: the multilayer perceptron of NumPy tutorials, compiled for fast training on CPUs."""

from fastmlp import datasets
from fastmlp.neural_net import NeuralNet, warmup

__version__ = "0.1.0"
__all__ = ["NeuralNet", "__version__", "datasets", "warmup"]
