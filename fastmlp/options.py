"""Losses, optimizers and schedules as arguments: by name or as an instance.

``"huber"`` is short for ``Huber()``. Each family has a table from names to classes, called `kinds`
here: `LOSSES`, `OPTIMIZERS`, `SCHEDULES`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fastmlp.messages import must, shown
from fastmlp.validation import checks

#: In the metadata of a field that files of earlier releases lack.
ADDED = "added"


def added(default: Any) -> Any:
    """Return a field that was added after a release: files have it unless it has its default."""
    return dataclasses.field(default=default, metadata={ADDED: True})


def chosen(name: str, value: Any, kinds: Mapping[str, Any]) -> Any:
    """Return an instance: `value` itself, or the default instance of this name.

    Parameters
    ----------
    name : str
        The argument, for error messages.
    value : str or an instance of one of the kinds
        Not of a subclass, which could not be loaded by its name.
    kinds : dict of str to classes
        All parameters of the classes must have defaults.

    Raises
    ------
    ValueError
        For a string that is not a key of `kinds`.
    TypeError
        For anything else.

    Examples
    --------
    >>> from fastmlp.losses import LOSSES, Huber
    >>> chosen("loss", "huber", LOSSES), chosen("loss", Huber(2), LOSSES)
    (Huber(delta=1.0), Huber(delta=2.0))
    """
    if isinstance(value, str) and value in kinds:
        return kinds[value]()
    if type(value) in kinds.values():
        return value
    names, module = ", ".join(map(repr, sorted(kinds))), next(iter(kinds.values())).__module__
    raise (ValueError if isinstance(value, str) else TypeError)(
        must(name, f"be one of {names} or an instance of a class in {module}", shown(value))
    )


def to_dict(instance: Any, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name and the fields of an instance, also of nested ones, as a dict for JSON.

    Raises
    ------
    TypeError
        For values that are not of `kinds`, such as custom functions.

    Examples
    --------
    >>> from fastmlp.losses import LOSSES, Huber
    >>> to_dict(Huber(), LOSSES)
    {'name': 'huber', 'delta': 1.0}
    """
    for name, kind in kinds.items():
        if type(instance) is kind:
            values = {
                field.name: getattr(instance, field.name)
                for field in dataclasses.fields(kind)
                if ADDED not in field.metadata or getattr(instance, field.name) != field.default
            }
            return {"name": name} | {
                field: value if isinstance(value, (int, float, str)) else to_dict(value, kinds)
                for field, value in values.items()
            }
    module = next(iter(kinds.values())).__module__
    requirement = f"be an instance of a class in {module} to be saved"
    raise TypeError(must("instance", requirement, shown(instance)))


def from_dict(plain: Mapping[str, Any], kinds: Mapping[str, Any]) -> Any:
    """Return the instance for a dict of `to_dict`; its fields are checked again.

    Raises
    ------
    KeyError, TypeError, ValueError
        For any other dict.

    Examples
    --------
    >>> from fastmlp.losses import LOSSES
    >>> from_dict({"name": "huber", "delta": 2.0}, LOSSES)
    Huber(delta=2.0)
    """
    fields = {
        name: from_dict(value, kinds) if isinstance(value, Mapping) else value
        for name, value in plain.items()
    }
    return kinds[fields.pop("name")](**fields)


# The fields -----------------------------------------------------------------------------------


def check_fields(instance: Any, **checkers: checks.Checker) -> None:
    """Set fields of a frozen dataclass to the values that their checkers return.

    Called by ``__post_init__``, so that all instances are valid and all numbers are Python's.
    """
    for name, checker in checkers.items():
        object.__setattr__(instance, name, checker(name, getattr(instance, name)))


def count(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1; TypeError or ValueError otherwise."""
    return checks.whole_number(name, value, 1)


def function_of_step(name: str, value: Any) -> Any:
    """Return `value` if it is a schedule or another function; TypeError for classes."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(must(name, "be a schedule or a function of the step", shown(value)))
    return value
