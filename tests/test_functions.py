"""The core's elementary functions against NumPy in a wider type."""

import numpy as np
import pytest
from numba import njit

from fastmlp.core.functions import exp


@njit
def exp_of(x, result):
    for i in range(len(x)):
        result[i] = exp(x[i])


def ulps(x, wider):
    """Return the errors of exp(x), in units in the last place of the result."""
    found = np.empty_like(x)
    exp_of(x, found)
    exact = np.exp(x.astype(wider))
    unit = np.spacing(np.maximum(exact.astype(x.dtype), np.finfo(x.dtype).smallest_subnormal))
    return np.abs(found - exact) / unit


def test_exp_of_float32():
    """Every 251st of all float32 whose exp is neither 0 nor infinity."""
    x = np.arange(0, 2**32, 251, dtype=np.uint32).view(np.float32)
    x = x[(x > -103) & (x < 88.7)]
    assert len(x) > 8e6
    assert ulps(x, np.float64).max() < 1.05


@pytest.mark.skipif(np.finfo(np.longdouble).precision < 18, reason="no wider type than float64")
def test_exp_of_float64():
    random = np.random.default_rng(0)
    for low, high in ((-745, 709.7), (-1, 1)):
        assert ulps(random.uniform(low, high, 1_000_000), np.longdouble).max() < 1.05


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_at_the_ends(dtype):
    x = np.array([0, -0.0, np.inf, -np.inf, 1e4, -1e4, np.nan, 1e-30], dtype)
    found = np.empty_like(x)
    exp_of(x, found)
    np.testing.assert_array_equal(found, np.array([1, 1, np.inf, 0, np.inf, 0, np.nan, 1], dtype))


def test_exp_is_for_kernels():
    with pytest.raises(NotImplementedError, match=r"use numpy\.exp"):
        exp(1.0)
