"""Sums of squares in a fixed order, and the bound on the norm of a unit's weights."""

import math

import numpy as np
import pytest
from numba import njit

from fastmlp.core.equations.norms import RUNNING_SUMS, constrain_norms, sum_of_squares


@njit
def sum_of_rows(array, begin, n_rows, stride, n, sums):
    return sum_of_squares(array, begin, n_rows, stride, n, sums)


def sum_of(array, begin, end, sums):
    return sum_of_rows(array, begin, 1, 0, end - begin, sums)


@njit
def constrain(weights_at, stride, n_in, max_norm, parameters, first, last, squares):
    constrain_norms(weights_at, stride, n_in, max_norm, parameters, first, last, squares)


def slow_sum(array):
    """The sum of squares, one addition at a time, in the documented order."""
    sums = [0.0] * RUNNING_SUMS
    for i, x in enumerate(array.tolist()):
        sums[i % RUNNING_SUMS] += x * x
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [sums[s] + sums[half + s] for s in range(half)]
    return sums[0]


@pytest.fixture
def layer():
    """Return the parameters of a layer of 37 inputs and 21 units, and where its weights lie."""
    parameters = np.random.default_rng(0).standard_normal(2000)
    return parameters, parameters[100 : 100 + 37 * 40].reshape(37, 40)[:, :21]


# The sum -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 1000, 4096])
def test_the_order_of_the_sum(dtype, n):
    array = np.random.default_rng(n).standard_normal(n + 30).astype(dtype)
    sums = np.full(RUNNING_SUMS, np.nan)
    for begin in (0, 1, 17):
        found = sum_of(array, begin, begin + n, sums)
        assert found == slow_sum(array[begin : begin + n])
        assert found == pytest.approx(math.fsum(array[begin : begin + n].astype(float) ** 2))


@pytest.mark.parametrize("n_rows, n", [(1, 10), (8, 16), (8, 120), (8, 128), (8, 136), (3, 1104)])
@pytest.mark.parametrize("gap", [0, 8, 16])
def test_gaps_between_rows_change_nothing(n_rows, n, gap):
    rows = np.random.default_rng(n).standard_normal((n_rows, n + gap))
    found = sum_of_rows(rows.reshape(-1), 0, n_rows, n + gap, n, np.full(RUNNING_SUMS, np.nan))
    assert found == slow_sum(rows[:, :n].reshape(-1))


@pytest.mark.parametrize("more", [1, 8, 72, 128, 1000])
def test_a_longer_scratch_array_changes_nothing(more):
    """Only the beginning of the buffer is used."""
    array = np.random.default_rng(more).standard_normal(3000)
    sums = np.full(RUNNING_SUMS + more, np.nan)
    assert sum_of(array, 0, len(array), sums) == slow_sum(array)
    assert np.isnan(sums[RUNNING_SUMS:]).all()


def test_the_sum_is_one_of_float64():
    array = np.full(100_001, 1e30, np.float32)
    array[0] = 1e-30
    found = sum_of(array, 0, len(array), np.empty(RUNNING_SUMS))
    assert found == pytest.approx(1e5 * float(np.float32(1e30)) ** 2, rel=1e-12)
    assert sum_of(array, 0, 1, np.empty(RUNNING_SUMS)) > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nonfinite_values_show_in_the_sum(value):
    array = np.ones(300)
    array[299] = value
    sums = np.empty(RUNNING_SUMS)
    assert not np.isfinite(sum_of(array, 0, 300, sums))
    assert sum_of(array, 0, 299, sums) == 299


# The bound ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("squares", ["float32", "float64"])
def test_only_the_units_above_the_bound_are_scaled(layer, dtype, squares):
    parameters, _ = layer
    parameters = parameters.astype(dtype)
    before = parameters.copy()
    weights = parameters[100 : 100 + 37 * 40].reshape(37, 40)[:, :21]
    old = weights.copy()
    norms = np.sqrt((old.astype(float) ** 2).sum(axis=0))
    bound = float(np.median(norms)) + 1e-3
    above = norms > bound
    constrain(100, 40, 37, bound, parameters, 0, 21, np.full(21, np.nan, squares))
    assert 0 < above.sum() < 21
    assert weights[:, ~above].tobytes() == old[:, ~above].tobytes()
    expected = old[:, above] * (bound / norms[above])
    tolerance = 1e-6 if "float32" in (dtype, squares) else 1e-15
    np.testing.assert_allclose(weights[:, above], expected, rtol=tolerance)
    new_norms = np.sqrt((weights.astype(float) ** 2).sum(axis=0))
    assert (new_norms < bound * (1 + tolerance)).all()
    weights[:] = before[100 : 100 + 37 * 40].reshape(37, 40)[:, :21]
    np.testing.assert_array_equal(parameters, before)  # nothing else was written


def test_the_squares_are_summed_in_order(layer):
    parameters, weights = layer
    expected = np.zeros(21)
    for row in weights:
        expected += row * row
    norms = np.sqrt(expected)
    squares = np.empty(21)
    constrain(100, 40, 37, 1.0, parameters, 0, 21, squares)
    np.testing.assert_array_equal(squares, 1.0 / norms)


def test_a_bound_that_is_met_exactly_changes_nothing():
    parameters = np.array([3.0, 4.0, -0.0, 0.0])
    before = parameters.tobytes()
    for bound in (5.0, np.inf):
        constrain(0, 1, 4, bound, parameters, 0, 1, np.empty(1))
        assert parameters.tobytes() == before
    constrain(0, 1, 4, 2.5, parameters, 0, 1, np.empty(1))
    np.testing.assert_array_equal(parameters, [1.5, 2.0, -0.0, 0.0])


@pytest.mark.parametrize("splits", [[1], [3, 16], [5, 6, 7, 20], range(1, 21)])
def test_however_the_units_are_split(layer, splits):
    parameters, _ = layer
    whole, parts = parameters.copy(), parameters.copy()
    constrain(100, 40, 37, 6.0, whole, 0, 21, np.empty(21))
    assert (whole != parameters).any()
    squares = np.empty(21)
    for first, last in zip([0, *splits], [*splits, 21], strict=True):
        constrain(100, 40, 37, 6.0, parts, first, last, squares)
    assert parts.tobytes() == whole.tobytes()


def test_a_unit_with_nan_leaves_the_others_unchanged():
    parameters = np.array([[1.0, np.nan, 3.0], [1.0, 1.0, 4.0]], np.float32)
    constrain(0, 3, 2, 2.0, parameters.reshape(-1), 0, 3, np.empty(3))
    np.testing.assert_allclose(parameters, [[1, np.nan, 1.2], [1, 1, 1.6]], rtol=1e-6)
