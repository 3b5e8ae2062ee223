"""What users pass, checked and brought into the form that the kernels take (floor 4).

Every refusal is one sentence that names the argument, what was given and what is accepted, and
comes before anything is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import numbers
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np

from fastmlp.core.inputs.gather import KEPT, SparseRows
from fastmlp.messages import raised, short, shown
from fastmlp.validation import real_numbers

MOST_THREADS = 1024  # each is a thread of the system
LARGEST_LAYER = 2**31 - 1  # units
LARGEST_INT = 2**63 - 1
MOST_WEIGHTS = 2**44  # of 8 bytes: the 128 TiB that a process can address
NOT_ONE = (bool, np.bool_, real_numbers.NOT_REAL)  # number, where a single one is asked for

#: From an argument's name and value to the value in form, or TypeError or ValueError.
Checker = Callable[[str, Any], Any]


def whole_number(name: str, value: Any, least: int, most: int = LARGEST_INT) -> int:
    """Return `value` as an int from `least` to `most`; TypeError or ValueError otherwise."""
    accepted = f"an int of at least {least}"
    try:
        if isinstance(value, NOT_ONE):
            raise TypeError
        number = operator.index(value)
    except Exception:
        raise TypeError(f"{name} is {shown(value)}; accepted is {accepted}") from None
    if number > most:
        accepted = f"an int from {least} to {most}"
    if not least <= number <= most:
        raise ValueError(f"{name} is {shown(number)}; accepted is {accepted}")
    return number


def thread_count(value: Any) -> int:
    """Return `value` as a number of threads."""
    return whole_number("n_threads", value, 1, MOST_THREADS)


def flag(name: str, value: Any, *names: str) -> Any:
    """Return `value` as a bool, of which ints are ones too, or as one of the names."""
    if isinstance(value, str) and value in names:
        return value
    if not isinstance(value, (int, np.bool_)):
        *others, last = map(repr, (True, False, *names))
        raise (ValueError if isinstance(value, str) else TypeError)(
            f"{name} is {shown(value)}; accepted are {', '.join(others)} and {last}"
        )
    return bool(value)


def _number_that(is_accepted: Callable[[float], bool], accepted: str) -> Checker:
    """Return a checker of real numbers; bools and durations are none."""

    def checker(name: str, value: Any) -> float:
        try:
            if isinstance(value, NOT_ONE) or not isinstance(value, numbers.Real):
                raise TypeError
            number = float(value)
        except OverflowError:
            raise ValueError(f"{name} is {shown(value)}; accepted is {accepted}") from None
        except Exception:
            raise TypeError(f"{name} is {shown(value)}; accepted is {accepted}") from None
        if not is_accepted(number):
            raise ValueError(f"{name} is {number}; accepted is {accepted}")
        return number

    checker.__doc__ = f"Return `value` as {accepted}; TypeError or ValueError otherwise."
    return checker


real_number = _number_that(lambda x: 0 <= x < np.inf, "a finite number of at least 0")
above_zero = _number_that(lambda x: 0 < x < np.inf, "a finite number above 0")
from_zero_below_one = _number_that(lambda x: 0 <= x < 1, "a number of at least 0 and below 1")
between_zero_and_one = _number_that(lambda x: 0 < x < 1, "a number above 0 and below 1")


def is_list(value: Any) -> bool:
    """Whether `value` has items in an order: not text, a set, a dict or an array without axes."""
    return isinstance(value, Iterable) and not (
        isinstance(value, (str, bytes, bytearray, Set, Mapping))
        or (isinstance(value, np.ndarray) and value.ndim == 0)
    )


def listed(name: str, value: Any, accepted: str) -> list[Any]:
    """Return the items of `value`; TypeError where it has none in an order."""
    if is_list(value):
        try:
            return list(value)
        except Exception as error:
            raise TypeError(
                f"{name} is {shown(value)}, which cannot be read ({raised(error)}); "
                f"accepted is {accepted}"
            ) from error
    raise TypeError(f"{name} is {shown(value)}; accepted is {accepted}")


def for_each(name: str, value: Any, n: int, check: Checker) -> list[Any]:
    """Return `value`, one for all or a list of n, as a list of what `check` returns of each."""
    if not is_list(value) or isinstance(value, Iterator):  # which would be used up
        return [check(name, value)] * n
    values = listed(name, value, f"one value or a list of {n}")
    if len(values) != n:
        raise ValueError(f"{name} has {len(values)} values; accepted are one and {n}")
    return [check(f"{name}[{l}]", each) for l, each in enumerate(values)]


def scaling(shift: Any, scale: Any, n_in: int, dtype: np.dtype) -> np.ndarray | None:
    """Return ``input_shift`` and ``input_scale``, each a number or one for every input, in a row.

    None where they change nothing.
    """
    both = np.empty((2, n_in), dtype)
    for row, name, value in zip(both, ("input_shift", "input_scale"), (shift, scale), strict=True):
        array = array_of(name, value)
        if array.shape not in ((), (n_in,)):
            raise ValueError(
                f"{name} has the shape {array.shape}; accepted are a number and ({n_in},)"
            )
        with np.errstate(all="ignore"):
            row[:] = array
        if not np.isfinite(row).all():
            raise ValueError(
                f"{name} has NaN or infinity (as {dtype}); accepted are finite numbers"
            )
    return both.reshape(-1) if (both != [[0], [1]]).any() else None


def choice(name: str, value: Any, accepted: Iterable[str]) -> str:
    """Return `value` if it is one of the accepted names; ValueError otherwise."""
    names = sorted(accepted)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} is {shown(value)}; accepted are {', '.join(map(repr, names))}")
    return value


def layer_sizes(layers: Any) -> list[int]:
    """Return the sizes of the input, hidden and output layers as ints of at least 1."""
    layers = listed("layers", layers, "a list of two or more sizes")
    sizes = [whole_number(f"layers[{l}]", size, 1, LARGEST_LAYER) for l, size in enumerate(layers)]
    if len(sizes) < 2:
        raise ValueError(
            f"layers is {sizes}; accepted are two or more sizes, from the input's to the output's"
        )
    n_weights = sum(n_in * n_out for n_in, n_out in itertools.pairwise(sizes))
    if n_weights > MOST_WEIGHTS:
        raise ValueError(
            f"layers is {shown(sizes)}, which makes {n_weights:.1e} weights; "
            f"accepted are up to {MOST_WEIGHTS:.1e}, as many as a process can address"
        )
    return sizes


def float_type(dtype: Any) -> np.dtype:
    """Return float32 or float64 as a dtype; TypeError or ValueError otherwise."""
    try:
        if dtype is None:  # NumPy's float64
            raise TypeError
        found = np.dtype(dtype)
    except Exception:
        raise TypeError(f"dtype is {shown(dtype)}; accepted are float32 and float64") from None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype is {short(str(found))}; accepted are float32 and float64")
    return found


def array_of(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of real numbers, the data of a masked array with no mask set.

    Raises
    ------
    ValueError
        For rows of different lengths, and for masked values.
    TypeError
        For anything that is no real number, see `real_numbers`: the first such value is named.
    """
    if type(values) is np.ndarray and values.dtype.kind in real_numbers.KINDS:
        return values
    hidden = real_numbers.n_masked(values)
    if hidden > 0:
        raise ValueError(
            f"{name} has {hidden} masked value{'s' * (hidden > 1)}; accepted are arrays without "
            "any: fill masked values or drop their rows"
        )
    try:
        array = np.asarray(values)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, ValueError) and "inhomogeneous" in str(error):
            raise ValueError(
                f"{name} has rows of different lengths; accepted are equal ones"
            ) from None
        raise TypeError(
            f"{name} is {type(values).__name__}, of which NumPy makes no array ({raised(error)}); "
            "accepted are arrays and lists of real numbers"
        ) from error
    if array.dtype.kind == "O" and real_numbers.are_real(array):
        with contextlib.suppress(Exception):  # an int too long for float64, a signalling NaN
            array = array.astype(np.float64)
    if array.dtype.kind not in real_numbers.KINDS:
        raise real_numbers.refusal(name, values, array)
    return array


def feature_rows(name: str, X: Any, n_in: int, dtype: np.dtype) -> np.ndarray | SparseRows:
    """Return `X` as rows that the kernels read: C-contiguous and writable, or sparse.

    An array of `dtype`, or of a narrower type that kernels convert as they read, is returned
    without a copy where it lies so already. Whether the numbers are finite is not looked at here:
    `finite_rows` does, and the kernels do while they read.
    """
    array = X if hasattr(X, "tocsr") else array_of(name, X)
    if len(array.shape) != 2:
        raise ValueError(
            f"{name} has {len(array.shape)} dimension(s); "
            f"accepted is a shape of (n_samples, {n_in})"
        )
    if array.shape[1] != n_in:
        raise ValueError(
            f"{name} has {array.shape[1]} features; the network's input layer takes {n_in}"
        )
    if array.shape[0] == 0:
        raise ValueError(f"{name} is empty; accepted are one or more samples")
    if not isinstance(array, np.ndarray):
        return sparse_rows(name, array.tocsr(), dtype)
    return readable(array, array.dtype if array.dtype in KEPT else dtype)


def sparse_rows(name: str, matrix: Any, dtype: np.dtype) -> SparseRows:
    """Return a matrix of scipy.sparse's CSR format for the kernels, its numbers as `dtype`."""
    if matrix.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} is sparse of {matrix.dtype}; accepted are matrices of real numbers"
        )
    starts, inputs = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    n_rows, n_in = matrix.shape
    ordered = len(starts) == n_rows + 1 and starts[0] == 0 and (starts[:-1] <= starts[1:]).all()
    if not ordered or starts[-1] > min(len(inputs), len(matrix.data)):
        raise ValueError(f"{name} is sparse with rows that overlap or end behind its numbers")
    named = inputs[: starts[-1]]
    if len(named) > 0 and (named.min() < 0 or named.max() >= n_in):
        raise ValueError(f"{name} is sparse with features outside 0 to {n_in - 1}")
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return SparseRows(
        readable(matrix.data, dtype),
        readable(matrix.indices, np.dtype(np.int32)).view(np.uint32),
        readable(matrix.indptr, np.dtype(np.int64)),
    )


def readable(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return `array` as a C-contiguous, aligned and writable one of `dtype`, if need be a copy."""
    flags = array.flags
    if array.dtype == dtype and flags.carray:
        return array
    if array.dtype != dtype or not flags.c_contiguous:
        with np.errstate(all="ignore"):  # what is too large for the type is reported as infinity
            array = np.ascontiguousarray(array, dtype)
    if not array.flags.aligned:  # which compiled code takes for granted
        array = array.copy()
    if not array.flags.writeable:  # for which Numba would compile anew
        array = _writable_alias(array)
    return array


def _writable_alias(array: np.ndarray) -> np.ndarray:
    """Return the same memory as a writable array, for kernels that never write to it."""
    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    memory._owner = array  # keeps the memory alive
    return np.frombuffer(memory, array.dtype).reshape(array.shape)


def finite_rows(name: str, X: np.ndarray | SparseRows) -> None:
    """Raise ValueError for the first row of `X` that holds NaN or infinity."""
    if isinstance(X, SparseRows):
        spoilt = np.flatnonzero(~np.isfinite(X.numbers))
        if len(spoilt) > 0:
            row = int(np.searchsorted(X.starts, spoilt[0], "right")) - 1
            raise not_finite(name, row, X.dtype)
        return
    finite = np.isfinite(X).all(axis=1)
    if not finite.all():
        raise not_finite(name, int(np.argmin(finite)), X.dtype)


def not_finite(name: str, row: int, dtype: np.dtype) -> ValueError:
    """Return the refusal of a row that holds NaN or infinity."""
    return ValueError(
        f"{name} has NaN or infinity in row {row} (as {dtype}); accepted are finite numbers"
    )


def parameter_values(name: str, values: Any, view: np.ndarray) -> np.ndarray:
    """Return a copy of `values` to write into a layer's weights or biases."""
    array = array_of(name, values)
    if array.shape != view.shape:
        raise ValueError(f"{name} has the shape {array.shape}; accepted is {view.shape}")
    with np.errstate(all="ignore"):  # as wherever NumPy writes into a narrower type
        copy = array.astype(view.dtype)
    if not np.isfinite(copy).all():
        raise ValueError(
            f"{name} has NaN or infinity (as {copy.dtype}); accepted are finite numbers"
        )
    return copy
