"""The cache of compiled kernels on disk."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numba
from numba.core import config
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
    _CacheLocator,
)
from numba.core.compiler import compile_result
from numba.misc.appdirs import AppDirs

from fastmlp.core.machine import file_lock, processor
from fastmlp.core.machine.compiler import Library

CORE = "fastmlp.core"
CHECKSUM = hashlib.sha256
CHECKSUM_SIZE = CHECKSUM().digest_size
#: What unpickling raises, by its documentation, if a class or function has gone since.
NOT_UNPICKLED = pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _files(folder: Any, name: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every source file in a folder, with those below it."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{name}/{entry.name}"
        if entry.name.endswith((".py", ".pyc")):
            yield path, entry.read_bytes()
        elif entry.name != "__pycache__" and entry.is_dir():
            yield from _files(entry, path)


def _sources(folder: Any) -> str | None:
    """Return a digest of the core's source files: what is inlined into an entry point.

    `folder` is a path, or what `importlib.resources` has for a folder inside an archive. None
    where no source can be read.
    """
    with contextlib.suppress(OSError):
        if files := list(_files(folder)):
            digest = hashlib.sha256()
            for name, content in files:
                digest.update(f"{name} {len(content)}\n".encode())
                digest.update(content)
            return digest.hexdigest()[:16]
    return None


_SOURCES = _sources(resources.files(CORE))


class _Folder(_CacheLocator):
    """The first writable folder of: `NUMBA_CACHE_DIR`, beside the sources, the user's cache."""

    def __init__(self, path: Path):
        self._path = str(path)

    @classmethod
    def from_function(cls, function: Callable, file: str) -> _Folder | None:
        """Return the folder for a function of this file, or None if none is writable."""
        sources = Path(file).parent
        # The path of an archive may differ between jobs, so its folder is named by its content.
        name, beside = f"core_{_SOURCES}", []
        if sources.is_dir():
            name, beside = cls.get_suitable_cache_subpath(file), [sources / "__pycache__"]
        chosen = [Path(config.CACHE_DIR, name)] if config.CACHE_DIR else []
        users = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir, name)
        for path in (*chosen, *beside, users):
            folder = cls(path)
            with contextlib.suppress(OSError):
                folder.ensure_cache_path()
                return folder
        return None

    def get_cache_path(self) -> str:
        """Return its path."""
        return self._path

    def get_source_stamp(self) -> str | None:
        """Return the digest of the sources."""
        return _SOURCES

    def get_disambiguator(self) -> str:
        """Return nothing: `_Entries` names the files."""
        return ""


class _InFolder(CompileResultCacheImpl):
    """How compiled code is serialized, and where it is stored."""

    _locator_classes = [_Folder]

    def reduce(self, compiled: Any) -> tuple[Any, ...]:
        """Return the machine code of a kernel, and what Python needs to call it.

        Numba would save LLVM's code too, which is twice as long and takes longer to load.
        """
        function = compiled.fndesc
        function.typemap = function.calltypes = None  # cannot be pickled
        code = compiled.library.machine_code()
        return code, function, compiled.environment, compiled.signature

    def rebuild(self, target: Any, saved: Any) -> Any:
        """Return the compiled kernel for what `reduce` returned; None for anything else."""
        if not (isinstance(saved, tuple) and len(saved) == 4 and isinstance(saved[0], bytes)):
            return None
        code, function, environment, signature = saved
        called = function.llvm_func_name, function.llvm_cpython_wrapper_name
        library = Library.of_machine_code(target.codegen(), code, called)
        return compile_result(
            target_context=target,
            typing_context=target.typing_context,
            library=library,
            fndesc=function,
            environment=environment,
            entry_point=target.get_executable(library, function, environment),
            signature=signature,
            objectmode=False,
        )


class _Entries(IndexDataCacheFile):
    """One file per compiled signature, named by a digest of all that its machine code depends on.

    Numba's own index maps keys to numbered files, and two processes that write it concurrently can
    mix them up. A file that is named by its key needs no index. It begins with a checksum of its
    name and content, because corrupt machine code would crash the process.
    """

    def __init__(self, folder: str, name: str):
        super().__init__(folder, name, _SOURCES)
        self.folder, self.name = Path(folder), name

    def _file_name(self, key: Any) -> str:
        build = (numba.__version__, processor.LANES, processor.REGISTERS, processor.FUSED)
        return f"{self.name}.{_SOURCES}.{_digest(key, build)}.nbc"

    def load(self, key: Any) -> Any:
        """Return what was saved under `key`; None if it is missing, damaged or out of date."""
        name = self._file_name(key)
        try:
            content = memoryview((self.folder / name).read_bytes())
        except OSError:
            return None
        checksum, data = content[:CHECKSUM_SIZE], content[CHECKSUM_SIZE:]
        if checksum != _checksum(name, data):
            return None
        try:
            return pickle.loads(data)
        except NOT_UNPICKLED:  # it was saved with another version of NumPy, or of Numba's classes
            return None

    def lock(self, key: Any) -> contextlib.AbstractContextManager[None]:
        """Return the lock between the processes that make what is missing under `key`."""
        return file_lock.locked(self.folder / f"{self._file_name(key)}.lock")

    def save(self, key: Any, data: Any) -> None:
        """Write `data` under `key` atomically; if the disk is full, nothing is cached."""
        name = self._file_name(key)
        with contextlib.suppress(OSError):
            content = self._dump(data)
            with self._open_for_write(str(self.folder / name)) as file:
                file.write(_checksum(name, content))
                file.write(content)
            for path in self.folder.glob(f"{self.name}.*.nbc*"):
                if not path.name.startswith(f"{self.name}.{_SOURCES}."):
                    path.unlink(missing_ok=True)  # from older sources

    def flush(self) -> None:
        """Remove every entry for the current sources."""
        for path in self.folder.glob(f"{self.name}.{_SOURCES}.*.nbc"):
            path.unlink(missing_ok=True)


def _checksum(name: str, data: Any) -> bytes:
    checksum = CHECKSUM(name.encode())
    checksum.update(data)
    return checksum.digest()


class _Cache(FunctionCache):
    """Numba's function cache, with files that depend on the sources of all callees too."""

    _impl_class = _InFolder
    is_kept = True

    def __init__(self, function: Callable):
        super().__init__(function)
        module = function.__module__.rpartition(".")[2]
        self._cache_file = _Entries(
            self._cache_path, f"{module}.{function.__name__}.{sys.implementation.cache_tag}"
        )

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled code of a signature, or None if it must be compiled.

        Numba's `load_overload` first imports all that it can compile, which takes 0.2 s.
        """
        return self._load_overload(signature, target)

    def lock(self, signature: Any, target: Any) -> contextlib.AbstractContextManager[None]:
        """Return the lock between the processes that would compile a signature."""
        return self._cache_file.lock(self._index_key(signature, target.codegen()))

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save the compiled code of a signature, if the folder still exists."""
        with contextlib.suppress(OSError):
            super().save_overload(signature, data)


class _NoCache(NullCache):
    """No cache; a warning before the first compilation of a process says why."""

    is_kept = told = False

    def __init__(self, reason: str):
        self._reason = reason

    def load_overload(self, signature: Any, target: Any) -> None:
        """Return None: compile."""
        if not _NoCache.told:
            _NoCache.told = True
            warnings.warn(
                f"fastmlp compiles for several seconds in every process, because {self._reason}",
                RuntimeWarning,
                stacklevel=2,
            )


def cache_of(function: Callable) -> _Cache | _NoCache:
    """Return the cache for a kernel that Python calls."""
    if _SOURCES is None:
        return _NoCache("its source files, which cached code depends on, cannot be read")
    try:
        return _Cache(function)
    except RuntimeError:
        return _NoCache(
            "no folder for compiled code is writable; set NUMBA_CACHE_DIR to one that is"
        )
