"""A number of one type as that of another, also of a float16's bits (floor 1)."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastmlp.core.kernel import CALLEE, kernel


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
