"""Activation functions and their derivatives against slow formulas in float64."""

import math

import numpy as np
import pytest

from fastmlp.core.equations.activations import ACTIVATIONS, STRIP
from helpers.entry_points import activated

#: The slow formulas round z * z, and exp(-z * z / 2) amplifies that error when z is large.
TOLERANCE = {"float32": 3e-6, "float64": 2e-13}


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def cdf(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


def pdf(z):
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


FORMULAS = {
    "identity": (lambda z: z, lambda z: 1),
    "relu": (lambda z: max(z, 0), lambda z: float(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else math.expm1(z), lambda z: 1 if z > 0 else math.exp(z)),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (math.tanh, lambda z: 4 * sigmoid(2 * z) * sigmoid(-2 * z)),
    "softplus": (lambda z: max(z, 0) + math.log1p(math.exp(-abs(z))), sigmoid),
    "gelu": (lambda z: z * cdf(z), lambda z: cdf(z) + z * pdf(z)),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) + z * sigmoid(z) * sigmoid(-z),
    ),
}


def test_names_and_codes():
    assert set(ACTIVATIONS) == set(FORMULAS)
    assert sorted(ACTIVATIONS.values()) == list(range(9))
    assert (ACTIVATIONS["identity"], ACTIVATIONS["relu"]) == (0, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_derivatives(name, dtype):
    """The relative error is small, except where a derivative crosses 0 by cancellation."""
    z = np.concatenate([np.linspace(-30, 30, 2001), np.linspace(-1, 1, 201), [0, -0.0]])
    z = z.astype(dtype)
    a, derivatives = activated(name, z)
    value, derivative = FORMULAS[name]
    expected = np.array([[value(x), derivative(x)] for x in z.tolist()]).T
    np.testing.assert_allclose(a, expected[0], rtol=TOLERANCE[dtype], atol=1e-37)
    crossing = 1e-7 if dtype == "float32" else 1e-16
    crossing = crossing if name in ("gelu", "silu") else 1e-37
    np.testing.assert_allclose(derivatives, expected[1], rtol=TOLERANCE[dtype], atol=crossing)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_are_those_of_the_values(name):
    z = np.random.default_rng(0).uniform(-5, 5, 500)
    h = 1e-6
    slopes = (activated(name, z + h)[0] - activated(name, z - h)[0]) / (2 * h)
    np.testing.assert_allclose(activated(name, z)[1], slopes, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_every_length_with_and_without_derivatives(name, dtype):
    """An element's bits depend neither on its position nor on the number of derivatives kept."""
    z = (4 * np.random.default_rng(0).standard_normal(2 * STRIP + 3)).astype(dtype)
    whole, slopes = activated(name, z)
    for n in (0, 1, 2, 3, 7, 16, 31, 65, STRIP - 1, STRIP, STRIP + 1, 2 * STRIP + 3):
        a, derivatives = activated(name, z[:n])
        assert a.tobytes() == whole[:n].tobytes()
        assert derivatives.tobytes() == slopes[:n].tobytes()
        a, derivatives = activated(name, z[:n], 0)
        assert a.tobytes() == whole[:n].tobytes() and len(derivatives) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_extreme_inputs(name, dtype):
    """Nothing overflows needlessly, and no finite number becomes NaN."""
    large = float(np.finfo(dtype).max)
    z = np.array([50, 100, 1e4, 1e30, large], dtype)
    linear = name not in ("sigmoid", "tanh")
    a, derivatives = activated(name, z)
    np.testing.assert_array_equal(a, z if linear else np.ones(5, dtype))
    slope = 1 if linear else 0
    np.testing.assert_allclose(derivatives, [slope] * 5, rtol=0, atol=1e-20)
    np.testing.assert_array_equal(derivatives[2:], slope)
    a, derivatives = activated(name, -z[2:])
    slope, bottom = {
        "identity": (1, 0),
        "leaky_relu": (0.01, 0),
        "elu": (0, -1),
        "tanh": (0, -1),
    }.get(name, (0, 0))
    np.testing.assert_array_equal(derivatives, np.full(3, slope, dtype))
    np.testing.assert_array_equal(a, bottom + np.array(slope, dtype) * -z[2:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "ends", "slopes"),
    [
        ("identity", (-np.inf, np.inf), (1, 1)),
        ("relu", (0, np.inf), (0, 1)),
        ("leaky_relu", (-np.inf, np.inf), (0.01, 1)),
        ("elu", (-1, np.inf), (0, 1)),
        ("sigmoid", (0, 1), (0, 0)),
        ("tanh", (-1, 1), (0, 0)),
        ("softplus", (0, np.inf), (0, 1)),
    ],
)
def test_infinities(name, ends, slopes, dtype):
    a, derivatives = activated(name, np.array([-np.inf, np.inf], dtype))
    np.testing.assert_array_equal(a, ends)
    np.testing.assert_array_equal(derivatives, np.array(slopes, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_nan_stays_in_its_place(name, dtype):
    z = np.linspace(-3, 3, 37).astype(dtype)
    expected, _ = activated(name, z)
    z[[0, 5, 36]] = expected[[0, 5, 36]] = np.nan
    np.testing.assert_array_equal(activated(name, z)[0], expected)
