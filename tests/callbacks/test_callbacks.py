"""Callbacks are called with what happens, and what they request is done."""

import csv
import io
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from fastmlp import MLP, DivergenceWarning
from fastmlp.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    Progress,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from helpers.same_bits import arrays_of, assert_same_bits, bits_of

SIZES = [8, 12, 3]


class Recorder(Callback):
    """Records the calls of every hook, and the parameters after each epoch."""

    def __init__(self, events=None, name=""):
        self.events, self.name = [] if events is None else events, name
        self.logs, self.parameters = {}, []

    def tell(self, hook, logs):
        self.events.append(self.name + hook)
        self.logs.setdefault(hook, []).append(logs)

    def set_model(self, model):
        super().set_model(model)
        self.events.append(self.name + "set_model")

    def on_train_begin(self, logs=None):
        self.tell("begin", logs)

    def on_train_end(self, logs=None):
        self.tell("end", logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.tell(f"epoch {epoch} begins", logs)

    def on_epoch_end(self, epoch, logs=None):
        self.tell(f"epoch {epoch} ends", logs)
        self.parameters.append(bits_of(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.tell(f"run {batch}", logs)

    def close(self):
        self.tell("close", None)


class At(Callback):
    """Calls a function in one of the hooks."""

    def __init__(self, hook, action):
        def called(*arguments):
            action(self.model, *arguments)

        setattr(self, hook, called)


def stop(model, *_):
    model.stop_training = True


def raiser(error):
    def action(*_):
        raise error

    return action


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 60)


@pytest.fixture
def make():
    def make(**options):
        return MLP(SIZES, **{"random_state": 0} | options)

    return make


# The hooks ---------------------------------------------------------------------------------------


def test_the_order_of_the_hooks(make, data):
    recorder = Recorder()
    make().fit(*data, epochs=2, callbacks=[recorder])
    assert recorder.events == [
        "set_model", "begin",
        "epoch 0 begins", "run 0", "epoch 0 ends",
        "epoch 1 begins", "run 0", "epoch 1 ends",
        "end", "close",
    ]  # fmt: skip


def test_hooks_are_called_in_order_and_checkpoints_last(make, data, tmp_path):
    events = []

    class Checkpoint(ModelCheckpoint):
        def on_epoch_end(self, epoch, logs=None):
            events.append("checkpoint")

    callbacks = [Checkpoint(tmp_path / "m"), Recorder(events, "a "), Recorder(events, "b ")]
    make().fit(*data, epochs=1, callbacks=callbacks)
    ends = [
        event for event in events if event in ("a epoch 0 ends", "b epoch 0 ends", "checkpoint")
    ]
    assert ends == ["a epoch 0 ends", "b epoch 0 ends", "checkpoint"]
    assert events[:2] == ["a set_model", "b set_model"] and events[-2:] == ["a close", "b close"]


def test_arguments_of_the_hooks(make, data):
    recorder = Recorder()
    mlp = make().fit(*data, epochs=2, batch_size=7, validation_fraction=0.1, callbacks=[recorder])
    assert recorder.logs["begin"] == [{
        "epochs": 2,
        "samples": 54,
        "greater_is_better": {
            "loss": False, "validation_loss": False, "validation_accuracy": True
        },
    }]  # fmt: skip
    for epoch in range(2):
        assert recorder.logs[f"epoch {epoch} begins"] == [{}]
        expected = {name: values[epoch] for name, values in mlp.history_.items()}
        assert recorder.logs[f"epoch {epoch} ends"] == [expected]
    assert recorder.logs["end"] == recorder.logs["epoch 1 ends"]


def test_batch_hooks_get_the_samples_so_far_and_their_mean_loss(make, make_data, monkeypatch):
    monkeypatch.setattr("fastmlp.core.run.MOST_STEPS", 2)
    recorder = Recorder()
    X, y = make_data(SIZES, 47)
    mlp = make().fit(X, y, epochs=1, batch_size=5, callbacks=[recorder])
    runs = [recorder.logs[f"run {batch}"][0] for batch in range(5)]
    assert [logs["samples"] for logs in runs] == [10, 20, 30, 40, 47]
    assert runs[-1]["loss"] == mlp.history_["loss"][0]
    assert runs[0]["loss"] != runs[1]["loss"]


def test_a_hook_that_stops_training_ends_it_after_the_epoch(make, data):
    for hook in ("on_epoch_begin", "on_train_batch_end", "on_epoch_end"):
        recorder = Recorder()
        mlp = make().fit(*data, epochs=5, callbacks=[At(hook, stop), recorder])
        assert len(mlp.history_["loss"]) == 1 and mlp.stop_training
        assert recorder.events[-3:] == ["epoch 0 ends", "end", "close"]
    mlp.fit(*data, epochs=2)
    assert len(mlp.history_["loss"]) == 2 and not mlp.stop_training


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_all_are_closed_where_one_fails(make, data, hook):
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        make().fit(*data, callbacks=[At(hook, raiser(ZeroDivisionError())), recorder])
    assert recorder.events.count("close") == 1 and recorder.events[-1] == "close"
    assert "end" not in recorder.events


@pytest.mark.parametrize("hook", ["set_model", "on_train_begin", "on_epoch_begin"])
def test_an_error_before_the_first_step_changes_nothing(make, data, hook, tmp_path):
    # With warm_start, dropout and a validation fraction: what draws random numbers before it.
    mlp = make(warm_start=False, dropout=0.5).fit(*data, epochs=2)
    history = {"loss": list(mlp.history_["loss"])}
    mlp.save(tmp_path / "before")
    with pytest.raises(ZeroDivisionError):
        failing = At(hook, raiser(ZeroDivisionError()))
        mlp.fit(*data, validation_fraction=0.2, callbacks=[failing])
    mlp.save(tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()
    assert mlp.history_ == history


def test_an_error_after_a_step_leaves_the_steps(make, data):
    mlp, recorder = make(), Recorder()
    failing = At("on_epoch_end", raiser(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        mlp.fit(*data, epochs=2, callbacks=[recorder, failing])
    assert bits_of(mlp) == recorder.parameters[0]


@pytest.mark.parametrize(
    "callbacks, message",
    [
        (EarlyStopping(), "^`callbacks` must be a list of instances of .*, got <"),
        ([EarlyStopping], "^`callbacks` must be a list of instances of .*, got <class .*> among"),
        (["stop"], "^`callbacks` must be a list of instances of .*, got 'stop' among"),
    ],
)
def test_invalid_callbacks_are_refused(make, data, callbacks, message):
    with pytest.raises(TypeError, match=message):
        make().fit(*data, callbacks=callbacks)


@pytest.mark.parametrize(
    "make_callback, error, message",
    [
        (lambda: EarlyStopping(7), TypeError, "^`monitor` must be the name of .*, got 7"),
        (
            lambda: EarlyStopping(patience=0),
            ValueError,
            "^`patience` must be an int of at least 1, got 0",
        ),
        (
            lambda: EarlyStopping(patience=1.5),
            TypeError,
            "^`patience` must be an int of at least 1, got 1.5",
        ),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "^`min_delta` must be .*, got -1"),
        (
            lambda: EarlyStopping(mode="up"),
            ValueError,
            "^`mode` must be one of 'auto', 'max', 'min', got 'up'",
        ),
        (
            lambda: ReduceLROnPlateau(factor=1),
            ValueError,
            "^`factor` must be above 0 and below 1, got 1.0",
        ),
        (
            lambda: ReduceLROnPlateau(cooldown=-1),
            ValueError,
            "^`cooldown` must be an int of at least 0, got -1",
        ),
        (
            lambda: ReduceLROnPlateau(min_rate=-1),
            ValueError,
            "^`min_rate` must be finite and at least 0, got -1",
        ),
        (lambda: ModelCheckpoint(3), TypeError, "^`path` must be a str or os.PathLike, got 3"),
        (
            lambda: ModelCheckpoint(b"m"),
            TypeError,
            "^`path` must be a str or os.PathLike, got b'm'",
        ),
        (
            lambda: ModelCheckpoint("m", every=0),
            ValueError,
            "^`every` must be an int of at least 1, got 0",
        ),
        (lambda: ModelCheckpoint("m", mode="up"), ValueError, "^`mode` must be .*, got 'up'"),
        (lambda: CSVLogger(None), TypeError, "^`path` must be a str or os.PathLike, got None"),
        (
            lambda: Progress("log"),
            TypeError,
            "^`stream` must be None or a file open for text, got 'log'",
        ),
    ],
)
def test_refused_arguments(make_callback, error, message):
    with pytest.raises(error, match=message):
        make_callback()


@pytest.mark.parametrize("kind", [CSVLogger, ModelCheckpoint])
def test_what_cannot_be_written_is_refused_before_training(make, data, tmp_path, kind):
    mlp = make()
    before = bits_of(mlp)
    for path in (tmp_path, tmp_path / "nowhere" / "file"):
        with pytest.raises(ValueError, match="^`path` must be a file in an existing folder, got "):
            mlp.fit(*data, callbacks=[kind(path)])
    assert bits_of(mlp) == before and mlp.history_ == {}


# Early stopping ----------------------------------------------------------------------------------


class Stub:
    """A model without training, whose weight is the monitored value."""

    def __init__(self):
        self.stop_training, self.weights, self.biases = False, [np.zeros((1, 1))], []


def follow(callback, values, monitor):
    """Pass these values to a callback; return the epoch after which it stops, or None."""
    callback.set_model(Stub())
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.model.weights = [np.full((1, 1), value)]
        callback.on_epoch_end(epoch, {monitor: value})
        if callback.model.stop_training:
            return epoch
    return None


def expected_stop(values, patience, min_delta):
    """Return the last and the best epoch for values that should be small."""
    best_epoch = None
    for epoch, value in enumerate(values):
        if (
            best_epoch is None
            and value == value
            or (best_epoch is not None and values[best_epoch] - value > min_delta)
        ):
            best_epoch = epoch
        last_gain = -1 if best_epoch is None else best_epoch
        if epoch - last_gain == patience:
            return epoch, best_epoch
    return None, best_epoch


@pytest.mark.parametrize("patience", [1, 2, 4])
@pytest.mark.parametrize("min_delta", [0.0, 0.5])
def test_early_stopping_by_hand(patience, min_delta):
    random = np.random.default_rng(0)
    stops = set()
    for _ in range(100):
        values = random.integers(0, 8, 12) / 2
        values[random.random(12) < 0.1] = np.nan
        for sign, mode in ((1, "min"), (-1, "max")):
            stopping = EarlyStopping("x", patience, min_delta, mode=mode)
            stopped = follow(stopping, sign * values, "x")
            assert (stopped, stopping.best_epoch) == expected_stop(values, patience, min_delta)
            stopping.on_train_end()
            expected = values[-1 if stopped is None else stopped]
            if stopping.best_epoch is not None:
                expected = values[stopping.best_epoch]
                assert stopping.best == sign * expected
            np.testing.assert_array_equal(stopping.model.weights[0], [[sign * expected]])
            stops.add(stopped)
    assert len(stops) > 3


@pytest.mark.parametrize(
    "monitor, smaller",
    [
        ("loss", True), ("validation_loss", True), ("validation_log_loss", True), ("mae", True),
        ("validation_rmse", True), ("accuracy", False), ("validation_f1", False), ("r2", False),
    ],
)  # fmt: skip
def test_mode_auto_knows_what_is_better(monitor, smaller):
    assert follow(EarlyStopping(monitor, 2), [3, 2, 1, 0], monitor) == (None if smaller else 2)
    assert follow(EarlyStopping(monitor, 2), [0, 1, 2, 3], monitor) == (2 if smaller else None)


def test_mode_auto_knows_user_metrics_from_the_fit(make, data):
    for greater_is_better in (True, False):
        values = iter([0.0, 5.0, 4.0, 3.0, 2.0, 1.0])  # the first is for the trial before training

        def falls(targets, outputs, values=values):
            return next(values)

        falls.greater_is_better = greater_is_better
        mlp = make().fit(*data, epochs=5, metrics=falls, callbacks=[EarlyStopping("falls", 2)])
        assert mlp.history_["falls"] == [5.0, 4.0, 3.0, 2.0, 1.0][: 3 if greater_is_better else 5]
    with pytest.raises(ValueError, match="^`mode` must be 'max' or 'min' for 'falls', got 'auto'"):
        follow(EarlyStopping("falls"), [1.0], "falls")


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_an_unknown_monitor_is_refused(make, data, kind):
    mlp = make()
    before = bits_of(mlp)
    message = r"^`monitor` must be .* records \('loss', 'accuracy'\), got 'validation_loss'\.$"
    with pytest.raises(ValueError, match=message):
        mlp.fit(*data, metrics="accuracy", callbacks=[kind()])
    assert bits_of(mlp) == before and mlp.history_ == {}
    with pytest.raises(
        ValueError,
        match="^`monitor` must be one of the values that this fit records .'loss.*, got 'x'",
    ):
        mlp.fit(*data, callbacks=[kind("x", mode="max")])  # another callback might have added it
    with pytest.raises(ValueError, match=r"^`monitor` must be .*\('loss'\), got 'x'\.$"):
        mlp.fit(*data, callbacks=[ModelCheckpoint("x", monitor="x")])


def test_what_another_callback_records_can_be_watched(make, data):
    def add(model, epoch, logs):
        logs["own"] = -epoch

    mlp = make()
    mlp.fit(*data, callbacks=[At("on_epoch_end", add), EarlyStopping("own", 2, mode="max")])
    assert len(mlp.history_["loss"]) == 3


def noisy(make_data):
    """Return training and validation data with random labels: soon no epoch is better."""
    return make_data(SIZES, 60), make_data(SIZES, 40, seed=1)


def test_early_stopping_puts_the_best_parameters_back(make, make_data):
    (X, y), validation = noisy(make_data)
    for restore in (True, False):
        recorder, mlp = Recorder(), make(learning_rate=0.03)
        stopping = EarlyStopping(patience=3, restore_best_weights=restore)
        mlp.fit(X, y, epochs=100, validation_data=validation, callbacks=[stopping, recorder])
        losses = mlp.history_["validation_loss"]
        best = int(np.argmin(losses))
        assert 0 < best == stopping.best_epoch and len(losses) == best + 1 + 3
        assert stopping.best == losses[best]
        assert bits_of(mlp) == recorder.parameters[best if restore else -1]
        assert recorder.parameters[best] != recorder.parameters[-1]


def test_the_best_parameters_come_back_after_all_epochs_but_not_after_an_interrupt(make, make_data):
    (X, y), validation = noisy(make_data)
    options = {"epochs": 30, "validation_data": validation}
    recorder, mlp = Recorder(), make(learning_rate=0.03)
    stopping = EarlyStopping(patience=1000)
    mlp.fit(X, y, **options, callbacks=[stopping, recorder])
    assert len(recorder.parameters) == 30 and stopping.best_epoch < 29
    assert bits_of(mlp) == recorder.parameters[stopping.best_epoch]

    def interrupt(model, epoch, logs):
        if epoch == 20:
            raise KeyboardInterrupt

    recorder, mlp = Recorder(), make(learning_rate=0.03)
    with pytest.raises(KeyboardInterrupt):
        callbacks = [EarlyStopping(patience=1000), recorder, At("on_epoch_end", interrupt)]
        mlp.fit(X, y, **options, callbacks=callbacks)
    assert bits_of(mlp) == recorder.parameters[20]


def test_early_stopping_forgets_the_last_fit(make, make_data):
    (X, y), validation = noisy(make_data)
    stopping, lengths = EarlyStopping(patience=3), []
    for _ in range(2):
        mlp = make(learning_rate=0.03)
        mlp.fit(X, y, epochs=100, validation_data=validation, callbacks=[stopping])
        lengths.append(len(mlp.history_["loss"]))
    assert lengths[0] == lengths[1] < 100


def test_early_stopping_is_restored_from_its_state():
    values = [5.0, 3.0, 4.0, 4.0, 4.0, 4.0, 1.0]
    whole = EarlyStopping("loss", patience=4)
    assert follow(whole, values, "loss") == 5
    for cut in range(1, 5):
        first, second = EarlyStopping("loss", patience=4), EarlyStopping("loss", patience=4)
        follow(first, values[:cut], "loss")
        second.set_model(Stub())
        second.on_train_begin()
        second.restore(first.state())
        for epoch in range(cut, 6):
            second.model.weights = [np.full((1, 1), values[epoch])]
            second.on_epoch_end(epoch, {"loss": values[epoch]})
            assert second.model.stop_training == (epoch == 5)
        assert second.state() == whole.state()


# Files -------------------------------------------------------------------------------------------


def read_csv(path):
    """Return the columns of a file, with numbers as text."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [float(row[k]) for row in rows] for k, name in enumerate(header)}


def test_the_log_is_the_history(make, data, tmp_path):
    def odd(targets, outputs):
        return np.float32(outputs[0, 0])  # its shortest representation is long

    log = tmp_path / "log.csv"
    mlp = make().fit(
        *data, epochs=4, validation_fraction=0.25, metrics=["f1", odd], callbacks=[CSVLogger(log)]
    )
    columns = read_csv(log)
    assert list(columns) == ["epoch", "loss", "validation_loss", "validation_f1", "validation_odd"]
    assert columns == {"epoch": [0, 1, 2, 3], **mlp.history_}


def test_the_log_is_whole_after_every_epoch(make, data, tmp_path):
    log, lengths = tmp_path / "log.csv", []
    log.write_text("of another run")

    def look(model, epoch, logs):
        assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
        lengths.append(len(read_csv(log)["loss"]))

    make().fit(*data, epochs=3, callbacks=[CSVLogger(log), At("on_epoch_end", look)])
    assert lengths == [1, 2, 3]


def test_checkpoints_are_written_when_it_is_time(make, data, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(MLP, "save", lambda mlp, path: written.append(len(mlp.history_["loss"])))
    for every, expected in ((1, [1, 2, 3, 4, 5]), (2, [2, 4]), (6, [])):
        written.clear()
        make().fit(*data, epochs=5, callbacks=[ModelCheckpoint(tmp_path / "m", every=every)])
        assert written == expected


@pytest.mark.parametrize("every", [1, 3])
def test_checkpoints_with_a_monitor_are_written_when_it_got_better(make, data, tmp_path, every):
    values = [math.nan, 2.0, 5.0, math.nan, 4.0, 4.5, 6.0, 6.0, 6.0, 1.0, 9.0, 7.0]
    expected = {1: [1, 2, 6, 10], 3: [2, 8, 11]}[every]
    numbers, written = iter([0.0, *values]), []  # the first is for the trial before training

    def own(targets, outputs):
        return next(numbers)

    class Noted(MLP):
        def save(self, path):
            written.append(len(self.history_["own"]) - 1)

    checkpoint = ModelCheckpoint(tmp_path / "m", every=every, monitor="own")
    Noted(SIZES, random_state=0).fit(*data, epochs=12, metrics=own, callbacks=[checkpoint])
    assert written == expected


def test_a_checkpoint_holds_the_model_of_its_epoch(make, data, tmp_path):
    recorder = Recorder()
    checkpoint = ModelCheckpoint(tmp_path / "m.npz", every=3)
    make(dropout=0.2).fit(*data, epochs=5, callbacks=[checkpoint, recorder])
    loaded = MLP.load(checkpoint.path)
    assert bits_of(loaded) == recorder.parameters[2] and len(loaded.history_["loss"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


def test_a_failed_write_leaves_the_last_checkpoint(make, data, tmp_path, monkeypatch):
    checkpoint = ModelCheckpoint(tmp_path / "m.npz")
    make().fit(*data, epochs=1, callbacks=[checkpoint])
    before = (tmp_path / "m.npz").read_bytes()
    monkeypatch.setattr("os.replace", raiser(OSError("full")))
    with pytest.raises(OSError, match="full"):
        make(random_state=1).fit(*data, epochs=1, callbacks=[checkpoint])
    assert (tmp_path / "m.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


# Learning rates ----------------------------------------------------------------------------------


def factors(values, **options):
    """Return the model's rate factor after each of these losses."""
    plateau = ReduceLROnPlateau("loss", **{"factor": 0.5, "min_delta": 0.0} | options)
    mlp = MLP([1, 1], loss="squared_error", learning_rate=1.0, random_state=0)
    plateau.set_model(mlp)
    plateau.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        plateau.on_epoch_end(epoch, {"loss": value})
        found.append(mlp.rate_factor)
    return found


def test_plateaus_lower_the_rate_by_hand():
    flat = [1.0] * 8
    assert factors(flat, patience=1) == [2.0**-k for k in range(8)]
    assert factors(flat, patience=3) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert factors(range(8, 0, -1), patience=1) == [1.0] * 8
    assert factors(range(8), patience=1, mode="max") == [1.0] * 8
    assert factors([3, 2.5, 2, 1, 0.5], patience=1, min_delta=0.75) == [1, 0.5, 0.5, 0.5, 0.25]
    assert factors([1.0, math.nan, 0.5], patience=1) == [1, 0.5, 0.5]
    # Epochs of the cooldown are not counted.
    assert factors(flat, patience=1, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert factors(flat, patience=1, min_rate=0.2) == [1, 0.5, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert factors(flat, patience=1, min_rate=2.0) == [1.0] * 8  # a rate is never raised


def test_a_plateau_trains_as_with_a_schedule_by_hand(make, data):
    X, y = data
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    lowered = make(learning_rate=0.125, optimizer="momentum")
    lowered.fit(X, y, epochs=5, batch_size=20, callbacks=[plateau])  # 3 steps an epoch

    def schedule(step):
        return 0.125 * 0.5 ** max(0, step // 3 - 1)

    by_hand = make(learning_rate=schedule, optimizer="momentum").fit(X, y, epochs=5, batch_size=20)
    assert_same_bits(lowered, by_hand)
    constant = make(learning_rate=0.125, optimizer="momentum").fit(X, y, 5, 20)
    assert bits_of(lowered) != bits_of(constant)
    assert lowered.rate_factor == 0.5**4


def test_a_plateau_lowers_the_rates_of_a_schedule(make, data):
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, min_rate=0.03125)
    mlp = make(learning_rate=lambda step: 0.125 if step < 9 else 0.0)
    rates = []
    look = At("on_epoch_begin", lambda model, *_: rates.append(model._state.optimizer.next_rate))
    mlp.fit(*data, epochs=5, batch_size=20, callbacks=[plateau, look])
    assert rates == [0.125, 0.125, 0.0625, 0, 0]  # and nothing is divided by 0


def test_a_plateau_is_restored_from_its_state():
    for cut in range(8):
        first, second = (ReduceLROnPlateau("loss", 0.5, patience=2, cooldown=1) for _ in range(2))
        mlp = MLP([1, 1], random_state=0)
        for plateau, epochs in ((first, range(cut)), (second, range(cut, 8))):
            plateau.set_model(mlp)
            plateau.on_train_begin()
            if plateau is second:
                plateau.restore(first.state())
            for epoch in epochs:
                plateau.on_epoch_end(epoch, {"loss": 1.0})
        assert mlp.rate_factor == 0.25  # after epochs 2 and 5, 8 would be the next


def test_the_rate_factor_is_kept_and_checked(make, tmp_path):
    mlp = make()
    assert mlp.rate_factor == 1.0
    mlp.rate_factor = 0.5
    mlp.save(tmp_path / "m.npz")
    assert MLP.load(tmp_path / "m.npz").rate_factor == 0.5
    with pytest.raises(ValueError, match="^`rate_factor` must be finite and at least 0, got -1"):
        mlp.rate_factor = -1


# Losses that are not finite ----------------------------------------------------------------------


def test_terminate_on_nan():
    for value, expected in ((1.0, False), (math.nan, True), (math.inf, True)):
        for tell in ("on_train_batch_end", "on_epoch_end"):
            callback = TerminateOnNaN()
            callback.set_model(Stub())
            getattr(callback, tell)(0, {"loss": value})
            assert callback.model.stop_training == expected


@pytest.mark.parametrize("rate", [1e30, 1e300])  # the loss overflows, or the weights do
def test_a_divergence_warns_once_and_leaves_finite_weights(make, data, rate):
    for optimizer in ("sgd", "momentum"):
        recorder, mlp = Recorder(), make(optimizer=optimizer, learning_rate=rate)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mlp.fit(*data, epochs=5, batch_size=60, callbacks=[recorder, TerminateOnNaN()])
        (warning,) = caught
        assert warning.category is DivergenceWarning and warning.filename == __file__
        assert mlp.stop_training and all(np.isfinite(array).all() for array in arrays_of(mlp))
        assert recorder.events[-2:] == ["end", "close"]
        assert len(mlp.history_["loss"]) == len(recorder.parameters) == (rate == 1e30)


def test_a_divergence_keeps_the_epochs_before(make, data):
    def rate(step):
        return 0.05 if step < 6 else 1e30

    recorder = Recorder()
    mlp = make(optimizer="sgd", learning_rate=rate)
    with pytest.warns(
        DivergenceWarning, match="training has stopped because the loss was NaN or inf"
    ):
        mlp.fit(*data, epochs=9, batch_size=20, callbacks=[recorder])
    calm = make(optimizer="sgd", learning_rate=0.05).fit(*data, epochs=2, batch_size=20)
    assert mlp.history_ == calm.history_ and len(recorder.parameters) == 2
    assert all(np.isfinite(array).all() for array in arrays_of(mlp))


# Scores ------------------------------------------------------------------------------------------


def test_a_validation_fraction_is_drawn_once_and_never_trained_on():
    n, seen = 50, []
    X = np.eye(n, dtype=np.float32)

    def keep(targets, outputs):
        seen.append(np.sort(targets.ravel()))
        return 0

    mlp = MLP([n, 1], loss="squared_error", random_state=3, optimizer="sgd", learning_rate=0.01)
    before = mlp.weights[0].copy()
    mlp.fit(X, np.arange(n), epochs=3, validation_fraction=0.3, metrics=keep)
    held = seen[0].astype(int)
    assert len(held) == 15 == len(set(held)) and all((rows == held).all() for rows in seen)
    moved = (mlp.weights[0] != before).ravel()  # a weight changes if its one row is trained on
    assert moved.sum() == 35 and not moved[held].any()
    other = MLP([n, 1], loss="squared_error", random_state=4)
    other.fit(X, np.arange(n), epochs=1, validation_fraction=0.3, metrics=keep)
    assert (seen[-1] != held).any()


@pytest.mark.parametrize(
    "fraction, n, message",
    [
        (1.0, 60, "^`validation_fraction` must be at least 0 and below 1, got 1.0"),
        (0.001, 60, "^`validation_fraction` must leave samples .*, got 0.001 of 60 samples"),
        (0.9, 2, "^`validation_fraction` must leave samples .*, got 0.9 of 2 samples"),
    ],
)
def test_refused_fractions(make, data, fraction, n, message):
    with pytest.raises(ValueError, match=message):
        make().fit(data[0][:n], data[1][:n], validation_fraction=fraction)


def test_the_scores_are_those_of_the_epoch_s_network(make, make_data):
    (X, y), (X_other, y_other) = noisy(make_data)
    own, scores = [], []

    class Score(Callback):
        def on_epoch_end(self, epoch, logs=None):
            own.append(self.model.score(X, y))
            scores.append(self.model.score(X_other, y_other))

    trained = make().fit(X, y, epochs=4, metrics="accuracy", callbacks=[Score()])
    assert list(trained.history_) == ["loss", "accuracy"] and trained.history_["accuracy"] == own
    scores.clear()
    watched = make().fit(X, y, epochs=4, validation_data=(X_other, y_other), callbacks=[Score()])
    assert list(watched.history_) == ["loss", "validation_loss", "validation_accuracy"]
    assert watched.history_["validation_accuracy"] == scores
    p = watched.predict_proba(X_other)[np.arange(len(y_other)), y_other]
    assert watched.history_["validation_loss"][-1] == pytest.approx(-np.log(p).mean(), rel=1e-6)
    plain = make().fit(X, y, epochs=4)
    assert plain.history_ == {"loss": trained.history_["loss"]}


# Progress ----------------------------------------------------------------------------------------


def test_progress_is_written_to_a_stream(make, data):
    stream = io.StringIO()
    mlp = make().fit(*data, epochs=3, callbacks=[Progress(stream)])
    shown = stream.getvalue()
    assert "180/180" in shown and "100%" in shown and shown.endswith("\n")
    assert f"loss={mlp.history_['loss'][-1]:.4f}" in shown


def test_verbose_is_one_bar_on_stderr(make, data, capsys):
    make().fit(*data, epochs=3, verbose=True)
    out, err = capsys.readouterr()
    assert "180/180" in err and out == ""
    stream = io.StringIO()
    make().fit(*data, epochs=3, verbose=True, callbacks=[Progress(stream)])
    assert capsys.readouterr().err == "" and "180/180" in stream.getvalue()
    make().fit(*data, epochs=3)
    assert capsys.readouterr().err == ""


def test_progress_of_batches_whose_number_is_unknown(make, data):
    X, y = data
    progress, totals = Progress(io.StringIO()), []
    look = At("on_epoch_end", lambda *_: totals.append(progress._bar.total))
    make().fit([(X[:20], y[:20]), (X[20:], y[20:])], epochs=2, callbacks=[progress, look])
    assert "120 samples" in progress.stream.getvalue() and totals == [None, None]


def test_progress_of_a_resumed_training_begins_where_it_does(make, data, tmp_path):
    checkpoint, progress = ModelCheckpoint(tmp_path / "m.npz"), Progress(io.StringIO())
    shown = []

    class Look(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            shown.append(progress._bar.n)

    make().fit(*data, epochs=2, callbacks=[checkpoint, progress, Look()])
    make().fit(*data, epochs=4, callbacks=[checkpoint, progress, Look()], resume=True)
    assert shown == [0, 60, 120, 180] and "240/240" in progress.stream.getvalue()


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end"])
def test_the_bar_is_closed_when_training_fails(make, data, hook):
    stream, bars = io.StringIO(), []
    progress = Progress(stream)

    def fail(*_):
        bars.append(progress._bar)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().fit(*data, callbacks=[progress, At(hook, fail)])
    assert bars[0].disable and progress._bar is None and stream.getvalue().endswith("\n")


# tqdm shares a lock with forked processes; one of them is killed while it draws.
KILLED_WHILE_IT_DRAWS = """
import os, signal
from tqdm import tqdm
from fastmlp import MLP
lock = tqdm.get_lock()
MLP([1, 2], random_state=0).fit([[0.0]], [0], verbose=True)
child = os.fork()
if child == 0:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
MLP([1, 2], random_state=0).fit([[0.0]], [0], verbose=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_process_does_not_stop_the_bars_of_others():
    subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_DRAWS], check=True, timeout=60)
