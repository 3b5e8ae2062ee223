"""Files are written whole or not at all, with the permissions of those they replace."""

import io
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, NeuralNet
from fastmlp.callbacks import CSVLogger, ModelCheckpoint
from fastmlp.serialization import files
from fastmlp.serialization.files import atomic_write
from helpers.same_bits import bits_of

posix = pytest.mark.skipif(os.name == "nt", reason="modes, pipes and locks are POSIX's")


@pytest.fixture
def net():
    return NeuralNet([3, 2], random_state=0)


@pytest.fixture
def not_root():
    """Become a user to whom permissions apply."""
    if os.name == "nt":
        pytest.skip("permissions are POSIX's")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def folder(tmp_path, not_root):
    """Return a folder owned by that user."""
    if os.getuid() == 0:
        os.seteuid(0)
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    else:
        folder = tmp_path
    yield folder
    os.chmod(folder, 0o700)
    for path in folder.iterdir():
        path.unlink()


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# Permissions--------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("old", [0o600, 0o644, 0o640, 0o666, 0o755])
def test_the_target_s_mode_from_the_first_byte_on(old, tmp_path):
    path = tmp_path / "net"
    path.touch()
    os.chmod(path, old)
    before = os.umask(0o077)
    try:
        with atomic_write(path) as file:
            modes = [mode(each) for each in tmp_path.iterdir()]
            file.write(b"new")
    finally:
        os.umask(before)
    assert modes == [old, old] and mode(path) == old and path.read_bytes() == b"new"


@posix
@pytest.mark.parametrize("mask, expected", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_is_as_the_umask_says(mask, expected, tmp_path):
    before = os.umask(mask)
    try:
        write(tmp_path / "net")
    finally:
        os.umask(before)
    assert mode(tmp_path / "net") == expected


@posix
def test_no_moment_at_which_others_can_read(tmp_path, monkeypatch):
    # The mode at creation, before it is changed.
    path, modes = tmp_path / "net", []
    path.touch(0o600)
    os_open = os.open

    def opened(name, flags, mode=0o777, **options):
        descriptor = os_open(name, flags, mode, **options)
        if flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    write(path)
    assert modes == [0o600]


@posix
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_the_target_s_owner_is_kept(tmp_path):
    path = tmp_path / "net"
    path.touch(0o640)
    os.chown(path, 1234, 2345)
    write(path)
    found = os.stat(path)
    assert (found.st_uid, found.st_gid, mode(path)) == (1234, 2345, 0o640)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_what_a_group_may_do_is_not_given_to_another(folder):
    path = folder / "net"
    os.seteuid(0)
    path.touch()
    os.chown(path, 65534, 2345)
    os.chmod(path, 0o664)
    os.seteuid(65534)
    write(path)
    assert os.stat(path).st_gid != 2345 and mode(path) == 0o604


def test_a_file_that_is_read_only_is_not_replaced(folder, net):
    path = folder / "net"
    path.write_bytes(b"old")
    os.chmod(path, 0o444)
    with pytest.raises(PermissionError, match="net"):
        net.save(path)
    assert path.read_bytes() == b"old" and os.listdir(folder) == ["net"]


def test_nothing_is_replaced_in_a_folder_that_is_read_only(folder, net):
    # It could be written in place, but then not whole or not at all.
    path = folder / "net"
    path.write_bytes(b"old")
    os.chmod(folder, 0o555)
    for name in ("net", "new"):
        with pytest.raises(PermissionError):
            net.save(folder / name)
    assert path.read_bytes() == b"old" and os.listdir(folder) == ["net"]


@pytest.mark.parametrize("kind", [ModelCheckpoint, CSVLogger])
def test_a_training_looks_beforehand(kind, folder):
    for path, of, bits in ((folder / "file", "file", 0o444), (folder / "new", "folder", 0o555)):
        if of == "file":
            path.touch()
        os.chmod(path if of == "file" else folder, bits)
        mlp = MLP([1, 2], random_state=0)
        before = bits_of(mlp)
        with pytest.raises(PermissionError):
            mlp.fit([[0.0]], [0], epochs=1, callbacks=[kind(path)])
        assert bits_of(mlp) == before and os.listdir(folder) == ["file"]


def test_looking_beforehand_leaves_no_trace(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        files.check_writable(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_bytes() == b"old"


# Special files -----------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_is_written_into(link, tmp_path, net):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    net.save(path)
    reader.join(10)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode) and len(os.listdir(tmp_path)) == 1 + link
    assert np.array_equal(fastmlp.load(io.BytesIO(read[0])).weights[0], net.weights[0])


@posix
def test_a_pipe_is_read_from(tmp_path, net):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    net.save(tmp_path / "net")
    content = (tmp_path / "net").read_bytes()
    writer = threading.Thread(target=lambda: pipe.write_bytes(content))
    writer.start()
    loaded = fastmlp.load(pipe)
    writer.join(10)
    assert np.array_equal(loaded.weights[0], net.weights[0])


@posix
def test_a_device_stays_a_device(net):
    net.save("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(
        ValueError, match="^`path` must be a network saved by fastmlp, got /dev/null"
    ):
        fastmlp.load("/dev/null")


@posix
@pytest.mark.parametrize("where", ["pipe", "file"])
def test_the_standard_output(where, tmp_path, net):
    code = "from fastmlp import NeuralNet; NeuralNet([3, 2], random_state=0).save('/dev/stdout')"
    command = [sys.executable, "-c", code]
    if where == "pipe":
        content = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    else:
        with open(tmp_path / "net", "wb") as file:
            subprocess.run(command, check=True, stdout=file)
        content = (tmp_path / "net").read_bytes()
    assert np.array_equal(fastmlp.load(io.BytesIO(content)).weights[0], net.weights[0])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux's way to an open file")
def test_an_open_file_that_was_removed(tmp_path, net):
    with open(tmp_path / "net", "w+b") as file:
        os.unlink(tmp_path / "net")
        net.save(f"/proc/self/fd/{file.fileno()}")
        assert np.array_equal(fastmlp.load(file).weights[0], net.weights[0])
    assert os.listdir(tmp_path) == []


def test_a_folder_is_refused(tmp_path, net):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError):
        net.save(folder)
    with pytest.raises(OSError):
        fastmlp.load(folder)
    assert os.listdir(folder) == [] and os.listdir(tmp_path) == ["folder"]


@posix
def test_links(tmp_path, net):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic"):
        net.save(tmp_path / "a")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b").is_symlink()
    (tmp_path / "dangling").symlink_to("new")
    net.save(tmp_path / "dangling")
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "new").is_file()
    (tmp_path / "lost").symlink_to("missing/new")
    with pytest.raises(FileNotFoundError):
        net.save(tmp_path / "lost")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "dangling", "lost", "new"]


# After a kill ------------------------------------------------------------------------------------


HALF = """
import sys, time
from fastmlp.serialization.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("here", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def begin():
    processes = []

    def begin(path):
        command = [sys.executable, "-c", HALF, str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "here\n"
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def temporaries(folder):
    return {path.name for path in folder.iterdir() if path.name.startswith(".")}


@posix
def test_the_next_write_removes_what_a_killed_one_left(begin, tmp_path):
    path = tmp_path / ("n" * 250)  # as long as the system allows
    others = begin(tmp_path / "other")
    for _ in range(2):
        killed = begin(path)
        killed.kill()
        killed.wait()
        assert len(temporaries(tmp_path)) == 2
    kept = {".keep", ".0123456789abcdef-0123456789ab", f".{'f' * 32}"}  # other programs' files
    for name in kept:
        (tmp_path / name).touch()
    living = begin(path)
    write(path)
    assert path.read_bytes() == b"new" and len(temporaries(tmp_path)) == 2 + len(kept)
    for process in (living, others):
        process.kill()
        process.wait()
    assert len(temporaries(tmp_path)) == 2 + len(kept)
    write(path)
    assert len(temporaries(tmp_path)) == 1 + len(kept)
    write(tmp_path / "other")
    assert temporaries(tmp_path) == kept


@posix
def test_where_files_cannot_be_locked_age_decides(begin, tmp_path, monkeypatch):
    path = tmp_path / "net"
    killed = begin(path)
    killed.kill()
    killed.wait()
    (left,) = temporaries(tmp_path)

    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    write(path)
    assert temporaries(tmp_path) == {left}
    os.utime(tmp_path / left, (1, 1))
    write(path)
    assert temporaries(tmp_path) == set()


@posix
def test_one_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    # Another process finds it in between, locks it, and considers it abandoned.
    locked, calls = files._locked, []

    def lock(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            (path,) = tmp_path.iterdir()
            files._remove_if_abandoned(path)
        return locked(descriptor)

    monkeypatch.setattr(files, "_locked", lock)
    write(tmp_path / "net")
    assert len(calls) >= 3 and os.listdir(tmp_path) == ["net"]


@posix  # elsewhere an open file cannot be replaced
def test_many_that_write_one_file(tmp_path):
    path, size, errors = tmp_path / "net", 10**4, []

    def write_often(letter):
        try:
            for _ in range(100):
                write(path, letter * size)
                assert len(set(path.read_bytes())) == 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write_often, args=(b,)) for b in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and os.listdir(tmp_path) == ["net"]


def test_an_error_leaves_nothing(tmp_path):
    (tmp_path / "net").write_bytes(b"old")
    for name in ("net", "new"):
        with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / name) as file:
            file.write(b"half")
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["net"] and (tmp_path / "net").read_bytes() == b"old"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the archive
def test_ctrl_c_while_a_member_is_closed(tmp_path, net, monkeypatch):
    path = tmp_path / "net.npz"
    net.save(path)
    before = path.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zipfile._ZipWriteFile.close", interrupt)
    with pytest.raises(KeyboardInterrupt):
        net.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]
