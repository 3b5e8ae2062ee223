"""Several calls of fit at once: how many threads each may use, and when all must stop."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar


class Share:
    """The threads that several fits of one call share equally, as long as they run.

    Parameters
    ----------
    n_threads : int
        Of all fits together; at least 1.
    n_fits : int
        How many will run.
    """

    def __init__(self, n_threads: int, n_fits: int):
        self.n_threads, self._n_left = n_threads, n_fits
        self._is_stopped, self._lock = False, threading.Lock()

    @property
    def of_each(self) -> int:
        """The number of threads of each fit; more when fewer are left than threads."""
        return max(1, self.n_threads // max(1, self._n_left))

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Run a fit in this context with its share, unless all were stopped."""
        if self._is_stopped:
            raise KeyboardInterrupt
        token = _share.set(self)
        try:
            yield
        finally:
            _share.reset(token)
            with self._lock:
                self._n_left -= 1

    def stop(self) -> None:
        """Let every fit end after its present run, with a KeyboardInterrupt."""
        self._is_stopped = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if all fits are to stop."""
        if self._is_stopped:
            raise KeyboardInterrupt


_share: ContextVar[Share | None] = ContextVar("share", default=None)
#: The fits that run in this process, in any thread, by their id. Adding and discarding are atomic.
running: set[int] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=running.clear)  # its other threads are not there


def threads_of_this() -> int:
    """Return how many threads a fit in this context may use: any number, if it shares none."""
    share = _share.get()
    return sys.maxsize if share is None else share.of_each


def raise_if_stopped() -> None:
    """Raise KeyboardInterrupt if the fit in this context is to stop."""
    share = _share.get()
    if share is not None:
        share.check()
