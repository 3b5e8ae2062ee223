"""What fastmlp uses of other packages without their promise that it stays.

scikit-learn has no public module for the checks of parameters, nor for what an estimator with
callbacks calls; Numba has none for compiling and caching (its public part is `numba.extending`).
Each such name is imported in one module only, and a new version that moves one fails here.
"""

import ast
import importlib
import inspect
import threading
from numbers import Integral
from pathlib import Path

import numba
import numpy as np
import pytest
import sklearn
from numba.core.compiler import DefaultPassBuilder
from numba.core.registry import cpu_target
from sklearn.base import BaseEstimator

import fastmlp
from fastmlp.core.machine import code_cache, compiler
from fastmlp.random_sources import is_at, lock_of, random_position, return_to_position
from fastmlp.sklearn import constraints, fit_tasks, parameters

PACKAGE = Path(fastmlp.__file__).parent
PUBLIC = {
    "numba", "numba.types", "numba.extending", "llvmlite.ir", "llvmlite.binding",
    "numba.core.cgutils", "numba.core.config",  # used in Numba's guide to extending it
}  # fmt: skip
#: Modules of others that are not public, by the module of fastmlp that imports them.
MODULES = {
    "sklearn/constraints.py": {"sklearn.utils._param_validation"},
    "core/machine/code_cache.py": {
        "numba.core.caching", "numba.core.compiler", "numba.misc.appdirs",
    },
    "core/machine/compiler.py": {
        "numba.core.codegen", "numba.core.compiler", "numba.core.compiler_machinery",
        "numba.core.ir_utils", "numba.core.lowering", "numba.core.ssa", "numba.core.transforms",
        "numba.core.typed_passes", "numba.core.untyped_passes",
    },
    "core/machine/kernel.py": {"numba.core.compiler_lock"},
    "core/machine/processor.py": {"numba.core.codegen"},
    "core/machine/structure.py": {"numba.core.imputils", "numba.core.typing.templates"},
    "core/machine/tile_code.py": {"numba.core.imputils"},
    "core/machine/vector.py": {"numba.core.imputils", "numba.core.typing.templates"},
}  # fmt: skip


def imported(path):
    """Yield the modules and names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def private(module, name):
    """Return the private module or name that an import takes from another package; "" for none."""
    package, whole = module.partition(".")[0], f"{module}.{name}"
    if package in ("numba", "llvmlite"):
        return "" if {module, whole} & PUBLIC else module
    is_private = any(part.startswith("_") for part in whole.split("."))
    return module if is_private and package in ("sklearn", "scipy", "numpy", "pandas") else ""


def test_no_other_module_imports_private_names():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        names = {private(*each) for each in imported(path)} - {""}
        if names:
            found[path.relative_to(PACKAGE).as_posix()] = names
    assert found == MODULES


# scikit-learn and NumPy ---------------------------------------------------------------------------


def test_scikit_learn_checks_parameters_as_before():
    where = f"scikit-learn {sklearn.__version__} has changed what sklearn/constraints.py uses"

    class Estimator(BaseEstimator):
        _parameter_constraints = {
            "n": [
                constraints.Interval(Integral, 1, None, closed="left"),
                constraints.StrOptions({"auto"}),
                constraints.Options(float, {np.inf}),
            ]
        }

        def __init__(self, n):
            self.n = n

    assert callable(getattr(BaseEstimator, "_validate_params", None)), where
    for n in (1, "auto", np.inf):
        parameters.check(Estimator(n))
    for n in (0, "other", 1.5):
        with pytest.raises(ValueError, match="'n' parameter of Estimator must be an int"):
            parameters.check(Estimator(n))


def test_scikit_learn_calls_callbacks_as_before():
    pytest.importorskip("sklearn.callback", reason="since scikit-learn 1.9")
    mixin = fit_tasks.CallbackSupportMixin
    where = f"scikit-learn {sklearn.__version__} has changed what sklearn/fit_tasks.py uses"
    assert "max_subtasks" in inspect.signature(mixin._init_callback_context).parameters, where
    context = importlib.import_module("sklearn.callback").CallbackContext
    for name in ("subcontext", "call_on_fit_task_begin", "call_on_fit_task_end"):
        assert hasattr(context, name), where


def test_numpy_s_sources_have_their_bit_generators():
    source = np.random.RandomState(0)
    where = f"NumPy {np.__version__} has changed what random_sources.py uses"
    assert isinstance(getattr(source, "_bit_generator", None), np.random.BitGenerator), where
    found = []

    def go_back():
        with lock_of(source):  # which NumPy 1 does not give twice
            position = random_position(source)
            return_to_position(source, position)
            found.append(is_at(source, position))

    thread = threading.Thread(target=go_back, daemon=True)
    thread.start()
    thread.join(30)
    assert found == [True], where


# Numba --------------------------------------------------------------------------------------------

NUMBA = f"Numba {numba.__version__} has changed what core/machine uses"
#: What does not override anything of Numba's.
OWN = {
    "of_machine_code", "machine_code", "library", "operators", "is_kept", "lock", "set_env",
    "_operate", "_file_name", "_shared_module",
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        code_cache._Folder, code_cache._InFolder, code_cache._Entries, code_cache._Cache,
        compiler.Library, compiler._Linked, compiler._Lower, compiler._Compiler,
        *compiler.REPLACED_PASSES.values(),
    ],
    ids=lambda kind: kind.__name__,
)  # fmt: skip
def test_numba_calls_what_is_overridden(kind):
    """A method that Numba calls by another name would no longer do anything."""
    *_, base = (each for each in reversed(kind.__mro__) if each.__module__.startswith("numba."))
    named = {name for name in vars(kind) if not name.startswith("__")} - OWN
    assert {name for name in named if not hasattr(base, name)} == set(), NUMBA


def test_numba_has_the_passes_that_are_left_out_or_replaced():
    class State:
        flags, func_ir = numba.core.compiler.Flags(), None

    pipeline = DefaultPassBuilder.define_nopython_pipeline(State).passes
    names = {done.__name__ for done, _ in pipeline}
    assert compiler.UNUSED_PASSES <= names, NUMBA
    assert {done.__name__ for done in compiler.REPLACED_PASSES} <= names, NUMBA


def test_numba_s_objects_have_what_is_used_of_them():
    used = {
        code_cache.FunctionCache: ("_load_overload", "save_overload"),
        code_cache.IndexDataCacheFile: ("_open_for_write", "_dump"),
        code_cache._CacheLocator: ("get_suitable_cache_subpath", "ensure_cache_path"),
        compiler.JITCodeLibrary: (
            "enable_object_caching", "_set_compiled_object", "_get_compiled_object",
            "_finalize_final_module", "_ensure_finalized",
        ),
        compiler.Lower: ("_cast_var", "_alloca_var", "getvar", "typeof"),
        compiler.PreLowerStripPhis: ("_strip_phi_nodes",),
        type(cpu_target.target_context.codegen()): (
            "_module_pass_manager", "magic_tuple", "set_env",
        ),
        type(numba.njit(private)): ("get_call_template", "typeof_pyval", "compile"),
    }  # fmt: skip
    for kind, names in used.items():
        for name in names:
            assert hasattr(kind, name), f"{NUMBA}: {kind.__name__}.{name}"
    assert hasattr(cpu_target.target_context.codegen()._engine, "_defined_symbols"), NUMBA
    assert hasattr(numba.njit(private), "_cache"), NUMBA
