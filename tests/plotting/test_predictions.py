"""Confusion matrices and predicted against true values."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from sklearn import metrics
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLP, NeuralNet
from fastmlp.plotting import ConfusionMatrixDisplay, PredictionErrorDisplay
from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}


def cells(display):
    return [[text.get_text() for text in row] for row in display.text_]


# Confusion matrices -------------------------------------------------------------------------------


def test_a_matrix_of_a_network(net, points, ax):
    X, y = points
    display = ConfusionMatrixDisplay.from_estimator(net, X, y, ax=ax)
    expected = metrics.confusion_matrix(y, net.predict(X))
    assert np.array_equal(display.confusion_matrix, expected)
    assert np.array_equal(display.im_.get_array(), expected)
    assert cells(display) == [[str(n) for n in row] for row in expected]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert display.im_.colorbar.ax.get_ylabel() == "samples"
    norm = display.im_.norm  # in which few errors differ from none
    assert norm(0) == 0 and norm(expected.max() / 100) == pytest.approx(0.1)
    assert isinstance(display, metrics.ConfusionMatrixDisplay)
    assert display.plot(ax) is ax is display.ax_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_hot_rows_frames_and_other_classifiers(points, ax, dtype):
    X, y = points
    frame = pd.DataFrame(X.astype(dtype), columns=["a", "b"])
    names = np.array(["red", "green", "blue"])[y]
    net = NeuralNet([2, 4, 3], dtype=dtype, random_state=0).fit(frame, y, epochs=1)
    display = ConfusionMatrixDisplay.from_estimator(net, frame, np.eye(3)[y], ax=ax)
    assert np.array_equal(display.confusion_matrix, metrics.confusion_matrix(y, net.predict(frame)))
    for model in (
        MLPClassifier(**FEW), MLPClassifier(preset="tabular", **FEW),
        make_pipeline(StandardScaler(), MLPClassifier(**FEW)), LogisticRegression(),
    ):  # fmt: skip
        model.fit(frame, names)
        display = ConfusionMatrixDisplay.from_estimator(model, frame, pd.Series(names), ax=ax)
        expected = metrics.confusion_matrix(names, model.predict(frame))
        assert np.array_equal(display.confusion_matrix, expected)
        assert list(display.display_labels) == ["blue", "green", "red"]


def test_classes_that_do_not_occur_and_new_ones(net, points, ax):
    X, y = points
    display = ConfusionMatrixDisplay.from_estimator(net, X[y == 1], y[y == 1], ax=ax)
    assert display.confusion_matrix.shape == (3, 3)
    display = ConfusionMatrixDisplay.from_estimator(net, X[:2], [0, 7], ax=ax)
    assert list(display.display_labels) == [0, 1, 2, 7]


def test_one_class_and_one_row(ax):
    display = ConfusionMatrixDisplay.from_predictions(["a"], ["a"], ax=ax)
    assert cells(display) == [["1"]]


def test_normalized_weighted_and_in_another_order(ax):
    true, found, weights = [0, 0, 1], [0, 1, 1], [1.0, 2.0, 3.0]
    display = ConfusionMatrixDisplay.from_predictions(
        true, found, sample_weight=weights, normalize="true", labels=[1, 0],
        display_labels=["one", "zero"], ax=ax,
    )  # fmt: skip
    assert display.confusion_matrix == pytest.approx(np.array([[1, 0], [2 / 3, 1 / 3]]))
    assert cells(display) == [["1.00", "0"], ["0.67", "0.33"]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "zero"]
    assert display.im_.colorbar.ax.get_ylabel() == "share"


def test_a_label_of_several(points, ax):
    X, y = points
    labels = np.stack([y == 0, y > 0, y == 2], axis=1).astype(int)
    for model in (
        MLP([2, 4, 3], loss="logistic", random_state=0).fit(X, labels, epochs=2),
        MLPClassifier(**FEW).fit(X, labels),
    ):
        display = ConfusionMatrixDisplay.from_estimator(model, X, labels, output=1, ax=ax)
        expected = metrics.multilabel_confusion_matrix(labels, model.predict(X))[1]
        assert np.array_equal(display.confusion_matrix, expected)
        for output in (None, 3):
            with pytest.raises(ValueError) as caught:
                ConfusionMatrixDisplay.from_estimator(model, X, labels, output=output, ax=ax)
            expected = f"`output` must be the position of one of 3 labels, got {output}."
            assert str(caught.value) == expected


@pytest.mark.parametrize("n", [10, 40, 100, 1000])
def test_many_classes(ax, n):
    matrix = np.diag(np.arange(n) + 100)
    display = ConfusionMatrixDisplay(matrix, display_labels=[f"class {k}" for k in range(n)])
    display.plot(ax)
    assert (display.text_ is None) == (n > 20)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    step = {10: 1, 40: 2, 100: 5, 1000: 50}[n]
    assert len(labels) <= n / step + 1 and labels[1] == f"class {ax.get_yticks()[1]:.0f}"
    assert len(ax.get_xticks()) <= len(labels)


def test_options_of_the_matrix(ax):
    matrix = np.array([[5, 0], [1, 4]])
    display = ConfusionMatrixDisplay(matrix)
    display.plot(ax, include_values=False, colorbar=False, cmap="gray_r", xticks_rotation=30)
    assert display.text_ is None and display.im_.colorbar is None
    assert display.im_.get_cmap().name == "gray_r"
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {30.0}
    display.plot(ax, values_format=".1f", text_kw={"fontsize": 7})
    assert cells(display)[0] == ["5.0", "0.0"] and display.text_[0, 0].get_fontsize() == 7


def test_refused_matrices(points, ax):
    X, y = points
    regressor = MLPRegressor(**FEW).fit(X, y)
    with pytest.raises(ValueError, match="`estimator` must predict classes, got MLPRegressor"):
        ConfusionMatrixDisplay.from_estimator(regressor, X, y, ax=ax)
    for model in (MLPClassifier(), make_pipeline(StandardScaler(), MLPClassifier())):
        with pytest.raises(NotFittedError):
            ConfusionMatrixDisplay.from_estimator(model, X, y, ax=ax)
    with pytest.raises(ValueError, match="`display_labels` must have a name for each of 3 classes"):
        ConfusionMatrixDisplay.from_predictions(y, y, display_labels=["a"], ax=ax)


# Regression ---------------------------------------------------------------------------------------


def test_predicted_against_true_values(points, ax):
    X, _ = points
    y = 100 * X[:, 0] + 5
    net = MLP([2, 8, 1], loss="squared_error", random_state=0).fit(X, y, epochs=3)
    display = PredictionErrorDisplay.from_estimator(net, X, y, ax=ax)
    found = net.predict(X)
    assert np.array_equal(display.scatter_.get_offsets(), np.stack([found, y], axis=1))
    assert display.score == pytest.approx(net.score(X, y))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    low, high = min(found.min(), y.min()), max(found.max(), y.max())
    assert [*display.line_.get_xdata()] == [*display.line_.get_ydata()] == [low, high]
    assert display.plot(ax) is ax and isinstance(display, metrics.PredictionErrorDisplay)
    display.plot(ax, kind="residual_vs_predicted")
    assert np.allclose(display.scatter_.get_offsets()[:, 1], y - found)


def test_a_sample_of_many_rows_has_the_score_of_all(ax):
    random = np.random.default_rng(0)
    true = random.normal(size=20_000)
    found = true + random.normal(size=20_000)
    display = PredictionErrorDisplay.from_predictions(true, found, random_state=0, ax=ax)
    pairs = display.scatter_.get_offsets()
    assert len(pairs) == 1000 == len(np.unique(pairs, axis=0))  # without repetition
    assert set(map(tuple, pairs)) <= set(zip(found, true, strict=True))
    assert display.score == metrics.r2_score(true, found)
    for subsample, n in ((50, 50), (0.1, 2000), (None, 20_000)):
        other = PredictionErrorDisplay.from_predictions(true, found, subsample=subsample, ax=ax)
        assert len(other.scatter_.get_offsets()) == n and other.score == display.score
    assert other.scatter_.get_rasterized()


@pytest.mark.parametrize(
    ("true", "found", "expected"),
    [
        ([1, 2, 3], [3, 1, -7.5], "3 samples, R² = \u221256.6"),
        ([1, 2, 3], [1.1, 1.9, 3.3], "3 samples, R² = 0.945"),
        ([1.0], [2.0], "1 sample"),  # whose R2 is not defined
        ([[1.0], [2.0]], [[1.0], [2.0]], "2 samples, R² = 1.000"),
        ([2.0, 2.0], [2.0, 2.0], "2 samples, R² = 1.000"),
    ],
)
def test_the_score_in_the_legend(ax, true, found, expected):
    display = PredictionErrorDisplay.from_predictions(true, found, ax=ax)
    assert display.legend_.get_texts()[0].get_text() == expected
    ax.figure.draw_without_rendering()


def test_regressors_and_one_of_several_outputs(points, ax):
    X, y = points
    Y = np.stack([X[:, 0], y], axis=1)
    frame = pd.DataFrame(X, columns=["a", "b"])
    for model in (
        MLPRegressor(**FEW), MLPRegressor(preset="tabular", **FEW),
        make_pipeline(StandardScaler(), MLPRegressor(**FEW)), LinearRegression(),
    ):  # fmt: skip
        model.fit(frame, Y)
        display = PredictionErrorDisplay.from_estimator(model, frame, Y, output=1, ax=ax)
        assert np.array_equal(display.y_true, y)
        assert np.array_equal(display.y_pred, model.predict(frame)[:, 1])
    with pytest.raises(ValueError, match="`output` must be the position of one of 2 outputs"):
        PredictionErrorDisplay.from_estimator(model, frame, Y, ax=ax)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "x"},
         "`kind` must be 'actual_vs_predicted' or 'residual_vs_predicted', got 'x'."),
        ({"subsample": 0},
         "`subsample` must be an int above 0, a share between 0 and 1, or None, got 0."),
        ({"subsample": 1.5},
         "`subsample` must be an int above 0, a share between 0 and 1, or None, got 1.5."),
        ({"y_pred": [1.0]}, "`y_pred` must have as many values as `y_true`, at least one, got 1 "
         "and 2."),
        ({"y_true": ["a", "b"]}, "`y_true` must hold numbers, got array(['a', 'b'], dtype='<U1')."),
        ({"y_true": [1.0, np.nan]}, "`y_true` must be finite, got NaN or infinity."),
        ({"y_pred": [1.0, np.inf]}, "`y_pred` must be finite, got NaN or infinity."),
    ],
)  # fmt: skip
def test_refused_predictions(ax, options, expected):
    given = {"y_true": [1.0, 2.0], "y_pred": [1.0, 2.0], "ax": ax} | options
    with pytest.raises(ValueError) as caught:
        PredictionErrorDisplay.from_predictions(**given)
    assert str(caught.value) == expected


def test_classifiers_have_no_errors_of_numbers(points, net, ax):
    X, y = points
    for model in (net, LogisticRegression().fit(X, y)):
        with pytest.raises(ValueError, match="`estimator` must predict numbers, got"):
            PredictionErrorDisplay.from_estimator(model, X, y, ax=ax)


def test_a_new_figure_is_of_pyplot():
    display = PredictionErrorDisplay.from_predictions([1.0, 2.0], [1.0, 2.0])
    assert pyplot.gcf() is display.figure_
    pyplot.close("all")
