"""What is measured: the axes and the points on them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastmlp.core.equations.activations import IDENTITY
from fastmlp.core.run import estimate_step
from fastmlp.core.storage import Network

NET, SMALL_NET = (784, 512, 512, 10), (64, 32, 10)
BATCH_SIZE = 128
DTYPE = np.dtype(np.float32)
TURN = 0.8  # seconds, estimated for a slow core; a fast one takes a quarter of it
FEWEST_STEPS = 4  # per epoch, which take much longer than the overhead of a call of fit


class Axis(NamedTuple):
    """One parameter that changes, while the others keep their defaults."""

    unit: str  # of the values
    fixed: str  # the other parameters
    values: list[int]
    settings: Callable[[int], dict]  # the arguments of `make_point` for a value


AXES = {
    "threads": Axis(
        "threads",
        f"{list(NET)}, minibatches of {BATCH_SIZE}",
        [1, 2, 4, 8],
        lambda n: {"n_threads": n},
    ),
    "batch": Axis(
        "batch size",
        f"{list(NET)}, one thread",
        [4**i for i in range(7)],
        lambda n: {"batch_size": n},
    ),
    "width": Axis(
        "units, w",
        f"[w, w, 10], minibatches of {BATCH_SIZE}, one thread",
        [2**i for i in range(3, 13)],
        lambda n: {"layers": (n, n, 10)},
    ),
    "depth": Axis(
        "hidden layers",
        f"256 inputs, hidden layers of 256, 10 outputs, minibatches of {BATCH_SIZE}, one thread",
        [1, 2, 4, 8, 16],
        lambda n: {"layers": (256,) * (n + 1) + (10,)},
    ),
    "samples": Axis(
        "samples",
        f"{list(SMALL_NET)}, minibatches of {BATCH_SIZE}, one thread, X a memory-mapped file",
        [10**i for i in range(3, 8)],
        lambda n: {"layers": SMALL_NET, "n_samples": n},
    ),
}
FEWEST_SAMPLES = AXES["samples"].values[0]


class Point(NamedTuple):
    """A network and its training in one turn."""

    value: int  # on the axis
    layers: tuple[int, ...]
    batch_size: int
    n_threads: int
    n_samples: int
    epochs: int
    flops: int  # per sample

    @property
    def weights(self):
        """The number of weights."""
        return sum(a * b for a, b in zip(self.layers[:-1], self.layers[1:], strict=True))


def make_point(value, layers=NET, batch_size=BATCH_SIZE, n_threads=1, n_samples=None):
    """Return a point whose turn takes up to a second, or one epoch if that takes longer.

    Without `n_samples`, the turn is one epoch of whole minibatches.
    """
    network = Network(list(layers), IDENTITY, DTYPE)
    # Estimated for one worker, so that every number of threads trains on the same samples.
    step_seconds = estimate_step(network, batch_size)
    if n_samples is None:
        n_samples = batch_size * max(FEWEST_STEPS, int(TURN / step_seconds))
    epochs = max(1, int(TURN / step_seconds * batch_size / n_samples))
    flops = 2 * network.multiply_adds
    return Point(value, layers, batch_size, n_threads, n_samples, epochs, flops)


def points_of(name, most_samples):
    """Return the points of an axis; a file has at most `most_samples` rows."""
    axis = AXES[name]
    values = [n for n in axis.values if name != "samples" or n <= most_samples]
    return [make_point(value, **axis.settings(value)) for value in values]


def file_bytes(points):
    """Return the size of a file with the inputs of the point with the most samples."""
    return max(point.n_samples * point.layers[0] for point in points) * DTYPE.itemsize
