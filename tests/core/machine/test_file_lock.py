"""The lock between processes: waiting for it, and where there is none."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from fastmlp.core.machine import file_lock

HOLD = """
import os, sys, time
from pathlib import Path
from fastmlp.core.machine import file_lock
path, sleep = Path(sys.argv[1]), time.sleep
def first(seconds):
    file_lock.time.sleep = sleep
    print("waits", flush=True)
file_lock.time.sleep = first
with file_lock.locked(path):
    print("inside", int(path.exists()), flush=True)
"""
FOREVER = HOLD + "    sleep(600)\n"
UNTIL_TOLD = HOLD + "    sys.stdin.readline()\n"
AND_FORK = (
    HOLD
    + """
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    sleep(600)
"""
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.lock"


@pytest.fixture
def start(path):
    """Return a function that starts a process which enters the lock, or waits for it."""
    started = []

    def start(code, says="inside 1"):
        process = subprocess.Popen(
            [sys.executable, "-c", code, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        line = process.stdout.readline().strip()
        assert line == says, line or process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def waits_to_enter(path, monkeypatch):
    """Enter the lock; return how often it was found taken before."""
    waits, sleep = [], time.sleep
    with monkeypatch.context() as watched:
        watched.setattr(file_lock.time, "sleep", lambda s: waits.append(s) or sleep(s))
        with file_lock.locked(path):
            return len(waits)


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_when_the_work_is_done_all_enter(path, start):
    """Whoever could not save it, on a full disk, does not let the others do it in turn."""
    with file_lock.locked(path):
        waiting = [start(UNTIL_TOLD, "waits") for _ in range(3)]
    assert [process.stdout.readline() for process in waiting] == ["inside 0\n"] * 3
    assert not path.exists()


def test_after_an_error_the_next_has_the_lock(path, start):
    with pytest.raises(ValueError, match="mine"), file_lock.locked(path):
        waiting = start(HOLD, "waits")
        raise ValueError("mine")
    assert waiting.communicate(timeout=100)[0] == "inside 1\n"


def test_a_killed_process_holds_no_lock(path, start):
    holder = start(FOREVER)
    waiting = start(HOLD, "waits")
    holder.kill()
    assert waiting.communicate(timeout=100)[0] == "inside 1\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_does_not_inherit_the_lock(path, start, monkeypatch):
    monkeypatch.setattr(file_lock, "MOST_SECONDS", 1e9)
    holder = start(AND_FORK)
    child = int(holder.stdout.readline())
    try:
        holder.kill()
        with file_lock.locked(path):
            assert path.exists()
    finally:
        os.kill(child, signal.SIGKILL)


@posix
def test_ctrl_c_ends_the_waiting(path, start):
    with file_lock.locked(path):
        waiting = start(HOLD, "waits")
        waiting.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in waiting.communicate(timeout=100)[1]


def test_nobody_waits_forever(path, start, monkeypatch):
    start(FOREVER)
    monkeypatch.setattr(file_lock, "MOST_SECONDS", 0.3)
    began = time.monotonic()
    assert waits_to_enter(path, monkeypatch) > 0 and time.monotonic() - began > 0.3
    assert path.exists()  # it is the other's


def test_no_lock_where_its_file_cannot_be_created(path, monkeypatch):
    assert waits_to_enter(path / "nowhere", monkeypatch) == 0
    path.mkdir()
    assert waits_to_enter(path, monkeypatch) == 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_no_lock_where_the_file_system_has_none(number, path, monkeypatch):
    def lock(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_lock.processor, "lock", lock)
    assert waits_to_enter(path, monkeypatch) == 0
