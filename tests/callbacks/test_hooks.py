"""Hooks are called with what happens, and what they request is done."""

import pytest

from fastmlp.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, Progress, ReduceLROnPlateau
from helpers.callbacks import At, Recorder, raiser, stop
from helpers.same_bits import bits_of

SIZES = [8, 12, 3]


def test_the_order_of_the_hooks(make_mlp, data):
    recorder = Recorder()
    make_mlp().fit(*data, epochs=2, callbacks=[recorder])
    assert recorder.events == [
        "set_model", "begin",
        "epoch 0 begins", "run 0", "epoch 0 ends",
        "epoch 1 begins", "run 0", "epoch 1 ends",
        "end", "close",
    ]  # fmt: skip


def test_hooks_are_called_in_order_and_checkpoints_last(make_mlp, data, tmp_path):
    events = []

    class Checkpoint(ModelCheckpoint):
        def on_epoch_end(self, epoch, logs=None):
            events.append("checkpoint")

    callbacks = [Checkpoint(tmp_path / "m"), Recorder(events, "a "), Recorder(events, "b ")]
    make_mlp().fit(*data, epochs=1, callbacks=callbacks)
    ends = [
        event for event in events if event in ("a epoch 0 ends", "b epoch 0 ends", "checkpoint")
    ]
    assert ends == ["a epoch 0 ends", "b epoch 0 ends", "checkpoint"]
    assert events[:2] == ["a set_model", "b set_model"] and events[-2:] == ["a close", "b close"]


def test_arguments_of_the_hooks(make_mlp, data):
    recorder = Recorder()
    mlp = make_mlp().fit(
        *data, epochs=2, batch_size=7, validation_fraction=0.1, callbacks=[recorder]
    )
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


def test_batch_hooks_get_the_samples_so_far_and_their_mean_loss(make_mlp, make_data, monkeypatch):
    monkeypatch.setattr("fastmlp.core.pace.MOST_STEPS", 2)
    recorder = Recorder()
    X, y = make_data(SIZES, 47)
    mlp = make_mlp().fit(X, y, epochs=1, batch_size=5, callbacks=[recorder])
    runs = [recorder.logs[f"run {batch}"][0] for batch in range(5)]
    assert [logs["samples"] for logs in runs] == [10, 20, 30, 40, 47]
    assert runs[-1]["loss"] == mlp.history_["loss"][0]
    assert runs[0]["loss"] != runs[1]["loss"]


def test_a_hook_that_stops_training_ends_it_after_the_epoch(make_mlp, data):
    for hook in ("on_epoch_begin", "on_train_batch_end", "on_epoch_end"):
        recorder = Recorder()
        mlp = make_mlp().fit(*data, epochs=5, callbacks=[At(hook, stop), recorder])
        assert len(mlp.history_["loss"]) == 1 and mlp.stop_training
        assert recorder.events[-3:] == ["epoch 0 ends", "end", "close"]
    mlp.fit(*data, epochs=2)
    assert len(mlp.history_["loss"]) == 2 and not mlp.stop_training


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_all_are_closed_where_one_fails(make_mlp, data, hook):
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        make_mlp().fit(*data, callbacks=[At(hook, raiser(ZeroDivisionError())), recorder])
    assert recorder.events.count("close") == 1 and recorder.events[-1] == "close"
    assert "end" not in recorder.events


@pytest.mark.parametrize("hook", ["set_model", "on_train_begin", "on_epoch_begin"])
def test_an_error_before_the_first_step_changes_nothing(make_mlp, data, hook, tmp_path):
    # With warm_start, dropout and a validation fraction: what draws random numbers before it.
    mlp = make_mlp(warm_start=False, dropout=0.5).fit(*data, epochs=2)
    history = {"loss": list(mlp.history_["loss"])}
    mlp.save(tmp_path / "before")
    with pytest.raises(ZeroDivisionError):
        failing = At(hook, raiser(ZeroDivisionError()))
        mlp.fit(*data, validation_fraction=0.2, callbacks=[failing])
    mlp.save(tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()
    assert mlp.history_ == history


def test_an_error_after_a_step_leaves_the_steps(make_mlp, data):
    mlp, recorder = make_mlp(), Recorder()
    failing = At("on_epoch_end", raiser(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        mlp.fit(*data, epochs=2, callbacks=[recorder, failing])
    assert bits_of(mlp) == recorder.parameters[0]


@pytest.mark.parametrize(
    "callbacks, message",
    [
        (EarlyStopping(), "^`callbacks` must be a list of instances of .*, got <"),
        ([EarlyStopping], r"^`callbacks\[0\]` must be an instance of .*, got <class .*"),
        (["stop"], r"^`callbacks\[0\]` must be an instance of .*, got 'stop'"),
    ],
)
def test_invalid_callbacks_are_refused(make_mlp, data, callbacks, message):
    with pytest.raises(TypeError, match=message):
        make_mlp().fit(*data, callbacks=callbacks)


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
def test_what_cannot_be_written_is_refused_before_training(make_mlp, data, tmp_path, kind):
    mlp = make_mlp()
    before = bits_of(mlp)
    for path in (tmp_path, tmp_path / "nowhere" / "file"):
        with pytest.raises(ValueError, match="^`path` must be a file in an existing folder, got "):
            mlp.fit(*data, callbacks=[kind(path)])
    assert bits_of(mlp) == before and mlp.history_ == {}
