"""Time the points of an axis in interleaved turns, and the machine's limits in the same rounds."""

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks.timed import interleave, seconds_of
from points import DTYPE, Point, points_of

from fastmlp import NeuralNet

BLOCK = 100_000  # rows of the file per write


class Timed(NamedTuple):
    """A point, and its seconds per sample in each round."""

    point: Point
    turns: list[float]

    @property
    def seconds(self):
        """The median over the rounds."""
        return statistics.median(self.turns)


def write_rows(path, n_rows, n_in):
    """Write a .npy file of random numbers without zeros, block by block."""
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, "w+", DTYPE, (n_rows, n_in))
    for start in range(0, n_rows, BLOCK):
        block = rows[start : start + BLOCK]
        block[...] = 1 - rng.random(block.shape, DTYPE)
    rows.flush()  # otherwise the disk is busy while fit is timed


def turn_of(point, X):
    """Return a function without arguments that trains on X and returns seconds per sample."""
    labels = np.random.default_rng(1).integers(0, point.layers[-1], point.n_samples)
    net = NeuralNet(
        point.layers,
        learning_rate=1e-8,  # so small that the weights hardly change
        output_activation="identity",
        dtype=DTYPE,
        random_state=0,
        n_threads=point.n_threads,
    )

    fit = partial(net.fit, X, labels, epochs=point.epochs, batch_size=point.batch_size)
    return lambda: seconds_of(fit) / (point.epochs * point.n_samples)


def turns_of(name, points, folder):
    """Return the turns of an axis; the axis of samples writes a file into `folder`."""
    if name == "samples":
        path = Path(folder, "X.npy")
        most = max(point.n_samples for point in points)
        write_rows(path, most, points[0].layers[0])
        X = np.load(path, mmap_mode="r")
        return [turn_of(point, X[: point.n_samples]) for point in points]
    rng = np.random.default_rng(0)
    return [turn_of(p, 1 - rng.random((p.n_samples, p.layers[0]), DTYPE)) for p in points]


def measure(name, most_samples, rounds, machine):
    """Return the `Timed` of each point of an axis; every round measures the machine as well."""
    points = points_of(name, most_samples)
    with tempfile.TemporaryDirectory(prefix="fastmlp-scaling-") as folder:
        turns = turns_of(name, points, folder)
        for turn in turns:
            turn()  # compiles, and fills the caches
        _, *seconds = interleave([machine.measure, *turns], rounds)
    return [Timed(*pair) for pair in zip(points, seconds, strict=True)]
