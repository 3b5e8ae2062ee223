"""Activation functions: name -> code (floor 1)."""

from __future__ import annotations

from fastmlp.core.kernel import kernel

IDENTITY, RELU = 0, 1

#: The accepted names and the codes that kernels know them by.
ACTIVATIONS = {"identity": IDENTITY, "relu": RELU}


@kernel
def activate(activation, z, derivatives):
    """Do ``a = f(z)`` in place of z, and ``f'(z)`` in `derivatives`, if that is not empty."""
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(len(derivatives)):
        derivatives[j] = one if activation == IDENTITY or z[j] > zero else zero
    if activation == RELU:
        for j in range(len(z)):
            z[j] = zero if z[j] < zero else z[j]
