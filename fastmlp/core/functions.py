"""Elementary functions in branch-free code that LLVM turns into vectors (floor 1)."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastmlp.core.kernel import CALLEE, kernel

_LOG2_E = 1.4426950408889634
# ln 2 in two parts: n times the first is exact for every n that occurs.
_LN2_HIGH_32, _LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LN2_HIGH_64, _LN2_LOW_64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Adding 1.5 * 2**(mantissa bits) leaves a number rounded to an integer in the low bits.
_ROUND_32, _ROUND_64 = np.float32(1.5 * 2**23), 1.5 * 2.0**52


@intrinsic
def _times_power_of_two(typing_context, x, n):
    """``x * 2**n`` for an integral float n, by two exact factors, so that the ends are gradual."""
    single = x == types.float32
    bits, mantissa, bias = (32, 23, 127) if single else (64, 52, 1023)

    def write(context, builder, signature, values):
        number = ir.FloatType() if single else ir.DoubleType()
        integer = ir.IntType(bits)
        shift = ir.Constant(number, 1.5 * 2.0**mantissa)
        # The bits of n + shift, less those of shift, are n: no conversion, which NaN would break.
        n = builder.sub(
            builder.bitcast(builder.fadd(values[1], shift), integer),
            builder.bitcast(shift, integer),
        )
        half = builder.ashr(n, ir.Constant(integer, 1))
        product = values[0]
        for exponent in (half, builder.sub(n, half)):
            biased = builder.add(exponent, ir.Constant(integer, bias))
            power = builder.shl(biased, ir.Constant(integer, mantissa))
            product = builder.fmul(product, builder.bitcast(power, number))
        return product

    return x(x, x), write


@kernel
def _exp32(x):
    x = np.float32(-104) if x < np.float32(-104) else x
    x = np.float32(89) if x > np.float32(89) else x
    n = (x * np.float32(_LOG2_E) + _ROUND_32) - _ROUND_32
    r = (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(1 / 2)
    return _times_power_of_two(p * r * r + r + np.float32(1), n)


@kernel
def _exp64(x):
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    n = (x * _LOG2_E + _ROUND_64) - _ROUND_64
    r = (x - n * _LN2_HIGH_64) - n * _LN2_LOW_64
    p = 1 / 6227020800
    p = p * r + 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 1 / 2
    return _times_power_of_two(p * r * r + r + 1.0, n)


def exp(x):
    """``e**x`` of a float32 or float64, for use in kernels.

    With n the integer nearest to x / ln 2 and r = x - n ln 2, e**x = 2**n e**r, and e**r is
    its Taylor polynomial to the term whose size is below the rounding error for |r| <= ln 2 / 2
    (Cody and Waite, Software Manual for the Elementary Functions, 1980, chapter 6).
    NaN stays NaN; results too small or too large for the type round to 0 and infinity.
    Largest error measured: 1.05 units in the last place over every float32, 0.95 over ten
    million float64, subnormal results included.
    """
    raise NotImplementedError("exp is compiled into kernels; use numpy.exp in Python")


@overload(exp, jit_options=CALLEE)
def _exp(x):
    function = _exp32 if x == types.float32 else _exp64
    return lambda x: function(x)


@intrinsic
def _single_of_bits(typing_context, bits):
    """Return the float32 that has these bits, of a uint32."""

    def write(context, builder, signature, values):
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.uint32), write


@kernel
def _single_of_half(bits):
    magnitude = np.uint32(bits & 0x7FFF) << np.uint32(13)
    # A half's infinity and NaN have all bits of the exponent set, and so must a single's.
    magnitude = magnitude | (np.uint32(0x70000000) if bits & 0x7C00 == 0x7C00 else np.uint32(0))
    sign = np.uint32(bits & 0x8000) << np.uint32(16)
    return _single_of_bits(np.uint32(magnitude | sign)) * np.float32(2.0**112)


def number(x, like):
    """``x`` as a number of the type of `like`, for use in kernels; a uint16 is a float16's bits.

    A half's exponent has 5 bits and a bias of 15, a single's 8 and 127, so the bits of one shifted
    into the other's place are 2**-112 of the number, also where it is subnormal (IEEE 754-2008,
    section 3.6). Exact wherever the type of `like` holds all numbers of x's.
    """
    raise NotImplementedError("number is compiled into kernels; use astype in Python")


@overload(number, jit_options=CALLEE)
def _number(x, like):
    convert = np.float32 if like == types.float32 else np.float64
    if x == types.uint16:
        return lambda x, like: convert(_single_of_half(x))
    return lambda x, like: convert(x)  # of a number of its own type: nothing
