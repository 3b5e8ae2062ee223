"""Tables in files of arrays: .npy, .npz and IDX, read row by row."""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from fastmlp.datasets.idx import header_of
from fastmlp.messages import must, short
from fastmlp.tables.columns import listed
from fastmlp.tables.delimited import bytes_of
from fastmlp.tables.extras import pandas

PIECE_VALUES = 2**21  # that are read at a time
MOST_COLUMNS = 2**20
IDX_HEADER = 4 + 4 * 255  # bytes, at most
#: Arrays of features and targets in .npz files, by the part of the data they are.
PAIRS = {
    "train": (("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels")),
    "test": (("x_test", "y_test"), ("X_test", "y_test"), ("test_images", "test_labels")),
    "whole": (("X", "y"), ("x", "y"), ("data", "target"), ("data", "labels"), ("images", "labels")),
}


class Rows(Protocol):
    """An array, (n_rows,) or (n_rows, n_columns), that is read in pieces."""

    shape: tuple[int, ...]

    def pieces(self, size: int) -> Iterator[np.ndarray]:
        """Yield all rows, `size` at a time."""


class MappedRows:
    """Rows of an array that NumPy has in memory, or maps into it.

    Parameters
    ----------
    array : array
    shape : tuple of int
        Another shape, with the same rows.
    """

    def __init__(self, array: np.ndarray, shape: tuple[int, ...] | None = None):
        self.array = array if shape is None else array.reshape(shape)
        self.shape = self.array.shape

    def pieces(self, size: int) -> Iterator[np.ndarray]:
        """Yield all rows, `size` at a time."""
        for start in range(0, self.shape[0], size):
            yield np.asarray(self.array[start : start + size])


class StoredRows:
    """Rows of an array in a file that is read from its start to its end.

    Parameters
    ----------
    opened : callable
        Returns a context with a binary file, at the first element.
    dtype : dtype
        Of the elements in the file.
    shape : tuple of int
        In C order.
    """

    def __init__(self, opened: Callable[[], Any], dtype: np.dtype[Any], shape: tuple[int, ...]):
        self.opened, self.dtype, self.shape = opened, dtype, shape

    def pieces(self, size: int) -> Iterator[np.ndarray]:
        """Yield all rows, `size` at a time; ValueError if there are more or fewer bytes."""
        n_rows, *others = self.shape
        with self.opened() as file:
            for start in range(0, n_rows, size):
                rows = np.empty((min(size, n_rows - start), *others), self.dtype)
                if _read_into(file, rows) < rows.nbytes:
                    raise ValueError(f"truncated in row {start} or later")
                yield rows.astype(self.dtype.newbyteorder("="), copy=False)
            if file.read(1):
                raise ValueError("more bytes than its header says")


def _read_into(file: Any, rows: np.ndarray) -> int:
    """Fill an array with bytes of a file; return how many there were."""
    room, n = memoryview(rows.reshape(-1).view(np.uint8).data), 0
    while n < len(room):
        more = file.readinto(room[n:])
        if not more:
            break
        n += more
    return n


class ArrayFile:
    """Columns from arrays: those of a matrix are named by their positions, counted from 0.

    Parameters
    ----------
    kind, path : str
    columns : dict of Rows or arrays, (n_rows,) or (n_rows, n_columns)
        By the name of the column, or of the first part of the names of several; "" for none.
    target_names : list of str
        The columns that the file itself says are the targets.
    """

    decimal = "."

    def __init__(
        self,
        kind: str,
        path: str,
        columns: Mapping[str, Any],
        target_names: list[str] | None = None,
    ):
        self.kind, self.path = kind, path
        self._parts: list[Rows] = [
            MappedRows(part) if isinstance(part, np.ndarray) else part for part in columns.values()
        ]
        self.target_names = target_names or []
        n_columns = sum(math.prod(part.shape[1:]) for part in self._parts)
        if n_columns > MOST_COLUMNS:
            requirement = f"have at most {MOST_COLUMNS:,} columns"
            raise ValueError(must(short(path, 150), requirement, f"{n_columns:,}"))
        self.names = [name for key, part in columns.items() for name in column_names(key, part)]
        n_rows = {part.shape[0] for part in self._parts}
        if len(n_rows) != 1:
            requirement = "have as many targets as samples"
            raise ValueError(must(short(path, 150), requirement, f"{sorted(n_rows)} of them"))
        self.n_rows = n_rows.pop()
        if self.n_rows == 0:
            raise ValueError(must(short(path, 150), "have rows", "none"))

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames; `types` has the pandas types of some columns."""
        size = n_rows or max(1, PIECE_VALUES // max(1, len(self.names)))
        together = zip(*[part.pieces(size) for part in self._parts], strict=True)
        start = 0
        while True:
            with described(self.path, self.kind):
                parts = next(together, None)
            if parts is None:
                return
            yield framed(parts, self.names, start, types)
            start += len(parts[0])

    def with_leading_zeros(self, names: list[str]) -> list[str]:
        """Return none: numbers of arrays are not written in digits."""
        return []


def framed(parts: Any, names: list[str], start: int, types: Mapping[str, Any]) -> Any:
    """Return arrays as one data frame, whose rows are counted from `start`."""
    pd = pandas()
    frame = pd.concat([pd.DataFrame(part) for part in parts], axis=1)
    frame.columns = names
    frame.index = range(start, start + len(frame))
    return frame.astype({name: type for name, type in types.items() if name in names})


def column_names(key: str, part: Any) -> list[str]:
    """Return the names of the columns of an array."""
    if len(part.shape) == 1:
        return [key or "0"]
    return [f"{key}{k}" for k in range(part.shape[1])]


@contextlib.contextmanager
def described(path: str, kind: str) -> Iterator[None]:
    """Turn the errors of libraries into one sentence each."""
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the file
        got = f"a damaged or different file ({short(str(error), 120)})"
        raise ValueError(must(short(path, 150), f"be a valid {kind} file", got)) from None


def _shape_of_rows(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the shape of an array of 1 or more dimensions as rows."""
    if len(shape) == 0 or dtype.kind not in "buifUSM":
        requirement = "hold rows of numbers, bools or text"
        raise ValueError(must(short(path, 150), requirement, f"{dtype} of shape {shape}"))
    return shape[0], math.prod(shape[1:])


def _shape_of_targets(_: str, shape: tuple[int, ...], __: np.dtype[Any]) -> tuple[int, ...]:
    n, width = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
    return (n,) if width == 1 else (n, width)


# Formats ------------------------------------------------------------------------------------------


def npy(path: str) -> ArrayFile:
    """Open a .npy file: a matrix, or a structured array with named columns."""
    with described(path, ".npy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype.names:
        return ArrayFile(".npy", path, {name: array[name] for name in array.dtype.names})
    shape = _shape_of_rows(path, array.shape, array.dtype)
    return ArrayFile(".npy", path, {"": MappedRows(array, shape)})


def npz(path: str, part: str = "train") -> ArrayFile:
    """Open a .npz file.

    It has features and targets, such as X and y, or x_train and y_train, of which "test" prefers
    x_test and y_test; or a single matrix; or one array for each column.

    Parameters
    ----------
    part : {"train", "test"}
    """
    with described(path, ".npz"), zipfile.ZipFile(path) as archive:
        files = archive.namelist()
    members = [name.removesuffix(".npy") for name in files if name.endswith(".npy")]
    if files and not members:
        raise _other_archive(path, files)
    pair = chosen_pair(members, part)
    if pair is not None:
        columns = {"": _member(path, pair[0], _shape_of_rows)}
        if pair[1] not in members:
            return ArrayFile(".npz", path, columns)
        columns["y"] = _member(path, pair[1], _shape_of_targets)
        return ArrayFile(".npz", path, columns, column_names("y", columns["y"]))
    if len(members) == 1:
        return ArrayFile(".npz", path, {"": _member(path, members[0], _shape_of_rows)})
    columns = {name: _member(path, name) for name in members}
    if columns and all(len(rows.shape) == 1 for rows in columns.values()):
        return ArrayFile(".npz", path, columns)
    requirement = (
        "have arrays X and y, or x_train and y_train, or a one-dimensional one for each column"
    )
    raise ValueError(must(short(path, 150), requirement, short(", ".join(columns)) or "no array"))


def _other_archive(path: str, files: list[str]) -> ValueError:
    requirement = "be a table in one of the formats that are read"
    if any(name.startswith("xl/") for name in files):
        return ValueError(must(short(path, 150), requirement, "an Excel file", "save it as CSV"))
    got = f"a zip archive of {listed(files, 3)}"
    return ValueError(must(short(path, 150), requirement, got, "unpack it first"))


def _member(path: str, name: str, shape_of: Callable[..., Any] | None = None) -> Any:
    """Return an array of a .npz file, with the shape that `shape_of` makes of its own.

    Only a matrix in Fortran's order is loaded: its rows are not together.
    """

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            _header(file)
            yield file

    with described(path, ".npz"), zipfile.ZipFile(path) as archive:
        with archive.open(f"{name}.npy") as file:
            shape, in_columns, dtype = _header(file)
    wanted = shape if shape_of is None else shape_of(path, shape, dtype)
    if not in_columns or len(shape) < 2:
        return StoredRows(opened, dtype, wanted)
    with described(path, ".npz"), np.load(path, allow_pickle=False) as arrays:
        return MappedRows(arrays[name], wanted)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array; return its shape, whether columns are together, its type."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} of the format")
    if version == (1, 0):
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, in_columns, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject or any(n < 0 for n in shape):
        raise ValueError(f"an array of type {dtype} and shape {shape}")
    return shape, in_columns, dtype


def chosen_pair(names: list[str], part: str) -> tuple[str, str] | None:
    """Return the names of features and targets among the arrays of a .npz file."""
    other = "test" if part == "train" else "train"
    for pair in (*PAIRS[part], *PAIRS["whole"], *PAIRS[other]):
        if pair[0] in names:
            return pair
    return None


def idx(path: str) -> ArrayFile:
    """Open an IDX file, plain or gzipped."""

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        with bytes_of(path) as file:
            file.read(start)
            yield file

    with bytes_of(path) as file:
        dtype, shape, start = header_of(short(path, 150), file.read(IDX_HEADER))
    wanted = _shape_of_rows(path, shape, dtype)
    return ArrayFile("IDX", path, {"": StoredRows(opened, dtype, wanted)})
