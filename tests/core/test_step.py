"""`fit` compared with the slow reference."""

import numpy as np
import pytest

from fastmlp import NeuralNet
from helpers import mlp_cases
from helpers.reference_mlp import ReferenceMLP

WIDTHS = [1, 3, 10, 16, 17, 64, 100]
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
WHOLE = 37


def assert_trained_like_the_formulas(net, X, y, epochs, batch_size):
    slow = ReferenceMLP(
        net.weights, net.biases, output_activation=net.output_activation,
        learning_rate=net.learning_rate, l2=net.reg_lambda,
    ).fit(X, y, epochs, batch_size)  # fmt: skip
    net.fit(X, y, epochs=epochs, batch_size=batch_size, shuffle=False)
    tolerance = TOLERANCE[net.dtype.name]
    mlp_cases.assert_close(net, slow, tolerance)
    assert net.history_["loss"] == pytest.approx(slow.losses, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch_size", [1, 2, 5, 16, 33, WHOLE])
@pytest.mark.parametrize("width", WIDTHS)
def test_one_step_of_every_width_and_batch(dtype, batch_size, width, make_data):
    for output_activation in ("relu", "identity"):
        net = NeuralNet(
            [width, width, width + 1],
            output_activation=output_activation,
            dtype=dtype,
            random_state=width,
        )
        X, y = make_data(net.layers, batch_size, seed=width)
        assert_trained_like_the_formulas(net, X, y, 1, batch_size)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_one_step_of_every_depth(dtype, depth, make_data):
    net = NeuralNet(
        [*np.resize([17, 64, 3, 100], depth), 10],
        output_activation="identity",
        dtype=dtype,
        random_state=depth,
    )
    X, y = make_data(net.layers, 33)
    assert_trained_like_the_formulas(net, X, y, 1, 33)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 16, 33, WHOLE, 1000])
def test_several_epochs_with_a_ragged_last_batch(batch_size, make_data):
    net = NeuralNet([20, 33, 7, 4], 0.1, output_activation="identity", random_state=1)
    X, y = make_data(net.layers, WHOLE)
    assert_trained_like_the_formulas(net, X, y, 3, batch_size)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_every_update_adds_the_penalty(batch_size, make_data):
    net = NeuralNet([12, 20, 5], 0.1, 0.03, output_activation="identity", random_state=1)
    X, y = make_data(net.layers, WHOLE)
    assert_trained_like_the_formulas(net, X, y, 2, batch_size)


def test_wide_layers_and_a_stride_apart_from_the_width(make_data):
    net = NeuralNet([40, 512, 256, 70], output_activation="identity", random_state=0)
    X, y = make_data(net.layers, 20)
    assert_trained_like_the_formulas(net, X, y, 2, 10)


def test_one_step_worked_by_hand():
    """A network of two layers and one sample, worked out on paper."""
    net = NeuralNet([2, 2, 2], learning_rate=0.5, output_activation="identity")
    net.weights = [[[1, 2], [3, -4]], [[1, 1], [0, 1]]]
    net.biases = [[[0.5], [0]], [[0], [1.5]]]
    # x = (1, 0.5): z1 = (1 + 1 + 0.5, 3 - 2) = (2.5, 1), a1 = z1
    # z2 = (3.5, 1 + 1.5) = (3.5, 2.5), p = (e, 1) / (e + 1), y = 1, delta2 = (q, -q)
    q = np.e / (np.e + 1)
    # delta1 = W2.T delta2 = (q, q - q) = (q, 0)
    net.fit([[1, 0.5]], [1], epochs=1, batch_size=1)
    step = 0.5 * q
    expected = [
        [[1 - step, 2 - 0.5 * step], [3, -4]],
        [[1 - 2.5 * step, 1 - step], [2.5 * step, 1 + step]],
    ]
    for found, worked in zip(net.weights, expected, strict=True):
        np.testing.assert_allclose(found, worked, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(net.biases[0], [[0.5 - step], [0]], atol=1e-15)
    np.testing.assert_allclose(net.biases[1], [[-step], [1.5 + step]], rtol=1e-14)
    assert net.history_["loss"] == pytest.approx([np.log(1 + np.e)], rel=1e-14)


@pytest.mark.parametrize("output_activation", ["relu", "identity"])
def test_gradient_in_random_directions(output_activation, make_data):
    """The update is the derivative of the loss, computed from predict_proba."""
    net = NeuralNet([9, 17, 12, 5], 1.0, output_activation=output_activation, random_state=3)
    X, y = make_data(net.layers, 21)
    before = [np.array(p) for p in [*net.weights, *net.biases]]
    net.fit(X, y, epochs=1, batch_size=21, shuffle=False)
    gradient = [b - a for b, a in zip(before, [*net.weights, *net.biases], strict=True)]

    def loss_at(parameters):
        net.weights, net.biases = parameters[:3], parameters[3:]
        return -np.log(net.predict_proba(X)[np.arange(21), y]).mean()

    random = np.random.default_rng(0)
    for _ in range(5):
        direction = [random.standard_normal(p.shape) for p in before]
        h = 1e-6
        ahead = loss_at([p + h * d for p, d in zip(before, direction, strict=True)])
        behind = loss_at([p - h * d for p, d in zip(before, direction, strict=True)])
        derivative = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        assert (ahead - behind) / (2 * h) == pytest.approx(derivative, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_extreme_logits_stay_finite(dtype):
    net = NeuralNet([2, 3], 1e-3, output_activation="identity", dtype=dtype)
    net.weights[0] = [[1e4, 0], [0, 1e4], [-1e4, -1e4]]
    X = [[1, -1], [1, 1], [-1, 1]]
    assert np.isfinite(net.predict_proba(X)).all()
    np.testing.assert_allclose(net.predict_proba(X)[:2], [[1, 0, 0], [0.5, 0.5, 0]], atol=1e-6)
    net.learning_rate = 0
    net.fit(X, [1, 2, 0], epochs=1, batch_size=2, validation_data=(X, [1, 2, 0]))
    assert net.history_["validation_loss"] == pytest.approx(net.history_["loss"])
    net.learning_rate = 1e-3
    net.fit(X, [1, 2, 0], epochs=2, batch_size=2)
    assert np.isfinite(net.history_["loss"]).all()
    assert net.history_["loss"][0] > 1e3
    assert all(np.isfinite(w).all() for w in net.weights)


def test_a_batch_of_more_rows_than_go_through_the_layers_together(make_data):
    net = NeuralNet([5, 9, 3], output_activation="identity", random_state=0, n_threads=1)
    X, y = make_data(net.layers, 600)
    assert_trained_like_the_formulas(net, X, y, 2, 600)


def test_nan_in_a_weight_is_seen_in_the_result():
    net = NeuralNet([1, 1, 2], random_state=0)
    net.weights[0][0, 0] = np.nan
    assert np.isnan(net.predict_proba([[1.0]])).all()


def test_padding_is_zero_after_training_and_after_divergence(make_data):
    net = NeuralNet([5, 9, 3], output_activation="identity", dtype="float32", random_state=0)
    X, y = make_data(net.layers, 50)

    def without_padding():
        return sum(np.abs(p).sum(dtype=np.float64) for p in [*net.weights, *net.biases])

    net.fit(X, y)
    assert np.abs(net._state.network.parameters).sum(dtype=np.float64) == pytest.approx(
        without_padding()
    )
    # Not what lies between the layers, which no kernel writes.
    for stored, stored_biases, *_ in net._state.network._stored(net._state.network.parameters):
        stored[...] = stored_biases[...] = np.nan
    net.weights = [np.ones((9, 5)), np.ones((3, 9))]
    net.biases = [np.zeros((9, 1)), np.zeros((3, 1))]
    net.fit(X, y, epochs=1)
    assert np.abs(net._state.network.parameters).sum(dtype=np.float64) == pytest.approx(
        without_padding()
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_mnist_reaches_95_percent_with_the_defaults(mnist, dtype):
    X, y = mnist
    net = NeuralNet([784, 64, 10], output_activation="identity", dtype=dtype, random_state=0)
    net.fit(X[:8000], y[:8000], epochs=40)
    assert net.score(X[8000:], y[8000:]) >= 0.95
