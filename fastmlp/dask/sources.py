"""Where shards come from: arrays in memory, dask collections, and users' functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastmlp.dask.collections import Blocks, check_known, is_collection
from fastmlp.dask.shards import Arrays, Size
from fastmlp.messages import must, shown
from fastmlp.training.reading import Reader, names_of

Source = Arrays | Blocks | Callable[[int], Any]


def source_of(
    reader: Reader, X: Any, y: Any, sample_weight: Any, n_shards: int
) -> tuple[Source, list[str] | None]:
    """Return the source of the shards, and the names of its columns, if there are any.

    What is known without reading is checked: types, widths, lengths and names.
    """
    source = checked_source(X, y, sample_weight, n_shards, reader.state.network.sizes[0])
    names = None if callable(source) else names_of(X)
    if reader.feature_names is not None:
        reader.check_names("X", names)
        names = reader.feature_names
    return source, names


def checked_source(X: Any, y: Any, sample_weight: Any, n_shards: int, n_in: int) -> Source:
    """Return the source of the shards, whose X must have n_in columns."""
    if callable(X) and not is_collection(X):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(must(name, "be None if `X` is a function", shown(value)))
        return X
    if y is None:
        requirement = "be passed unless `X` is a function that returns (X, y) for a shard"
        raise TypeError(must("y", requirement, "None"))
    for name, values in (("X", X), ("y", y), ("sample_weight", sample_weight)):
        if not (is_collection(values) or _has_rows(values) or values is None and name != "X"):
            raise TypeError(must(name, "be an array, a data frame, or one of Dask", shown(values)))
    check_known(X, y, sample_weight, n_shards, n_in)
    if any(is_collection(each) for each in (X, y, sample_weight)):
        return Blocks(X, y, sample_weight)
    # Rows of other sparse matrices than these cannot be sliced, or only slowly.
    rows = [each.tocsr() if hasattr(each, "tocsr") else each for each in (X, y, sample_weight)]
    return Arrays(*rows)


def common_names(names: list[str] | None, sizes: Sequence[Size]) -> list[str] | None:
    """Return the names of the columns of all shards, which must be the same where there are any.

    `names` are known already; without any, those of the first shard that has some count.
    """
    for shard, size in enumerate(sizes):
        try:
            Reader(None, names).check_names("X", size.names)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"shard {shard}: {error}") from None
        names = size.names if names is None else names
    return names


def _has_rows(values: Any) -> bool:
    """Whether these are rows in memory: an array, a frame or a sparse matrix, or a list."""
    return isinstance(values, (list, tuple)) or len(getattr(values, "shape", ())) > 0
