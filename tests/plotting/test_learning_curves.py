"""Learning curves: what is drawn, which epoch is marked, and how."""

import math

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import MLP, NeuralNet
from fastmlp.plotting import LearningCurvesDisplay
from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAN = math.nan
HISTORY = {
    "loss": [2.0, 1.0, 0.8, 0.7],
    "validation_loss": [2.1, 1.2, 1.1, 1.3],
    "validation_accuracy": [0.3, 0.6, 0.8, 0.9],
    "validation_mine": [7.0, 8.0, 9.0, 9.0],
}


def drawn(display):
    return {name: line.get_ydata().tolist() for name, line in display.lines_.items()}


def test_losses_and_the_first_score_by_epoch(ax):
    display = LearningCurvesDisplay.from_history(HISTORY, ax=ax)
    chosen = ["loss", "validation_loss", "validation_accuracy"]
    assert drawn(display) == {name: HISTORY[name] for name in chosen}
    for line in display.lines_.values():
        assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert display.lines_["loss"].axes is ax is display.lines_["validation_loss"].axes
    assert display.lines_["validation_accuracy"].axes is display.score_ax_ is not ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    assert display.score_ax_.get_ylabel() == "accuracy"
    assert display.best_epoch == 2  # counted from 0, as `EarlyStopping.best_epoch`
    assert display.best_line_.get_xdata() == [3, 3]
    assert [text.get_text() for text in display.legend_.get_texts()] == [
        "training loss", "validation loss", "validation accuracy", "best epoch: 3"
    ]  # fmt: skip
    ticks = [tick for tick in ax.get_xticks() if 1 <= tick <= 4]
    assert ticks and all(tick == int(tick) for tick in ticks)


def test_lines_differ_without_their_colours(ax):
    names = [*HISTORY, "f1_loss", "other"]
    history = HISTORY | {"f1_loss": [1.0], "other": [2.0]}
    display = LearningCurvesDisplay.from_history(history, names=names, ax=ax)
    lines = [*display.lines_.values()]
    assert len({(str(line._unscaled_dash_pattern), line.get_marker()) for line in lines}) == 6
    assert len({line.get_color() for line in lines}) == 6


def test_plot_returns_axes_and_draws_again(ax):
    display = LearningCurvesDisplay(HISTORY)
    assert display.plot(ax) is ax and display.best_line_ is None
    other = Figure().subplots()
    assert display.plot(ax=other) is other is display.ax_
    new = display.plot()
    assert new.figure.number in pyplot.get_fignums()
    pyplot.close(new.figure)


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [("auto", 2), ("loss", 3), ("validation_accuracy", 3), ("validation_mine", 2), (None, None)],
)
def test_the_monitor_marks_its_first_best_epoch(ax, monitor, expected):
    display = LearningCurvesDisplay.from_history(HISTORY, monitor=monitor, ax=ax)
    assert display.best_epoch == expected
    assert (display.best_line_ is None) == (expected is None)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ({"loss": [3.0, 1.0]}, None),  # nothing says which epoch is best for other samples
        ({"loss": [3.0, 1.0], "validation_r2": [-4.0, -9.0]}, 0),
        ({"loss": [3.0, 1.0], "validation_rmse": [4.0, 3.0]}, 1),
        ({"loss": [3.0, NAN], "validation_loss": [NAN, NAN]}, None),
        ({"validation_loss": [NAN, 3.0, -math.inf]}, 1),
        ({"validation_accuracy": [0.1, NAN, math.inf, 0.5]}, 3),
    ],
)
def test_the_best_epoch_of_other_histories(ax, history, expected):
    assert LearningCurvesDisplay.from_history(history, ax=ax).best_epoch == expected


def test_gaps_and_values_between_them(ax):
    values = [1.0] * 20 + [NAN, 5.0, math.inf, 4.0, 3.0]
    line = LearningCurvesDisplay.from_history({"loss": values}, ax=ax).lines_["loss"]
    expected = np.where(np.isfinite(values), values, NAN)
    assert np.array_equal(line.get_ydata(), expected, equal_nan=True)
    assert 21 in line.get_markevery() and 23 not in line.get_markevery()
    assert len(line.get_markevery()) < 12  # not every epoch
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("history", [{"loss": [0.7]}, {"loss": [NAN]}, {"accuracy": [0.7]}])
def test_one_epoch(ax, history):
    display = LearningCurvesDisplay.from_history(history, ax=ax)
    (line,) = display.lines_.values()
    assert line.get_markevery() == [0] and line.get_marker() == "o" or "accuracy" in history
    assert ax.get_xlim() == (0.5, 1.5) and display.score_ax_ is None
    assert [t for t in ax.get_xticks() if 0.5 <= t <= 1.5] == [1]
    ax.figure.draw_without_rendering()


def test_scores_alone_have_the_axis_on_the_left(ax):
    display = LearningCurvesDisplay.from_history(HISTORY, names="validation_accuracy", ax=ax)
    assert display.score_ax_ is None and ax.get_ylabel() == "accuracy"


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2.3, 0.2], "linear"), ([2.3, 0.01], "log"), ([2.3, 0.0], "linear"), ([NAN], "linear")],
)
def test_the_scale_of_losses(ax, values, expected):
    display = LearningCurvesDisplay.from_history({"loss": values, "accuracy": [1e-9, 1]}, ax=ax)
    assert ax.get_yscale() == expected and display.score_ax_.get_yscale() == "linear"
    other = Figure().subplots()
    assert display.plot(other, scale="log").get_yscale() == "log"


@pytest.mark.parametrize("falls", [False, True])
def test_the_legend_covers_no_line(ax, falls):
    epochs = np.arange(60)
    score = 1 - 0.8 * np.exp(-epochs / 9)
    history = {
        "loss": np.exp(-epochs / 8) + 0.1,
        "validation_loss": np.exp(-epochs / 8) + 0.3,
        "validation_accuracy": 1 - score if falls else score,
    }
    display = LearningCurvesDisplay.from_history(history, ax=ax)
    ax.figure.draw_without_rendering()
    box = display.legend_.get_window_extent()
    for line in display.lines_.values():
        inside = box.contains  # of points of the line, in pixels
        assert not any(inside(*p) for p in line.get_transform().transform(line.get_xydata()))
    assert ax.get_zorder() > display.score_ax_.get_zorder()  # so the legend is above its line


# Where histories are from -------------------------------------------------------------------------


def test_networks(net, digits, tmp_path, ax):
    display = LearningCurvesDisplay.from_estimator(net, ax=ax)
    assert display.history == net.history_
    assert display.best_epoch == int(np.argmin(net.history_["validation_loss"]))
    net.save(tmp_path / "net.npz")
    again = LearningCurvesDisplay.from_estimator(fastmlp.load(tmp_path / "net.npz"), ax=ax)
    assert again.history == display.history and again.best_epoch == display.best_epoch
    plain = NeuralNet([64, 4, 10], random_state=0).fit(*digits, epochs=1)
    display = LearningCurvesDisplay.from_estimator(plain, ax=Figure().subplots())
    assert display.history == plain.history_ and len(display.history["loss"]) == 1


@pytest.mark.parametrize("kind", [MLPClassifier, TheirClassifier])
def test_early_stopping_marks_the_epoch_that_was_kept(points, ax, kind, request):
    X, y = points
    clf = kind(6, early_stopping=True, max_iter=60, random_state=2, learning_rate_init=0.03)
    clf.fit(X, y)
    display = LearningCurvesDisplay.from_estimator(clf, ax=ax)
    assert display.best_epoch == int(np.argmax(clf.validation_scores_))
    assert drawn(display)["loss"] == clf.loss_curve_
    assert drawn(display)["validation_score"] == clf.validation_scores_


def test_a_preset_keeps_the_last_of_equally_good_epochs(points, ax):
    X, y = points
    clf = MLPClassifier(6, preset="tabular", max_iter=5, random_state=0).fit(X, y)
    clf.validation_scores_ = [0.1, 0.5, 0.2, 0.5, 0.4]
    assert LearningCurvesDisplay.from_estimator(clf, ax=ax).best_epoch == 3
    clf.preset = None
    del clf.encoder_
    assert LearningCurvesDisplay.from_estimator(clf, ax=ax).best_epoch == 1


def test_warm_start_draws_the_last_training(points, ax):
    X, y = points
    clf = MLPClassifier(6, early_stopping=True, max_iter=4, warm_start=True, random_state=0)
    clf.fit(X, y).fit(X, y)
    assert len(clf.validation_scores_) == 8
    clf.validation_scores_ = [0.1, 0.2, 0.3, 0.4, 0.1, 0.9, 0.2, 0.3]
    display = LearningCurvesDisplay.from_estimator(clf, ax=ax)
    assert display.history["validation_score"] == [0.1, 0.9, 0.2, 0.3]
    assert display.best_epoch == 1
    clf.validation_scores_[0] = 1.0  # the weights of an epoch of the training before
    display = LearningCurvesDisplay.from_estimator(clf, ax=ax, names=["loss"])
    assert display.history["loss"] == clf.history_["loss"]


@pytest.mark.parametrize("wrap", [
    lambda model: make_pipeline(StandardScaler(), model),
    lambda model: GridSearchCV(make_pipeline(StandardScaler(), model), {}, cv=2),
    lambda model: TransformedTargetRegressor(make_pipeline(StandardScaler(), model)),
], ids=["pipeline", "search", "target"])  # fmt: skip
def test_the_estimator_inside_of_others(points, ax, wrap):
    X, y = points
    network = MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0)
    model = wrap(network).fit(X, y.astype(float))
    assert len(LearningCurvesDisplay.from_estimator(model, ax=ax).history["loss"]) == 3


def test_a_data_frame_as_a_csv_logger_writes_it(net, points, tmp_path, ax):
    import pandas as pd

    path = tmp_path / "log.csv"
    mlp = MLP([2, 4, 3], random_state=0)
    logger = fastmlp.callbacks.CSVLogger(str(path))
    mlp.fit(*points, epochs=3, callbacks=[logger], metrics=["accuracy"])
    display = LearningCurvesDisplay.from_history(pd.read_csv(path), ax=ax)
    assert list(display.lines_) == ["loss", "accuracy"] == list(display.history)  # no epoch
    assert drawn(display)["loss"] == pytest.approx(mlp.history_["loss"])


# Refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "options", "expected"),
    [
        ({}, {}, "`history` must have a value for at least one epoch, got none."),
        ({"loss": []}, {}, "`history` must have a value for at least one epoch, got none."),
        ([1.0], {}, "`history` must be a dict of lists, got [1.0]."),
        ({"loss": ["a"]}, {},
         "`history` must be a dict of lists of numbers, got {'loss': ['a']}."),
        ({"loss": 1.0}, {}, "`history` must be a dict of lists of numbers, got {'loss': 1.0}."),
        (HISTORY, {"monitor": "accuracy"},
         "`monitor` must be among the recorded values ('loss', 'validation_loss', "
         "'validation_accuracy', 'validation_mine'), got 'accuracy'."),
        (HISTORY, {"names": ["f1"]},
         "`names` must be among the recorded values ('loss', 'validation_loss', "
         "'validation_accuracy', 'validation_mine'), got 'f1'."),
        (HISTORY, {"best_epoch": 4},
         "`best_epoch` must be one of the 4 epochs, counted from 0, got 4."),
        (HISTORY, {"scale": "root"},
         "`scale` must be one of 'auto', 'linear', 'log', got 'root'."),
        (HISTORY, {"ax": 3}, "`ax` must be matplotlib Axes or None, got 3."),
    ],
)  # fmt: skip
def test_refused(history, options, expected):
    given = {"ax": Figure().subplots()} | options
    with pytest.raises((ValueError, TypeError)) as caught:
        LearningCurvesDisplay.from_history(history, **given)
    assert str(caught.value) == expected


def test_estimators_without_a_history(points, ax):
    X, y = points
    lbfgs = MLPClassifier(4, solver="lbfgs", max_iter=3).fit(X, y)
    for model, got in (
        (lbfgs, "MLPClassifier with solver='lbfgs' without a history"),
        (MLPClassifier(), "MLPClassifier without a history"),
        (MLP([2, 2]), "MLP without a history"),
        (3, "int without a history"),
    ):
        requirement = "be a network or an estimator that was trained in epochs"
        with pytest.raises(ValueError) as caught:
            LearningCurvesDisplay.from_estimator(model, ax=ax)
        assert str(caught.value) == f"`estimator` must {requirement}, got {got}."
