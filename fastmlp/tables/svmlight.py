"""Files in the format of svmlight and libsvm."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastmlp.messages import must, short
from fastmlp.tables.arrays import PIECE_VALUES, framed
from fastmlp.tables.extras import required

PIECE_BYTES = 2**23  # of text that are read at a time
MOST_COLUMNS = 20_000  # of rows that become dense
UNKNOWN_COLUMNS = 2**31 - 1


class SvmlightFile:
    """A file in the format of svmlight and libsvm, whose first field is the target.

    It is read once to find the number of its columns, their first index, and the labels.

    Raises
    ------
    ValueError
        If it is not valid, or has too many columns to be dense.
    """

    kind, decimal = "svmlight", "."

    def __init__(self, path: str):
        self.path = path
        self._load = required(
            "sklearn.datasets", "scikit-learn", "Reading svmlight files"
        ).load_svmlight_file
        self._has_labels = self._finds_labels()
        least, most, labels = UNKNOWN_COLUMNS, 0, set[float]()
        for X, y in self._parsed(UNKNOWN_COLUMNS, True):
            if len(X.indices) > 0:
                least, most = min(least, X.indices.min()), max(most, X.indices.max())
            if self._has_labels:
                labels.update(label for row in y for label in row)
        self._starts_at_0 = bool(least == 0)
        self._n_columns = int(most) + self._starts_at_0
        if self._n_columns > MOST_COLUMNS:
            requirement = f"have at most {MOST_COLUMNS:,} columns for the command line"
            advice = "fastmlp.sklearn takes what sklearn.datasets.load_svmlight_file returns"
            got = f"{self._n_columns:,}"
            raise ValueError(must(short(path, 150), requirement, got, advice))
        if self._n_columns == 0:
            raise ValueError(must(short(path, 150), "have columns", "only targets"))
        self._labels = sorted(labels)
        self.target_names = [f"y{label:g}" for label in self._labels] or ["y"]
        self.names = [*map(str, range(self._n_columns)), *self.target_names]

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames; `types` has the pandas types of some columns."""
        size = n_rows or max(1, PIECE_VALUES // len(self.names))
        first = 0
        for X, y in self._parsed(self._n_columns, self._starts_at_0):
            for start in range(0, X.shape[0], size):
                rows = slice(start, start + size)
                parts = X[rows].toarray(), self._targets(y[rows])
                yield framed(parts, self.names, first + start, types)
            first += X.shape[0]

    def with_leading_zeros(self, names: list[str]) -> list[str]:
        """Return none: all values are numbers."""
        return []

    def _targets(self, y: Any) -> np.ndarray:
        if not self._has_labels:
            return np.asarray(y)
        rows = [[label in row for label in self._labels] for row in map(set, y)]
        return np.array(rows, np.float64)

    def _finds_labels(self) -> bool:
        """Whether a target of the first rows is a list of labels."""
        with open(self.path, "rb") as file:
            lines = file.readlines(2**16)
        return any(b"," in line.partition(b" ")[0] for line in lines if line[:1] != b"#")

    def _parsed(self, n_columns: int, starts_at_0: bool) -> Iterator[tuple[Any, Any]]:
        """Yield all rows as sparse matrices with their targets."""
        with open(self.path, "rb") as file:
            while lines := file.readlines(PIECE_BYTES):
                try:
                    yield self._load(
                        io.BytesIO(b"".join(lines)), n_features=n_columns,
                        multilabel=self._has_labels, zero_based=starts_at_0,
                    )  # fmt: skip
                except (ValueError, EOFError, OverflowError) as error:
                    got = f"another ({short(str(error), 120)})"
                    requirement = "be a valid svmlight file"
                    raise ValueError(must(short(self.path, 150), requirement, got)) from None
