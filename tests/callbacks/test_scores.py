"""The losses and scores of each epoch: recorded, and finite."""

import math
import warnings

import numpy as np
import pytest

from fastmlp import MLP, DivergenceWarning
from fastmlp.callbacks import Callback, TerminateOnNaN
from helpers.callbacks import Recorder, Stub
from helpers.same_bits import arrays_of

# Losses that are not finite ----------------------------------------------------------------------


def test_terminate_on_nan():
    for value, expected in ((1.0, False), (math.nan, True), (math.inf, True)):
        for hook in ("on_train_batch_end", "on_epoch_end"):
            callback = TerminateOnNaN()
            callback.set_model(Stub())
            getattr(callback, hook)(0, {"loss": value})
            assert callback.model.stop_training == expected


@pytest.mark.parametrize("rate", [1e30, 1e300])  # the loss overflows, or the weights do
def test_a_divergence_warns_once_and_leaves_finite_weights(make_mlp, data, rate):
    for optimizer in ("sgd", "momentum"):
        recorder, mlp = Recorder(), make_mlp(optimizer=optimizer, learning_rate=rate)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mlp.fit(*data, epochs=5, batch_size=60, callbacks=[recorder, TerminateOnNaN()])
        (warning,) = caught
        assert warning.category is DivergenceWarning and warning.filename == __file__
        assert mlp.stop_training and all(np.isfinite(array).all() for array in arrays_of(mlp))
        assert recorder.events[-2:] == ["end", "close"]
        assert len(mlp.history_["loss"]) == len(recorder.parameters) == (rate == 1e30)


def test_a_divergence_keeps_the_epochs_before(make_mlp, data):
    def rate(step):
        return 0.05 if step < 6 else 1e30

    recorder = Recorder()
    mlp = make_mlp(optimizer="sgd", learning_rate=rate)
    with pytest.warns(
        DivergenceWarning, match="training has stopped because the loss was NaN or inf"
    ):
        mlp.fit(*data, epochs=9, batch_size=20, callbacks=[recorder])
    calm = make_mlp(optimizer="sgd", learning_rate=0.05).fit(*data, epochs=2, batch_size=20)
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
def test_refused_fractions(make_mlp, data, fraction, n, message):
    with pytest.raises(ValueError, match=message):
        make_mlp().fit(data[0][:n], data[1][:n], validation_fraction=fraction)


def test_the_scores_are_those_of_the_epoch_s_network(make_mlp, noisy):
    (X, y), (X_other, y_other) = noisy
    own, scores = [], []

    class Score(Callback):
        def on_epoch_end(self, epoch, logs=None):
            own.append(self.model.score(X, y))
            scores.append(self.model.score(X_other, y_other))

    trained = make_mlp().fit(X, y, epochs=4, metrics="accuracy", callbacks=[Score()])
    assert list(trained.history_) == ["loss", "accuracy"] and trained.history_["accuracy"] == own
    scores.clear()
    watched = make_mlp().fit(
        X, y, epochs=4, validation_data=(X_other, y_other), callbacks=[Score()]
    )
    assert list(watched.history_) == ["loss", "validation_loss", "validation_accuracy"]
    assert watched.history_["validation_accuracy"] == scores
    p = watched.predict_proba(X_other)[np.arange(len(y_other)), y_other]
    assert watched.history_["validation_loss"][-1] == pytest.approx(-np.log(p).mean(), rel=1e-6)
    plain = make_mlp().fit(X, y, epochs=4)
    assert plain.history_ == {"loss": trained.history_["loss"]}
