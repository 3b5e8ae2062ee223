"""Permutation importance."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLP, NeuralNet
from fastmlp.plotting import PermutationImportanceDisplay
from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = {"hidden_layer_sizes": 8, "max_iter": 30, "random_state": 0, "learning_rate_init": 0.02}


@pytest.fixture(scope="module")
def columns():
    """Three columns of numbers, the second of which is the class."""
    X = np.random.default_rng(0).normal(size=(200, 3))
    return X, (X[:, 1] > 0).astype(int)


def labels_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_it_draws_what_scikit_learn_computes(columns, ax):
    X, y = columns
    for model in (
        MLP([3, 8, 2], learning_rate=0.02, random_state=0).fit(X, y, epochs=20),
        NeuralNet([3, 8, 2], random_state=0).fit(X, y, epochs=20),
        MLPClassifier(**FEW).fit(X, y),
        make_pipeline(StandardScaler(), MLPRegressor(**FEW)).fit(X, X[:, 1]),
    ):
        options = {"n_repeats": 4, "random_state": 3, "max_samples": 150}
        y = columns[1] if not hasattr(model, "steps") else X[:, 1]
        display = PermutationImportanceDisplay.from_estimator(model, X, y, ax=ax, **options)
        expected = permutation_importance(model, X, y, **options)
        assert np.array_equal(display.importances, expected["importances"])
        means = expected["importances_mean"]
        assert display.order_[0] == 1 and list(means[display.order_]) == sorted(means)[::-1]
        assert [bar.get_width() for bar in display.bars_] == list(means[display.order_])
        dots = display.repeats_.get_offsets().reshape(3, 4, 2)
        assert np.array_equal(dots[:, :, 0], display.importances[display.order_])
        assert np.array_equal(dots[:, 0, 1], [0, 1, 2])
        assert labels_of(ax) == [str(k) for k in display.order_]
        assert display.plot(ax) is ax is display.ax_


def test_columns_of_a_table_with_text(columns, ax):
    X, y = columns
    frame = pd.DataFrame({"age": X[:, 0], "town": np.where(y, "Ulm", "Bonn"), "_x $": X[:, 2]})
    frame.loc[3, "age"] = np.nan
    model = MLPClassifier(preset="tabular", **FEW).fit(frame, y)
    display = PermutationImportanceDisplay.from_estimator(
        model, frame, y, scoring="neg_log_loss", random_state=0, ax=ax
    )
    assert labels_of(ax)[0] == "town" and "\u200b_x \\$" in labels_of(ax)
    assert ax.get_xlabel() == "decrease in neg log loss if shuffled"
    assert ax.get_ylabel() == "column"
    assert display.importances.shape == (3, 5)


def test_as_many_columns_as_fit(ax):
    importances = np.random.default_rng(0).normal(size=(784, 12))
    display = PermutationImportanceDisplay(importances)
    display.plot(ax)
    assert len(display.bars_) == 20 and ax.get_ylabel() == "column (20 of 784)"
    assert display.order_[0] == importances.mean(axis=1).argmax()
    small = Figure(figsize=(3.2, 2.4)).subplots()
    display.plot(small)
    assert 5 < len(display.bars_) < 12
    display.plot(ax, max_features=3)
    assert len(display.bars_) == 3


def test_one_column_and_importances_below_zero(ax):
    display = PermutationImportanceDisplay([[-0.1]], feature_names=["a"])
    display.plot(ax)
    assert display.bars_[0].get_width() == -0.1
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("importances", "options", "expected"),
    [
        ([1.0], {}, "`importances` must have a row for each column of X, with the repetitions, got "
         "shape (1,)."),
        ([[1.0]], {"feature_names": []},
         "`feature_names` must have a name for each of 1 columns, got 0."),
    ],
)  # fmt: skip
def test_refused(importances, options, expected):
    with pytest.raises(ValueError) as caught:
        PermutationImportanceDisplay(importances, **options)
    assert str(caught.value) == expected


def test_refused_scores(columns, ax):
    with pytest.raises(ValueError, match=r"`scoring` must be one score, got \['accuracy'\]"):
        PermutationImportanceDisplay.from_estimator(None, *columns, scoring=["accuracy"], ax=ax)
