"""The decorator of every compiled function, and how Python calls it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

from numba import njit, types
from numba.core import config

from fastmlp.core.machine.code_cache import cache_of
from fastmlp.core.machine.compiler import CALLEE, ENTRY, JOINED
from fastmlp.core.machine.structure import Structure, part_of, type_of
from fastmlp.messages import must

if config.DISABLE_JIT:
    raise ImportError(
        must(
            "NUMBA_DISABLE_JIT",
            "be 0, because the kernels of fastmlp exist only in compiled code",
            f"{config.DISABLE_JIT}",
        )
    )


def joined(function: Callable) -> Any:
    """Compile `function` as a kernel that LLVM always inlines."""
    return njit(**JOINED)(function)


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
    numba.core.dispatcher.Dispatcher or Entry

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
    dispatcher = njit(**(ENTRY if entry else CALLEE))(function)
    _ignore_literals(dispatcher)
    if entry:
        dispatcher._cache = cache_of(function)
        return Entry(dispatcher)
    return dispatcher


def _ignore_literals(dispatcher: Any) -> None:
    """Compile once for all numbers of a type; Numba would compile anew where a call has a 0."""
    template = dispatcher.get_call_template

    def without_literals(arguments: Any, named: Any) -> Any:
        named = {name: types.unliteral(kind) for name, kind in named.items()}
        return template([types.unliteral(kind) for kind in arguments], named)

    dispatcher.get_call_template = without_literals


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Do not search for garbage meanwhile: Numba makes millions of objects and keeps most."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
        key = tuple(map(part_of, arguments))
        compiled = self._compiled.get(key)
        if compiled is None:
            signature = tuple([type_of(part) for part in key])
            with _without_garbage_collection():
                self.dispatcher.compile(signature)
            compiled = self._compiled[key] = self.dispatcher.get_overload(signature)
        return compiled(*[a.address if isinstance(a, Structure) else a for a in arguments])
