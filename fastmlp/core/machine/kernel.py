"""The decorator of every compiled function, and its cache on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numba
from numba import njit, types
from numba.core import config
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
    _CacheLocator,
)
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.misc.appdirs import AppDirs

from fastmlp.core.machine import processor
from fastmlp.core.machine.structure import Structure, part_of, type_of
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
        """Return what was saved under `key`, or None if it is missing or unreadable."""
        name = self._file_name(key)
        try:
            content = memoryview((self.folder / name).read_bytes())
            checksum, data = content[:CHECKSUM_SIZE], content[CHECKSUM_SIZE:]
            return pickle.loads(data) if checksum == _checksum(name, data) else None
        except Exception:  # missing, or from another version of Numba: recompile
            return None

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

    def __init__(self, function: Callable):
        super().__init__(function)
        module = function.__module__.rpartition(".")[2]
        self._cache_file = _Entries(
            self._cache_path, f"{module}.{function.__name__}.{sys.implementation.cache_tag}"
        )

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled code of a signature, or None if it must be compiled."""
        try:
            return super().load_overload(signature, target)
        except Exception:  # the file does not hold compiled code
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save the compiled code of a signature, if the folder still exists."""
        with contextlib.suppress(OSError):
            super().save_overload(signature, data)


class _NoCache(NullCache):
    """No cache; a warning before the first compilation of a process says why."""

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
        return _NoCache("its source files, which cached code depends on, cannot be read")
    try:
        return _Cache(function)
    except RuntimeError:
        return _NoCache(
            "no folder for compiled code is writable; set NUMBA_CACHE_DIR to one that is"
        )


class _Library(JITCodeLibrary):
    """The code of a kernel that Python calls, with that of all kernels below it."""

    def __init__(self, codegen: Any):
        super().__init__(codegen, "fastmlp")
        self.enable_object_caching()

    def _optimize_functions(self, module: Any) -> None:
        """Do nothing: see `_optimize_final_module`."""
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Link all kernels below this one, optimize and generate machine code."""
        found: dict[Any, None] = {}
        _collect(self, found)
        self._linking_libraries = list(found)
        super().finalize()

    def _optimize_final_module(self) -> None:
        """Optimize once. Numba would first look for references to count, which kernels have not."""
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


def _collect(library: Any, found: dict[Any, None]) -> None:
    """Add everything that a library links, directly or not, to `found`."""
    for linked in library._linking_libraries:
        if linked not in found:
            found[linked] = None
            if isinstance(linked, _Linked):
                _collect(linked, found)


class _Linked(JITCodeLibrary):
    """The code of a kernel that is only called by kernels.

    Numba would link and optimize it, and generate machine code, here and again in every caller.
    Only the library of the entry point does that now, once.
    """

    def __init__(self, codegen: Any):
        super().__init__(codegen, "fastmlp")

    def _optimize_functions(self, module: Any) -> None:
        """Do nothing: the entry point optimizes everything that it links."""
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Do nothing else."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return null: Python never calls it."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Where Numba registers the environment for exceptions; kernels raise none."""
        return self

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing."""


#: Passes of Numba's compiler that change nothing in kernels, by the names of their classes.
UNUSED = {
    x for x in (os.environ.get("UNUSED") or "WithLifting,InlineClosureLikes,RewriteDynamicRaises,MakeFunctionToJitFunction,InlineInlinables,FindLiterallyCalls,LiteralUnroll,LiteralPropagationSubPipelinePass,InlineOverloads,NopythonRewrites,NoPythonSupportedFeatureValidation,AnnotateTypes,DumpParforDiagnostics,GenericRewrites").split(",")
}


class _Lower(Lower):
    """How the typed code of a kernel becomes LLVM's, without references that could be counted.

    Numba reads the old value of a variable that changes and clears one that ends, which is half of
    all instructions, and only serves references to memory that it manages.
    """

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        """Reserve space for a variable without clearing it."""
        with self.builder.goto_entry_block():
            return self.builder.alloca(lltype, name=name)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Store a value without reading the old one."""
        if name in self._singly_assigned_vars:
            super().storevar(value, name, argidx)
        else:
            self._alloca_var(name, self.typeof(name))
            self.builder.store(value, self.getvar(name))

    def delvar(self, name: str) -> None:
        """Do nothing to a variable that ends."""
        if name not in self.varmap and name not in self._blk_local_varmap:
            super().delvar(name)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    _name = "fastmlp_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower


class _Compiler(Compiler):
    """Numba's compiler without the passes that kernels do not need."""

    library = _Library

    def __init__(self, typingctx: Any, targetctx: Any, library: Any, *rest: Any):
        super().__init__(typingctx, targetctx, library or self.library(targetctx.codegen()), *rest)

    def define_pipelines(self) -> list[Any]:
        """Return the only pipeline."""
        manager = PassManager("fastmlp")
        for done, why in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if done.__name__ not in UNUSED:
                manager.add_pass(_Lowering if done is NativeLowering else done, why)
        # only the last
        manager.finalize()
        return [manager]


class _CalleeCompiler(_Compiler):
    library = _Linked


#: Numba's options for kernels that Python calls, and for those that kernels call.
ENTRY: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cfunc_wrapper": True,
    "pipeline_class": _Compiler,
}
CALLEE = ENTRY | {"no_cpython_wrapper": True, "pipeline_class": _CalleeCompiler}
# A call inside a loop would prevent its vectorization.
JOINED = CALLEE | {"forceinline": True}


def joined(function: Callable) -> Any:
    """Compile `function` as a kernel that LLVM always inlines."""
    return njit(**JOINED)(function)


def kernel(function: Callable | None = None, *, entry: bool = False, inline: bool = False) -> Any:
    """Compile `function` with Numba at its first call; it releases the GIL.

    Parameters
    ----------
    function : callable
        The Python source of the kernel.
    entry : bool
        True for a kernel that Python calls. Only these are cached on disk, with all that they
        call. Set ``NUMBA_CACHE_DIR`` to choose the folder.
    inline : bool
        True for a kernel that only calls others: Numba inlines it, which halves the time to
        compile. For kernels with loops of their own it would increase it.

    Returns
    -------
    numba.core.dispatcher.Dispatcher

    Notes
    -----
    Division by zero gives infinity as in NumPy. There is no ``fastmath``, so sums keep their order.
    References to arrays are not counted, which saves an atomic addition per slice: the caller keeps
    the arrays alive. A kernel that would allocate an array does not compile.

    Numba removes the branch of ``if x is None`` where `x` is an argument whose type is None's, so
    optional features cost nothing to compile or to run when they are not used. If `x` is not None,
    both branches are compiled.
    """
    if function is None:
        return lambda function: kernel(function, entry=entry, inline=inline)
    options = dict(ENTRY if entry else CALLEE)
    import os
    if inline and function.__name__ not in os.environ.get("NOINL", "").split(",") and os.environ.get("NOINL") != "all":
        options["inline"] = "always"
    dispatcher = njit(**options)(function)
    chosen = dispatcher.get_call_template

    def without_literals(types_of: Any, named: Any) -> Any:
        named = {name: types.unliteral(kind) for name, kind in named.items()}
        return chosen([types.unliteral(kind) for kind in types_of], named)

    dispatcher.get_call_template = without_literals
    if entry:
        dispatcher._cache = _cache_of(function)
        return Entry(dispatcher)
    return dispatcher


class Entry:
    """A kernel that Python calls; it is compiled for the types of the arguments at first.

    Numba would look at every part of every argument in each call. Structures have their type, and
    of arrays only the element type counts.

    Parameters
    ----------
    dispatcher : numba.core.dispatcher.Dispatcher
    """

    def __init__(self, dispatcher: Any):
        self.dispatcher = dispatcher
        self._compiled: dict[tuple[Any, ...], Any] = {}

    @property
    def signatures(self) -> list[Any]:
        """The types that it is compiled for."""
        return self.dispatcher.signatures

    def __call__(self, *arguments: Any) -> Any:
        """Call it with structures, contiguous arrays, numbers or None."""
        key = tuple([part_of(argument) for argument in arguments])
        compiled = self._compiled.get(key)
        if compiled is None:
            signature = tuple([type_of(part) for part in key])
            self.dispatcher.compile(signature)
            compiled = self._compiled[key] = self.dispatcher.get_overload(signature)
        return compiled(*[a.address if isinstance(a, Structure) else a for a in arguments])
