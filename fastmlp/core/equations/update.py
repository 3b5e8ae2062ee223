"""Update: change every weight by its gradient, which stays in registers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.equations.product import (
    DESCEND,
    ROW,
    ROW_SINGLE,
    STORE,
    Matrix,
    Product,
    add_marked,
    deltas_of,
    empty_matrix,
    inputs_of,
    multiply,
    transposed,
)
from fastmlp.core.inputs.nonzeros import (
    INPUTS_TOGETHER,
    ROWS_IN_A_WORD,
    find_rows,
    list_at,
    list_found,
)
from fastmlp.core.machine.barrier import stopped, worker_slice
from fastmlp.core.machine.kernel import joined, kernel
from fastmlp.core.machine.scalars import smaller
from fastmlp.core.machine.structure import by_value
from fastmlp.core.machine.tile import (
    add_row,
    add_scaled,
    columns,
    descend,
    load,
    outer,
    store,
    zeros,
)

# Of a minibatch, so few that they stay in the L1 cache: then copying columns of them gains nothing.
FEW_DELTAS = 4096
# In minibatches of fewer rows, many inputs may be zero in all of them. At most `ROWS_IN_A_WORD`.
FEW_ROWS = 32


@by_value
class Sink(NamedTuple):
    """The destination of gradients of weights: they change the weights in place, or are stored."""

    descends: bool  # whether ``w -= rate * (gradient + l2 * w)``
    rate: float
    l2: float
    target: np.ndarray  # the parameters if it descends, otherwise where gradients are stored
    shift: int  # from a weight's position in the parameters to that in `target`


@joined
def apply_gradient(tile, sink, at, stride):
    """Pass a tile of gradients to the sink; its first weight is at `at` in the parameters."""
    at += sink.shift
    if sink.descends:
        if sink.l2 != 0:
            tile = add_scaled(tile, sink.l2, sink.target, at, stride)
        descend(tile, sink.rate, sink.target, at, stride)
    else:
        store(tile, sink.target, at, stride)


@kernel
def update(layer, worker, work, n_rows, sink, first, last):
    """``W -= learning_rate * (sum over i of delta[i] a_in[i].T + l2 * W)``, or as `sink` says.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    worker : barrier.Worker
        If its ``team[STOPPED]`` is set, this returns between two tiles.
    work : storage.Workspace
        The layer's inputs and its deltas, which contain the factor 1 / n_rows, are read; the
        worker's panel is overwritten.
    n_rows : int
        The number of rows of the minibatch.
    sink : Sink
        Changed or overwritten where it has the weights of the layer's inputs first to last.
    first, last : int
        `first` is a multiple of `MOST_ROWS`, and `last` is one or is n_in.
    """
    sums = _sums(layer, worker, work, n_rows, sink, 0)
    multiply(sums, worker.team, first, last)


@kernel
def _sums(layer, worker, work, n_rows, sink, first_column):
    """Return the `Product` that computes the gradient of the layer's weights, or changes them."""
    deltas = work.deltas
    return Product(
        n_terms=n_rows,
        first_column=first_column,
        n_columns=layer.columns_out,
        x=transposed(inputs_of(layer, work.forward.activations)),
        y=deltas_of(layer, deltas),
        # Gradients that are stored are computed for a few rows at a time: too few for a copy.
        packs=sink.descends and n_rows * layer.stride_out > FEW_DELTAS,
        panel=worker_slice(work.panels, worker),
        start=-1,
        target=Matrix(sink.target, layer.weights_at + sink.shift, layer.stride_out, 1),
        gate=empty_matrix(deltas),
        finish=DESCEND if sink.descends else STORE,
        rate=sink.rate,
        decay=sink.l2,
    )


@kernel
def update_marked(layer, worker, work, n_rows, sink, first, last):
    """Do `update`, skipping inputs that are zero, which gives the same sums.

    Parameters
    ----------
    layer, worker, n_rows, sink, first, last
        As in `update`.
    work : storage.Workspace
        Likewise. The marks of the layer's inputs, of `nonzeros.mark_inputs`, are read too, and the
        worker's words overwritten, see `nonzeros.find_rows`.
    """
    words, team = worker_slice(work.words, worker), worker.team
    j = 0
    for k in range(first, last, INPUTS_TOGETHER):
        if stopped(team):
            break
        end = smaller(k + INPUTS_TOGETHER, last)
        find_rows(layer, work.forward, words, n_rows, k, end)
        marked = layer, work, n_rows, sink, team, words, k
        if n_rows < FEW_ROWS and sink.descends and sink.l2 == 0:
            j = _update_marked(*marked, list_found(words, end - k), True)
        else:  # a second call, so that LLVM compiles a loop without a list
            j = _update_marked(*marked, end - k, False)
    # The remaining columns fill too few registers to profit.
    sums = _sums(layer, worker, work, n_rows, sink, j)
    multiply(sums, team, first, last)


@kernel
def _update_marked(layer, work, n_rows, sink, team, words, first, n, listed):
    """Update the weights of n inputs from `first` on, or of those that `list_found` has listed."""
    deltas = work.deltas
    width, j = columns(ROW, deltas), 0
    x = transposed(inputs_of(layer, work.forward.activations))
    y = deltas_of(layer, deltas)
    n_words = (n_rows + ROWS_IN_A_WORD - 1) // ROWS_IN_A_WORD
    while j + width <= layer.padded_out and not stopped(team):
        for s in range(n):
            c = words[INPUTS_TOGETHER + s] if listed else s
            k = first + c
            weight_grads = add_marked(zeros(ROW, deltas), words, c, n_words, x, k, y, j)
            at = layer.weights_at + k * layer.stride_out + j
            apply_gradient(weight_grads, sink, at, 0)
        j += width
    return j


@kernel
def update_sample(layer, deltas, sink, space):
    """Do `update` for a minibatch of one row, row 0, and only for the inputs in its list.

    The gradients of the weights of other inputs are zero. The sink must descend, with an l2 of 0,
    so that these weights do not change.
    """
    j = _update_sample(ROW, 0, layer, deltas, sink, space)
    _update_sample(ROW_SINGLE, j, layer, deltas, sink, space)


@kernel
def _update_sample(shape, j, layer, deltas, sink, space):
    listed, values = space.listed, space.values
    width, stride, n_columns = columns(shape, deltas), layer.stride_out, layer.padded_out
    weights_at, delta_at = layer.weights_at, layer.delta_at
    while j + width <= n_columns:
        delta = load(shape, deltas, delta_at + j, 0)
        for b in range(layer.n_blocks):
            at = list_at(layer, 0, b)
            for s in range(at + 1, at + 1 + listed[at]):
                grads = outer(values, s, delta)
                descend(grads, sink.rate, sink.target, weights_at + listed[s] * stride + j, 0)
        j += width
    return j


@kernel
def update_biases(layer, deltas, n_rows, sink):
    """``b -= learning_rate * sum over i of delta[i]``, or as `sink` says."""
    j = _update_bias_columns(ROW, 0, layer, deltas, n_rows, sink)
    _update_bias_columns(ROW_SINGLE, j, layer, deltas, n_rows, sink)


@kernel
def _update_bias_columns(shape, j, layer, deltas, n_rows, sink):
    width = columns(shape, deltas)
    while j + width <= layer.padded_out:
        bias_grads = zeros(shape, deltas)
        for i in range(n_rows):
            bias_grads = add_row(bias_grads, deltas, layer.delta_at + i * layer.stride_out + j)
        apply_gradient(bias_grads, sink, layer.biases_at + j, 0)
        j += width
    return j
