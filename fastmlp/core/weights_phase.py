"""The second phase of a step: every weight by the gradient summed over all rows."""

from __future__ import annotations

import numpy as np

from fastmlp.core.equations.clip import change_by_collected, square_gradients
from fastmlp.core.equations.norms import constrain_norms, penalizes_per_batch
from fastmlp.core.equations.product import MOST_ROWS, share
from fastmlp.core.equations.update import Sink, update, update_biases, update_marked, update_sample
from fastmlp.core.equations.update_rules import PER_STEP, SGD, change_rows, rule_of
from fastmlp.core.equations.update_sparse import update_sparse
from fastmlp.core.inputs.nonzeros import SPARSE, ZERO_RICH
from fastmlp.core.machine.barrier import wait_for_all, worker_slice
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import larger, smaller


@kernel
def weights_phase(worker, parameters, optimizer, samples, work, minibatch, step, waits):
    """Change the worker's share of all weights; return how often the team has waited so far.

    If gradients are clipped by their norm, they are collected first, and the weights change after a
    barrier. If units have a maximum norm there is one more, because the weights of a unit belong to
    several workers.
    """
    layers, l2_share = work.forward.layers, 1.0
    if penalizes_per_batch(optimizer.options):
        l2_share = minibatch.scale
    n_rows = minibatch.n_rows
    for l in range(len(layers)):
        l2 = l2_share * layers[l].l2
        change_layer(worker, layers[l], l2, parameters, optimizer, samples, work, n_rows, step)
    return finish_step(
        optimizer.options, optimizer, worker, parameters, l2_share, work, step, waits
    )


# A layer --------------------------------------------------------------------------------------

# How the gradients of a layer change its weights. Without options, which is plain SGD, the update
# is part of the product.


@kernel
def clips(options):
    """Whether the gradients of all layers are collected, to be clipped by their norm."""
    if options is None:
        return False
    return options.clip_norm < np.inf


@kernel
def descends(options, layer):
    """Whether the weights change as soon as their gradients are known: ``w -= rate * g``."""
    if options is None:
        return True
    return options.kind == SGD and layer.l1 == 0 and not clips(options)


@kernel
def apply_rule(options, optimizer, step, layer, l2, l1, gradients, parameters, at, n_rows):
    """Change rows of weights, the first of which is ``parameters[at:]``, by their gradients."""
    if options is None:
        return
    rule = rule_of(optimizer, step, l2, l1)
    change_rows(rule, gradients, parameters, at, layer.stride_out, n_rows, layer.padded_out)


@kernel
def change_layer(worker, layer, l2, parameters, optimizer, samples, work, n_rows, step):
    """Change the worker's share of a layer's weights, or collect gradients that are clipped.

    A rule other than plain SGD changes some rows at a time, so few that their gradients are still
    in the cache.
    """
    options, deltas, buffer = optimizer.options, work.deltas, work.gradients
    at_once, waits = descends(options, layer), clips(options)
    kept = not (at_once or waits)
    target = parameters if at_once else optimizer.gradients
    rate, l1 = optimizer.steps[PER_STEP * step], layer.l1
    first = last = 0
    if n_rows == 1 and at_once and l2 == 0:
        if worker.number == 0:
            sink = Sink(at_once, rate, l2, target, 0)
            update_sample(layer, deltas, sink, work.forward)
    else:  # a share takes two divisions
        first, last = share(layer.n_in, worker)
    rows_at_a_time = larger(last - first, MOST_ROWS)
    if kept:
        target = buffer = worker_slice(work.gradients, worker)
        room = len(work.gradients) // len(work.status)  # also if fewer workers than may be tried
        if samples.inputs == SPARSE:
            room = len(buffer)
        rows_at_a_time = room // (layer.stride_out * MOST_ROWS) * MOST_ROWS
    for k in range(first, last, rows_at_a_time):
        end, at = smaller(k + rows_at_a_time, last), layer.weights_at + k * layer.stride_out
        sink = Sink(at_once, rate, l2, target, -at if kept else 0)
        update_rows(worker, layer, samples, work, n_rows, sink, k, end)
        if kept:
            apply_rule(options, optimizer, step, layer, l2, l1, buffer, parameters, at, end - k)
    if worker.number == 0:
        at = layer.biases_at
        update_biases(layer, deltas, n_rows, Sink(at_once, rate, 0.0, target, -at if kept else 0))
        if kept:
            apply_rule(options, optimizer, step, layer, 0.0, 0.0, buffer, parameters, at, 1)


@kernel
def update_rows(worker, layer, samples, work, n_rows, sink, first, last):
    """Compute the gradients of the weights of the layer's inputs first to last, for the sink."""
    if layer.number == 1 and samples.inputs == SPARSE:
        update_sparse(layer, samples.sparse, work, n_rows, sink, worker.team, first, last)
    elif layer.number == 1 and samples.inputs == ZERO_RICH:
        update_marked(layer, worker, work, n_rows, sink, first, last)
    else:
        update(layer, worker, work, n_rows, sink, first, last)


# All layers together --------------------------------------------------------------------------


@kernel
def finish_step(options, optimizer, worker, parameters, l2_share, work, step, waits):
    """Clip and apply collected gradients, and scale weights down to their maximum norm."""
    if options is None:
        return waits
    layers = work.forward.layers
    if clips(options):
        square_gradients(layers, optimizer, worker_slice(work.sums, worker), worker)
        waits += 1
        wait_for_all(worker, waits)
        change_by_collected(layers, parameters, optimizer, l2_share, step, worker)
    if options.constrained:
        waits += 1
        wait_for_all(worker, waits)
        _constrain(worker, parameters, work)
    return waits


@kernel
def _constrain(worker, parameters, work):
    """Scale the worker's share of all units down to their maximum norm."""
    for l in range(len(work.forward.layers)):
        layer = work.forward.layers[l]
        if layer.max_norm < np.inf:
            first, last = share(layer.n_out, worker)
            constrain_norms(
                layer.weights_at, layer.stride_out, layer.n_in, layer.max_norm, parameters,
                first, last, worker_slice(work.sums, worker),
            )  # fmt: skip
