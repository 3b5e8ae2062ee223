"""The one matrix product of the library, and the tile shapes that it is computed in.

Forward, propagate and update are the same sum of outer products, of different matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.inputs.nonzeros import INPUTS_TOGETHER, ROWS_IN_A_WORD, lowest_bit
from fastmlp.core.machine import processor
from fastmlp.core.machine.barrier import stopped
from fastmlp.core.machine.kernel import joined, kernel
from fastmlp.core.machine.scalars import smaller
from fastmlp.core.machine.tile import (
    add_outer,
    add_scaled,
    columns,
    copy_transposed,
    descend,
    lanes_of,
    load,
    prefetch,
    prefetch_tile,
    relu,
    rows,
    store,
    store_padded,
    store_product,
    store_where_positive,
    zeros,
)
from fastmlp.core.machine.tile_code import Shape

# The widest shape keeps the multiply-add units busy with as few loads as the registers allow; the
# narrower ones compute the remaining columns. Of vectors of 512 bits the last is half of one, which
# takes half of the time where processors compute them in two halves.
WIDE, MIDDLE, LAST = (
    (Shape(4, 3), Shape(4, 2), Shape(8, 1))
    if processor.REGISTERS < 32
    else (Shape(4, 4), Shape(8, 1), Shape(8, 1, part=2))
    if processor.LANES == 16
    else (Shape(4, 4), Shape(8, 2), Shape(8, 1))
)
PARTS = LAST.part  # of a vector, that are computed
MOST_ROWS = 8  # of any shape above; shares of workers are multiples of it
ROW, ROW_SINGLE = Shape(1, 4), Shape(1, 1)

# A product is computed in blocks, so that what a tile reads is still in the cache from the tile
# before: in sums of at most TERMS terms at a time, and for at most ROWS_AT_ONCE rows.
TERMS, ROWS_AT_ONCE = 512, 512
MOST_LANES = 16  # of any vector: a block of terms is transposed by whole vectors
# Columns of y are copied to a panel in whole vectors: half ones overwrite the row after their last.
SUMS_ROW = TERMS + 1  # the row of a panel from which on partial sums are kept
PANEL_LINES = 4 * (SUMS_ROW + ROWS_AT_ONCE)  # cache lines: no tile has more than 4 in a row
PREFETCHED_TERMS = 64  # shorter sums are too quick to hide the latency of memory

# What is done with a sum s: ``target = s``; ``target = relu(s)``; ``target = s`` where the gate is
# positive and 0 elsewhere; ``target *= s``; ``target -= rate * (s + decay * target)``.
STORE, STORE_RELU, GATE, MULTIPLY, DESCEND = 0, 1, 2, 3, 4


class Matrix(NamedTuple):
    """A matrix in a flat array: element (r, c) is ``array[offset + r * row_step + c * col_step]``.

    One of the steps is 1; the columns of a matrix are padded to whole vectors.
    """

    array: np.ndarray
    offset: int
    row_step: int
    col_step: int


class Product(NamedTuple):
    """``s[r, c] = start[c] + sum over t < n_terms of x[r, t] * y[t, c]``, and what is done with it.

    All products have fields of the same types, so that `multiply` is compiled only once: a panel or
    gate that is not used is `empty`.
    """

    n_terms: int
    first_column: int  # from which on it is computed
    n_columns: int  # whole tiles of shape `LAST`
    x: Matrix  # (rows, n_terms)
    y: Matrix  # (n_terms, n_columns)
    packs: bool  # whether columns of y are copied to the panel; they must be if its row_step is 1
    panel: np.ndarray  # `PANEL_LINES` cache lines, overwritten; empty if nothing is packed or waits
    start: int  # the offset of start[0] in the array of y; -1 for zeros
    target: Matrix  # (rows, n_columns)
    gate: Matrix  # (rows, n_columns); without elements if `finish` is not GATE
    finish: int  # a code of the above
    rate: float
    decay: float


@kernel
def empty(array):
    """Return an array without elements, of the same type."""
    return array[:0]


@kernel
def empty_matrix(array):
    """Return a matrix without elements, of the same type as the others."""
    return Matrix(empty(array), 0, 0, 0)


@kernel
def transposed(matrix):
    """Return the transpose: the same elements, with the steps exchanged."""
    return Matrix(matrix.array, matrix.offset, matrix.col_step, matrix.row_step)


@kernel
def inputs_of(layer, activations):
    """Return the inputs of a layer, (n_rows, n_in)."""
    return Matrix(activations, layer.input_at, layer.stride_in, 1)


@kernel
def outputs_of(layer, activations):
    """Return the outputs of a layer, (n_rows, n_out)."""
    return Matrix(activations, layer.output_at, layer.stride_out, 1)


@kernel
def deltas_of(layer, deltas):
    """Return the deltas of a layer, (n_rows, n_out)."""
    return Matrix(deltas, layer.delta_at, layer.stride_out, 1)


@kernel
def weights_of(layer, parameters):
    """Return the weights of a layer, (n_in, n_out)."""
    return Matrix(parameters, layer.weights_at, layer.stride_out, 1)


@kernel
def share(n, worker):
    """Return the first row of the worker's share of n rows, and the one after its last."""
    blocks = (n + MOST_ROWS - 1) // MOST_ROWS
    first = worker.number * blocks // worker.n_workers * MOST_ROWS
    last = (worker.number + 1) * blocks // worker.n_workers * MOST_ROWS
    return first, smaller(last, n)


@kernel
def multiply(product, team, first, last):
    """Compute the rows first to last of a `Product`.

    Parameters
    ----------
    product : Product
        Its target is overwritten, to whole tiles of rows.
    team : int64 array
        If its ``team[STOPPED]`` is set, this returns between two tiles.
    first, last : int
    """
    wide, middle = columns(WIDE, product.panel), columns(MIDDLE, product.panel)
    narrow, n_columns = columns(LAST, product.panel), product.n_columns
    last_wide = n_columns
    if wide == middle + narrow and (n_columns - product.first_column) % wide == narrow:
        last_wide -= middle  # two of two vectors are faster than one of three and one of one
    for block in range(first, last, ROWS_AT_ONCE):
        end = smaller(block + ROWS_AT_ONCE, last)
        j = _multiply(WIDE, product.first_column, last_wide, product, team, block, end)
        j = _multiply(MIDDLE, j, n_columns, product, team, block, end)
        _multiply(LAST, j, n_columns, product, team, block, end)


@kernel
def _multiply(shape, j, last_column, product, team, first, last):
    """Compute columns from j on in tiles of `shape`; return the first column that is left."""
    x, target, gate, panel = product.x, product.target, product.gate, product.panel
    n_terms, width = product.n_terms, columns(shape, panel)
    n_blocks = (n_terms + TERMS - 1) // TERMS
    together = (n_terms + n_blocks * MOST_LANES - 1) // (n_blocks * MOST_LANES) * MOST_LANES
    while j + width <= last_column:
        for begin in range(0, n_terms, together):
            end = smaller(begin + together, n_terms)
            y_step = product.y.row_step
            y, y_at = product.y.array, product.y.offset + begin * y_step + j
            if product.packs:
                _pack(product.y, begin, end, j, panel, width)
                y, y_at, y_step = panel, 0, width
            for r in range(first, last, rows(shape)):
                if stopped(team):
                    break
                target_at = target.offset + r * target.row_step + j
                if n_terms >= PREFETCHED_TERMS:
                    prefetch_tile(shape, target.array, target_at, target.row_step)
                    if product.finish == GATE:
                        gate_at = gate.offset + r * gate.row_step + j
                        prefetch_tile(shape, gate.array, gate_at, gate.row_step)
                # Partial sums are kept in the target, or in the panel if its old values are needed.
                sums, sums_at, sums_step = target.array, target_at, target.row_step
                if product.finish == MULTIPLY or product.finish == DESCEND:
                    sums, sums_at, sums_step = panel, (SUMS_ROW + r - first) * width, width
                tile = zeros(shape, panel)
                if begin > 0:
                    tile = load(shape, sums, sums_at, sums_step)
                elif product.start >= 0:
                    tile = load(shape, product.y.array, product.start + j, 0)
                x_at = x.offset + r * x.row_step + begin * x.col_step
                # Each term's cache line for the tile after the next, if so many that they are in no
                # cache yet; otherwise the line that is read anyway, because one loop compiles once.
                ahead = x_at + (2 * rows(shape) if x.row_step == 1 and n_blocks > 1 else 0)
                for t in range(end - begin):
                    prefetch(x.array, ahead + t * x.col_step)
                    tile = add_outer(
                        tile, x.array, x_at + t * x.col_step, x.row_step, y, y_at + t * y_step
                    )
                if end < n_terms:
                    store(tile, sums, sums_at, sums_step)
                else:
                    _finish(tile, product, r, j)
        j += width
    return j


@joined
def _finish(tile, product, r, j):
    """Apply `product.finish` to a tile, whose first element is (r, j)."""
    target, gate = product.target, product.gate
    array, step, at = target.array, target.row_step, target.offset + r * target.row_step + j
    if product.finish == DESCEND:
        if product.decay != 0:
            tile = add_scaled(tile, product.decay, array, at, step)
        descend(tile, product.rate, array, at, step)
    elif product.finish == GATE:
        store_where_positive(tile, gate.array, gate.offset + r * step + j, array, at, step)
    elif product.finish == MULTIPLY:
        store_product(tile, array, at, step)
    else:
        tile = relu(tile) if product.finish == STORE_RELU else tile
        store_padded(tile, array, at, step)


@kernel
def _pack(y, begin, end, j, panel, width):
    """``panel[t, c] = y[begin + t, j + c]`` for c < width, so that sums load adjacent vectors."""
    lanes = lanes_of(panel)
    for c in range(0, width, lanes):
        if y.col_step == 1:
            for t in range(begin, end):
                row = load(ROW_SINGLE, y.array, y.offset + t * y.row_step + j + c, 0)
                store(row, panel, (t - begin) * width + c, 0)
        else:
            for t in range(begin, end, lanes):
                y_at = y.offset + (j + c) * y.col_step + t
                copy_transposed(y.array, y_at, y.col_step, panel, (t - begin) * width + c, width)


@joined
def add_listed(tile, space, at, y, y_at, y_step):
    """``tile + x y`` for one row x, with only the terms of the list at `at`, in its order."""
    listed, values = space.listed, space.values
    for s in range(at + 1, at + 1 + listed[at]):
        tile = add_outer(tile, values, s, 0, y, y_at + listed[s] * y_step)
    return tile


@joined
def add_marked(tile, words, at, n_words, x, r, y, j):
    """``tile + x y``, with only the terms whose bits are set, in their order.

    The tile is one row: that of row r of x and of the columns of y from j on.
    """
    for w in range(n_words):
        bits = words[at + w * INPUTS_TOGETHER]
        while bits != 0:
            t = w * ROWS_IN_A_WORD + lowest_bit(bits)
            bits &= bits - 1
            x_at, y_at = x.offset + r * x.row_step + t * x.col_step, y.offset + t * y.row_step + j
            tile = add_outer(tile, x.array, x_at, 0, y.array, y_at)
    return tile
