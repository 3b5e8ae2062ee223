"""Early stopping, against its definition by hand."""

import numpy as np
import pytest

from fastmlp.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from helpers.callbacks import At, Recorder, Stub
from helpers.same_bits import bits_of


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


def test_mode_auto_knows_user_metrics_from_the_fit(make_mlp, data):
    for greater_is_better in (True, False):
        values = iter([0.0, 5.0, 4.0, 3.0, 2.0, 1.0])  # the first is for the trial before training

        def falls(targets, outputs, values=values):
            return next(values)

        falls.greater_is_better = greater_is_better
        mlp = make_mlp().fit(*data, epochs=5, metrics=falls, callbacks=[EarlyStopping("falls", 2)])
        assert mlp.history_["falls"] == [5.0, 4.0, 3.0, 2.0, 1.0][: 3 if greater_is_better else 5]
    with pytest.raises(ValueError, match="^`mode` must be 'max' or 'min' for 'falls', got 'auto'"):
        follow(EarlyStopping("falls"), [1.0], "falls")


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_an_unknown_monitor_is_refused(make_mlp, data, kind):
    mlp = make_mlp()
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


def test_what_another_callback_records_can_be_watched(make_mlp, data):
    def add(model, epoch, logs):
        logs["own"] = -epoch

    mlp = make_mlp()
    mlp.fit(*data, callbacks=[At("on_epoch_end", add), EarlyStopping("own", 2, mode="max")])
    assert len(mlp.history_["loss"]) == 3


def test_early_stopping_puts_the_best_parameters_back(make_mlp, noisy):
    (X, y), validation = noisy
    for restore in (True, False):
        recorder, mlp = Recorder(), make_mlp(learning_rate=0.03)
        stopping = EarlyStopping(patience=3, restore_best_weights=restore)
        mlp.fit(X, y, epochs=100, validation_data=validation, callbacks=[stopping, recorder])
        losses = mlp.history_["validation_loss"]
        best = int(np.argmin(losses))
        assert 0 < best == stopping.best_epoch and len(losses) == best + 1 + 3
        assert stopping.best == losses[best]
        assert bits_of(mlp) == recorder.parameters[best if restore else -1]
        assert recorder.parameters[best] != recorder.parameters[-1]


def test_the_best_parameters_come_back_after_all_epochs_but_not_after_an_interrupt(make_mlp, noisy):
    (X, y), validation = noisy
    options = {"epochs": 30, "validation_data": validation}
    recorder, mlp = Recorder(), make_mlp(learning_rate=0.03)
    stopping = EarlyStopping(patience=1000)
    mlp.fit(X, y, **options, callbacks=[stopping, recorder])
    assert len(recorder.parameters) == 30 and stopping.best_epoch < 29
    assert bits_of(mlp) == recorder.parameters[stopping.best_epoch]

    def interrupt(model, epoch, logs):
        if epoch == 20:
            raise KeyboardInterrupt

    recorder, mlp = Recorder(), make_mlp(learning_rate=0.03)
    with pytest.raises(KeyboardInterrupt):
        callbacks = [EarlyStopping(patience=1000), recorder, At("on_epoch_end", interrupt)]
        mlp.fit(X, y, **options, callbacks=callbacks)
    assert bits_of(mlp) == recorder.parameters[20]


def test_early_stopping_forgets_the_last_fit(make_mlp, noisy):
    (X, y), validation = noisy
    stopping, lengths = EarlyStopping(patience=3), []
    for _ in range(2):
        mlp = make_mlp(learning_rate=0.03)
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
