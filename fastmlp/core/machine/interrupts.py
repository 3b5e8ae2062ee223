"""Signals that stop a running kernel, while Python cannot run their handlers."""

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
    """A signal stopped the team, and its handler returned normally."""


def stopped_by_signals(call: Callable[[np.ndarray], T]) -> T:
    """Return ``call(team)`` with a new team that any signal with a Python handler stops.

    Ctrl-C is such a signal. Python runs the handler after the kernels have returned. But when the
    signal arrives, Python writes its number to the file set by `signal.set_wakeup_fd`, and this
    file is mapped to the memory of the team: the number becomes ``team[STOPPED]``. So no extra
    thread waits for signals. Signals do not stop the team in threads other than the main one, where
    Python handles no signals, or on systems without such files.

    Raises
    ------
    Halted
        If the handler raised nothing. What the call has changed is undefined.
    Exception
        From the handler or the call. What the call has changed is undefined.
    """
    shared = processor.memory_file(mmap.PAGESIZE)
    if shared is None:
        return call(new_team())
    file, memory = shared
    with file:
        descriptor = file.fileno()
        os.lseek(descriptor, AT, os.SEEK_SET)
        team = np.frombuffer(memory, np.int64)
        previous: list[int] = []
        try:
            try:
                with contextlib.suppress(ValueError):  # this is not the main thread
                    # A single expression of C code, which no handler can interrupt.
                    previous.extend(map(signal.set_wakeup_fd, [descriptor]))
                result = call(team)
            finally:
                _restore_wakeup(previous, descriptor, team)
        finally:
            _restore_wakeup(previous, descriptor, team)  # in case an interrupt ended the first
    if team[STOPPED] != 0:
        raise Halted
    return result


def _restore_wakeup(previous: list[int], descriptor: int, team: np.ndarray) -> None:
    """Restore the previous file for signals, and pass on those that have arrived."""
    while previous:
        try:
            signal.set_wakeup_fd(previous[-1])
        except (OSError, ValueError):  # it was closed
            signal.set_wakeup_fd(-1)
        before = previous.pop()
        arrived = bytes(team.view(np.uint8)[AT : os.lseek(descriptor, 0, os.SEEK_CUR)])
        if before != -1 and arrived:
            with contextlib.suppress(OSError):
                os.write(before, arrived)
