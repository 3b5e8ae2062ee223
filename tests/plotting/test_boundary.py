"""Decision boundaries of two inputs."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba_array
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from fastmlp import MLP, NeuralNet
from fastmlp.plotting import ConfusionMatrixDisplay, DecisionBoundaryDisplay
from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}


def grid_of(display):
    return np.stack([display.xx0.ravel(), display.xx1.ravel()], axis=1)


def test_regions_of_classes(net, points, ax):
    X, y = points
    display = DecisionBoundaryDisplay.from_estimator(net, X, y, grid_resolution=50, ax=ax)
    expected = net.predict_proba(grid_of(display))
    assert np.array_equal(display.response, expected.reshape(50, 50, 3))
    best = display.surface_.get_array().reshape(50, 50)
    assert np.array_equal(best, net.predict(grid_of(display)).reshape(50, 50))
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.05 * (high - low)
    assert ax.get_xlim() == pytest.approx((low[0] - margin[0], high[0] + margin[0]))
    assert ax.get_ylim() == pytest.approx((low[1] - margin[1], high[1] + margin[1]))
    for k, drawn in enumerate(display.samples_):
        assert np.array_equal(drawn.get_offsets(), X[y == k])
    assert len({drawn.get_paths()[0].vertices.tobytes() for drawn in display.samples_}) == 3
    assert [text.get_text() for text in display.legend_.get_texts()] == ["0", "1", "2"]
    assert len(display.boundaries_) == 3  # a line around each class
    assert display.surface_.get_rasterized()  # or a vector format has 2,500 polygons
    assert display.plot(ax) is ax is display.ax_


def test_lines_are_where_the_prediction_changes(net, points, ax):
    display = DecisionBoundaryDisplay.from_estimator(net, *points, ax=ax)
    for line in display.boundaries_:
        vertices = np.concatenate([path.vertices for path in line.get_paths()])
        two = np.sort(net.predict_proba(vertices), axis=1)[:, -2:]
        assert np.abs(two[:, 1] - two[:, 0]).max() < 0.02


def test_classes_become_lighter_in_grey(net, points, ax):
    X, _ = points
    for n in (2, 3, 8, 30):
        mlp = MLP([2, 6, n], random_state=0).fit(X, np.arange(150) % n, epochs=1)
        display = DecisionBoundaryDisplay.from_estimator(mlp, X, np.arange(150) % n, ax=ax)
        colors = to_rgba_array([drawn.get_facecolor()[0] for drawn in display.samples_])
        light = colors[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert len(light) == n and (np.diff(light) > 0.5 / n / 2).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_probability_of_two_classes(points, ax, dtype):
    X, y = points
    named = np.where(y == 1, "yes", "no")
    for model, expected in (
        (MLPClassifier(**FEW).fit(X.astype(dtype), named), 1),
        (MLP([2, 4, 2], dtype=dtype, random_state=0).fit(X, y == 1, epochs=1), 1),
        (NeuralNet([2, 4, 2], dtype=dtype, random_state=0).fit(X, y == 1, epochs=1), 1),
        (MLP([2, 4, 1], loss="logistic", dtype=dtype, random_state=0).fit(X, y == 1, epochs=1), 0),
    ):
        labels = named if hasattr(model, "classes_") else (y == 1)
        display = DecisionBoundaryDisplay.from_estimator(
            model, X, labels, class_names=["no", "yes"], ax=ax
        )
        grid = grid_of(display)
        found = model.predict_proba(grid)[:, expected].reshape(200, 200)
        assert np.array_equal(display.response, found)
        assert sorted(len(drawn.get_offsets()) for drawn in display.samples_) == [50, 100]
        assert display.figure_.axes[-1].get_ylabel() == "probability of yes"


def test_columns_of_a_frame_and_pipelines(points, ax):
    X, y = points
    frame = pd.DataFrame(X.copy(), columns=["width", "height $"])
    frame.iloc[3, 0] = np.nan
    for model in (
        MLPClassifier(preset="tabular", **FEW),
        make_pipeline(StandardScaler(), MLPClassifier(**FEW)),
        LinearSVC(),
    ):
        rows = frame if getattr(model, "preset", None) else frame.fillna(0)
        display = DecisionBoundaryDisplay.from_estimator(model.fit(rows, y), rows, y, ax=ax)
        assert display.response.shape == (200, 200, 3)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", r"height \$")
        assert len(display.samples_) == 3
        ax.figure.draw_without_rendering()


def test_values_have_the_colours_of_the_scale(points, ax):
    X, y = points
    target = X[:, 0] * 10
    frame = pd.DataFrame(X, columns=["a", "b"])
    for model in (
        MLPRegressor(**FEW).fit(frame, target), LinearRegression().fit(frame, target),
        MLP([2, 4, 1], loss="huber", random_state=0).fit(frame, target),
    ):  # fmt: skip
        display = DecisionBoundaryDisplay.from_estimator(model, frame, target, ax=ax)
        found = np.asarray(model.predict(pd.DataFrame(grid_of(display), columns=["a", "b"])))
        assert np.allclose(display.response, found.reshape(200, 200))
        (drawn,) = display.samples_
        assert np.array_equal(drawn.get_array(), target)
        low, high = drawn.norm.vmin, drawn.norm.vmax
        assert low == min(target.min(), found.min()) and high == max(target.max(), found.max())
        assert (display.surface_.norm.vmin, display.surface_.norm.vmax) == (low, high)


def test_one_of_several_outputs(points, ax):
    X, y = points
    labels = np.stack([y == 0, y == 1], axis=1).astype(int)
    for model in (
        MLP([2, 4, 2], loss="logistic", random_state=0).fit(X, labels, epochs=1),
        MLPClassifier(**FEW).fit(X, labels),
    ):
        display = DecisionBoundaryDisplay.from_estimator(model, X, labels, output=1, ax=ax)
        found = model.predict_proba(grid_of(display))[:, 1]
        assert np.array_equal(display.response.ravel(), found)
        assert [len(drawn.get_offsets()) for drawn in display.samples_] == [100, 50]
    values = MLPRegressor(**FEW).fit(X, X)
    display = DecisionBoundaryDisplay.from_estimator(values, X, X, output=1, ax=ax)
    assert np.array_equal(display.samples_[0].get_array(), X[:, 1])
    with pytest.raises(ValueError, match="`output` must be the position of one of 2 outputs"):
        DecisionBoundaryDisplay.from_estimator(values, X, ax=ax)


def test_without_samples_a_legend_has_the_regions(net, points, ax):
    display = DecisionBoundaryDisplay.from_estimator(net, points[0], ax=ax)
    assert display.samples_ == []
    assert [text.get_text() for text in display.legend_.get_texts()] == ["0", "1", "2"]


def test_many_classes_have_a_colour_bar(points, ax):
    X, _ = points
    y = np.arange(150) % 100
    mlp = MLP([2, 8, 100], random_state=0).fit(X, y, epochs=1)
    display = DecisionBoundaryDisplay.from_estimator(mlp, X, y, ax=ax, grid_resolution=40)
    assert not hasattr(display, "legend_")
    bar = display.figure_.axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == [*map(str, range(0, 100, 10))]


def test_a_single_row_and_a_single_class(ax):
    X, y = np.zeros((1, 2)), [0]
    mlp = MLP([2, 1], random_state=0).fit(X, y, epochs=1)
    display = DecisionBoundaryDisplay.from_estimator(mlp, X, y, ax=ax)
    assert display.boundaries_ == [] and ax.get_xlim() == (-0.5, 0.5)
    ax.figure.draw_without_rendering()


def test_an_estimator_of_a_single_class(points, ax):
    X, y = points[0], np.full(150, "all")
    clf = MLPClassifier(**FEW).fit(X, y)
    display = DecisionBoundaryDisplay.from_estimator(clf, X, y, ax=ax)
    assert display.boundaries_ == [] and len(display.samples_) == 1
    assert (display.surface_.get_array() == 0).all()
    assert ConfusionMatrixDisplay.from_estimator(clf, X, y, ax=ax).confusion_matrix == [[150]]
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("X", "options", "expected"),
    [
        (np.zeros((5, 3)), {}, "`X` must have two columns of numbers, got shape (5, 3)."),
        ([["a", "b"]], {}, "`X` must have two columns of numbers, got other values."),
        (np.zeros((0, 2)), {}, "`X` must have a finite number in each column, got no row."),
        ([[1.0, np.nan]], {},
         "`X` must have a finite number in each column, got a column without one."),
        (np.zeros((5, 2)), {"grid_resolution": 1},
         "`grid_resolution` must be an int of at least 2, got 1."),
        (np.zeros((5, 2)), {"y": [1, 2]}, "`y` must have 5 values, as X, got 2."),
        (np.zeros((5, 2)), {"class_names": ["a", "b"]},
         "`class_names` must have a name for each of 3 classes, got 2."),
        (np.zeros((2, 2)), {"y": [1, 3]},
         "`y` must hold classes of the estimator ([0, 1, 2]), got 3."),
        (np.zeros((2, 2)), {"y": ["0", "1"]},
         "`y` must hold classes of the estimator ([0, 1, 2]), got '0'."),
    ],
)  # fmt: skip
def test_refused(net, ax, X, options, expected):
    with pytest.raises(ValueError) as caught:
        DecisionBoundaryDisplay.from_estimator(net, X, ax=ax, **options)
    assert str(caught.value) == expected


def test_targets_of_a_regressor_that_cannot_be_drawn(points, ax):
    X, y = points[0], points[0][:, 0].copy()
    model = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="`y` must hold numbers, got array"):
        DecisionBoundaryDisplay.from_estimator(model, X, np.full(len(X), "a"), ax=ax)
    y[0], y[1] = np.inf, np.nan
    display = DecisionBoundaryDisplay.from_estimator(model, X, y, ax=ax)
    low, high = display.samples_[0].get_clim()
    assert low == pytest.approx(display.response.min())
    assert high == pytest.approx(display.response.max())
    for hidden in (np.nan, np.inf):
        display.response = np.full_like(display.response, hidden)
        display.y = None
        display.plot(ax)
    ax.figure.draw_without_rendering()
