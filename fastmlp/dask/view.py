"""Functions for the scheduler, which knows more of tasks and workers than it tells.

They go there as code, because they are not names in a module. The scheduler logs each call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def full_workers() -> Callable[..., set[str]]:
    """Return a function that finds paused workers which hold up tasks, as they compute nothing.

    It gets the keys of the tasks that are waited for. A paused worker finishes what it computes; it
    begins no other task, and neither do those that wait for it begin elsewhere.
    """

    def full(keys: list[str], dask_scheduler: Any) -> set[str]:
        workers, found = dask_scheduler.workers, set()
        seen: set[Any] = set()
        stack = [dask_scheduler.tasks.get(key) for key in keys]
        while stack:
            task = stack.pop()
            if task is None or task in seen or task.state in ("memory", "erred"):
                continue
            seen.add(task)
            stack += task.dependencies
            if task.state == "processing":
                found.add(task.processing_on)
            elif task.state == "no-worker":
                needed = task.worker_restrictions or ()
                found.update(workers[address] for address in needed if address in workers)
        return {
            worker.address
            for worker in found
            if worker.status.name == "paused"
            and not worker.metrics.get("task_counts", {}).get("executing")
        }

    return full


def forget_deaths() -> Callable[..., None]:
    """Return a function that lets Dask count deaths from 0 again.

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
