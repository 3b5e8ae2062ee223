"""Forward: the activations of every layer from those of the layer before it (floor 2)."""

from __future__ import annotations

from fastmlp.core.activations import RELU
from fastmlp.core.barrier import stopped
from fastmlp.core.kernel import kernel
from fastmlp.core.lists import list_at
from fastmlp.core.product import (
    PAIR,
    ROW,
    ROW_SINGLE,
    SINGLE,
    WIDE,
    add_listed,
    add_product,
)
from fastmlp.core.tile import columns, rectify, repeat_row, rows, store


@kernel(inline=True)
def forward(layer, parameters, activations, team, first, last):
    """``a_out[i] = f(W a_in[i] + b)`` for the rows first to last of the minibatch.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    parameters : flat array
        Every layer's weights and biases; read.
    activations : flat array
        The layer's inputs are read, its outputs overwritten, to whole tiles of rows.
    team : int64 array
        Where it is told to stop, so does this, between two panels of outputs.
    first, last : int
    """
    j = _forward_columns(WIDE, 0, layer, parameters, activations, team, first, last)
    j = _forward_columns(PAIR, j, layer, parameters, activations, team, first, last)
    _forward_columns(SINGLE, j, layer, parameters, activations, team, first, last)


@kernel
def _forward_columns(shape, j, layer, parameters, activations, team, first, last):
    """Compute the outputs from j on in tiles of `shape`; return where less than one is left."""
    width = columns(shape, parameters)
    while j + width <= layer.padded_out and not stopped(team):
        for i in range(first, last, rows(shape)):
            z = repeat_row(shape, parameters, layer.biases_at + j)
            z = add_product(
                z, layer.n_in,
                activations, layer.input_at + i * layer.stride_in, layer.stride_in, 1,
                parameters, layer.weights_at + j, layer.stride_out,
            )  # fmt: skip
            a = rectify(z) if layer.activation == RELU else z
            store(a, activations, layer.output_at + i * layer.stride_out + j, layer.stride_out)
        j += width
    return j


@kernel(inline=True)
def forward_listed(layer, parameters, activations, listed, team, first, last):
    """`forward` that passes over inputs that are zero: the same sums.

    Parameters
    ----------
    layer, parameters, activations, team, first, last
        As in `forward`.
    listed : int32 array
        The rows' lists, of `lists.list_inputs`; read.
    """
    j = _forward_listed(ROW, 0, layer, parameters, activations, listed, team, first, last)
    _forward_listed(ROW_SINGLE, j, layer, parameters, activations, listed, team, first, last)


@kernel
def _forward_listed(shape, j, layer, parameters, activations, listed, team, first, last):
    width = columns(shape, parameters)
    while j + width <= layer.padded_out and not stopped(team):
        for i in range(first, last):
            z = repeat_row(shape, parameters, layer.biases_at + j)
            z = add_listed(
                z, listed, list_at(layer, i),
                activations, layer.input_at + i * layer.stride_in,
                parameters, layer.weights_at + j, layer.stride_out,
            )  # fmt: skip
            a = rectify(z) if layer.activation == RELU else z
            store(a, activations, layer.output_at + i * layer.stride_out + j, layer.stride_out)
        j += width
    return j
