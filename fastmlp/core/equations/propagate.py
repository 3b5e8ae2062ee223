"""Propagate: the deltas of a layer from those of the layer after it."""

from __future__ import annotations

from fastmlp.core.equations.activations import RELU
from fastmlp.core.equations.product import (
    GATE,
    MULTIPLY,
    STORE,
    Product,
    deltas_of,
    multiply,
    outputs_of,
    transposed,
    weights_of,
)
from fastmlp.core.machine.barrier import worker_slice
from fastmlp.core.machine.kernel import kernel


@kernel
def propagate(layer, below, parameters, worker, work, first, last):
    """``delta_in[i] = (W.T delta_out[i]) * f'(z_in[i])`` for the rows first to last.

    The derivative of relu is 1 where the activation is positive, that of the identity is 1, and
    `forward.activate_rows` has stored any other where the delta goes.

    Parameters
    ----------
    layer, below : records of `storage.LAYER`
        The layer whose deltas are known, and the one before it, whose deltas are computed.
    parameters : flat array
        Read.
    worker : barrier.Worker
        If its ``team[STOPPED]`` is set, this returns between two tiles.
    work : storage.Workspace
        The activations of `below` and the deltas of `layer` are read; the deltas of `below` are
        overwritten, to whole tiles of rows, and so is the worker's panel.
    first, last : int
    """
    finish = GATE if below.activation == RELU else STORE
    finish = MULTIPLY if below.stores_derivative else finish
    sums = Product(
        n_terms=layer.n_out,
        first_column=0,
        n_columns=layer.columns_in,
        x=deltas_of(layer, work.deltas),
        y=transposed(weights_of(layer, parameters)),
        packs=True,
        panel=worker_slice(work.panels, worker),
        start=-1,
        target=deltas_of(below, work.deltas),
        gate=outputs_of(below, work.forward.activations),
        finish=finish,
        rate=0.0,
        decay=0.0,
    )
    multiply(sums, worker.team, first, last)
