"""Data and networks for the tests of callbacks."""

import pytest

SIZES = [8, 12, 3]


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 60)


@pytest.fixture
def noisy(make_data):
    """Return training and validation data with random labels: soon no epoch is better."""
    return make_data(SIZES, 60), make_data(SIZES, 40, seed=1)
