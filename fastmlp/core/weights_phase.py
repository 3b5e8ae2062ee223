"""The second phase of a step: every weight by the gradient of all rows (floor 3)."""

from __future__ import annotations

import numpy as np

from fastmlp.core.barrier import meet
from fastmlp.core.clip import change_by_collected, square_gradients
from fastmlp.core.kernel import by_type, kernel
from fastmlp.core.lists import SPARSE, ZERO_RICH
from fastmlp.core.norms import constrain_norms
from fastmlp.core.product import share
from fastmlp.core.rows_phase import is_sparse, own
from fastmlp.core.rules import clips, is_plain, moves_all, rule_of
from fastmlp.core.sparse import update_sparse
from fastmlp.core.update import update, update_biases, update_marked, update_sample


def _update_sparse(X, layer, parameters, n_rows, rule, team, work, first, last):
    update_sparse(
        layer, parameters, work.deltas, n_rows, rule, team, work.forward.listed,
        work.forward.values, work.columns, first, last,
    )  # fmt: skip


def _never(X, layer, parameters, n_rows, rule, team, work, first, last):
    pass


#: Does `update_sparse` where X is sparse.
update_sparse_rows = by_type(is_sparse, _update_sparse, _never)


@kernel(inline=True)
def weights_phase(
    worker, n_workers, team, parameters, optimizer, samples, work, n_rows, step, meetings
):
    """Change this worker's share of all weights; return how many meetings there have been.

    Where gradients are clipped by the norm of all of them together, they are collected first, all
    workers meet, and then the weights change. Where a unit's weights have a largest norm, all
    meet once more, for a unit's weights are many workers'.
    """
    change_weights(worker, n_workers, team, parameters, optimizer, samples, work, n_rows, step)
    return settle(optimizer, worker, n_workers, team, parameters, work, step, meetings)


def _nothing_to_settle(optimizer, worker, n_workers, team, parameters, work, step, meetings):
    return meetings


def _settle(optimizer, worker, n_workers, team, parameters, work, step, meetings):
    layers = work.forward.layers
    if clips(optimizer):
        sums, scratch = own(work.sums, worker, n_workers), own(work.panels, worker, n_workers)
        square_gradients(layers, optimizer, sums, worker, n_workers)
        meetings += 1
        meet(team, n_workers, meetings)
        change_by_collected(layers, parameters, optimizer, step, scratch, worker, n_workers)
    if optimizer.constrained:
        meetings += 1
        meet(team, n_workers, meetings)
        _constrain(worker, n_workers, parameters, work)
    return meetings


#: Clips and applies collected gradients, and scales weights down to their largest norm.
settle = by_type(is_plain, _nothing_to_settle, _settle)


@kernel(inline=True)
def change_weights(worker, n_workers, team, parameters, optimizer, samples, work, n_rows, step):
    """Change each layer's weights, or only collect their gradients where they are clipped."""
    layers, activations, deltas = work.forward.layers, work.forward.activations, work.deltas
    listed, values = work.forward.listed, work.forward.values
    scratch, clipped = own(work.panels, worker, n_workers), clips(optimizer)
    for l in range(len(layers)):
        layer = layers[l]
        rule = rule_of(optimizer, step, layer.l2, layer.l1, scratch, clipped)
        if n_rows == 1 and not moves_all(rule):
            if worker == 0:
                update_sample(layer, parameters, deltas, rule, listed, values)
        else:
            first, last = share(layer.n_in, worker, n_workers)
            if l == 0 and samples.inputs == SPARSE:
                update_sparse_rows(
                    samples.X, layer, parameters, n_rows, rule, team, work, first, last
                )
            elif l == 0 and samples.inputs == ZERO_RICH:
                update_marked(
                    layer, parameters, activations, deltas, n_rows, rule, team, work.forward.marks,
                    own(work.words, worker, n_workers), first, last,
                )  # fmt: skip
            else:
                update(layer, parameters, activations, deltas, n_rows, rule, team, first, last)
        if worker == 0:
            of_biases = rule_of(optimizer, step, 0.0, 0.0, scratch, clipped)
            update_biases(layer, parameters, deltas, n_rows, of_biases)


@kernel(inline=True)
def _constrain(worker, n_workers, parameters, work):
    """Scale down this worker's share of all units to their largest norm."""
    for l in range(len(work.forward.layers)):
        layer = work.forward.layers[l]
        if layer.max_norm < np.inf:
            first, last = share(layer.n_out, worker, n_workers)
            constrain_norms(
                layer.weights_at, layer.stride_out, layer.n_in, layer.max_norm, parameters,
                first, last, own(work.sums, worker, n_workers),
            )  # fmt: skip
