"""Images of the weights of the first layer."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLP, NeuralNet
from fastmlp.plotting import FirstLayerWeightsDisplay
from fastmlp.sklearn import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def tiles_of(display, shape):
    """Return the images of a mosaic, found between its gaps of NaN."""
    mosaic = display.image_.get_array()
    mosaic = np.ma.filled(np.ma.asarray(mosaic, float), np.nan)
    full = np.isfinite(mosaic)
    rows, columns = full.any(axis=1), full.any(axis=0)
    return [
        mosaic[np.ix_(r, c)]
        for r in np.split(np.flatnonzero(rows), len(np.flatnonzero(rows)) // shape[0])
        for c in np.split(np.flatnonzero(columns), len(np.flatnonzero(columns)) // shape[1])
        if full[np.ix_(r, c)].all()
    ]


@pytest.mark.parametrize("n_units", [1, 2, 7, 100])
def test_a_tile_for_each_unit(ax, n_units):
    net = NeuralNet([64, n_units, 10], random_state=0)
    display = FirstLayerWeightsDisplay.from_estimator(net, ax=ax)
    tiles = tiles_of(display, (8, 8))
    assert display.shape == (8, 8) and len(tiles) == n_units
    for tile, weights in zip(tiles, net.weights[0], strict=True):
        assert np.array_equal(tile.ravel(), weights)
    limit = np.quantile(np.abs(net.weights[0]), 0.995, method="higher")
    assert (limit == np.abs(net.weights[0]).max()) == (n_units < 4)
    assert display.image_.colorbar.extend == ("neither" if n_units < 4 else "both")
    assert display.image_.get_clim() == (-limit, limit) == (-display.limit_, display.limit_)
    assert ax.get_xlabel() == ("1 unit" if n_units == 1 else f"{n_units} units")
    assert display.plot(ax) is ax is display.ax_


def test_the_largest_of_many_units(ax):
    net = MLP([9, 500, 2], random_state=0, dtype="float64")
    net.weights[0][7] = 5.0
    display = FirstLayerWeightsDisplay.from_estimator(net, ax=ax)
    assert len(display.units_) == 100 and display.units_[0] == 7
    norms = np.linalg.norm(net.weights[0], axis=1)
    assert set(display.units_) == set(np.argsort(norms)[-100:])
    assert ax.get_xlabel() == "the largest 100 of 500 units"
    tiles = tiles_of(display, (3, 3))
    assert np.array_equal(tiles[3].ravel(), net.weights[0][display.units_[3]])
    display.plot(ax, max_units=500, limit=0.1)
    assert display.units_.tolist() == list(range(500))
    assert display.image_.get_clim() == (-0.1, 0.1)
    assert display.image_.colorbar.extend == "both"


def test_other_shapes(ax):
    weights = np.arange(24.0).reshape(2, 12) - 12
    display = FirstLayerWeightsDisplay(weights, shape=(2, 6))
    display.plot(ax)
    assert np.array_equal(tiles_of(display, (2, 6))[1], weights[1].reshape(2, 6))
    display = FirstLayerWeightsDisplay(weights, shape=(2, 6, 1))
    display.plot(ax)
    assert np.array_equal(tiles_of(display, (2, 6))[1], weights[1].reshape(2, 6))


@pytest.mark.parametrize("shape", [(4, 5, 3), (3, 4, 5)])
def test_red_green_and_blue(ax, shape):
    weights = np.random.default_rng(0).normal(size=(3, 60))
    display = FirstLayerWeightsDisplay(weights, shape=shape)
    display.plot(ax)
    image = np.asarray(display.image_.get_array())
    expected = weights.reshape(3, *shape)
    expected = expected if shape[2] == 3 else np.moveaxis(expected, 1, 3)
    expected = 0.5 + expected / (2 * np.abs(weights).max())
    assert image.shape[2] == 4 and np.allclose(image[:4, :5, :3], expected[0])
    assert image[..., 3].sum() == 60  # opaque in the three tiles alone
    assert display.image_.colorbar is None


def test_estimators_and_pipelines(points, ax):
    X, y = points
    clf = MLPClassifier(6, max_iter=1, random_state=0)
    model = make_pipeline(StandardScaler(), clf).fit(np.c_[X, X], y)
    display = FirstLayerWeightsDisplay.from_estimator(model, ax=ax)
    assert np.array_equal(display.weights, clf.coefs_[0].T)


def test_zeros_and_values_that_are_not_finite(ax):
    display = FirstLayerWeightsDisplay(np.zeros((2, 4)))
    display.plot(ax)
    assert display.limit_ == 1.0
    weights = np.array([[1.0, -2.0, np.nan, np.inf]])
    display = FirstLayerWeightsDisplay(weights)
    display.plot(ax)
    assert display.limit_ == 2.0
    assert display.image_.get_array().mask.tolist() == [[False, False], [True, True]]


def test_as_many_columns_as_make_tiles_largest(ax):
    for n, shape in ((64, (64, 64)), (4, (2, 2))):
        display = FirstLayerWeightsDisplay(np.ones((n, 4)))
        display.plot(ax)
        height, width = display.image_.get_array().shape
        assert width >= height and width / height < 2
        assert n == shape[0] or (height, width) == (5, 5)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (None, "`shape` must be given for 12 inputs, which are no square, got None."),
        ((3, 5), "`shape` must be (height, width), or with 3 colours, of 12 inputs, got (3, 5)."),
        ((2, 3, 2), "`shape` must be (height, width), or with 3 colours, of 12 inputs, got (2, 3, "
         "2)."),
        (12, "`shape` must be (height, width), or with 3 colours, of 12 inputs, got 12."),
    ],
)  # fmt: skip
def test_refused_shapes(ax, shape, expected):
    with pytest.raises(ValueError) as caught:
        FirstLayerWeightsDisplay.from_estimator(NeuralNet([12, 2]), shape=shape, ax=ax)
    assert str(caught.value) == expected


def test_refused_models(ax):
    with pytest.raises(ValueError, match="`estimator` must be a network or a fitted estimator of"):
        FirstLayerWeightsDisplay.from_estimator(StandardScaler(), ax=ax)
    with pytest.raises(ValueError, match="`weights` must have a row of weights for each unit"):
        FirstLayerWeightsDisplay(np.zeros((0, 4)))
    with pytest.raises(ValueError, match="`limit` must be finite and above 0, got 0.0"):
        FirstLayerWeightsDisplay(np.ones((1, 4))).plot(ax, limit=0)
