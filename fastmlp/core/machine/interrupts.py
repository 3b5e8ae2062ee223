"""Signals that stop a kernel, while Python cannot run their handlers."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from fastmlp.core.machine import processor
from fastmlp.core.machine.barrier import STOPPED, new_team

T = TypeVar("T")
AT = STOPPED * 8  # bytes


class Halted(Exception):
    """A signal stopped the team, and its handler raised nothing."""


def stopped_by_signals(call: Callable[[np.ndarray], T]) -> T:
    """Return ``call(team)``, with a new team that any signal with a handler in Python stops.

    Ctrl-C is such a signal. Python runs its handler when the kernels have returned, but on its
    arrival it writes the signal's number to a file that may be chosen, see `signal.set_wakeup_fd`:
    here to one that shares its memory with the team, where the number is ``team[STOPPED]``. So no
    thread has to wait for signals. In threads other than the main one, where Python handles no
    signals, and where the system has no such file, the team is an ordinary one.

    Raises
    ------
    Halted
        Where the handler raised nothing. What the call has changed is of no use.
    Exception
        Of the handler or the call. Likewise.
    """
    shared = processor.memory_file(mmap.PAGESIZE)
    if shared is None:
        return call(new_team())
    file, memory = shared
    with file:
        descriptor = file.fileno()
        os.lseek(descriptor, AT, os.SEEK_SET)
        team = np.frombuffer(memory, np.int64)
        former: list[int] = []
        try:
            try:
                with contextlib.suppress(ValueError):  # this is not the main thread
                    # In one expression of C code, which no handler can interrupt.
                    former.extend(map(signal.set_wakeup_fd, [descriptor]))
                result = call(team)
            finally:
                _put_back(former, descriptor, team)
        finally:
            _put_back(former, descriptor, team)  # should an interrupt have ended the first
    if team[STOPPED] != 0:
        raise Halted
    return result


def _put_back(former: list[int], descriptor: int, team: np.ndarray) -> None:
    """Let signals be written where they were before, and pass on those that have come."""
    while former:
        try:
            signal.set_wakeup_fd(former[-1])
        except (OSError, ValueError):  # it has been closed
            signal.set_wakeup_fd(-1)
        before = former.pop()
        arrived = bytes(team.view(np.uint8)[AT : os.lseek(descriptor, 0, os.SEEK_CUR)])
        if before != -1 and arrived:
            with contextlib.suppress(OSError):
                os.write(before, arrived)
