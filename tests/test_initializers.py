"""Initial weights: formulas, distributions, and equal weights for equal seeds."""

import numpy as np
import pytest

from fastmlp import NeuralNet
from fastmlp.initializers import INITIALIZERS

#: The variance for n_out units with n_in inputs, as in the papers.
VARIANCES = {
    "xavier_normal": lambda n_out, n_in: 2 / (n_in + n_out),
    "xavier_uniform": lambda n_out, n_in: 2 / (n_in + n_out),
    "he_normal": lambda n_out, n_in: 2 / n_in,
    "he_uniform": lambda n_out, n_in: 2 / n_in,
    "lecun_normal": lambda n_out, n_in: 1 / n_in,
    "lecun_uniform": lambda n_out, n_in: 1 / n_in,
    "orthogonal": lambda n_out, n_in: 1 / max(n_out, n_in),
    "zeros": lambda n_out, n_in: 0,
}


def test_every_initializer_is_tested_here():
    assert set(VARIANCES) == set(INITIALIZERS)


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_xavier_normal_is_bit_by_bit_what_neural_net_begins_with(source):
    net, random = NeuralNet([7, 5, 3], random_state=source(3)), source(3)
    for weights in net.weights:
        assert np.array_equal(weights, INITIALIZERS["xavier_normal"](random, *weights.shape))


def test_the_global_state_is_a_source():
    np.random.seed(5)
    for draw in INITIALIZERS.values():
        draw(np.random, 3, 4)
    last = np.random.uniform()
    random = np.random.RandomState(5)
    for draw in INITIALIZERS.values():
        draw(random, 3, 4)
    assert random.uniform() == last


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_seed_gives_the_same_weights_again(name, source):
    draw = INITIALIZERS[name]
    for n_out, n_in in ((4, 6), (6, 4), (1, 1), (1, 5), (5, 1)):
        weights = draw(source(3), n_out, n_in)
        assert weights.shape == (n_out, n_in)
        assert weights.dtype == np.float64
        assert np.array_equal(weights, draw(source(3), n_out, n_in))
        assert (
            name == "zeros"
            or not np.array_equal(weights, draw(source(4), n_out, n_in))
            or (name == "orthogonal" and n_out == n_in == 1)
        )


@pytest.mark.parametrize(("n_out", "n_in"), [(100, 400), (400, 100)])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_mean_and_variance(name, n_out, n_in):
    weights = INITIALIZERS[name](np.random.default_rng(0), n_out, n_in)
    variance = VARIANCES[name](n_out, n_in)
    assert abs(weights.mean()) <= 4 * np.sqrt(variance / weights.size)
    assert weights.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if "uniform" in name])
def test_uniform_draws_fill_their_interval(name):
    weights = INITIALIZERS[name](np.random.default_rng(0), 100, 400)
    limit = np.sqrt(3 * VARIANCES[name](100, 400))
    assert 0.999 * limit < weights.max() <= limit
    assert -0.999 * limit > weights.min() >= -limit
    assert np.histogram(weights, 4, (-limit, limit))[0] == pytest.approx(10000, rel=0.05)


@pytest.mark.parametrize(("n_out", "n_in"), [(5, 5), (3, 8), (8, 3), (1, 4), (4, 1)])
def test_orthogonal_rows_or_columns(n_out, n_in):
    weights = INITIALIZERS["orthogonal"](np.random.default_rng(1), n_out, n_in)
    product = weights @ weights.T if n_out <= n_in else weights.T @ weights
    np.testing.assert_allclose(product, np.eye(min(n_out, n_in)), atol=1e-14)


def test_orthogonal_matrices_are_all_equally_likely():
    """Plain QR prefers a sign; under Haar measure an element has mean 0 and variance 1 / n."""
    random = np.random.default_rng(0)
    draws = np.array([INITIALIZERS["orthogonal"](random, 3, 3) for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=4 * np.sqrt(1 / 3 / 4000))
    np.testing.assert_allclose((draws**2).mean(axis=0), 1 / 3, atol=4 * 0.3 / np.sqrt(4000))
    assert {float(INITIALIZERS["orthogonal"](random, 1, 1)[0, 0]) for _ in range(20)} == {-1, 1}


def test_zeros_draw_nothing():
    random = np.random.RandomState(3)
    assert not INITIALIZERS["zeros"](random, 3, 4).any()
    assert random.uniform() == np.random.RandomState(3).uniform()
