"""`SquashingScaler`, against its formula computed one value at a time."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp.sklearn import SquashingScaler


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([SquashingScaler()])
def test_check_estimator(estimator, check):
    check(estimator)


def quantile(values, share):
    """Return a quantile by linear interpolation between the two next values."""
    values = sorted(values)
    place = share * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def squashed(column, bound=3.0, low=0.25, high=0.75):
    """Return what becomes of a column, by the formula."""
    finite = [x for x in column if math.isfinite(x)]
    middle = statistics.median(finite)
    distance = quantile(finite, high) - quantile(finite, low)
    if distance == 0:
        distance = (max(finite) - min(finite)) / 2
    found = []
    for x in column:
        if math.isnan(x):
            found.append(x)
        elif math.isinf(x):
            found.append(math.copysign(bound, x))
        elif distance == 0:
            found.append(0.0)
        else:
            z = (x - middle) / distance
            found.append(z / math.sqrt(1 + (z / bound) ** 2))
    return found


def columns(n):
    source = np.random.RandomState(n)
    return np.c_[
        source.randn(n),
        1e9 + 1e-3 * source.randn(n),
        source.standard_cauchy(n),
        source.rand(n) < 0.1,  # both quantiles are 0
        np.full(n, 7.0),
        np.where(source.rand(n) < 0.3, np.nan, source.rand(n)),
        np.where(source.rand(n) < 0.2, np.inf, -source.rand(n)),
    ]


@pytest.mark.parametrize("n", [30, 31, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_value_is_that_of_the_formula(n, dtype):
    X = columns(n).astype(dtype)
    expected = np.array([squashed(column) for column in X.T.astype(float).tolist()]).T
    found = SquashingScaler().fit(X).transform(X)
    assert found.dtype == dtype and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype is np.float64 else 1e-6)


def test_the_bound_and_the_quantiles():
    X = columns(200)
    expected = np.array([squashed(column, 1.5, 0.1, 0.8) for column in X.T.tolist()]).T
    scaler = SquashingScaler(max_absolute_value=1.5, quantile_range=(10, 80))
    np.testing.assert_allclose(scaler.fit_transform(X), expected, rtol=1e-12)


def test_one_row_and_missing_columns_become_zero_or_stay_missing():
    found = SquashingScaler().fit_transform([[3.0, np.nan]])
    np.testing.assert_array_equal(found, [[0.0, np.nan]])


def test_extreme_numbers_stay_within_the_bound_without_a_warning():
    top, tiny = np.finfo(np.float64).max, np.finfo(np.float64).smallest_subnormal
    X = np.array([[-top, 0, -1e308], [top, tiny, 1], [0, 2 * tiny, 2], [1, 3 * tiny, 1e308]])
    found = SquashingScaler().fit(X).transform(X)
    assert np.isfinite(found).all() and np.abs(found).max() <= 3
    order = np.argsort(X, axis=0)
    assert (np.diff(np.take_along_axis(found, order, 0), axis=0) >= 0).all()
    far = SquashingScaler().fit([[0.0], [1.0], [2.0]]).transform([[1e300], [-1e300]])
    np.testing.assert_array_equal(far, [[3.0], [-3.0]])


def test_names_and_frames():
    X = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 0.0, 1.0]})
    scaler = SquashingScaler().set_output(transform="pandas").fit(X)
    assert list(scaler.transform(X).columns) == ["a", "b"]
    assert scaler.get_feature_names_out().tolist() == ["a", "b"]


@pytest.mark.parametrize("wrong", [(75, 25), (-1, 50), (0, 101), (1, 2, 3), ("a", "b"), (50, 50)])
def test_quantiles_are_checked(wrong):
    with pytest.raises(ValueError, match="^`quantile_range` must be two numbers from 0 to 100"):
        SquashingScaler(quantile_range=wrong).fit([[1.0], [2.0]])
