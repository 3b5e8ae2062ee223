"""Updates: every optimizer by hand, penalties and limits, and the slow reference."""

import numpy as np
import pytest
from numpy.linalg import norm
from scipy.sparse import csr_array

from fastmlp.optimizers import RMSprop
from helpers import mlp_cases
from helpers.mlp_cases import BATCH_SIZE, EPOCHS, OPTIMIZERS, SAMPLES, settings
from helpers.reference_mlp import ReferenceMLP
from helpers.same_bits import arrays_of, assert_same_bits

# One unit of three inputs, whose output w x + b is pulled from 1.75 towards t = 1 by (z - t)^2.
W, B = np.array([[0.5, -1.0, 2.0]]), np.array([[0.25]])
X, T = np.array([[1.0, 2.0, 1.5]]), np.array([[1.0]])
RATE = 0.125


def unit(optimizer, **others):
    given = {"loss": "squared_error", "optimizer": optimizer, "learning_rate": RATE, **others}
    return mlp_cases.mlp([W], [B], given, n_threads=1)


def gradient(p):
    """Return the derivatives of (z - t)^2 with respect to the three weights and the bias."""
    z = p[:3] @ X[0] + p[3]
    return 2 * (z - T[0, 0]) * np.array([*X[0], 1.0])


def start():
    p = np.array([*W[0], B[0, 0]])
    return p, gradient(p)


def assert_two_steps(net, expected):
    net.fit(X, T, epochs=2, batch_size=1)
    assert_parameters(net, expected)


def assert_parameters(net, expected):
    found = np.array([*net.weights[0][0], net.biases[0][0, 0]])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_sgd():
    p, g = start()
    p = p - RATE * g
    p = p - RATE * gradient(p)
    assert_two_steps(unit("sgd"), p)


def test_momentum():
    p, g = start()
    v = g
    p = p - RATE * v
    v = 0.9 * v + gradient(p)
    p = p - RATE * v
    assert_two_steps(unit("momentum"), p)


def test_nesterov():
    p, g = start()
    v = g
    p = p - RATE * (g + 0.9 * v)
    g = gradient(p)
    v = 0.9 * v + g
    p = p - RATE * (g + 0.9 * v)
    assert_two_steps(unit("nesterov"), p)


def test_rmsprop():
    p, g = start()
    s = 0.01 * g**2
    p = p - RATE * g / (np.sqrt(s) + 1e-8)
    g = gradient(p)
    s = 0.99 * s + 0.01 * g**2
    p = p - RATE * g / (np.sqrt(s) + 1e-8)
    assert_two_steps(unit("rmsprop"), p)


def test_adagrad():
    p, g = start()
    s = g**2
    p = p - RATE * g / (np.sqrt(s) + 1e-10)
    g = gradient(p)
    s = s + g**2
    p = p - RATE * g / (np.sqrt(s) + 1e-10)
    assert_two_steps(unit("adagrad"), p)


def test_adam():
    p, g = start()
    m, v = 0.1 * g, 0.001 * g**2
    p = p - RATE * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)
    g = gradient(p)
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    p = p - RATE * (m / (1 - 0.9**2)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    assert_two_steps(unit("adam"), p)


DECAYED = np.array([1, 1, 1, 0])  # the weights, and not the bias


def test_adamw_decays_the_weights_apart_from_the_gradient():
    p, g = start()
    m, v = 0.1 * g, 0.001 * g**2
    p = p * (1 - RATE * 0.3 * DECAYED) - RATE * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)
    g = gradient(p)
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    update = (m / (1 - 0.9**2)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    p = p * (1 - RATE * 0.3 * DECAYED) - RATE * update
    assert_two_steps(unit("adamw", l2=0.3), p)


def test_adam_adds_the_decay_to_the_gradient():
    p, g = start()
    g = g + 0.3 * DECAYED * p
    m, v = 0.1 * g, 0.001 * g**2
    p = p - RATE * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)
    g = gradient(p) + 0.3 * DECAYED * p
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    p = p - RATE * (m / (1 - 0.9**2)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    assert_two_steps(unit("adam", l2=0.3), p)


def test_options():
    p, g = start()
    s = 0.5 * g**2
    p = p - RATE * g / (np.sqrt(s) + 0.1)
    g = gradient(p)
    s = 0.5 * s + 0.5 * g**2
    p = p - RATE * g / (np.sqrt(s) + 0.1)
    assert_two_steps(unit(RMSprop(decay=0.5, epsilon=0.1)), p)


def test_l2_and_l1():
    p, g = start()
    p = p - RATE * (g + DECAYED * (0.3 * p + 0.2 * np.sign(p)))
    p = p - RATE * (gradient(p) + DECAYED * (0.3 * p + 0.2 * np.sign(p)))
    assert_two_steps(unit("sgd", l2=0.3, l1=0.2), p)


def test_penalties_enter_the_velocity():
    p, g = start()
    v = g + DECAYED * (0.3 * p + 0.2 * np.sign(p))
    p = p - RATE * v
    v = 0.9 * v + gradient(p) + DECAYED * (0.3 * p + 0.2 * np.sign(p))
    p = p - RATE * v
    assert_two_steps(unit("momentum", l2=0.3, l1=0.2), p)


def test_l1_leaves_a_weight_of_zero_alone():
    net = mlp_cases.mlp([np.array([[0.0, -0.0, 1.0]])], [B], {"loss": "squared_error", "l1": 0.5})
    net.fit(np.zeros((1, 3)), [B[0]], epochs=1)
    np.testing.assert_allclose(net.weights[0], [[0, 0, 1 - 0.1 * 0.5]], rtol=1e-15)


def test_clip_norm():
    p, g = start()
    assert norm(g) > 2
    p = p - RATE * g * 2 / (norm(g) + 1e-6)
    g = gradient(p)
    p = p - RATE * g * min(1, 2 / (norm(g) + 1e-6))
    assert_two_steps(unit("sgd", clip_norm=2.0), p)


def test_a_gradient_within_clip_norm_stays_as_it_is():
    free, held = unit("sgd"), unit("sgd", clip_norm=1e6)
    for net in (free, held):
        net.fit(X, T, epochs=2, batch_size=1)
    assert_same_bits(free, held)


def test_clipping_comes_before_the_penalties():
    p, g = start()
    p = p - RATE * (g * 2 / (norm(g) + 1e-6) + 10 * DECAYED * p)
    net = unit("sgd", clip_norm=2.0, l2=10.0)
    net.fit(X, T, epochs=1, batch_size=1)
    assert_parameters(net, p)


def test_clip_norm_is_of_all_layers_together():
    sizes = [4, 9, 6, 2]
    weights, biases = mlp_cases.parameters(sizes)
    x, y = mlp_cases.samples("softmax", sizes, 5)
    given = {"activation": "tanh"}
    slow = ReferenceMLP(weights, biases, **given)
    gradients = [g for both in slow.gradients(x, y) for g in both]
    whole = np.sqrt(sum((g**2).sum() for g in gradients))
    net = mlp_cases.mlp(weights, biases, given, clip_norm=whole / 3, learning_rate=1.0)
    net.fit(x, y, epochs=1, batch_size=5, shuffle=False)
    after = [*net.weights, *net.biases]
    for before, p, g in zip([*weights, *biases], after, gradients, strict=True):
        np.testing.assert_allclose(before - p, g / 3, rtol=1e-5, atol=1e-12)


def test_max_norm():
    """The norm is that of a unit's incoming weights after the update, without the bias."""
    p, g = start()
    for g_of in (lambda p: g, gradient):
        p = p - RATE * g_of(p)
        p[:3] *= min(1, 0.8 / norm(p[:3]))
    net = unit("sgd", max_norm=0.8)
    assert_two_steps(net, p)
    assert norm(net.weights[0]) == pytest.approx(0.8)


def test_max_norm_scales_only_what_is_longer():
    weights = [np.array([[3.0, 4.0], [0.3, 0.4]]), np.array([[6.0, 8.0]])]
    biases = [np.array([[7.0], [8.0]]), np.array([[9.0]])]
    given = {"loss": "squared_error", "activation": "identity", "learning_rate": 0.0}
    net = mlp_cases.mlp(weights, biases, given, max_norm=[1.0, 5.0])
    net.fit([[1.0, 1.0]], [1.0], epochs=1)
    np.testing.assert_allclose(net.weights[0], [[0.6, 0.8], [0.3, 0.4]], rtol=1e-15)
    np.testing.assert_allclose(net.weights[1], [[3.0, 4.0]], rtol=1e-15)
    for found, expected in zip(net.biases, biases, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_rate_may_be_a_function_of_the_step():
    asked = []

    def rate(step):
        asked.append(step)
        return RATE / (step + 1)

    p, g = start()
    p = p - RATE * g
    p = p - RATE / 2 * gradient(p)
    net = unit("sgd", learning_rate=rate)
    assert_two_steps(net, p)
    p = p - RATE / 3 * gradient(p)
    net.partial_fit(X, T)
    assert_parameters(net, p)
    assert set(asked) >= {0, 1, 2}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_partial_fit_keeps_the_state(optimizer):
    given = settings(optimizer, activation="softplus", loss="huber")
    sizes = [5, 9, 2]
    weights, biases = mlp_cases.parameters(sizes)
    x, y = mlp_cases.samples("huber", sizes, 21)
    at_once, in_parts = (mlp_cases.mlp(weights, biases, given, n_threads=1) for _ in range(2))
    at_once.fit(x, y, epochs=3, batch_size=7, shuffle=False)
    for _ in range(2):
        in_parts.partial_fit(x, y, batch_size=7, shuffle=False)
    for first in (0, 7, 14):
        in_parts.partial_fit(x[first : first + 7], y[first : first + 7], shuffle=False)
    assert_same_bits(at_once, in_parts)
    slow = ReferenceMLP(weights, biases, **given).fit(x, y, 3, 7)
    mlp_cases.assert_close(in_parts, slow, 1e-12)


NETS = {
    "one layer": ([3, 2], {}),
    "narrow": ([1, 1, 1], {"activation": "tanh", "loss": "squared_error"}),
    "odd": ([5, 17, 9, 3], {"activation": ["gelu", "leaky_relu"], "loss": "softmax"}),
    "penalized": (
        [6, 33, 4],
        {"activation": "silu", "loss": "poisson", "l2": [0.1, 0.0], "l1": [0.0, 0.02]},
    ),
    "limited": (
        [10, 20, 20, 8],
        {"activation": "elu", "loss": "logistic", "clip_norm": 0.2, "max_norm": [1.0, 0.9, 0.8]},
    ),
    "all": (
        [7, 12, 1],
        {
            "activation": "sigmoid",
            "loss": "pinball",
            "loss_options": {"quantile": 0.3},
            "l2": 0.05,
            "l1": 0.01,
            "clip_norm": 0.3,
            "max_norm": 1.0,
            "output_activation": "softplus",
        },
    ),
}


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-11), ("float32", 3e-4)])
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_twenty_steps_of_the_reference(optimizer, name, dtype, tolerance):
    sizes, options = NETS[name]
    given = settings(optimizer, **options)
    weights, biases = mlp_cases.parameters(sizes)
    x, y = mlp_cases.samples(given.get("loss", "softmax"), sizes)
    sample_weight = np.random.default_rng(1).random(len(x)) if len(sizes) == 3 else None
    slow = ReferenceMLP(weights, biases, **given)
    slow.fit(x, y, EPOCHS, BATCH_SIZE, sample_weight)
    for n_threads in (1, 3):
        net = mlp_cases.mlp(weights, biases, given, dtype=dtype, n_threads=n_threads)
        order = {"shuffle": False, "sample_weight": sample_weight}
        net.fit(x, y, epochs=EPOCHS, batch_size=BATCH_SIZE, **order)
        mlp_cases.assert_close(net, slow, tolerance)
        assert net.history_["loss"] == pytest.approx(slow.losses, rel=tolerance, abs=tolerance)


def zero_rich(sizes, n=SAMPLES):
    """Return X, which is mostly zero, and labels."""
    X, y = mlp_cases.samples("softmax", sizes, n)
    return X * (np.random.default_rng(2).random(X.shape) < 0.15), y


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize(
    "options", [{}, {"l2": 0.1, "l1": 0.01}, {"clip_norm": 0.3, "max_norm": 0.9}], ids=str
)
@pytest.mark.parametrize("batch_size", [1, 2, 33, SAMPLES])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_zeros_in_batches_of_any_size(optimizer, batch_size, options):
    sizes = [30, 70, 4]
    given = settings(optimizer, **options)
    weights, biases = mlp_cases.parameters(sizes)
    x, y = zero_rich(sizes)
    slow = ReferenceMLP(weights, biases, **given).fit(x, y, 1, batch_size)
    nets = []
    for n_threads, kind in ((1, np.asarray), (3, np.asarray), (1, csr_array), (3, csr_array)):
        net = mlp_cases.mlp(weights, biases, given, n_threads=n_threads)
        net.fit(kind(x), y, epochs=1, batch_size=batch_size, shuffle=False)
        mlp_cases.assert_close(net, slow, 1e-11)
        nets.append(net)
        assert_same_bits(nets[0], net)


EVERYTHING = {
    "dropout": 0.3,
    "input_noise": 0.1,
    "clip_norm": 0.5,
    "max_norm": 1.0,
    "l2": 0.01,
    "l1": 0.001,
}


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "given",
    [{}, {"dropout": 0.3}, {"input_noise": 0.1}, {"clip_norm": 0.5}, {"max_norm": 1.0}, EVERYTHING],
    ids=lambda given: "-".join(given) or "plain",
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_same_bits_on_any_number_of_threads(optimizer, given, dtype, make_data):
    sizes = [20, 33, 17, 5]
    x, y = make_data(sizes, 83)
    nets = []
    for n_threads in (1, 2, 3, 5):
        weights, biases = mlp_cases.parameters(sizes)
        net = mlp_cases.mlp(
            weights,
            biases,
            settings(optimizer, activation="gelu", **given),
            dtype=dtype,
            random_state=0,
            n_threads=n_threads,
        )
        nets.append(net.fit(x, y, epochs=2, batch_size=33, sample_weight=1.0 + (y == 0)))
    for net in nets[1:]:
        assert_same_bits(nets[0], net)
        assert nets[0].history_ == net.history_
        assert_same_bits(nets[0].predict_proba(x), net.predict_proba(x))
        assert all(np.isfinite(each).all() for each in arrays_of(net))
