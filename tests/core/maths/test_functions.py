"""The core's elementary functions compared with NumPy, SciPy and series in a wider type."""

import numpy as np
import pytest
import scipy.special
from numba import njit

import ulps
from fastmlp.core.maths import functions
from fastmlp.core.maths.normal_distribution import normal_cdf_pdf

#: The largest error allowed for each, in units in the last place.
BOUNDS = {
    "exp": 1.05,
    "log": 0.9,
    "log1p": 1.5,
    "expm1": 1.4,
    "tanh": 1.9,
    "sigmoid": 1.9,
    "normal_cdf": 4,
    "erf": 3,
}
wide = pytest.mark.skipif(
    np.finfo(np.longdouble).precision < 18, reason="no wider type than float64"
)


@pytest.mark.parametrize("name", BOUNDS)
def test_every_251st_float32(name):
    """``python tests/ulps.py`` checks every float32."""
    error, x = ulps.largest_error(name, step=251)
    assert 0.5 < error < BOUNDS[name], f"at {x!r}"


def gaussian(y):
    """Return Phi(y) - Phi(0) and Phi(-y) of y >= 0 in longdouble, by Abramowitz and Stegun."""
    density = np.exp(-y * y / 2) / np.sqrt(8 * np.arctan(np.longdouble(1)))
    term = series = fraction = y
    for k in range(1, 60):  # 26.2.11
        term = term * y * y / (2 * k + 1)
        series = series + term
    for k in range(300, 0, -1):  # 26.2.14
        fraction = y + k / fraction
    middle, tail = density * series, density / fraction
    return np.where(y < 2, middle, 0.5 - tail), np.where(y < 2, 0.5 - middle, tail)


def normal_cdf(x):
    with np.errstate(all="ignore"):
        middle, tail = gaussian(np.abs(x))
    return np.where(x < 0, tail, 0.5 + middle)


def erf(x):
    with np.errstate(all="ignore"):
        return 2 * np.copysign(gaussian(np.abs(x) * np.sqrt(np.longdouble(2)))[0], x)


LONG = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
    "normal_cdf": normal_cdf,
    "erf": erf,
}
RANGES = {
    "exp": [(-745, 709.7), (-1, 1)],
    "log": [(0, 3), (0.9, 1.1), (0, 1e300)],
    "log1p": [(-1, 3), (-0.01, 0.01), (0, 1e300)],
    "expm1": [(-40, 709.7), (-1, 1)],
    "tanh": [(-20, 20), (-1, 1)],
    "sigmoid": [(-745, 40), (-3, 3)],
    "normal_cdf": [(-38, 9), (-1, 1)],
    "erf": [(-6, 6), (-1, 1)],
}


@wide
@pytest.mark.parametrize("name", BOUNDS)
def test_float64_over_its_range(name):
    apply, random = ulps.applied(name), np.random.default_rng(0)
    for low, high in RANGES[name]:
        x = random.uniform(low, high, 20_000)
        x = np.concatenate([x, x * 1e-5, x * 1e-300])
        x = x[x > 0] if name == "log" else x
        found = np.empty_like(x)
        apply(x, found)
        assert ulps.errors(found, LONG[name](x.astype(np.longdouble))).max() < BOUNDS[name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BOUNDS)
def test_ends(name, dtype):
    """NaN, infinities and zeros of the right sign where NumPy and SciPy have them."""
    positive = [0, np.finfo(dtype).smallest_subnormal, 1e-40, 1e-30, 1, 2, 50, 1e4, 1e30, np.inf]
    x = np.array([*positive, *(-float(number) for number in positive), np.nan], dtype)
    assert np.signbit(x[10])  # -0
    found = np.empty_like(x)
    ulps.applied(name)(x, found)
    with np.errstate(all="ignore"):
        exact = ulps.EXACT[name](x.astype(np.float64))
    assert ulps.errors(found, exact).max() < BOUNDS[name] + 2  # SciPy's own error in the same type


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_that_come_together(dtype):
    """The complementary functions stay accurate where the others are near 1 or -1."""

    @njit
    def apply(x, results):
        for i in range(len(x)):
            results[0, i], results[1, i] = functions.expm1_exp(x[i])
            results[2, i], results[3, i] = functions.tanh_rest(x[i])
            results[4, i], results[5, i], results[6, i] = functions.sigmoids(x[i])
            results[7, i], results[8, i] = normal_cdf_pdf(x[i])

    x = np.linspace(-12, 12, 10_001).astype(dtype)
    found = np.empty((9, len(x)), dtype)
    apply(x, found)
    x = x.astype(np.float64)
    expected = [
        *(np.expm1(x), np.exp(x), np.tanh(x), 2 * scipy.special.expit(-2 * np.abs(x))),
        *(scipy.special.expit(x), scipy.special.expit(-x), np.exp(-np.abs(x))),
        *(scipy.special.ndtr(x), np.exp(-x * x / 2) / np.sqrt(2 * np.pi)),
    ]
    np.testing.assert_allclose(
        found, expected, rtol=4e-7 if dtype == "float32" else 5e-14
    )  # of z * z


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BOUNDS)
def test_the_same_bits_in_a_vector_and_alone(name, dtype):
    x = np.abs(np.random.default_rng(0).standard_normal(67)).astype(dtype)
    together, alone, apply = np.empty_like(x), np.empty_like(x), ulps.applied(name)
    apply(x, together)
    for i in range(len(x)):
        apply(x[i : i + 1], alone[i : i + 1])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize("name", BOUNDS)
def test_functions_are_for_kernels(name):
    function = ulps.function_of(name)
    with pytest.raises(NotImplementedError, match=rf"{name} is compiled .* use [a-z]+\.[a-z.]*\w"):
        function(1.0)
