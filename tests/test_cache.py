"""The cache of compiled code: damaged files, archives, processes that have no folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastmlp
from fastmlp.core import kernel

CORE = Path(fastmlp.__file__).parent / "core"

#: A package with the cache of the real one and a kernel that compiles at once.
TINY = """
from fastmlp.core.kernel import kernel

@kernel(entry=True)
def plus_one(x):
    return x + 1

@kernel(entry=True)
def minus_one(x):
    return x - 1
"""
CALL = """
from numba.core import event
from fastmlp.core import tiny
with event.install_recorder("numba:compile") as compiled:
    assert tiny.plus_one(1.0) == 2 and tiny.minus_one(1.0) == 0
print(sum(data.is_start for _, data in compiled.buffer))
"""


def tiny_archive(path, parts=None, compiled=False):
    """Write an archive of the cache and the tiny kernel, with more files of the core: `parts`."""
    files = {"__init__.py": "", "tiny.py": TINY, **(parts or {})}
    files |= {name: (CORE / name).read_text() for name in ("kernel.py", "processor.py")}
    folder = path.with_suffix(".folder")
    for name, text in ({"../__init__.py": ""} | files).items():
        file = (folder / "fastmlp" / "core" / name).resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if compiled:
        subprocess.run([sys.executable, "-m", "compileall", "-qb", folder], check=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.pyc" if compiled else "*.py"):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder)
    return path


def call(archive, code=CALL, **settings):
    """Run code with the archive; return what it printed, as a number, and its warnings."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=archive.parent if archive.is_file() else archive,
        env={**environment, "PYTHONPATH": str(archive), **settings},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(result.stdout), result.stderr


def test_every_flipped_bit_is_noticed(tmp_path):
    entries = kernel._Entries(str(tmp_path), "step")
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
    entries = kernel._Entries(str(tmp_path), "step")
    entries.save("key", 1)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / entries._file_name("other"))
    assert entries.load("other") is None


def test_nothing_of_a_damaged_file_is_unpickled(tmp_path, monkeypatch):
    entries = kernel._Entries(str(tmp_path), "step")
    entries.save("key", 1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(kernel.pickle, "loads", lambda _: pytest.fail("it was"))
    assert entries.load("key") is None


def test_damaged_machine_code_is_compiled_again(tmp_path):
    """A bit of the machine code of a real kernel would end the process: here in many places."""
    archive, cache = tiny_archive(tmp_path / "tiny.zip"), tmp_path / "cache"
    assert call(archive, NUMBA_CACHE_DIR=str(cache))[0] == 2
    paths = sorted(cache.rglob("*.nbc"))
    assert len(paths) == 2
    whole = [path.read_bytes() for path in paths]
    for share in (0.0, 0.5, 0.999):
        for path, content in zip(paths, whole, strict=True):
            damaged = bytearray(content)
            damaged[int(share * len(content))] ^= 16
            path.write_bytes(damaged)
        assert call(archive, NUMBA_CACHE_DIR=str(cache))[0] == 2
    assert call(archive, NUMBA_CACHE_DIR=str(cache))[0] == 0


@pytest.mark.parametrize("compiled", [False, True])  # whether it has .pyc files alone
def test_an_archive_is_compiled_again_where_a_source_has_changed(compiled, tmp_path):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for text in ("one = 1", "one = 2"):
        archive = tiny_archive(tmp_path / "tiny.zip", {"deep/er/part.py": text}, compiled)
        assert call(archive, **settings)[0] == 2
        assert call(archive, **settings)[0] == 0


def test_an_archive_that_lies_elsewhere_in_every_job_is_compiled_once(tmp_path):
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    assert call(tiny_archive(tmp_path / "one.zip"), **home) == (2, "")
    assert call(tiny_archive(tmp_path / "two.pyz"), **home) == (0, "")


def test_a_process_without_a_cache_says_once_that_it_compiles(tmp_path):
    nowhere, archive = str(tmp_path / "a file"), tiny_archive(tmp_path / "tiny.zip")
    Path(nowhere).write_text("")
    home = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere}
    compiled, errors = call(archive, **home)
    assert compiled == 2
    assert errors.count("RuntimeWarning") == 1 and "NUMBA_CACHE_DIR" in errors
    assert call(archive, "import fastmlp.core.tiny; print(0)", **home) == (0, "")


def test_nothing_is_kept_where_no_source_can_be_read(monkeypatch):
    monkeypatch.setattr(kernel, "_SOURCES", None)
    monkeypatch.setattr(kernel._NoCache, "told", False)
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
    monkeypatch.setattr(kernel._Folder, "ensure_cache_path", full)
    assert compiled(1) == 2


def test_disabled_compilation_is_refused_by_name(tmp_path):
    code = (
        "import fastmlp, fastmlp.numpy_version\n"
        "try: from fastmlp import {}\n"
        "except ImportError as error: print(int('NUMBA_DISABLE_JIT' in str(error)))\n"
    )
    root = CORE.parent.parent
    for name in ("MLP", "NeuralNet", "warmup", "losses"):
        assert call(root, code.format(name), NUMBA_DISABLE_JIT="1")[0] == 1
    subprocess.run(
        [sys.executable, "-m", "fastmlp", "--help"], stdout=subprocess.DEVNULL, check=True,
        env={**os.environ, "PYTHONPATH": str(root), "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
