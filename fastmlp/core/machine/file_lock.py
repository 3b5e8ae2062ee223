"""A lock between processes, which lasts no longer than the process that holds it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fastmlp.core.machine import processor

MOST_SECONDS = 180.0  # of waiting: a process may have been stopped while it holds the lock
POLL_SECONDS = 0.05  # a call that waits by itself could not be interrupted everywhere


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Enter this context when no other process is in it, if the file `path` can be locked.

    It is entered without the lock if the file cannot be created, if its file system has no locks,
    after `MOST_SECONDS` of waiting, or if the process that was waited for left without an error:
    then its work is done, and the file removed.

    The lock belongs to the process: its threads do not exclude each other, and a forked child does
    not have it.
    """
    file = _locked_file(path)
    if file is None:
        yield
        return
    with file:  # closing it releases the lock, as the end of the process does
        yield
        with contextlib.suppress(OSError):  # on Windows, open files cannot be removed: it stays
            path.unlink()


def _locked_file(path: Path) -> IO[bytes] | None:
    last = time.monotonic() + MOST_SECONDS
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        file = stack.enter_context(open(path, "ab", buffering=0))
        while not processor.lock(file.fileno()):
            if time.monotonic() > last:
                return None
            time.sleep(POLL_SECONDS)
        if os.fstat(file.fileno()).st_nlink > 0:
            stack.pop_all()
            return file
    return None
