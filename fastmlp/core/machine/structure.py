"""Structures: NamedTuples that kernels take by address.

Numba passes a NamedTuple part by part, and again to every function that a kernel calls. Of a
structure it passes the address of a table, from which a kernel loads the parts that it uses.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

from fastmlp.core.machine.vector import WORD, VectorType, vector_value
from fastmlp.messages import must

C = TypeVar("C", bound=type[tuple[Any, ...]])


def by_address(structure: C) -> C:
    """Let kernels take a NamedTuple class by address; arrays in it must be contiguous.

    In a kernel its arrays are vectors, its other fields are numbers, structures or None. Kernels
    cannot make or change a structure.
    """
    fields: tuple[str, ...] = structure._fields  # type: ignore[attr-defined]

    @typeof_impl.register(structure)
    def type_of_structure(values: Any, context: Any) -> StructureType:
        kinds = tuple(_type_of(value, context) for value in values)
        return StructureType(structure.__name__, fields, kinds)

    return structure


def by_value(structure: C) -> C:
    """Let kernels take a NamedTuple class part by part, with vectors for its arrays."""

    @typeof_impl.register(structure)
    def type_of_parts(values: Any, context: Any) -> types.NamedTuple:
        return types.NamedTuple([_type_of(value, context) for value in values], structure)

    return structure


def _type_of(value: Any, context: Any) -> types.Type:
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or not value.flags.c_contiguous:
            raise ValueError(
                must("array", "be contiguous and have one dimension", f"shape {value.shape}")
            )
        return VectorType(from_dtype(value.dtype))
    return typeof_impl(value, context)


class StructureType(types.Type):
    """The Numba type of a structure: the types of its fields, and where they are in its table.

    The table has two words for a vector, none for None, and one for anything else.
    """

    def __init__(self, name: str, fields: tuple[str, ...], kinds: tuple[types.Type, ...]):
        self.fields: dict[str, tuple[types.Type, int]] = {}
        self.n_words = 0
        for field, kind in zip(fields, kinds, strict=True):
            self.fields[field] = kind, self.n_words
            self.n_words += 0 if kind == types.none else 2 if isinstance(kind, VectorType) else 1
        parts = ", ".join(f"{field}: {kind}" for field, kind in zip(fields, kinds, strict=True))
        super().__init__(name=f"{name}({parts})")


@register_model(StructureType)
class _StructureModel(models.PrimitiveModel):
    def __init__(self, manager, structure):
        super().__init__(manager, structure, WORD.as_pointer())


@unbox(StructureType)
def _unbox(structure, values, c):
    """Fill the table of a structure; it is valid during the call."""
    builder = c.builder
    words = ir.ArrayType(WORD, max(structure.n_words, 1))
    table = builder.bitcast(cgutils.alloca_once(builder, words), WORD.as_pointer())
    failed = cgutils.false_bit
    for i, (kind, word) in enumerate(structure.fields.values()):
        if kind == types.none:
            continue
        part = c.unbox(kind, c.pyapi.tuple_getitem(values, i))
        failed = builder.or_(failed, part.is_error)
        stored = [part.value]
        if isinstance(kind, VectorType):
            stored = [builder.extract_value(part.value, 0), builder.extract_value(part.value, 1)]
        elif kind == types.boolean:
            stored = [builder.zext(part.value, WORD)]
        for offset, value in enumerate(stored):
            builder.store(value, _address(builder, table, word + offset, value.type))
    return NativeValue(table, is_error=failed)


@infer_getattr
class _Fields(AttributeTemplate):
    key = StructureType

    def generic_resolve(self, structure, name):
        return structure.fields[name][0] if name in structure.fields else None


@lower_getattr_generic(StructureType)
def _field(context, builder, structure, table, name):
    kind, word = structure.fields[name]
    if kind == types.none:
        return context.get_dummy_value()
    if isinstance(kind, VectorType):
        element = context.get_data_type(kind.dtype).as_pointer()
        data = _load(builder, table, word, element)
        return vector_value(builder, data, _load(builder, table, word + 1, WORD))
    if kind == types.boolean:
        return builder.icmp_unsigned("!=", _load(builder, table, word, WORD), ir.Constant(WORD, 0))
    return _load(builder, table, word, context.get_value_type(kind))


def _load(builder, table, word, kind):
    """Load a part of a table, which no kernel changes: so loads may move out of loops."""
    value = builder.load(_address(builder, table, word, kind))
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _address(builder, table, word, kind):
    return builder.bitcast(builder.gep(table, [ir.Constant(WORD, word)]), kind.as_pointer())
