"""Vectors: how kernels see arrays.

To a compiled function, an array of Numba's is a structure of seven parts, which are passed to every
function that it calls. A vector has two: the address of its first element and its length. It is
contiguous, has one dimension and does not own its memory. Nothing is bounds-checked, and indices
count from the beginning. Kernels index and slice a vector like an array; slices are views. Kernels
compile faster with vectors than with arrays.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_cast, lower_getattr
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import NativeValue, intrinsic, models, register_model, unbox

WORD = ir.IntType(64)


class VectorType(types.Type):
    """The Numba type of a vector with elements of this type."""

    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(VectorType)
class _VectorModel(models.StructModel):
    def __init__(self, manager, vector):
        members = [("data", types.CPointer(vector.dtype)), ("length", types.intp)]
        super().__init__(manager, vector, members)


def vector_value(builder, data, length):
    """Return the vector of the elements from the address `data` on."""
    kind = ir.LiteralStructType([data.type, WORD])
    value = builder.insert_value(ir.Constant(kind, ir.Undefined), data, 0)
    return builder.insert_value(value, length, 1)


def address_of(builder, vector, position):
    """Return the address of an element of a vector."""
    return builder.gep(builder.extract_value(vector, 0), [position])


@unbox(VectorType)
def _unbox(vector, values, c):
    """Take the address and the length of a contiguous array of one dimension."""
    array = c.context.make_array(types.Array(vector.dtype, 1, "C"))(c.context, c.builder)
    address = c.builder.bitcast(array._getpointer(), c.pyapi.voidptr)
    failed = cgutils.is_not_null(c.builder, c.pyapi.numba_array_adaptor(values, address))
    return NativeValue(vector_value(c.builder, array.data, array.nitems), is_error=failed)


@lower_cast(types.Array, VectorType)
def _of_array(context, builder, kind, vector, value):
    """Let kernels be called with arrays."""
    array = context.make_array(kind)(context, builder, value)
    return vector_value(builder, array.data, array.nitems)


@intrinsic
def vector(typing_context, array):
    """``vector(array)``: an array that Python has passed, as a vector."""

    def write(context, builder, signature, values):
        return context.cast(builder, values[0], array, signature.return_type)

    return VectorType(array.dtype)(array), write


def on_stack(n):
    """Return a function that, given a vector, returns one of n elements of its type on the stack.

    Their values are undefined. The new vector is valid until the function that calls it returns.
    """

    @intrinsic
    def stacked(typing_context, array):
        def write(context, builder, signature, values):
            room = cgutils.alloca_once(builder, context.get_data_type(array.dtype), n)
            return vector_value(builder, room, ir.Constant(WORD, n))

        return VectorType(array.dtype)(array), write

    return stacked


# What kernels do with vectors -----------------------------------------------------------------


@infer_global(len)
class _Length(AbstractTemplate):
    def generic(self, args, keywords):
        if len(args) == 1 and isinstance(args[0], VectorType):
            return signature(types.intp, args[0])
        return None


@infer_global(operator.getitem)
class _Item(AbstractTemplate):
    def generic(self, args, keywords):
        vector, index = args
        if not isinstance(vector, VectorType):
            return None
        if isinstance(index, types.SliceType) and not index.has_step:
            return signature(vector, vector, index)
        if isinstance(index, types.Integer):
            return signature(vector.dtype, vector, types.intp)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args, keywords):
        vector, index, _ = args
        if isinstance(vector, VectorType) and isinstance(index, types.Integer):
            return signature(types.none, vector, types.intp, vector.dtype)
        return None


@infer_getattr
class _Attributes(AttributeTemplate):
    key = VectorType

    def resolve_dtype(self, vector):
        return types.DType(vector.dtype)

    def resolve_itemsize(self, vector):
        return types.intp


@lower_getattr(VectorType, "dtype")
def _dtype(context, builder, kind, vector):
    return context.get_dummy_value()


@lower_getattr(VectorType, "itemsize")
def _itemsize(context, builder, kind, vector):
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    return context.get_constant(types.intp, size)


@lower_builtin(len, VectorType)
def _length(context, builder, signature, values):
    return builder.extract_value(values[0], 1)


@lower_builtin(operator.getitem, VectorType, types.Integer)
def _item(context, builder, signature, values):
    address = address_of(builder, *values)
    return context.unpack_value(builder, signature.args[0].dtype, address)


@lower_builtin(operator.setitem, VectorType, types.Integer, types.Any)
def _set_item(context, builder, signature, values):
    vector, index, value = values
    address = address_of(builder, vector, index)
    context.pack_value(builder, signature.args[0].dtype, value, address)


@lower_builtin(operator.getitem, VectorType, types.SliceType)
def _slice(context, builder, signature, values):
    """Return a view of the elements from `start` on, up to `stop` or the end of the vector."""
    vector, bounds = values
    part = context.make_helper(builder, signature.args[1], bounds)
    length = builder.extract_value(vector, 1)
    stop = _smaller(builder, part.stop, length)
    left = builder.sub(stop, part.start)
    none = ir.Constant(WORD, 0)
    left = builder.select(builder.icmp_signed("<", left, none), none, left)
    return vector_value(builder, address_of(builder, vector, part.start), left)


def _smaller(builder, x, y):
    return builder.select(builder.icmp_signed("<", x, y), x, y)
