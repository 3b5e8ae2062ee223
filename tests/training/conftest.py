"""Data and networks for several tests of training."""

import numpy as np
import pytest

from fastmlp.training import sources

SIZES = [8, 12, 3]


@pytest.fixture
def data(make_data):
    X, y = make_data(SIZES, 200)
    return X.astype(np.float32), y


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks of X small, 40 rows for these networks, so that there are many."""
    monkeypatch.setattr(sources, "BLOCK_BYTES", 40 * 8 * 4)


@pytest.fixture
def small_data(make_data):
    return make_data(SIZES, 60)


@pytest.fixture
def make_noisy(make_mlp):
    return lambda **options: make_mlp(**{"dropout": 0.2, "input_noise": 0.1} | options)
