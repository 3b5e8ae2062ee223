"""Several fits at once: how many threads each may use, and when all must stop."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Hashable, Iterator
from contextvars import ContextVar


class Share:
    """Threads that several fits share equally, as long as they run.

    Parameters
    ----------
    n_threads : int
        Of all fits together; at least 1.
    n_fits : int, default 0
        How many will run, as far as that is known: they count before they begin.
    """

    def __init__(self, n_threads: int, n_fits: int = 0):
        self.n_threads, self._n_fits = n_threads, n_fits
        self._is_stopped, self._lock = False, threading.Lock()

    def of_each(self, usable: int) -> int:
        """Return how many of the usable threads each fit has: the more, the fewer fits run."""
        return max(1, min(self.n_threads, usable) // max(1, self._n_fits))

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Run one more fit in this context than was known."""
        with self._lock:
            self._n_fits += 1
        with self.taken():
            yield

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Run one of the known fits in this context, unless all were stopped."""
        self.check()
        token = _shares.set((*_shares.get(), self))
        try:
            yield
        finally:
            _shares.reset(token)
            with self._lock:
                self._n_fits -= 1

    def stop(self) -> None:
        """Let every fit end after its present run, with a KeyboardInterrupt."""
        self._is_stopped = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if all fits are to stop."""
        if self._is_stopped:
            raise KeyboardInterrupt


#: Those of the fit in this context: a call of `fit_many` may be a task, or within another call.
_shares: ContextVar[tuple[Share, ...]] = ContextVar("shares", default=())
_groups: dict[Hashable, Share] = {}  # of `limited_to`
#: The fits that run in this process, in any thread, by their id. Adding and discarding are atomic.
running: set[int] = set()
if hasattr(os, "register_at_fork"):  # other threads, with their fits, are not in the child
    os.register_at_fork(after_in_child=running.clear)
    os.register_at_fork(after_in_child=_groups.clear)


def limited_to(n_threads: int, group: Hashable = None) -> contextlib.AbstractContextManager[None]:
    """Return a context for a fit, or a prediction, that shares n_threads with others.

    These are all that are in such a context at the same time, with the same number and group, in
    any thread of this process: the tasks of a Dask worker, which begin and end independently. All
    together use at most n_threads, and no more than the process may.
    """
    return _groups.setdefault((n_threads, group), Share(n_threads)).joined()


def threads_of_this(usable: int = sys.maxsize) -> int:
    """Return how many of the usable threads a fit in this context may use; at least 1.

    All fits that run in this process share them, so that a search in threads does not start more
    than there are processors, and so do the fits of each share that this one is part of.
    """
    of_each = [usable // max(1, len(running)), *(each.of_each(usable) for each in _shares.get())]
    return max(1, min(of_each))


def raise_if_stopped() -> None:
    """Raise KeyboardInterrupt if the fit in this context is to stop."""
    for share in _shares.get():
        share.check()
