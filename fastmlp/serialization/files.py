"""Open files by path or file object, and write them atomically."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from fastmlp.messages import must, shown

if sys.platform != "win32":
    import fcntl

#: Seconds after which an abandoned temporary file is removed where files cannot be locked.
ABANDONED_AFTER = 86400.0


def file_name(path: Any, argument: str = "path") -> str:
    """Return `path` as a str; TypeError or ValueError if it is not a valid file name."""
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(must(argument, "be a str or os.PathLike", shown(path)))
    try:
        possible = b"\0" not in (os.fsencode(name) or b"\0")
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ValueError(must(argument, "be a valid file name", shown(name)))
    return name


@contextlib.contextmanager
def open_for_reading(path: Any) -> Iterator[IO[bytes]]:
    """Open `path`, or use an open binary file; the result is seekable."""
    if isinstance(path, (str, os.PathLike)):
        with open(file_name(path), "rb") as file, open_for_reading(file) as whole:
            yield whole
        return
    try:
        readable = isinstance(path.read(0), bytes)
    except Exception:  # not a file, closed, or not open for reading
        readable = False
    if not readable:
        raise _no_file(path, "reading")
    can_seek = getattr(path, "seekable", None)
    yield path if can_seek is not None and can_seek() else io.BytesIO(path.read())


@contextlib.contextmanager
def open_for_writing(path: Any, name: str = "path") -> Iterator[Any]:
    """Open `path` as `atomic_write` does; an open binary file is written to directly.

    `name` is that of the argument, in messages.
    """
    if isinstance(path, (str, os.PathLike)):
        with atomic_write(path) as file:
            yield file
        return
    try:
        path.write(b"")
    except Exception:  # not a file, closed, or not open for writing bytes
        raise _no_file(path, "writing", name) from None
    yield _Stream(path)


class _Stream(io.RawIOBase):
    """A file that is written sequentially, without seeking.

    Some files, such as devices and those of `gzip`, claim to be seekable but are not.
    """

    def __init__(self, file: Any):
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            n = self._file.write(left)  # an unbuffered file may not write all of it
            if n == 0:
                raise OSError("no more data can be written to the file")
            left = left[len(left) if n is None else n :]
        return size


def _no_file(path: Any, use: str, name: str = "path") -> TypeError:
    requirement = f"be a str, an os.PathLike or a binary file open for {use}"
    return TypeError(must(name, requirement, shown(path)))


# Writing ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a temporary file that replaces `path` at the end, and is removed after an error.

    Pipes and devices cannot be replaced and are written to directly.

    Raises
    ------
    OSError
        If the file or its folder cannot be written to: read-only files are not replaced.
    """
    name = file_name(path)
    target, old = _target(name)
    if target is None:
        with open(name, "wb") as file:
            yield _Stream(file)
        return
    descriptor, temporary = _temporary(target, old)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform != "win32":  # while the lock is held
                os.replace(temporary, target)
        if sys.platform == "win32":  # where an open file cannot be renamed
            os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            error.filename = name
        raise


def check_writable(path: str) -> None:
    """Raise OSError or ValueError if `atomic_write` could not write to `path`."""
    target, old = _target(path)
    if target is not None:
        descriptor, temporary = _temporary(target, old)
        os.close(descriptor)
        temporary.unlink()


def _target(name: str) -> tuple[Path | None, os.stat_result | None]:
    """Return the regular file that `name` leads to and its status, if it exists.

    None if it leads to a pipe, a device, or (through ``/dev/fd``) to an open file that was removed.
    """
    target = Path(os.path.realpath(name))
    try:
        old = os.stat(name)
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    # A file that another process is replacing also has no name for a moment.
    nameless = old.st_nlink == 0 and not os.path.lexists(target)
    return (target if stat.S_ISREG(old.st_mode) and not nameless else None), old


def _temporary(target: Path, old: os.stat_result | None) -> tuple[int, Path]:
    """Create a locked file next to `target`, with its permissions; return descriptor and path.

    Temporary files of killed processes for the same target are removed.
    """
    if old is not None:
        os.close(os.open(target, os.O_WRONLY))  # PermissionError if it is not writable
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    start = f".{hashlib.blake2b(os.fsencode(target.name), digest_size=8).hexdigest()}-"
    while True:
        path = target.with_name(f"{start}{uuid.uuid4().hex[:12]}")
        try:
            descriptor = os.open(path, flags, 0o666 if old is None else 0o600)
        except OSError as error:  # its filename is that of the temporary file
            raise type(error)(error.errno, error.strerror, str(target)) from None
        try:
            # Another process may have found it before it was locked, and removed it.
            if _locked(descriptor) is not False and os.fstat(descriptor).st_nlink > 0:
                if old is not None:
                    _grant(descriptor, path, old)
                _remove_abandoned(target.parent, start, path)
                return descriptor, path
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        os.close(descriptor)


def _grant(descriptor: int, path: Path, old: os.stat_result) -> None:
    """Set the owner, group and mode of a file to those of another one."""
    mode = stat.S_IMODE(old.st_mode)
    if sys.platform == "win32":
        os.chmod(path, mode)
        return
    for owner in ((-1, old.st_gid), (old.st_uid, -1)):
        with contextlib.suppress(OSError):  # allowed for root or members of the group only
            os.fchown(descriptor, *owner)
    if os.fstat(descriptor).st_gid != old.st_gid:
        mode &= ~stat.S_IRWXG  # which was meant for another group
    os.fchmod(descriptor, mode & 0o777)


def _locked(descriptor: int) -> bool | None:
    """Lock a file until it is closed; return whether it was free, None if unknown."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _remove_abandoned(folder: Path, start: str, own: Path) -> None:
    """Remove temporary files of a target that no process is writing."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder) if name.startswith(start) and name != own.name]
        for name in names:
            _remove_if_abandoned(folder / name)


def _remove_if_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError):  # of another user, or already removed
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            free = _locked(descriptor)
            if free is None:
                free = time.time() - os.fstat(descriptor).st_mtime > ABANDONED_AFTER
            if free and sys.platform != "win32":
                path.unlink()
        finally:
            os.close(descriptor)
        if free and sys.platform == "win32":  # where an open file cannot be removed
            path.unlink()
