"""Counter-based random numbers, compared with the reference and tested statistically."""

import numpy as np
import pytest
from numba import njit

from fastmlp.core.maths.random_bits import _cosine, _normals, threefry
from helpers.entry_points import add_noise_to_row, drop_row
from helpers.reference_mlp import dropout_factors, standard_normals
from helpers.reference_mlp import threefry as slow_threefry

KEY = (np.uint32(0x01234567), np.uint32(0x89ABCDEF))
LARGE_ROW = 5 * 2**32 + 3


@njit
def words_of(counters, keys, words):
    for i in range(len(words)):
        words[i] = threefry(counters[i, 0], counters[i, 1], keys[i, 0], keys[i, 1])


@njit
def cosines_of(words, result):
    for i in range(len(words)):
        result[i] = _cosine(words[i], result[i])


@njit
def normals_of(words, deviation, result):
    for i in range(len(words)):
        result[i] = _normals((words[i, 0], words[i, 1]), deviation)


def masks(key, rows, n_units, probability, dtype="float32"):
    """Return the factors of rows of units."""
    result = np.ones((len(rows), n_units), dtype)
    for mask, row in zip(result, rows, strict=True):
        drop_row(key, row, probability, mask, np.ones(n_units, dtype))
    return result


def normals(key, rows, n_inputs, dtype="float32"):
    result = np.zeros((len(rows), n_inputs), dtype)
    for x, row in zip(result, rows, strict=True):
        add_noise_to_row(key, row, 1.0, x)
    return result


def correlation(a, b):
    """Return the correlation of two samples, in standard deviations of that of independent ones."""
    a, b = np.ravel(a).astype(float), np.ravel(b).astype(float)
    return abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(len(a))


# Words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counter, key, expected",
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_published_answers(counter, key, expected):
    words = np.zeros((1, 2), np.uint32)
    words_of(np.array([counter], np.uint32), np.array([key], np.uint32), words)
    assert tuple(words[0]) == expected == slow_threefry(counter, key)


def test_any_counter_and_key():
    random = np.random.default_rng(0)
    counters, keys = random.integers(0, 2**32, (2, 1000, 2), dtype=np.uint32)
    words = np.zeros((1000, 2), np.uint32)
    words_of(counters, keys, words)
    np.testing.assert_array_equal(words.T, slow_threefry(counters.T, keys.T))


# Dropout -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 7, 32, 101])
@pytest.mark.parametrize("row", [0, 2**32 - 1, LARGE_ROW])
def test_which_units_are_dropped(dtype, n, row):
    random = np.random.default_rng(n)
    before = random.standard_normal((2, n)).astype(dtype)
    for probability in (0.25, 1 / 3, 0.9):
        activations, derivatives = before.copy()
        drop_row(KEY, row, probability, activations, derivatives)
        factor = dropout_factors(KEY, [row], n, probability)[0].astype(dtype)
        np.testing.assert_array_equal(activations, before[0] * factor)
        np.testing.assert_array_equal(derivatives, before[1] * factor)


def test_the_ends_of_the_probability():
    before = np.random.default_rng(0).standard_normal(1001)
    activations, derivatives = before.copy(), before.copy()
    drop_row(KEY, 0, 0.0, activations, derivatives)
    assert activations.tobytes() == derivatives.tobytes() == before.tobytes()
    assert not masks(KEY, range(10), 1001, np.nextafter(1, 0), "float64").any()
    assert masks(KEY, range(10), 1001, 2.0**-33 / 1.001, "float64").all()


def test_nan_and_infinity_are_kept():
    activations, derivatives = np.full((2, 100), np.nan, np.float32)
    derivatives[:] = np.inf
    drop_row(KEY, 0, 0.5, activations, derivatives)
    assert np.isnan(activations).all()
    assert 0 < np.isinf(derivatives).sum() < 100
    assert (np.isinf(derivatives) | np.isnan(derivatives)).all()


def test_a_row_draws_the_same_in_any_order_and_place():
    rows = np.random.default_rng(0).permutation(50)
    drawn, noisy = masks(KEY, rows, 77, 0.5), normals(KEY, rows, 77)
    np.testing.assert_array_equal(drawn[np.argsort(rows)], masks(KEY, range(50), 77, 0.5))
    np.testing.assert_array_equal(noisy[np.argsort(rows)], normals(KEY, range(50), 77))
    for at in range(20):  # unaligned
        longer, other = np.ones((2, 120), np.float32)
        drop_row(KEY, rows[0], 0.5, longer[at : at + 77], other[at + 1 : at + 78])
        np.testing.assert_array_equal(longer[at : at + 77], drawn[0])
        np.testing.assert_array_equal(other[at + 1 : at + 78], drawn[0])
        assert (longer[:at] == 1).all() and (longer[at + 77 :] == 1).all()


@pytest.mark.parametrize("probability", [0.01, 0.2, 0.5, 0.8])
def test_the_share_that_is_dropped(probability):
    drawn = masks(KEY, range(1000), 301, probability)
    share, n = (drawn == 0).mean(), drawn.size
    assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / n)
    of_units, of_rows = (drawn == 0).mean(axis=0), (drawn == 0).mean(axis=1)
    for means, each in ((of_units, 1000), (of_rows, 301)):  # chi-square
        squares = ((means - probability) ** 2).sum() * each / (probability * (1 - probability))
        assert abs(squares - len(means)) < 4 * np.sqrt(2 * len(means))
    assert drawn.mean() == pytest.approx(1, abs=4 * np.sqrt(probability / (1 - probability) / n))


@pytest.mark.parametrize("make", [lambda *a: masks(*a, 0.3), normals], ids=["drop", "noise"])
def test_nothing_is_correlated(make):
    drawn = make(KEY, range(400), 256)
    for apart in (1, 2, 16, 128):
        assert correlation(drawn[:, apart:], drawn[:, :-apart]) < 4
        assert correlation(drawn[apart:], drawn[:-apart]) < 4
        assert correlation(np.abs(drawn - 1)[:, apart:], np.abs(drawn - 1)[:, :-apart]) < 4
    assert correlation(drawn[1:, 1:], drawn[:-1, :-1]) < 4
    for other in ((KEY[0] + np.uint32(1), KEY[1]), (KEY[0], KEY[1] ^ np.uint32(1)), KEY[::-1]):
        assert correlation(drawn, make(other, range(400), 256)) < 4
    later = make(KEY, range(2**32, 2**32 + 400), 256)
    assert correlation(drawn, later) < 4


# Noise -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 9, 32, 101])
@pytest.mark.parametrize("row", [3, LARGE_ROW])
def test_the_formula_of_the_normals(n, row):
    expected = standard_normals(KEY, [row], n)[0]
    before = np.random.default_rng(n).standard_normal(n)
    for dtype, tolerance in (("float32", 2e-6), ("float64", 5e-9)):
        x = before.astype(dtype)
        add_noise_to_row(KEY, row, 0.5, x)
        np.testing.assert_allclose(x, before + 0.5 * expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype, bound", [("float32", 1.6e-7), ("float64", 6.7e-10)])
def test_cosine_of_every_397th_word_and_of_the_quarters(dtype, bound):
    quarters = np.arange(4)[:, None] * 2**30 + np.arange(-1000, 1000)
    every = np.concatenate([np.arange(0, 2**32, 397), quarters.ravel() % 2**32]).astype(np.uint32)
    found = np.zeros(len(every), dtype)
    cosines_of(every, found)
    exact = np.cos(2 * np.pi / 2**32 * every.astype(np.int32))
    assert np.abs(found - exact).max() < bound


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_extreme_words(dtype):
    ends = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint32)
    words = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2)
    found = np.full(words.shape, np.nan, dtype)
    normals_of(words, np.dtype(dtype).type(1), found)
    assert np.isfinite(found).all()
    assert np.abs(found).max() == pytest.approx(np.sqrt(62 * np.log(2)))
    np.testing.assert_array_equal(found[words[:, 0] >= 2**32 - 2], 0)  # u is 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_noise_is_normal(dtype):
    stats = pytest.importorskip("scipy.stats")
    x = normals(KEY, range(1000), 401, dtype).ravel().astype(float)
    n = len(x)
    assert abs(x.mean()) < 4 / np.sqrt(n)
    assert abs(x.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(x)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(x)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(x, "norm").pvalue > 0.01


def test_a_deviation_of_zero_changes_no_bit():
    x = np.random.default_rng(0).standard_normal(101).astype(np.float32)
    before = x.tobytes()
    add_noise_to_row(KEY, 0, 0.0, x)
    assert x.tobytes() == before
