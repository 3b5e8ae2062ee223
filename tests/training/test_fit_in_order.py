"""What must be consistent in a fit: class weights, masks, finite states, order, memory."""

import gc
import pickle
import tracemalloc
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest

from fastmlp import MLP, DivergenceWarning, NeuralNet, callbacks
from fastmlp.core import pace, run
from fastmlp.core.inputs.nonzeros import DENSE, ZERO_RICH
from fastmlp.training import samples, sources
from helpers.same_bits import bits_of

SIZES = [6, 140, 5, 3]


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 300)


# Class weights and held-out samples --------------------------------------------------------------


class Split(callbacks.Callback):
    """Keeps the held-out labels and their predictions after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        held_out = self.model._state.fit.data.validation
        self.y, self.predicted = held_out.targets.labels, self.model.predict(held_out.X)


@pytest.mark.parametrize("class_weight", ["balanced", {1: 19.0}, [1.0, 19.0]])
def test_weights_of_classes_are_not_those_of_held_out_samples(class_weight):
    random = np.random.default_rng(0)
    y = (random.random(4000) < 0.05).astype(int)
    X = random.standard_normal((4000, 5)).astype(np.float32) + y[:, None]
    split, mlp = Split(), MLP([5, 8, 2], random_state=0)
    mlp.fit(
        X, y, epochs=3, class_weight=class_weight, validation_fraction=0.2, callbacks=[split],
        metrics=["accuracy", "balanced_accuracy"],
    )  # fmt: skip
    counted = np.mean(split.predicted == split.y)
    assert mlp.history_["validation_accuracy"][-1] == pytest.approx(counted, abs=1e-12)
    recall = [np.mean(split.predicted[split.y == c] == c) for c in (0, 1)]
    assert mlp.history_["validation_balanced_accuracy"][-1] == pytest.approx(np.mean(recall))
    # The same as with these rows as validation_data.
    rows = np.random.RandomState(7).permutation(4000)
    held_out, kept = np.sort(rows[:800]), np.sort(rows[800:])
    given = MLP([5, 8, 2], random_state=0, init="he_normal")
    drawn = pickle.loads(pickle.dumps(given))
    given._state.random, drawn._state.random = np.random.RandomState(7), np.random.RandomState(7)
    given._state.random.permutation(4000)
    given.fit(X[kept], y[kept], epochs=2, class_weight=class_weight,
              validation_data=(X[held_out], y[held_out]))  # fmt: skip
    drawn.fit(X, y, epochs=2, class_weight=class_weight, validation_fraction=0.2)
    # The fraction's rows are trained on in X's order where they are not shuffled: compare scores.
    assert drawn.history_ == given.history_ and bits_of(drawn) == bits_of(given)


def test_weights_of_classes_are_not_those_of_scores_of_the_training_data(data):
    X, y = data
    mlp = MLP(SIZES, random_state=0).fit(
        X, y, epochs=1, class_weight={0: 100.0}, metrics="accuracy", shuffle=False
    )
    assert mlp.history_["accuracy"] == [mlp.score(X, y)]


def test_held_out_samples_must_count(data):
    mlp, weights = MLP(SIZES, random_state=0), np.zeros(300)
    weights[7] = 1.0
    before, position = bits_of(mlp), mlp.random_state.get_state()[2]
    with pytest.raises(
        ValueError,
        match="^`sample_weight` must be above 0 for .* sample (that is held out|to train on), got",
    ):
        mlp.fit(*data, sample_weight=weights, validation_fraction=0.5)
    assert bits_of(mlp) == before and mlp.random_state.get_state()[2] == position
    assert mlp.history_ == {}


# Interrupted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupt_counts_the_rows_of_finished_steps(error, at, data, monkeypatch):
    """So that the next fit draws the masks and noise of the rows that follow."""
    monkeypatch.setattr(pace, "MOST_STEPS", 1)
    X, y = data

    class Raises(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == at:
                raise error

    def made():
        return MLP(SIZES, dropout=0.3, input_noise=0.2, random_state=np.random.RandomState(0))

    mlp, other = made(), made()
    with pytest.raises(error):
        mlp.fit(X, y, batch_size=30, shuffle=False, callbacks=[Raises()])
    n = 30 * (at + 1)
    assert (mlp._state.rows_seen, mlp._state.optimizer.taken) == (n, at + 1)
    mlp.fit(X, y, epochs=1, batch_size=30, shuffle=False)
    other.fit(X[:n], y[:n], epochs=1, batch_size=30, shuffle=False)
    other.fit(X, y, epochs=1, batch_size=30, shuffle=False)
    assert bits_of(mlp) == bits_of(other)


def test_counts_are_advanced_by_the_kernels(data, monkeypatch):
    """An interrupt just after a run leaves no step uncounted."""
    original = run.train_steps

    def interrupted(*arguments):
        result = original(*arguments)
        if arguments[-2] > arguments[-3]:  # not the call that compiles
            raise KeyboardInterrupt
        return result

    mlp = MLP(SIZES, dropout=0.3, random_state=0)
    monkeypatch.setattr(run, "train_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mlp.fit(*data, batch_size=50)
    taken = mlp._state.optimizer.taken
    assert taken > 0 and mlp._state.rows_seen == 50 * taken


# What is not finite ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["rmsprop", "adagrad", "adam", "adamw"])
def test_a_moment_that_overflows_is_divergence(optimizer, data):
    X, y = data[0].astype(np.float32), data[1]
    mlp = MLP(SIZES, optimizer=optimizer, random_state=0).fit(X, y, epochs=1)
    before, moment = bits_of(mlp), mlp._state.optimizer.second.copy()
    history = {name: list(values) for name, values in mlp.history_.items()}
    X[:4] = 1e22 * np.random.default_rng(0).standard_normal((4, 6))
    with pytest.warns(DivergenceWarning, match="a weight or a moment of the optimizer was NaN"):
        mlp.partial_fit(X, y)
    assert bits_of(mlp) == before and np.array_equal(mlp._state.optimizer.second, moment)
    assert mlp.history_ == history and mlp._state.rows_seen == 300
    for _ in range(2):  # and training continues in the same workspace
        mlp.partial_fit(*data)
    assert mlp._state.rows_seen == 900 and len(mlp.history_["loss"]) == len(history["loss"]) + 2
    mlp.fit(*data, epochs=3)
    changed = mlp.weights[0] != np.frombuffer(before[0][2], np.float32).reshape(140, 6)
    assert changed.mean() > 0.99


def test_an_interrupt_leaves_a_finite_state(data, monkeypatch):
    monkeypatch.setattr(pace, "MOST_STEPS", 1)
    mlp = MLP(SIZES, learning_rate=lambda step: 1e38, random_state=0)
    before = bits_of(mlp)

    class Raises(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mlp.fit(*data, batch_size=300, callbacks=[Raises()])
    assert mlp._state.is_finite
    mlp.learning_rate = 0.001
    assert bits_of(mlp) == before or np.isfinite(mlp.fit(*data, epochs=1).history_["loss"]).all()


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_a_loss_that_overflows_leaves_the_weights_of_the_epoch_before(optimizer, data):
    X, y = data[0], data[0][:, :3]
    mlp = MLP(SIZES, loss="squared_error", optimizer=optimizer, dtype="float64", random_state=0)
    mlp.partial_fit(X, y)
    before, loss = bits_of(mlp), mlp.history_["loss"][0]
    with pytest.warns(DivergenceWarning, match="the loss was NaN"):
        mlp.partial_fit(X, y * 1e200)
    assert bits_of(mlp) == before and mlp.history_["loss"] == [loss]
    for _ in range(5):
        mlp.partial_fit(X, y)
    assert mlp.history_["loss"][-1] < loss


def test_weights_of_samples_with_an_infinite_sum_are_refused(data):
    mlp = MLP(SIZES, random_state=0)
    before = bits_of(mlp)
    for values in (np.full(300, 1e307), np.r_[np.ones(298), 1e308, 1e308]):
        with pytest.raises(ValueError, match="^`sample_weight`"):
            mlp.fit(*data, sample_weight=values)
        with pytest.raises(ValueError, match="^`sample_weight`"):
            mlp.score(*data, sample_weight=values)
    assert bits_of(mlp) == before and mlp.history_ == {}


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_only_finite_losses_are_recorded(data):
    X, y = data
    weights = np.full(300, 1e305)  # their sum is finite, but not multiplied by the losses
    targets = np.full((300, 3), 1e153)
    good = np.zeros((300, 3))
    for options, arguments, keywords, named in (
        ({"init": "he_normal", "input_scale": 1e3}, (X, y), {"sample_weight": weights}, "the loss"),
        ({"loss": "squared_error", "dtype": "float64"}, (X, targets), {}, "the loss"),
        (
            {"loss": "squared_error", "dtype": "float64"},
            (X, good),
            {"validation_data": (X, np.full((300, 3), 1e154))},
            "the validation loss",
        ),
    ):
        mlp = MLP(SIZES, random_state=0, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DivergenceWarning)
            mlp.fit(*arguments, epochs=4, **keywords)
        assert [str(w.message).split(" was ")[0].split("because ")[1] for w in caught] == [named]
        assert caught[0].filename == __file__
        assert mlp.stop_training and mlp._state.is_finite
        assert all(values == [] for values in mlp.history_.values())


# One order ---------------------------------------------------------------------------------------


def test_rows_that_fit_into_a_block_are_one_whatever_the_batch_size(data, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK_BYTES", 300 * 24)
    X, y = data[0].astype(np.float32), data[1]
    for n, alike in ((300, True), (299, True), (301, False)):
        rows = np.arange(n) % 300
        fits = [
            MLP(SIZES, random_state=0).fit(X[rows], y[rows], 1, batch_size=200, shuffle=shuffle)
            for shuffle in (True, "blocks")
        ]
        assert (bits_of(fits[0]) == bits_of(fits[1])) == alike


@pytest.mark.parametrize("rows", [2**10 // 24 * 24, 40])
def test_a_memory_map_that_one_block_holds_is_shuffled_as_an_array(rows, data, tmp_path):
    """As joblib passes X to its workers."""
    X, y = data[0][:rows].astype(np.float32), data[1][:rows]
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    fits = [
        MLP(SIZES, random_state=0).fit(each, y, epochs=2, shuffle=shuffle)
        for each, shuffle in ((X, True), (mapped, True), (X, "blocks"), (mapped, "blocks"))
    ]
    assert len({bits_of(mlp) for mlp in fits}) == 1


# Memory and time ---------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer, most", [("sgd", 2.4), ("momentum", 4.5), ("adam", 6.7)])
@pytest.mark.parametrize("is_long", [False, True])
def test_one_snapshot_is_all_that_a_fit_needs(optimizer, most, is_long, monkeypatch):
    """Peak memory in units of the parameters."""
    if is_long:
        monkeypatch.setattr(pace.Pace, "is_long", True)
    X, y = np.random.default_rng(0).random((64, 1500), np.float32), np.arange(64) % 3
    tiny = MLP([2, 2, 3], optimizer=optimizer, random_state=0)
    tiny.fit(X[:, :2], y, epochs=2)  # compiles
    gc.collect()
    tracemalloc.start()
    try:
        mlp = MLP([1500, 1500, 3], optimizer=optimizer, init="zeros", random_state=0)
        tracemalloc.reset_peak()
        mlp.fit(X, y, epochs=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / mlp._state.network.parameters.nbytes < most


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_finite_is_found_everywhere(dtype):
    for n in (samples.SINGLE_THREADED, 2 * samples.SINGLE_THREADED + 1):
        x = np.full((n, 1), np.finfo(dtype).max, dtype)  # whose squares are infinite
        assert samples.all_finite(x) and samples.all_finite(x[:0])
        for i in (0, samples.SINGLE_THREADED - 1, n - 1):
            for value in (np.nan, -np.inf):
                broken = np.ones((n, 1), dtype)
                broken[i] = value
                assert not samples.all_finite(broken)


def test_fit_keeps_a_small_workspace_but_looks_at_x_again():
    X, y = np.zeros((64, 100), np.float32), np.zeros(64, int)
    X[:, :20] = 1
    mlp = MLP([100, 64, 2], random_state=0).fit(X, y, epochs=1)
    work = mlp._trainer._sized.work
    mlp.fit(X, y, epochs=1)
    assert mlp._trainer._sized.work is work and mlp._trainer._sized.inputs == ZERO_RICH
    mlp.fit(X + 1, y, epochs=1)
    assert mlp._trainer._sized.inputs == DENSE
    for sizes in ([100, 4000, 2], [100, 64, 2]):
        mlp = MLP(sizes, random_state=0).fit(X, y, epochs=1)
        assert (mlp._trainer is None) == (sizes[1] == 4000)


def test_partial_fit_copies_no_history_and_makes_no_new_workspace(data):
    X, y = data[0][:32].astype(np.float32), data[1][:32]

    mlp = MLP(SIZES, random_state=0)
    mlp.partial_fit(X, y)
    workspace = mlp._trainer._sized.work
    mlp.history_["loss"] = [0.5] * 10**6
    mlp.partial_fit(X, y)  # the list grows here, so that it does not while memory is measured
    tracemalloc.start()
    try:
        for _ in range(10):
            mlp.partial_fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10**6  # of the list, 8 * 10**6 bytes
    assert mlp._trainer._sized.work is workspace and len(mlp.history_["loss"]) == 10**6 + 11
    split = MLP(SIZES, random_state=0)
    whole = MLP(SIZES, random_state=0)
    for batch in (1, 7, 32, 3):
        split.partial_fit(X[:batch], y[:batch], shuffle=False)
        whole.fit(X[:batch], y[:batch], epochs=1, shuffle=False)
    assert bits_of(split) == bits_of(whole)


# Raw pixels --------------------------------------------------------------------------------------


def test_dead_units_warn_once(mnist):
    X, y = (mnist[0][:2000] * 255).round().astype(np.uint8), mnist[1][:2000]
    for form in (X, X.astype(np.float64), [(X, y)]):
        net = NeuralNet([784, 16, 10], random_state=0)
        arguments = (form,) if isinstance(form, list) else (form, y)
        with pytest.warns(RuntimeWarning, match="input_scale=1/255") as caught:
            net.fit(*arguments, epochs=3)
        assert len(caught) == 1 and caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net.fit(*arguments, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = NeuralNet([784, 16, 10], input_scale=1 / 255, random_state=0)
        assert scaled.fit(X, y, epochs=5).score(X, y) > 0.7
        MLP([784, 16, 10], learning_rate=1e-4, random_state=0).fit(X, y, epochs=1)


def test_a_refused_fit_with_a_long_first_step_keeps_the_history(data, monkeypatch):
    """The snapshot before a long step does not become that of the whole fit."""
    mlp, (X, y) = MLP(SIZES, random_state=0), data
    mlp.fit(X, y, epochs=2)
    monkeypatch.setattr(pace, "RUN_SECONDS", 0)  # so that every first step is a long one
    history, before = {name: list(values) for name, values in mlp.history_.items()}, bits_of(mlp)
    mlp.learning_rate = lambda step: -1
    with pytest.raises(ValueError, match="learning_rate"):
        mlp.fit(pd.DataFrame(X, columns=list("abcdef")), y)
    assert mlp.history_ == history and bits_of(mlp) == before
    assert not hasattr(mlp, "feature_names_in_")


def test_callbacks_can_add_to_the_history(data):
    class Note(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.history_["note"] = None

    mlp = MLP(SIZES, random_state=0).fit(*data, epochs=3, callbacks=[Note()])
    assert mlp.history_["note"] is None and len(mlp.history_["loss"]) == 3


@pytest.mark.parametrize("network", [MLP, NeuralNet])
def test_a_network_is_freed_without_the_garbage_collector(network, data):
    net = network(SIZES, random_state=0)
    net.fit(*data, epochs=1, callbacks=[callbacks.TerminateOnNaN()]).partial_fit(*data)
    freed = weakref.ref(net._state.network)
    gc.disable()
    try:
        del net
        assert freed() is None
    finally:
        gc.enable()
