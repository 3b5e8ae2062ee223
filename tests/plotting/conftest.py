"""Figures for the tests of pictures, and models to draw."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from fastmlp import MLP

matplotlib.use("Agg")


@pytest.fixture
def ax():
    """Axes of the size that notebooks have."""
    return Figure(layout="constrained").subplots()


@pytest.fixture(autouse=True)
def nothing_leaks():
    """A picture changes no setting of matplotlib, and leaves no figure of pyplot open."""
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


@pytest.fixture(scope="session")
def points():
    """Points of a plane in three classes."""
    random = np.random.default_rng(0)
    y = np.arange(150) % 3
    return random.normal(size=(150, 2)) + 3 * np.stack([np.cos(2 * y), np.sin(2 * y)], axis=1), y


@pytest.fixture(scope="session")
def net(points):
    """A network that knows them, trained with validation data."""
    mlp = MLP([2, 16, 3], learning_rate=0.02, random_state=0)
    return mlp.fit(*points, epochs=15, validation_fraction=0.2)
