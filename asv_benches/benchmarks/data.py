"""Synthetic data for the benchmarks, drawn from a seed and shaped like MNIST."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np

DENSITY = 0.19  # the share of MNIST's inputs that are not zero


def layers_of(net):
    """Return the sizes of ``"784-64-10"`` as a list."""
    return [int(size) for size in net.split("-")]


def make_images(n_samples, n_in, density=DENSITY, block=1000):
    """Return images in uint8, ``(n_samples, n_in)``, of which a share `density` is not zero.

    They are drawn block by block, which needs little memory besides the result.
    """
    rng = np.random.default_rng(0)
    X = np.empty((n_samples, n_in), np.uint8)
    for start in range(0, n_samples, block):
        rows = X[start : start + block]
        rows[:] = rng.integers(1, 256, rows.shape, np.uint8)
        rows *= rng.random(rows.shape, np.float32) < density
    return X


def make_labels(n_samples, n_classes):
    """Return labels in int64, ``(n_samples,)``, from a uniform distribution."""
    return np.random.default_rng(1).integers(0, n_classes, n_samples)


@lru_cache(maxsize=2)
def make_data(n_samples, n_in, n_classes, dtype="float32", density=DENSITY):
    """Return images in `dtype`, scaled to between 0 and 1 (except in uint8), and labels.

    They are cached, because asv calls ``setup`` before each timing.
    """
    X = make_images(n_samples, n_in, density)
    if dtype != "uint8":
        X = (X / np.float32(255)).astype(dtype)
    return X, make_labels(n_samples, n_classes)


def make_sparse(X):
    """Return X with the attributes of a SciPy sparse matrix that fastmlp reads; needs no SciPy."""
    rows, inputs = np.nonzero(X)
    starts = np.searchsorted(rows, np.arange(len(X) + 1)).astype(np.int32)
    matrix = SimpleNamespace(
        shape=X.shape,
        dtype=X.dtype,
        data=X[rows, inputs],
        indices=inputs.astype(np.int32),
        indptr=starts,
        has_canonical_format=True,
    )
    matrix.tocsr = lambda: matrix
    return matrix
