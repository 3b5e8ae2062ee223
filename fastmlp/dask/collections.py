"""Shards of dask arrays and data frames, and of arrays that are passed with them."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from fastmlp.messages import must


def is_collection(values: Any) -> bool:
    """Whether this is a collection of Dask, which is not imported to find out."""
    dask = sys.modules.get("dask")
    return dask is not None and bool(dask.is_dask_collection(values))


class Blocks(NamedTuple):
    """Dask arrays, as a source of shards."""

    X: Any
    y: Any
    sample_weight: Any = None

    def of_shard(self, shard: int, n_shards: int) -> Any:
        """Return the rows of a shard, delayed."""
        import dask

        parts = [
            None if each is None else each[shard::n_shards].to_delayed().reshape(-1).tolist()
            for each in self
        ]
        return dask.delayed(_joined)(*parts, pure=False)


def blocks_of(X: Any, y: Any, sample_weight: Any, n_shards: int) -> Blocks:
    """Return the collections as arrays of equal length, whose rows have all columns."""
    found = Blocks(_array(X), _array(y), None if sample_weight is None else _array(sample_weight))
    n = found.X.shape[0]
    if n < n_shards:
        raise ValueError(must("n_shards", f"be at most {n}, the rows of X", f"{n_shards}"))
    for name, value in zip(("y", "sample_weight"), found[1:], strict=True):
        if value is not None and value.shape[0] != n:
            raise ValueError(must(name, f"have {n} rows, as X has", f"{value.shape[0]}"))
    return found


def _array(values: Any) -> Any:
    """Return a dask array of known chunks, which divide rows only."""
    import dask.array as da

    if hasattr(values, "to_dask_array"):
        values = values.to_dask_array(lengths=True)
    elif not is_collection(values):
        values = da.from_array(np.asarray(values))
    if np.isnan(values.shape[0]):
        values = values.compute_chunk_sizes()
    return values if values.ndim == 1 else values.rechunk({1: -1})


def _joined(*parts: Any) -> tuple[Any, ...]:
    """Return the blocks of each array, joined."""
    return tuple(None if blocks is None else _concatenated(blocks) for blocks in parts)


def _concatenated(blocks: list[Any]) -> Any:
    if len(blocks) == 1:
        return blocks[0]
    if any(hasattr(block, "tocsr") for block in blocks):
        import scipy.sparse

        return scipy.sparse.vstack(blocks)
    return np.concatenate(blocks)
