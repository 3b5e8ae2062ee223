"""Numba's compiler, without the parts that kernels do not need.

A kernel owns no memory, raises no exception and is called by other kernels, or is one of a few
entry points. Most of Numba's compile time supports functions that differ in this.
"""

from __future__ import annotations

import contextlib
import operator
import signal
import threading
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Self

from llvmlite import binding as llvm
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.ir_utils import build_definitions
from numba.core.lowering import Lower
from numba.core.ssa import reconstruct_ssa
from numba.core.transforms import canonicalize_cfg
from numba.core.typed_passes import NativeLowering, PreLowerStripPhis
from numba.core.untyped_passes import IRProcessing, ReconstructSSA


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Let signals with a Python handler wait for the end of this context.

    It is for C code that calls Python: what a handler such as Ctrl-C's raises there is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in signal.valid_signals()}
    handlers = {number: handler for number, handler in found.items() if callable(handler)}
    arrived: list[int] = []

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    try:
        try:
            for number in handlers:
                signal.signal(number, lambda number, _: arrived.append(number))
            yield
        finally:
            restore()
    finally:
        restore()  # in case an interrupt ended the first
        for each in arrived:
            signal.raise_signal(each)


class Library(JITCodeLibrary):
    """The code of a kernel that Python calls, with that of all kernels below it."""

    def __init__(self, codegen: Any):
        super().__init__(codegen, "fastmlp")
        self.enable_object_caching()

    @classmethod
    def of_machine_code(cls, codegen: Any, code: bytes, called: Iterable[str]) -> Self:
        """Return a library of what `machine_code` returned; Python calls the functions `called`."""
        library = cls(codegen)
        library._set_compiled_object(code)
        library._finalize_final_module()
        codegen._engine._defined_symbols.update(called)
        return library

    def machine_code(self) -> bytes:
        """Return the object file that LLVM has generated."""
        return self._get_compiled_object()

    def _optimize_functions(self, module: Any) -> None:
        """Do nothing: see `_optimize_final_module`."""
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Link all kernels below this one, optimize and generate machine code."""
        _link_below(self, self._final_module)
        self._linking_libraries: list[Any] = []
        super().finalize()

    def _finalize_specific(self) -> None:
        """Generate or load machine code. LLVM passes it to functions that may not raise."""
        with _signals_deferred():
            super()._finalize_specific()

    def _optimize_final_module(self) -> None:
        """Optimize once. Numba would first look for references to count, which kernels have not."""
        made = self._codegen._module_pass_manager(opt=2)
        passes, *builder = made if isinstance(made, tuple) else (made,)  # alone before Numba 0.62
        passes.run(self._final_module, *builder)


class _Linked(JITCodeLibrary):
    """The code of a kernel that is only called by kernels.

    Numba would link and optimize it, and generate machine code, here and again in every caller.
    Only the library of the entry point does that now, once.
    """

    def __init__(self, codegen: Any):
        super().__init__(codegen, "fastmlp")
        self._shared_module: Any = None

    def _optimize_functions(self, module: Any) -> None:
        """Do nothing: the entry point optimizes everything that it links."""
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Let every module that links this one have a copy."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """Return the module with all below it, for functions that are not kernels."""
        self._ensure_finalized()
        if self._shared_module is None:
            self._shared_module = self._final_module.clone()
            _link_below(self, self._shared_module)
        return self._shared_module

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


def _link_below(library: Any, module: Any) -> None:
    """Link into a module all that a library calls, directly or not, each once."""
    found: dict[Any, None] = {}

    def collect(library: Any) -> None:
        for linked in library._linking_libraries:
            if linked not in found:
                found[linked] = None
                if isinstance(linked, _Linked):
                    collect(linked)

    collect(library)
    for linked in found:
        of_kernel = isinstance(linked, _Linked)
        part = linked._final_module if of_kernel else linked._get_module_for_linking()
        module.link_in(part, preserve=True)


#: Passes of Numba's compiler that change nothing in kernels, by the names of their classes.
UNUSED_PASSES = {
    "WithLifting", "InlineClosureLikes", "RewriteDynamicRaises", "MakeFunctionToJitFunction",
    "InlineInlinables", "FindLiterallyCalls", "LiteralUnroll", "LiteralPropagationSubPipelinePass",
    "GenericRewrites", "InlineOverloads", "NopythonRewrites", "NoPythonSupportedFeatureValidation",
    "AnnotateTypes", "DumpParforDiagnostics", "IRLegalization",
}  # fmt: skip


class _Typing:
    """Numba's typing context, which remembers globals, and what functions return.

    Numba tries the implementations of ``+`` one by one for each sum of two integers, and makes an
    error message for each use of a function before it looks up what that is.
    """

    known: dict[tuple[Any, ...], Any] = {}
    named: dict[Any, Any] = {}

    def __init__(self, context: Any):
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, arguments: Any, named: Any) -> Any:
        """Return the signature of a call with arguments of these types."""
        if named or isinstance(function, types.Dispatcher):
            return self._context.resolve_function_type(function, arguments, named)
        key = function, tuple(arguments)
        signature = self.known.get(key)
        if signature is None:
            signature = self._context.resolve_function_type(function, arguments, named)
            self.known[key] = signature
        return signature

    def resolve_value_type(self, value: Any) -> Any:
        """Return the type of a global or a constant."""
        if not (callable(value) or isinstance(value, ModuleType)):
            return self._context.resolve_value_type(value)
        if value not in self.named:
            self.named[value] = self._context.resolve_value_type(value)
        return self.named[value]

    def resolve_getitem(self, target: Any, index: Any) -> Any:
        """Return the signature of ``target[index]``."""
        return self.resolve_function_type(operator.getitem, (target, index), {})

    def resolve_setitem(self, target: Any, index: Any, value: Any) -> Any:
        """Return the signature of ``target[index] = value``."""
        return self.resolve_function_type(operator.setitem, (target, index, value), {})


class _Lower(Lower):
    """Translation of a typed kernel into LLVM's language, without reference counts.

    Numba reads the old value of a variable before it stores a new one, and clears a variable after
    its last use, to count references to memory that it manages. That is 15 % of all instructions.
    """

    operators: dict[tuple[Any, ...], Any] = {}

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

    def lower_binop(self, result: Any, expression: Any, function: Any) -> Any:
        """Apply an operator. Numba would first look for an implementation for constants."""
        signature, operands = self.fndesc.calltypes[expression], (expression.lhs, expression.rhs)
        return self._operate(function, signature, operands, result)

    def lower_getitem(
        self, result: Any, expression: Any, value: Any, index: Any, signature: Any
    ) -> Any:
        """Return an element or a slice of a vector."""
        return self._operate(operator.getitem, signature, (value, index), result)

    def _operate(self, function: Any, signature: Any, operands: Any, result: Any) -> Any:
        """Apply an operator, whose implementation for these types is looked up once."""
        key = function, signature.args
        if key not in self.operators:
            typing_context = self.context.typing_context
            kind = typing_context.resolve_value_type(function)
            self.operators[key] = kind, kind.get_call_type(typing_context, signature.args, {})
        write = self.context.get_function(*self.operators[key])
        pairs = zip(operands, signature.args, strict=True)
        value = write(self.builder, [self._cast_var(operand, kind) for operand, kind in pairs])
        return self.context.cast(self.builder, value, signature.return_type, result)


# Numba's passes after which it would find out where variables live, three times for each kernel:
# only reference counts need that.


@register_pass(mutates_CFG=True, analysis_only=False)
class _Canonical(IRProcessing):
    _name = "fastmlp_canonical"

    def run_pass(self, state: Any) -> bool:
        state.func_ir.blocks = canonicalize_cfg(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _SingleAssignment(ReconstructSSA):
    _name = "fastmlp_single_assignment"

    def run_pass(self, state: Any) -> bool:
        state.func_ir = reconstruct_ssa(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _WithoutPhis(PreLowerStripPhis):
    _name = "fastmlp_without_phis"

    def run_pass(self, state: Any) -> bool:
        state.func_ir = self._strip_phi_nodes(state.func_ir)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    _name = "fastmlp_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower


REPLACED_PASSES = {
    IRProcessing: _Canonical,
    NativeLowering: _Lowering,
    PreLowerStripPhis: _WithoutPhis,
    ReconstructSSA: _SingleAssignment,
}


class _Compiler(Compiler):
    """Numba's compiler without the passes that kernels do not need."""

    library = Library

    def __init__(self, typingctx: Any, targetctx: Any, library: Any, *rest: Any):
        super().__init__(
            _Typing(typingctx), targetctx, library or self.library(targetctx.codegen()), *rest
        )

    def define_pipelines(self) -> list[Any]:
        """Return the only pipeline."""
        manager = PassManager("fastmlp")
        for done, why in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if done.__name__ not in UNUSED_PASSES:
                manager.add_pass(REPLACED_PASSES.get(done, done), why)
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
