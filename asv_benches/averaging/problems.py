"""The problems: what is learned, and by which network."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastmlp import datasets

IMAGES, LABELS = "mnist-t10k-images-idx3-ubyte.gz", "mnist-t10k-labels-idx1-ubyte.gz"
NAMES = ("MNIST", "digits", "clusters", "friedman")


class Problem(NamedTuple):
    """Samples to train on, samples to test on, and a network."""

    layers: list[int]
    options: dict[str, Any]  # of the network
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def metric(self):
        """The name of the score."""
        return "r2" if self.options.get("loss") == "squared_error" else "accuracy"


def divided(layers, options, X, y, n_train, seed):
    """Return the problem with these samples, `n_train` of them to train on, drawn by the seed."""
    order = np.random.RandomState(seed).permutation(len(X))
    train, test = order[:n_train], order[n_train:]
    return Problem(layers, options, X[train], y[train], X[test], y[test])


def mnist(seed, folder):
    """Return 8,000 of MNIST's 10,000 test images to train on, and 2,000 to test on."""
    X = datasets.read_idx(Path(folder, IMAGES)).reshape(-1, 784)
    y = datasets.read_idx(Path(folder, LABELS)).astype(np.int64)
    return divided([784, 64, 10], {"input_scale": 1 / 255}, X, y, 8_000, seed)


def digits(seed):
    """Return 1,400 digits of 8 x 8 pixels to train on, and 397 to test on."""
    X, y = datasets.digits()
    return divided([64, 32, 10], {"input_scale": 1 / 16}, X, y, 1_400, seed)


def clusters(seed):
    """Return five classes of three clusters each, 10,000 samples to train on and 2,000 to test."""
    from sklearn.datasets import make_classification

    X, y = make_classification(
        12_000, 30, n_informative=15, n_redundant=5, n_classes=5, n_clusters_per_class=3,
        flip_y=0.02, class_sep=1.5, random_state=seed,
    )  # fmt: skip
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    return divided([30, 64, 64, 5], {}, X, y, 10_000, seed)


def friedman(seed):
    """Return Friedman's first regression, 8,000 samples to train on and 2,000 to test."""
    from sklearn.datasets import make_friedman1

    X, y = make_friedman1(10_000, 10, noise=1.0, random_state=seed)
    X, y = ((X - 0.5) * np.sqrt(12)).astype(np.float32), (y - y.mean()) / y.std()
    return divided([10, 64, 64, 1], {"loss": "squared_error"}, X, y, 8_000, seed)


def problem(name, seed, folder):
    """Return the problem of this name; `folder` has the files of MNIST."""
    if name == "MNIST":
        return mnist(seed, folder)
    return {"digits": digits, "clusters": clusters, "friedman": friedman}[name](seed)
