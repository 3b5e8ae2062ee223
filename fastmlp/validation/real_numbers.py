"""Find the values of an array that are not real numbers, and report the first.

Real numbers are the ints, floats and bools of Python and NumPy, `decimal.Decimal` and
`fractions.Fraction`. Text is not, even if it spells a number; None and ``pandas.NA`` are missing
values.
"""

from __future__ import annotations

import datetime
import numbers
import sys
from typing import Any

import numpy as np

from fastmlp.messages import must, shown

REAL = (numbers.Real, np.bool_)
NOT_REAL = np.timedelta64  # a subclass of NumPy's signed integers
KINDS = "biuf"  # of NumPy's dtypes
ARRAY = "be an array or a list of real numbers"
TEXT = "the text"
ENCODE = "encode class names as integers with classes, y = numpy.unique(y, return_inverse=True)"


def is_real(kind: type) -> bool:
    """Whether instances of a class are real numbers."""
    decimal = sys.modules.get("decimal")  # if it was not imported, nothing is a Decimal
    is_decimal = decimal is not None and issubclass(kind, decimal.Decimal)
    return is_decimal or issubclass(kind, REAL) and not issubclass(kind, NOT_REAL)


def are_real(objects: np.ndarray) -> bool:
    """Whether all items of an object array are real numbers, by their types."""
    return all(map(is_real, set(map(type, objects.ravel().tolist()))))


def n_masked(values: Any) -> int:
    """Return how many values are masked in a masked array, or in a list that holds some.

    `numpy.asarray` would use the values under the mask. Lists within a list are not searched: that
    would check the type of each of their elements, and NumPy converts a masked one to NaN.
    """
    if "numpy.ma" not in sys.modules:  # then nothing is masked, and the import takes 10 ms
        return 0
    if isinstance(values, np.ma.MaskedArray):
        return 0 if values.dtype.names else int(np.count_nonzero(np.ma.getmaskarray(values)))
    if not isinstance(values, (list, tuple)):
        return 0
    if not any(issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, values))):
        return 0
    return sum(map(n_masked, values))


def not_real(name: str, values: Any, array: np.ndarray, is_of_classes: bool = False) -> TypeError:
    """Return the error for `values`, whose `array` does not hold real numbers.

    The message shows the first value that is not a real number, searching column by column. If
    the values may be classes and this one is text, it says how to encode names.
    """
    items = array
    if array.dtype.kind in "US":  # NumPy has converted the other values to text as well
        items = np.asarray(values, object)
    if items.ndim == 0:
        value = items.item() if items.dtype.kind in "OUS" else items[()]
        return TypeError(must(name, ARRAY, shown(value)))
    for at, value in enumerate(items.T.ravel()):
        fault = _fault(value)
        if fault is not None:
            kind, advice = fault
            index = np.unravel_index(at, items.shape[::-1])[::-1]
            place = _place([int(i) for i in index], _columns(values, items))
            got = f"{kind} {shown(value)} {place}".lstrip()
            if is_of_classes and kind == TEXT:
                return TypeError(must(name, "contain only integers", got, ENCODE))
            return TypeError(must(name, "contain only real numbers", got, advice))
    return TypeError(must(name, ARRAY, f"{type(values).__name__} of {shown(array.dtype)}"))


def _fault(value: Any) -> tuple[str, str] | None:
    """Return a description of a value and advice, both perhaps empty; None for real numbers."""
    if is_real(type(value)):
        try:
            float(value)
        except OverflowError:
            return "", "float64 cannot represent it"
        except Exception:  # a signalling NaN of Decimal, a user's class
            return "the value", ""
        return None
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # without importing pandas
        return "the missing value", "fill missing values or drop their rows"
    if isinstance(value, (str, bytes)):
        return TEXT, "encode text as numbers, for example one-hot"
    dates = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
    if isinstance(value, dates):
        return "the value", "convert dates and durations to numbers, for example days"
    return "the value", ""


def _place(index: list[int], columns: list[Any] | None) -> str:
    if len(index) == 2:
        column = index[1] if columns is None else shown(columns[index[1]])
        return f"in row {index[0]} of column {column}"
    return f"in row {index[0]}" if len(index) == 1 else f"at {tuple(index)}"


def _columns(values: Any, items: np.ndarray) -> list[Any] | None:
    """Return the column names of a table, None if it has none."""
    if items.ndim != 2 or not (hasattr(values, "columns") and hasattr(values, "dtypes")):
        return None
    columns = list(values.columns)
    return columns if len(columns) == items.shape[1] else None
