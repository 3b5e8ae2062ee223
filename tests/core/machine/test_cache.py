"""The cache of compiled code: damaged files, archives, processes without a folder."""

import functools
import gc
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.errors import NumbaError

from fastmlp.core.machine import code_cache, file_lock, kernel, processor
from helpers import tiny_package
from helpers.tiny_package import call


def test_every_flipped_bit_is_noticed(tmp_path):
    entries = code_cache._Entries(str(tmp_path), "step")
    entries.save("key", list(range(20)))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for i in range(len(content)):
        for bit in range(8):
            path.write_bytes(content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :])
            assert entries.load("key") is None, (i, bit)
    for end in range(len(content)):
        path.write_bytes(content[:end])
        assert entries.load("key") is None
    path.write_bytes(content + b"\0")
    assert entries.load("key") is None
    path.write_bytes(content)
    assert entries.load("key") == list(range(20))


def test_a_whole_file_of_another_key_is_not_taken(tmp_path):
    entries = code_cache._Entries(str(tmp_path), "step")
    entries.save("key", 1)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / entries._file_name("other"))
    assert entries.load("other") is None


def test_nothing_of_a_damaged_file_is_unpickled(tmp_path, monkeypatch):
    entries = code_cache._Entries(str(tmp_path), "step")
    entries.save("key", 1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(code_cache.pickle, "loads", lambda _: pytest.fail("it was"))
    assert entries.load("key") is None


def test_a_folder_is_compiled_once_for_each_width(tmp_path):
    package, cache = tiny_package.write(tmp_path), {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert call(package, **cache) == [3, 2, 0]
    other = "4" if processor.LANES != 4 else "8"
    assert call(package, FASTMLP_LANES=other, **cache) == [3, 2, 0]
    assert call(package, FASTMLP_LANES=other, **cache) == [0, 2, 0]
    assert call(package, **cache) == [0, 2, 0]


def test_processes_fill_one_cache_at_once(tmp_path):
    package, cache = tiny_package.write(tmp_path), {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    arguments = ("1.0,", "1,", "1.0,", "True,", "1.0, 1, True")
    *codes, all_of_them = (tiny_package.CALL.replace("1.0,", each) for each in arguments)
    together = [tiny_package.start(package, code, **cache) for code in codes]
    for process in together:
        assert tiny_package.finish(process)[0][1:] == [2, 0]
    assert call(package, all_of_them, **cache) == [0, 2, 0]


# Says that it is ready, and waits, so that several processes begin at once.
TOGETHER = """
import sys
from fastmlp.core import tiny
print(7, flush=True)
sys.stdin.readline()
"""


def finish_together(processes):
    """Let processes begin when all are ready; return the numbers that each printed."""
    assert [process.stdout.readline() for process in processes] == ["7\n"] * len(processes)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [tiny_package.finish(process)[0] for process in processes]


def n_entries(numbers):
    """Return how many entries were compiled, given the numbers of functions, by process.

    Every process that compiles an entry compiles what all of them call too, once.
    """
    return sum(numbers) - sum(number > 0 for number in numbers)


def test_processes_that_begin_at_once_compile_once(tmp_path):
    package, cache = tiny_package.write(tmp_path), {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    code = TOGETHER + tiny_package.CALL
    together = [tiny_package.start(package, code, **cache) for _ in range(8)]
    results = finish_together(together)
    assert n_entries([n_compiled for n_compiled, *_ in results]) == 2
    assert [rest for _, *rest in results] == [[2, 0]] * 8
    if sys.platform != "win32":
        assert not list(tmp_path.rglob("*.lock"))


def test_threads_and_processes_compile_once(tmp_path):
    """Threads wait for each other before they wait for processes, in any order of the kernels."""
    package, cache = tiny_package.write(tmp_path), {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    code = (
        TOGETHER
        + """
from concurrent.futures import ThreadPoolExecutor
from numba.core import event
calls = [(kernel, x) for x in (1, 1.0, True) for kernel in (tiny.plus_one, tiny.minus_one)]
with event.install_recorder("numba:compile") as compiled, ThreadPoolExecutor(6) as pool:
    results = sum(pool.map(lambda call: call[0](call[1]), calls[::ORDER]))
print(sum(data.is_start for _, data in compiled.buffer), results)
"""
    )
    orders = [code.replace("ORDER", order) for order in ("1", "-1") * 2]
    together = [tiny_package.start(package, each, **cache) for each in orders]
    results = finish_together(together)
    assert n_entries([n_compiled for n_compiled, _ in results]) == 6
    assert [total for _, total in results] == [6] * 4


def flipped(content, share):
    """Flip a bit after a share of the content."""
    changed = bytearray(content)
    changed[int(share * len(content))] ^= 16
    return bytes(changed)


@pytest.fixture
def filled(tmp_path):
    """Return a package, the settings of its cache, and the files in that."""
    package, cache = tiny_package.write(tmp_path), tmp_path / "cache"
    settings = {"NUMBA_CACHE_DIR": str(cache)}
    assert call(package, **settings) == [3, 2, 0]
    paths = sorted(cache.rglob("*.nbc"))
    assert len(paths) == 2
    return package, settings, paths


def test_machine_code_is_loaded_without_what_only_compilation_needs(filled):
    """Numba imports for 0.2 s before it compiles, and LLVM's code is twice as long."""
    package, settings, paths = filled
    code = tiny_package.CALL + "import sys; print(int('numba.np.linalg' in sys.modules))\n"
    assert call(package, code, **settings) == [0, 2, 0, 0]
    paths[0].unlink()
    assert call(package, code, **settings) == [2, 2, 0, 1]
    assert not any(b"BC\xc0\xde" in path.read_bytes() for path in paths)  # LLVM's bitcode


def lock_of(path):
    return path.with_name(path.name + ".lock")


def test_loading_takes_no_lock(filled):
    package, settings, paths = filled
    code = "from fastmlp.core.machine import file_lock; file_lock.locked = None\n"
    assert call(package, code + tiny_package.CALL, **settings) == [0, 2, 0]
    paths[0].unlink()
    process = tiny_package.start(package, code + tiny_package.CALL, **settings)
    assert "'NoneType' object is not callable" in process.communicate(timeout=200)[1]


def test_where_no_lock_can_be_created_nobody_waits(filled):
    package, settings, paths = filled
    for path in paths:
        path.unlink()
        lock_of(path).mkdir()
    assert call(package, **settings) == [3, 2, 0]
    assert call(package, **settings) == [0, 2, 0]


# Says when compiling begins, or waiting for another process, and when it has ended.
OBSERVED = """
import contextlib
from fastmlp.core.machine import kernel

@contextlib.contextmanager
def observed():
    print(7, flush=True)
    yield
    print(8)

kernel.observe_compilation(observed)
"""


def test_waiting_for_another_process_is_observed_like_compiling(filled):
    """A person waits in both cases; and what the other process has saved is loaded."""
    package, settings, paths = filled
    content = paths[0].read_bytes()
    paths[0].unlink()
    with file_lock.locked(lock_of(paths[0])):
        process = tiny_package.start(package, OBSERVED + tiny_package.CALL, **settings)
        assert process.stdout.readline() == "7\n"
        assert process.poll() is None
        paths[0].write_bytes(content)
    assert tiny_package.finish(process)[0] == [8, 0, 2, 0]


def test_what_a_killed_process_was_compiling_is_compiled_once_by_the_others(filled):
    package, settings, paths = filled
    for path in paths:
        path.unlink()
    hang = "import gc, time; gc.disable = lambda: (print(1, flush=True), time.sleep(600))\n"
    holder = tiny_package.start(package, hang + tiny_package.CALL, **settings)
    assert holder.stdout.readline() == "1\n"
    code = OBSERVED + tiny_package.CALL
    waiting = [tiny_package.start(package, code, **settings) for _ in range(3)]
    assert [process.stdout.readline() for process in waiting] == ["7\n"] * 3
    assert all(process.poll() is None for process in waiting)
    holder.kill()
    holder.communicate()
    results = [tiny_package.finish(process)[0] for process in waiting]
    assert n_entries([printed[-3] for printed in results]) == 2
    assert not any(lock_of(path).exists() for path in paths) or sys.platform == "win32"


def test_a_compilation_that_fails_frees_its_lock(tmp_path, monkeypatch):
    def doubled(x):
        return x + x.unknown

    monkeypatch.setattr(kernel.config, "CACHE_DIR", str(tmp_path))
    compiled = kernel.kernel(doubled, entry=True)
    for _ in range(2):
        with pytest.raises(NumbaError, match="unknown"):
            compiled(1)
    (path,) = tmp_path.rglob("*.lock")
    code = f"import fcntl; fcntl.lockf(open({str(path)!r}, 'ab'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    if sys.platform != "win32":
        subprocess.run([sys.executable, "-c", code], check=True)
    assert gc.isenabled()


def test_damaged_machine_code_is_compiled_again(filled):
    """Run as it is, machine code with a wrong bit could end the process."""
    package, settings, paths = filled
    whole = [path.read_bytes() for path in paths]
    first, middle, last = (functools.partial(flipped, share=share) for share in (0.0, 0.5, 0.999))
    for changes in ((first, middle), (last, lambda content: content[:100])):
        for path, content, change in zip(paths, whole, changes, strict=True):
            path.write_bytes(change(content))
        assert call(package, **settings) == [3, 2, 0]
    assert call(package, **settings) == [0, 2, 0]


def with_checksum(name, content):
    return code_cache._checksum(name, content) + content


def test_valid_files_without_code_are_compiled_again(filled):
    package, settings, paths = filled
    for path in paths:
        path.write_bytes(with_checksum(path.name, pickle.dumps((1, 2))))
    assert call(package, **settings) == [3, 2, 0]
    assert call(package, **settings) == [0, 2, 0]


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(code_cache.Library).replace(b"Library", b"Renamed"),
        pickle.dumps(code_cache.Library).replace(b"compiler", b"renamed_"),
        pickle.dumps((1, 2))[:-1],
        pickle.dumps((1, 2))[:3] + b"\xff",
        b"",
    ],
    ids=["class gone", "module gone", "truncated", "no pickle", "empty"],
)
def test_what_other_versions_have_saved_is_a_missing_file(content, tmp_path):
    entries = code_cache._Entries(str(tmp_path), "step")
    name = entries._file_name("key")
    (tmp_path / name).write_bytes(with_checksum(name, content))
    assert entries.load("key") is None


@pytest.mark.parametrize("saved", [1, (1, 2), (1, 2, 3, 4), [b"", 2, 3, 4]])
def test_what_is_no_code_is_not_taken(saved):
    assert code_cache._InFolder.rebuild(None, None, saved) is None


def test_a_file_that_cannot_be_read_is_a_missing_one(tmp_path):
    entries = code_cache._Entries(str(tmp_path), "step")
    assert entries.load("key") is None
    (tmp_path / entries._file_name("key")).mkdir()  # OSError, also for an administrator
    assert entries.load("key") is None


def test_faults_of_the_program_are_no_missing_files(filled, tmp_path, monkeypatch):
    """Once, every error was taken for one: whatever failed was compiled in each process."""
    package, settings, _ = filled
    code = "from fastmlp.core.machine import code_cache; code_cache.compile_result = lambda: 1\n"
    process = tiny_package.start(package, code + tiny_package.CALL, **settings)
    assert "TypeError: <lambda>() got an unexpected keyword" in process.communicate(timeout=200)[1]
    assert process.returncode == 1
    entries = code_cache._Entries(str(tmp_path), "step")
    entries.save("key", 1)
    monkeypatch.setattr(code_cache.pickle, "loads", lambda: 1)
    with pytest.raises(TypeError, match="positional argument"):
        entries.load("key")


@pytest.mark.parametrize("form", ["folder", "archive", "archive of .pyc files"])
def test_a_changed_callee_is_compiled_again(form, tmp_path):
    """The entry point's own file stays the same, and so does the file that it imports."""
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for one in (1, 2):
        if form == "folder":
            package = tiny_package.write(tmp_path, one)
        else:
            path, compiled = tmp_path / "tiny.zip", form.endswith("files")
            package = tiny_package.write_archive(path, one, compiled)
        assert call(package, **settings) == [3, 1 + one, 1 - one]
    assert call(package, **settings) == [0, 1 + one, 1 - one]


def test_an_archive_that_lies_elsewhere_in_every_job_is_compiled_once(tmp_path):
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    for name, compiled in (("one.zip", 3), ("two.pyz", 0)):
        archive = tiny_package.write_archive(tmp_path / name)
        process = tiny_package.start(archive, **home)
        assert tiny_package.finish(process) == ([compiled, 2, 0], "")


def test_a_process_without_a_cache_says_once_that_it_compiles(tmp_path):
    nowhere, archive = str(tmp_path / "a file"), tiny_package.write_archive(tmp_path / "tiny.zip")
    Path(nowhere).write_text("")
    home = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere}
    results, errors = tiny_package.finish(tiny_package.start(archive, **home))
    assert results == [3, 2, 0]
    assert errors.count("RuntimeWarning") == 1 and "NUMBA_CACHE_DIR" in errors
    imported = tiny_package.start(archive, "import fastmlp.core.tiny", **home)
    assert tiny_package.finish(imported) == ([], "")


def test_nothing_is_kept_where_no_source_can_be_read(monkeypatch):
    monkeypatch.setattr(code_cache, "_SOURCES", None)
    monkeypatch.setattr(code_cache._NoCache, "told", False)
    compiled = kernel.kernel(lambda x: x + 1, entry=True)
    with pytest.warns(RuntimeWarning, match="source"):
        assert compiled(1) == 2


def test_a_folder_that_is_gone_costs_only_time(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    def one_more(x):
        return x + 1

    monkeypatch.setattr(kernel.config, "CACHE_DIR", str(tmp_path))
    compiled = kernel.kernel(one_more, entry=True)
    monkeypatch.setattr(code_cache._Folder, "ensure_cache_path", full)
    assert compiled(1) == 2


def test_disabled_compilation_is_refused_by_name():
    code = (
        "import fastmlp, fastmlp.numpy_version\n"
        "for name in ('MLP', 'NeuralNet', 'warmup', 'losses'):\n"
        "    try: getattr(fastmlp, name)\n"
        "    except ImportError as error: print(int('NUMBA_DISABLE_JIT' in str(error)))\n"
    )
    root = tiny_package.PACKAGE.parent
    assert call(root, code, NUMBA_DISABLE_JIT="1") == [1, 1, 1, 1]
    subprocess.run(
        [sys.executable, "-m", "fastmlp", "--help"], stdout=subprocess.DEVNULL, check=True,
        env={**os.environ, "PYTHONPATH": str(root), "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
