"""Clusters of real processes, and networks that tell what is running on them; POSIX only."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

import fastmlp
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.core.machine import processor, shares
from fastmlp.dask.points import point_of
from helpers.same_bits import digest_of

TESTS = Path(__file__).parents[1]
PACKAGE = Path(fastmlp.__file__).parent  # the same for workers, installed or not
SECONDS = 200  # that anything here may take


@contextlib.contextmanager
def local_cluster(n_workers, **options):
    """Start a cluster in subprocesses with nannies; return its client."""
    import dask
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "memory_limit": 0} | options
    with (
        # Later than this the cluster would replace the nanny of a worker that has died, with the
        # worker that it has started meanwhile.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(n_workers=n_workers, processes=True, dashboard_address=":0", **options) as it,
        Client(it, set_as_default=False) as client,
    ):
        yield client


class Commands:
    """A scheduler and workers that were started as commands."""

    def __init__(self, folder):
        self.folder, self.processes, self._n = Path(folder), [], 0
        self.start_scheduler()

    def start_scheduler(self, *options):
        self._n += 1
        file = self.folder / f"scheduler-{self._n}.json"
        self.scheduler = self._start(
            "dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", file, *options
        )
        wait_until(lambda: file.exists() and file.read_text())
        self.address = json.loads(file.read_text())["address"]

    def start_worker(self, *options, n_threads=1, **environment):
        return self._start(
            "dask_worker", self.address, "--no-nanny", "--no-dashboard", "--nthreads",
            str(n_threads), "--memory-limit", "0", "--local-directory", self.folder, *options,
            **environment,
        )  # fmt: skip

    def _start(self, command, *options, **environment):
        path = os.pathsep.join([*map(str, (PACKAGE.parent, TESTS, TESTS.parent))])
        # Nannies in this process set the variable here, too.
        inherited = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
        with (self.folder / "log.txt").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", *map(str, options)],
                env=inherited | {"PYTHONPATH": path} | environment,
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait(SECONDS)


@contextlib.contextmanager
def commands(folder, n_workers=2, **options):
    """Start a cluster by commands, without nannies; return it and its client."""
    from distributed import Client

    cluster = Commands(folder)
    try:
        for _ in range(n_workers):
            cluster.start_worker(**options)
        with Client(cluster.address, set_as_default=False, timeout=SECONDS) as client:
            client.wait_for_workers(n_workers, timeout=SECONDS)
            yield cluster, client
    finally:
        cluster.close()


def wait_until(is_so):
    """Wait for a condition."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


# Networks -------------------------------------------------------------------------------------


class Rate:
    """A learning rate that writes a file named by its process, and takes its time.

    On workers it waits as long as there is a file `gate`.
    """

    def __init__(self, folder=None, seconds=0.0, gate=None):
        self.folder, self.seconds = folder and str(folder), seconds
        self.gate = gate and str(gate)

    def __call__(self, step):
        signal_in(self.folder, self.gate)
        time.sleep(self.seconds)
        return 0.02


class Score:
    """A metric that writes a file named by its process, and takes its time."""

    __name__ = "score"

    def __init__(self, folder=None, seconds=0.0):
        self.folder, self.seconds = folder and str(folder), seconds

    def __call__(self, y_true, y_predicted):
        signal_in(self.folder)
        time.sleep(self.seconds)
        return 0.5


def signal_in(folder, gate=None):
    """Write a file named by this process, if it is a worker, and wait while there is a `gate`."""
    from distributed import get_worker

    with contextlib.suppress(ValueError):  # no worker
        if folder is not None and get_worker():
            Path(folder, str(os.getpid())).touch()
            wait_until(lambda: gate is None or not Path(gate).exists())


def load(shard):
    """Return the samples of a shard."""
    random = np.random.RandomState(shard)
    return random.rand(40 + shard, 8).astype(np.float32), random.randint(0, 3, 40 + shard)


class Load:
    """`load`, which signals as `Rate` does."""

    def __init__(self, folder, gate=None):
        self.folder, self.gate = str(folder), gate and str(gate)

    def __call__(self, shard):
        signal_in(self.folder, self.gate)
        return load(shard)


def loaded(n_shards=8):
    """Return the samples of all shards such that shards of these arrays are those of `load`'s."""
    random = np.random.RandomState(0)
    return random.rand(45 * n_shards, 8).astype(np.float32), random.randint(0, 3, 45 * n_shards)


def network(folder=None, seconds=0.0, gate=None, **options):
    return MLP([8, 16, 3], learning_rate=Rate(folder, seconds, gate), random_state=5, **options)


def digest(mlp):
    """Return a digest of all parameters and moments, and the history."""
    return digest_of(point_of(mlp._state).arrays), mlp.history_


# Killing --------------------------------------------------------------------------------------


def pids(client):
    """Return the processes of all workers by their addresses."""
    return client.run(os.getpid)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def written(folder):
    """Return the processes that have written files, once there are some."""
    wait_until(lambda: any(Path(folder).iterdir()))
    return [int(file.name) for file in Path(folder).iterdir()]


def emptied(folder):
    """Remove the files in a folder."""
    for file in Path(folder).iterdir():
        file.unlink()


class KillsIn(Callback):
    """Kills processes in some rounds, once one of them has written its file.

    Parameters
    ----------
    rounds : iterable of int
    folder : path
        Where files are written.
    choose : callable
        Called in the round with the processes that have written files; returns those to kill. It
        may do something else, too.
    """

    def __init__(self, rounds, folder, choose=lambda running: running[:1]):
        self.rounds, self.folder, self.choose = set(rounds), Path(folder), choose
        self.killed, self._thread = [], None

    def on_epoch_begin(self, epoch, logs=None):
        if epoch in self.rounds:
            emptied(self.folder)
            self._thread = threading.Thread(target=self._kill)
            self._thread.start()

    def _kill(self):
        victims = self.choose(written(self.folder))
        self.killed.append(victims)
        for pid in victims:
            kill(pid)

    def on_epoch_end(self, epoch, logs=None):
        if self._thread is not None:
            self._thread.join(SECONDS)
            self._thread = None


class CountsThreads:
    """A learning rate that writes how many threads the task may use, as the name of a file."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, step):
        from distributed import get_worker

        with contextlib.suppress(ValueError):
            get_worker()
            n = shares.threads_of_this(processor.usable_threads())
            Path(self.folder, str(n)).touch()
            time.sleep(0.05)
        return 0.02


class Kills:
    """A learning rate that kills the worker."""

    def __call__(self, step):
        from distributed import get_worker

        with contextlib.suppress(ValueError):
            get_worker()
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.02


def load_large(shard):
    """Return 50 MB."""
    random = np.random.RandomState(shard)
    return random.rand(16000, 784).astype(np.float32), random.randint(0, 3, 16000)


def load_wrong(shard):
    """Return NaN in two shards, the first of them late."""
    X, y = load(shard)
    if shard in (1, 3):
        X[7, 2] = np.nan
    if shard == 1:
        time.sleep(0.5)
    return X, y


def load_fatal(shard):
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)
