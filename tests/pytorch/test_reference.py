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


@pytest.mark.parametrize("loss, options", mlp_cases.LOSS_OPTIONS)
def test_options_of_losses(loss, options):
    assert_same_training(settings(activation="tanh", loss=loss, loss_options=options))


@pytest.mark.parametrize("optimizer, options", mlp_cases.OPTIMIZER_OPTIONS)
def test_options_of_optimizers(optimizer, options):
    given = settings(optimizer, activation="elu", optimizer_options=options)
    assert_same_training(given)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("penalties", mlp_cases.PENALTIES, ids=str)
def test_penalties_and_limits(optimizer, penalties):
    assert_same_training(settings(optimizer, activation="gelu", loss="logistic", **penalties))


@pytest.mark.parametrize("loss", LOSSES)
def test_weighted_samples(loss):
    weight = np.random.default_rng(5).integers(0, 4, mlp_cases.SAMPLES) / 2
    assert_same_training(settings("adam", activation="silu", loss=loss), sample_weight=weight)
