"""Norms: of all gradients together, and of the incoming weights of each unit."""

from __future__ import annotations

import numpy as np

from fastmlp.core.equations.product import MOST_ROWS, share
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import smaller

RUNNING_SUMS = 128  # a power of two; 64 and 256 measured slower


@kernel
def sum_of_squares(array, begin, n_rows, stride, n, sums):
    """``sum over r < n_rows and j < n of array[begin + r * stride + j]**2``, in float64.

    With a single running sum, each addition would wait for the one before. Here element j of row r
    is added to the running sum ``(r * n + j) % RUNNING_SUMS``; at the end the upper half of the
    running sums is added to the lower half until one is left. So the order depends only on n, and
    not on the stride, which differs between vector widths.

    Parameters
    ----------
    array : flat array
    begin, n_rows, stride, n : int
    sums : float64 array of at least `RUNNING_SUMS`
        Its first `RUNNING_SUMS` elements are overwritten.

    Returns
    -------
    float
        NaN or infinity if an element is.
    """
    for s in range(RUNNING_SUMS):
        sums[s] = 0
    if stride == n:  # one long row has the same elements, and takes fewer calls
        n_rows, n = 1, n_rows * n
    for r in range(n_rows):
        at, turn = begin + r * stride, r * n % RUNNING_SUMS
        end = at + n
        while at < end:
            x = array[at : smaller(at + RUNNING_SUMS - turn, end)]
            _add_squares(x, sums[turn : turn + len(x)])
            at += len(x)
            turn = 0
    left = RUNNING_SUMS
    while left > 1:
        left //= 2
        for s in range(left):
            sums[s] += sums[left + s]
    return sums[0]


@kernel
def _add_squares(x, sums):
    for s in range(len(x)):
        value = np.float64(x[s])
        sums[s] += value * value


@kernel
def square_blocks(layer, array, factor, squares, sums, worker):
    """Store `factor` times the sum of squares of each block of `MOST_ROWS` inputs.

    Of the worker's share, in an array with the layout of the parameters. The blocks do not depend
    on the number of workers.
    """
    first, last = share(layer.n_in, worker)
    n = (layer.n_out + MOST_ROWS - 1) // MOST_ROWS * MOST_ROWS  # for any vector width
    for block in range(first // MOST_ROWS, (last + MOST_ROWS - 1) // MOST_ROWS):
        begin = layer.weights_at + block * MOST_ROWS * layer.stride_out
        squares[layer.squares_at + block] = factor * sum_of_squares(
            array, begin, MOST_ROWS, layer.stride_out, n, sums
        )


@kernel
def penalizes_per_batch(options):
    """Whether l2 is divided by the weight of the minibatch, and counted in its loss."""
    if options is None:
        return False
    return options.l2_per_batch


@kernel
def penalty(options):
    """Return half the sum of all l2 times squared weights, after `measure_penalty`."""
    total = 0.0
    if options is None:
        return total
    for part in range(len(options.penalties)):
        total += options.penalties[part]
    return total / 2


@kernel
def measure_penalty(options, layers, parameters, sums, worker):
    """Sum ``l2 * w**2`` over the worker's share of the weights, if the loss counts it."""
    if options is None:
        return
    if options.l2_per_batch:
        for l in range(len(layers)):
            layer = layers[l]
            square_blocks(layer, parameters, layer.l2, options.penalties, sums, worker)


@kernel
def constrain_norms(weights_at, stride, n_in, max_norm, parameters, first, last, squares):
    """``w_j *= min(1, max_norm / |w_j|)`` for the units first to last of a layer.

    w_j are the n_in weights into unit j, without its bias, and |w_j| is their Euclidean norm
    (Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15,
    2014, section 5.1). If the norm is NaN or at most max_norm, the weights keep their bits.

    Parameters
    ----------
    weights_at, stride : int
        The weight of input k and unit j is ``parameters[weights_at + k * stride + j]``.
    n_in : int
    max_norm : float
    parameters : flat array
        The weights of these units are changed.
    first, last : int
    squares : float64 array of at least `last`
        Elements first to last are overwritten. The squares of a unit are summed in the order of k;
        float32 would suffice for weights whose squares do not overflow.
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
