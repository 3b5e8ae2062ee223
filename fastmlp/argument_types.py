"""Types of the arguments of public classes, for annotations.

The names are those that the tables `ACTIVATIONS`, `LOSSES`, `OPTIMIZERS`, `INITIALIZERS`,
`SCHEDULES` and `METRICS` have at run time.

Examples
--------
>>> from typing import get_args
>>> from fastmlp.argument_types import OptimizerName
>>> "adam" in get_args(OptimizerName)
True
"""

from __future__ import annotations

import os
from typing import IO, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "ActivationName",
    "ArrayLike",
    "Dtype",
    "DtypeName",
    "File",
    "InitializerName",
    "LossName",
    "MetricName",
    "OptimizerName",
    "Path",
    "RandomState",
    "ScheduleName",
    "Task",
]

ActivationName: TypeAlias = Literal[
    "identity", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu"
]
LossName: TypeAlias = Literal[
    "softmax", "logistic", "squared_error", "absolute_error", "huber", "poisson", "pinball"
]
OptimizerName: TypeAlias = Literal[
    "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw"
]
InitializerName: TypeAlias = Literal[
    "xavier_normal",
    "xavier_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "zeros",
]
ScheduleName: TypeAlias = Literal[
    "constant",
    "step",
    "exponential",
    "inverse_scaling",
    "cosine",
    "cyclic_cosine",
    "warm_up",
    "one_cycle",
]
MetricName: TypeAlias = Literal[
    "accuracy", "balanced_accuracy", "top_k_accuracy", "log_loss", "f1", "r2", "mae", "rmse"
]
#: The kind of targets that a loss has.
Task: TypeAlias = Literal["classes", "labels", "values"]

DtypeName: TypeAlias = Literal["float32", "float64"]
Dtype: TypeAlias = DtypeName | type[np.float32] | type[np.float64] | np.dtype[Any]
RandomState: TypeAlias = int | np.random.RandomState | np.random.Generator | None
Path: TypeAlias = str | os.PathLike[str]
#: A path, or a binary file that is open.
File: TypeAlias = str | os.PathLike[str] | IO[bytes]
