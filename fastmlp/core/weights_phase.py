"""The second phase of a step: every weight by the gradient of all rows."""

from __future__ import annotations

import numpy as np

from fastmlp.core.equations.clip import change_by_collected, square_gradients
from fastmlp.core.equations.norms import constrain_norms
from fastmlp.core.equations.product import MOST_ROWS, share
from fastmlp.core.equations.update import Sink, update, update_biases, update_marked, update_sample
from fastmlp.core.equations.update_rules import PER_STEP, SGD, change_rows, is_basic, rule_of
from fastmlp.core.equations.update_sparse import update_sparse
from fastmlp.core.inputs.nonzeros import SPARSE, ZERO_RICH
from fastmlp.core.machine.barrier import meet
from fastmlp.core.machine.kernel import by_type, kernel
from fastmlp.core.rows_phase import is_sparse, worker_slice


@kernel(inline=True)
def weights_phase(
    worker, n_workers, team, parameters, optimizer, samples, work, n_rows, step, meetings
):
    """Change this worker's share of all weights; return how many meetings there have been.

    Where gradients are clipped by the norm of all of them together, they are collected first, all
    workers meet, and then the weights change. Where a unit's weights have a largest norm, all
    meet once more, for a unit's weights are many workers'.
    """
    layers = work.forward.layers
    for l in range(len(layers)):
        layer = layers[l]
        change_layer(
            optimizer, layer, l, worker, n_workers, team, parameters, samples, work, n_rows, step
        )
    return finish_step(optimizer, worker, n_workers, team, parameters, work, step, meetings)


# A layer --------------------------------------------------------------------------------------


def _update_sparse(X, layer, n_rows, sink, team, work, first, last):
    update_sparse(
        layer, work.deltas, n_rows, sink, team, work.forward.listed,
        work.forward.values, work.columns, first, last,
    )  # fmt: skip


def _never(X, layer, n_rows, sink, team, work, first, last):
    pass


#: Does `update_sparse` where X is sparse.
update_sparse_rows = by_type(is_sparse, _update_sparse, _never)


# How the gradients of a layer's weights become their change: for basic optimizers always at once.

#: Whether the gradients of all layers are collected first.
clips = by_type(is_basic, lambda optimizer: False, lambda optimizer: optimizer.clip_norm < np.inf)
#: Whether the weights descend by their gradients as soon as these are known.
descends = by_type(
    is_basic,
    lambda optimizer, layer: True,
    lambda optimizer, layer: optimizer.kind == SGD and layer.l1 == 0 and not clips(optimizer),
)


def _no_change(optimizer, layer, step, penalised, gradients, parameters, at, n_rows):
    pass


def _change(optimizer, layer, step, penalised, gradients, parameters, at, n_rows):
    l2, l1 = (layer.l2, layer.l1) if penalised else (0.0, 0.0)
    rule = rule_of(optimizer, step, l2, l1)
    change_rows(rule, gradients, parameters, at, layer.stride_out, n_rows, layer.padded_out)


#: Changes rows of weights, of which the first is ``parameters[at:]``, by their gradients.
change = by_type(is_basic, _no_change, _change)


@kernel(inline=True)
def change_layer(
    optimizer, layer, l, worker, n_workers, team, parameters, samples, work, n_rows, step
):
    """Change this worker's share of a layer, or collect its gradients where they are clipped.

    Where a rule is more than a descent it changes some rows after the other, so many that their
    gradients are still in the cache.
    """
    deltas, buffer = work.deltas, work.gradients
    at_once, waits = descends(optimizer, layer), clips(optimizer)
    kept = not (at_once or waits)
    target = parameters if at_once else optimizer.gradients
    rate, l2 = optimizer.steps[PER_STEP * step], layer.l2
    first = last = 0
    if n_rows == 1 and at_once and l2 == 0:
        if worker == 0:
            sink = Sink(at_once, rate, l2, target, 0)
            update_sample(layer, deltas, sink, work.forward.listed, work.forward.values)
    else:  # a share takes two divisions
        first, last = share(layer.n_in, worker, n_workers)
    together = max(last - first, MOST_ROWS)
    if kept:
        target = buffer = worker_slice(work.gradients, worker, n_workers)
        together = len(buffer) // (layer.stride_out * MOST_ROWS) * MOST_ROWS
    for k in range(first, last, together):
        end, at = min(k + together, last), layer.weights_at + k * layer.stride_out
        sink = Sink(at_once, rate, l2, target, -at if kept else 0)
        update_rows(layer, l, worker, n_workers, team, samples, work, n_rows, sink, k, end)
        if kept:
            change(optimizer, layer, step, True, buffer, parameters, at, end - k)
    if worker == 0:
        at = layer.biases_at
        update_biases(layer, deltas, n_rows, Sink(at_once, rate, 0.0, target, -at if kept else 0))
        if kept:
            change(optimizer, layer, step, False, buffer, parameters, at, 1)


@kernel(inline=True)
def update_rows(layer, l, worker, n_workers, team, samples, work, n_rows, sink, first, last):
    """Give the gradients of the weights of the layer's inputs first to last to the sink."""
    activations, deltas = work.forward.activations, work.deltas
    if l == 0 and samples.inputs == SPARSE:
        update_sparse_rows(samples.X, layer, n_rows, sink, team, work, first, last)
    elif l == 0 and samples.inputs == ZERO_RICH:
        update_marked(
            layer, activations, deltas, n_rows, sink, team, work.forward.marks,
            worker_slice(work.words, worker, n_workers), first, last,
        )  # fmt: skip
    else:
        update(layer, activations, deltas, n_rows, sink, team, first, last)


# All layers together --------------------------------------------------------------------------


def _nothing_to_finish(optimizer, worker, n_workers, team, parameters, work, step, meetings):
    return meetings


def _finish_step(optimizer, worker, n_workers, team, parameters, work, step, meetings):
    layers = work.forward.layers
    if clips(optimizer):
        sums = worker_slice(work.sums, worker, n_workers)
        square_gradients(layers, optimizer, sums, worker, n_workers)
        meetings += 1
        meet(team, n_workers, meetings)
        change_by_collected(layers, parameters, optimizer, step, worker, n_workers)
    if optimizer.constrained:
        meetings += 1
        meet(team, n_workers, meetings)
        _constrain(worker, n_workers, parameters, work)
    return meetings


#: Clips and applies collected gradients, and scales weights down to their largest norm.
finish_step = by_type(is_basic, _nothing_to_finish, _finish_step)


@kernel(inline=True)
def _constrain(worker, n_workers, parameters, work):
    """Scale down this worker's share of all units to their largest norm."""
    for l in range(len(work.forward.layers)):
        layer = work.forward.layers[l]
        if layer.max_norm < np.inf:
            first, last = share(layer.n_out, worker, n_workers)
            constrain_norms(
                layer.weights_at, layer.stride_out, layer.n_in, layer.max_norm, parameters,
                first, last, worker_slice(work.sums, worker, n_workers),
            )  # fmt: skip
