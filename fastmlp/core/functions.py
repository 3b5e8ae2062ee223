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


@intrinsic
def _split(typing_context, x):
    """``(m, n)`` with x = m * 2**n and m from sqrt(1/2) to sqrt(2), of a normal positive x."""
    single = x == types.float32
    bits, mantissa, bias = (32, 23, 127) if single else (64, 52, 1023)

    def write(context, builder, signature, values):
        number = ir.FloatType() if single else ir.DoubleType()
        integer = ir.IntType(bits)
        root = builder.bitcast(ir.Constant(number, 0.5**0.5), integer)
        # From sqrt(1/2) to 1 the exponent is one lower: adding the bits of 1, less those of the
        # root, carries into it from the root on.
        whole = builder.bitcast(values[0], integer)
        whole = builder.sub(whole, builder.sub(root, ir.Constant(integer, bias << mantissa)))
        low = builder.and_(whole, ir.Constant(integer, (1 << mantissa) - 1))
        m = builder.bitcast(builder.add(low, root), number)
        # As numbers 2**mantissa apart from where they were, integers need no conversion.
        shift = ir.Constant(number, 1.5 * 2.0**mantissa)
        n = builder.lshr(whole, ir.Constant(integer, mantissa))
        n = builder.sub(n, ir.Constant(integer, bias))
        n = builder.bitcast(builder.add(n, builder.bitcast(shift, integer)), number)
        return context.make_tuple(builder, signature.return_type, (m, builder.fsub(n, shift)))

    return types.UniTuple(x, 2)(x), write


@intrinsic
def _polynomial(typing_context, x, coefficients):
    """``c[0] + x * (c[1] + x * (c[2] + ...))`` by Horner's rule, of a tuple of constants."""

    def write(context, builder, signature, values):
        total = None
        for k in reversed(range(len(coefficients))):
            c = builder.extract_value(values[1], k)
            total = c if total is None else builder.fadd(builder.fmul(total, values[0]), c)
        return total

    return x(x, coefficients), write


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


def _logarithms(real, n_terms, ln2_high, ln2_low):
    """Return the kernels of log and log1p for the type `real`."""
    series = tuple(real(2 / (2 * k + 3)) for k in range(n_terms))
    half, one, two, infinity, nan = real(0.5), real(1), real(2), real(np.inf), real(np.nan)
    tiny, up, down = np.finfo(real).tiny, real(2.0**60), real(60)

    @kernel
    def log_of_sum(g, n):
        """``log(2**n (1 + g))``."""
        f = g / (two + g)
        square = f * f
        rest = square * _polynomial(square, series)
        halved = half * g * g
        return n * ln2_high - ((halved - (f * (halved + rest) + n * ln2_low)) - g)

    @kernel
    def log(x):
        normal = x if x >= tiny else x * up  # subnormals scaled
        m, n = _split(normal)
        n = n if x >= tiny else n - down
        result = log_of_sum(m - one, n)
        result = result if x < infinity else x  # infinity and NaN
        result = result if x != 0 else -infinity
        return nan if x < 0 else result

    @kernel
    def log1p(x):
        m, n = _split(one + x)
        # m - 1 = (1 + x) / 2**n - 1, without the rounding of 1 + x, which the result would show.
        scale = _times_power_of_two(one, -n)
        g = x * scale + (scale - one)
        result = log_of_sum(g, n)
        result = result if x < infinity else x
        result = result if x != 0 else x
        result = result if x != -one else -infinity
        return nan if x < -one else result

    return log, log1p


_log32, _log1p32 = _logarithms(np.float32, 4, _LN2_HIGH_32, _LN2_LOW_32)
_log64, _log1p64 = _logarithms(np.float64, 10, _LN2_HIGH_64, _LN2_LOW_64)


def log(x):
    """Natural logarithm of a float32 or float64, for use in kernels.

    With x = 2**n (1 + g), 1 + g from sqrt(1/2) to sqrt(2), and f = g / (2 + g), it is
    n ln 2 + 2 (f + f**3 / 3 + f**5 / 5 + ...), as log((1 + f) / (1 - f)) (Abramowitz and Stegun,
    Handbook of Mathematical Functions, 1964, 4.1.27), the series ending below the rounding error.
    NaN stays NaN, x < 0 gives NaN, 0 gives -infinity; x may be subnormal.
    Largest error measured: 0.86 units in the last place over every float32, 0.85 over ten million
    float64.
    """
    raise NotImplementedError("log is compiled into kernels; use numpy.log in Python")


@overload(log, jit_options=CALLEE)
def _log(x):
    function = _log32 if x == types.float32 else _log64
    return lambda x: function(x)


def log1p(x):
    """``log(1 + x)`` of a float32 or float64, exact also for small x, for use in kernels.

    As `log` with 1 + x = 2**n (1 + g), where g = x / 2**n + (1 / 2**n - 1) is x itself while
    1 + x is between sqrt(1/2) and sqrt(2): the rounding of 1 + x is not seen in it.
    NaN stays NaN, x < -1 gives NaN, -1 gives -infinity.
    Largest error measured: 1.42 units in the last place over every float32, 1.40 over ten million
    float64.
    """
    raise NotImplementedError("log1p is compiled into kernels; use numpy.log1p in Python")


@overload(log1p, jit_options=CALLEE)
def _log1p(x):
    function = _log1p32 if x == types.float32 else _log1p64
    return lambda x: function(x)
