"""What all workers must have in common, because bits depend on it.

That is versions, and whether the processor has fused multiply-add, as nearly all have. Bits do not
depend on the width of its vectors, nor on the versions of Python, NumPy and Dask: random streams of
`numpy.random.RandomState` are frozen, and all other arithmetic of parameters is compiled by Numba
or rounds element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

PACKAGES = ("fastmlp", "numba", "llvmlite")
FUSED = "fused multiply-add"


class OtherVersion(RuntimeError):
    """A worker, or the scheduler, has another version of a package."""


def here() -> dict[str, str | None]:
    """Return those of this process."""
    return probe()()


def probe() -> Callable[[], dict[str, str | None]]:
    """Return a function that returns them, for workers that may not have fastmlp.

    It goes to them as code, because it is not a name in a module.
    """
    names, fused = PACKAGES, FUSED

    def versions() -> dict[str, str | None]:
        import importlib

        found: dict[str, str | None] = {}
        for name in names:
            try:
                found[name] = str(importlib.import_module(name).__version__)
            except Exception:
                found[name] = None
        if found["fastmlp"] is not None:
            from fastmlp.core.machine import processor

            found[fused] = str(processor.FUSED)
        return found

    return versions


def check(where: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise an error if they differ from those of the client."""
    for name in PACKAGES:
        if theirs.get(name) != ours[name]:
            version = theirs.get(name)
            found = f"no {name}" if version is None else f"{name} {version}"
            raise OtherVersion(
                f"{where} has {found}, and this process has {name} {ours[name]}: the same version "
                "must be installed everywhere"
            )
    if theirs[FUSED] != ours[FUSED]:
        has = {"True": "has", "False": "does not have"}
        raise OtherVersion(
            f"the processor of {where} {has[theirs[FUSED]]} {FUSED}, and that of this process "
            f"{has[ours[FUSED]]}: results would differ in their last bits"
        )
