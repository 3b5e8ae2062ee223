"""Checkers of plain values, from which the schema of a file is made (floor 4).

Each is a `checks.Checker`: a function (name, value) that returns the value in form, or raises
TypeError or ValueError.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from fastmlp.validation.checks import Checker, choice


def anything(name: str, value: Any) -> Any:
    """Return `value`."""
    return value


def whole(least: int, most: int) -> Checker:
    """Return a checker of ints from `least` to `most`."""

    def checker(name: str, value: Any) -> int:
        accepted = f"accepted is an int from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} is {type(value).__name__}; {accepted}")
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}; {accepted}")
        return int(value)

    return checker


def number(name: str, value: Any) -> Any:
    """Return a real number, which may be NaN or infinity."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {type(value).__name__}; accepted is a number")
    return value


def between(least: float, most: float) -> Checker:
    """Return a checker of numbers from `least` to `most`."""

    def checker(name: str, value: Any) -> float:
        if not least <= number(name, value) <= most:
            raise ValueError(f"{name} is {value}; accepted is a number from {least} to {most}")
        return float(value)

    return checker


def boolean(name: str, value: Any) -> bool:
    """Return a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {type(value).__name__}; accepted are True and False")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a str."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}; accepted is a str")
    return value


def one_of(names: Collection[str]) -> Checker:
    """Return a checker of some names."""
    return lambda name, value: choice(name, value, names)


def optional(check: Checker) -> Checker:
    """Return a checker of None and of what `check` accepts."""
    return lambda name, value: None if value is None else check(name, value)


def list_of(check: Checker, n: int | None = None) -> Checker:
    """Return a checker of lists, of n elements if n is given."""

    def checker(name: str, value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"{name} is {type(value).__name__}; accepted is a list")
        if n is not None and len(value) != n:
            raise ValueError(f"{name} has {len(value)} elements; accepted are {n}")
        try:
            return [check(name, element) for element in value]
        except (TypeError, ValueError):  # names of all elements would take longer than the checks
            for i, element in enumerate(value):
                check(f"{name}[{i}]", element)
            raise

    return checker


def each_of(checkers: Sequence[Checker]) -> Checker:
    """Return a checker of lists with an element for each checker."""

    def checker(name: str, value: Any) -> list[Any]:
        found = list_of(anything, len(checkers))(name, value)
        return [
            check(f"{name}[{i}]", each)
            for i, (check, each) in enumerate(zip(checkers, found, strict=True))
        ]

    return checker


def dict_of(check: Checker) -> Checker:
    """Return a checker of dicts from str to what `check` accepts."""

    def checker(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"{name or 'the file'} is {type(value).__name__}; accepted is a dict")
        return {
            text(f"a key of {name}", key): check(_inside(name, key), value[key]) for key in value
        }

    return checker


def _inside(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def fields(accepted: Mapping[str, Checker]) -> Checker:
    """Return a checker of some fields of a dict; it may have others, which are left out."""

    def checker(name: str, value: Any) -> dict[str, Any]:
        missing = set(accepted) - set(dict_of(anything)(name, value))
        if missing:
            raise ValueError(f"{name or 'the file'} has no {min(missing)!r}")
        return {key: check(_inside(name, key), value[key]) for key, check in accepted.items()}

    return checker


def record(accepted: Mapping[str, Checker], may_lack: Collection[str] = ()) -> Checker:
    """Return a checker of dicts that have these fields and no others."""

    def checker(name: str, value: Any) -> dict[str, Any]:
        others = set(dict_of(anything)(name, value)) - set(accepted)
        if others:
            raise ValueError(
                f"{name or 'the file'} has {min(others)!r}; accepted are {', '.join(accepted)}"
            )
        expected = {key: accepted[key] for key in accepted if key in value or key not in may_lack}
        return fields(expected)(name, value)

    return checker


def array(shape: tuple[int, ...], dtype: np.dtype, least: float = -math.inf) -> Checker:
    """Return a checker of arrays of a shape and dtype, of finite numbers not below `least`."""

    def checker(name: str, value: Any) -> np.ndarray:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{name} is {type(value).__name__}; accepted is an array")
        if value.shape != shape or value.dtype != dtype:
            raise ValueError(
                f"{name} is {value.dtype} of shape {value.shape}; "
                f"accepted is {dtype} of shape {shape}"
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name} has NaN or infinity; accepted are finite numbers")
        if value.size and value.min() < least:
            raise ValueError(f"{name} is below {least} somewhere; accepted is at least {least}")
        return value

    return checker
