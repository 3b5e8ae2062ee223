"""Run the workers of a call: one in the calling thread, the others in new threads."""

from __future__ import annotations

from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable

import numpy as np

from fastmlp.core.machine import processor
from fastmlp.core.machine.barrier import ABANDONED, BEGUN, Worker

POLL_SECONDS = 0.05  # on some systems, waiting for a thread cannot be interrupted


class NoThread(Exception):
    """A thread could not be started; those that were started have ended."""


def run_concurrently(
    n_workers: int, task: Callable[[int], float], team: np.ndarray | None = None
) -> list[float]:
    """Return ``[task(0), task(1), ...]``, run concurrently, with task(0) in the calling thread.

    The other workers of a team wait for worker 0. If it cannot start, because of an interrupt or
    because a thread could not be started, the team is abandoned.

    This uses low-level threads and locks, whose calls cannot be interrupted halfway by a signal.
    Ctrl-C in the Python code of `threading.Event` would leave its lock held, so that the next wait
    would never end, and Ctrl-C in the weak reference callback that runs when a `threading.Thread`
    is freed would be lost.

    Raises
    ------
    NoThread
        If a thread cannot be started. No worker of a team has started; without a team, some may
        have finished.
    """
    if n_workers == 1:
        return [task(0)]
    results, errors = [0.0] * n_workers, []
    running: list[int] = []  # identifiers of threads
    ended: set[int] = set()  # numbers of workers
    locks = [allocate_lock() for _ in range(n_workers)]  # held until the worker has ended
    home, allowed = processor.here(), processor.allowed()

    def work(worker: int) -> None:
        try:
            processor.place(allowed, home, worker)
            results[worker] = task(worker)
        except BaseException as error:
            errors.append(error)
        finally:
            ended.add(worker)
            locks[worker].release()

    def finish() -> None:
        if team is not None and team[BEGUN] == 0:
            team[BEGUN] = ABANDONED
        wait_for(ended, locks[1 : len(running) + 1])

    for lock in locks:
        lock.acquire()
    try:
        try:
            for worker in range(1, n_workers):
                try:
                    # A single expression of C code, so that every thread that runs is waited for.
                    running.extend(map(start_new_thread, [work], [(worker,)]))
                except RuntimeError as error:  # "can't start new thread"
                    raise NoThread from error
            results[0] = task(0)
        finally:
            finish()
    finally:
        finish()  # in case an interrupt came before the first
    if errors:
        raise errors[0]
    return results


def wait_for(ended: set[int], locks: list[LockType]) -> None:
    """Wait until workers 1, 2, ... are in `ended`, and only then raise an interrupt.

    A worker releases its lock after that; acquiring it only serves to wake up in time.
    """
    interrupt = None
    for worker, lock in enumerate(locks, 1):
        while worker not in ended:
            try:
                lock.acquire(timeout=POLL_SECONDS)
            except BaseException as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt


def run_team(n_workers: int, task: Callable[[Worker], float], team: np.ndarray) -> float:
    """Run the task of each worker of a team; return worker 0's result.

    If the threads of the others cannot be started, worker 0 does all of the work.
    """
    if n_workers == 1:
        return task(Worker(0, 1, team))
    try:
        return run_concurrently(n_workers, lambda w: task(Worker(w, n_workers, team)), team)[0]
    except NoThread:
        team[BEGUN] = 0
        return task(Worker(0, 1, team))


def run_independently(
    n_workers: int, task: Callable[[int, np.ndarray], float], team: np.ndarray
) -> list[float]:
    """Return ``[task(0, team), task(1, team), ...]``, for workers without a barrier.

    They run concurrently, or one after the other if threads cannot be started.
    """
    try:
        return run_concurrently(n_workers, lambda worker: task(worker, team))
    except NoThread:
        return [task(worker, team) for worker in range(n_workers)]
