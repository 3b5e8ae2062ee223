"""Time the points of an axis in turn, and the machine's limits in the same rounds."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from points import DTYPE, Point, points_of

from fastmlp import NeuralNet

BLOCK = 100_000  # rows of a file that are written together


class Timed(NamedTuple):
    """A point, and the median over the rounds of what a sample of it took."""

    point: Point
    seconds: float


def write_rows(path, n_rows, n_in):
    """Write a .npy file of random numbers, none of them zero, block by block."""
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, "w+", DTYPE, (n_rows, n_in))
    for start in range(0, n_rows, BLOCK):
        block = rows[start : start + BLOCK]
        block[...] = 1 - rng.random(block.shape, DTYPE)
    rows.flush()  # or the disk is busy while the fit is timed


def turn_of(point, X):
    """Return a function without arguments that trains on X and returns the seconds a sample."""
    labels = np.random.default_rng(1).integers(0, point.layers[-1], point.n_samples)
    net = NeuralNet(
        point.layers,
        learning_rate=1e-8,  # so small that the first weights stay
        output_activation="identity",
        dtype=DTYPE,
        random_state=0,
        n_threads=point.n_threads,
    )

    def turn():
        began = time.perf_counter()
        net.fit(X, labels, epochs=point.epochs, batch_size=point.batch_size)
        return (time.perf_counter() - began) / (point.epochs * point.n_samples)

    return turn


def turns_of(name, points, folder):
    """Return the turns of an axis, that of samples with a file in `folder`."""
    if name == "samples":
        path = Path(folder, "X.npy")
        most = max(point.n_samples for point in points)
        write_rows(path, most, points[0].layers[0])
        X = np.load(path, mmap_mode="r")
        return [turn_of(point, X[: point.n_samples]) for point in points]
    rng = np.random.default_rng(0)
    return [turn_of(p, 1 - rng.random((p.n_samples, p.layers[0]), DTYPE)) for p in points]


def measure(name, most_samples, rounds, machine):
    """Return what each point of an axis took; the machine is looked at in every round.

    A round is a turn of each, so that a drift of the machine falls on all.
    """
    points = points_of(name, most_samples)
    with tempfile.TemporaryDirectory(prefix="fastmlp-scaling-") as folder:
        seconds = seconds_of(turns_of(name, points, folder), rounds, machine)
    return [Timed(p, statistics.median(s)) for p, s in zip(points, seconds, strict=True)]


def seconds_of(turns, rounds, machine):
    """Return the seconds of each of the turns, round by round."""
    for turn in turns:
        turn()  # compiles, and warms the caches
    seconds = [[] for _ in turns]
    for _ in range(rounds):
        machine.look()
        for turn, so_far in zip(turns, seconds, strict=True):
            so_far.append(turn())
    return seconds
