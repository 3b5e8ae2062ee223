"""Structures: what kernels take by address.

Numba passes a NamedTuple part by part, and that to every function that a kernel calls. Of a
structure it passes the address of a table, and a kernel loads the parts that it uses.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from typing import Any, dataclass_transform

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, unbox

from fastmlp.core.machine.vector import WORD, VectorType, vector_value


class Layout:
    """What the kernels that take a structure are compiled for: the types of its fields."""

    def __init__(self, name: str, fields: tuple[str, ...], parts: tuple[Any, ...]):
        codes = [_CODES.get(part, "q" if isinstance(part, Layout) else "qq") for part in parts]
        self.packer = struct.Struct("@" + "".join(codes))
        self.new_table = ctypes.c_int64 * (self.packer.size // 8)
        starts = np.cumsum([0, *(len(code) * 8 for code in codes)]).tolist()
        kinds = [type_of(part) for part in parts]
        self.type = StructureType(name, tuple(zip(fields, kinds, starts, strict=False)))


#: Types of fields with one value in the table, or none, and how `struct` calls them.
_CODES = {int: "q", float: "d", bool: "q", type(None): ""}
_SCALARS = {int: types.int64, float: types.float64, bool: types.boolean, type(None): types.none}
_LAYOUTS: dict[tuple[Any, ...], Layout] = {}


def part_of(value: Any) -> Any:
    """Return what decides about the Numba type of a value, to be a part of a key."""
    kind = type(value)
    if kind is np.ndarray:
        return value.dtype
    if kind in _SCALARS:
        return kind
    if isinstance(value, Structure):
        return value.layout
    if isinstance(value, tuple):
        return kind, *map(part_of, value)
    return kind


def type_of(part: Any) -> types.Type:
    """Return the Numba type for what `part_of` returned."""
    if isinstance(part, Layout):
        return part.type
    if isinstance(part, tuple):
        return types.NamedTuple([type_of(each) for each in part[1:]], part[0])
    if part in _SCALARS:
        return _SCALARS[part]
    return VectorType(from_dtype(part))


def address_of(values: np.ndarray) -> int:
    """Return the address of an array's first element."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(values))
    except (TypeError, ValueError):  # read-only, or empty
        return values.ctypes.data


@dataclass_transform(frozen_default=True)
class Structure:
    """Base class of structures: subclasses only annotate their fields.

    A field is a contiguous array, a structure, an int, float or bool, or None. Kernels see arrays
    as vectors, and None has a type of its own. A structure cannot be changed.
    """

    _fields: tuple[str, ...]
    layout: Layout
    address: int

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any):
        if named:
            values += tuple([named[name] for name in self._fields[len(values) :]])
        parts, words = [type(self)], []
        for value in values:
            parts.append(part_of(value))
            if isinstance(value, np.ndarray):
                n = value.size
                words += (address_of(value) if n > 0 else 0, n)
            elif isinstance(value, Structure):
                words.append(value.address)
            elif value is not None:
                words.append(value)
        key = tuple(parts)
        layout = _LAYOUTS.get(key)
        if layout is None:
            layout = _LAYOUTS[key] = Layout(type(self).__name__, self._fields, key[1:])
        table = layout.new_table()
        layout.packer.pack_into(table, 0, *words)
        given = self.__dict__
        given.update(zip(self._fields, values, strict=True))
        given["layout"], given["_table"], given["address"] = layout, table, ctypes.addressof(table)

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in self._fields])

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def replace(self, **changes: Any) -> Any:
        """Return a structure with other values in some fields."""
        given = {name: getattr(self, name) for name in self._fields} | changes
        return type(self)(**given)


class StructureType(types.Type):
    """The Numba type of a structure: each field's name, type and offset in the table, in bytes."""

    def __init__(self, name: str, fields: tuple[tuple[str, types.Type, int], ...]):
        self.fields = {field: (kind, start) for field, kind, start in fields}
        parts = ", ".join(f"{field}: {kind}" for field, kind, _ in fields)
        super().__init__(name=f"{name}({parts})")


@register_model(StructureType)
class _StructureModel(models.PrimitiveModel):
    def __init__(self, manager, structure):
        super().__init__(manager, structure, ir.IntType(8).as_pointer())


@unbox(StructureType)
def _unbox(structure, address, c):
    return NativeValue(c.pyapi.long_as_voidptr(address))


@infer_getattr
class _Fields(AttributeTemplate):
    key = StructureType

    def generic_resolve(self, structure, name):
        return structure.fields[name][0] if name in structure.fields else None


@lower_getattr_generic(StructureType)
def _field(context, builder, structure, table, name):
    kind, start = structure.fields[name]
    if kind == types.none:
        return context.get_dummy_value()
    if isinstance(kind, VectorType):
        element = context.get_data_type(kind.dtype).as_pointer()
        data = _load(builder, table, start, element)
        return vector_value(builder, data, _load(builder, table, start + 8, WORD))
    if kind == types.boolean:
        return builder.icmp_unsigned("!=", _load(builder, table, start, WORD), ir.Constant(WORD, 0))
    return _load(builder, table, start, context.get_value_type(kind))


def _load(builder, table, start, kind):
    """Load a part of a table, which no kernel changes: so loads may move out of loops."""
    address = builder.gep(table, [ir.Constant(WORD, start)])
    value = builder.load(builder.bitcast(address, kind.as_pointer()))
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value
