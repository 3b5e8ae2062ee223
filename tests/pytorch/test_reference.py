"""The slow reference compared with PyTorch: 20 steps, up to rounding."""

import numpy as np
import pytest

from helpers import mlp_cases
from helpers.mlp_cases import ACTIVATIONS, BATCH_SIZE, EPOCHS, LOSSES, OPTIMIZERS, settings
from helpers.reference_mlp import ReferenceMLP

pytest.importorskip("torch", reason="PyTorch is not installed")

from helpers.torch_mlp import TorchMLP  # noqa: E402

TOLERANCE = 1e-12
SIZES = [3, 5, 4, 3]


def assert_same_training(given, sizes=SIZES, sample_weight=None):
    weights, biases = mlp_cases.parameters(sizes)
    X, y = mlp_cases.samples(given.get("loss", "softmax"), sizes)
    slow, torch = ReferenceMLP(weights, biases, **given), TorchMLP(weights, biases, **given)
    for net in (slow, torch):
        net.fit(X, y, EPOCHS, BATCH_SIZE, sample_weight)
    mlp_cases.assert_close(slow, torch, TOLERANCE)
    assert slow.losses == pytest.approx(torch.losses, rel=TOLERANCE)
    assert np.abs(torch.weights[0] - weights[0]).max() > 1e-6


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


@pytest.mark.parametrize(
    "loss, options",
    [
        ("softmax", {"label_smoothing": 0.1}),
        ("huber", {"delta": 0.4}),
        ("pinball", {"quantile": 0.8}),
    ],
)
def test_options_of_losses(loss, options):
    assert_same_training(settings(activation="tanh", loss=loss, loss_options=options))


@pytest.mark.parametrize(
    "optimizer, options",
    [
        ("momentum", {"momentum": 0.5}),
        ("nesterov", {"momentum": 0.5}),
        ("rmsprop", {"decay": 0.9, "epsilon": 1e-4}),
        ("adagrad", {"epsilon": 1e-4}),
        ("adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4}),
        ("adamw", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4}),
    ],
)
def test_options_of_optimizers(optimizer, options):
    given = settings(optimizer, activation="elu", optimizer_options=options)
    assert_same_training(given)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "penalties",
    [
        {"l2": 0.1},
        {"l2": [0.0, 0.2, 0.05]},
        {"l1": [0.01, 0.0, 0.03]},
        {"clip_norm": 0.2},
        {"max_norm": [0.9, 1.1, 0.7]},
        {"l2": 0.1, "l1": 0.01, "clip_norm": 0.3, "max_norm": 1.0},
    ],
    ids=str,
)
def test_penalties_and_limits(optimizer, penalties):
    assert_same_training(settings(optimizer, activation="gelu", loss="logistic", **penalties))


@pytest.mark.parametrize("loss", LOSSES)
def test_weighted_samples(loss):
    weight = np.random.default_rng(5).integers(0, 4, mlp_cases.SAMPLES) / 2
    assert_same_training(settings("adam", activation="silu", loss=loss), sample_weight=weight)
