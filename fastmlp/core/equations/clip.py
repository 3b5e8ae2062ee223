"""Clipping: scale the gradients of all layers down to a maximum norm."""

from __future__ import annotations

import numpy as np

from fastmlp.core.equations.norms import square_blocks, sum_of_squares
from fastmlp.core.equations.product import MOST_ROWS, share
from fastmlp.core.equations.update_rules import change_row, rule_of
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import smaller

SLACK = 1e-6  # added to the norm, as in PyTorch, to allow division by it if it is zero


@kernel
def square_gradients(layers, optimizer, sums, worker):
    """Sum the squares of the worker's share of the collected gradients, block by block.

    Parameters
    ----------
    layers : records of `storage.LAYER`
    optimizer : update_rules.Optimizer
        With options. Its `gradients` are read and its `squares` overwritten: for each layer, a sum
        for every `MOST_ROWS` inputs and one for the biases, whatever the number of workers.
    sums : float64 array of at least `norms.RUNNING_SUMS`
        The worker's; overwritten.
    worker : barrier.Worker
    """
    squares = optimizer.options.squares
    for l in range(len(layers)):
        layer = layers[l]
        square_blocks(layer, optimizer.gradients, 1.0, squares, sums, worker)
        if worker.number == 0:
            n = (layer.n_out + MOST_ROWS - 1) // MOST_ROWS * MOST_ROWS
            squares[layer.squares_at + layer.padded_in // MOST_ROWS] = sum_of_squares(
                optimizer.gradients, layer.biases_at, 1, layer.stride_out, n, sums
            )


@kernel
def change_by_collected(layers, parameters, optimizer, l2_share, step, worker):
    """Change the worker's share of all weights by their gradients ``g * min(1, c / norm)``.

    The norm is the Euclidean norm of the gradients of all weights and biases together, and c
    `clip_norm` (Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural
    networks, 2013, section 3.2).

    Parameters
    ----------
    layers : records of `storage.LAYER`
    parameters : flat array
        Changed.
    optimizer : update_rules.Optimizer
        With options. Its moments are changed, `gradients` overwritten, `squares` read.
    l2_share : float
        Multiplies the l2 of each layer.
    step : int
        Of this run.
    worker : barrier.Worker
    """
    total = 0.0
    for part in range(len(optimizer.options.squares)):
        total += optimizer.options.squares[part]
    factor = smaller(1.0, optimizer.options.clip_norm / (np.sqrt(total) + SLACK))
    for l in range(len(layers)):
        layer = layers[l]
        rule = rule_of(optimizer, step, l2_share * layer.l2, layer.l1)
        first, last = share(layer.n_in, worker)
        for k in range(first, last):
            at = layer.weights_at + k * layer.stride_out
            _change_row(rule, factor, optimizer.gradients, parameters, at, layer.padded_out)
        if worker.number == 0:
            biases = rule_of(optimizer, step, 0.0, 0.0)
            n = layer.padded_out
            _change_row(biases, factor, optimizer.gradients, parameters, layer.biases_at, n)


@kernel
def _change_row(rule, factor, gradients, parameters, at, n):
    g = gradients[at : at + n]
    scale = g.dtype.type(factor)
    for j in range(n):
        g[j] *= scale
    change_row(rule, gradients, at, parameters, at, n)
