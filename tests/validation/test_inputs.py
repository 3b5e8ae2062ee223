"""Data of any type gives the same results as a float array."""

import weakref

import numpy as np
import pytest

from fastmlp import NeuralNet
from fastmlp.validation import checks

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 17, (40, 6)).astype(np.float64)
Y = RANDOM.integers(0, 3, 40)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def memory_mapped(dtype):
    def make(array, folder):
        np.save(folder / "X.npy", array.astype(dtype))
        return np.load(folder / "X.npy", mmap_mode="r")

    return make


FORMS = {
    "list": lambda array, _: array.tolist(),
    "tuple of tuples": lambda array, _: tuple(map(tuple, array)),
    "Fortran order": lambda array, _: np.asfortranarray(array),
    "strided": lambda array, _: np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda array, _: array[::-1].copy()[::-1],
    "read-only float64": lambda array, _: read_only(array),
    "read-only float32": lambda array, _: read_only(array.astype(np.float32)),
    "memory-mapped float64": memory_mapped(np.float64),
    "memory-mapped float32": memory_mapped(np.float32),
    "memory-mapped uint8": memory_mapped(np.uint8),
    "float16": lambda array, _: array.astype(np.float16),
    "uint8": lambda array, _: array.astype(np.uint8),
    "int64": lambda array, _: array.astype(np.int64),
    "big-endian": lambda array, _: array.astype(">f8"),
    "objects": lambda array, _: array.astype(object),
    "unaligned": lambda array, _: np.frombuffer(
        b"x" + array.tobytes(), np.float64, offset=1
    ).reshape(array.shape),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("form", FORMS)
def test_features(form, dtype, tmp_path):
    expected = NeuralNet([6, 5, 3], 0.01, dtype=dtype, random_state=0).fit(X, Y, epochs=2)
    given = FORMS[form](X, tmp_path)
    kept = np.array(given)
    net = NeuralNet([6, 5, 3], 0.01, dtype=dtype, random_state=0).fit(given, Y, epochs=2)
    assert np.array_equal(net.weights[0], expected.weights[0])
    assert np.array_equal(net.predict_proba(given), expected.predict_proba(X))
    assert np.array_equal(np.array(given), kept)


@pytest.mark.parametrize(
    "labels",
    [
        Y.tolist(),
        Y.astype(np.uint8),
        Y.astype(np.float64),
        np.eye(3)[Y],
        np.eye(3, dtype=bool)[Y],
        np.asfortranarray(np.eye(3, dtype=int)[Y]),
        np.eye(3)[Y].tolist(),
        read_only(Y),
    ],
)
def test_labels(labels):
    expected = NeuralNet([6, 5, 3], 0.01, random_state=0).fit(X, Y, epochs=1)
    net = NeuralNet([6, 5, 3], 0.01, random_state=0).fit(X, labels, epochs=1)
    assert np.array_equal(net.weights[0], expected.weights[0])
    assert net.score(X, labels) == expected.score(X, Y)


def test_boolean_labels_of_two_classes():
    net = NeuralNet([6, 2], 0.01, random_state=0).fit(X, Y > 0, epochs=1)
    assert net.score(X, Y > 0) == net.score(X, (Y > 0).astype(int))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_predictions_do_not_depend_on_other_rows(dtype):
    """A row has the same bits alone, in a partial block and among many rows."""
    many = np.tile(X, (5, 1)) * (RANDOM.random((200, 6)) < 0.6)
    net = NeuralNet([6, 70, 3], dtype=dtype, random_state=0)
    together = net.predict_proba(many)
    assert together.shape == (200, 3) and together.dtype == dtype
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-6)
    for n in (1, 2, 63, 65):
        assert np.array_equal(net.predict_proba(many[:n]), together[:n])
    alone = np.concatenate([net.predict_proba(row[None]) for row in many])
    assert np.array_equal(alone, together)
    labels = net.predict(many)
    assert labels.shape == (200,) and labels.dtype == np.int64
    assert np.array_equal(labels, together.argmax(axis=1))


def test_fit_returns_itself_and_keeps_history(digits):
    X, y = digits
    net = NeuralNet([64, 16, 10], 0.1, output_activation="identity", random_state=0)
    assert net.fit(X[:1500], y[:1500], epochs=5, validation_data=(X[1500:], y[1500:])) is net
    history = net.history_
    assert list(history) == ["loss", "validation_loss", "validation_accuracy"]
    assert all(len(values) == 5 for values in history.values())
    assert history["validation_accuracy"][-1] == net.score(X[1500:], y[1500:])
    probabilities = net.predict_proba(X[1500:])[np.arange(297), y[1500:]]
    assert history["validation_loss"][-1] == pytest.approx(-np.log(probabilities).mean())
    assert history["loss"][-1] < history["loss"][0]
    unwatched = NeuralNet([64, 16, 10], 0.1, output_activation="identity", random_state=0)
    unwatched.fit(X[:1500], y[:1500], epochs=5)
    assert np.array_equal(unwatched.weights[0], net.weights[0])
    net.fit(X, y, epochs=0)
    assert net.history_ == {"loss": []}


def test_verbose_shows_loss_and_samples_per_second(digits, capsys):
    X, y = digits
    NeuralNet([64, 10]).fit(X, y, epochs=2, verbose=True)
    shown = capsys.readouterr().err
    assert "samples/s" in shown and "loss=" in shown and "3.59k/3.59k" in shown
    NeuralNet([64, 10]).fit(X, y, epochs=2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_fits_is_read_in_place_and_kept_alive(dtype):
    whole = X.astype(dtype)
    assert checks.feature_rows("X", whole, 6, whole.dtype) is whole
    given = read_only(whole)
    rows = checks.feature_rows("X", given, 6, whole.dtype)
    assert np.shares_memory(rows, given) and rows.flags.writeable
    kept = weakref.ref(given)
    del given
    assert kept() is not None and np.array_equal(rows, X)


def test_a_batch_beyond_the_set_takes_no_memory_of_its_own():
    nets = [NeuralNet([6, 5, 3], 0.01, random_state=0) for _ in range(2)]
    weights = [
        net.fit(X, Y, epochs=1, batch_size=size).weights[0]
        for net, size in zip(nets, (len(X), 10**15), strict=True)
    ]
    assert np.array_equal(*weights)
