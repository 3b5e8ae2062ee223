"""The client of a cluster: submitting tasks, waiting for them, and saying what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for
from typing import Any

from fastmlp.dask import versions, view
from fastmlp.dask.tasks import Fit
from fastmlp.messages import must, shown, warn

POLL_SECONDS = 0.5  # between looks at the connection while tasks run
PATIENCE = 10.0  # seconds until a worker with full memory is given up, or the lack of any is said
MOST_ATTEMPTS = 4  # to submit the same tasks, the next one after four times as long


class ClusterLost(RuntimeError):
    """The cluster, or data in it, are gone."""


class WorkersDied(Exception):
    """Workers that tasks need are gone, or their memory is full and they compute nothing."""

    def __init__(self, workers: set[str], are_full: bool = False):
        super().__init__(workers)
        self.workers, self.are_full = workers, are_full


class Stuck(Exception):
    """Dask computes none of the tasks, although there are workers.

    This happens to collections for certain workers after these have died, also if others are
    allowed.
    """


class Connection:
    """What `fit` does with a client. Every wait ends when the cluster is lost.

    Parameters
    ----------
    client : dask.distributed.Client or None
        None is the current one.
    """

    def __init__(self, client: Any):
        self._client = client_of(client)
        self._address = self._client.scheduler.address
        self.fit = Fit(uuid.uuid4().hex[:8], versions.here())
        self._checked: set[str] = set()  # addresses of workers
        self._warned, self._n_stuck = False, 0

    def key(self, task: str, *numbers: int) -> str:
        """Return the key of a task, which the dashboard groups by what it does."""
        return "-".join([f"fastmlp_{task}", self.fit.token, *map(str, numbers)])

    def submit(self, key: str, function: Callable[..., Any], *arguments: Any, worker: str) -> Any:
        """Submit a task to a worker. No other one computes it, not even after this one has died."""
        with _without_size_warning():
            return self._client.submit(function, *arguments, key=key, workers=[worker])

    def compute(self, collections: Sequence[Any]) -> list[Any]:
        """Return the futures of collections."""
        with _without_size_warning():
            return list(self._client.compute(list(collections)))

    def workers(self) -> dict[str, int]:
        """Return the threads of each worker that takes tasks, when there are some, after checking.

        Those that Dask has paused, because their memory is full, or that it retires take none.
        """
        began, asks = time.monotonic(), None
        while not (found := self._threads(self._client.scheduler.ncores_running)):
            if asks is None:  # without a task that waits, an adaptive cluster starts no worker
                asks = self._client.submit(bool, key=self.key("worker"))
            self._warn_if_no_workers(began)
            time.sleep(POLL_SECONDS / 5)
        if asks is not None:
            asks.release()
        self._check_versions(found)
        return found

    def results(self, futures: Sequence[Any], needed: Callable[[], set[str]]) -> list[Any]:
        """Return the results when all are there, or raise the error of the first that has one.

        `needed` returns the workers without which their tasks cannot be computed.
        """
        began, idle, full_since = time.monotonic(), 0, dict[str, float]()
        while not self._are_done(futures):
            left = self._threads(self._client.scheduler.ncores)
            if gone := needed() - set(left):
                raise WorkersDied(gone)
            now = time.monotonic()
            full_since = {
                worker: full_since.get(worker, now) for worker in self._full(left, futures)
            }
            self._give_up({w for w, since in full_since.items() if now - since >= PATIENCE})
            if left:
                began = now
                idle = idle + 1 if self._is_idle() else 0
            self._warn_if_no_workers(began)
            if idle > 4**self._n_stuck:
                self._n_stuck += 1
                self._check_stuck()
                raise Stuck
        found = self._gathered(futures, needed)
        self._n_stuck = 0
        return found

    def _are_done(self, futures: Sequence[Any]) -> bool:
        """Wait for a while; return whether all results, or an error, are there."""
        from distributed import CancelledError, wait

        try:
            with self._client.as_current():
                wait(futures, timeout=POLL_SECONDS)
        except CancelledError:
            return True
        except TimeoutError:
            self._check_connection()
            return any(future.status == "cancelled" for future in futures)
        return True

    def _is_idle(self) -> bool:
        """Whether no worker has a task to compute."""
        return not any(self._client.processing().values())

    def _full(self, left: Iterable[str], futures: Iterable[Any]) -> set[str]:
        """Return the workers that hold up these tasks because their memory is full."""
        if set(self._threads(self._client.scheduler.ncores_running)) >= set(left):
            return set()  # without a call that the scheduler logs
        keys = [future.key for future in futures]
        return set(self._client.run_on_scheduler(view.full_workers(), keys))

    def forget_deaths(self, futures: Iterable[Any]) -> None:
        """Let Dask count deaths of workers from 0 again, for tasks and what they need."""
        keys = [future.key for future in futures]
        with contextlib.suppress(OSError):  # a lost connection is noticed later
            self._client.run_on_scheduler(view.forget_deaths(), keys)

    # What can go wrong ---------------------------------------------------------------------------

    def check(self, futures: Iterable[Any]) -> None:
        """Raise an error if results that are kept on the cluster are gone for good."""
        self._check_connection()
        for future in futures:
            if future.status == "cancelled":
                raise self._cancelled(future)

    def check_deaths(self, died: Mapping[int, int]) -> None:
        """Raise an error if several workers died that had the same shard."""
        for shard, n in died.items():
            if n == MOST_ATTEMPTS:
                raise ClusterLost(
                    f"{n} workers died while they had shard {shard}: perhaps it needs more memory "
                    "than a worker has"
                )

    def _give_up(self, full: set[str]) -> None:
        """Treat workers like those that died, if there are some."""
        for worker in sorted(full):
            warn(
                f"Dask has paused worker {worker}, whose memory is full: its shards are given to "
                "others",
                RuntimeWarning,
            )
        if full:
            raise WorkersDied(full, are_full=True)

    def _check_stuck(self) -> None:
        if self._n_stuck == MOST_ATTEMPTS:
            raise ClusterLost(
                f"the cluster at {self._address} does not compute the tasks, which were submitted "
                f"{MOST_ATTEMPTS} times: perhaps all workers die of them, or have too little memory"
            )

    def _gathered(self, futures: Sequence[Any], needed: Callable[[], set[str]]) -> list[Any]:
        for future in futures:
            if future.status == "error":
                raise self._failed(future.exception())
        # A call of `gather` that waits would not notice that the worker of a result has died. This
        # one ends when the futures are released.
        gathering = asyncio.run_coroutine_threadsafe(
            self._client.gather(futures, asynchronous=True), self._client.loop.asyncio_loop
        )
        try:
            while not wait_for([gathering], POLL_SECONDS).done:
                if gone := needed() - set(self._threads(self._client.scheduler.ncores)):
                    raise WorkersDied(gone)
            return list(gathering.result())
        except (OSError, CancelledError):
            self.check(futures)
            raise

    def _threads(self, question: Callable[[], Any]) -> dict[str, int]:
        """Return the threads of each worker, as the scheduler answers."""
        try:
            return dict(self._client.sync(question))
        except OSError:
            self._check_connection()
            raise ClusterLost(self._lost()) from None

    def _warn_if_no_workers(self, since: float) -> None:
        if not self._warned and time.monotonic() - since >= PATIENCE:
            self._warned = True
            warn(
                f"the cluster at {self._address} has no workers that take tasks: waiting for one",
                RuntimeWarning,
            )

    def _check_connection(self) -> None:
        if self._client.status != "running":
            raise ClusterLost(self._lost())

    def _lost(self) -> str:
        return f"the connection to the scheduler at {self._address} was lost"

    def _check_versions(self, workers: Iterable[str]) -> None:
        """Raise an error for the first worker with other versions, of those not seen before."""
        new = [worker for worker in workers if worker not in self._checked]
        if not new:
            return
        if not self._checked:
            theirs = self._client.run_on_scheduler(versions.probe())
            theirs[versions.FUSED] = self.fit.versions[versions.FUSED]  # it does no arithmetic
            versions.check(f"the scheduler at {self._address}", theirs, self.fit.versions)
        found = self._client.run(versions.probe(), workers=new, on_error="return")
        for worker in new:
            if isinstance(found.get(worker), dict):  # it may be gone again
                versions.check(f"worker {worker}", found[worker], self.fit.versions)
                self._checked.add(worker)

    def _cancelled(self, future: Any) -> ClusterLost:
        """Return the error for a result that cannot be had any more."""
        reason = _reason(future)
        if self._client.status != "running" or "connection" in reason:
            return ClusterLost(self._lost())
        if "restart" in reason:
            return ClusterLost(f"the cluster at {self._address} was restarted")
        return ClusterLost(
            f"results were lost or cancelled ({reason}): data of X, y or sample_weight that were "
            "scattered die with their worker, those read from files or made by functions are "
            "made again"
        )

    def _failed(self, error: BaseException) -> BaseException:
        """Return the error to raise for that of a task."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            n = error.allowed_failures + 1
            return ClusterLost(
                f"{n} workers died while they computed {error.task!r}: perhaps a shard needs more "
                "memory than a worker has"
            )
        if not isinstance(error, versions.OtherVersion):
            self._check_versions(self._threads(self._client.scheduler.ncores))  # this may be why
        return error


def client_of(client: Any) -> Any:
    """Return the client, or for None the current one: within a task, that of its worker."""
    try:
        from distributed import Client, get_client
    except ImportError:
        advice = 'pip install "fastmlp[dask]"'
        raise ImportError(f"Dask is not installed: {advice}, or pass client=False") from None
    if client is None:
        try:
            client = get_client()
        except ValueError:
            requirement = "be a dask.distributed.Client, or False for this process, without one"
            raise ValueError(must("client", requirement, "None")) from None
    if not isinstance(client, Client):
        raise TypeError(must("client", "be a dask.distributed.Client or False", shown(client)))
    if client.asynchronous:
        advice = "call fit in a thread of its own"
        got = "one whose event loop makes this call"
        raise TypeError(must("client", "be synchronous", got, advice))
    if client.status != "running":
        raise ValueError(must("client", "be connected", f"one that is {client.status}"))
    return client


def _reason(future: Any) -> str:
    """Return why a result is gone, in Dask's words."""
    if future.status == "lost":
        return "lost data"
    try:
        future.result(timeout=POLL_SECONDS)
    except BaseException as error:
        return str(getattr(error, "reason", "unknown"))
    return "unknown"


def outside_pool() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a task of Dask does not occupy a thread of its worker.

    Otherwise the tasks that it waits for might wait for that thread. Outside of tasks it does
    nothing.
    """
    from distributed import get_worker, worker_client

    try:
        get_worker()
    except ValueError:
        return contextlib.nullcontext()
    return worker_client()


_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def _without_size_warning() -> Iterator[None]:
    """Dask warns of graphs of more than 10 MB. Points, and rows of arrays, belong into the graph.

    The limit is one of the process: it is set for one thread at a time.
    """
    import dask

    with (
        _one_at_a_time,
        dask.config.set({"distributed.admin.large-graph-warning-threshold": 2**60}),
    ):
        yield
