"""Modules import only from their own layer or lower ones, and importing compiles nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastmlp"

#: Each module and the floor it is on; one may import from its own floor and from those below.
FLOORS = {
    "messages": 0, "core.processor": 0, "core.kernel": 0, "core.tile": 0, "core.barrier": 0,
    "core.lists": 0, "core.interrupts": 0, "core.product": 0, "core.workers": 0,
    "core.activations": 1, "core.functions": 1, "core.gaussian": 1, "core.losses": 1,
    "core.numbers": 1, "core.random_bits": 1, "core.rules": 1,
    "core.clip": 2, "core.forward": 2, "core.gather": 2, "core.norms": 2, "core.propagate": 2,
    "core.sparse": 2, "core.update": 2,
    "core.descent": 3, "core.rows_phase": 3, "core.run": 3, "core.step": 3, "core.storage": 3,
    "core.weights_phase": 3,
    "callbacks": 4, "callbacks.base": 4, "callbacks.monitors": 4, "callbacks.name_pattern": 4,
    "callbacks.writers": 4,
    "archives": 4, "checks": 4, "files": 4, "fit_data": 4, "fitting": 4, "forms": 4,
    "initializers": 4, "loading": 4, "losses": 4, "metrics": 4, "mlp": 4, "model": 4,
    "neural_net": 4, "optimizers": 4, "options": 4, "parameter_views": 4, "random_sources": 4,
    "reading": 4, "real_numbers": 4, "sample_weights": 4, "saving": 4, "schedules": 4,
    "schema": 4, "settings": 4, "sources": 4, "state": 4, "targets": 4, "training": 4,
    "image_files": 5, "splitting": 5, "commands": 5, "command_line": 5, "__main__": 5,
}  # fmt: skip
#: Apart from the floors: these import nothing of the rest of fastmlp.
ALONE = {"numpy_version", "datasets", "datasets.idx"}


def module_names():
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def imported(path):
    """Return the modules of fastmlp that the file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                names.add(whole if source_of(whole) else module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.removeprefix("fastmlp").removeprefix(".") for name in names if is_ours(name)}


def is_ours(name):
    return name == "fastmlp" or name.startswith("fastmlp.")


def source_of(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_the_tour_has_every_module():
    tour = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name, path in module_names():
        where = path.parent if path.stem == "__init__" else path
        if where.parent in (PACKAGE, PACKAGE / "core") and not path.stem.startswith("__"):
            assert f"{where.name}`" in tour, name


def test_every_module_has_a_floor():
    found = {name for name, _ in module_names()} - {"__init__", "core"}
    assert found == set(FLOORS) | ALONE


@pytest.mark.parametrize("name", FLOORS)
def test_imports_go_down(name):
    for target in imported(dict(module_names())[name]):
        if target == "":  # the package itself: for the fronts alone
            assert FLOORS[name] == 5
        elif target not in ALONE:
            assert FLOORS[target] <= FLOORS[name], f"{name} imports {target}"


@pytest.mark.parametrize("name", sorted(ALONE))
def test_what_stands_alone_imports_nothing_of_the_rest(name):
    for path in [p for n, p in module_names() if n == name]:
        assert imported(path) <= {"datasets.idx"}


def test_the_storage_needs_numpy_alone():
    text = (PACKAGE / "core" / "storage.py").read_text()
    assert "numba" not in text and "@kernel" not in text


def test_importing_compiles_nothing_and_starts_no_thread():
    code = (
        "import threading; from numba.core import event\n"
        "with event.install_recorder('numba:compile') as compiled: import fastmlp\n"
        "assert not compiled.buffer, compiled.buffer\n"
        "assert threading.active_count() == 1\n"
        "import sys; assert 'tqdm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
