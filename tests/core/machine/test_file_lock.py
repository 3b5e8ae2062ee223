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
path = Path(sys.argv[1])
print("begun", flush=True)
with file_lock.locked(path):
    print("inside", int(path.exists()), flush=True)
"""
FOREVER = HOLD + "    time.sleep(600)\n"
AND_FORK = (
    HOLD
    + """
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(600)
"""
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.lock"


@pytest.fixture
def start(path):
    """Return a function that starts a process and reads until it is in the lock, or before it."""
    started = []

    def start(code, until="inside 1"):
        process = subprocess.Popen(
            [sys.executable, "-c", code, path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        while (line := process.stdout.readline()).strip() != until:
            assert line, process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def seconds_to_enter(path):
    began = time.monotonic()
    with file_lock.locked(path):
        return time.monotonic() - began


def enters_soon(path):
    """Return whether the lock is entered before waiting for it would have been given up."""
    return seconds_to_enter(path) < file_lock.MOST_SECONDS / 2


def stays_outside(process):
    time.sleep(0.3)
    return process.poll() is None


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_when_the_work_is_done_all_enter(path, start):
    """Whoever could not save it, on a full disk, does not let the others do it in turn."""
    with file_lock.locked(path):
        waiting = [start(FOREVER, "begun") for _ in range(3)]
        assert all(map(stays_outside, waiting))
    began = time.monotonic()
    assert [process.stdout.readline() for process in waiting] == ["inside 0\n"] * 3
    assert time.monotonic() - began < file_lock.MOST_SECONDS / 2
    assert not path.exists()


def test_after_an_error_the_next_has_the_lock(path, start):
    with pytest.raises(ValueError, match="mine"), file_lock.locked(path):
        waiting = start(HOLD, "begun")
        assert stays_outside(waiting)
        raise ValueError("mine")
    assert waiting.communicate(timeout=file_lock.MOST_SECONDS / 2)[0] == "inside 1\n"


def test_a_killed_process_holds_no_lock(path, start):
    holder = start(FOREVER)
    waiting = start(HOLD, "begun")
    assert stays_outside(waiting)
    holder.kill()
    assert waiting.communicate(timeout=file_lock.MOST_SECONDS / 2)[0] == "inside 1\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_does_not_inherit_the_lock(path, start):
    holder = start(AND_FORK)
    child = int(holder.stdout.readline())
    try:
        holder.kill()
        assert enters_soon(path)
    finally:
        os.kill(child, signal.SIGKILL)


@posix
def test_ctrl_c_ends_the_waiting(path, start):
    with file_lock.locked(path):
        waiting = start(HOLD, "begun")
        assert stays_outside(waiting)
        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate(timeout=file_lock.MOST_SECONDS / 2)
        assert "KeyboardInterrupt" in errors


def test_nobody_waits_forever(path, start, monkeypatch):
    start(FOREVER)
    monkeypatch.setattr(file_lock, "MOST_SECONDS", 0.3)
    assert seconds_to_enter(path) > 0.3
    assert path.exists()  # it is the other's


def test_no_lock_where_its_file_cannot_be_created(path):
    assert enters_soon(path / "nowhere")
    path.mkdir()
    assert enters_soon(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_no_lock_where_the_file_system_has_none(number, path, monkeypatch):
    def lock(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_lock.processor, "lock", lock)
    assert enters_soon(path)
