"""The workers of a call: one here, the others in threads."""

from __future__ import annotations

from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable

import numpy as np

from fastmlp.core.machine import processor
from fastmlp.core.machine.barrier import ABANDONED, BEGUN

LOOK_UP_SECONDS = 0.05  # a longer wait for a thread cannot be interrupted on every system


class NoThread(Exception):
    """A thread could not be started; those that were have ended."""


def together(
    n_workers: int, task: Callable[[int], float], team: np.ndarray | None = None
) -> list[float]:
    """Return ``[task(0), task(1), ...]``, called at once: the first here, the others in threads.

    Workers of a team wait for the one that is called here. Where it will not be, because a
    thread could not start or an interrupt came first, the team is abandoned.

    These are bare threads and locks, whose calls a signal cannot interrupt halfway. Ctrl-C inside
    the Python code of `threading.Event` leaves its lock held, and the next wait never ends; in the
    weak reference callback that runs when a `threading.Thread` is freed it is lost.

    Raises
    ------
    NoThread
        Where a thread cannot be started. No worker of a team has begun; others may have finished.
    """
    if n_workers == 1:
        return [task(0)]
    results, errors = [0.0] * n_workers, []
    running: list[int] = []  # the threads' identifiers
    ended: set[int] = set()  # the workers that have
    locks = [allocate_lock() for _ in range(n_workers)]  # held until then
    home, allowed = processor.here(), processor.allowed()

    def work(worker: int) -> None:
        try:
            processor.bind(allowed, home, worker)
            results[worker] = task(worker)
        except BaseException as error:
            errors.append(error)
        finally:
            ended.add(worker)
            locks[worker].release()

    def settle() -> None:
        if running:
            processor.unbind(allowed)
        if team is not None and team[BEGUN] == 0:
            team[BEGUN] = ABANDONED
        wait_for(ended, locks[1 : len(running) + 1])

    for lock in locks:
        lock.acquire()
    try:
        try:
            for worker in range(1, n_workers):
                try:
                    # In one expression of C code: no thread runs that nobody waits for.
                    running.extend(map(start_new_thread, [work], [(worker,)]))
                except RuntimeError as error:  # "can't start new thread"
                    raise NoThread from error
            if running:
                processor.bind(allowed, home, 0)
            results[0] = task(0)
        finally:
            settle()
    finally:
        settle()  # should an interrupt have come on the way into the first
    if errors:
        raise errors[0]
    return results


def wait_for(ended: set[int], locks: list[LockType]) -> None:
    """Wait until workers 1, 2, ... are in `ended`, and only then let an interrupt through.

    Each releases its lock after that, and what it is acquired for is to wake up in time.
    """
    interrupt = None
    for worker, lock in enumerate(locks, 1):
        while worker not in ended:
            try:
                lock.acquire(timeout=LOOK_UP_SECONDS)
            except BaseException as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt


def as_a_team(
    n_workers: int, task: Callable[[int, int, np.ndarray], float], team: np.ndarray
) -> float:
    """Return what worker 0 of the team does: ``task(0, n_workers, team)``.

    Where the others' threads cannot be started, it is the only worker.
    """
    if n_workers == 1:
        return task(0, 1, team)
    try:
        return together(n_workers, lambda worker: task(worker, n_workers, team), team)[0]
    except NoThread:
        team[BEGUN] = 0
        return task(0, 1, team)


def shared_out(
    n_workers: int, task: Callable[[int, np.ndarray], float], team: np.ndarray
) -> list[float]:
    """Return ``[task(0, team), task(1, team), ...]``, of workers who do not meet.

    At once, or one by one where their threads cannot be started.
    """
    try:
        return together(n_workers, lambda worker: task(worker, team))
    except NoThread:
        return [task(worker, team) for worker in range(n_workers)]
