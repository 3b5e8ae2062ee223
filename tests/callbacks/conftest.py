"""Data and networks for the tests of callbacks."""

import pytest

from fastmlp import MLP

SIZES = [8, 12, 3]


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 60)


@pytest.fixture
def make():
    def make(**options):
        return MLP(SIZES, **{"random_state": 0} | options)

    return make


@pytest.fixture
def noisy(make_data):
    """Return training and validation data with random labels: soon no epoch is better."""
    return make_data(SIZES, 60), make_data(SIZES, 40, seed=1)
