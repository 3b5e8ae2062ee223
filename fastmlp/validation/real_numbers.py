"""What in an array is no real number, and how to say so (floor 4).

Real numbers are Python's and NumPy's ints, floats and bools, `decimal.Decimal` and
`fractions.Fraction`. Text is none, even if it spells one, and None and ``pandas.NA`` are missing.
"""

from __future__ import annotations

import datetime
import numbers
import sys
from typing import Any

import numpy as np

from fastmlp.messages import shown

REAL = (numbers.Real, np.bool_)
NOT_REAL = np.timedelta64  # which NumPy counts among its ints
KINDS = "biuf"  # of NumPy's dtypes


def is_real(kind: type) -> bool:
    """Whether instances of a class are real numbers."""
    decimal = sys.modules.get("decimal")  # without which nothing is a Decimal
    is_decimal = decimal is not None and issubclass(kind, decimal.Decimal)
    return is_decimal or issubclass(kind, REAL) and not issubclass(kind, NOT_REAL)


def are_real(objects: np.ndarray) -> bool:
    """Whether all items of an object array are real numbers, by their types."""
    return all(map(is_real, set(map(type, objects.ravel().tolist()))))


def n_masked(values: Any) -> int:
    """Return how many values are masked in a masked array, or in a list that holds some.

    `numpy.asarray` would take what lies below the mask. Lists within a list are not looked at: of
    all their numbers the types would be asked for, and NumPy makes NaN of a masked one.
    """
    if isinstance(values, np.ma.MaskedArray):
        return 0 if values.dtype.names else int(np.ma.count_masked(values))
    if not isinstance(values, (list, tuple)):
        return 0
    if not any(issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, values))):
        return 0
    return sum(map(n_masked, values))


class NotReal(TypeError):
    """A value that is no real number; `found` says which, and `is_text` whether it is text."""

    def __init__(self, found: str, advice: str, is_text: bool):
        super().__init__(f"{found}; accepted are real numbers{advice}")
        self.found, self.is_text = found, is_text


def refusal(name: str, values: Any, array: np.ndarray) -> TypeError:
    """Return the refusal of `values`, whose `array` is not one of real numbers.

    It names the first value that is none: column by column, as users go through a table.
    """
    items = array
    if array.dtype.kind in "US":  # NumPy has made text of the numbers beside it, too
        items = np.asarray(values, object)
    if items.ndim == 0:
        value = items.item() if items.dtype.kind in "OUS" else items[()]
        return TypeError(f"{name} is {shown(value)}; accepted are arrays and lists of real numbers")
    for at, value in enumerate(items.T.ravel()):
        fault = _fault(value)
        if fault is not None:
            kind, advice = fault
            index = np.unravel_index(at, items.shape[::-1])[::-1]
            place = _place([int(i) for i in index], _columns(values, items))
            return NotReal(f"{name} has the {kind} {shown(value)} {place}", advice, kind == "text")
    return TypeError(
        f"{name} is {type(values).__name__} of {shown(array.dtype)}; "
        "accepted are arrays and lists of real numbers"
    )


def _fault(value: Any) -> tuple[str, str] | None:
    """Return what a value is that is no real number, and what to do about it."""
    if is_real(type(value)):
        try:
            float(value)
        except OverflowError:
            return "value", " that float64 can hold"
        except Exception:  # a signalling NaN of Decimal, a class of the user's
            return "value", ""
        return None
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas is not imported
        return "missing value", ": fill missing values or drop their rows"
    if isinstance(value, (str, bytes)):
        return "text", ": code text as numbers, such as a column of 0 and 1 for each category"
    dates = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
    if isinstance(value, dates):
        return "value", ": turn dates and durations into numbers, such as days"
    return "value", ""


def _place(index: list[int], columns: list[Any] | None) -> str:
    if len(index) == 2:
        column = index[1] if columns is None else shown(columns[index[1]])
        return f"in row {index[0]} of column {column}"
    return f"in row {index[0]}" if len(index) == 1 else f"at {tuple(index)}"


def _columns(values: Any, items: np.ndarray) -> list[Any] | None:
    """Return the names of a table's columns, None where there are none."""
    if items.ndim != 2 or not (hasattr(values, "columns") and hasattr(values, "dtypes")):
        return None
    columns = list(values.columns)
    return columns if len(columns) == items.shape[1] else None
