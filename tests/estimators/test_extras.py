"""What the estimators have beyond scikit-learn's."""

import numpy as np
import pytest
from sklearn import config_context, datasets
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from fastmlp import MLP, callbacks, losses, optimizers, schedules
from fastmlp.sklearn import MLPClassifier, MLPRegressor, fitting
from fastmlp.training import sources
from helpers.same_bits import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (8, 6), "max_iter": 6, "random_state": 0, "n_threads": 1}


@pytest.fixture(scope="module")
def iris():
    return datasets.load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def halves(iris):
    X, y = iris
    return X[::2], y[::2], X[1::2], y[1::2]


def numbers_of(estimator):
    return [np.ascontiguousarray(a) for a in (*estimator.coefs_, *estimator.intercepts_)]


def test_off_by_default(iris):
    plain = MLPClassifier(**SMALL).fit(*iris)
    for name, value in {
        "activation": ["relu", "relu"], "dropout": 0.0, "class_weight": None, "metrics": "f1",
        "n_threads": 2, "callbacks": [callbacks.TerminateOnNaN()],
    }.items():  # fmt: skip
        other = clone(plain).set_params(**{name: value}).fit(*iris)
        assert_same_bits(numbers_of(other), numbers_of(plain))


@pytest.mark.parametrize(
    "changed",
    [
        {"activation": ["gelu", "silu"]},
        {"activation": "softplus"},
        {"dropout": [0.25, 0.0]},
        {"input_noise": 0.1},
        {"clip_norm": 0.01},
        {"max_norm": 0.5},
        {"l1": 0.01},
        {"label_smoothing": 0.1},
        {"class_weight": {0: 3.0}},
        {"solver": "adamw", "alpha": 1.0},
        {"solver": optimizers.RMSprop(decay=0.9)},
        {"learning_rate": schedules.Exponential(0.01, 0.5)},
    ],
    ids=repr,
)
def test_each_changes_what_is_learnt_and_is_repeatable(iris, changed):
    plain, *twice = (MLPClassifier(**SMALL | c).fit(*iris) for c in ({}, changed, changed))
    assert_same_bits(*map(numbers_of, twice))
    assert np.abs(plain.coefs_[0] - twice[0].coefs_[0]).max() > 1e-6


@pytest.mark.parametrize(
    ("solver", "optimizer"),
    [("adamw", "adamw"), ("nesterov", "nesterov"), (optimizers.Adagrad(1e-5),) * 2],
)
def test_a_solver_of_the_core_is_that_of_mlp(iris, solver, optimizer):
    X, y = iris
    clf = MLPClassifier(solver=solver, shuffle=False, alpha=0.0, dropout=0.0, **SMALL)
    initial = clone(clf).set_params(learning_rate_init=1e-300, max_iter=1).fit(X, y)
    mlp = MLP(
        [4, 8, 6, 3], optimizer=optimizer, learning_rate=0.001, dtype="float64", n_threads=1,
        init=[coef.T for coef in initial.coefs_],
    )  # fmt: skip
    mlp.biases = [intercept[:, None] for intercept in initial.intercepts_]
    clf.fit(X, y)
    mlp.fit(X, y, epochs=6, batch_size=150, shuffle=False)
    for coef, weights in zip(clf.coefs_, mlp.weights, strict=True):
        np.testing.assert_allclose(coef, weights.T, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(clf.predict_proba(X), mlp.predict_proba(X), rtol=1e-12)


def test_shuffling_in_blocks(iris, tmp_path, monkeypatch):
    """Of a small array as a whole, of a large one in long pieces, in memory or mapped."""
    X, y = np.tile(iris[0], (20, 1)).astype(np.float32), np.tile(iris[1], 20)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    options = SMALL | {"batch_size": 32, "max_iter": 2}
    plain, small = (MLPClassifier(shuffle=s, **options).fit(X, y) for s in (True, "blocks"))
    assert_same_bits(numbers_of(plain), numbers_of(small))
    for module in (fitting, sources):
        monkeypatch.setattr(module, "BLOCK_BYTES", 10_000)
    blocks, original = [], sources.copied_rows
    monkeypatch.setattr(
        sources, "copied_rows", lambda data, order: blocks.append(order) or original(data, order)
    )
    one, other = (MLPClassifier(shuffle="blocks", **options).fit(each, y) for each in (X, mapped))
    assert_same_bits(numbers_of(one), numbers_of(other))
    assert (one.coefs_[0] != plain.coefs_[0]).any()
    epochs = np.concatenate(blocks).reshape(4, 3000)  # two of each
    assert (np.sort(epochs, axis=1) == np.arange(3000)).all() and (epochs[0] != epochs[1]).any()
    again = clone(one).set_params(shuffle=True).fit(mapped, y)  # scikit-learn's order
    assert_same_bits(numbers_of(again), numbers_of(plain))


@pytest.mark.parametrize("loss", ["absolute_error", losses.Huber(0.5), losses.Pinball(0.9)])
def test_losses_of_regression(iris, loss):
    X, y = iris[0][:, :3], iris[0][:, 3]
    options = {"max_iter": 300, "learning_rate_init": 0.01, "activation": "tanh"}
    model = MLPRegressor(loss, **SMALL | options).fit(X, y)
    assert model.out_activation_ == "identity" and model.score(X, y) > 0.5
    if loss == losses.Pinball(0.9):
        assert 0.8 < np.mean(model.predict(X) > y) < 0.99


def test_balanced_classes_are_sample_weights(iris):
    X, y = iris[0][20:], iris[1][20:]
    weights = compute_sample_weight("balanced", y)
    ones = MLPClassifier(class_weight="balanced", **SMALL).fit(X, y, np.full(len(y), 2.0))
    other = MLPClassifier(**SMALL).fit(X, y, sample_weight=2 * weights)
    assert_same_bits(numbers_of(ones), numbers_of(other))


def test_label_smoothing_needs_three_classes(iris):
    with pytest.raises(ValueError, match="`label_smoothing` must be 0 unless there are three"):
        MLPClassifier(label_smoothing=0.1, **SMALL).fit(iris[0], iris[1] == 0)


# Validation data, callbacks, progress --------------------------------------------------------


def test_validation_data_is_scored_and_changes_nothing(halves):
    X, y, X_val, y_val = halves
    weights = np.arange(75.0)
    plain = MLPClassifier(**SMALL).fit(X, y)
    clf = MLPClassifier(metrics=["accuracy"], **SMALL)
    clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    assert_same_bits(numbers_of(clf), numbers_of(plain))
    assert list(clf.history_) == ["loss", "validation_loss", "validation_accuracy"]
    assert clf.history_["loss"] == clf.loss_curve_ == plain.loss_curve_
    p = clf.predict_proba(X_val)[np.arange(75), y_val]
    expected = np.average(-np.log(p), weights=weights)
    assert clf.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)
    assert clf.validation_scores_ is None
    score = clf.score(X_val, y_val, weights)
    assert clf.history_["validation_accuracy"][-1] == pytest.approx(score)
    assert not hasattr(plain, "validation_loss_curve_")


def test_early_stopping_uses_the_validation_data_that_is_given(halves):
    X, y, X_val, y_val = halves
    options = SMALL | {"max_iter": 80, "learning_rate_init": 0.02}
    clf = MLPClassifier(early_stopping=True, n_iter_no_change=5, **options)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.t_ == 75 * clf.n_iter_  # no sample is held out
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.score(X_val, y_val) == clf.best_validation_score_


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_pipeline_transforms_the_validation_data(halves, kind):
    X, y, X_val, y_val = halves
    with config_context(enable_metadata_routing=True):
        last = kind(**SMALL).set_fit_request(X_val=True, y_val=True)
        steps = [("scale", StandardScaler()), ("mlp", last)]
        model = Pipeline(steps, transform_input=["X_val"]).fit(X, y, X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X)
    expected = kind(**SMALL).fit(
        scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val
    )  # fmt: skip
    assert model[-1].validation_loss_curve_ == expected.validation_loss_curve_


def test_invalid_validation_data(halves):
    X, y, X_val, y_val = halves
    clf = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match="`y` has classes not in"):
        clf.fit(X, y, X_val=X_val, y_val=y_val + 1)
    with pytest.raises(ValueError, match="3 features"):
        clf.fit(X, y, X_val=X_val[:, :3], y_val=y_val)
    for given in ({"X_val": X_val}, {"y_val": y_val}, {"sample_weight_val": y_val}):
        with pytest.raises(ValueError, match="^`[Xy]_val` must be passed together"):
            clf.fit(X, y, **given)


def test_callbacks_see_an_mlp_that_shares_the_weights(iris):
    class Halve(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.weights[0][...] *= 0.5
            self.model.stop_training = epoch == 2

    plain = MLPClassifier(**SMALL | {"max_iter": 1}).fit(*iris)
    clf = MLPClassifier(callbacks=[Halve()], learning_rate_init=1e-300, **SMALL).fit(*iris)
    assert clf.n_iter_ == 3
    np.testing.assert_allclose(clf.coefs_[0], plain.coefs_[0] / 8, atol=1e-3)


def test_a_callback_may_change_the_learning_rate(iris):
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.learning_rate = 0.0

    one = MLPClassifier(**SMALL | {"max_iter": 1}).fit(*iris)
    clf = MLPClassifier(callbacks=[Stop()], **SMALL).fit(*iris)
    assert_same_bits(numbers_of(clf), numbers_of(one))
    assert clf.n_iter_ == 6


def test_a_progress_bar_and_no_lines(iris, capsys):
    MLPClassifier(verbose="bar", early_stopping=True, **SMALL).fit(*iris)
    captured = capsys.readouterr()
    assert "Iteration" not in captured.out and "810/810" in captured.err.replace(" ", "")
