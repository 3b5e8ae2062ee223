"""A package with the real compile cache, and kernels that compile in no time."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import fastmlp
from fastmlp import messages
from fastmlp.core.machine import code_cache, compiler, file_lock, kernel, processor, vector

PACKAGE = Path(fastmlp.__file__).parent

TINY = f"""
from fastmlp.core.deep.er.part import one
from {kernel.__name__} import kernel

@kernel(entry=True)
def plus_one(x):
    return x + one()

@kernel(entry=True)
def minus_one(x):
    return x - one()
"""
PART = f"""
from {kernel.__name__} import kernel

@kernel
def one():
    return ONE
"""
#: Prints the number of compiled functions, callees included, and the last results.
CALL = """
from numba.core import event
from fastmlp.core import tiny
with event.install_recorder("numba:compile") as compiled:
    for x in (1.0,):
        results = tiny.plus_one(x), tiny.minus_one(x)
print(sum(data.is_start for _, data in compiled.buffer), *results)
"""


def write(folder, one=1):
    """Write the sources into a folder; a callee in a subfolder returns `one`."""
    files = {"core/tiny.py": TINY, "core/deep/er/part.py": PART.replace("ONE", str(one))}
    for module in (code_cache, compiler, file_lock, kernel, processor, vector, messages):
        path = Path(module.__file__)
        files[path.relative_to(PACKAGE)] = path.read_text()
    for name, text in files.items():
        file = folder / "fastmlp" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for parent in file.relative_to(folder).parents[:-1]:
            (folder / parent / "__init__.py").touch()
    return folder


def write_archive(path, one=1, compiled=False):
    """Write the sources, or only their compiled .pyc files, into an archive."""
    folder = write(path.with_suffix(".folder"), one)
    if compiled:
        subprocess.run([sys.executable, "-m", "compileall", "-qb", folder], check=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.pyc" if compiled else "*.py"):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder)
    return path


def start(place, code=CALL, **settings):
    """Start a process that runs code with the package in a folder or an archive."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    # Python takes a .pyc of a source changed within its second, and of the same size, for current.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=place.parent if place.is_file() else place,
        env={**environment, "PYTHONPATH": str(place), **settings},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    """Wait for a process; return the numbers it printed, and its standard error."""
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return [int(float(number)) for number in out.split()], errors


def call(place, code=CALL, **settings):
    """Run code with the package; return the numbers it printed."""
    return finish(start(place, code, **settings))[0]
