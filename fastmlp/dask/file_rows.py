"""Rows of a file that a user has mapped to memory, of which few are in memory at a time."""

from __future__ import annotations

import mmap
import os
from typing import Any, Self

import numpy as np

from fastmlp.training.sources import Epoch, block_rows, copied_rows, row_bytes

SHARED = ("r", "r+", "w+")  # modes in which the file has what the map has
PIECE_BYTES = 2**21  # that are mapped at a time
COMPARED = 16  # rows


class FileRows:
    """Rows of a file, X of a shard, which are read when they are indexed.

    Each piece is read from a map of its own, which is then closed. Pages of a map that stays open
    count as memory of the process, although the system could take them at any time: Dask would
    pause the worker, and end it. This object is small wherever it is sent, or spilled.

    Parameters
    ----------
    path : str
    position : int
        Where the first element begins in the file.
    like : array (n_samples, n_in)
        Its shape, strides and type are those of the file.
    dtype : numpy.dtype
        What the elements are converted to.
    """

    def __init__(self, path: str, position: int, like: np.ndarray, dtype: np.dtype):
        self.dtype, self._path, self._position = dtype, path, position
        self._shape, self._strides, self._stored = like.shape, like.strides, like.dtype
        self._stamp = _stamp_of(path)

    @classmethod
    def of(cls, X: np.memmap, dtype: np.dtype) -> Self | None:
        """Return the rows of a memory map or of a view of one, or None if no file has them.

        That of a map may have been removed or replaced, and changes of a private map are not in it.
        """
        root: Any = X
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(getattr(root, "base", None), mmap.mmap) or root.mode not in SHARED:
            return None
        if root.filename is None:
            return None
        if root.mode != "r":
            root.flush()  # for other machines, which may be sent this object
        position = root.offset + _address(X) - _address(root)
        some = slice(None, None, -(-len(X) // COMPARED))
        try:
            found = cls(os.fspath(root.filename), position, X, dtype)
            is_same = found._mapped()[some].tobytes() == X[some].tobytes()
        except (OSError, ValueError):  # removed, or shorter
            return None
        return found if is_same else None

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def nbytes(self) -> int:
        """The bytes of all rows, converted."""
        return len(self) * self._shape[1] * self.dtype.itemsize

    def is_there(self) -> bool:
        """Whether this process finds the file, as it was."""
        try:
            return _stamp_of(self._path) == self._stamp
        except OSError:
            return False

    def move(self, other: FileRows) -> None:
        """Read the same rows where another object finds them."""
        self.__dict__.update(other.__dict__)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return a copy of some rows: of a slice, or of an array of row numbers."""
        rows = np.arange(len(self))[rows]
        found = np.empty((len(rows), self._shape[1]), self.dtype)
        row_bytes = self._shape[1] * self._stored.itemsize
        together = max(1, PIECE_BYTES // max(row_bytes, abs(self._strides[0])))
        with np.errstate(all="ignore"):  # overflow is reported as infinity when rows are checked
            for i in range(0, len(rows), together):
                found[i : i + together] = self._mapped()[rows[i : i + together]]
        return found

    def _mapped(self) -> np.ndarray:
        """Return an array of all rows in a new map, which is closed with it."""
        spans = [(n - 1) * stride for n, stride in zip(self._shape, self._strides, strict=True)]
        before = -sum(min(0, span) for span in spans)
        length = before + sum(max(0, span) for span in spans) + self._stored.itemsize
        whole: Any = np.memmap(self._path, np.uint8, "r", self._position - before, (length,))
        return np.ndarray(self._shape, self._stored, whole, before, self._strides)


def in_memory(epoch: Epoch, batch_size: int) -> Epoch:
    """Return the same samples; those of `FileRows` in blocks, which are copied to memory."""
    for data, order in epoch:
        is_in_file = isinstance(data.X, FileRows)
        together = block_rows(batch_size, row_bytes(data.X)) if is_in_file else len(order)
        for start in range(0, len(order), together):
            some = order[start : start + together]
            yield copied_rows(data, some) if is_in_file else (data, some)


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _stamp_of(path: str) -> tuple[int, ...]:
    """Return what is different for another file, or after a change."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
