"""What may watch a training, and change its course (floor 4).

The hooks and most of the classes have Keras's names. `MLP.fit` calls them in the order in which
they are given, those of `ModelCheckpoint` last, for it writes what the others have become.
"""

from fastmlp.callbacks.base import Callback, Progress, TerminateOnNaN
from fastmlp.callbacks.monitors import EarlyStopping, ReduceLROnPlateau
from fastmlp.callbacks.writers import CSVLogger, ModelCheckpoint

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "ModelCheckpoint",
    "Progress",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
