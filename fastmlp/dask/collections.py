"""Shards of dask arrays and data frames, and of arrays that are passed with them."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp.dask.shards import Format, read, rows_of_shard
from fastmlp.messages import must, shown
from fastmlp.tables.extras import pandas
from fastmlp.training.samples import Data

NAMES = ("X", "y", "sample_weight")
GROUP_BYTES = 2**25  # of small chunks that one task takes together


def is_collection(values: Any) -> bool:
    """Whether this is a collection of Dask, which is not imported to find out."""
    dask = sys.modules.get("dask")
    return dask is not None and bool(dask.is_dask_collection(values))


class Blocks(NamedTuple):
    """Dask arrays and data frames as a source of shards, and arrays in memory among them."""

    X: Any
    y: Any
    sample_weight: Any = None

    def of_shards(self, form: Format, key: Callable[..., str]) -> list[Any]:
        """Return the samples of every shard, as `shards.read` returns them, delayed.

        To be computed in one call, in which all shards share the chunks: each is computed once,
        as long as no task is fused with another one.

        Parameters
        ----------
        form : Format
        key : callable
            From what a task does, and numbers, to its key.
        """
        import dask

        n_shards = form.n_shards
        sources = [
            None if each is None else _source(each, name, key)
            for name, each in zip(NAMES, self, strict=True)
        ]
        lengths = [None if source is None else source.length for source in sources]
        dtypes = [None if form.settings is None else form.settings.dtype, None, None]
        found = []
        for shard in range(n_shards):
            parts = [
                None if source is None else source.of_shard(shard, n_shards, dtype)
                for source, dtype in zip(sources, dtypes, strict=True)
            ]
            name = key("load", shard)
            found.append(
                dask.delayed(_read, pure=False)(form, shard, parts, lengths, dask_key_name=name)
            )
        return found

    def computed(self, form: Format) -> list[Data]:
        """Return the samples of every shard, read by the threads of this process."""
        token = uuid.uuid4().hex[:8]

        def key(*parts: Any) -> str:
            return "-".join(["fastmlp", token, *map(str, parts)])

        return list(computed(self.of_shards(form, key), client=False))


class InMemory(NamedTuple):
    """An array in this process, of which each shard takes its rows along."""

    values: Any
    length: int

    def of_shard(self, shard: int, n_shards: int, dtype: np.dtype | None) -> list[Any]:
        """Return the rows of a shard as the only part."""
        import dask

        rows = rows_of_shard(self.values, shard, n_shards)
        return [dask.delayed(rows, traverse=False, pure=False)]


class Chunks(NamedTuple):
    """The rows of a collection, in groups of chunks of which a task takes the rows of a shard."""

    groups: list[list[list[Any]]]  # of each group, for each chunk its blocks of columns, delayed
    starts: list[Any]  # the number of the first row of each group: an int, or delayed
    length: Any
    name: str
    key: Callable[..., str]

    def of_shard(self, shard: int, n_shards: int, dtype: np.dtype | None) -> list[Any]:
        """Return the rows of a shard in every group, delayed; see `_rows`."""
        import dask

        rows = dask.delayed(_rows, pure=False)
        return [
            rows(
                group, start, shard, n_shards, dtype,
                dask_key_name=self.key(f"rows_{self.name}", k, shard),
            )
            for k, (group, start) in enumerate(zip(self.groups, self.starts, strict=True))
        ]  # fmt: skip


def check_known(X: Any, y: Any, sample_weight: Any, n_shards: int, n_in: int) -> None:
    """Raise an error for what is known to be wrong without computing anything."""
    samples = (X, y, sample_weight)
    for name, values in zip(NAMES, samples, strict=True):
        if is_collection(values):
            check_kind(name, values)
    check_width(X, n_in)
    check_lengths([None if each is None else known_length(each) for each in samples], n_shards)


def check_kind(name: str, values: Any) -> None:
    """Raise TypeError for a collection that is neither a dask array nor a data frame or series."""
    import dask.array as da

    if not (is_frame(values) or isinstance(values, da.Array)):
        raise TypeError(must(name, "be an array, a data frame, or one of Dask", shown(values)))


def check_width(X: Any, n_in: int) -> None:
    """Raise ValueError if X is known not to have two dimensions or n_in columns."""
    shape = getattr(X, "shape", None)
    if shape is not None and (len(shape) != 2 or shape[1] != n_in):
        lengths = [str(n) if isinstance(n, (int, np.integer)) else "n_samples" for n in shape]
        got = f"({', '.join(lengths)}{',' * (len(shape) == 1)})"
        raise ValueError(must("X", f"have shape (n_samples, {n_in})", got))


def check_lengths(lengths: Sequence[int | None], n_shards: int) -> None:
    """Raise ValueError for too few rows of X, or another number of them than X has.

    Lengths are those of X, y and the weights; None for what is unknown or not there.
    """
    n = lengths[0]
    if n is None:
        return
    if n == 0:
        raise ValueError(must("X", "have at least one sample", "0 rows"))
    if n < n_shards:
        rows = f"{n} sample{'s' * (n > 1)}"
        raise ValueError(must("n_shards", f"be at most {n}, as X has {rows}", f"{n_shards}"))
    for name, length in zip(NAMES[1:], lengths[1:], strict=True):
        if length is not None and length != n:
            raise ValueError(must(name, f"have {n} rows, as X has", f"{length}"))


def known_length(values: Any) -> int | None:
    """Return the number of rows, or None if that of a collection is unknown."""
    if is_collection(values):
        length = np.nan if is_frame(values) or values.ndim == 0 else values.shape[0]
        return None if np.isnan(length) else int(length)
    shape = getattr(values, "shape", None)  # sparse matrices have no len
    return int(shape[0]) if shape else len(values)


def in_memory(values: Any, client: Any) -> Any:
    """Return a tuple with its collections computed; other values are returned unchanged."""
    if not isinstance(values, (tuple, list)) or not any(map(is_collection, values)):
        return values
    return computed(values, client)


def computed(values: Sequence[Any], client: Any) -> tuple[Any, ...]:
    """Return values of which the collections, and what is delayed, are computed together.

    `client` is a Client, None for the current one, or False for the threads of this process.
    """
    import dask
    from dask.threaded import get

    # The function, as for its name there is a warning if there is a client.
    found: tuple[Any, ...] = dask.compute(*values, scheduler=get if client is False else client)
    return found


def is_frame(values: Any) -> bool:
    """Whether a collection is a data frame or a series."""
    from dask.utils import is_dataframe_like, is_index_like, is_series_like

    return any(is_like(values) for is_like in (is_dataframe_like, is_series_like, is_index_like))


def blocks_of(values: Any) -> list[list[Any]]:
    """Return the delayed blocks of each chunk of rows.

    They are not fused with what they are computed from, which would be computed for X and for y.
    """
    if is_frame(values):
        values = values.optimize(fuse=False)
    return [
        np.ravel(np.array(each, object)).tolist()
        for each in values.to_delayed(optimize_graph=False)
    ]


def _source(values: Any, name: str, key: Callable[..., str]) -> InMemory | Chunks:
    """Return a source as what shards take rows from."""
    if not is_collection(values):
        length = known_length(values)
        assert length is not None
        return InMemory(values, length)
    blocks = blocks_of(values)
    if known_length(values) is None:
        return _of_unknown_lengths(blocks, name, key)
    lengths = list(map(int, values.chunks[0]))
    row_bytes = values.dtype.itemsize * int(np.prod(values.shape[1:]))
    starts, groups = [0], [blocks[:1]]
    n_grouped, start = lengths[0], lengths[0]
    for block, length in zip(blocks[1:], lengths[1:], strict=True):
        if (n_grouped + length) * row_bytes <= GROUP_BYTES:
            groups[-1].append(block)
            n_grouped += length
        else:
            groups.append([block])
            starts.append(start)
            n_grouped = length
        start += length
    return Chunks(groups, starts, start, name, key)


def _of_unknown_lengths(blocks: list[list[Any]], name: str, key: Callable[..., str]) -> Chunks:
    """Return chunks whose first rows are counted by tasks."""
    import dask

    start, starts = 0, []
    add = dask.delayed(plus_rows, pure=False)
    for k, columns in enumerate(blocks):
        starts.append(start)
        start = add(start, columns[0], dask_key_name=key(f"count_{name}", k))
    return Chunks([[columns] for columns in blocks], starts, start, name, key)


# Tasks -------------------------------------------------------------------------------------------


def _length(block: Any) -> int:
    shape = getattr(block, "shape", None)
    return int(shape[0]) if shape else len(block)


def plus_rows(before: int, block: Any) -> int:
    """Return the number of rows up to the end of a block."""
    return before + _length(block)


def _rows(
    group: list[list[Any]], start: int, shard: int, n_shards: int, dtype: np.dtype | None = None
) -> Any:
    """Return the rows of a shard in a group of chunks that begins at row `start`.

    They are a copy: a view would keep the memory of whole chunks. Wider floats than `dtype` are
    converted, before they are moved and joined.
    """
    found = []
    for blocks in group:
        first = (shard - start) % n_shards
        found.append(_joined([rows_of_shard(block, first, n_shards) for block in blocks], axis=1))
        start += _length(blocks[0])
    rows = _joined(found)
    if dtype is not None and type(rows) is np.ndarray and rows.dtype.kind == "f":
        if rows.itemsize > dtype.itemsize:
            with np.errstate(all="ignore"):  # overflow is reported as infinity later
                return rows.astype(dtype)
    is_view = n_shards > 1 and any(rows is each for each in found)
    return rows.copy() if is_view else rows


def _read(form: Format, shard: int, parts: list[Any], lengths: list[int | None]) -> Data:
    """Return the samples of a shard, from its rows in every chunk of X, y and the weights."""
    check_lengths(lengths, form.n_shards)
    X, y, weights = (None if rows is None else _joined(rows) for rows in parts)
    return read(form, shard, (X, y, weights))


def _joined(parts: list[Any], axis: int = 0) -> Any:
    """Concatenate rows, or columns; parts without rows do not count, nor does their type."""
    if axis == 0:
        parts = [part for part in parts if _length(part) > 0] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    if hasattr(parts[0], "iloc"):
        return pandas().concat(parts, ignore_index=True)
    if any(hasattr(part, "tocsr") for part in parts):
        import scipy.sparse

        return (scipy.sparse.vstack, scipy.sparse.hstack)[axis](parts, format="csr")
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return np.ma.concatenate(parts, axis)  # type: ignore[no-untyped-call]
    return np.concatenate(parts, axis)
