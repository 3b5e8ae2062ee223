"""The decorator of every compiled function, and how Python calls it."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

from numba import njit, types
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock

from fastmlp.core.machine.code_cache import cache_of
from fastmlp.core.machine.compiler import CALLEE, ENTRY, JOINED
from fastmlp.core.machine.vector import VectorType
from fastmlp.messages import must

if config.DISABLE_JIT:
    raise ImportError(
        must(
            "NUMBA_DISABLE_JIT",
            "be 0, because the kernels of fastmlp exist only in compiled code",
            f"{config.DISABLE_JIT}",
        )
    )


class Kernel:
    """A compiled function that kernels call, and Python does not.

    Numba's dispatcher is made when the first caller is compiled: compiled code from the cache needs
    none, and a hundred of them take several milliseconds of an import.
    """

    def __init__(self, function: Callable, options: dict[str, Any]):
        functools.update_wrapper(self, function)  # type: ignore[arg-type]
        self._function, self._options = function, options

    @functools.cached_property
    def _dispatcher(self) -> Any:
        return _dispatcher_of(self._function, self._options)

    @property
    def _numba_type_(self) -> types.Type:
        """How Numba sees this object in the source of a kernel."""
        return types.Dispatcher(self._dispatcher)


def joined(function: Callable) -> Any:
    """Compile `function` as a kernel that LLVM always inlines.

    For what is called in loops that become vectors, and for tiles, which otherwise leave the
    registers to be passed.
    """
    return Kernel(function, JOINED)


def kernel(function: Callable | None = None, *, entry: bool = False) -> Any:
    """Compile `function` with Numba at its first call; it releases the GIL.

    Parameters
    ----------
    function : callable
        The Python source of the kernel.
    entry : bool
        True for a kernel that Python calls. Only these are cached on disk, with all that they
        call. Set ``NUMBA_CACHE_DIR`` to choose the folder.

    Returns
    -------
    numba.core.dispatcher.Dispatcher or Kernel

    Notes
    -----
    Division by zero gives infinity as in NumPy. There is no ``fastmath``, so sums keep their order.
    Arrays are passed as vectors (`vector`) and structures by address (`structure`): the caller
    keeps them alive. A kernel that would allocate an array does not compile.

    Numba removes the branch of ``if x is None`` where `x` is an argument whose type is None's, so
    optional features cost nothing to compile or to run when they are not used. If `x` is not None,
    both branches are compiled.
    """
    if function is None:
        return lambda function: kernel(function, entry=entry)
    if not entry:
        return Kernel(function, CALLEE)
    dispatcher = _dispatcher_of(function, ENTRY)
    dispatcher._cache = watched = _Watched(cache_of(function), dispatcher.compile)
    dispatcher.compile = watched.compile
    return dispatcher


class DirectCalls:
    """Calls of an entry kernel, without Numba's search for the types of the arguments.

    With structures, that search takes ten times as long as passing the arguments.

    Parameters
    ----------
    entry : Dispatcher
        A kernel that Python calls.
    types_of : callable
        Given the arguments, returns what their types depend on. This is not checked: arguments of
        other types would be misread.
    """

    def __init__(self, entry: Any, types_of: Callable[..., Hashable]):
        self._entry, self._types_of = entry, types_of
        self._compiled: dict[Hashable, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel, compiled for these types."""
        types = self._types_of(*arguments)
        compiled = self._compiled.get(types)
        if compiled is None:
            kinds = tuple(map(self._entry.typeof_pyval, arguments))
            compiled = self._compiled[types] = self._entry.compile(kinds)
        return compiled(*arguments)


def _dispatcher_of(function: Callable, options: dict[str, Any]) -> Any:
    """Return Numba's dispatcher, which compiles once for all numbers and all arrays of a type.

    Numba would compile again where a call has a literal 0, and for arrays that are read-only.
    """
    dispatcher = njit(**options)(function)
    template = dispatcher.get_call_template

    def generalized(arguments: Any, named: Any) -> Any:
        named = {name: _general(kind) for name, kind in named.items()}
        return template([_general(kind) for kind in arguments], named)

    dispatcher.get_call_template = generalized
    return dispatcher


def _general(kind: Any) -> Any:
    if isinstance(kind, types.Array):
        return VectorType(kind.dtype)
    return types.unliteral(kind)


def observe_compilation(context: Callable[[], AbstractContextManager[None]]) -> None:
    """Compile in a context, from now on: entered when a compilation begins, left when it ends.

    Only for kernels whose code is not on disk, and will be saved there: by this process, or by
    another one that this process waits for.
    """
    _contexts.append(context)


_contexts: list[Callable[[], AbstractContextManager[None]]] = []


class _Watched:
    """The cache of an entry point, which prepares for compiling what is not on disk."""

    def __init__(self, cache: Any, compile: Callable[[Any], Any]):
        self._cache, self._compile = cache, compile
        self._until_compiled = contextlib.ExitStack()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def compile(self, signature: Any) -> Any:
        """Do what the dispatcher's `compile` does: load the code, or compile and save it."""
        with global_compiler_lock, self._until_compiled:  # one thread at a time
            return self._compile(signature)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled code of a signature, or None if this process must compile it.

        Until `compile` returns, other processes that need the same code wait, and there is no
        garbage collection: Numba makes millions of objects and keeps most.
        """
        loaded, stack = self._cache.load_overload(signature, target), self._until_compiled
        if loaded is None and self._cache.is_kept:
            for context in _contexts:
                stack.enter_context(context())
            stack.enter_context(self._cache.lock(signature, target))  # waits
            loaded = self._cache.load_overload(signature, target)
        if loaded is None and gc.isenabled():
            stack.callback(gc.enable)
            gc.disable()
        return loaded
