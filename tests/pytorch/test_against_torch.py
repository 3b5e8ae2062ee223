"""`MLP` compared with PyTorch: 20 steps from equal weights on equal batches, in float64."""

import numpy as np
import pytest

from helpers import mlp_cases
from helpers.mlp_cases import ACTIVATIONS, BATCH_SIZE, EPOCHS, LOSSES, OPTIMIZERS, settings

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from helpers import torch_mlp  # noqa: E402
from helpers.torch_mlp import TorchMLP  # noqa: E402

TOLERANCE = 1e-9
SIZES = [3, 5, 4, 3]


def assert_same_training(given, sizes=SIZES, sample_weight=None, n_threads=1, y=None, **more):
    """Train both, compare parameters and losses, and return both with X and y."""
    weights, biases = mlp_cases.parameters(sizes)
    X, drawn = mlp_cases.samples(given.get("loss", "softmax"), sizes)
    y = drawn if y is None else y
    ours = mlp_cases.mlp(weights, biases, {**given, **more}, n_threads=n_threads)
    theirs = TorchMLP(weights, biases, **given)
    order = {"shuffle": False, "sample_weight": sample_weight}
    ours.fit(X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, **order)
    theirs.fit(X, y, EPOCHS, BATCH_SIZE, sample_weight)
    mlp_cases.assert_close(ours, theirs, TOLERANCE)
    assert ours.history_["loss"] == pytest.approx(theirs.losses, rel=TOLERANCE)
    return ours, theirs, X, y


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_activation_and_loss(optimizer, activation, loss):
    assert_same_training(settings(optimizer, activation=activation, loss=loss))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_of_the_output(activation, loss):
    given = {"activation": ["tanh", "softplus"], "output_activation": activation, "loss": loss}
    assert_same_training(settings("momentum", **given))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sizes", [[1, 1], [5, 2], [2, 17, 1], [40, 33, 16, 8, 10]], ids=str)
def test_nets_of_other_shapes(sizes, optimizer):
    given = settings(optimizer, activation="tanh", loss="huber")
    assert_same_training(given, sizes, n_threads=2)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_predicted(loss):
    ours, theirs, X, _ = assert_same_training(settings("adam", activation="gelu", loss=loss))
    a = theirs.output(X).detach()
    expected = {
        "softmax": a.argmax(axis=1),
        "logistic": (torch.sigmoid(a) >= 0.5).to(torch.int64),
        "poisson": torch.exp(a),
    }.get(loss, a)
    found = ours.predict(X)
    assert found.dtype == (np.int64 if loss in ("softmax", "logistic") else np.float64)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-8, atol=1e-9)
    if loss in ("softmax", "logistic"):
        p = torch.softmax(a, axis=1) if loss == "softmax" else torch.sigmoid(a)
        np.testing.assert_allclose(ours.predict_proba(X), p.numpy(), rtol=1e-8)


@pytest.mark.parametrize("loss, options", mlp_cases.LOSS_OPTIONS)
def test_options_of_losses(loss, options):
    assert_same_training(settings(activation="tanh", loss=loss, loss_options=options))


@pytest.mark.parametrize("optimizer, options", mlp_cases.OPTIMIZER_OPTIONS)
def test_options_of_optimizers(optimizer, options):
    assert_same_training(settings(optimizer, activation="elu", optimizer_options=options))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("penalties", mlp_cases.PENALTIES, ids=str)
def test_penalties_and_limits(optimizer, penalties):
    given = settings(optimizer, activation="gelu", loss="logistic", **penalties)
    assert_same_training(given, n_threads=2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("clip_norm", [None, 0.2])
def test_weighted_samples(loss, clip_norm):
    weight = np.random.default_rng(5).integers(0, 4, mlp_cases.SAMPLES) / 2
    given = settings("adam", activation="silu", loss=loss, clip_norm=clip_norm)
    assert_same_training(given, sample_weight=weight)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_probabilities_as_targets(label_smoothing):
    y = np.random.default_rng(6).dirichlet(np.ones(SIZES[-1]), mlp_cases.SAMPLES)
    given = settings("adam", activation="tanh", loss_options={"label_smoothing": label_smoothing})
    assert_same_training(given, y=y)


def test_weighted_classes():
    """PyTorch's mean is ``sum_i w[y_i] loss_i / sum_i w[y_i]``."""
    class_weight = {0: 0.5, 1: 3.0, 2: 1.25}

    class Weighted(TorchMLP):
        def loss(self, X, y, sample_weight):
            weight = torch.tensor(list(class_weight.values()), dtype=torch.float64)
            return torch.nn.CrossEntropyLoss(weight)(self.output(X), torch.as_tensor(y))

    given = settings("nesterov", activation="elu")
    weights, biases = mlp_cases.parameters(SIZES)
    X, y = mlp_cases.samples("softmax", SIZES)
    ours, theirs = mlp_cases.mlp(weights, biases, given), Weighted(weights, biases, **given)
    ours.fit(X, y, EPOCHS, BATCH_SIZE, shuffle=False, class_weight=class_weight)
    theirs.fit(X, y, EPOCHS, BATCH_SIZE)
    mlp_cases.assert_close(ours, theirs, TOLERANCE)


def extreme_inputs(largest):
    """Return 256 numbers of both signs: zero, tiny, where exp ends, and up to the largest."""
    sizes = np.concatenate([
        [0.0, 1e-300, 1e-30, 1e-12, 36.7, 37.5, 87.3, 88.8, 103.9, 104.1, 708.3, 709.9, 745.2],
        np.geomspace(1e-8, 1, 40), np.linspace(0.1, 20, 60), np.geomspace(21, largest, 15),
    ])  # fmt: skip
    return np.concatenate([sizes, -sizes])


@pytest.mark.filterwarnings("ignore:after the first epoch all units")
@pytest.mark.parametrize("dtype, tolerance, largest", [
    ("float64", 1e-14, 1e30), ("float32", 1e-6, 1e30),
])  # fmt: skip
@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_values_and_derivatives_of_activations(activation, hidden, dtype, tolerance, largest):
    """By a net whose weights are the unit matrix, and its biases after one step at a rate of 1.

    The targets lie below every output, so each absolute error has the derivative 1 / 256.
    """
    z = extreme_inputs(largest).astype(dtype)
    n = len(z)
    assert n == 256
    names = {"activation": activation} if hidden else {"output_activation": activation}
    weights = [np.eye(n)] * (1 + hidden)
    biases = [np.zeros((n, 1))] * len(weights)
    given = {"loss": "absolute_error", "learning_rate": 1.0, "dtype": dtype, "n_threads": 1}
    net = mlp_cases.mlp(weights, biases, {**given, **names})
    x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    value = torch_mlp.ACTIVATIONS[activation](x)
    value.sum().backward()
    assert torch.isfinite(x.grad).all()
    np.testing.assert_allclose(
        net.predict(z[None])[0], value.detach(), rtol=100 * tolerance, atol=tolerance
    )
    net.fit(z[None], np.full((1, n), -1e35), epochs=1, batch_size=1)
    derivative = -256 * np.asarray(net.biases[0], np.float64).ravel()
    np.testing.assert_allclose(derivative, x.grad, rtol=100 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_derivatives_of_losses(loss, dtype):
    """At one output, or at two of which one is 0 for softmax, as far as none overflows."""
    largest = {"poisson": 80.0, "squared_error": 1e15}.get(loss, 1e30)
    tolerance = 4 * float(np.finfo(dtype).eps)
    n = 2 if loss == "softmax" else 1
    weights, biases = [np.eye(n)], [np.zeros((n, 1))]
    given = {"loss": loss, "learning_rate": 1.0, "dtype": dtype}
    net = mlp_cases.mlp(weights, biases, given, n_threads=1)
    inputs = extreme_inputs(largest).astype(dtype)
    for i, z in enumerate(inputs[np.abs(inputs) <= largest]):
        row, target = np.array([[z, 0.0][:n]], dtype), np.array([i % 2])
        y = torch.tensor(target) if n == 2 else torch.tensor(target, dtype=torch.float64)[:, None]
        net.weights, net.biases = weights, biases
        net.fit(row, target, epochs=1, batch_size=1)
        a = torch.tensor(row, dtype=torch.float64, requires_grad=True)
        expected = torch_mlp.LOSSES[loss](a, y)
        expected.sum().backward()
        magnitude = max(1.0, abs(float(z)))
        assert net.history_["loss"][0] == pytest.approx(
            expected.item(), rel=10 * tolerance, abs=tolerance * magnitude
        )
        slope = -np.asarray(net.biases[0], np.float64).ravel()
        np.testing.assert_allclose(slope, a.grad[0], rtol=10 * tolerance, atol=tolerance)
