"""Data sources: arrays, and iterables of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastmlp.core.inputs.gather import SparseRows
from fastmlp.messages import must
from fastmlp.training.samples import Data, copied, joined, part

BLOCK_BYTES = 2**26  # of rows that are shuffled together if X is larger
PIECES = 64  # of a block, each contiguous in X

#: One epoch: blocks of samples, each with the order in which its rows are trained on.
Epoch = Iterator[tuple[Data, np.ndarray]]


def block_rows(batch_size: int, n_bytes: int) -> int:
    """Return the number of rows of a block, for rows of `n_bytes`: whole minibatches."""
    return max(1, BLOCK_BYTES // (n_bytes * batch_size)) * batch_size


def epoch_of_arrays(
    data: Data,
    rows: np.ndarray | None,
    shuffle: bool | str,
    source: Any,
    batch_size: int,
    copies: bool = False,
) -> Epoch:
    """Return the samples, or only those of `rows`, shuffled unless `shuffle` is false.

    With "blocks", contiguous pieces of rows are drawn, `PIECES` to a block, and the rows of a block
    are shuffled, so that a file larger than the memory is read in long stretches. If one block
    holds all rows, this is the order of True. With `copies`, blocks are copied to memory: where
    there is little of it, rows that are read one by one are gone before the block ends.
    """
    n = len(data.X) if rows is None else len(rows)
    if shuffle == "blocks" and n * row_bytes(data.X) > BLOCK_BYTES:
        orders: Iterable[np.ndarray] = _orders_by_blocks(
            n, block_rows(batch_size, row_bytes(data.X)), source
        )
    else:
        orders = [source.permutation(n) if shuffle else np.arange(n)]
        copies = False
    chosen = (order if rows is None else rows[order] for order in orders)
    return (copied_rows(data, each) if copies else (data, each) for each in chosen)


def copied_rows(data: Data, order: np.ndarray) -> tuple[Data, np.ndarray]:
    """Return a copy of some samples, read from first to last, and their order in it."""
    rows = np.sort(order)
    return part(data, rows), np.searchsorted(rows, order)


def row_bytes(X: np.ndarray | SparseRows) -> int:
    """Return the bytes of a row of X, at least 1."""
    n_bytes = X.numbers.nbytes + X.inputs.nbytes if isinstance(X, SparseRows) else X.nbytes
    return max(1, n_bytes // len(X))


def _orders_by_blocks(n: int, size: int, source: Any) -> Iterator[np.ndarray]:
    """Yield every row of n once, in blocks of `size` rows."""
    length = max(1, size // PIECES)
    waiting: list[np.ndarray] = []
    n_waiting = 0
    for piece in source.permutation(-(-n // length)):
        rows = np.arange(piece * length, min((piece + 1) * length, n))
        waiting.append(rows)
        n_waiting += len(rows)
        if n_waiting >= size:
            together = np.concatenate(waiting)
            yield source.permutation(together[:size])
            waiting, n_waiting = [together[size:]], n_waiting - size
    if n_waiting > 0:
        yield source.permutation(np.concatenate(waiting))


def epoch_of_batches(
    batches: Iterable[Any], checked: Callable[[Any], Data], size: int, shuffle: bool, source: Any
) -> Epoch:
    """Yield the samples of all batches, joined into blocks of `size` rows.

    Parameters
    ----------
    batches : iterable
        Each as `checked` takes it.
    checked : callable
        From a batch to `Data`, after checking it.
    size : int
        Rows of a block; the last one has the remaining rows.
    shuffle : bool
        Whether the rows of a block are shuffled.
    source : module, RandomState or Generator

    Raises
    ------
    ValueError
        If there are no batches.
    """
    waiting: list[Data] = []
    n_waiting = 0
    for batch in batches:
        data = checked(batch)
        waiting.append(data)
        n_waiting += len(data.X)
        if n_waiting >= size:
            together, left = joined(waiting), n_waiting % size
            for start in range(0, n_waiting - left, size):
                yield _in_order(part(together, slice(start, start + size)), shuffle, source)
            waiting, n_waiting = [part(together, slice(n_waiting - left, None))], left
        waiting[-1] = copied(waiting[-1])  # the next batch may reuse its memory
    if n_waiting > 0:
        yield _in_order(joined(waiting), shuffle, source)
    elif not waiting:
        raise ValueError(must("X", "have at least one batch in every epoch", "none"))


def _in_order(data: Data, shuffle: bool, source: Any) -> tuple[Data, np.ndarray]:
    n = len(data.X)
    return data, source.permutation(n) if shuffle else np.arange(n)
