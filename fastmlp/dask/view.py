"""What the scheduler knows of its workers, and of the tasks that `fit` waits for.

The functions go to the scheduler as code, because they are not names in a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class View(NamedTuple):
    """The workers of a cluster, by their addresses, and how they affect some tasks."""

    threads: dict[str, int]  # of all
    taking: dict[str, int]  # the threads of those that take tasks: not paused, not being retired
    gone: set[str]  # those that a task of this fit needs, and that the cluster has no more
    full: set[str]  # those that have been given tasks, but are paused and compute nothing
    is_computing: bool  # whether a worker has been given a task, or will be


def look() -> Callable[..., Any]:
    """Return a function for the scheduler that returns the fields of a `View`.

    It gets the keys of the tasks that are waited for, and a text that all keys of this fit have.
    """

    def view(keys: list[str], token: str, dask_scheduler: Any) -> tuple[Any, ...]:
        workers = dask_scheduler.workers
        running = [worker for worker in workers.values() if worker.status.name == "running"]
        given: set[Any] = set()
        gone: set[str] = set()
        seen: set[Any] = set()
        is_queued, stack = False, [dask_scheduler.tasks.get(key) for key in keys]
        while stack:
            task = stack.pop()
            if task is None or task in seen or task.state in ("memory", "erred"):
                continue
            seen.add(task)
            stack += task.dependencies
            is_queued = is_queued or task.state == "queued"
            needed = task.worker_restrictions or () if token in str(task.key) else ()
            gone.update(address for address in needed if address not in workers)
            if task.state == "processing":
                given.add(task.processing_on)
            elif task.state == "no-worker":  # until those that it needs take tasks
                given.update(workers[address] for address in needed if address in workers)
        full = {
            worker.address
            for worker in given
            if worker.status.name == "paused"
            and not worker.metrics.get("task_counts", {}).get("executing")
        }
        threads = {address: worker.nthreads for address, worker in workers.items()}
        taking = {worker.address: worker.nthreads for worker in running}
        return threads, taking, gone, full, bool(given or (is_queued and running))

    return view


def forget_deaths() -> Callable[..., None]:
    """Return a function for the scheduler that lets Dask count deaths from 0 again.

    Dask gives up a task that is being computed by four workers as they die, in however long a time.
    The function gets the keys of tasks; what they are computed from is treated likewise.
    """

    def forget(keys: list[str], dask_scheduler: Any) -> None:
        seen: set[Any] = set()
        stack = [dask_scheduler.tasks.get(key) for key in keys]
        while stack:
            task = stack.pop()
            if task is not None and task not in seen:
                seen.add(task)
                stack += task.dependencies
                task.suspicious = 0

    return forget
