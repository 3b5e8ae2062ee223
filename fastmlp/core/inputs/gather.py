"""Gather: copy a minibatch's rows of X into the inputs of the first layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.processor import CACHE_LINE
from fastmlp.core.machine.structure import by_address
from fastmlp.core.machine.tile import prefetch
from fastmlp.core.maths.float_bits import number

AHEAD = 8  # rows: copying so many takes as long as fetching one from memory

#: The types other than the network's that X may have, and their types in compiled code.
KEPT = {
    np.dtype(np.uint8): np.uint8,
    np.dtype(np.bool_): np.uint8,
    np.dtype(np.float16): np.uint16,
}
NARROWEST = 4  # bytes of the types of networks, which are wider than these


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A matrix in CSR format, without duplicates, sorted within rows."""

    numbers: np.ndarray  # (n_stored,), of the network's dtype
    inputs: np.ndarray  # (n_stored,), uint32: their columns
    starts: np.ndarray  # (n_rows + 1,), int64: where each row begins in both

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers."""
        return self.numbers.dtype

    @property
    def most_listed(self) -> int:
        """The largest number of elements stored for a row."""
        return int(np.diff(self.starts).max())


@by_address
class Sparse(NamedTuple):
    """`SparseRows` as kernels take them."""

    numbers: np.ndarray
    inputs: np.ndarray
    starts: np.ndarray


def rows_of(X: np.ndarray | SparseRows) -> tuple[np.ndarray | None, Sparse | None]:
    """Return rows as kernels take them: a flat array, float16 as its bits, or sparse rows."""
    if isinstance(X, SparseRows):
        return None, Sparse(X.numbers, X.inputs, X.starts)
    flat = X.reshape(-1)
    return (flat.view(KEPT[X.dtype]) if X.itemsize < NARROWEST else flat), None


@kernel
def gather(layer, X, scaling, order, start, activations, first, last):
    """``a_in[i] = (X[order[start + i]] - shift) * scale`` for the rows first to last.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The first layer.
    X : flat array of rows of n_in
        Of the dtype of `activations` or one in `KEPT`; read. None if rows are sparse.
    scaling : array
        (2 * n_in,): shifts, then scales; or empty, for none.
    order : int64 array
    start : int
        The position in `order` where this minibatch begins.
    activations : flat array
        The layer's inputs are overwritten.
    first, last : int

    Returns
    -------
    int
        1 + the first row of X with NaN or infinity, 0 if there is none.
    """
    if X is None:
        return 0
    n = layer.n_in
    line = CACHE_LINE // X.itemsize
    bad_row = 0
    for i in range(first, last):
        row = order[start + i]
        if start + i + AHEAD < len(order):  # this minibatch's or the next one's
            for k in range(0, n, line):
                prefetch(X, order[start + i + AHEAD] * n + k)
        at = layer.input_at + i * layer.stride_in
        x = X[row * n : (row + 1) * n]  # (n_in,)
        a = activations[at : at + n]  # (n_in,)
        broken = False
        for k in range(n):
            value = number(x[k], a[k])
            a[k] = value
            broken |= value - value != 0  # NaN or infinity
        if len(scaling) > 0:
            broken |= scale(a, scaling)
        if broken and bad_row == 0:
            bad_row = row + 1
    return bad_row


@kernel
def scale(a, scaling):
    """Scale: ``a = (a - shift) * scale``; return whether NaN or infinity results."""
    n = len(a)
    shift, factor = scaling[:n], scaling[n:]
    broken = False
    for k in range(n):
        value = (a[k] - shift[k]) * factor[k]
        a[k] = value
        broken |= value - value != 0
    return broken
