"""Time systems in turn, each in a process of its own for every number of threads."""

import multiprocessing
import os
import statistics
import time
import warnings
from typing import NamedTuple

from systems import SYSTEMS, make_samples

SLOW_AT_ONE = {"numpy", "sklearn", "torch"}  # a call, or many, for each sample
ONE_ROW_CALLS = 2_000


class Case(NamedTuple):
    """What is timed: an epoch with minibatches of `batch_size`, or predictions of `n_rows`."""

    layers: tuple[int, ...]
    batch_size: int = 0
    n_rows: int = 0

    @property
    def what(self):
        """What is done with the layers, for the tables and the chart."""
        return f"predict {self.n_rows}" if self.n_rows else f"batch {self.batch_size}"

    def samples_of(self, system):
        """Return how many samples make a turn of some tenths of a second: whole minibatches."""
        if self.n_rows == 1:
            return ONE_ROW_CALLS
        if self.n_rows:
            return max(1, 50_000 // self.n_rows) * self.n_rows
        if self.batch_size == 1:
            return 2_000 if system in SLOW_AT_ONE else 10_000
        n = 12_800 if sum(self.layers) > 1_500 else 60_000
        return n // self.batch_size * self.batch_size


def turn_of(system, case, n_threads):
    """Return a function without arguments: one turn of the case."""
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
    """Answer each case with "ready" or what is wrong, and each "go" with the seconds of a turn."""
    if n_threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")  # scikit-learn: an epoch is too few
    turn, limits = None, None
    while (message := pipe.recv()) is not None:
        try:
            if message == "go":
                began = time.perf_counter()
                turn()
                pipe.send(time.perf_counter() - began)
                continue
            turn = turn_of(system, message, n_threads)
            if system in ("numpy", "sklearn"):
                from threadpoolctl import threadpool_limits

                limits = threadpool_limits(n_threads)
            turn()  # compiles, and warms the caches
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
    """Yield each case with the seconds a sample of (system, n_threads), round by round.

    A round is a turn of each in turn, so that a drift of the machine falls on all. Left out is
    what cannot be run; `tell` is called with why.
    """
    pipes = start(systems, threads)
    for case in cases:
        seconds = {}
        for key, pipe in pipes.items():
            pipe.send(case)
            if (answer := pipe.recv()) == "ready":
                seconds[key] = []
            else:
                tell(f"{key[0]} is not measured: {answer}")
        for _ in range(rounds):
            for (system, n_threads), turns in seconds.items():
                pipes[system, n_threads].send("go")
                turns.append(pipes[system, n_threads].recv() / case.samples_of(system))
        tell(f"measured: {case}")
        yield case, seconds
    for pipe in pipes.values():
        pipe.send(None)


def figures(seconds, n_threads):
    """Return {system: (median seconds a sample, median ratio to fastmlp in the same round)}."""
    base = seconds.get(("fastmlp", n_threads))
    return {
        system: (
            statistics.median(turns),
            statistics.median(t / b for t, b in zip(turns, base or turns, strict=True)),
        )
        for (system, threads), turns in seconds.items()
        if threads == n_threads
    }


def name_threads(n_threads):
    """Return what a number of threads is called above a table and a panel of the chart."""
    return "One thread" if n_threads == 1 else f"{n_threads} threads"
