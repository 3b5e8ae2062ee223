"""Where an epoch's samples come from: arrays, or batches that are read one by one (floor 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.gather import SparseRows
from fastmlp.core.losses import Targets
from fastmlp.core.storage import Network
from fastmlp.validation.targets import of_one_form

BLOCK_BYTES = 2**26  # of rows that are shuffled together, where not all of X is
PIECES = 64  # of a block: each lies together in X
LOOKED_AT_TOGETHER = 2**20  # numbers of X: what is computed of them stays small


class Data(NamedTuple):
    """Samples that were checked and converted for the kernels."""

    X: np.ndarray | SparseRows  # (n_samples, n_in), as `checks.feature_rows` returns it
    targets: Targets

    def weight_of(self, rows: np.ndarray, before: float) -> float:
        """Return `before` plus these samples' weights, each 1 where none are given, one by one.

        So the sum does not depend on where an epoch is cut.
        """
        weights = self.targets.weights
        if len(weights) == 0:
            return before + len(rows)
        with np.errstate(over="ignore"):
            return float(np.add.accumulate(np.append(before, weights[rows]))[-1])


#: One epoch: samples, and the order in which their rows are trained on, one or several times.
Epoch = Iterator[tuple[Data, np.ndarray]]


def block_rows(batch_size: int, n_bytes: int) -> int:
    """Return how many rows of so many bytes make a block: whole minibatches."""
    return max(1, BLOCK_BYTES // (n_bytes * batch_size)) * batch_size


def epoch_of_arrays(
    data: Data, rows: np.ndarray | None, shuffle: bool | str, source: Any, batch_size: int
) -> Epoch:
    """Yield the samples in a new order, or in their own where `shuffle` is false.

    Only those of `rows`, unless it is None.

    Where it is "blocks", pieces of rows that lie together are drawn, `PIECES` to a block, and
    the rows of a block shuffled: a file that is larger than the memory is read in long stretches.
    Where one block holds all rows, that is the order of True.
    """
    n = len(data.X) if rows is None else len(rows)
    if shuffle == "blocks" and n * row_bytes(data.X) > BLOCK_BYTES:
        orders = _orders_by_blocks(n, block_rows(batch_size, row_bytes(data.X)), source)
    else:
        orders = iter([source.permutation(n) if shuffle else np.arange(n)])
    for order in orders:
        yield data, order if rows is None else rows[order]


def row_bytes(X: np.ndarray | SparseRows) -> int:
    """Return what a row of X takes in memory, at least 1."""
    n_bytes = X.nbytes if isinstance(X, np.ndarray) else X.numbers.nbytes + X.inputs.nbytes
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
    """Yield the samples of all batches, joined to blocks of `size` rows.

    Parameters
    ----------
    batches : iterable
        Each as `checked` takes it.
    checked : callable
        From a batch to `Data`; it raises for what cannot be trained on.
    size : int
        Rows of a block; the last one has those that are left.
    shuffle : bool
        Whether the rows of a block are shuffled.
    source : module, RandomState or Generator

    Raises
    ------
    ValueError
        Where there are no batches.
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
        waiting[-1] = _own(waiting[-1])
    if n_waiting > 0:
        yield _in_order(joined(waiting), shuffle, source)
    elif not waiting:
        raise ValueError("X has no batches in this epoch; accepted are one or more, every epoch")


def _own(data: Data) -> Data:
    """Return a copy: whoever yields batches may write the next one where this one lies."""
    X = data.X
    if isinstance(X, SparseRows):
        X = SparseRows(X.numbers.copy(), X.inputs.copy(), X.starts.copy())
    else:
        X = X.copy()
    return Data(X, Targets(*(array.copy() for array in data.targets)))


def _in_order(data: Data, shuffle: bool, source: Any) -> tuple[Data, np.ndarray]:
    n = len(data.X)
    return data, source.permutation(n) if shuffle else np.arange(n)


# Parts and wholes -------------------------------------------------------------------------------


def joined(parts: list[Data]) -> Data:
    """Return the samples of all parts, one after the other; of a single one itself."""
    if len(parts) == 1:
        return parts[0]
    Xs: list[Any] = [data.X for data in parts]
    if all(isinstance(X, SparseRows) for X in Xs):
        X: Any = _joined_rows(Xs)
    elif any(isinstance(X, SparseRows) for X in Xs):
        raise TypeError("X has dense and sparse batches; accepted are all of one kind")
    else:
        X = np.concatenate(Xs)
    found = of_one_form([data.targets for data in parts], [len(data.X) for data in parts])
    return Data(
        X,
        Targets(
            np.concatenate([targets.labels for targets in found]),
            np.concatenate([targets.values for targets in found]),
            _joined_weights(parts),
        ),
    )


def _joined_weights(parts: list[Data]) -> np.ndarray:
    """Return everyone's weights, 1 for the samples of parts that have none beside parts that do."""
    weights = [data.targets.weights for data in parts]
    if not any(map(len, weights)):
        return weights[0]
    return np.concatenate(
        [w if len(w) > 0 else np.ones(len(d.X)) for w, d in zip(weights, parts, strict=True)]
    )


def _joined_rows(parts: list[SparseRows]) -> SparseRows:
    lengths = np.concatenate([np.diff(rows.starts) for rows in parts])
    return SparseRows(
        np.concatenate([rows.numbers[: rows.starts[-1]] for rows in parts]),
        np.concatenate([rows.inputs[: rows.starts[-1]] for rows in parts]),
        np.concatenate([[0], np.cumsum(lengths)]),
    )


def part(data: Data, rows: Any) -> Data:
    """Return some of the samples: those of a slice, or of an array of row numbers."""
    X, targets = data.X, data.targets
    values = targets.values.reshape(len(X), -1)[rows].reshape(-1)
    labels, weights = (
        array[rows] if len(array) > 0 else array for array in (targets.labels, targets.weights)
    )
    return Data(
        _part_of_rows(X, rows) if isinstance(X, SparseRows) else X[rows],
        Targets(labels, values, weights),
    )


def dense_rows(X: np.ndarray | SparseRows, network: Network, n: int) -> np.ndarray:
    """Return up to n rows of X, evenly apart, as the network reads them."""
    rows, n_in = slice(None, None, -(-len(X) // n)), network.sizes[0]
    if isinstance(X, SparseRows):
        some = _part_of_rows(X, rows)
        dense = np.zeros((len(some), n_in), network.dtype)
        dense[np.repeat(np.arange(len(some)), np.diff(some.starts)), some.inputs] = some.numbers
    else:
        dense = X[rows].astype(network.dtype)
    if len(network.scaling) > 0:
        dense = (dense - network.scaling[:n_in]) * network.scaling[n_in:]
    return dense


def _part_of_rows(X: SparseRows, rows: Any) -> SparseRows:
    begins = X.starts[:-1][rows]
    lengths = X.starts[1:][rows] - begins
    starts = np.concatenate([[0], np.cumsum(lengths)])
    at = np.repeat(begins - starts[:-1], lengths) + np.arange(starts[-1])
    return SparseRows(X.numbers[at], X.inputs[at], starts)


def first_not_finite(network: Network, X: np.ndarray | SparseRows) -> int | None:
    """Return the first row of X with a number that is not finite as the kernels read it."""
    n_in, scaling = network.sizes[0], network.scaling
    if len(scaling) == 0 and X.dtype in (np.uint8, np.bool_):
        return None
    shift, scale = (scaling[:n_in], scaling[n_in:]) if len(scaling) > 0 else (None, None)
    if isinstance(X, SparseRows):
        with np.errstate(all="ignore"):
            numbers = X.numbers if scale is None else X.numbers * scale[X.inputs]
        wrong = np.flatnonzero(~np.isfinite(numbers))
        return int(np.searchsorted(X.starts, wrong[0], "right")) - 1 if len(wrong) else None
    together = max(1, LOOKED_AT_TOGETHER // n_in)
    for start in range(0, len(X), together):
        x = X[start : start + together].astype(network.dtype, copy=False)
        if scale is not None:
            with np.errstate(all="ignore"):
                x = (x - shift) * scale
        if not all_finite(x):
            return start + int(np.argmin(np.isfinite(x).all(axis=1)))
    return None


def all_finite(array: np.ndarray) -> bool:
    """Return whether no number is NaN or infinity: if one is, so is the sum, which is quicker."""
    with np.errstate(all="ignore"):
        total = np.add.reduce(array, axis=None)
    return math.isfinite(total) or bool(np.isfinite(array).all())
