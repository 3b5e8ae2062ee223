"""The two-phase step over a run of minibatches, and prediction over a run of rows (floor 3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp.core.barrier import begin, meet, stopped
from fastmlp.core.forward import forward, forward_listed
from fastmlp.core.gather import Sparse, gather
from fastmlp.core.kernel import CALLEE, kernel
from fastmlp.core.lists import DENSE, SPARSE, ZERO_RICH, list_inputs, mark_inputs
from fastmlp.core.losses import output_delta, softmax
from fastmlp.core.product import MOST_ROWS
from fastmlp.core.propagate import propagate
from fastmlp.core.sparse import list_sparse, update_sparse
from fastmlp.core.update import update, update_biases, update_marked, update_sample

ROWS_TOGETHER = 256  # of a worker's share: they stay in the cache from layer to layer
HALTED = -1  # instead of a refused row: the team was told to stop


class Samples(NamedTuple):
    """What is trained on, and in which order."""

    X: np.ndarray | Sparse  # as `gather.rows_of` returns it
    scaling: np.ndarray  # what is done to X as it is read, see `gather.gather`
    labels: np.ndarray  # int64: the class of each row
    order: np.ndarray  # int64: rows of X, minibatch after minibatch
    batch_size: int
    inputs: int  # how the first layer reads X: a code of `lists`


class Rule(NamedTuple):
    """How a gradient changes a weight."""

    learning_rate: float
    reg_lambda: float


@kernel(inline=True)
def _share(n, worker, n_workers):
    """Return where this worker's share of n rows begins and ends: whole blocks of `MOST_ROWS`."""
    blocks = (n + MOST_ROWS - 1) // MOST_ROWS
    first = worker * blocks // n_workers * MOST_ROWS
    last = (worker + 1) * blocks // n_workers * MOST_ROWS
    return first, min(last, n)


@kernel(entry=True)
def train_steps(
    worker, n_workers, team, parameters, rule, samples, work, first_step, last_step, loss
):
    """Train on minibatches first_step to last_step, as one of n_workers that all do so.

    Every step has two phases. **Rows**: of the minibatch's rows each worker takes a share, and
    computes their activations, loss and deltas through all layers, from the old weights.
    **Weights**: of every layer's weights each worker takes a share, and changes it by the sum of
    the gradient over all rows. No two workers write one place and every sum has one order, so
    the result has the same bits for any n_workers.

    Parameters
    ----------
    worker, n_workers : int
    team : int64 array
        Where the workers meet, of `barrier.new_team`; changed.
    parameters : flat array
        Every layer's weights and biases; changed.
    rule : Rule
    samples : Samples
        Read.
    work : Workspace
        Overwritten. ``work.refused`` tells of rows of X that are not finite: then the step that
        found one, and those after it, change no parameter. Where the team was told to stop,
        ``work.refused`` has `HALTED`, and the parameters are of no use.
    first_step, last_step : int
    loss : float
        The sum of the cross-entropies before the first step.

    Returns
    -------
    float
        To worker 0 `loss` plus the cross-entropies of the samples, each by the weights of its
        step; to the others `loss`.
    """
    if not begin(team, worker):
        return loss
    meetings = 0
    for step in range(first_step, last_step):
        start = step * samples.batch_size
        n_rows = min(samples.batch_size, len(samples.order) - start)
        first, last = _share(n_rows, worker, n_workers)
        for block in range(first, last, ROWS_TOGETHER):
            end = min(block + ROWS_TOGETHER, last)
            if work.refused[worker] == 0:
                _rows_phase(worker, team, parameters, samples, work, start, n_rows, block, end)
        meetings += 1
        meet(team, n_workers, meetings)
        for w in range(n_workers):
            if work.refused[w] != 0:
                return loss
        if worker == 0:
            for i in range(n_rows):
                loss += work.losses[i]
        _weights_phase(worker, n_workers, team, parameters, rule, samples, work, n_rows)
        meetings += 1
        meet(team, n_workers, meetings)
    return loss


def _read_rows(X, layer, samples, start, space, first, last):
    raise NotImplementedError


@overload(_read_rows, jit_options=CALLEE)
def _read_rows_of(X, layer, samples, start, space, first, last):
    """Gather dense rows or list sparse ones, as the type of X says: nobody compiles both."""
    if isinstance(X, types.NamedTuple):
        return lambda X, layer, samples, start, space, first, last: list_sparse(
            layer, X, samples.scaling, samples.order, start, space.listed, space.values, first, last
        )
    return lambda X, layer, samples, start, space, first, last: gather(
        layer, X, samples.scaling, samples.order, start, space.activations, first, last
    )


def _update_sparse_rows(X, layer, parameters, n_rows, rule, team, work, first, last):
    raise NotImplementedError


@overload(_update_sparse_rows, jit_options=CALLEE)
def _update_sparse_rows_of(X, layer, parameters, n_rows, rule, team, work, first, last):
    if isinstance(X, types.NamedTuple):
        return lambda X, layer, parameters, n_rows, rule, team, work, first, last: update_sparse(
            layer, parameters, work.deltas, n_rows, rule, team, work.forward.listed,
            work.forward.values, work.columns, first, last,
        )  # fmt: skip
    return lambda X, layer, parameters, n_rows, rule, team, work, first, last: None


@kernel
def _forward_rows(team, parameters, samples, space, start, n_rows, first, last):
    """Gather the rows first to last and bring them forward through all layers.

    Returns 1 + a row of X that holds NaN or infinity, 0 where all is finite.
    """
    layers, activations, listed, values = (
        space.layers, space.activations, space.listed, space.values
    )  # fmt: skip
    refused = _read_rows(samples.X, layers[0], samples, start, space, first, last)
    for l in range(len(layers)):
        layer = layers[l]
        if n_rows == 1 or (l == 0 and samples.inputs != DENSE):
            if l > 0 or samples.inputs != SPARSE:
                list_inputs(layer, activations, listed, values, first, last)
            if l == 0 and len(space.marks) > 0:
                mark_inputs(layer, activations, space.marks, first, last)
            forward_listed(layer, parameters, activations, listed, values, team, first, last)
        else:
            forward(layer, parameters, activations, team, first, last)
    return refused


@kernel(inline=True)
def _rows_phase(worker, team, parameters, samples, work, start, n_rows, first, last):
    layers, activations, deltas = work.forward.layers, work.forward.activations, work.deltas
    n_layers = len(layers)
    refused = _forward_rows(team, parameters, samples, work.forward, start, n_rows, first, last)
    work.refused[worker] = HALTED if stopped(team) else refused
    for i in range(first, last):
        work.labels[i] = samples.labels[samples.order[start + i]]
    output_delta(
        layers[n_layers - 1], activations, deltas, work.labels, work.losses, first, last, 1 / n_rows
    )
    for l in range(n_layers - 1, 0, -1):
        propagate(
            layers[l], layers[l - 1], parameters, activations, deltas,
            _own(work.panels, worker, len(work.refused)), team, first, last,
        )  # fmt: skip


@kernel(inline=True)
def _weights_phase(worker, n_workers, team, parameters, rule, samples, work, n_rows):
    layers, activations, deltas = work.forward.layers, work.forward.activations, work.deltas
    listed, values = work.forward.listed, work.forward.values
    for l in range(len(layers)):
        layer = layers[l]
        if n_rows == 1 and rule.reg_lambda == 0:
            if worker == 0:
                update_sample(layer, parameters, deltas, rule, listed, values)
        else:
            first, last = _share(layer.n_in, worker, n_workers)
            if l == 0 and samples.inputs == SPARSE:
                _update_sparse_rows(
                    samples.X, layer, parameters, n_rows, rule, team, work, first, last
                )
            elif l == 0 and samples.inputs == ZERO_RICH:
                update_marked(
                    layer, parameters, activations, deltas, n_rows, rule, team, work.forward.marks,
                    _own(work.words, worker, n_workers), first, last,
                )  # fmt: skip
            else:
                update(layer, parameters, activations, deltas, n_rows, rule, team, first, last)
        if worker == 0:
            update_biases(layer, parameters, deltas, n_rows, rule)


@kernel(inline=True)
def _own(array, worker, n_workers):
    """Return this worker's part of an array that has one for each."""
    n = len(array) // n_workers
    return array[worker * n : (worker + 1) * n]


@kernel(entry=True)
def predict_rows(team, parameters, samples, space, probabilities, losses, first, last):
    """``probabilities[i] = softmax(a_last)`` of the rows first to last of X, and their losses.

    Parameters
    ----------
    team : int64 array
        Of `barrier.new_team`; nobody is met.
    parameters : flat array
        Read.
    samples : Samples
        Read; the order is 0, 1, 2, ..., and the labels may be none.
    space : ForwardSpace
        Overwritten; it has room for ``samples.batch_size`` rows.
    probabilities : array (n_samples, n_out)
        Rows first to last are overwritten.
    losses : float64 array
        Likewise, with the cross-entropy of each row, if there are labels.
    first, last : int

    Returns
    -------
    int
        1 + a row of X that holds NaN or infinity, 0 where all is finite.
    """
    output = space.layers[len(space.layers) - 1]
    row = np.int64(0)  # as a literal it would have all that is below compiled anew
    for start in range(first, last, samples.batch_size):
        n_rows = min(samples.batch_size, last - start)
        refused = _forward_rows(team, parameters, samples, space, start, n_rows, row, n_rows)
        if refused != 0:
            return refused
        for i in range(n_rows):
            at = output.output_at + i * output.stride_out
            a = space.activations[at : at + output.padded_out]
            a_of_label = a[samples.labels[start + i]] if len(samples.labels) > 0 else a[0]
            log_total = softmax(a, output.n_out, a)
            if len(samples.labels) > 0:
                losses[start + i] = log_total - a_of_label
            for j in range(output.n_out):
                probabilities[start + i, j] = a[j]
    return 0
