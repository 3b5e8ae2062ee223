"""Functions that call kernels which Python cannot call itself."""

import numpy as np
from numba import njit

from fastmlp.core.equations.activations import ACTIVATIONS, activate
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.maths.random_bits import add_noise, drop


@kernel(entry=True)
def activate_once(activation, z, derivatives):
    activate(activation, z, derivatives)


def activated(name, z, n_kept=None):
    """Return activations and derivatives, and check that the elements around them are unchanged."""
    n_kept = len(z) if n_kept is None else n_kept
    a = np.concatenate([[7], z, [7]]).astype(z.dtype)
    derivatives = np.full(n_kept + 2, 7, z.dtype)
    activate_once(ACTIVATIONS[name], a[1:-1], derivatives[1:-1])
    assert a[0] == a[-1] == derivatives[0] == derivatives[-1] == 7
    return a[1:-1], derivatives[1:-1]


@njit
def drop_row(key, row, probability, activations, derivatives):
    drop(key[0], key[1], row, probability, activations, derivatives)


@njit
def add_noise_to_row(key, row, deviation, x):
    add_noise(key[0], key[1], row, deviation, x)
