"""The machine's limits: multiply-adds in registers, and bandwidth by the size of an array."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from benchmarks.kernels import repeat_multiply_add
from points import DTYPE
from roofline import Limits

from fastmlp.core.equations.product import WIDE
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.processor import LANES
from fastmlp.core.storage import zeros

SIZES = [2**i for i in range(15, 29)]  # bytes: from the nearest cache to 256 MiB, beyond them all
FLOPS, BYTES = 2e9, 2**28  # of a turn and thread, of a turn: some milliseconds
TRIES = 3  # of which the quickest counts
PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@kernel(entry=True)
def repeat_add(n, x, y, factor):
    """``y += factor * x``, n times: as in an update, two numbers are read and one is written."""
    for _ in range(n):
        for i in range(len(x)):
            y[i] += factor * x[i]


def quickest(n_threads, call):
    """Return the seconds, at best, from where the first thread begins to where the last ends."""
    together = threading.Barrier(n_threads)

    def timed(worker):
        if PROCESSORS and n_threads > 1:  # two that begin on one processor may stay there
            os.sched_setaffinity(0, {PROCESSORS[worker]})
        together.wait()
        began = time.perf_counter()
        call(worker)
        return began, time.perf_counter()

    with ThreadPoolExecutor(n_threads) as pool:
        tries = [zip(*pool.map(timed, range(n_threads)), strict=True) for _ in range(TRIES)]
    return min(max(ended) - min(began) for began, ended in tries)


def measure_flops(n_threads):
    """Return the fused multiply-adds a second, 2 operations each, of as many threads."""
    x, results = np.ones(64, DTYPE), np.zeros((n_threads, 1024), DTYPE)
    of_a_tile = 2 * WIDE.rows * WIDE.vectors * LANES
    n = round(FLOPS / of_a_tile)
    repeat_multiply_add(1, x, results[0])
    seconds = quickest(n_threads, lambda w: repeat_multiply_add(n, x, results[w]))
    return n_threads * n * of_a_tile / seconds


def measure_bandwidth(n_threads, size, memory):
    """Return the bytes a second of as many threads that pass over an array of `size` bytes."""
    share = size // (2 * n_threads * DTYPE.itemsize)  # of x, and of y
    xs, ys = (half[: n_threads * share].reshape(n_threads, share) for half in memory)
    of_a_pass = 3 * n_threads * share * DTYPE.itemsize
    n = max(1, BYTES // of_a_pass)
    factor = DTYPE.type(1e-30)  # y stays 1
    repeat_add(0, xs[0], ys[0], factor)
    seconds = quickest(n_threads, lambda w: repeat_add(n, xs[w], ys[w], factor))
    return n * of_a_pass / seconds


class Machine:
    """The best that was ever seen of this machine, for some numbers of threads.

    What disturbs it only makes it slower, so a limit is a maximum where a time is a median.
    """

    def __init__(self, threads):
        self.limits = {n: Limits(0.0, dict.fromkeys(SIZES, 0.0)) for n in threads}
        self.memory = zeros(max(SIZES) // DTYPE.itemsize, DTYPE).reshape(2, -1)
        self.memory += 1

    def look(self):
        """Measure once more."""
        for n, (flops, bandwidth) in self.limits.items():
            for size in SIZES:
                found = measure_bandwidth(n, size, self.memory)
                bandwidth[size] = max(bandwidth[size], found)
            self.limits[n] = Limits(max(flops, measure_flops(n)), bandwidth)
