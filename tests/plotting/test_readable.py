"""Texts are inside of each picture and do not cover each other, at notebook size and at half."""

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fastmlp import plotting
from helpers.pictures import SIZES, assert_readable

RANDOM = np.random.default_rng(0)
EPOCHS = np.arange(40)
LONG = [f"a rather long name of the class number {k}" for k in range(12)]


def history(n):
    return {
        "loss": 2 * np.exp(-EPOCHS[:n] / 8) + 0.02,
        "validation_loss": 2 * np.exp(-EPOCHS[:n] / 8) + 0.1,
        "validation_accuracy": 0.97 - 0.5 * np.exp(-EPOCHS[:n] / 8),
    }


def curves(n):
    return lambda ax: plotting.LearningCurvesDisplay.from_history(history(n), ax=ax)


def matrix(n, names=None, total=900):
    found = RANDOM.integers(0, 10, (n, n)) + np.diag(np.full(n, total))
    return lambda ax: plotting.ConfusionMatrixDisplay(found, display_labels=names).plot(ax)


def errors(scale):
    true = RANDOM.normal(size=200) * scale
    found = true + RANDOM.normal(size=200) * scale * 2
    return lambda ax: plotting.PredictionErrorDisplay.from_predictions(true, found, ax=ax)


def importance(n, names=None):
    found = np.abs(RANDOM.normal(size=(n, 5))) / 1000
    display = plotting.PermutationImportanceDisplay(found, feature_names=names)
    return display.plot


def boundary(n):
    x, y = np.meshgrid(np.linspace(-21_000, 20_000, 30), np.linspace(-1e-5, 1e-3, 30))
    response = RANDOM.random((30, 30) if n == 2 else (30, 30, n))
    rows = RANDOM.random((60, 2)) * [20_000, 1e-3]
    display = plotting.DecisionBoundaryDisplay(
        xx0=x, xx1=y, response=response, classes=np.arange(n), X=rows, y=np.arange(60) % n,
        class_names=LONG[:n] if n < 10 else None, xlabel="width in micrometres", ylabel="share",
    )  # fmt: skip
    return display.plot


def weights(n, side):
    return plotting.FirstLayerWeightsDisplay(RANDOM.normal(size=(n, side * side))).plot


PICTURES = {
    "40 epochs": curves(40), "1 epoch": curves(1), "2 epochs": curves(2),
    "2 classes": matrix(2), "10 classes": matrix(10), "10 classes, large": matrix(10, None, 123456),
    "100 classes": matrix(100), "long names": matrix(12, LONG),
    "100 long names": matrix(100, [f"{LONG[0]} {k}" for k in range(100)]),
    "errors": errors(1), "large errors": errors(1e7), "small errors": errors(1e-7),
    "3 columns": importance(3, LONG[:3]), "300 columns": importance(300),
    "12 columns": importance(12, LONG),
    "boundary of 2": boundary(2), "boundary of 5": boundary(5), "boundary of 60": boundary(60),
    "weights": weights(16, 8), "many weights": weights(300, 28),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PICTURES)
def test_texts(name, size):
    figure = Figure(figsize=size, layout="constrained")
    PICTURES[name](figure.subplots())
    assert_readable(figure)


@pytest.mark.parametrize("style", ["dark_background", "seaborn-v0_8", {"font.size": 15}], ids=str)
@pytest.mark.parametrize(
    "name", ["40 epochs", "10 classes", "errors", "12 columns", "boundary of 5", "weights"]
)
def test_styles(name, style):
    with pyplot.style.context(style):
        figure = Figure(figsize=SIZES[0], layout="constrained")
        ax = figure.subplots()
        PICTURES[name](ax)
        assert_readable(figure)
        background = to_rgb(ax.get_facecolor())
        colors = [line.get_color() for line in ax.lines]
        if name == "12 columns":
            colors += [collection.get_facecolor()[0] for collection in ax.collections]
        for color in colors:
            assert np.abs(np.subtract(to_rgb(color), background)).max() > 0.25
        for other in figure.axes[1:]:
            assert not any(line.get_visible() for line in other.get_ygridlines())
        if name in ("10 classes", "weights", "boundary of 5"):
            assert not any(line.get_visible() for line in [*ax.get_xgridlines()])


def test_that_covered_clipped_and_tiny_texts_are_found():
    for at, size in (((0.5, 0.5), 10), ((0.99, 0.2), 10), ((0.2, 0.2), 4)):
        figure = Figure(figsize=(6.4, 4.8))
        figure.text(0.5, 0.5, "one text")
        figure.text(*at, "another", fontsize=size)
        with pytest.raises(AssertionError):
            assert_readable(figure)
