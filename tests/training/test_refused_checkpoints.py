"""Checkpoints that a fit does not resume from."""

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet
from fastmlp.callbacks import Callback, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from helpers.messages import assert_not_resumed

SIZES = [8, 12, 3]


@pytest.fixture
def checkpoint(make_noisy, small_data, tmp_path):
    """Return the path of a checkpoint, and the options of its fit."""
    path = tmp_path / "model.npz"
    callbacks = [EarlyStopping("loss"), ModelCheckpoint(path)]
    make_noisy().fit(*small_data, epochs=2, batch_size=16, callbacks=callbacks)
    return path, {"epochs": 4, "batch_size": 16, "callbacks": callbacks, "resume": path}


@pytest.mark.parametrize(
    "arguments, name, theirs, mine",
    [
        ({"layers": [8, 13, 3]}, "layers", r"\[8, 12, 3\]", r"\[8, 13, 3\]"),
        ({"layers": [8, 3], "dropout": 0}, "layers", r"\[8, 12, 3\]", r"\[8, 3\]"),
        ({"optimizer": "sgd"}, "optimizer", "{'name': 'adam', .*}", "{'name': 'sgd'}"),
        ({"loss": "logistic"}, "loss", "{'name': 'softmax', .*}", "{'name': 'logistic'}"),
        ({"activation": "identity"}, "activation", r"\['relu'\]", r"\['identity'\]"),
        ({"output_activation": "relu"}, "output_activation", "'identity'", "'relu'"),
        ({"dtype": np.float64}, "dtype", "'float32'", "'float64'"),
        (
            {"random_state": np.random.default_rng(0)},
            "random_state", "'RandomState of MT19937'", "'Generator of PCG64'",
        ),
    ],
)  # fmt: skip
def test_other_networks(
    make_noisy, small_data, tmp_path, checkpoint, arguments, name, theirs, mine
):
    path, options = checkpoint
    arguments = {"random_state": 0, "dropout": 0.2} | arguments
    mlp = MLP(arguments.pop("layers", SIZES), **arguments)
    X, y = small_data
    if name == "loss":
        y = np.eye(3)[y]
    message = f"^`resume` must be a .* this fit's {name}, {mine}, got {theirs} in '.*model.npz'"
    assert_not_resumed(mlp, tmp_path, ValueError, message, X, y, **options)


@pytest.mark.parametrize(
    "changed, name",
    [
        ({"batch_size": 17}, "batch_size, 17, got 16"),
        ({"validation_fraction": 0.2}, "validation_fraction, 0.2, got 0.0"),
        ({"metrics": "accuracy"}, r"history, \['loss', 'accuracy'\], got \['loss'\]"),
        ({"callbacks": []}, r"callbacks, \[\], got \['EarlyStopping', 'ModelCheckpoint'\]"),
        (
            {"callbacks": [ReduceLROnPlateau("loss"), ModelCheckpoint("m")]},
            r"callbacks, \['ReduceLROnPlateau', .*\], got \['EarlyStopping', 'ModelCheckpoint'\]",
        ),
    ],
)
def test_other_fits(make_noisy, small_data, tmp_path, checkpoint, changed, name):
    mlp = make_noisy().fit(*small_data, epochs=1)
    message = f"^`resume` must be a checkpoint with this fit's {name} in '.*'"
    assert_not_resumed(mlp, tmp_path, ValueError, message, *small_data, **checkpoint[1] | changed)


def test_other_data(make_noisy, small_data, tmp_path, checkpoint):
    X, y = small_data
    message = "this fit's n_samples, {}, got 60 in '"
    assert_not_resumed(
        make_noisy(), tmp_path, ValueError, message.format(59), X[1:], y[1:], **checkpoint[1]
    )
    assert_not_resumed(
        make_noisy(), tmp_path, ValueError, message.format(None), [(X, y)], **checkpoint[1]
    )


def test_data_that_cannot_be_trained_on(make_noisy, small_data, tmp_path, checkpoint):
    X, y = small_data
    X = np.vstack([X[:-1], np.full((1, 8), np.nan)])
    mlp = make_noisy(random_state=1).fit(*small_data, epochs=1)
    assert_not_resumed(
        mlp,
        tmp_path,
        ValueError,
        "^`X` must be finite, got NaN or inf.* in row 59",
        X,
        y,
        **checkpoint[1],
    )


def test_a_callback_that_cannot_be_restored(make_noisy, small_data, tmp_path, checkpoint):
    class EarlyStopping(Callback):  # of the same name, with another state
        def restore(self, state):
            raise LookupError("nothing of mine")

    callbacks = [EarlyStopping(), ModelCheckpoint(checkpoint[0])]
    mlp = make_noisy(random_state=1).fit(*small_data, epochs=1)
    options = checkpoint[1] | {"callbacks": callbacks}
    assert_not_resumed(mlp, tmp_path, LookupError, "nothing of mine", *small_data, **options)


def test_files_of_another_kind(make_noisy, small_data, tmp_path, checkpoint):
    path, options = checkpoint
    whole, other = path.read_bytes(), tmp_path / "other.npz"
    options["resume"] = other
    assert_not_resumed(
        make_noisy(), tmp_path, FileNotFoundError, "other.npz", *small_data, **options
    )
    make_noisy().save(other)
    message = "^`path` must be a checkpoint of a fit, got .*other.npz"
    assert_not_resumed(make_noisy(), tmp_path, ValueError, message, *small_data, **options)
    message = "^`path` must be a network saved by fastmlp, got .*other.npz"
    np.savez(other, weights=np.zeros(3))
    assert_not_resumed(make_noisy(), tmp_path, ValueError, message, *small_data, **options)
    bias = whole.index(MLP.load(path).biases[0].tobytes())
    damaged = whole[:bias] + bytes([whole[bias] ^ 1]) + whole[bias + 1 :]
    for text in (b"", b"text", whole[: len(whole) // 2], whole[:-1], damaged):
        other.write_bytes(text)
        assert_not_resumed(make_noisy(), tmp_path, ValueError, message, *small_data, **options)


def test_a_checkpoint_of_another_class(small_data, tmp_path, checkpoint):
    path, options = checkpoint
    net = NeuralNet(SIZES, random_state=0, dtype="float32")
    with pytest.raises(
        ValueError, match="^`path` must hold a network of class NeuralNet, got MLP in "
    ):
        NeuralNet.load(path)
    assert net.save(tmp_path / "net.npz") is None
    message = "^`path` must be a checkpoint of a fit, got .*net.npz"
    mlp = MLP(SIZES, random_state=0)
    options["resume"] = tmp_path / "net.npz"
    assert_not_resumed(mlp, tmp_path, ValueError, message, *small_data, **options)


def test_invalid_paths(make_noisy, small_data, tmp_path):
    message = "^`resume` must be a path, or True with a ModelCheckpoint .*, got True without one"
    assert_not_resumed(make_noisy(), tmp_path, ValueError, message, *small_data, resume=True)
    for resume in (3, 1.5, ["model.npz"]):  # 3 could be an open file
        message = "^`resume` must be None, True, False or a path, got"
        assert_not_resumed(make_noisy(), tmp_path, TypeError, message, *small_data, resume=resume)
    for resume in ("", "a\0b"):
        message = "^`resume` must be a valid file name, got"
        assert_not_resumed(make_noisy(), tmp_path, ValueError, message, *small_data, resume=resume)
