"""A name or a frozen dataclass: how losses, optimizers and schedules are told (floor 4).

``"huber"`` is ``Huber()``, and ``Huber(delta=2.0)`` says more. Each family of them is a dict from
names to classes, here called `kinds`: `LOSSES`, `OPTIMIZERS`, `SCHEDULES`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fastmlp.messages import must, shown
from fastmlp.validation import checks


def chosen(name: str, value: Any, kinds: Mapping[str, Any]) -> Any:
    """Return the instance that `value` stands for: itself, or the default one of its name.

    Parameters
    ----------
    name : str
        The argument, for the error message.
    value : str or an instance of one of the kinds
        A subclass's instance is refused: no name on disk would bring it back.
    kinds : dict of str to classes
        Each can be made without arguments.

    Raises
    ------
    ValueError
        For a string that is no name of `kinds`.
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
    """Return an instance as a dict for JSON: its name and its fields, nested instances too.

    Raises
    ------
    TypeError
        For what is not of `kinds`, a user's own function among them.

    Examples
    --------
    >>> from fastmlp.losses import LOSSES, Huber
    >>> to_dict(Huber(), LOSSES)
    {'name': 'huber', 'delta': 1.0}
    """
    for name, kind in kinds.items():
        if type(instance) is kind:
            values = {
                field.name: getattr(instance, field.name) for field in dataclasses.fields(kind)
            }
            return {"name": name} | {
                field: value if isinstance(value, (int, float, str)) else to_dict(value, kinds)
                for field, value in values.items()
            }
    module = next(iter(kinds.values())).__module__
    requirement = f"be an instance of a class in {module} to be saved"
    raise TypeError(must("instance", requirement, shown(instance)))


def from_dict(plain: Mapping[str, Any], kinds: Mapping[str, Any]) -> Any:
    """Return the instance of `to_dict`, its fields checked once more.

    Raises
    ------
    KeyError, TypeError, ValueError
        For anything that `to_dict` does not write.

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
    """Check the named fields of a frozen dataclass and keep what the checkers return.

    For its ``__post_init__``, so that no instance has a wrong field and all numbers are Python's.
    """
    for name, checker in checkers.items():
        object.__setattr__(instance, name, checker(name, getattr(instance, name)))


def count(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1; TypeError or ValueError otherwise."""
    return checks.whole_number(name, value, 1)
