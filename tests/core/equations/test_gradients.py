"""The gradients of `MLP`, compared with central differences of its loss.

The loss is the one that `MLP` reports of a step at a rate of 0; the slow reference has the same.
"""

import numpy as np
import pytest

from helpers import mlp_cases
from helpers.mlp_cases import ACTIVATIONS, LOSSES
from helpers.reference_mlp import ReferenceMLP

SIZES = [3, 7, 5, 3]  # widths that do not fill a vector
H = 1e-5


class Stepper:
    """Takes one minibatch step from given parameters, with a new network each time."""

    def __init__(self, settings, n, sample_weight=None, seed=0):
        self.settings = {**settings, "random_state": 0, "n_threads": 1}
        self.weights, self.biases = mlp_cases.parameters(SIZES, seed)
        self.X, self.y = mlp_cases.samples(settings["loss"], SIZES, n, seed)
        self.sample_weight = sample_weight

    @property
    def parameters(self):
        return [*self.weights, *self.biases]

    def step(self, parameters, rate):
        """Step from these parameters; return the loss before and the parameters after the step."""
        n = len(self.weights)
        given = {**self.settings, "learning_rate": rate}
        net = mlp_cases.mlp(parameters[:n], parameters[n:], given)
        order = {"batch_size": len(self.X), "shuffle": False, "sample_weight": self.sample_weight}
        net.fit(self.X, self.y, epochs=1, **order)
        return net.history_["loss"][-1], [*net.weights, *net.biases]

    def gradients(self):
        _, after = self.step(self.parameters, 1.0)
        return [before - p for before, p in zip(self.parameters, after, strict=True)]

    def loss(self, *moves):
        """Return the loss at the parameters plus the moves, each a list of arrays."""
        moved = [sum(arrays) for arrays in zip(self.parameters, *moves, strict=True)]
        return self.step(moved, 0.0)[0]

    def slope(self, direction):
        ahead, behind = (self.loss([sign * H * d for d in direction]) for sign in (1, -1))
        return (ahead - behind) / (2 * H)


def assert_gradients(stepper, seed=0):
    gradients = stepper.gradients()
    random = np.random.default_rng(seed)
    for _ in range(3):
        direction = [random.standard_normal(p.shape) for p in stepper.parameters]
        expected = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        assert stepper.slope(direction) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    for p, gradient in enumerate(gradients):
        for at in random.choice(gradient.size, min(3, gradient.size), replace=False):
            direction = [np.zeros_like(g) for g in gradients]
            direction[p].flat[at] = 1.0
            assert stepper.slope(direction) == pytest.approx(gradient.flat[at], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_and_activation(loss, activation, n):
    stepper = Stepper({"loss": loss, "activation": activation}, n)
    assert_gradients(stepper)
    slow = ReferenceMLP(stepper.weights, stepper.biases, loss=loss, activation=activation)
    expected = slow.loss(stepper.X, stepper.y)
    assert stepper.loss() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_activation_of_the_output(loss, activation):
    names = {"loss": loss, "activation": "tanh", "output_activation": activation}
    stepper = Stepper(names, 7)
    assert_gradients(stepper)
    expected = ReferenceMLP(stepper.weights, stepper.biases, **names).loss(stepper.X, stepper.y)
    assert stepper.loss() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_activations_of_each_layer_and_weights_of_each_sample(loss):
    names = {"loss": loss, "activation": ["gelu", "elu"], "output_activation": "softplus"}
    weight = np.array([0.5, 2, 0, 1, 3, 0.25, 1])
    stepper = Stepper(names, 7, weight)
    assert_gradients(stepper)
    slow = ReferenceMLP(stepper.weights, stepper.biases, **names)
    assert stepper.loss() == pytest.approx(slow.loss(stepper.X, stepper.y, weight), rel=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_units_that_are_dropped_and_inputs_with_noise(activation):
    """Equal seeds drop the same units and add the same noise."""
    names = {"loss": "huber", "activation": activation}
    some = Stepper({**names, "dropout": [0.4, 0.2], "input_noise": 0.2}, 7)
    assert_gradients(some)
    assert some.loss() == some.loss() != Stepper(names, 7).loss()


@pytest.mark.parametrize(
    "loss, options",
    [
        ("softmax", {"label_smoothing": 0.2}),
        ("huber", {"delta": 0.5}),
        ("huber", {"delta": 3.0}),
        ("pinball", {"quantile": 0.9}),
    ],
)
def test_options_of_losses(loss, options):
    given = {"loss": loss, "loss_options": options, "activation": "silu"}
    stepper = Stepper(given, 7)
    assert_gradients(stepper)
    expected = ReferenceMLP(stepper.weights, stepper.biases, **given).loss(stepper.X, stepper.y)
    assert stepper.loss() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", ["absolute_error", "pinball"])
def test_no_step_where_an_absolute_error_is_zero(loss):
    net = mlp_cases.mlp([np.array([[1.0, 2.0]])], [np.array([[0.5]])], {"loss": loss})
    net.fit([[2.0, -1.0]], [0.5], epochs=1)
    assert net.history_["loss"] == [0.0]
    np.testing.assert_array_equal(net.weights[0], [[1.0, 2.0]])
    np.testing.assert_array_equal(net.biases[0], [[0.5]])


@pytest.mark.parametrize(
    "activation, derivative", [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0)]
)
def test_the_derivative_at_a_corner(activation, derivative):
    """At z = 0, relu and leaky_relu have the derivative for negative z."""
    weights, biases = [np.zeros((1, 1)), np.ones((1, 1))], [np.zeros((1, 1))] * 2
    net = mlp_cases.mlp(
        weights,
        biases,
        {"loss": "squared_error", "activation": activation, "learning_rate": 0.5},
    )
    net.fit([[3.0]], [-1.0], epochs=1)  # the output is 0, the derivative of the loss 2
    assert net.weights[0][0, 0] == pytest.approx(-3 * derivative, rel=1e-15)
    assert net.biases[0][0, 0] == pytest.approx(-derivative, rel=1e-15)
    assert net.biases[1][0, 0] == -1.0
