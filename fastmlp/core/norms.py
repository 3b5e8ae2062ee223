"""Norms: of all gradients together, and of each unit's incoming weights (floor 2)."""

from __future__ import annotations

import numpy as np

from fastmlp.core.kernel import kernel

RUNNING_SUMS = 128  # a power of two; 64 and 256 measured slower


@kernel
def sum_of_squares(array, begin, end, sums):
    """``sum over k of array[k]**2`` for begin <= k < end, in float64 and in one order.

    In a single running sum each addition waits for the one before. Here there are n, and element
    begin + i goes into number i modulo n; then the upper half of them is added to the lower until
    one is left. So n alone decides the order, and not the lanes of a vector.

    Parameters
    ----------
    array : flat array
    begin, end : int
    sums : float64 array of `RUNNING_SUMS`
        Overwritten.

    Returns
    -------
    float
        NaN or infinity where one is among the elements.
    """
    n = len(sums)
    for s in range(n):
        sums[s] = 0
    for at in range(begin, end, n):
        x = array[at : min(at + n, end)]
        for s in range(len(x)):
            value = np.float64(x[s])
            sums[s] += value * value
    while n > 1:
        n //= 2
        for s in range(n):
            sums[s] += sums[n + s]
    return sums[0]


@kernel
def constrain_norms(weights_at, stride, n_in, max_norm, parameters, first, last, squares):
    """``w_j *= min(1, max_norm / |w_j|)`` for the units first to last of a layer.

    w_j are the n_in weights into unit j, without its bias, and |w_j| is their Euclidean norm
    (Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15,
    2014, section 5.1). Where it is NaN or not above max_norm, no bit changes.

    Parameters
    ----------
    weights_at, stride : int
        The weight of input k and unit j is ``parameters[weights_at + k * stride + j]``.
    n_in : int
    max_norm : float
    parameters : flat array
        Changed: the weights of these units.
    first, last : int
    squares : float64 array of at least `last`
        Its elements first to last are overwritten. A unit's squares are summed in order of k; an
        array of float32 would do too, for weights whose squares it holds.
    """
    s = squares[first:last]
    n = len(s)
    for j in range(n):
        s[j] = 0
    begin = weights_at + first
    for k in range(n_in):
        w = parameters[begin + k * stride : begin + k * stride + n]
        for j in range(n):
            value = squares.dtype.type(w[j])
            s[j] += value * value
    changed = False
    for j in range(n):
        norm = np.sqrt(s[j])
        changed |= norm > max_norm
        s[j] = max_norm / norm if norm > max_norm else 1.0
    if changed:
        for k in range(n_in):
            w = parameters[begin + k * stride : begin + k * stride + n]
            for j in range(n):
                w[j] *= parameters.dtype.type(s[j])
