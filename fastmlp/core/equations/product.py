"""The one inner product of the library and the tile shapes it runs in.

Forward, propagate and update are the same sum of outer products, read from different arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.inputs.nonzeros import INPUTS_TOGETHER, ROWS_IN_A_WORD, lowest_bit
from fastmlp.core.machine import processor
from fastmlp.core.machine.barrier import stopped
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.tile import (
    Shape,
    add_outer,
    add_scaled,
    columns,
    copy_transposed,
    descend,
    lanes_of,
    relu,
    repeat_row,
    rows,
    store,
    store_product,
    store_where_positive,
    zeros,
)

# The widest shape keeps the multiply-add units busy from as few loads as the registers allow;
# the narrower ones finish the columns that are left over.
WIDE, PAIR, SINGLE = (
    (Shape(4, 4), Shape(8, 2), Shape(8, 1))
    if processor.REGISTERS == 32
    else (Shape(4, 2), Shape(4, 2), Shape(8, 1))
)
MOST_ROWS = 8  # of the shapes above: a worker's share is whole blocks of so many rows
ROW, ROW_SINGLE = Shape(1, 4), Shape(1, 1)


# What becomes of a sum: it is stored, or relu of it; or where the gate is positive, and else zero;
# or the target is multiplied by it; or descends by it: ``target -= rate * (sum + decay * target)``.
STORE, STORE_RELU, GATE, MULTIPLY, DESCEND = 0, 1, 2, 3, 4


class Product(NamedTuple):
    """``sum[r, c] = start[c] + sum over t < n_terms of x[r, t] * y[t, c]``, and what becomes of it.

    All arrays are flat: element (r, t) of x is ``x[x_at + r * x_row + t * x_term]``, and so on.
    """

    n_terms: int
    n_columns: int  # whole vectors
    x: np.ndarray
    x_at: int
    x_row: int
    x_term: int
    y: np.ndarray
    y_at: int
    y_term: int
    transposed: bool  # y lies as (c, t), y_term being the step of c
    panel: np.ndarray  # where `transposed`: overwritten with a few rows of y, transposed
    start: np.ndarray
    start_at: int  # -1 for zeros
    target: np.ndarray
    target_at: int
    target_row: int
    finish: int
    gate: np.ndarray  # its element (r, c) is ``gate[gate_at + r * target_row + c]``
    gate_at: int
    rate: float
    decay: float


@kernel(inline=True)
def share(n, worker, n_workers):
    """Return where this worker's share of n rows begins and ends: whole blocks of `MOST_ROWS`."""
    blocks = (n + MOST_ROWS - 1) // MOST_ROWS
    first = worker * blocks // n_workers * MOST_ROWS
    last = (worker + 1) * blocks // n_workers * MOST_ROWS
    return first, min(last, n)


@kernel
def multiply(product, team, first, last):
    """Compute the rows first to last of a `Product`.

    Parameters
    ----------
    product : Product
        Its target is overwritten, to whole tiles of rows.
    team : int64 array
        Where it is told to stop, so does this, between two tiles.
    first, last : int
    """
    j = _multiply(WIDE, 0, product, team, first, last)
    j = _multiply(PAIR, j, product, team, first, last)
    _multiply(SINGLE, j, product, team, first, last)


@kernel
def _multiply(shape, j, product, team, first, last):
    """Compute the columns from j on in tiles of `shape`; return where less than one is left."""
    x, x_row, x_term, target = product.x, product.x_row, product.x_term, product.target
    width = columns(shape, x)
    while j + width <= product.n_columns:
        y, y_at, y_term = product.y, product.y_at + j, product.y_term
        if product.transposed:
            y_at = product.y_at + j * y_term
            _transpose(y, y_at, y_term, product.panel, width, product.n_terms)
            y, y_at, y_term = product.panel, 0, width
        for r in range(first, last, rows(shape)):
            if stopped(team):
                break
            tile = zeros(shape, x)
            if product.start_at >= 0:
                tile = repeat_row(shape, product.start, product.start_at + j)
            x_at = product.x_at + r * x_row
            for t in range(product.n_terms):
                tile = add_outer(tile, x, x_at + t * x_term, x_row, y, y_at + t * y_term)
            at = product.target_at + r * product.target_row + j
            if product.finish == DESCEND:
                if product.decay != 0:
                    tile = add_scaled(tile, product.decay, target, at, product.target_row)
                descend(tile, product.rate, target, at, product.target_row)
            elif product.finish == GATE:
                gate_at = product.gate_at + r * product.target_row + j
                store_where_positive(tile, product.gate, gate_at, target, at, product.target_row)
            elif product.finish == MULTIPLY:
                store_product(tile, target, at, product.target_row)
            else:
                tile = relu(tile) if product.finish == STORE_RELU else tile
                store(tile, target, at, product.target_row)
        j += width
    return j


@kernel
def _transpose(y, y_at, y_term, panel, width, n_terms):
    """``panel[t, c] = y[c, t]`` for c < width, so that the sum over t reads whole vectors."""
    lanes = lanes_of(y)
    for c in range(0, width, lanes):
        for t in range(0, n_terms, lanes):
            copy_transposed(y, y_at + c * y_term + t, y_term, panel, t * width + c, width)


@kernel(inline=True)
def add_listed(tile, listed, values, at, y, y_at, y_term):
    """``tile + x y`` for one row and the terms of the list at `at` alone, in the list's order."""
    for s in range(at + 1, at + 1 + listed[at]):
        tile = add_outer(tile, values, s, 0, y, y_at + listed[s] * y_term)
    return tile


@kernel(inline=True)
def add_marked(tile, words, at, n_words, x, x_at, x_term, y, y_at, y_term):
    """``tile + x y`` for one row and the terms whose bits are set alone, in their order."""
    for w in range(n_words):
        bits = words[at + w * INPUTS_TOGETHER]
        while bits != 0:
            t = w * ROWS_IN_A_WORD + lowest_bit(bits)
            bits &= bits - 1
            tile = add_outer(tile, x, x_at + t * x_term, 0, y, y_at + t * y_term)
    return tile
