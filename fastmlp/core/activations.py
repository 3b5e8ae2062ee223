"""Activation functions and their derivatives: name -> code, and what the code does (floor 1)."""

from __future__ import annotations

from fastmlp.core.kernel import kernel
from fastmlp.core.product import ROW_SINGLE
from fastmlp.core.tile import lanes_of, rectify, repeat_row, store, store_where_positive

IDENTITY, RELU = 0, 1

#: The accepted names and the codes that kernels know them by.
ACTIVATIONS = {"identity": IDENTITY, "relu": RELU}


@kernel
def activate(layer, activations, first, last):
    """``a[i] = f(z[i])`` for the rows first to last, in place.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    activations : flat array
        The layer's outputs are overwritten.
    first, last : int
    """
    if layer.activation == IDENTITY:
        return
    for i in range(first, last):
        at = layer.output_at + i * layer.stride_out
        for j in range(at, at + layer.padded_out, lanes_of(activations)):
            store(rectify(repeat_row(ROW_SINGLE, activations, j)), activations, j, 0)


@kernel
def gate(layer, activations, deltas, first, last):
    """``delta[i] *= f'(z[i])`` for the rows first to last, in place.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    activations, deltas : flat arrays
        The layer's activations are read, its deltas overwritten.
    first, last : int
    """
    if layer.activation == IDENTITY:
        return
    for i in range(first, last):
        row = i * layer.stride_out
        for j in range(row, row + layer.padded_out, lanes_of(deltas)):
            delta = repeat_row(ROW_SINGLE, deltas, layer.delta_at + j)
            store_where_positive(
                *(delta, activations, layer.output_at + j, deltas, layer.delta_at + j, 0)
            )
