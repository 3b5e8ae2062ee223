"""Samples for the kernels: joining, selecting, and checking that they are finite."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.equations.losses import Targets
from fastmlp.core.inputs.gather import SparseRows
from fastmlp.core.storage import Network
from fastmlp.messages import must
from fastmlp.validation.targets import of_one_form

SINGLE_THREADED = 10_000  # elements up to which OpenBLAS uses one thread for a dot product
CHECKED_AT_ONCE = 2**20  # elements of X, which limits the size of temporary arrays


class Data(NamedTuple):
    """Samples that were checked and converted for the kernels."""

    X: np.ndarray | SparseRows  # (n_samples, n_in), as `checks.feature_rows` returns it
    targets: Targets

    def weight_of(self, rows: np.ndarray, before: float) -> float:
        """Return `before` plus the weights of these samples, 1 each if not given.

        They are added one by one, so that the sum does not depend on how an epoch is split.
        """
        weights = self.targets.weights
        if len(weights) == 0:
            return before + len(rows)
        with np.errstate(over="ignore"):
            return float(np.add.accumulate(np.append(before, weights[rows]))[-1])


def copied(data: Data) -> Data:
    """Return a copy of the samples that shares no memory with them."""
    X = data.X
    if isinstance(X, SparseRows):
        X = SparseRows(X.numbers.copy(), X.inputs.copy(), X.starts.copy())
    else:
        X = X.copy()
    return Data(X, Targets(*(array.copy() for array in data.targets)))


def joined(parts: list[Data]) -> Data:
    """Concatenate the samples of all parts; a single part is returned unchanged."""
    if len(parts) == 1:
        return parts[0]
    Xs: list[Any] = [data.X for data in parts]
    if all(isinstance(X, SparseRows) for X in Xs):
        X: Any = _joined_rows(Xs)
    elif any(isinstance(X, SparseRows) for X in Xs):
        raise TypeError(must("X", "have batches that are all dense or all sparse", "both"))
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
    """Return all weights, with 1 for parts without weights if others have them."""
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
    """Return up to n evenly spaced rows of X, scaled as the network reads them."""
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
    """Return the first row of X that is not finite, as the kernels read it."""
    n_in, scaling = network.sizes[0], network.scaling
    if len(scaling) == 0 and isinstance(X, np.ndarray):
        if X.dtype.kind in "bu" or X.dtype == network.dtype and all_finite(X):
            return None
    shift, scale = (scaling[:n_in], scaling[n_in:]) if len(scaling) > 0 else (None, None)
    if isinstance(X, SparseRows):
        with np.errstate(all="ignore"):
            numbers = X.numbers if scale is None else X.numbers * scale[X.inputs]
        wrong = np.flatnonzero(~np.isfinite(numbers))
        return int(np.searchsorted(X.starts, wrong[0], "right")) - 1 if len(wrong) else None
    together = max(1, CHECKED_AT_ONCE // n_in)
    for start in range(0, len(X), together):
        x = X[start : start + together].astype(network.dtype, copy=False)
        if scale is not None:
            with np.errstate(all="ignore"):
                x = (x - shift) * scale
        if not all_finite(x):
            return start + int(np.argmin(np.isfinite(x).all(axis=1)))
    return None


def all_finite(array: np.ndarray) -> bool:
    """Return whether all elements of a C-contiguous array are finite, first by sums of squares.

    These give no warnings and take a third of the time of other sums.
    """
    if array.size > SINGLE_THREADED:
        flat = array.reshape(-1)
        starts = range(0, len(flat), SINGLE_THREADED)
        return all(all_finite(flat[start : start + SINGLE_THREADED]) for start in starts)
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
