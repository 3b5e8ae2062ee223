"""Forward: the activations of a layer from those of the layer before it."""

from __future__ import annotations

from fastmlp.core.equations.activations import RELU, activate
from fastmlp.core.equations.product import (
    ROW,
    ROW_SINGLE,
    STORE,
    STORE_RELU,
    Product,
    add_listed,
    empty,
    empty_matrix,
    inputs_of,
    multiply,
    outputs_of,
    weights_of,
)
from fastmlp.core.inputs.nonzeros import list_at
from fastmlp.core.machine.barrier import stopped
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.tile import columns, load, relu, store
from fastmlp.core.maths.random_bits import drop, key_of


@kernel
def forward(layer, parameters, activations, team, first, last):
    """``a_out[i] = f(W a_in[i] + b)`` for the rows first to last of the minibatch.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    parameters : flat array
        Read.
    activations : flat array
        The layer's inputs are read, its outputs overwritten, to whole tiles of rows.
    team : int64 array
        If its ``team[STOPPED]`` is set, this returns between two tiles.
    first, last : int
    """
    sums = Product(
        n_terms=layer.n_in,
        first_column=0,
        n_columns=layer.columns_out,
        x=inputs_of(layer, activations),
        y=weights_of(layer, parameters),
        packs=False,
        panel=empty(parameters),
        start=layer.biases_at,
        target=outputs_of(layer, activations),
        gate=empty_matrix(parameters),
        finish=STORE_RELU if layer.activation == RELU else STORE,
        rate=0.0,
        decay=0.0,
    )
    multiply(sums, team, first, last)


@kernel
def activate_rows(layer, activations, derivatives, draws, start, first, last):
    """``a_out[i] = f(z[i])`` in place, with dropout, and ``f'(z[i])``, for the rows first to last.

    For activations other than identity and relu, and for layers with dropout. Activations that are
    kept, and their derivatives, are divided by the probability of keeping them (Srivastava et al.,
    Dropout, 2014, section 10).

    Parameters
    ----------
    layer : record of `storage.LAYER`
    activations : flat array
        The layer's outputs are overwritten.
    derivatives : flat array
        The layer's deltas are overwritten. Empty for prediction, which drops nothing.
    draws : step.RandomDraws
    start : int
        The number of rows of the epoch before the minibatch.
    first, last : int
    """
    n, n_out = layer.padded_out, layer.n_out
    key_low, key_high = key_of(draws.key, layer.number)
    for i in range(first, last):
        at, delta_at = layer.output_at + i * layer.stride_out, layer.delta_at + i * layer.stride_out
        a = activations[at : at + n]  # (padded_out,)
        derivative = derivatives[delta_at : delta_at + n]  # (padded_out,) or (0,)
        activate(layer.activation, a, derivative)
        if layer.dropout > 0 and len(derivative) > 0:
            row = draws.row + start + i
            drop(key_low, key_high, row, layer.dropout, a[:n_out], derivative[:n_out])
        for j in range(n_out, n):
            a[j] = 0
        for j in range(n_out, len(derivative)):
            derivative[j] = 0


@kernel
def forward_listed(layer, parameters, space, team, first, last):
    """Do `forward`, skipping inputs that are zero, which gives the same sums.

    Parameters
    ----------
    layer, parameters, team, first, last
        As in `forward`.
    space : storage.ForwardSpace
        The rows' lists, of `nonzeros.list_inputs`, are read; the layer's outputs are overwritten.
    """
    j = _forward_listed(ROW, 0, layer, parameters, space, team, first, last)
    _forward_listed(ROW_SINGLE, j, layer, parameters, space, team, first, last)


@kernel
def _forward_listed(shape, j, layer, parameters, space, team, first, last):
    width, activations, weights = columns(shape, parameters), space.activations, layer.weights_at
    while j + width <= layer.padded_out and not stopped(team):
        for b in range(layer.n_blocks):
            for i in range(first, last):
                at = layer.output_at + i * layer.stride_out + j
                z = load(shape, activations, at, 0)
                if b == 0:
                    z = load(shape, parameters, layer.biases_at + j, 0)
                listed_at = list_at(layer, i, b)
                z = add_listed(z, space, listed_at, parameters, weights + j, layer.stride_out)
                if b == layer.n_blocks - 1 and layer.activation == RELU:
                    z = relu(z)
                store(z, activations, at, 0)
        j += width
    return j
