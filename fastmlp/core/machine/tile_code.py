"""The types of tiles, and the LLVM code that their operations consist of."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_constant
from numba.extending import models, register_model, typeof_impl

from fastmlp.core.machine import processor


class Shape:
    """The rows and the vectors per row of a tile; the lanes depend on the element type.

    A tile of which `part` is 2 has vectors of half as many lanes.
    """

    def __init__(self, rows: int, vectors: int, part: int = 1):
        self.rows, self.vectors, self.part = rows, vectors, part


class ShapeType(types.Opaque):
    """The Numba type of a `Shape`, which is a compile-time constant."""

    def __init__(self, rows: int, vectors: int, part: int):
        self.rows, self.vectors, self.part = rows, vectors, part
        super().__init__(name=f"Shape({rows}, {vectors}, {part})")


class TileType(types.Type):
    """The Numba type of a tile of float32 or float64."""

    def __init__(self, dtype: types.Float, rows: int, vectors: int, part: int = 1):
        self.dtype, self.rows, self.vectors, self.part = dtype, rows, vectors, part
        self.lanes = processor.LANES * 32 // dtype.bitwidth // part
        super().__init__(name=f"Tile({dtype}, {rows}, {vectors}, {self.lanes})")

    @property
    def element(self) -> ir.Type:
        """The LLVM type of an element."""
        return ir.FloatType() if self.dtype == types.float32 else ir.DoubleType()

    @property
    def vector(self) -> ir.VectorType:
        """The LLVM type of one register."""
        return ir.VectorType(self.element, self.lanes)

    @property
    def registers(self) -> ir.ArrayType:
        """The LLVM type of the whole tile."""
        return ir.ArrayType(self.vector, self.rows * self.vectors)


@typeof_impl.register(Shape)
def _typeof_shape(shape, context):
    return ShapeType(shape.rows, shape.vectors, shape.part)


@lower_constant(ShapeType)
def _constant_shape(context, builder, shape, value):
    return context.get_dummy_value()


register_model(ShapeType)(models.OpaqueModel)


@register_model(TileType)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        super().__init__(manager, tile, tile.registers)


class Writer:
    """LLVM's builder, with helpers for vectors."""

    def __init__(self, context, builder, signature, values):
        self.context, self.builder = context, builder
        self.signature, self.values = signature, values
        self._starts: dict[int, Any] = {}

    def constant(self, value: int):
        """Return an int64 constant."""
        return ir.Constant(ir.IntType(64), value)

    def pointer(self, argument: int, position, vector=None):
        """Return the address of element `position` of the array passed as `argument`."""
        if argument not in self._starts:
            self._starts[argument] = self.builder.extract_value(self.values[argument], 0)
        address = self.builder.gep(self._starts[argument], [position])
        return self.builder.bitcast(address, vector.as_pointer()) if vector else address

    def at(self, position, row: int, stride):
        """Return ``position + row * stride``."""
        if row == 0:
            return position
        return self.builder.add(position, self.builder.mul(stride, self.constant(row)))

    def columns_at(self, tile, position):
        """Return the positions of the vectors of a row that begins at `position`."""
        later = [self.constant(c * tile.lanes) for c in range(1, tile.vectors)]
        return [position, *(self.builder.add(position, c) for c in later)]

    def load(self, tile, argument: int, position):
        """Load a vector from element `position` on of the array passed as `argument`."""
        address = self.pointer(argument, position, tile.vector)
        return self.builder.load(address, align=tile.dtype.bitwidth // 8)

    def load_row(self, tile, argument: int, position):
        """Load the vectors of one row of a tile."""
        return [self.load(tile, argument, at) for at in self.columns_at(tile, position)]

    def store(self, tile, value, argument: int, position):
        """Store the vector `value` where `load` would load one."""
        address = self.pointer(argument, position, value.type)
        self.builder.store(value, address, align=tile.dtype.bitwidth // 8)

    def prefetch(self, argument: int, position, level: int):
        """Start loading the cache line of element `position` into the L1 or L2 cache."""
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        call = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        address = self.builder.bitcast(self.pointer(argument, position), byte)
        read, locality, data = (ir.Constant(word, value) for value in (0, 4 - level, 1))
        self.builder.call(call, [address, read, locality, data])

    def spread(self, number, lanes: int):
        """Broadcast `number` to every lane of a vector."""
        empty = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
        first = self.builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, empty, self.mask([0] * lanes))

    def mask(self, lanes):
        """Return the vector of the int32 numbers in `lanes`."""
        lanes = list(lanes)
        return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)

    def multiply_add(self, tile, x, y, z):
        """Return ``x * y + z``, with a single rounding if the processor has FMA."""
        if not processor.FUSED:  # LLVM would call the C library for every lane
            return self.builder.fadd(self.builder.fmul(x, y), z)
        name = f"llvm.fma.v{tile.lanes}f{tile.dtype.bitwidth}"
        signature = ir.FunctionType(tile.vector, [tile.vector] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(fma, [x, y, z])

    def widened(self, tile, value):
        """Return a vector with zeros after it, if the tile's have fewer lanes than a register."""
        if tile.part == 1:
            return value
        zero = ir.Constant(tile.vector, None)
        return self.builder.shuffle_vector(value, zero, self.mask(range(tile.part * tile.lanes)))

    def rows(self, tile, value):
        """Return the registers of a tile, a list of vectors for each row."""
        n = tile.vectors
        return [
            [self.builder.extract_value(value, r * n + c) for c in range(n)]
            for r in range(tile.rows)
        ]

    def places(self, tile, value, position, stride):
        """Yield each register of a tile with its position in an array with this row stride."""
        for r, row in enumerate(self.rows(tile, value)):
            yield from zip(row, self.columns_at(tile, self.at(position, r, stride)), strict=True)

    def tile(self, tile, rows):
        """Return the tile with these rows of vectors."""
        value = ir.Constant(tile.registers, ir.Undefined)
        for r, row in enumerate(rows):
            for c, vector in enumerate(row):
                value = self.builder.insert_value(value, vector, r * tile.vectors + c)
        return value
