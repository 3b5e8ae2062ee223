"""Modules import only from their own layer or lower ones, and importing compiles nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastmlp"

#: Modules, or packages for all that is in them, from the lowest floor up. A module may import from
#: its own floor and from those below.
FLOORS = [
    ("argument_types", "messages", "core.machine"),
    ("core.maths",),
    ("core.inputs",),
    ("core.equations",),
    ("core",),
    ("validation",),
    (
        "callbacks", "datasets", "initializers", "losses", "metrics", "optimizers", "options",
        "parameter_views", "random_sources", "schedules", "serialization", "settings", "tables",
    ),
    ("exchange", "training"),
    ("base", "mlp", "neural_net"),
    ("command_line", "dask", "loading", "many", "plotting", "sklearn", "__main__"),
]  # fmt: skip
#: Apart from the floors: these import nothing of the rest of fastmlp.
ALONE = {"numpy_version"}


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
        if path.stem != "__init__":
            where = path.relative_to(PACKAGE.parent).as_posix()
            assert f"`{path.name}`]({where})" in tour or f"/{path.name}`]({where})" in tour, name


def floor_of(name):
    """Return the floor of a module: of the longest of its names in `FLOORS`, None for none."""
    floors = {part: i for i, parts in enumerate(FLOORS) for part in parts}
    while name and name not in floors:
        name = name.rpartition(".")[0]
    return floors.get(name)


def test_every_module_has_a_floor():
    names = {name for name, _ in module_names()}
    assert {name for name in names if floor_of(name) is None} == {"__init__"} | ALONE
    assert {part for parts in FLOORS for part in parts} <= names


@pytest.mark.parametrize("name", [name for name, _ in module_names() if floor_of(name) is not None])
def test_imports_go_down(name):
    for target in imported(dict(module_names())[name]):
        if target == "":  # the package itself: only for its front ends
            assert floor_of(name) == len(FLOORS) - 1
        elif target not in ALONE:
            assert floor_of(target) <= floor_of(name), f"{name} imports {target}"


@pytest.mark.parametrize("name", sorted(ALONE))
def test_what_stands_alone_imports_nothing_of_the_rest(name):
    for path in [p for n, p in module_names() if n == name]:
        assert not imported(path)


def test_the_storage_needs_numpy_alone():
    text = (PACKAGE / "core" / "storage.py").read_text()
    assert "numba" not in text and "@kernel" not in text


def test_importing_compiles_nothing_and_starts_no_thread():
    code = (
        "import threading; from numba.core import event\n"
        "with event.install_recorder('numba:compile') as compiled:\n"
        "    import fastmlp, fastmlp.sklearn\n"
        "    fastmlp.MLP, fastmlp.NeuralNet\n"
        "assert not compiled.buffer, compiled.buffer\n"
        "assert threading.active_count() == 1\n"
        "import sys; assert 'tqdm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
