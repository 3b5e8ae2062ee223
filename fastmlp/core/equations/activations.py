"""Activation functions and their derivatives."""

from __future__ import annotations

from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.vector import on_stack
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

#: Linear on either side of 0; with a bound on at least one side; the others are smooth relus.
PIECEWISE_LINEAR, BOUNDED = (IDENTITY, RELU, LEAKY_RELU), (ELU, SIGMOID, TANH)
LEAK = 0.01  # the slope of leaky_relu below 0
STRIP = 512  # elements: few enough for the stack
on_strip = on_stack(STRIP)


@kernel
def activate(activation, z, derivatives):
    """Compute ``f(z)`` in place of z, and ``f'(z)`` in `derivatives`.

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

    Phi and phi are the distribution function and density of the standard normal distribution
    (Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, 2016). A finite z gives no
    NaN and does not overflow; NaN gives NaN in z.

    Parameters
    ----------
    activation : int
        A code of `ACTIVATIONS`.
    z : array
        A row of pre-activations; overwritten with the activations.
    derivatives : array of z's type
        As long as z, overwritten; or empty, if they are not wanted.
    """
    # Derivatives are always computed: loops with and without them would take longer to compile, and
    # on some processors longer to run.
    spare = on_strip(z)
    for start in range(0, len(z), STRIP):
        a = z[start : start + STRIP]
        slopes = derivatives[start : start + STRIP] if len(derivatives) > 0 else spare[: len(a)]
        if activation in PIECEWISE_LINEAR:
            _activate_piecewise_linear(activation, a, slopes)
        elif activation in BOUNDED:
            _activate_bounded(activation, a, slopes)
        else:
            _activate_smooth(activation, a, slopes)


@kernel
def _activate_piecewise_linear(activation, z, derivatives):
    """Apply a piecewise linear activation: identity, relu or leaky_relu."""
    zero, one, leak = z.dtype.type(0), z.dtype.type(1), z.dtype.type(LEAK)
    if activation == IDENTITY:
        for j in range(len(z)):
            derivatives[j] = one
    elif activation == RELU:
        for j in range(len(z)):
            x = z[j]
            # NaN stays NaN. A sum is stored unconditionally, x itself would be stored by a mask.
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
    """Apply an activation with a bound: elu, sigmoid or tanh."""
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
    """Apply a smooth relu: softplus, gelu or silu."""
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
