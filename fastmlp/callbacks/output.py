"""What people see while they wait: progress bars, and a line about compilation."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from fastmlp.core.machine.kernel import observe_compilation

COMPILING = "fastmlp: compiling for this kind of network (some seconds, once on this machine)"
DELAY = 1.0  # seconds until it is shown


@functools.cache
def bar_class() -> Any:
    """Return a tqdm class without a monitor thread and with its own lock.

    tqdm's lock is shared by forked processes: if one were killed while drawing, the others would
    wait forever.
    """
    from tqdm import tqdm  # imported here: most programs show no progress bar

    return type("Bar", (tqdm,), {"_lock": threading.RLock(), "monitor_interval": 0})


def write_line(text: str, stream: Any) -> None:
    """Write a line above the progress bar, if there is one."""
    bar_class().write(text, file=stream)


# The line about compilation -------------------------------------------------------------------

_stream: ContextVar[Any] = ContextVar("stream", default=None)
_shown = threading.Event()  # at most once per process


@contextlib.contextmanager
def shown_on(stream: Any) -> Iterator[None]:
    """Show compilations of this context on a stream, because a person may be waiting."""
    before = _stream.get()
    _stream.set(stream)
    try:
        yield
    finally:
        _stream.set(before)


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    """Show what is compiled in this context, if it takes long and a person may be waiting."""
    stream = _stream.get()
    if stream is None and _is_notebook():
        stream = sys.stderr
    if stream is None or _shown.is_set():
        yield
        return
    timer = threading.Timer(DELAY, _show, [stream])
    timer.daemon = True  # an exit of the process does not wait for it
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a line that has begun is complete


def _show(stream: Any) -> None:
    if not _shown.is_set():
        _shown.set()
        with contextlib.suppress(OSError, ValueError):  # the stream has been closed
            write_line(COMPILING, stream)


def _is_notebook() -> bool:
    """Whether this process is the kernel of a Jupyter notebook."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and hasattr(get_ipython(), "kernel")


observe_compilation(_compiling)
