"""fastmlp: the multilayer perceptron of NumPy tutorials, compiled for fast training on CPUs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmlp import datasets
    from fastmlp.neural_net import NeuralNet, warmup

__version__ = "0.1.0"
__all__ = ["NeuralNet", "__version__", "datasets", "warmup"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is first asked for: Numba takes a third of a second."""
    if name == "datasets":
        return importlib.import_module("fastmlp.datasets")
    if name in ("NeuralNet", "warmup"):
        return getattr(importlib.import_module("fastmlp.neural_net"), name)
    raise AttributeError(f"module 'fastmlp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
