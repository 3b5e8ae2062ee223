"""How long a new process takes to its first result, with and without compiled code on disk."""

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial

from . import first_call
from .timed import interleave


def first_call_seconds(what, cache):
    """Return the seconds of a first call in a new process, with `cache` for compiled code."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    # Byte code must be on disk too; otherwise its compilation would be timed.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, first_call.__file__, what],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout)


class Start:
    """Guards the start-up: compilation is quick, its cache is found, and import is light."""

    unit = "seconds"
    timeout = 300

    def track_import(self):
        with tempfile.TemporaryDirectory() as cache:
            first_call_seconds("import", cache)
            return statistics.median(first_call_seconds("import", cache) for _ in range(5))

    def track_first_fit_compiling(self):
        seconds = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as cache:
                seconds.append(first_call_seconds("fit", cache))
        return statistics.median(seconds)

    def track_first_fit_cached(self):
        with tempfile.TemporaryDirectory() as cache:
            first_call_seconds("fit", cache)
            return statistics.median(first_call_seconds("fit", cache) for _ in range(5))

    def track_first_fit_over_numba(self):
        with tempfile.TemporaryDirectory() as cache:
            for what in ("fit", "trivial"):
                first_call_seconds(what, cache)
            turns = [partial(first_call_seconds, what, cache) for what in ("fit", "trivial")]
            return statistics.median(
                fit - trivial for fit, trivial in zip(*interleave(turns, 7), strict=True)
            )

    track_import.pretty_name = "import fastmlp, in a new process"
    track_first_fit_compiling.pretty_name = "Import and first fit, with an empty cache"
    track_first_fit_cached.pretty_name = "Import and first fit, with a filled cache"
    track_first_fit_over_numba.pretty_name = (
        "Import and first fit with a filled cache, less a trivial cached Numba function"
    )
