"""Where shards come from: arrays in memory, dask collections, and users' functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.dask.collections import Blocks, blocks_of, is_collection
from fastmlp.dask.shards import Arrays
from fastmlp.messages import must, shown
from fastmlp.training.reading import Reader, names_of

Source = Arrays | Blocks | Callable[[int], Any]


def source_of(
    reader: Reader, X: Any, y: Any, sample_weight: Any, n_shards: int
) -> tuple[Source, list[str] | None]:
    """Return the source of the shards, and the names of its columns, if there are any."""
    if callable(X):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(must(name, "be None if `X` is a function", shown(value)))
        return X, reader.feature_names
    if y is None:
        requirement = "be passed unless `X` is a function that returns (X, y) for a shard"
        raise TypeError(must("y", requirement, "None"))
    names = names_of(X)
    if reader.feature_names is not None:
        reader.check_names("X", names)
        names = reader.feature_names
    if any(is_collection(each) for each in (X, y, sample_weight)):
        return blocks_of(X, y, sample_weight, n_shards), names
    arrays = Arrays(X, y, sample_weight)
    n = _length("X", X)
    if n < n_shards:
        raise ValueError(must("n_shards", f"be at most {n}, the rows of X", f"{n_shards}"))
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None and _length(name, value) != n:
            raise ValueError(must(name, f"have {n} rows, as X has", f"{_length(name, value)}"))
    return arrays, names


def _length(name: str, values: Any) -> int:
    shape = getattr(values, "shape", None)  # sparse matrices have no len
    if shape:
        return int(shape[0])
    try:
        return len(values)
    except TypeError:
        raise TypeError(must(name, "be an array", shown(values))) from None
