"""The first phase of a step: rows of the minibatch forward, and their deltas back."""

from __future__ import annotations

from numba import types

from fastmlp.core.equations.forward import activate_rows, forward, forward_listed
from fastmlp.core.equations.losses import output_delta
from fastmlp.core.equations.propagate import propagate
from fastmlp.core.equations.update_rules import is_basic
from fastmlp.core.inputs.gather import gather
from fastmlp.core.inputs.nonzeros import DENSE, SPARSE, list_inputs, mark_inputs
from fastmlp.core.inputs.sparse import list_sparse
from fastmlp.core.machine.barrier import stopped
from fastmlp.core.machine.kernel import by_type, kernel
from fastmlp.core.machine.tile import prefetch
from fastmlp.core.maths.random_bits import add_noise, key_of

# Instead of a refused row: the team was told to stop; a loss is not finite.
HALTED, DIVERGED = -1, -2


def is_sparse(arguments):
    """Whether the first of these Numba types is that of sparse rows."""
    return isinstance(arguments[0], types.NamedTuple)


def _list_rows(X, layer, samples, start, space, first, last):
    return list_sparse(
        layer, X, samples.scaling, samples.order, start, space.listed, space.values, first, last
    )


def _gather_rows(X, layer, samples, start, space, first, last):
    return gather(layer, X, samples.scaling, samples.order, start, space.activations, first, last)


#: Gathers dense rows or lists sparse ones; returns 1 + a row that is not finite, or 0.
read_rows = by_type(is_sparse, _list_rows, _gather_rows)


def _nothing_drawn(draws, layer, activations, start, first, last):
    pass


def _add_noise(draws, layer, activations, start, first, last):
    if draws.input_noise > 0:
        key_low, key_high = key_of(draws.key, 0)
        for i in range(first, last):
            at, row = layer.input_at + i * layer.stride_in, draws.row + start + i
            x = activations[at : at + layer.n_in]
            add_noise(key_low, key_high, row, draws.input_noise, x)


#: Adds noise to the inputs of the first layer.
add_input_noise = by_type(is_basic, _nothing_drawn, _add_noise)


def _nothing_derived(draws, layer, number, activations, derivatives, start, first, last):
    pass


def _activate_rows(draws, layer, number, activations, derivatives, start, first, last):
    if layer.stores_derivative:
        activate_rows(layer, number, activations, derivatives, draws, start, first, last)


#: Does `forward.activate_rows` in layers that it is for.
derive_rows = by_type(is_basic, _nothing_derived, _activate_rows)


@kernel
def forward_rows(team, parameters, samples, space, derivatives, start, n_rows, first, last):
    """Gather the rows first to last and bring them forward through all layers.

    Parameters
    ----------
    team : int64 array
    parameters : flat array
        Read.
    samples : step.Samples
        Read.
    space : storage.ForwardSpace
        Overwritten.
    derivatives : flat array
        The deltas, overwritten in layers that say so with the derivatives of their activations.
        In prediction, which drops nothing and adds no noise, empty.
    start, n_rows : int
        Where in the order the minibatch begins, and how many rows it has.
    first, last : int

    Returns
    -------
    int
        1 + a row of X that holds NaN or infinity, 0 where all is finite.
    """
    layers, activations, listed, values = (
        space.layers, space.activations, space.listed, space.values
    )  # fmt: skip
    refused = read_rows(samples.X, layers[0], samples, start, space, first, last)
    if len(derivatives) > 0:
        add_input_noise(samples.draws, layers[0], activations, start, first, last)
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
        derive_rows(samples.draws, layer, l + 1, activations, derivatives, start, first, last)
    return refused


@kernel(inline=True)
def rows_phase(worker, team, parameters, samples, work, start, n_rows, scale, first, last):
    """Compute activations, losses and deltas of the rows first to last, from the old weights."""
    layers, activations, deltas = work.forward.layers, work.forward.activations, work.deltas
    n_layers = len(layers)
    _prefetch_targets(samples.targets, samples.order, start, layers[n_layers - 1], first, last)
    refused = forward_rows(
        team, parameters, samples, work.forward, deltas, start, n_rows, first, last
    )
    diverged = output_delta(
        layers[n_layers - 1], samples.loss, activations, deltas, samples.targets, samples.order,
        start, work.losses, first, last, scale,
    )  # fmt: skip
    if refused == 0 and diverged:
        refused = DIVERGED
    work.status[worker] = HALTED if stopped(team) else refused
    for l in range(n_layers - 1, 0, -1):
        propagate(
            layers[l], layers[l - 1], parameters, activations, deltas,
            worker_slice(work.panels, worker, len(work.status)), team, first, last,
        )  # fmt: skip


@kernel(inline=True)
def _prefetch_targets(targets, order, start, layer, first, last):
    """Bring the rows' targets near while they go forward: one miss instead of one a row.

    Not of arrays that are empty: looking for an address that is nobody's takes 40 ns.
    """
    for i in range(first, last):
        row = order[start + i]
        if len(targets.labels) > 0:
            prefetch(targets.labels, row)
        else:
            prefetch(targets.values, row * layer.n_out)
        if len(targets.weights) > 0:
            prefetch(targets.weights, row)


@kernel(inline=True)
def worker_slice(array, worker, n_workers):
    """Return this worker's part of an array that has one for each."""
    n = len(array) // n_workers
    return array[worker * n : (worker + 1) * n]
