"""Which inputs are not zero, so that products can skip all others.

A zero adds nothing to a sum, so the sum over the other terms, in the same order, has the same bits.
Forward goes along rows and uses a list for each row: the number of nonzero inputs, then their
indices. Update goes along columns and uses marks: for each input, a bit for each row of the
minibatch.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.core.machine import processor
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import smaller
from fastmlp.core.machine.tile import lanes_of
from fastmlp.core.machine.tile_code import TileType, Writer

# How the first layer reads X: all of it; dense rows, skipping zeros; sparse rows; dense rows,
# skipping zeros in minibatches whose first row has many, which only predictions do.
DENSE, ZERO_RICH, SPARSE, UNKNOWN = 0, 1, 2, 3
# Skipping zeros pays off if a smaller share of the inputs is nonzero.
DENSE_ENOUGH = 0.45
LISTED_TOGETHER = 256  # inputs: their weights stay in the L1 cache from row to row
INPUTS_TOGETHER = 128  # inputs whose rows are found together: the result stays in the L1 cache
ROWS_IN_A_WORD = 64


@kernel
def list_at(layer, i, block):
    """Return where row i's list for a block of the layer's inputs begins."""
    return layer.listed_at + i * layer.stride_listed + block * (layer.block_inputs + 1)


@intrinsic
def _append_nonzero(typing_context, x, x_at, k, listed, values, at):
    """Append the nonzero elements of the vector ``x[x_at:]``, the first of which is input k.

    For every lane c where ``x[x_at + c]`` is not zero, k + c is appended to ``listed[at:]`` and
    the element to ``values[at:]``. Returns the new end of the list. Up to a vector after it may be
    overwritten too.
    """
    tile = TileType(x.dtype, 1, 1)

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        numbers = w.load(tile, 0, values[1])
        chosen = _nonzero(w, tile, numbers)
        word, lanes, at = ir.IntType(32), tile.lanes, values[5]
        first = builder.trunc(values[2], word)
        # Without a branch, which would be mispredicted. No instruction packs two lanes.
        if processor.COMPRESS is None or lanes < 4:
            for lane in range(lanes):
                index = ir.Constant(word, lane)
                builder.store(builder.add(first, index), w.pointer(3, at))
                builder.store(builder.extract_element(numbers, index), w.pointer(4, at))
                at = builder.add(at, builder.zext(builder.extract_element(chosen, index), at.type))
            return at
        inputs = builder.add(w.spread(first, lanes), w.mask(range(lanes)))
        _store_packed(w, inputs, chosen, 3, at, "i32")
        _store_packed(w, numbers, chosen, 4, at, f"f{x.dtype.bitwidth}")
        flags = builder.bitcast(chosen, ir.IntType(lanes))
        return builder.add(at, builder.zext(builder.ctpop(flags), at.type))

    return types.intp(x, types.intp, types.intp, listed, values, types.intp), write


def _nonzero(w, tile, numbers):
    """Return for each lane whether it differs from zero, as NaN does."""
    return w.builder.fcmp_unordered("!=", numbers, ir.Constant(tile.vector, None))


def _store_packed(w, vector, chosen, argument, at, suffix):
    """Store the selected lanes contiguously; what follows them is undefined."""
    compress = cgutils.get_or_insert_function(
        w.builder.module,
        ir.FunctionType(vector.type, [vector.type, vector.type, chosen.type]),
        f"{processor.COMPRESS}.v{vector.type.count}{suffix}",
    )
    packed = w.builder.call(compress, [vector, vector, chosen])
    w.builder.store(packed, w.pointer(argument, at, vector.type), align=4)


@kernel
def list_inputs(layer, space, first, last):
    """List the nonzero inputs of the layer for the rows first to last.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    space : storage.ForwardSpace
        The layer's inputs are read; the rows' lists are overwritten: at `list_at` in `listed` the
        number of inputs and then the inputs, and in `values`, at the same positions, their values.
    first, last : int
    """
    activations, listed, values = space.activations, space.listed, space.values
    for i in range(first, last):
        for b in range(layer.n_blocks):
            at = list_at(layer, i, b)
            end = at + 1
            begin = b * layer.block_inputs
            for k in range(
                begin, smaller(begin + layer.block_inputs, layer.padded_in), lanes_of(activations)
            ):
                x_at = layer.input_at + i * layer.stride_in + k
                end = _append_nonzero(activations, x_at, k, listed, values, end)
            listed[at] = end - at - 1


@kernel
def inputs_of_row(layer, space, i):
    """Return how the layer reads minibatches that are like row i: `ZERO_RICH` or `DENSE`.

    The row's lists are overwritten, see `list_inputs`.
    """
    list_inputs(layer, space, i, i + 1)
    n_listed = 0
    for b in range(layer.n_blocks):
        n_listed += space.listed[list_at(layer, i, b)]
    return ZERO_RICH if n_listed < DENSE_ENOUGH * layer.n_in else DENSE


@kernel
def mark_inputs(layer, space, first, last):
    """Mark the nonzero inputs of the layer for the rows first to last.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    space : storage.ForwardSpace
        The layer's inputs are read; its `marks` are overwritten: input k of row i is bit
        ``k % lanes`` of ``marks[k // lanes * layer.stride_marks + i]``.
    first, last : int
    """
    activations, marks = space.activations, space.marks
    lanes = lanes_of(activations)
    for k in range(0, layer.padded_in, lanes):
        at = k // lanes * layer.stride_marks
        for i in range(first, last):
            x_at = layer.input_at + i * layer.stride_in + k
            marks[at + i] = _nonzero_lanes(activations, x_at)


@intrinsic
def _nonzero_lanes(typing_context, x, x_at):
    """Return a uint16 with a bit set for each nonzero lane of the vector ``x[x_at:]``."""
    tile = TileType(x.dtype, 1, 1)

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        chosen = _nonzero(w, tile, w.load(tile, 0, values[1]))
        flags = builder.bitcast(chosen, ir.IntType(tile.lanes))
        return flags if tile.lanes == 16 else builder.zext(flags, ir.IntType(16))

    return types.uint16(x, types.intp), write


@kernel
def find_rows(layer, space, words, n_rows, first, last):
    """Find the rows of the minibatch in which the inputs first to last are marked.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    space : storage.ForwardSpace
        Its `marks` are read, see `mark_inputs`.
    words : int64 array
        Overwritten: row i of input k is bit ``i % 64`` of
        ``words[i // 64 * INPUTS_TOGETHER + k - first]``.
    n_rows, first, last : int
    """
    marks, lanes = space.marks, lanes_of(space.activations)
    for start in range(0, n_rows, ROWS_IN_A_WORD):
        at = start // ROWS_IN_A_WORD * INPUTS_TOGETHER
        there = np.int64(-1)
        if n_rows - start < ROWS_IN_A_WORD:
            there = (np.int64(1) << (n_rows - start)) - 1
        for k in range(first, last):
            row_at = k // lanes * layer.stride_marks + start
            words[at + k - first] = _marked(marks, row_at, k % lanes) & there


@kernel
def list_found(words, n):
    """List the inputs, of the first n, that any row of a minibatch of at most 64 has.

    Parameters
    ----------
    words : int64 array
        Of `find_rows`: one word for each input. After those of `INPUTS_TOGETHER` inputs, the
        numbers of the inputs are stored, relative to the first.
    n : int

    Returns
    -------
    int
        How many there are.
    """
    found = words[INPUTS_TOGETHER:]
    n_found = 0
    for c in range(n):
        found[n_found] = c  # without a branch, which would be mispredicted
        n_found += words[c] != 0
    return n_found


@intrinsic
def _marked(typing_context, marks, at, lane):
    """Return an int64 with a bit set for each of the 64 ``marks[at:]`` that have the bit `lane`."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        half = ir.IntType(16)
        rows = ir.VectorType(half, ROWS_IN_A_WORD)
        flags = builder.load(w.pointer(0, values[1], rows), align=2)
        bit = builder.shl(ir.Constant(half, 1), builder.trunc(values[2], half))
        chosen = builder.and_(flags, w.spread(bit, ROWS_IN_A_WORD))
        found = builder.icmp_unsigned("!=", chosen, ir.Constant(rows, None))
        return builder.bitcast(found, ir.IntType(ROWS_IN_A_WORD))

    return types.int64(marks, types.intp, types.intp), write


@intrinsic
def lowest_bit(typing_context, bits):
    """Return the index of the lowest set bit of a nonzero int64."""

    def write(context, builder, signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), write
