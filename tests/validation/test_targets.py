"""Other uses of targets: scores, batches, pairs; and invalid ones."""

import random

import numpy as np
import pandas
import pytest
import scipy.sparse

from fastmlp import MLP, NeuralNet, metrics, numpy_version
from fastmlp.callbacks import Callback, ModelCheckpoint
from helpers import mlp_cases
from helpers.messages import assert_form
from helpers.same_bits import bits_of
from helpers.target_data import SIZES, N, bits, data, fitted, make

# Other uses of y ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MLP, NeuralNet])
def test_scores_are_of_the_most_probable_class(kind):
    X, y = data()
    labels = y.argmax(axis=1)
    names = ["accuracy", "balanced_accuracy", "f1", "log_loss", metrics.top_k(2)]
    nets = [kind(SIZES, random_state=0) for _ in range(3)]
    given = {"metrics": names, "shuffle": False}
    validated = nets[0].fit(X, y, 2, validation_data=(X, y), **given).history_
    scored = nets[1].fit(X, y, 2, **given).history_
    nets[2].fit(X, y, 2, shuffle=False, validation_data=(X, labels), metrics=names)
    for name in ("accuracy", "balanced_accuracy", "f1", "log_loss", "top_2_accuracy"):
        assert validated[f"validation_{name}"] == nets[2].history_[f"validation_{name}"]
        assert scored[name] == nets[2].history_[f"validation_{name}"]
    assert bits(nets[1])[0] == bits(nets[0])[0]
    weight = np.arange(N)
    assert nets[0].score(X, y) == nets[0].score(X, labels) == np.mean(nets[0].predict(X) == labels)
    assert nets[0].score(X, y, weight) == nets[0].score(X, labels, weight)


@pytest.mark.parametrize("n_out", [1, 3])
def test_scores_of_probabilities_of_labels(n_out):
    """A label is true if its probability is at least a half, as in predictions."""
    X, _ = data()
    y = np.random.default_rng(1).uniform(size=(N, n_out)).round(1)  # 0.0, 0.5 and 1.0 occur, too
    labels = np.int64(y >= 0.5)
    names = ["accuracy", "balanced_accuracy", "f1", "log_loss"]
    nets = [make([4, n_out], loss="logistic", learning_rate=0.0) for _ in range(2)]
    for net, expected in zip(nets, (y, labels), strict=True):
        net.fit(X, expected, 1, metrics=names)
    for name in names:
        assert nets[0].history_[name] == nets[1].history_[name]
    assert nets[0].score(X, y) == nets[0].score(X, labels)
    right = (nets[0].predict(X).reshape(N, -1) == labels).all(axis=1)
    assert nets[0].score(X, y) == right.mean()


def test_a_metric_of_the_users_own_gets_labels():
    X, y = data()
    seen = []

    def look(targets, outputs):
        seen.append(targets)
        return 0.0

    make().fit(X, y, 1, metrics=look)
    assert all(np.array_equal(targets, y.argmax(axis=1)) for targets in seen)
    assert seen[0].dtype == np.int64


def test_a_held_out_share_of_probabilities():
    X, y = data()
    net = make()
    held = []

    class Held(Callback):
        def on_train_begin(self, logs=None):
            held.append(net._state.fit.data.validation)

    net.fit(X, y, 1, validation_fraction=0.25, callbacks=[Held()])
    assert len(held[0].X) == 16
    rows = [int(np.flatnonzero((X == x).all(axis=1))[0]) for x in held[0].X]
    np.testing.assert_allclose(held[0].targets.values.reshape(-1, 3), y[rows], rtol=1e-15)
    p = net.predict_proba(X[rows])
    expected = -(y[rows] * np.log(p)).sum(axis=1).mean()
    assert net.history_["validation_loss"][0] == pytest.approx(expected, rel=1e-12)


def test_probabilities_beside_sparse_rows():
    X, y = data()
    X[X < 0] = 0
    assert fitted(y, scipy.sparse.csr_array(X)) == fitted(y, X)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resumed_with_probabilities(optimizer, tmp_path):
    X, y = data()
    given = {"optimizer": optimizer, "dropout": 0.2}

    class Interrupt(Callback):
        def __init__(self, epoch):
            self.epoch = epoch

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == self.epoch:
                raise KeyboardInterrupt

    def run(epoch, resume):
        callbacks = [ModelCheckpoint(tmp_path / "net.npz"), Interrupt(epoch)]
        return make(**given).fit(X, y, 4, 8, callbacks=callbacks, resume=resume)

    whole = bits(run(None, None))
    with pytest.raises(KeyboardInterrupt):
        run(2, None)
    assert bits(run(None, True)) == whole


def test_partial_fit():
    X, y = data()
    net, slow = make(), make()
    net.partial_fit(X, y, 8, shuffle=False).partial_fit(X, y, 8, shuffle=False)
    slow.fit(X, y, 2, 8, shuffle=False)
    assert bits(net) == bits(slow)


@pytest.mark.parametrize("output_activation", ["relu", "identity"])
def test_the_drop_in_trains_on_pairs_as_the_numpy_version_does(output_activation):
    X, y = data(3, 40)
    pairs = [(x.reshape(-1, 1), p.reshape(-1, 1)) for x, p in zip(X, y, strict=True)]
    nets = []
    for module in (numpy_version.NeuralNet, NeuralNet):
        np.random.seed(5)
        random.seed(5)
        net = module(SIZES, 0.1, 0.01, output_activation=output_activation)
        net.train(pairs, epochs=3)
        nets.append(net)
    mlp_cases.assert_close(nets[1], nets[0], 1e-12)
    assert nets[1].test(pairs) == nets[0].test(pairs)


def test_pairs_of_labels_one_hots_and_probabilities():
    X, y = data(3, 6)
    ys = [2, np.eye(3)[1], y[2], [[0.0], [1.0], [0.0]], np.int8(0), True]
    rows = np.array([np.eye(3)[2], np.eye(3)[1], y[2], np.eye(3)[1], np.eye(3)[0], np.eye(3)[1]])
    nets = [NeuralNet(SIZES, random_state=0) for _ in range(3)]
    for net, targets in zip(nets, (ys, rows, ys), strict=True):
        random.seed(0)
        net.train(list(zip(X, targets, strict=True)), list(zip(X, targets, strict=True)), 2)
    assert bits(nets[0]) == bits(nets[1])
    labels = [2, 0, 1]
    assert NeuralNet(SIZES).test(list(zip(X[:3], labels, strict=True))) in (
        0,
        *np.r_[1:4] * 100 / 3,
    )
    with pytest.raises(ValueError, match="^`test_data` must be labels from 0 to 2, got 3"):
        nets[0].test([(X[0], y[0]), (X[1], 3)])
    with pytest.raises(TypeError, match="^`test_data` .*numpy.unique"):
        nets[0].test([(X[0], y[0]), (X[1], "a")])


# Labels ------------------------------------------------------------------------------------------


LABELS = np.random.default_rng(3).integers(0, 3, N)


# Refusals ----------------------------------------------------------------------------------------


def broken(**parts):
    """Return one-hot rows in CSR form with some element replaced."""
    matrix = scipy.sparse.csr_array(np.eye(3)[LABELS])
    for name, (at, value) in parts.items():
        getattr(matrix, name)[at] = value
    return matrix


def with_row(row, at=4):
    y = np.eye(3)[LABELS]
    y[at] = row
    return y


PROBABILITIES = "`y` must be labels, one-hot rows or rows of probabilities .* with sum 1, got "
NAMES = np.array(["cat", "dog", "emu"])[LABELS]
REFUSED = [
    (with_row([0.5, 0.6, 0.0]), ValueError, f"{PROBABILITIES}the sum 1.1 in row 4"),
    (with_row([0.0, 0.0, 0.0]), ValueError, f"{PROBABILITIES}the sum 0.0 in row 4"),
    (with_row([1.5, -0.5, 0.0]), ValueError, f"{PROBABILITIES}the number -0.5 in row 4"),
    (with_row([np.nan, 0.5, 0.5]), ValueError, r"`y` must be finite, .* row 4 \(as float64\)"),
    (with_row([np.inf, 0.0, 0.0]), ValueError, "`y` must be finite, got NaN or infinity in row 4"),
    (with_row([1e308, 1e308, 0.0]), ValueError, f"{PROBABILITIES}the sum inf in row 4"),
    (100 * np.eye(3)[LABELS], ValueError, f"{PROBABILITIES}the sum 100.0 in row 0"),
    (np.eye(4)[LABELS], ValueError, "`y` must have rows of length 3, one .*, got length 4"),
    (np.eye(3)[LABELS][:, :2], ValueError, "`y` must have rows of length 3, .*, got length 2"),
    (np.eye(3)[LABELS][:, :, None], ValueError, r"`y` must be labels .*, got .* \(66, 3, 1\)"),
    (np.eye(3)[LABELS][:-1], ValueError, "`y` must have as many samples as `X`, 66, got 65"),
    (LABELS[None], ValueError, "`y` must have as many samples as `X`, 66, got 1"),
    (LABELS[:-1, None], ValueError, "`y` must have as many samples as `X`, 66, got 65"),
    (0, ValueError, r"`y` must be labels .*, got an array of shape \(\)"),
    ([*LABELS[1:], None], (TypeError, ValueError), "`y` "),
    ([*LABELS[1:], [0, 1]], ValueError, "`y` must have rows of equal length, got"),
    ([*LABELS[1:], 3], ValueError, "`y` must be labels from 0 to 2, got 3"),
    (np.uint64([*LABELS[1:], 2**63]), ValueError, "`y` must be labels .*, got 9223372036854775808"),
    (np.uint64([*LABELS[1:], 2**64 - 1]), ValueError, "`y` must be labels .*, got 184467440737095"),
    (np.int8([*LABELS[1:], -1])[:, None], ValueError, "`y` must be labels from 0 to 2, got -1"),
    ([*LABELS[1:], 0.5], ValueError, "`y` must be integer labels from 0 to 2, got 0.5"),
    ([*LABELS[1:], np.nan], ValueError, "`y` must be integer labels from 0 to 2, got nan"),
    ([*LABELS[1:], 1e300], ValueError, r"`y` must be integer labels from 0 to 2, got 1e\+300"),
    (LABELS + 1j, TypeError, "`y` "),
    (NAMES, TypeError, "`y` must contain only integers, .*; encode class names as integers with "),
    (NAMES.tolist(), TypeError, "`y` .*numpy.unique"),
    (NAMES.astype(object), TypeError, "`y` .*numpy.unique"),
    (NAMES.astype("S"), TypeError, "`y` .*numpy.unique"),
    (NAMES[:, None], TypeError, "`y` .*numpy.unique"),
    (pandas.Series(NAMES), TypeError, "`y` .*numpy.unique"),
    (pandas.Series(NAMES, dtype="category"), TypeError, "`y` .*numpy.unique"),
    (pandas.Categorical(NAMES), TypeError, "`y` .*numpy.unique"),
    (pandas.DataFrame({"y": NAMES}), TypeError, "`y` .*numpy.unique"),
    ([0, "x" * 1000] * (N // 2), TypeError, "`y` .*numpy.unique"),
    (scipy.sparse.csr_array(with_row([0.5, 0.6, 0.0])), ValueError, f"{PROBABILITIES}the sum 1.1"),
    (scipy.sparse.coo_array(with_row([0, 0, 0])), ValueError, f"{PROBABILITIES}the sum 0.0 in row"),
    (scipy.sparse.csc_array(with_row([1, 1, 0])), ValueError, f"{PROBABILITIES}the sum 2.0 in row"),
    (scipy.sparse.csr_array(with_row([np.nan, 1, 0])), ValueError, "`y` must be finite, got NaN"),
    (scipy.sparse.csr_array(np.eye(4)[LABELS]), ValueError, "`y` must have rows of length 3, .* 4"),
    (scipy.sparse.csr_array(np.eye(3)[LABELS][1:]), ValueError, "`y` must have as many .*, got 65"),
    (scipy.sparse.csr_array(np.eye(3)[LABELS] * 1j), TypeError, "`y` must be a .* complex128"),
    (broken(indices=(5, 3)), ValueError, "`y` must have column indices from 0 to 2, got 3"),
    (broken(indices=(5, -1)), ValueError, "`y` must have column indices from 0 to 2, got -1"),
    (broken(indptr=(5, 60)), ValueError, "`y` must be a valid sparse matrix, got rows"),
    (broken(indptr=(-1, 67)), ValueError, "`y` must be a valid sparse matrix, got .* end after"),
    (broken(data=(5, 2.0)), ValueError, f"{PROBABILITIES}the sum 2.0 in row 5"),
]  # fmt: skip


def assert_refused(net, call, error, message):
    before = bits_of(net), dict(net.history_)
    with pytest.raises(error, match=f"^{message}") as raised:
        call()
    assert_form(str(raised.value))
    assert (bits_of(net), net.history_) == before


@pytest.mark.parametrize("y, error, message", REFUSED)
def test_invalid_targets_of_classes(y, error, message):
    X, net = data()[0], make()
    assert_refused(net, lambda: net.fit(X, y), error, message)
    assert_refused(net, lambda: net.partial_fit(X, y), error, message)
    assert_refused(net, lambda: net.score(X, y), error, message)
    batches = [(X, y)]
    assert_refused(net, lambda: net.fit(batches, epochs=1), error, f"`X.i..1.`{message[3:]}")
    held = {"validation_data": (X, y)}
    assert_refused(
        net, lambda: net.fit(X, LABELS, **held), error, f"`validation_data.1.`{message[3:]}"
    )


ONE = "must be 0 for softmax with one output, got"
ADVICE = "; use layers that end in 2 .*MLP.loss='logistic'"


@pytest.mark.parametrize("y, label", [
    (LABELS % 2, "1"), (LABELS % 2 > 0, "True"), ((LABELS % 2)[:, None], "1"),
    (LABELS * 0.5, "0.5"), (-LABELS, "-[12]"),
    (scipy.sparse.csr_array((LABELS % 2)[:, None]), "1.0"),
])  # fmt: skip
def test_softmax_with_one_output_says_what_it_needs(y, label):
    X, net = data()[0], make([4, 7, 1])
    assert_refused(net, lambda: net.fit(X, y), ValueError, f"`y` {ONE} {label}{ADVICE}")
    pairs = list(zip(X, LABELS % 2, strict=True))
    one = NeuralNet([4, 1])
    assert_refused(one, lambda: one.train(pairs), ValueError, f"`training_data` {ONE} 1{ADVICE}")


@pytest.mark.parametrize("loss", ["logistic", "squared_error"])
def test_invalid_numeric_targets(loss):
    X, y = data()
    net = make(loss=loss)
    for wrong, error, message in [
        (scipy.sparse.csr_array(y[:, :2]), ValueError, r"`y` must have shape .*, got \(66, 2\)"),
        (scipy.sparse.csr_array(y[1:]), ValueError, "`y` must have as many samples as .*, got 65"),
        (scipy.sparse.csr_array(np.where(y > 0.9, np.nan, y)), ValueError, "`y` must be finite, "),
        (broken(indices=(5, 3)), ValueError, "`y` must have column indices from 0 to 2, got 3"),
        (y[:, 0], ValueError, r"`y` must have shape \(n_samples, 3\), got \(66,\)"),
        (y[:, :, None], ValueError, r"`y` must have shape \(n_samples, 3\), got \(66, 3, 1\)"),
        (0.0, ValueError, r"`y` must have shape \(n_samples, 3\), got \(\)"),
    ]:
        assert_refused(net, lambda y=wrong: net.fit(X, y), error, message)
    one = make([4, 1], loss=loss)
    hint = "`y` .*numpy.unique" if loss == "logistic" else "`y` "
    assert_refused(one, lambda: one.fit(X, NAMES), TypeError, hint)
