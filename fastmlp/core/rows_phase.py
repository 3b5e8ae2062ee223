"""The first phase of a step: rows of the minibatch forward, and their deltas back."""

from __future__ import annotations

from fastmlp.core.equations.forward import activate_rows, forward, forward_listed
from fastmlp.core.equations.losses import output_delta
from fastmlp.core.equations.propagate import propagate
from fastmlp.core.inputs.gather import gather
from fastmlp.core.inputs.nonzeros import (
    DENSE,
    SPARSE,
    list_inputs,
    mark_inputs,
)
from fastmlp.core.inputs.sparse import list_sparse
from fastmlp.core.machine.barrier import stopped
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.tile import prefetch
from fastmlp.core.maths.random_bits import add_noise, key_of

# Where a worker's status is not 1 + a row of X: the team was stopped; a loss is not finite.
HALTED, DIVERGED = -1, -2


@kernel
def add_input_noise(draws, layer, activations, start, first, last):
    """Add noise to the inputs of the first layer, unless `draws` is None."""
    if draws is None:
        return
    if draws.input_noise > 0:
        key_low, key_high = key_of(draws.key, 0)
        for i in range(first, last):
            at, row = layer.input_at + i * layer.stride_in, draws.row + start + i
            x = activations[at : at + layer.n_in]  # (n_in,)
            add_noise(key_low, key_high, row, draws.input_noise, x)


@kernel
def activate_if_stored(draws, layer, activations, derivatives, start, first, last):
    """Call `activate_rows` for layers that store derivatives, unless `draws` is None."""
    if draws is None:
        return
    if layer.stores_derivative:
        activate_rows(layer, activations, derivatives, draws, start, first, last)


@kernel
def forward_rows(team, parameters, samples, space, derivatives, minibatch, inputs, first, last):
    """Read the rows first to last of the minibatch and take them forward through all layers.

    Parameters
    ----------
    team : int64 array
        If its ``team[STOPPED]`` is set, the result is undefined.
    parameters : flat array
        Read.
    samples : step.Samples
        Read.
    space : storage.ForwardSpace
        Overwritten.
    derivatives : flat array
        The deltas: overwritten with f'(z) in layers where `stores_derivative`. Empty for
        prediction, which neither drops outputs nor adds noise.
    minibatch : step.Minibatch
    inputs : int
        How the first layer reads X: a code of `nonzeros`.
    first, last : int

    Returns
    -------
    int
        1 + a row of X that has NaN or infinity, 0 if all are finite.
    """
    layers, activations, start = space.layers, space.activations, minibatch.start
    scaling, order = samples.scaling, samples.order
    status = gather(layers[0], samples.X, scaling, order, start, activations, first, last)
    status += list_sparse(layers[0], samples.sparse, samples, start, space, first, last)
    if len(derivatives) > 0:
        add_input_noise(samples.draws, layers[0], activations, start, first, last)
    for l in range(len(layers)):
        layer = layers[l]
        if minibatch.n_rows == 1 or (l == 0 and inputs != DENSE):
            if l > 0 or inputs != SPARSE:
                list_inputs(layer, space, first, last)
            if l == 0 and len(space.marks) > 0:
                mark_inputs(layer, space, first, last)
            forward_listed(layer, parameters, space, team, first, last)
        else:
            forward(layer, parameters, activations, team, first, last)
        activate_if_stored(samples.draws, layer, activations, derivatives, start, first, last)
    return status


@kernel
def rows_phase(worker, parameters, samples, work, minibatch, first, last):
    """Compute activations, losses and deltas of the rows first to last, from the old weights."""
    layers = work.forward.layers
    output = layers[len(layers) - 1]
    _prefetch_targets(samples, minibatch.start, output, first, last)
    status = forward_rows(
        worker.team, parameters, samples, work.forward, work.deltas, minibatch, samples.inputs,
        first, last,
    )  # fmt: skip
    diverged = output_delta(output, samples, work, minibatch, first, last)
    if status == 0 and diverged:
        status = DIVERGED
    work.status[worker.number] = HALTED if stopped(worker.team) else status
    for l in range(len(layers) - 1, 0, -1):
        propagate(layers[l], layers[l - 1], parameters, worker, work, first, last)


@kernel
def _prefetch_targets(samples, start, layer, first, last):
    """Prefetch the rows' targets while they go forward: one cache miss instead of one per row.

    Not of arrays that are empty: to prefetch an address that is not mapped takes 40 ns.
    """
    targets = samples.targets
    for i in range(first, last):
        row = samples.order[start + i]
        if len(targets.labels) > 0:
            prefetch(targets.labels, row)
        else:
            prefetch(targets.values, row * layer.n_out)
        if len(targets.weights) > 0:
            prefetch(targets.weights, row)
