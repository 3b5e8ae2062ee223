"""Gather: a minibatch's rows of X into the first layer's inputs (floor 2)."""

from __future__ import annotations

from fastmlp.core.kernel import kernel
from fastmlp.core.processor import CACHE_LINE
from fastmlp.core.tile import prefetch

AHEAD = 8  # rows: their way from memory takes as long as the copies of so many


@kernel
def gather(layer, X, order, start, activations, first, last):
    """``a_in[i] = X[order[start + i]]`` for the rows first to last of the minibatch.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The first layer.
    X : flat array of rows of n_in
    order : int64 array
    start : int
        Where in `order` this minibatch begins.
    activations : flat array
        The layer's inputs are overwritten.
    first, last : int

    Returns
    -------
    int
        1 + the row of X in which NaN or infinity was found, 0 where all is finite.
    """
    n = layer.n_in
    line = CACHE_LINE // X.itemsize
    refused = 0
    for i in range(first, last):
        row = order[start + i]
        if start + i + AHEAD < len(order):  # this minibatch's or the next one's
            for k in range(0, n, line):
                prefetch(X, order[start + i + AHEAD] * n + k)
        at = layer.input_at + i * layer.stride_in
        x = X[row * n : (row + 1) * n]
        a = activations[at : at + n]
        broken = False
        for k in range(n):
            a[k] = x[k]
            broken |= x[k] - x[k] != 0  # NaN and infinity alone
        if broken:
            refused = row + 1
    return refused
