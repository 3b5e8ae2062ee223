"""Which format a file has, recognized by its content, and the file opened as a table."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from fastmlp.messages import must, short
from fastmlp.tables import arrays
from fastmlp.tables.delimited import GZIP, DelimitedFile, bytes_of, complete_gzip
from fastmlp.tables.extras import required
from fastmlp.tables.svmlight import SvmlightFile

SVMLIGHT = re.compile(rb"[^\s:]+(?:[ \t]+(?:\d+|qid):\S+)+[ \t\r]*(?:#.*)?")
PIECE_VALUES = 2**21  # of a Parquet file that are read at a time


class Table(Protocol):
    """A file that is read as data frames, as often as needed.

    Attributes
    ----------
    kind : str
        The format.
    path : str
    names : list of str
        The columns.
    decimal : str
        The decimal mark of numbers that are text.
    """

    kind: str
    path: str
    names: list[str]
    decimal: str

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames, in pieces of `n_rows` or of a size that is chosen.

        Parameters
        ----------
        types : dict
            The pandas types of some columns; those of others follow from their values.
        """

    def with_leading_zeros(self, names: list[str]) -> list[str]:
        """Return those of some columns of whole numbers that have any as 007 or 01.

        All rows must have been read before.
        """


class ParquetFile:
    """A Parquet file."""

    kind, decimal = "Parquet", "."

    def __init__(self, path: str):
        self.path = path
        self._parquet = required("pyarrow.parquet", "pyarrow", "Reading Parquet")
        with self._opened() as file:
            self.names = [str(name) for name in file.schema_arrow.names]
            n_rows = file.metadata.num_rows
        if n_rows == 0 or not self.names:
            raise ValueError(must(short(path, 150), "have rows", "none"))
        for name in self.names:
            if self.names.count(name) > 1:
                requirement = "have a different name for each column"
                raise ValueError(must(short(path, 150), requirement, f"{name!r} twice"))

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames."""
        size, start = n_rows or max(1, PIECE_VALUES // len(self.names)), 0
        with self._opened() as file:
            for batch in file.iter_batches(size):
                frame = batch.to_pandas()
                frame = frame.reset_index()[self.names] if frame.index.name else frame
                frame.index = range(start, start + len(frame))
                start += len(frame)
                yield frame.astype({name: types[name] for name in self.names if name in types})

    def with_leading_zeros(self, names: list[str]) -> list[str]:
        """Return none: numbers are not written in digits."""
        return []

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with self._parquet.ParquetFile(self.path) as file:
                yield file
        except required("pyarrow", "pyarrow", "Reading Parquet").ArrowException as error:
            got = f"a damaged or different file ({short(str(error), 120)})"
            raise ValueError(must(short(self.path, 150), "be a valid Parquet file", got)) from None


def open_table(path: str, has_header: bool | None = None, part: str = "train") -> Table:
    """Open a file as a table.

    Parameters
    ----------
    path : str
        CSV, TSV or another delimited text, plain or gzipped; Parquet, .npy, .npz, IDX or svmlight.
    has_header : bool or None
        Of delimited text; None finds out.
    part : {"train", "test"}
        Which arrays of a .npz file with x_train and x_test.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is empty, damaged or of another format.
    ImportError
        If the library that reads it is missing.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        requirement = "be a file, which is read twice"
        raise ValueError(must(short(path, 150), requirement, "a pipe or device"))
    with open(path, "rb") as file:
        raw = file.read(6)
    if not raw:
        raise ValueError(must(short(path, 150), "have rows", "an empty file"))
    if raw[:4] == b"PAR1":
        return ParquetFile(path)
    if raw == b"\x93NUMPY" or path.endswith(".npy"):
        return arrays.npy(path)
    if raw[:4] in (b"PK\3\4", b"PK\5\6") or path.endswith(".npz"):
        return arrays.npz(path, part)
    with complete_gzip(short(path, 150)), bytes_of(path) as file:
        start = file.read(2**16)
        if start[:2] == b"\0\0" and start[2:3] not in (b"", b"\0"):
            return arrays.idx(path)
        lines = (line for line in start.split(b"\n") if line.strip() and line[:1] != b"#")
        if raw[:2] != GZIP and SVMLIGHT.fullmatch(next(lines, b"")):
            return SvmlightFile(path)
    return DelimitedFile(path, has_header)
