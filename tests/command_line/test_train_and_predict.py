"""`fastmlp train`, `predict` and `compare`, mostly in this process."""

import os

import numpy as np
import pytest

import fastmlp
from fastmlp.command_line import splitting
from fastmlp.datasets import digits
from helpers import SHARED_DATA
from helpers.command_line import field, make_images, run, succeed, warnings_of, weights_of
from helpers.model_files import DATA, VALID
from helpers.same_bits import assert_same_bits


def test_train_digits_and_predict(tmp_path):
    code, out, err = run(tmp_path, "train", "digits")
    assert code == 0, err
    assert field(out, "held-out accuracy") >= 0.96
    assert "(359 samples)" in out
    assert "warning" not in err
    seconds = 20 * 1438 / field(out, "samples per second")
    assert field(out, "training time") == pytest.approx(seconds, rel=0.01, abs=0.0006)  # rounded
    assert "saved: model.npz" in out
    assert "20/20" in err or "100%" in err  # the progress bar, and not among the results
    assert "%|" not in out
    assert os.listdir(tmp_path) == ["model.npz"]

    X, y = digits()
    net = fastmlp.NeuralNet.load(tmp_path / "model.npz")
    assert list(net.layers) == [64, 64, 10]
    assert net.weights[0].dtype == np.float32
    lines = succeed(tmp_path, "predict", "model.npz", "digits").splitlines()
    assert lines == [str(label) for label in net.predict(X).tolist()]
    assert np.mean(np.array(lines, dtype=int) == y) > 0.97


def test_train_files_of_every_kind_alike(files, here):
    for suffix in ("", ".gz", ".npy"):
        names = f"images{suffix}", f"labels{suffix}", "--out", f"model{suffix}.npz"
        out = succeed(files, "train", *names, run=here)
        assert field(out, "held-out accuracy") == 1
        assert "(20 samples)" in out
        assert_same_bits(weights_of(files / f"model{suffix}.npz"), weights_of(files / "model.npz"))
    predictions = {
        succeed(files, "predict", "model.npz", f"images{suffix}", run=here)
        for suffix in ("", ".gz", ".npy")
    }
    assert predictions == {"".join(f"{label}\n" for label in make_images()[1])}


def test_npy_is_recognized_by_content(files):
    os.rename(files / "images.npy", files / "renamed")
    succeed(files, "train", "renamed", "labels.npy", "--epochs", "1")


def test_options_reach_the_network(files):
    images, labels = make_images()
    succeed(
        files,
        *("train", "images", "labels", "--layers", "5,3", "--epochs", "2", "--batch-size", "16"),
        *("--learning-rate", "0.3", "--dtype", "float64", "--threads", "1", "--seed", "7"),
        *("--out", "other.npz"),
    )
    assert not (files / "model.npz").exists()
    # The largest pixel is 199, so the scale is 256. The seed draws the split, then the weights.
    source = np.random.RandomState(7)
    rows, _ = splitting.drawn_split(labels, source)
    net = fastmlp.NeuralNet(
        [24, 5, 3, 2], 0.3, output_activation="identity", random_state=source, n_threads=1
    )
    X = images.reshape(100, 24) / 256
    net.fit(X[rows], labels[rows], epochs=2, batch_size=16)
    saved = fastmlp.NeuralNet.load(files / "other.npz")
    assert list(saved.layers) == [24, 5, 3, 2]
    assert saved.weights[0].dtype == np.float64
    assert_same_bits(saved.weights, net.weights)
    assert_same_bits(saved.biases, net.biases)
    assert_same_bits(saved.input_scale, np.full(24, 1 / 256))
    assert_same_bits(saved.predict_proba(images.reshape(100, 24)), net.predict_proba(X))


def test_seed_and_threads(files, here):
    command = ("train", "images", "labels", "--epochs", "2", "--out")
    succeed(files, *command, "a.npz", run=here)
    succeed(files, *command, "b.npz", "--seed", "0", "--threads", "2", run=here)
    succeed(files, *command, "c.npz", "--seed", "1", run=here)
    assert_same_bits(weights_of(files / "a.npz"), weights_of(files / "b.npz"))
    assert (weights_of(files / "a.npz")[0] != weights_of(files / "c.npz")[0]).any()


def test_no_shuffle_holds_out_the_last_fifth(tmp_path):
    images, labels = make_images()
    labels[80:] = 1 - labels[80:]  # wrong there, so that a network trained on the rest fails
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    out = succeed(tmp_path, "train", "images.npy", "labels.npy", "--no-shuffle")
    assert field(out, "held-out accuracy") == 0
    assert "(20 samples)" in out


def test_files_sorted_by_class(sorted_digits, here):
    code, out, err = here(sorted_digits, "train", "images.npy", "labels.npy")
    assert code == 0 and field(out, "held-out accuracy") >= 0.95
    assert "(359 samples)" in out
    assert warnings_of(err) == []


def test_no_shuffle_says_which_classes_are_missing(sorted_digits):
    code, out, err = run(sorted_digits, "train", "images.npy", "labels.npy", "--no-shuffle")
    assert code == 0 and field(out, "held-out accuracy") < 0.1
    unknown, unmeasured = warnings_of(err)
    # The last are 180 images of the digit 9; before these come 174 of 8, and 179 of 7.
    assert unknown.startswith("354 of the 359 held-out samples belong to classes without a")
    assert "a training sample: 8, 9; without --no-shuffle" in unknown
    assert unmeasured.endswith("without a held-out sample: 0, 1, 2, 3, 4 and 2 more")


def test_no_better_than_a_guess(tmp_path):
    np.save(tmp_path / "blank.npy", np.zeros((60, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.repeat([0, 1, 2], [10, 35, 15]))
    code, out, err = run(tmp_path, "train", "blank.npy", "labels.npy")
    assert code == 0 and field(out, "held-out accuracy") == pytest.approx(7 / 12, abs=1e-4)
    assert warnings_of(err) == [
        "the held-out accuracy, 0.5833, is no better than that of always predicting 1, the most "
        "frequent label: 0.5833"
    ]


def test_divergence_is_one_line(tmp_path):
    code, out, err = run(tmp_path, "train", "digits", "--learning-rate", "1e30")
    assert code == 0 and "saved: model.npz" in out
    assert warnings_of(err)[0].startswith("training has stopped because the loss was NaN")
    assert "training.py" not in err and "warnings.warn" not in err
    assert all(np.isfinite(array).all() for array in weights_of(tmp_path / "model.npz"))


def test_no_hidden_layer_and_one_class(files):
    np.save(files / "zeros.npy", np.zeros(100, np.int64))
    succeed(files, "train", "images", "zeros.npy", "--layers", "")
    assert list(fastmlp.NeuralNet.load(files / "model.npz").layers) == [24, 2]


def predicted(folder, net, X, run=run):
    """What ``fastmlp predict`` prints for a network and the rows of X, as a list of lines."""
    net.save(folder / "net.npz")
    np.save(folder / "X.npy", X)
    return succeed(folder, "predict", "net.npz", "X.npy", run=run).splitlines()


@pytest.mark.parametrize(
    "loss, n_out, dtype",
    [
        ("softmax", 3, "float32"), ("logistic", 1, "float32"), ("logistic", 3, "float64"),
        ("squared_error", 1, "float32"), ("poisson", 2, "float64"),
    ],
)  # fmt: skip
def test_predict_with_what_any_mlp_saved(tmp_path, here, loss, n_out, dtype):
    random = np.random.default_rng(0)
    X = random.normal(size=(50, 4))
    net = fastmlp.MLP([4, 6, n_out], loss=loss, activation="tanh", dtype=dtype, random_state=0)
    lines = predicted(tmp_path, net, X, here)
    if loss == "softmax" or loss == "logistic" and n_out == 1:
        assert set(lines) <= set("012") and len(set(lines)) > 1
    found = np.array([line.split(",") for line in lines]).astype(dtype)
    assert_same_bits(found.reshape(net.predict(X).shape), net.predict(X).astype(dtype))


def test_predict_with_what_a_neural_net_or_a_checkpoint_saved(files):
    images, labels = make_images()
    X = images.reshape(100, 24)
    expected = [str(label) for label in labels]
    scaled = {"input_scale": 1 / 256, "random_state": 0}
    net = fastmlp.NeuralNet([24, 8, 2], 0.2, output_activation="identity", **scaled)
    assert predicted(files, net.fit(X, labels, epochs=20), X) == expected
    checkpoint = fastmlp.callbacks.ModelCheckpoint(files / "checkpoint.npz")
    mlp = fastmlp.MLP([24, 8, 2], learning_rate=0.05, **scaled)
    mlp.fit(X, labels, epochs=20, callbacks=[checkpoint])
    assert succeed(files, "predict", "checkpoint.npz", "images").splitlines() == expected


@pytest.mark.parametrize("name", VALID)
def test_predict_with_files_of_every_format(tmp_path, here, name):
    path = DATA / f"{name}.npz"
    net = fastmlp.load(path)
    X = np.linspace(-1, 1, 5 * net.layers[0]).reshape(5, -1)
    np.save(tmp_path / "X.npy", X)
    lines = succeed(tmp_path, "predict", path, "X.npy", run=here).splitlines()
    assert lines == [",".join(map(str, row)) for row in net.predict(X).reshape(5, -1)]


def test_train_mnist(tmp_path):
    images = SHARED_DATA / "mnist-t10k-images-idx3-ubyte.gz"
    labels = SHARED_DATA / "mnist-t10k-labels-idx1-ubyte.gz"
    if not images.exists() or not labels.exists():
        pytest.skip("the MNIST files are not here")
    out = succeed(tmp_path, "train", images, labels, "--epochs", "5")
    assert field(out, "held-out accuracy") > 0.92
    assert "(2000 samples)" in out


def test_compare(tmp_path):
    out = succeed(tmp_path, "compare", "digits", "--epochs", "1", "--layers", "16", "--seed", "3")
    assert "[64, 16, 10]" in out
    # The times are printed with 4 decimals, so the ratio is approximate.
    assert field(out, "ratio") == pytest.approx(
        field(out, "NumPy") / field(out, "fastmlp"), rel=0.2
    )
    assert 0 <= field(out, "largest difference between weights") < 1e-9
    assert os.listdir(tmp_path) == []
