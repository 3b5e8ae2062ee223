"""The register tile: ``rows x (vectors * lanes)`` elements of a result, held in registers.

A tile is an ordinary value in compiled code. Each operation below generates LLVM code for the
tile's shape; the loops over tiles are plain Python, compiled by Numba (`equations.product`).
Arrays are one-dimensional and contiguous, positions and strides count elements, and nothing
is bounds-checked: the storage pads every buffer to whole tiles.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.core.machine import processor
from fastmlp.core.machine.tile_code import ShapeType, TileType, Writer
from fastmlp.core.machine.vector import VectorType


def _tile_of(shape: ShapeType, array: VectorType) -> TileType:
    assert isinstance(array, VectorType)
    return TileType(array.dtype, shape.rows, shape.vectors, shape.part)


@intrinsic
def rows(typing_context, shape):
    """``rows(shape)``: the rows of a tile."""

    def write(context, builder, signature, values):
        return context.get_constant(types.intp, shape.rows)

    return types.intp(shape), write


@intrinsic
def lanes_of(typing_context, array):
    """``lanes_of(array)``: the number of the array's elements in a vector."""
    lanes = processor.LANES * 32 // array.dtype.bitwidth

    def write(context, builder, signature, values):
        return context.get_constant(types.intp, lanes)

    return types.intp(array), write


@intrinsic
def columns(typing_context, shape, array):
    """``columns(shape, array)``: the columns of a tile of the array's element type."""
    tile = _tile_of(shape, array)

    def write(context, builder, signature, values):
        return context.get_constant(types.intp, tile.vectors * tile.lanes)

    return types.intp(shape, array), write


@intrinsic
def zeros(typing_context, shape, array):
    """``zeros(shape, array)``: a tile of zeros of the array's element type."""
    tile = _tile_of(shape, array)

    def write(context, builder, signature, values):
        return ir.Constant(tile.registers, None)

    return tile(shape, array), write


@intrinsic
def load(typing_context, shape, array, position, stride):
    """``load(shape, array, position, stride)``: row r is ``array[position + r * stride:]``."""
    tile = _tile_of(shape, array)

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        starts = [w.at(values[2], r, values[3]) for r in range(tile.rows)]
        return w.tile(tile, [w.load_row(tile, 1, start) for start in starts])

    return tile(shape, array, types.intp, types.intp), write


@intrinsic
def add_outer(typing_context, tile, x, x_at, x_stride, y, y_at):
    """``add_outer(tile, x, x_at, x_stride, y, y_at)``: tile + outer(x, y).

    ``tile[r, c] += x[x_at + r * x_stride] * y[y_at + c]``.
    """

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        row = w.load_row(tile, 4, values[5])
        sums = w.rows(tile, values[0])
        for r in range(tile.rows):
            number = builder.load(w.pointer(1, w.at(values[2], r, values[3])))
            factor = w.spread(number, tile.lanes)
            sums[r] = [
                w.multiply_add(tile, factor, y, z) for y, z in zip(row, sums[r], strict=True)
            ]
        return w.tile(tile, sums)

    return tile(tile, x, types.intp, types.intp, y, types.intp), write


@intrinsic
def outer(typing_context, x, x_at, row):
    """``outer(x, x_at, row)``: ``0 + x[x_at] * row`` for a tile of one row."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        factor = w.spread(builder.load(w.pointer(0, values[1])), row.lanes)
        zero = ir.Constant(row.vector, None)
        sums = [[w.multiply_add(row, factor, y, zero) for y in w.rows(row, values[2])[0]]]
        return w.tile(row, sums)

    return row(x, types.intp, row), write


@intrinsic
def add_row(typing_context, tile, array, position):
    """``add_row(tile, array, position)``: tile + ``array[position:]`` in every row."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        row = w.load_row(tile, 1, values[2])
        sums = [
            [builder.fadd(total, y) for total, y in zip(totals, row, strict=True)]
            for totals in w.rows(tile, values[0])
        ]
        return w.tile(tile, sums)

    return tile(tile, array, types.intp), write


@intrinsic
def relu(typing_context, tile):
    """``relu(tile)``: max(tile, 0), element by element; NaN stays NaN."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        zero = ir.Constant(tile.vector, None)
        rows = [
            [builder.select(builder.fcmp_ordered("<", v, zero), zero, v) for v in row]
            for row in w.rows(tile, values[0])
        ]
        return w.tile(tile, rows)

    return tile(tile), write


@intrinsic
def copy_transposed(
    typing_context, source, source_at, source_stride, target, target_at, target_stride
):
    """``target[...] = source[...].T`` for one square block of lanes x lanes.

    Blocks of at least 128 bits change places between rows first, then the elements within each by
    interleaving rows: every exchange is one instruction, because none mixes both.
    """
    lanes = processor.LANES * 32 // source.dtype.bitwidth
    block = 128 // source.dtype.bitwidth
    tile = TileType(source.dtype, lanes, 1)

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)

        def shuffled(a, b, places):
            """Return two vectors of elements of a and b: each place is (from b?, lane)."""
            return [
                builder.shuffle_vector(a, b, w.mask(of_b * lanes + lane for of_b, lane in vector))
                for vector in places
            ]

        rows = [w.load(tile, 0, w.at(values[1], r, values[2])) for r in range(lanes)]
        distance = lanes // 2
        while distance >= block:
            first = [(c & distance > 0, c & ~distance) for c in range(lanes)]
            second = [(c & distance > 0, c | distance) for c in range(lanes)]
            for r in (r for r in range(lanes) if r & distance == 0):
                pair = rows[r], rows[r + distance]
                rows[r], rows[r + distance] = shuffled(*pair, (first, second))
            distance //= 2
        low = [(c % 2, c // block * block + c % block // 2) for c in range(lanes)]
        high = [(of_b, lane + block // 2) for of_b, lane in low]
        for start in range(0, lanes, block):
            group = rows[start : start + block]
            for _ in range(block.bit_length() - 1):
                pairs = zip(group[: block // 2], group[block // 2 :], strict=True)
                group = [row for a, b in pairs for row in shuffled(a, b, (low, high))]
            rows[start : start + block] = group
        for r, row in enumerate(rows):
            w.store(tile, row, 3, w.at(values[4], r, values[5]))
        return context.get_dummy_value()

    signature = types.void(source, types.intp, types.intp, target, types.intp, types.intp)
    return signature, write


@intrinsic
def store(typing_context, tile, array, position, stride):
    """``store(tile, array, position, stride)``: overwrites ``array[position + r * stride:]``."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        for vector, at in w.places(tile, values[0], values[2], values[3]):
            w.store(tile, vector, 1, at)
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), write


@intrinsic
def store_padded(typing_context, tile, array, position, stride):
    """Do `store`; a tile of half vectors is followed by as many zeros."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        for vector, at in w.places(tile, values[0], values[2], values[3]):
            w.store(tile, w.widened(tile, vector), 1, at)
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), write


@intrinsic
def store_where_positive(typing_context, tile, gate, gate_at, array, position, stride):
    """``array[...] = tile where gate > 0, else 0``; gate and array share one stride."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        zero = ir.Constant(tile.vector, None)
        gate = w.places(tile, values[0], values[2], values[5])
        target = w.places(tile, values[0], values[4], values[5])
        for (vector, gate_at), (_, at) in zip(gate, target, strict=True):
            g = w.load(tile, 1, gate_at)
            kept = builder.select(builder.fcmp_ordered(">", g, zero), vector, zero)
            w.store(tile, kept, 3, at)
        return context.get_dummy_value()

    return types.void(tile, gate, types.intp, array, types.intp, types.intp), write


@intrinsic
def store_product(typing_context, tile, array, position, stride):
    """``array[...] *= tile``."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        for vector, at in w.places(tile, values[0], values[2], values[3]):
            w.store(tile, builder.fmul(vector, w.load(tile, 1, at)), 1, at)
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), write


@intrinsic
def descend(typing_context, tile, rate, array, position, stride):
    """``array[...] -= rate * tile``: one step of gradient descent."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        minus_rate = w.spread(builder.fneg(values[1]), tile.lanes)
        for gradient, at in w.places(tile, values[0], values[3], values[4]):
            weights = w.load(tile, 2, at)
            w.store(tile, w.multiply_add(tile, minus_rate, gradient, weights), 2, at)
        return context.get_dummy_value()

    return types.void(tile, tile.dtype, array, types.intp, types.intp), write


@intrinsic
def add_scaled(typing_context, tile, factor, array, position, stride):
    """``add_scaled(tile, factor, array, position, stride)``: tile + factor * ``array[...]``."""

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        factors = w.spread(values[1], tile.lanes)
        sums = w.rows(tile, values[0])
        for r in range(tile.rows):
            row = w.load_row(tile, 2, w.at(values[3], r, values[4]))
            sums[r] = [
                w.multiply_add(tile, factors, y, z) for y, z in zip(row, sums[r], strict=True)
            ]
        return w.tile(tile, sums)

    return tile(tile, tile.dtype, array, types.intp, types.intp), write


@intrinsic
def prefetch(typing_context, array, position):
    """``prefetch(array, position)``: start loading one cache line into the L2 cache."""

    def write(context, builder, signature, values):
        Writer(context, builder, signature, values).prefetch(0, values[1], level=2)
        return context.get_dummy_value()

    return types.void(array, types.intp), write


@intrinsic
def prefetch_tile(typing_context, shape, array, position, stride):
    """``prefetch_tile(shape, array, position, stride)``: start loading what `load` would load."""
    tile = _tile_of(shape, array)
    line = processor.CACHE_LINE * 8 // tile.dtype.bitwidth

    def write(context, builder, signature, values):
        w = Writer(context, builder, signature, values)
        for r in range(tile.rows):
            start = w.at(values[2], r, values[3])
            for c in range(0, tile.vectors * tile.lanes, line):
                w.prefetch(1, builder.add(start, w.constant(c)), level=1)
        return context.get_dummy_value()

    return types.void(shape, array, types.intp, types.intp), write
