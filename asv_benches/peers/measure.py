"""Time the systems in interleaved turns, each in its own process for each number of threads."""

import multiprocessing
import os
import statistics
import warnings
from functools import partial
from typing import NamedTuple

from benchmarks.timed import interleave, median_ratio, seconds_of
from systems import SYSTEMS, make_samples

SLOW_AT_ONE = {"numpy", "sklearn", "torch"}  # one call or more for each sample
ONE_ROW_CALLS = 2_000


class Case(NamedTuple):
    """A case: an epoch with minibatches of `batch_size`, or predictions of `n_rows` per call."""

    layers: tuple[int, ...]
    batch_size: int = 0
    n_rows: int = 0

    @property
    def what(self):
        """The task, for the tables and the chart."""
        return f"predict {self.n_rows}" if self.n_rows else f"batch {self.batch_size}"

    def samples_of(self, system):
        """Return the samples of a turn, whole minibatches that take some tenths of a second."""
        if self.n_rows == 1:
            return ONE_ROW_CALLS
        if self.n_rows:
            return max(1, 50_000 // self.n_rows) * self.n_rows
        if self.batch_size == 1:
            return 2_000 if system in SLOW_AT_ONE else 10_000
        n = 12_800 if sum(self.layers) > 1_500 else 60_000
        return n // self.batch_size * self.batch_size


def turn_of(system, case, n_threads):
    """Return a function without arguments that takes one turn of the case."""
    make, n = SYSTEMS[system], case.samples_of(system)
    if not case.n_rows:
        X, labels = make_samples(case.layers, n)
        return make(list(case.layers), case.batch_size, X, labels, n_threads)[0]
    X, labels = make_samples(case.layers, max(case.n_rows, 1_000))
    epoch, predict = make(list(case.layers), 32, X, labels, n_threads)
    epoch()
    rows, calls = X[: case.n_rows], n // case.n_rows

    def turn():
        for _ in range(calls):
            predict(rows)

    return turn


def serve(system, n_threads, pipe):
    """Answer each case with "ready" or an error, and each "go" with the seconds of a turn."""
    if n_threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")  # scikit-learn warns that one epoch does not converge
    turn, limits = None, None
    while (message := pipe.recv()) is not None:
        try:
            if message == "go":
                pipe.send(seconds_of(turn))
                continue
            turn = turn_of(system, message, n_threads)
            if system in ("numpy", "sklearn"):
                from threadpoolctl import threadpool_limits

                limits = threadpool_limits(n_threads)
            turn()  # compiles, and fills the caches
            pipe.send("ready")
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
    del limits


def start(systems, threads):
    """Return a pipe to a new process for each system and number of threads."""
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for n_threads in threads:
        os.environ["OMP_NUM_THREADS"] = str(n_threads)
        eigen = "false" if n_threads == 1 else "true"
        os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={eigen}"
        for system in systems:
            pipes[system, n_threads], end = context.Pipe()
            context.Process(target=serve, args=(system, n_threads, end), daemon=True).start()
    return pipes


def measure(systems, threads, cases, rounds, tell):
    """Yield each case with the seconds per sample of each (system, n_threads), by round.

    A system that cannot run is left out, and `tell` gets the reason.
    """
    pipes = start(systems, threads)

    def turn(case, key):
        pipes[key].send("go")
        return pipes[key].recv() / case.samples_of(key[0])

    for case in cases:
        ready = []
        for key, pipe in pipes.items():
            pipe.send(case)
            if (answer := pipe.recv()) == "ready":
                ready.append(key)
            else:
                tell(f"{key[0]} is not measured: {answer}")
        seconds = interleave([partial(turn, case, key) for key in ready], rounds)
        tell(f"measured: {case}")
        yield case, dict(zip(ready, seconds, strict=True))
    for pipe in pipes.values():
        pipe.send(None)


def figures(seconds, n_threads):
    """Return {system: (median seconds per sample, median ratio to fastmlp in the same round)}."""
    base = seconds.get(("fastmlp", n_threads))
    return {
        system: (statistics.median(turns), median_ratio(turns, base or turns))
        for (system, threads), turns in seconds.items()
        if threads == n_threads
    }
