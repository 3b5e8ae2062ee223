"""Propagate: the deltas of every layer from those of the layer after it (floor 2)."""

from __future__ import annotations

from fastmlp.core.barrier import stopped
from fastmlp.core.kernel import kernel
from fastmlp.core.product import PAIR, SINGLE, WIDE, add_product
from fastmlp.core.tile import (
    columns,
    copy_transposed,
    lanes_of,
    rows,
    store_where_positive,
    zeros,
)


@kernel(inline=True)
def propagate(layer, below, parameters, activations, deltas, panel, team, first, last):
    """``delta_in[i] = (W.T delta_out[i]) * relu'(z_in[i])`` for the rows first to last.

    Parameters
    ----------
    layer, below : records of `storage.LAYER`
        The layer whose deltas are known and the one before it, whose deltas are wanted.
    parameters, activations : flat arrays
        Read: W, and the activations of `below`, positive where relu' is 1.
    deltas : flat array
        Those of `layer` are read; those of `below` are overwritten, to whole tiles of rows.
    panel : array
        Overwritten: a few columns of W.T.
    team : int64 array
        Where it is told to stop, so does this, between two panels.
    first, last : int
    """
    k = _propagate_columns(
        WIDE, 0, layer, below, parameters, activations, deltas, panel, team, first, last
    )
    k = _propagate_columns(
        PAIR, k, layer, below, parameters, activations, deltas, panel, team, first, last
    )
    _propagate_columns(
        SINGLE, k, layer, below, parameters, activations, deltas, panel, team, first, last
    )


@kernel
def _propagate_columns(
    shape, k, layer, below, parameters, activations, deltas, panel, team, first, last
):
    width = columns(shape, parameters)
    while k + width <= layer.padded_in and not stopped(team):
        _transpose_panel(layer, parameters, k, width, panel)
        for i in range(first, last, rows(shape)):
            sums = add_product(
                zeros(shape, parameters), layer.n_out,
                deltas, layer.delta_at + i * layer.stride_out, layer.stride_out, 1,
                panel, 0, width,
            )  # fmt: skip
            at = i * below.stride_out + k
            store_where_positive(
                sums,
                activations, below.output_at + at,
                deltas, below.delta_at + at, below.stride_out,
            )  # fmt: skip
        k += width
    return k


@kernel(inline=True)
def _transpose_panel(layer, parameters, k, width, panel):
    """``panel[j, c] = W[j, k + c]`` for c < width: rows of the stored (n_in, n_out) array, turned.

    So the sum over j reads whole vectors, and runs in the order of j like every other sum.
    """
    lanes = lanes_of(parameters)
    for c in range(0, width, lanes):
        at = layer.weights_at + (k + c) * layer.stride_out
        for j in range(0, layer.padded_out, lanes):
            copy_transposed(parameters, at + j, layer.stride_out, panel, j * width + c, width)
