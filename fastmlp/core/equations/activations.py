"""Activation functions: name -> code, and each with its derivative beside it."""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from fastmlp.core.machine.kernel import kernel
from fastmlp.core.maths.functions import expm1_exp, log1p, sigmoids, tanh_rest
from fastmlp.core.maths.normal_distribution import normal_cdf_pdf

IDENTITY, RELU, LEAKY_RELU, ELU, SIGMOID, TANH, SOFTPLUS, GELU, SILU = range(9)

#: The names that users may pass, and the codes that kernels use.
ACTIVATIONS = {
    "identity": IDENTITY,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "softplus": SOFTPLUS,
    "gelu": GELU,
    "silu": SILU,
}

#: Linear on both sides of 0; tending to a bound, as e**z does; the others are smooth relus.
PIECEWISE_LINEAR, BOUNDED = (IDENTITY, RELU, LEAKY_RELU), (ELU, SIGMOID, TANH)
LEAK = 0.01  # leaky_relu's slope below 0
STRIP = 512  # numbers: short enough for the stack


@intrinsic
def _spare(typing_context, z):
    """Return an array on the stack, of `STRIP` numbers of z's type, for what nobody reads."""
    kind = types.Array(z.dtype, 1, "C")

    def write(context, builder, signature, values):
        room = cgutils.alloca_once(builder, context.get_data_type(z.dtype), STRIP)
        length = context.get_constant(types.intp, STRIP)
        size = context.get_constant(types.intp, z.dtype.bitwidth // 8)
        array = context.make_array(kind)(context, builder)
        arrayobj.populate_array(array, room, (length,), (size,), size, None)
        return array._getvalue()

    return kind(z), write


@kernel
def activate(activation, z, derivatives):
    """Do ``a = f(z)`` in place of z, and ``f'(z)`` into derivatives.

    ========== ============================ ==========================
    name       f(z)                         f'(z)
    ========== ============================ ==========================
    identity   z                            1
    relu       max(z, 0)                    1 if z > 0 else 0
    leaky_relu z if z > 0 else 0.01 z       1 if z > 0 else 0.01
    elu        z if z > 0 else e**z - 1     1 if z > 0 else e**z
    sigmoid    s(z) = 1 / (1 + e**-z)       s(z) s(-z)
    tanh       tanh(z)                      (1 + tanh(z)) (1 - tanh(z))
    softplus   log(1 + e**z)                s(z)
    gelu       z Phi(z)                     Phi(z) + z phi(z)
    silu       z s(z)                       s(z) (1 + z s(-z))
    ========== ============================ ==========================

    Phi and phi are the Gaussian distribution function and density (Hendrycks and Gimpel, Gaussian
    Error Linear Units, arXiv:1606.08415, 2016). A finite z gives no NaN and no overflow, and NaN
    gives NaN in z.

    Parameters
    ----------
    activation : int
        A code of `ACTIVATIONS`.
    z : array
        A row of pre-activations; overwritten with the activations.
    derivatives : array of z's type
        As many as z, overwritten; or empty, and they are not kept.
    """
    # Loops that might or might not keep a derivative would compile, and on some processors run,
    # for longer than it takes to compute it.
    spare = _spare(z)
    for start in range(0, len(z), STRIP):
        a = z[start : start + STRIP]
        slopes = derivatives[start : start + STRIP] if len(derivatives) > 0 else spare[: len(a)]
        if activation in PIECEWISE_LINEAR:
            _activate_straight(activation, a, slopes)
        elif activation in BOUNDED:
            _activate_bounded(activation, a, slopes)
        else:
            _activate_smooth(activation, a, slopes)


@kernel
def _activate_straight(activation, z, derivatives):
    """Activate by what is straight on both sides of 0: identity, relu and leaky_relu."""
    zero, one, leak = z.dtype.type(0), z.dtype.type(1), z.dtype.type(LEAK)
    if activation == IDENTITY:
        for j in range(len(z)):
            derivatives[j] = one
    elif activation == RELU:
        for j in range(len(z)):
            x = z[j]
            # NaN stays. A sum is always stored, x in its own place only where it is not.
            z[j] = (zero if x < zero else x) + zero
            derivatives[j] = one if x > zero else zero
    else:
        for j in range(len(z)):
            x = z[j]
            slope = one if x > zero else leak
            z[j] = slope * x
            derivatives[j] = slope


@kernel
def _activate_bounded(activation, z, derivatives):
    """Activate by what e**z brings to a bound: elu, sigmoid and tanh."""
    zero, one = z.dtype.type(0), z.dtype.type(1)
    if activation == ELU:
        for j in range(len(z)):
            x = z[j]
            less, e = expm1_exp(zero if x > zero else x)
            z[j] = (zero if x < zero else x) + less
            derivatives[j] = e
    elif activation == SIGMOID:
        for j in range(len(z)):
            s, rest, _ = sigmoids(z[j])
            z[j] = s
            derivatives[j] = s * rest
    else:
        for j in range(len(z)):
            a, rest = tanh_rest(z[j])
            z[j] = a
            derivatives[j] = (one + abs(a)) * rest


@kernel
def _activate_smooth(activation, z, derivatives):
    """Activate by what is like relu, but smooth: softplus, gelu and silu."""
    zero = z.dtype.type(0)
    if activation == SOFTPLUS:
        for j in range(len(z)):
            x = z[j]
            s, _, e = sigmoids(x)
            z[j] = (x if x > zero else zero) + log1p(e)  # e is e**-|z|
            derivatives[j] = s
    elif activation == GELU:
        for j in range(len(z)):
            x = z[j]
            cdf, pdf = normal_cdf_pdf(x)
            z[j] = x * cdf
            derivatives[j] = cdf + x * pdf
    else:
        for j in range(len(z)):
            x = z[j]
            s, rest, _ = sigmoids(x)
            z[j] = x * s
            derivatives[j] = s + s * (x * rest)
