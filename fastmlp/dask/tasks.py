"""What workers compute: the tasks of a round, which are pure functions but for their times."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fastmlp.core.inputs.gather import SparseRows
from fastmlp.core.machine import shares
from fastmlp.dask import versions
from fastmlp.dask.keeping import Unkept, loaded_to_keep, present
from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged, Sum, Trained, added, merged, train
from fastmlp.dask.shards import Format, Shard, Size, read, size_of
from fastmlp.training.samples import Data, part


class Fit(NamedTuple):
    """What all tasks of a call of fit have in common."""

    token: str
    versions: Mapping[str, str | None]  # of the client

    def check(self) -> str:
        """Return the address of this worker, which must have the client's versions."""
        from distributed import get_worker

        know_sizes()
        address = str(get_worker().address)
        versions.check(f"worker {address}", versions.here(), self.versions)
        return address


class Placed(NamedTuple):
    """The result of a shard, and the address of its worker."""

    trained: Trained
    worker: str


class Added(NamedTuple):
    """The sum of some shards, and how the points came to it."""

    sum: Sum
    workers: list[str]  # of each shard, where it was trained on
    worker: str  # where it was added up
    n_bytes: int  # that were moved


def itself(value: Any) -> Any:
    """Return the argument, as a task whose result is known to the scheduler."""
    return value


def read_rows(fit: Fit, form: Format, shard: int, rows: tuple[Any, Any, Any]) -> Data:
    """Return the samples of a shard from its rows."""
    fit.check()
    return read(form, shard, rows)


def read_loaded(
    fit: Fit, form: Format, shard: int, load: Callable[[int], Any]
) -> Shard | Unkept | Any:
    """Return a shard that a function loads as this worker keeps it, or what `form.look` returns."""
    fit.check()
    return loaded_to_keep(form, shard, load)


def size_here(fit: Fit, form: Format, shard: Shard | Unkept | Any) -> Size:
    """Return what is known of a shard without its samples."""
    fit.check()
    return shard.size if isinstance(shard, Unkept) else size_of(form, shard)


def train_here(
    fit: Fit, job: Job, point: Point, kept: Shard | Unkept, number: int, shard: int
) -> Placed:
    """Train on a shard, and say where.

    All tasks of a worker together use the threads that Dask gave to it. The training stops when
    the client has released the task: after Ctrl-C, or when the round is computed again.
    """
    from distributed import Reschedule, get_worker

    address, worker = fit.check(), get_worker()
    of_task = _UntilReleased(worker.state.tasks[worker.get_current_task()])
    began = time.perf_counter()
    data = present(kept)
    seconds = time.perf_counter() - began
    try:
        with shares.limited_to(worker.state.nthreads), of_task.taken():
            make_ready(fit.token, job, point, data)
            trained = train(job, point, data, number, shard)
            return Placed(trained._replace(seconds=trained.seconds + seconds), address)
    except KeyboardInterrupt:
        raise Reschedule from None  # if anyone wants the result after all


class _UntilReleased(shares.Share):
    """A fit that stops after its present run when a worker's task is released."""

    def __init__(self, task: Any):
        super().__init__(sys.maxsize, 1)
        self._task = task

    def check(self) -> None:
        if self._task.state == "cancelled":
            raise KeyboardInterrupt


def add_here(fit: Fit, before: Added | None, placed: Sequence[Placed]) -> Added:
    """Add shards to the sum of those before them."""
    address = fit.check()
    total = added(None if before is None else before.sum, [each.trained for each in placed])
    moved = sum(each.trained.point.n_bytes for each in placed if each.worker != address)
    workers = [each.worker for each in placed]
    if before is None:
        return Added(total, workers, address, moved)
    moved += before.n_bytes + (before.sum.n_bytes if before.worker != address else 0)
    return Added(total, [*before.workers, *workers], address, moved)


def merge_here(
    fit: Fit, job: Job, before: Point, total: Added, validation: Data | None
) -> tuple[Merged, list[str], int]:
    """Return the result of a round, the worker of each shard, and the bytes that were moved.

    The point goes to the first worker through the scheduler, from there to each other one, and the
    mean goes to the client through the scheduler.
    """
    address = fit.check()
    found = merged(job, before, total.sum, validation)
    moved = total.n_bytes + (total.sum.n_bytes if total.worker != address else 0)
    n_copies = 4 + len(set(total.workers) | {address}) - 1
    return found, total.workers, moved + n_copies * before.n_bytes


@functools.cache
def know_sizes() -> None:
    """Tell Dask how much memory sparse rows take: by that it decides what to spill."""
    from dask.sizeof import sizeof

    @sizeof.register(SparseRows)
    def of_rows(rows: SparseRows) -> int:
        return rows.numbers.nbytes + rows.inputs.nbytes + rows.starts.nbytes


# Compilation -------------------------------------------------------------------------------------

_ready: set[str] = set()  # tokens of fits
_getting_ready = threading.Lock()


def make_ready(token: str, job: Job, point: Point, data: Data) -> None:
    """Train on a minibatch for nothing, once for each fit in each process.

    So the kernels are compiled or read from disk by one thread, and before anything is timed.
    """
    if token in _ready:
        return
    with _getting_ready:
        if token not in _ready:
            few = part(data, slice(0, job.batch_size))
            begin = point._replace(order=None)  # which has the rows of all
            train(job._replace(local_epochs=1, local_steps=None), begin, few, 0, 0)
            _ready.add(token)
