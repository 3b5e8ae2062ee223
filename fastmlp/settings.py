"""The arguments of a network: their checks, and their attributes."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Never, Self, TypeVar, overload

import numpy as np

from fastmlp.core.equations.activations import ACTIVATIONS
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.messages import must
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import check_fields, chosen, function_of_step
from fastmlp.validation import checks
from fastmlp.validation.checks import Checker


class Use(NamedTuple):
    """Where a setting matters, besides the creation of a network."""

    defines: bool = False  # the network and its training: must be equal to resume a fit
    trains: bool = False  # read in each step; a fit resumes with what callbacks assigned
    prepares: bool = False  # workspaces and the arguments of kernels, which a change renews


def _used(default: Any = dataclasses.MISSING, **use: bool) -> Any:
    return dataclasses.field(default=default, metadata=Use(**use)._asdict())


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """The arguments of `MLP` (described there), except random_state.

    Raises
    ------
    ValueError, TypeError
        If one of them is invalid.
    """

    layers: Any = _used(defines=True)
    activation: Any = _used("relu", defines=True)
    output_activation: Any = _used("identity", defines=True)
    loss: Any = _used("softmax", defines=True)
    optimizer: Any = _used("adam", defines=True)
    learning_rate: Any = _used(None, trains=True)
    init: Any = "xavier_normal"
    l2: Any = _used(0.0, trains=True, prepares=True)
    l1: Any = _used(0.0, trains=True, prepares=True)
    l2_per_batch: Any = _used(False, defines=True)
    max_norm: Any = _used(None, trains=True, prepares=True)
    dropout: Any = _used(0.0, trains=True, prepares=True)
    input_noise: Any = _used(0.0, trains=True, prepares=True)
    clip_norm: Any = _used(None, trains=True, prepares=True)
    dtype: Any = _used(np.float32, defines=True)
    input_shift: Any = 0.0
    input_scale: Any = 1.0
    warm_start: Any = True
    n_threads: Any = _used(None, prepares=True)

    def __post_init__(self) -> None:
        check_fields(self, layers=lambda _, value: checks.layer_sizes(value))
        n_hidden = len(self.layers) - 2
        number = checks.non_negative
        check_fields(
            self,
            activation=lambda name, value: checks.for_each(name, value, n_hidden, _activation),
            output_activation=_activation,
            loss=lambda name, value: chosen(name, value, LOSSES),
            optimizer=lambda name, value: chosen(name, value, OPTIMIZERS),
            learning_rate=_rate,
            l2=_one_or_each(n_hidden + 1, number),
            l1=_one_or_each(n_hidden + 1, number),
            l2_per_batch=checks.flag,
            max_norm=_one_or_each(n_hidden + 1, _norm),
            dropout=_one_or_each(n_hidden, checks.from_zero_below_one),
            input_noise=number,
            clip_norm=_norm,
            dtype=lambda _, value: checks.float_type(value),
            warm_start=checks.flag,
            n_threads=lambda _, value: None if value is None else checks.thread_count(value),
        )
        check_fields(self, init=self._checked_init)
        n_in = self.layers[0]
        scaling = checks.scaling(self.input_shift, self.input_scale, n_in, self.dtype)
        shift, scale = (0.0, 1.0) if scaling is None else (scaling[:n_in], scaling[n_in:])
        object.__setattr__(self, "input_shift", shift)
        object.__setattr__(self, "input_scale", scale)

    def _checked_init(self, name: str, value: Any) -> Any:
        if isinstance(value, _CheckedArrays):
            return value
        if isinstance(value, str):
            return checks.choice(name, value, INITIALIZERS)
        shapes = list(zip(self.layers[1:], self.layers[:-1], strict=True))
        arrays = checks.listed(name, value, "a name, or a list of arrays")
        if len(arrays) != len(shapes):
            raise ValueError(must(name, f"have {len(shapes)} arrays", f"{len(arrays)}"))
        for l, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
            view = np.broadcast_to(self.dtype.type(0), shape)
            checks.parameter_values(f"{name}[{l}]", array, view)
        return _CheckedArrays(arrays)

    def of_layers(self, name: str) -> list[Any]:
        """Return a setting of layers as a list with one value for each layer."""
        value = getattr(self, name)
        n = len(self.layers) - (2 if name == "dropout" else 1)
        return value if isinstance(value, list) else [value] * n

    @property
    def scaling(self) -> np.ndarray | None:
        """The shifts, then the scales of all inputs, (2 n_in,); None if inputs are not scaled."""
        if not isinstance(self.input_shift, np.ndarray):
            return None
        return np.concatenate([self.input_shift, self.input_scale])


def settings_that(use: str) -> frozenset[str]:
    """Return the names of the settings that have a `Use`."""
    return frozenset(f.name for f in dataclasses.fields(Settings) if f.metadata.get(use, False))


class _CheckedArrays(list[Any]):
    """Arrays of `init` that have been checked, so that later changes do not check them again."""


def _activation(name: str, value: Any) -> str:
    return checks.choice(name, value, ACTIVATIONS)


def _norm(name: str, value: Any) -> float | None:
    return None if value is None else checks.above_zero(name, value)


def _rate(name: str, value: Any) -> Any:
    if callable(value):
        return function_of_step(name, value)
    return None if value is None else checks.non_negative(name, value)


def _one_or_each(n: int, check: Checker) -> Checker:
    """Return a checker of one value for all layers, or of a list of n."""

    def checker(name: str, value: Any) -> Any:
        each = checks.for_each(name, value, n, check)
        return each if checks.is_list(value) else check(name, value)

    return checker


# The arguments of each class --------------------------------------------------------------------


class Arguments(NamedTuple):
    """The arguments of a public class, except random_state."""

    names: dict[str, str]  # from each argument to its setting
    fixed: dict[str, Any]  # settings that the class fixes to other values than the defaults
    checks: dict[str, Checker]  # of arguments that are more restricted than their settings

    def of(self, settings: Settings) -> dict[str, Any]:
        """Return the arguments that create a network with these settings."""
        return {name: getattr(settings, setting) for name, setting in self.names.items()}

    def settings(self, arguments: dict[str, Any]) -> Settings:
        """Return the settings for these arguments, after checking all of them."""
        given = {self.names[n]: self.checked(n, value) for n, value in arguments.items()}
        return Settings(**self.fixed, **given)

    def checked(self, name: str, value: Any) -> Any:
        """Return the value of an argument, after the check of this class."""
        return self.checks[name](name, value) if name in self.checks else value


_ALL = [field.name for field in dataclasses.fields(Settings)]
#: By the name of the class, which is also its name in files.
ARGUMENTS = {
    "MLP": Arguments({name: name for name in _ALL}, {}, {}),
    "NeuralNet": Arguments(
        {
            "layers": "layers",
            "learning_rate": "learning_rate",
            "reg_lambda": "l2",
            "output_activation": "output_activation",
            "dtype": "dtype",
            "input_shift": "input_shift",
            "input_scale": "input_scale",
            "n_threads": "n_threads",
        },
        {"optimizer": "sgd"},
        {"learning_rate": checks.non_negative, "reg_lambda": checks.non_negative},
    ),
}


def call_text(cls: type, kind: type, arguments: dict[str, Any]) -> str:
    """Return the call of `cls` that creates a network, without default arguments.

    The defaults are those of `kind`, the public class that `cls` is or inherits from.
    """
    defaults = inspect.signature(kind).parameters
    shown = [
        f"{name}={value!r}"
        for name, value in ((name, _shortest(value)) for name, value in arguments.items())
        if name != "layers" and not _is_default(value, defaults[name].default)
    ]
    return f"{cls.__name__}({', '.join([str(arguments['layers']), *shown])})"


def _shortest(value: Any) -> Any:
    """Return the shortest value of an argument that means the same."""
    if isinstance(value, np.ndarray) and (value == value[0]).all():
        return float(value[0])
    return value.name if isinstance(value, np.dtype) else value


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(default, type):
        return value == np.dtype(default).name
    if isinstance(default, str):
        named = LOSSES.get(default) or OPTIMIZERS.get(default)
        if named is not None:
            return value == named()
        names = value if isinstance(value, list) else [value]
        return all(isinstance(name, str) and name == default for name in names)
    return type(value) in (float, int, bool, type(None)) and value == default


# Attributes -----------------------------------------------------------------------------------


T = TypeVar("T")


class Fixed(Generic[T]):
    """An attribute that cannot be assigned: a setting, or the value that `read` returns.

    Parameters
    ----------
    read : callable, optional
        From the network to the value, so that this is a decorator as well.
    """

    def __init__(self, read: Callable[[Any], T] | None = None):
        self._read = read
        self.__doc__ = None if read is None else read.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, network: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self, network: Any, owner: Any = None) -> T: ...

    def __get__(self, network: Any, owner: Any = None) -> Any:
        if network is None:
            return self
        if self._read is not None:
            return self._read(network)
        names = ARGUMENTS[network._state.class_name].names
        value = getattr(network._state.settings, names.get(self.name, self.name))
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        return value.copy() if isinstance(value, list) else value

    def __set__(self, network: Any, value: Never) -> None:
        kind = network._state.class_name
        is_argument = self.name == "random_state" or self.name in ARGUMENTS[kind].names
        advice = f": create a new {kind} with another `{self.name}`" if is_argument else ""
        raise AttributeError(f"`{self.name}` cannot be assigned{advice}.")


class Absent(Fixed[T]):
    """A setting of `MLP` that this class fixes."""

    def __set__(self, network: Any, value: Never) -> None:
        raise AttributeError(
            f"`{self.name}` cannot be assigned to a {network._state.class_name}: use an MLP."
        )


class Assignable(Fixed[T]):
    """An attribute that may be assigned: checked immediately, and used from the next step."""

    def __set__(self, network: Any, value: Any) -> None:
        arguments = ARGUMENTS[network._state.class_name]
        checked = arguments.checked(self.name, value)
        network._state.change(**{arguments.names[self.name]: checked})
