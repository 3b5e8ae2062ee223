"""The bits of floats: powers of two, exponents, signs, float16; and polynomials.

All functions are branch-free, so that loops over them are vectorized.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastmlp.core.machine.compiler import CALLEE
from fastmlp.core.machine.kernel import kernel


def _layout(x):
    """Return the LLVM types of a float and of its bits, the mantissa bits, the exponent bias."""
    if x == types.float32:
        return ir.FloatType(), ir.IntType(32), 23, 127
    return ir.DoubleType(), ir.IntType(64), 52, 1023


def _shift(builder, x):
    """Return 1.5 * 2**(mantissa bits) and its bits.

    Its sum with an integer has that integer in the low bits. This converts between floats and
    integers without a conversion instruction, which is undefined for NaN and which not every
    processor has for vectors.
    """
    number, integer, mantissa, _ = _layout(x)
    shift = ir.Constant(number, 1.5 * 2.0**mantissa)
    return shift, builder.bitcast(shift, integer)


@intrinsic
def times_power_of_two(typing_context, x, n):
    """``x * 2**n`` for an integral float n, by two exact factors, for gradual underflow.

    n is from -252 to 254 in float32, from -2044 to 2046 in float64; NaN in x stays NaN.
    """

    def write(context, builder, signature, values):
        number, integer, mantissa, bias = _layout(x)
        shift, shift_bits = _shift(builder, x)
        n = builder.bitcast(builder.fadd(values[1], shift), integer)
        biased = builder.add(builder.sub(n, shift_bits), ir.Constant(integer, 2 * bias))
        half = builder.lshr(biased, ir.Constant(integer, 1))  # n / 2 + bias
        product = values[0]
        for exponent in (half, builder.sub(biased, half)):
            power = builder.shl(exponent, ir.Constant(integer, mantissa))
            product = builder.fmul(product, builder.bitcast(power, number))
        return product

    return x(x, x), write


@intrinsic
def split(typing_context, x):
    """``(m, n)`` with x = m * 2**n and m from sqrt(1/2) to sqrt(2), for a normal positive x."""

    def write(context, builder, signature, values):
        number, integer, mantissa, bias = _layout(x)
        shift, shift_bits = _shift(builder, x)
        root = builder.bitcast(ir.Constant(number, 0.5**0.5), integer)
        one = ir.Constant(integer, bias << mantissa)
        # The bits of x plus (the bits of 1 minus those of sqrt(1/2)): the high bits are n, biased,
        # the low bits are the bits of m minus those of sqrt(1/2).
        bits = builder.add(builder.bitcast(values[0], integer), builder.sub(one, root))
        above = builder.and_(bits, ir.Constant(integer, (1 << mantissa) - 1))
        m = builder.bitcast(builder.add(above, root), number)
        n = builder.lshr(bits, ir.Constant(integer, mantissa))
        n = builder.sub(n, ir.Constant(integer, bias))
        n = builder.fsub(builder.bitcast(builder.add(n, shift_bits), number), shift)
        return context.make_tuple(builder, signature.return_type, (m, n))

    return types.UniTuple(x, 2)(x), write


@intrinsic
def with_sign(typing_context, x, y):
    """``|x|`` with the sign of y, which may be -0."""

    def write(context, builder, signature, values):
        number = values[0].type
        kind = ir.FunctionType(number, (number, number))
        copy = builder.module.declare_intrinsic("llvm.copysign", (number,), kind)
        return builder.call(copy, values)

    return x(x, x), write


@intrinsic
def polynomial(typing_context, x, coefficients):
    """``c[0] + x * (c[1] + x * (c[2] + ...))`` (Horner's rule), for a tuple of the type of x."""

    def write(context, builder, signature, values):
        last = len(coefficients) - 1
        total = builder.extract_value(values[1], last)
        for k in reversed(range(last)):
            total = builder.fmul(total, values[0])
            total = builder.fadd(total, builder.extract_value(values[1], k))
        return total

    return x(x, coefficients), write


@intrinsic
def _single_of_bits(typing_context, bits):
    """Return the float32 that has the bits of a uint32."""

    def write(context, builder, signature, values):
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.uint32), write


@kernel
def _single_of_half(bits):
    magnitude = np.uint32(bits & 0x7FFF) << np.uint32(13)
    # Infinity and NaN have all bits of the exponent set, in half and in single precision.
    magnitude = magnitude | (np.uint32(0x70000000) if bits & 0x7C00 == 0x7C00 else np.uint32(0))
    sign = np.uint32(bits & 0x8000) << np.uint32(16)
    return _single_of_bits(np.uint32(magnitude | sign)) * np.float32(2.0**112)


def number(x, like):
    """Return x as the type of `like`, for use in kernels; a uint16 is the bits of a float16.

    The exponent of half precision has 5 bits and a bias of 15, that of single precision 8 bits and
    a bias of 127, so the bits of one shifted into place are 2**-112 times the number, subnormal
    or not (IEEE 754-2008, section 3.6). Exact if the type of `like` can represent x.
    """
    raise NotImplementedError("number is compiled into kernels; use astype in Python")


@overload(number, jit_options=CALLEE)
def _number(x, like):
    convert = np.float32 if like == types.float32 else np.float64
    if x == types.uint16:
        return lambda x, like: convert(_single_of_half(x))
    return lambda x, like: convert(x)
