"""Tables in files of arrays: .npy, .npz, IDX and svmlight."""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastmlp.datasets import read_idx
from fastmlp.messages import must, short
from fastmlp.tables.extras import pandas, required

PIECE_VALUES = 2**21  # that are read at a time
MAX_SPARSE_COLUMNS = 20_000  # of svmlight, whose rows become dense
#: Arrays of features and targets in .npz files, by the part of the data they are.
PAIRS = {
    "train": (("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels")),
    "test": (("x_test", "y_test"), ("X_test", "y_test"), ("test_images", "test_labels")),
    "whole": (("X", "y"), ("x", "y"), ("data", "target"), ("data", "labels"), ("images", "labels")),
}


class ArrayFile:
    """Columns from arrays: those of a matrix are named by their positions, counted from 0.

    Parameters
    ----------
    path : str
    columns : dict of arrays, (n_samples,) or (n_samples, n_columns)
        By the name of the column, or of the first part of the names of several; "" for none.
    target_names : list of str
        The columns that the file itself says are the targets.
    """

    def __init__(
        self,
        kind: str,
        path: str,
        columns: Mapping[str, Any],
        target_names: list[str] | None = None,
    ):
        self.kind, self.path = kind, path
        self._arrays = dict(columns)
        self.names = [name for key, array in columns.items() for name in _names(key, array)]
        self.target_names = target_names or []
        n_rows = {array.shape[0] for array in columns.values()}
        if len(n_rows) != 1:
            requirement = "have as many targets as samples"
            raise ValueError(must(short(path, 150), requirement, f"{sorted(n_rows)} of them"))
        self.n_rows = n_rows.pop()
        if self.n_rows == 0:
            raise ValueError(must(short(path, 150), "have rows", "none"))

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames; `types` has the pandas types of some columns."""
        pd = pandas()
        size = n_rows or max(1, PIECE_VALUES // max(1, len(self.names)))
        for start in range(0, self.n_rows, size):
            rows = slice(start, start + size)
            parts = [_dense(array[rows]) for array in self._arrays.values()]
            frame = pd.concat([pd.DataFrame(part) for part in parts], axis=1)
            frame.columns = self.names
            frame.index = range(start, start + len(frame))
            yield frame.astype({name: type for name, type in types.items() if name in self.names})


def _names(key: str, array: Any) -> list[str]:
    if len(array.shape) == 1:
        return [key or "0"]
    return [f"{key}{k}" for k in range(array.shape[1])]


def _dense(rows: Any) -> Any:
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


# .npy and .npz ------------------------------------------------------------------------------------


def npy(path: str) -> ArrayFile:
    """Open a .npy file: a matrix, or a structured array with named columns."""
    with _described(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype.names:
        return ArrayFile("npy", path, {name: array[name] for name in array.dtype.names})
    return ArrayFile("npy", path, {"": _matrix(path, array)})


def npz(path: str, part: str = "train") -> ArrayFile:
    """Open a .npz file.

    It has features and targets, such as X and y, or x_train and y_train, of which "test" prefers
    x_test and y_test; or a single matrix; or one array for each column.

    Parameters
    ----------
    part : {"train", "test"}
    """
    with (
        _described(path),
        open(path, "rb") as file,  # numpy leaves it open if it is damaged
        np.load(file, allow_pickle=False) as arrays,
    ):
        found = chosen_pair(arrays.files, part)
        if found is not None:
            X = _matrix(path, arrays[found[0]])
            y = arrays[found[1]] if found[1] in arrays.files else None
        else:
            columns = {name: arrays[name] for name in arrays.files}
    if found is not None:
        if y is None:
            return ArrayFile("npz", path, {"": X})
        y = y.reshape(len(y), -1) if y.ndim > 1 and y.size != len(y) else y.reshape(-1)
        return ArrayFile("npz", path, {"": X, "y": y}, _names("y", y))
    if len(columns) == 1:
        return ArrayFile("npz", path, {"": _matrix(path, *columns.values())})
    if columns and all(array.ndim == 1 for array in columns.values()):
        return ArrayFile("npz", path, columns)
    requirement = (
        "have arrays X and y, or x_train and y_train, or a one-dimensional one for each column"
    )
    raise ValueError(must(short(path, 150), requirement, short(", ".join(columns)) or "no array"))


def chosen_pair(names: list[str], part: str) -> tuple[str, str] | None:
    """Return the names of features and targets among the arrays of a .npz file."""
    other = "test" if part == "train" else "train"
    for pair in (*PAIRS[part], *PAIRS["whole"], *PAIRS[other]):
        if pair[0] in names:
            return pair
    return None


@contextlib.contextmanager
def _described(path: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        kind = ".npz" if isinstance(error, zipfile.BadZipFile) else ".npy or .npz"
        got = f"a damaged or different file ({short(str(error), 120)})"
        raise ValueError(must(short(path, 150), f"be a valid {kind} file", got)) from None


def _matrix(path: str, array: np.ndarray) -> np.ndarray:
    """Return an array of 1 or more dimensions as rows."""
    if array.ndim == 0 or array.dtype.kind not in "buifUSM":
        requirement = "hold rows of numbers, bools or text"
        got = f"{array.dtype} of shape {array.shape}"
        raise ValueError(must(short(path, 150), requirement, got))
    return array.reshape(len(array), math.prod(array.shape[1:]))


# Other formats ------------------------------------------------------------------------------------


def idx(path: str) -> ArrayFile:
    """Open an IDX file."""
    return ArrayFile("IDX", path, {"": _matrix(path, read_idx(path))})


def svmlight(path: str) -> ArrayFile:
    """Open a file in the format of svmlight and libsvm; its first field is the target."""
    datasets = required("sklearn.datasets", "scikit-learn", "Reading svmlight files")
    with open(path, "rb") as file:
        start = file.read(2**16).decode("utf-8", "replace")
    many = any("," in line.partition(" ")[0] for line in start.splitlines() if line[:1] != "#")
    try:
        X, y = datasets.load_svmlight_file(path, multilabel=many)
    except (ValueError, EOFError, OverflowError) as error:
        got = f"another ({short(str(error), 120)})"
        raise ValueError(must(short(path, 150), "be a valid svmlight file", got)) from None
    if X.shape[1] > MAX_SPARSE_COLUMNS:
        requirement = f"have at most {MAX_SPARSE_COLUMNS:,} columns for the command line"
        advice = "fastmlp.sklearn takes what sklearn.datasets.load_svmlight_file returns"
        raise ValueError(must(short(path, 150), requirement, f"{X.shape[1]:,}", advice))
    if many:
        labels = sorted({label for row in y for label in row})
        each = {f"y{label:g}": np.array([float(label in row) for row in y]) for label in labels}
        return ArrayFile("svmlight", path, {"": X, **each}, [*each])
    return ArrayFile("svmlight", path, {"": X, "y": y}, ["y"])
