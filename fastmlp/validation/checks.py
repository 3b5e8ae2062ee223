"""Validation of single arguments and arrays, and their conversion for the kernels.

Every error message is one sentence made by `messages.must`, and is raised before anything is
changed.
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

from fastmlp.core.inputs.gather import KEPT, NARROWEST, SparseRows
from fastmlp.messages import must, raised, short, shown
from fastmlp.validation import real_numbers

MAX_THREADS = 1024  # of the operating system
MAX_LAYER_SIZE = 2**31 - 1  # units
MAX_INT = 2**63 - 1
MAX_WEIGHTS = 2**44  # of 8 bytes: the 128 TiB that a process can address
#: Types that Python and NumPy convert to numbers, but that are not accepted as such.
NOT_NUMBERS = (bool, np.bool_, real_numbers.NOT_REAL)

#: A function from the name and value of an argument to the converted value.
Checker = Callable[[str, Any], Any]


def whole_number(name: str, value: Any, least: int, most: int = MAX_INT) -> int:
    """Return `value` as an int from `least` to `most`; TypeError or ValueError otherwise."""
    requirement = f"be an int of at least {least}"
    try:
        if isinstance(value, NOT_NUMBERS):
            raise TypeError
        number = operator.index(value)
    except Exception:
        raise TypeError(must(name, requirement, shown(value))) from None
    if number > most:
        requirement = f"be an int from {least} to {most}"
    if not least <= number <= most:
        raise ValueError(must(name, requirement, shown(number)))
    return number


def thread_count(value: Any) -> int:
    """Return `value` as a number of threads."""
    return whole_number("n_threads", value, 1, MAX_THREADS)


def flag(name: str, value: Any, *names: str) -> Any:
    """Return `value` as a bool, if it is a bool or int, or unchanged if it is one of the names."""
    if isinstance(value, str) and value in names:
        return value
    if not isinstance(value, (int, np.bool_)):
        *others, last = map(repr, (True, False, *names))
        raise (ValueError if isinstance(value, str) else TypeError)(
            must(name, f"be {', '.join(others)} or {last}", shown(value))
        )
    return bool(value)


def history(name: str, value: Any) -> dict[str, list[Any]]:
    """Return `value` if it is a dict of lists."""
    if not isinstance(value, dict) or not all(isinstance(v, list) for v in value.values()):
        raise TypeError(must(name, "be a dict of lists", shown(value)))
    return value


def _number_that(is_valid: Callable[[float], bool], requirement: str) -> Checker:
    """Return a checker of real numbers; bools and durations are not accepted."""
    of_type = f"be a number that is {requirement}"

    def checker(name: str, value: Any) -> float:
        try:
            if isinstance(value, NOT_NUMBERS) or not isinstance(value, numbers.Real):
                raise TypeError
            number = float(value)
        except OverflowError:
            raise ValueError(must(name, f"be {requirement}", shown(value))) from None
        except Exception:
            raise TypeError(must(name, of_type, shown(value))) from None
        if not is_valid(number):
            raise ValueError(must(name, f"be {requirement}", str(number)))
        return number

    checker.__doc__ = f"Return `value` as a float that is {requirement}, or raise an error."
    return checker


non_negative = _number_that(lambda x: 0 <= x < np.inf, "finite and at least 0")
above_zero = _number_that(lambda x: 0 < x < np.inf, "finite and above 0")
from_zero_below_one = _number_that(lambda x: 0 <= x < 1, "at least 0 and below 1")
from_zero_to_one = _number_that(lambda x: 0 <= x <= 1, "at least 0 and at most 1")
between_zero_and_one = _number_that(lambda x: 0 < x < 1, "above 0 and below 1")


def is_list(value: Any) -> bool:
    """Whether `value` is an ordered collection: not text, a set, a dict or a 0-d array."""
    return isinstance(value, Iterable) and not (
        isinstance(value, (str, bytes, bytearray, Set, Mapping))
        or (isinstance(value, np.ndarray) and value.ndim == 0)
    )


def listed(name: str, value: Any, wanted: str) -> list[Any]:
    """Return the items of an ordered collection as a list; TypeError for other values."""
    if is_list(value):
        try:
            return list(value)
        except Exception as error:
            got = f"{shown(value)}, which cannot be read ({raised(error)})"
            raise TypeError(must(name, f"be {wanted}", got)) from error
    raise TypeError(must(name, f"be {wanted}", shown(value)))


def for_each(name: str, value: Any, n: int, check: Checker) -> list[Any]:
    """Return one value for all, or a list of n, as a list of n checked values."""
    if not is_list(value) or isinstance(value, Iterator):  # iterators would be consumed
        return [check(name, value)] * n
    values = listed(name, value, f"one value or a list of {n}")
    if len(values) != n:
        raise ValueError(must(name, f"be one value or a list of {n}", f"a list of {len(values)}"))
    return [check(f"{name}[{l}]", each) for l, each in enumerate(values)]


def scaling(shift: Any, scale: Any, n_in: int, dtype: np.dtype) -> np.ndarray | None:
    """Return ``input_shift`` and ``input_scale`` for every input, in one array (2 n_in,).

    None if they change nothing.
    """
    both = np.empty((2, n_in), dtype)
    for row, name, value in zip(both, ("input_shift", "input_scale"), (shift, scale), strict=True):
        array = array_of(name, value)
        if array.shape not in ((), (n_in,)):
            raise ValueError(
                must(name, f"be a number or have shape ({n_in},)", f"shape {array.shape}")
            )
        with np.errstate(all="ignore"):
            row[:] = array
        if not np.isfinite(row).all():
            raise ValueError(must(name, "be finite", f"NaN or infinity (as {dtype})"))
    return both.reshape(-1) if (both != [[0], [1]]).any() else None


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """Return `value` if it is one of the names; ValueError otherwise."""
    names = sorted(known)
    if not isinstance(value, str) or value not in names:
        raise ValueError(must(name, f"be one of {', '.join(map(repr, names))}", shown(value)))
    return value


def layer_sizes(layers: Any) -> list[int]:
    """Return the sizes of the input, hidden and output layers as ints of at least 1."""
    layers = listed("layers", layers, "a list of two or more sizes")
    sizes = [whole_number(f"layers[{l}]", size, 1, MAX_LAYER_SIZE) for l, size in enumerate(layers)]
    if len(sizes) < 2:
        raise ValueError(
            must("layers", "have two or more sizes, including the input and the output", f"{sizes}")
        )
    n_weights = sum(n_in * n_out for n_in, n_out in itertools.pairwise(sizes))
    if n_weights > MAX_WEIGHTS:
        requirement = f"have at most {MAX_WEIGHTS:.1e} weights, which a process can address"
        got = f"{n_weights:.1e} weights for the sizes {shown(sizes)}"
        raise ValueError(must("layers", requirement, got))
    return sizes


def float_type(dtype: Any) -> np.dtype:
    """Return float32 or float64 as a dtype; TypeError or ValueError otherwise."""
    try:
        if dtype is None:  # NumPy's float64
            raise TypeError
        found = np.dtype(dtype)
    except Exception:
        raise TypeError(must("dtype", "be float32 or float64", shown(dtype))) from None
    if found not in (np.float32, np.float64):
        raise ValueError(must("dtype", "be float32 or float64", short(str(found))))
    return found


def array_of(name: str, values: Any, is_of_classes: bool = False) -> np.ndarray:
    """Return `values` as an array of real numbers.

    Parameters
    ----------
    name : str
        The argument, for messages.
    values : array-like
    is_of_classes : bool, default False
        Whether they may be classes: a message about text then says how to encode names.

    Raises
    ------
    ValueError
        For rows of different lengths, and for masked values.
    TypeError
        For values that are not real numbers, see `real_numbers`: the message shows the first.
    """
    if type(values) is np.ndarray and values.dtype.kind in real_numbers.KINDS:
        return values
    hidden = real_numbers.n_masked(values)
    if hidden > 0:
        got = f"{hidden} masked value{'s' * (hidden > 1)}"
        raise ValueError(
            must(name, "have no masked values", got, "fill masked values or drop their rows")
        )
    try:
        array = np.asarray(values)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, ValueError) and "inhomogeneous" in str(error):
            raise ragged(name) from None
        got = f"{type(values).__name__}, which NumPy cannot convert ({raised(error)})"
        raise TypeError(must(name, real_numbers.ARRAY, got)) from error
    if array.dtype.kind == "O" and real_numbers.are_real(array):
        with contextlib.suppress(Exception):  # an int too large for float64, a signalling NaN
            array = array.astype(np.float64)
    if array.dtype.kind not in real_numbers.KINDS:
        raise real_numbers.not_real(name, values, array, is_of_classes)
    return array


def ragged(name: str) -> ValueError:
    """Return the error for rows that do not make an array."""
    return ValueError(must(name, "have rows of equal length", "rows of different lengths"))


def feature_rows(name: str, X: Any, n_in: int, dtype: np.dtype) -> np.ndarray | SparseRows:
    """Return `X` as rows that the kernels read: C-contiguous and writable, or sparse.

    An array of `dtype`, or of a narrower type that kernels convert while reading, is not copied if
    its memory layout is suitable. This does not check whether values are finite: kernels do while
    reading.
    """
    array = X if hasattr(X, "tocsr") else array_of(name, X)
    shape = array.shape
    if len(shape) != 2 or shape[1] != n_in:
        raise ValueError(must(name, f"have shape (n_samples, {n_in})", f"{shape}"))
    if shape[0] == 0:
        raise ValueError(must(name, "have at least one sample", f"shape {shape}"))
    if not isinstance(array, np.ndarray):
        return sparse_rows(name, array.tocsr(), dtype)
    kept = array.itemsize < NARROWEST and array.dtype in KEPT
    return readable(array, array.dtype if kept else dtype)


def sparse_rows(name: str, matrix: Any, dtype: np.dtype) -> SparseRows:
    """Convert a CSR matrix of scipy.sparse for the kernels, with values of `dtype`."""
    if matrix.dtype.kind not in "biuf":
        raise TypeError(must(name, "be a sparse matrix of real numbers", f"one of {matrix.dtype}"))
    starts, inputs = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    n_rows, n_in = matrix.shape
    ordered = len(starts) == n_rows + 1 and starts[0] == 0 and (starts[:-1] <= starts[1:]).all()
    if not ordered or starts[-1] > min(len(inputs), len(matrix.data)):
        raise ValueError(
            must(name, "be a valid sparse matrix", "rows that overlap or end after its values")
        )
    named = inputs[: starts[-1]]
    if len(named) > 0 and (named.min() < 0 or named.max() >= n_in):
        wrong = named.min() if named.min() < 0 else named.max()
        raise ValueError(must(name, f"have column indices from 0 to {n_in - 1}", f"{wrong}"))
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return SparseRows(
        readable(matrix.data, dtype),
        readable(matrix.indices, np.dtype(np.int32)).view(np.uint32),
        readable(matrix.indptr, np.dtype(np.int64)),
    )


def readable(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return `array` as C-contiguous, aligned, writable and of `dtype`, copying if necessary."""
    flags = array.flags
    if array.dtype == dtype and flags.carray:
        return array
    if array.dtype != dtype or not flags.c_contiguous:
        with np.errstate(all="ignore"):  # overflow is reported as infinity later
            array = np.ascontiguousarray(array, dtype)
    if not array.flags.aligned:  # compiled code requires alignment
        array = array.copy()
    if not array.flags.writeable:  # Numba would compile another version
        array = _writable_alias(array)
    return array


def _writable_alias(array: np.ndarray) -> np.ndarray:
    """Return a writable view of the same memory, for kernels that never write to it."""
    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    memory._owner = array  # keeps the memory alive
    return np.frombuffer(memory, array.dtype).reshape(array.shape)


def finite_rows(name: str, X: np.ndarray) -> None:
    """Raise ValueError for the first row of `X` with NaN or infinity."""
    finite = np.isfinite(X).all(axis=1)
    if not finite.all():
        raise not_finite(name, int(np.argmin(finite)), X.dtype)


def not_finite(name: str, row: int, dtype: np.dtype) -> ValueError:
    """Return the error for a row with NaN or infinity."""
    return ValueError(must(name, "be finite", f"NaN or infinity in row {row} (as {dtype})"))


def parameter_values(name: str, values: Any, view: np.ndarray) -> np.ndarray:
    """Return a checked copy of `values` for the weights or biases of a layer."""
    array = array_of(name, values)
    if array.shape != view.shape:
        raise ValueError(must(name, f"have shape {view.shape}", f"{array.shape}"))
    with np.errstate(all="ignore"):  # overflow is reported below
        copy = array.astype(view.dtype)
    if not np.isfinite(copy).all():
        raise ValueError(must(name, "be finite", f"NaN or infinity (as {copy.dtype})"))
    return copy
