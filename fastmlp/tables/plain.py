"""The inputs of a network without a preset: numbers as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from fastmlp.messages import must, shown


class PlainEncoder:
    """Numbers as they are, booleans as 0 and 1, text as a column of 0 and 1 for each category.

    Missing values are errors, except that unknown categories are 0 in all columns.

    Parameters
    ----------
    kinds : dict of str
        The kinds of the columns, by name: "number", "boolean" or "text".
    categories : dict of lists of str
        Those of the columns of text.
    """

    def __init__(self, kinds: Mapping[str, str], categories: Mapping[str, Sequence[str]]):
        self.kinds, self.categories = dict(kinds), {k: list(v) for k, v in categories.items()}

    @classmethod
    def fitted(cls, kinds: Mapping[str, str], frame: Any, most: int) -> Self:
        """Return the encoder for the rows of a data frame, with the `most` frequent categories."""
        categories = {}
        for name, kind in kinds.items():
            if kind == "text":
                common = Counter(frame[name].dropna()).most_common(most)
                categories[name] = sorted(value for value, _ in common)
        return cls(kinds, categories)

    @property
    def n_outputs_(self) -> int:
        """The number of columns of the result."""
        return sum(len(self.categories.get(name, "1")) for name in self.kinds)

    def transform_into(self, X: Any, out: np.ndarray) -> None:
        """Write the numbers of a data frame to `out`; ValueError for missing values."""
        k = 0
        for name, kind in self.kinds.items():
            values = X[name]
            _check_complete(name, values)
            if kind == "text":
                known = {category: i for i, category in enumerate(self.categories[name])}
                codes = values.map(known).fillna(-1).to_numpy(np.int64)
                end = k + len(known)
                out[:, k:end] = codes[:, np.newaxis] == np.arange(len(known))
                k = end
            else:
                out[:, k] = values.to_numpy(np.float32)
                k += 1
        wrong = ~np.isfinite(out)
        if wrong.any():
            row = int(wrong.any(axis=1).argmax())
            requirement = "have numbers that are finite in float32"
            raise ValueError(must("data", requirement, f"another in data row {X.index[row] + 1}"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {"kinds": self.kinds, "categories": self.categories}


def _check_complete(name: str, values: Any) -> None:
    missing = values.isna()
    if missing.any():
        requirement = "have no missing values unless the tabular preset is used"
        got = f"one in the column {shown(name)}, data row {missing.idxmax() + 1}"
        raise ValueError(must("data", requirement, got))
