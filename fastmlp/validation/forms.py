"""Checkers of plain values, the parts of a schema.

Each is a `checks.Checker`: a function (name, value) that returns the converted value, or raises
TypeError or ValueError.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.validation.checks import Checker, choice

FILE = "file"  # the name of the whole file in messages


def anything(name: str, value: Any) -> Any:
    """Return `value`."""
    return value


def whole(least: int, most: int) -> Checker:
    """Return a checker of ints from `least` to `most`."""

    def checker(name: str, value: Any) -> int:
        requirement = f"be an int from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(must(name, requirement, _type(value)))
        if not least <= value <= most:
            raise ValueError(must(name, requirement, shown(value)))
        return int(value)

    return checker


def number(name: str, value: Any) -> Any:
    """Return a real number, which may be NaN or infinity."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(must(name, "be a number", _type(value)))
    return value


def between(least: float, most: float) -> Checker:
    """Return a checker of numbers from `least` to `most`."""

    def checker(name: str, value: Any) -> float:
        if not least <= number(name, value) <= most:
            raise ValueError(must(name, f"be between {least} and {most}", shown(value)))
        return float(value)

    return checker


def boolean(name: str, value: Any) -> bool:
    """Return a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(must(name, "be True or False", _type(value)))
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a str."""
    if not isinstance(value, str):
        raise TypeError(must(name, "be a str", _type(value)))
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
            raise TypeError(must(name, "be a list", _type(value)))
        if n is not None and len(value) != n:
            raise ValueError(must(name, f"have length {n}", f"{len(value)}"))
        try:
            return [check(name, element) for element in value]
        except (TypeError, ValueError):  # building all names would take longer than the checks
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
            raise TypeError(must(name or FILE, "be a dict", _type(value)))
        for key in value:
            if not isinstance(key, str):
                raise TypeError(must(name or FILE, "have keys of type str", _type(key)))
        return {key: check(_inside(name, key), value[key]) for key in value}

    return checker


def _type(value: Any) -> str:
    """Return only the type: formatting a value from a file may take long."""
    return f"a value of type {type(value).__name__}"


def _inside(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def fields(checkers: Mapping[str, Checker]) -> Checker:
    """Return a checker of some fields of a dict, which ignores others."""

    def checker(name: str, value: Any) -> dict[str, Any]:
        missing = set(checkers) - set(dict_of(anything)(name, value))
        if missing:
            raise ValueError(
                must(name or FILE, f"have the key {min(missing)!r}", "a dict without it")
            )
        return {key: check(_inside(name, key), value[key]) for key, check in checkers.items()}

    return checker


def record(checkers: Mapping[str, Checker], may_lack: Collection[str] = ()) -> Checker:
    """Return a checker of dicts with exactly these fields."""

    def checker(name: str, value: Any) -> dict[str, Any]:
        others = set(dict_of(anything)(name, value)) - set(checkers)
        if others:
            requirement = f"have only the keys {short(', '.join(checkers), 200)}"
            raise ValueError(must(name or FILE, requirement, shown(min(others))))
        expected = {key: checkers[key] for key in checkers if key in value or key not in may_lack}
        return fields(expected)(name, value)

    return checker


def array(shape: tuple[int, ...], dtype: np.dtype, least: float = -math.inf) -> Checker:
    """Return a checker of finite arrays of a shape and dtype, with values of at least `least`."""

    def checker(name: str, value: Any) -> np.ndarray:
        if not isinstance(value, np.ndarray):
            raise TypeError(must(name, "be an array", _type(value)))
        if value.shape != shape or value.dtype != dtype:
            got = f"{value.dtype} of shape {value.shape}"
            raise ValueError(must(name, f"be {dtype} of shape {shape}", got))
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(must(name, "be finite", "NaN or infinity"))
        if value.size and value.min() < least:
            raise ValueError(must(name, f"be at least {least}", f"{value.min()}"))
        return value

    return checker
