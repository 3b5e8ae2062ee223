"""The machine's limits: multiply-adds in registers, and bandwidth by array size."""

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

SIZES = [2**i for i in range(15, 29)]  # bytes: from the L1 cache to 256 MiB, beyond all caches
FLOPS, BYTES = 2e9, 2**28  # per turn and thread, and per turn: some milliseconds
TRIES = 3  # the quickest counts
PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@kernel(entry=True)
def repeat_add(n, x, y, factor):
    """``y += factor * x``, n times: two values are read and one is written, as in an update."""
    for _ in range(n):
        for i in range(len(x)):
            y[i] += factor * x[i]


def quickest(n_threads, call):
    """Return the shortest time from the start of the first thread to the end of the last."""
    together = threading.Barrier(n_threads)

    def timed(worker):
        if PROCESSORS and n_threads > 1:  # threads that start on one processor may stay there
            os.sched_setaffinity(0, {PROCESSORS[worker]})
        together.wait()
        began = time.perf_counter()
        call(worker)
        return began, time.perf_counter()

    with ThreadPoolExecutor(n_threads) as pool:
        tries = [zip(*pool.map(timed, range(n_threads)), strict=True) for _ in range(TRIES)]
    return min(max(ended) - min(began) for began, ended in tries)


def measure_flops(n_threads):
    """Return the operations per second of fused multiply-adds, 2 each, on this many threads."""
    x, results = np.ones(64, DTYPE), np.zeros((n_threads, 1024), DTYPE)
    per_tile = 2 * WIDE.rows * WIDE.vectors * LANES
    n = round(FLOPS / per_tile)
    repeat_multiply_add(1, x, results[0])
    seconds = quickest(n_threads, lambda w: repeat_multiply_add(n, x, results[w]))
    return n_threads * n * per_tile / seconds


def measure_bandwidth(n_threads, size, memory):
    """Return the bytes per second of this many threads over an array of `size` bytes."""
    share = size // (2 * n_threads * DTYPE.itemsize)  # of x, and of y
    xs, ys = (half[: n_threads * share].reshape(n_threads, share) for half in memory)
    per_pass = 3 * n_threads * share * DTYPE.itemsize
    n = max(1, BYTES // per_pass)
    factor = DTYPE.type(1e-30)  # y stays 1
    repeat_add(0, xs[0], ys[0], factor)
    seconds = quickest(n_threads, lambda w: repeat_add(n, xs[w], ys[w], factor))
    return n * per_pass / seconds


class Machine:
    """The highest limits measured so far, for some numbers of threads.

    Interference only makes the machine slower. So a limit is a maximum, while a time is a median.
    """

    def __init__(self, threads):
        self.limits = {n: Limits(0.0, dict.fromkeys(SIZES, 0.0)) for n in threads}
        self.memory = zeros(max(SIZES) // DTYPE.itemsize, DTYPE).reshape(2, -1)
        self.memory += 1

    def measure(self):
        """Measure once more."""
        for n, (flops, bandwidth) in self.limits.items():
            for size in SIZES:
                found = measure_bandwidth(n, size, self.memory)
                bandwidth[size] = max(bandwidth[size], found)
            self.limits[n] = Limits(max(flops, measure_flops(n)), bandwidth)
