"""The arguments of a network, checked together, and the attributes for them (floor 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.core.activations import ACTIVATIONS
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import check_fields, chosen
from fastmlp.schedules import function_of_step
from fastmlp.validation import checks
from fastmlp.validation.checks import Checker


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """What `MLP` takes, apart from random_state: names, types and ranges are those of its docs.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, what was given and what is accepted.
    """

    layers: Any
    activation: Any
    output_activation: Any
    loss: Any
    optimizer: Any
    learning_rate: Any
    init: Any
    l2: Any
    l1: Any
    max_norm: Any
    dropout: Any
    input_noise: Any
    clip_norm: Any
    dtype: Any
    input_shift: Any
    input_scale: Any
    warm_start: Any
    n_threads: Any

    def __post_init__(self) -> None:
        check_fields(self, layers=lambda _, value: checks.layer_sizes(value))
        n_hidden = len(self.layers) - 2
        number = checks.real_number
        check_fields(
            self,
            activation=lambda name, value: checks.for_each(name, value, n_hidden, _activation),
            output_activation=_activation,
            loss=lambda name, value: chosen(name, value, LOSSES),
            optimizer=lambda name, value: chosen(name, value, OPTIMIZERS),
            learning_rate=_rate,
            l2=_one_or_each(n_hidden + 1, number),
            l1=_one_or_each(n_hidden + 1, number),
            max_norm=_one_or_each(n_hidden + 1, _norm),
            dropout=_one_or_each(n_hidden, checks.from_zero_below_one),
            input_noise=number,
            clip_norm=_norm,
            dtype=lambda _, value: checks.float_type(value),
            warm_start=checks.flag,
            n_threads=lambda _, value: None if value is None else checks.thread_count(value),
        )
        check_fields(self, init=self._checked_init)

    def _checked_init(self, name: str, value: Any) -> Any:
        if isinstance(value, _CheckedArrays):
            return value
        if isinstance(value, str):
            return checks.choice(name, value, INITIALIZERS)
        shapes = list(zip(self.layers[1:], self.layers[:-1], strict=True))
        arrays = checks.listed(name, value, "a name, or a list of arrays")
        if len(arrays) != len(shapes):
            raise ValueError(f"{name} has {len(arrays)} arrays; accepted are {len(shapes)}")
        for l, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
            view = np.broadcast_to(self.dtype.type(0), shape)
            checks.parameter_values(f"{name}[{l}]", array, view)
        return _CheckedArrays(arrays)

    def of_layers(self, name: str) -> list[Any]:
        """Return a setting that is one for all layers or one for each as the latter."""
        value = getattr(self, name)
        n = len(self.layers) - (2 if name == "dropout" else 1)
        return value if isinstance(value, list) else [value] * n


class _CheckedArrays(list):
    """Arrays of `init`, which are not looked at again when another setting changes."""


def _activation(name: str, value: Any) -> str:
    return checks.choice(name, value, ACTIVATIONS)


def _norm(name: str, value: Any) -> float | None:
    return None if value is None else checks.above_zero(name, value)


def _rate(name: str, value: Any) -> Any:
    if callable(value):
        return function_of_step(name, value)
    return None if value is None else checks.real_number(name, value)


def _one_or_each(n: int, check: Checker) -> Checker:
    """Return a checker of one value for all layers, or of a list of n."""

    def checker(name: str, value: Any) -> Any:
        each = checks.for_each(name, value, n, check)
        return each if checks.is_list(value) else check(name, value)

    return checker


# Attributes -----------------------------------------------------------------------------------


class Fixed:
    """An attribute that cannot be assigned: a setting, or what `read` returns for the network.

    Parameters
    ----------
    read : callable, optional
        From the network to the value; so this is a decorator, too.
    """

    def __init__(self, read: Callable[[Any], Any] | None = None):
        self._read = read
        self.__doc__ = None if read is None else read.__doc__

    def __set_name__(self, owner: Any, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: Any = None) -> Any:
        if model is None:
            return self
        if self._read is not None:
            return self._read(model)
        value = getattr(model._settings, self.name)
        return list(value) if isinstance(value, list) else value

    def __set__(self, model: Any, value: Any) -> None:
        raise AttributeError(
            f"{self.name} cannot be assigned; accepted is a new {model._kind.__name__} with "
            f"another {self.name}"
        )


class Absent(Fixed):
    """A setting of `MLP` that a network of fixed choices does not take."""

    def __set__(self, model: Any, value: Any) -> None:
        kind = model._kind.__name__
        raise AttributeError(f"{self.name} cannot be assigned to a {kind}; accepted is an MLP")


class Assignable(Fixed):
    """An attribute that may be assigned: checked at once, and what the next step uses.

    Parameters
    ----------
    check : callable, optional
        What is accepted, where that is less than `Settings` accepts.
    """

    def __init__(self, check: Checker | None = None):
        super().__init__()
        self._check = check

    def __set__(self, model: Any, value: Any) -> None:
        model._change(**{self.name: self._check(self.name, value) if self._check else value})
