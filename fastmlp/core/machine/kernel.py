"""The decorator of every compiled function, and its cache on disk."""

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
from numba import njit
from numba.core import config
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
    _CacheLocator,
)
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.misc.appdirs import AppDirs

from fastmlp.core.machine import processor
from fastmlp.messages import must

CORE = "fastmlp.core"
CHECKSUM = hashlib.sha256
CHECKSUM_SIZE = CHECKSUM().digest_size

if config.DISABLE_JIT:
    raise ImportError(
        must(
            "NUMBA_DISABLE_JIT",
            "be 0, because the kernels of fastmlp exist only in compiled code",
            f"{config.DISABLE_JIT}",
        )
    )


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
        files = list(_files(folder))
        return _digest(*files) if files else None
    return None


_SOURCES = _sources(resources.files(CORE))


class _Folder(_CacheLocator):
    """The first folder that can be written: of `NUMBA_CACHE_DIR`, the sources, the user."""

    def __init__(self, path: Path):
        self._path = str(path)

    @classmethod
    def from_function(cls, function: Callable, file: str) -> _Folder | None:
        """Return the folder for a function of this file, None where there is none."""
        sources = Path(file).parent
        # An archive's path may differ from job to job, so its folder is named by its content.
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
        """Return what the files depend on."""
        return _SOURCES

    def get_disambiguator(self) -> str:
        """Return nothing: `_Entries` names the files."""
        return ""


class _InFolder(CompileResultCacheImpl):
    """What compiled code is as bytes, and where it is kept."""

    _locator_classes = [_Folder]


class _Entries(IndexDataCacheFile):
    """One file for each compiled signature, named after all that its machine code depends on.

    Numba's own index maps keys to numbered files, and two processes that write it at once can
    exchange their numbers; a file named by its key has no such race and needs no index. A file
    begins with a checksum of its name and its content, because damaged machine code would end the
    process that runs it.
    """

    def __init__(self, folder: str, name: str):
        super().__init__(folder, name, _SOURCES)
        self.folder, self.name = Path(folder), name

    def _file_name(self, key: Any) -> str:
        build = (numba.__version__, processor.LANES, processor.REGISTERS, processor.FUSED)
        return f"{self.name}.{_SOURCES}.{_digest(key, build)}.nbc"

    def load(self, key: Any) -> Any:
        """Return what was saved under `key`, None where there is nothing that can be read."""
        name = self._file_name(key)
        try:
            content = memoryview((self.folder / name).read_bytes())
            checksum, data = content[:CHECKSUM_SIZE], content[CHECKSUM_SIZE:]
            return pickle.loads(data) if checksum == _checksum(name, data) else None
        except Exception:  # missing, or of another Numba: compile again
            return None

    def save(self, key: Any, data: Any) -> None:
        """Write `data` under `key`, whole or not at all; a full disk only costs the next start."""
        name = self._file_name(key)
        with contextlib.suppress(OSError):
            content = self._dump(data)
            with self._open_for_write(str(self.folder / name)) as file:
                file.write(_checksum(name, content))
                file.write(content)
            for path in self.folder.glob(f"{self.name}.*.nbc*"):
                if not path.name.startswith(f"{self.name}.{_SOURCES}."):
                    path.unlink(missing_ok=True)  # of older sources

    def flush(self) -> None:
        """Remove every entry of these sources."""
        for path in self.folder.glob(f"{self.name}.{_SOURCES}.*.nbc"):
            path.unlink(missing_ok=True)


def _checksum(name: str, data: Any) -> bytes:
    checksum = CHECKSUM(name.encode())
    checksum.update(data)
    return checksum.digest()


class _Cache(FunctionCache):
    """Numba's function cache, with files that also depend on the sources of every callee."""

    _impl_class = _InFolder

    def __init__(self, function: Callable):
        super().__init__(function)
        module = function.__module__.rpartition(".")[2]
        self._cache_file = _Entries(
            self._cache_path, f"{module}.{function.__name__}.{sys.implementation.cache_tag}"
        )

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled code of a signature, None where it must be compiled."""
        try:
            return super().load_overload(signature, target)
        except Exception:  # what was loaded is not compiled code
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save the compiled code of a signature, where the folder is still there."""
        with contextlib.suppress(OSError):
            super().save_overload(signature, data)


class _NoCache(NullCache):
    """No cache: a warning says why before the first compilation of a process."""

    told = False

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


def _cache_of(function: Callable) -> _Cache | _NoCache:
    if _SOURCES is None:
        return _NoCache("its source files, which say whether kept code is current, cannot be read")
    try:
        return _Cache(function)
    except RuntimeError:
        return _NoCache(
            "no folder to keep compiled code in can be written; set NUMBA_CACHE_DIR to one"
        )


class _Linked(JITCodeLibrary):
    """The code of a kernel that only kernels call.

    Numba would make machine code of it here and again in every caller into which it is linked;
    that is left to the entry point alone, so a first fit takes half of the time.
    """

    def __init__(self, codegen: Any):
        super().__init__(codegen, "fastmlp")

    def _optimize_final_module(self) -> None:
        """Leave that to the entry point too, which does it again with whatever it links."""

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return null: Python has nothing to call."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """What Numba tells the environment of the errors that are raised here: there are none."""
        return self

    def set_env(self, name: str, env: Any) -> None:
        """Leave it."""


class _CalleeCompiler(Compiler):
    """Numba's compiler, with `_Linked` for what it makes."""

    def __init__(self, typingctx: Any, targetctx: Any, library: Any, *rest: Any):
        super().__init__(typingctx, targetctx, library or _Linked(targetctx.codegen()), *rest)


#: The options that Numba compiles with: kernels that Python calls, and those that kernels call.
ENTRY: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cfunc_wrapper": True,
}
CALLEE = ENTRY | {"no_cpython_wrapper": True, "pipeline_class": _CalleeCompiler}
# A call that stays a call keeps its loop from becoming vectors.
JOINED = CALLEE | {"forceinline": True}


def joined(function: Callable) -> Any:
    """Compile `function` as a kernel that LLVM writes into its caller, however long it is."""
    return njit(**JOINED)(function)


def kernel(function: Callable | None = None, *, entry: bool = False, inline: bool = False) -> Any:
    """Compile `function` with Numba at its first call, without the GIL.

    Parameters
    ----------
    function : callable
        The Python source of the kernel.
    entry : bool
        True for a kernel that Python calls. Only these are kept on disk: what they call is
        compiled into them. Set ``NUMBA_CACHE_DIR`` to choose the folder.
    inline : bool
        True for a kernel that only joins others: written into its caller before LLVM sees it,
        which halves the time to compile. Where loops do the work it would lengthen it.

    Returns
    -------
    numba.core.dispatcher.Dispatcher

    Notes
    -----
    Division by zero gives infinity as in NumPy. Sums keep their order: no ``fastmath``. References
    to arrays are not counted, an atomic addition for every slice: the caller holds the arrays. So
    a kernel that would allocate one does not compile.
    """
    if function is None:
        return lambda function: kernel(function, entry=entry, inline=inline)
    options = dict(ENTRY if entry else CALLEE)
    if inline:
        options["inline"] = "always"
    dispatcher = njit(**options)(function)
    if entry:
        dispatcher._cache = _cache_of(function)
    return dispatcher
