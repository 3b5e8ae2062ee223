"""What this machine offers: vector lanes, registers, fused multiply-add, threads.

Everything that differs between platforms is decided here, with a fallback.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import mmap
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numba
from numba.core import config
from numba.core.codegen import get_host_cpu_features

from fastmlp.messages import must, shown

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LANES_VARIABLE = "FASTMLP_LANES"
CACHE_LINE = 64  # bytes
LOCKED = errno.EACCES, errno.EAGAIN, errno.EDEADLK  # by another process


def _features() -> frozenset[str]:
    """Return the LLVM names of the processor features that Numba compiles for."""
    listed = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()
    return frozenset(name[1:] for name in listed.split(",") if name.startswith("+"))


def _lanes(widest: int) -> int:
    """Return the float32 lanes of a vector: `widest`, or the value of ``FASTMLP_LANES``."""
    forced = os.environ.get(LANES_VARIABLE, "").strip()
    if not forced:
        return widest
    if forced not in ("4", "8", "16"):
        raise ValueError(must(LANES_VARIABLE, "be 4, 8 or 16", shown(forced)))
    return int(forced)


def _control_groups() -> Iterator[Path]:
    """Yield the folders of this process's control groups and of their ancestors (Linux)."""
    root = Path("/sys/fs/cgroup")
    yield from (root, root / "cpu")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" or "cpu" in controllers.split(","):
            base = root / "cpu" if controllers else root
            folder = base / path.strip("/")
            yield from (above for above in (folder, *folder.parents) if base in above.parents)


@functools.cache
def _quota() -> float:
    """Return the number of processors that the control groups grant, infinity without a limit.

    Read once per process: reading the files takes as long as a small fit.
    """
    granted = float("inf")
    for folder in _control_groups():
        try:
            quota, period = (folder / "cpu.max").read_text().split()[:2]
        except (OSError, ValueError):
            try:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            except OSError:
                continue
        try:
            processors = int(quota) / int(period)
        except (ValueError, ZeroDivisionError):  # "max"
            continue
        if processors > 0:
            granted = min(granted, processors)
    return granted


def _openmp_threads() -> float:
    """Return the first number of ``OMP_NUM_THREADS`` ("4", "4,2"), infinity if there is none."""
    try:
        threads = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0])
    except ValueError:
        return float("inf")
    return threads if threads > 0 else float("inf")


def _numba_threads() -> float:
    """Return the limit set by ``numba.set_num_threads``, without starting Numba's threads."""
    try:
        numba.threading_layer()
    except ValueError:  # not started; set_num_threads would have started them
        return float("inf")
    return numba.get_num_threads()


@functools.cache
def _libraries(controller: Callable[[], Any]) -> tuple[Any, ...]:
    """Return the loaded thread pools of BLAS and OpenMP; the search takes milliseconds."""
    return tuple(controller().lib_controllers)


def _library_threads() -> float:
    """Return the limit that ``threadpool_limits`` has set for all libraries, or infinity.

    A limit from a library's own environment variable, such as ``OPENBLAS_NUM_THREADS``, does not
    apply to others and is ignored.
    """
    controller = getattr(sys.modules.get("threadpoolctl"), "ThreadpoolController", None)
    if controller is None:
        return float("inf")
    numbers = [
        number
        for library in _libraries(controller)
        if (number := library.get_num_threads()) is not None
        and os.environ.get(f"{library.internal_api.upper()}_NUM_THREADS") != str(number)
    ]
    return max(numbers, default=float("inf"))


def usable_threads() -> int:
    """Return how many threads this process may run concurrently.

    The minimum of the number of processors it is bound to, its control group's quota,
    ``NUMBA_NUM_THREADS``, ``OMP_NUM_THREADS``, and the limits set by ``numba.set_num_threads`` and
    ``threadpoolctl.threadpool_limits``; at least 1.
    """
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        processors = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    limits = (config.NUMBA_NUM_THREADS, _openmp_threads(), _numba_threads(), _library_threads())
    return max(1, int(min(processors, _quota(), *limits)))


def _current() -> Callable[[], int] | None:
    """Return the C library's ``sched_getcpu``, or None if it has none."""
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):
        return None


def here() -> int:
    """Return the number of the processor that the calling thread runs on, -1 if unknown."""
    return CURRENT() if CURRENT is not None else -1


def allowed() -> set[int]:
    """Return the processors that the calling thread may run on; empty if it cannot be bound."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()


def deadline(seconds: float) -> int:
    """Return the time in some seconds by the clock that kernels read, 0 if there is none."""
    return time.clock_gettime_ns(CLOCK_ID) + int(seconds * 1e9) if CLOCK else 0


def place(allowed: set[int], home: int, worker: int) -> None:
    """Move the calling thread to the allowed processor that is `worker` places after `home`.

    The lowest follows the highest, so that processes with different homes do not all put their
    second worker on the lowest. Some systems start a thread on a busy processor, and take long to
    notice that another is idle. The thread is not bound: the system may move it later, because the
    processor may belong to another process. Does nothing if a thread cannot be bound or `home` is
    unknown.
    """
    if home in allowed:
        places = sorted(allowed)
        place = (places.index(home) + worker) % len(places)
        with contextlib.suppress(OSError):  # not permitted
            os.sched_setaffinity(0, {places[place]})
            os.sched_setaffinity(0, allowed)


def memory_file(size: int) -> tuple[IO[bytes], mmap.mmap] | None:
    """Return a new file of `size` zeros and a memory map of it, or None if that fails.

    The file is in memory if the system supports that. Writing to it does not block, as
    `signal.set_wakeup_fd` requires.
    """
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            file: IO[bytes] = open(os.memfd_create("fastmlp"), "r+b", buffering=0)
        else:
            file = tempfile.TemporaryFile(buffering=0)
        stack.enter_context(file)
        file.truncate(size)
        if sys.platform != "win32":  # where only sockets need it
            os.set_blocking(file.fileno(), False)
        memory = mmap.mmap(file.fileno(), size)
        stack.pop_all()
        return file, memory
    return None


def lock(descriptor: int) -> bool:
    """Lock an open file for this process, unless another has; return whether it is locked.

    The lock lasts until the process closes the file, or ends. A forked child does not have it.

    Raises
    ------
    OSError
        If the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in LOCKED:
            return False
        raise
    return True


CURRENT = _current()
FEATURES = _features()
X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
ARM64 = platform.machine().lower() in ("arm64", "aarch64")
FUSED = "fma" in FEATURES if X86 else ARM64
REGISTERS = 32 if ARM64 or "avx512f" in FEATURES else 16
LANES = _lanes(16 if "avx512f" in FEATURES else 8 if "avx2" in FEATURES else 4)

# Packs the selected lanes of a vector; a suffix such as ".v16i32" completes the name.
COMPRESS = "llvm.x86.avx512.mask.compress" if X86 and "avx512vl" in FEATURES else None

# The hint that a loop spins, and the call that yields the processor to another thread.
PAUSE = "llvm.x86.sse2.pause" if X86 else None
YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

# The clock by which waiting workers notice that a run is late: C's name for it, and its number.
CLOCK_ID = getattr(time, "CLOCK_MONOTONIC", -1)
CLOCK = "clock_gettime" if CLOCK_ID >= 0 and sys.maxsize > 2**32 else None
