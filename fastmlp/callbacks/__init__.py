"""Callbacks: hooks that `MLP.fit` calls during training.

The hooks and most of the classes have the names of Keras. Callbacks are called in the order in
which they are given, except that `ModelCheckpoint` comes last, because it saves the state of the
others.
"""

from fastmlp.callbacks.base import Callback, Progress, TerminateOnNaN
from fastmlp.callbacks.monitors import EarlyStopping, ReduceLROnPlateau
from fastmlp.callbacks.pruning import OptunaPruning
from fastmlp.callbacks.writers import CSVLogger, ModelCheckpoint

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "ModelCheckpoint",
    "OptunaPruning",
    "Progress",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
