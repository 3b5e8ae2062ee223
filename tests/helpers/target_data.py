"""Samples, networks and bits for the tests of targets."""

import numpy as np

from fastmlp import MLP
from helpers.same_bits import bits_of

SIZES = [4, 7, 3]
N = 66


def data(n_out=3, n=N, seed=0):
    """Return X and rows of probabilities, some of which are one-hot."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, 4)), rng.dirichlet(np.ones(n_out), n)
    y[::5] = np.eye(n_out)[rng.integers(0, n_out, len(y[::5]))]
    y[1, 0], y[1, 1] = 0, y[1, 0] + y[1, 1]  # a 0 among numbers
    return X, y


def make(sizes=SIZES, **options):
    given = {"optimizer": "sgd", "learning_rate": 0.2, "dtype": "float64", "random_state": 0}
    return MLP(sizes, **{**given, **options})


def bits(net):
    return bits_of(net), net.history_


def fitted(y, X=None, **options):
    fit = {name: options.pop(name) for name in ("sample_weight", "shuffle") if name in options}
    return bits(make(**options).fit(data()[0] if X is None else X, y, 2, 8, **fit))
