"""Measure the errors of the core's elementary functions for every float32.

``python tests/ulps.py`` measures all of them, some minutes each; ``python tests/ulps.py log tanh``
these. The docstrings of the functions say what it wrote.
"""

import sys

import numpy as np
import scipy.special
from numba import njit

from fastmlp.core.maths import functions, normal_distribution

#: What computes each function's result in a wider type.
EXACT = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "normal_cdf": scipy.special.ndtr,
    "erf": scipy.special.erf,
}
CHUNK = 2**16  # small enough for a processor's own cache


def function_of(name):
    """Return the function of that name."""
    return getattr(functions, name, None) or getattr(normal_distribution, name)


def applied(name):
    """Return a compiled loop ``apply(x, result)`` over the function of that name."""
    function = function_of(name)

    @njit
    def apply(x, result):
        for i in range(len(x)):
            result[i] = function(x[i])

    return apply


def errors(found, exact):
    """Return the errors in units in the last place of the exact results.

    The error is 0 where both are NaN or both overflow, and infinite where only one does or a zero
    has the wrong sign.
    """
    with np.errstate(all="ignore"):
        rounded = exact.astype(found.dtype)
        least = np.finfo(found.dtype).smallest_subnormal
        error = np.abs(found - exact) / np.spacing(np.maximum(np.abs(rounded), least))
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    error = np.where(np.isfinite(rounded), error, np.where(same, 0, np.inf))
    wrong_sign = (found == 0) & (rounded == 0) & (np.signbit(found) != np.signbit(rounded))
    return np.where(wrong_sign, np.inf, error)


def largest_error(name, first=0, last=2**32, step=1):
    """Return the largest error over every step-th float32, and its argument."""
    apply, worst = applied(name), (-1.0, np.float32(0))
    for start in range(first, last, CHUNK * step):
        bits = np.arange(start, min(start + CHUNK * step, last), step, dtype=np.uint32)
        x = bits.view(np.float32)
        found = np.empty_like(x)
        apply(x, found)
        with np.errstate(all="ignore"):
            error = errors(found, EXACT[name](x.astype(np.float64)))
        i = int(np.argmax(error))
        worst = max(worst, (float(error[i]), x[i]), key=lambda pair: pair[0])
    return worst


if __name__ == "__main__":
    for name in sys.argv[1:] or EXACT:
        error, x = largest_error(name)
        print(f"{name}: {error:.3f} units in the last place, at {x!r}", flush=True)
