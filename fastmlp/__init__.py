"""fastmlp: the multilayer perceptron of NumPy tutorials, compiled for fast training on CPUs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmlp import callbacks, datasets, initializers, losses, metrics, optimizers, schedules
    from fastmlp.loading import load
    from fastmlp.many import fit_many
    from fastmlp.mlp import MLP
    from fastmlp.neural_net import NeuralNet, warmup
    from fastmlp.training.epoch import DivergenceWarning

__version__ = "0.1.0"
#: What is imported when first accessed, and from which module; None for modules.
_LAZY = {
    "DivergenceWarning": "training.epoch",
    "MLP": "mlp",
    "NeuralNet": "neural_net",
    "fit_many": "many",
    "load": "loading",
    "warmup": "neural_net",
    "callbacks": None,
    "datasets": None,
    "initializers": None,
    "losses": None,
    "metrics": None,
    "optimizers": None,
    "schedules": None,
}
__all__ = [
    "DivergenceWarning",
    "MLP",
    "NeuralNet",
    "__version__",
    "callbacks",
    "datasets",
    "fit_many",
    "initializers",
    "load",
    "losses",
    "metrics",
    "optimizers",
    "schedules",
    "warmup",
]


def __getattr__(name: str) -> Any:
    """Import attributes when they are first accessed: importing Numba takes 0.3 s."""
    if name in _LAZY:
        module = importlib.import_module(f"fastmlp.{_LAZY[name] or name}")
        return getattr(module, name) if _LAZY[name] else module
    raise AttributeError(f"module 'fastmlp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
