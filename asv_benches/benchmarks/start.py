"""How long a new process takes to its first result, with and without compiled code on disk."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from . import first_call
from .timed import interleave

FILLED = "filled"  # the folder with all compiled code, in asv's temporary folder
ROUNDS = 7


def first_call_seconds(what, cache):
    """Return the seconds of a first call in a new process, and those of its processor.

    `cache` is the folder for compiled code.
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    # Byte code must be on disk too; otherwise its compilation would be timed.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, first_call.__file__, what],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return tuple(map(float, done.stdout.split()))


class Start:
    """Guards the start-up: compilation is quick, its cache is found and small, import is light."""

    unit = "seconds"
    timeout = 300

    def setup_cache(self):
        """Fill the cache; return the processor's seconds for compiling each class, and its size."""
        used = {}
        for what in ("fit", "MLP", "MLP after fit"):
            with tempfile.TemporaryDirectory() as cache:
                _, used[what] = first_call_seconds(what, cache)
                files = Path(cache).rglob("*.nbc")
                used["bytes"] = sum(path.stat().st_size for path in files)  # of both, at last
                if what == "MLP after fit":
                    first_call_seconds("trivial", cache)
                    shutil.copytree(cache, FILLED)
        return used

    setup_cache.timeout = 300

    def track_compiling_net(self, used):
        return used["fit"]

    def track_compiling_mlp(self, used):
        return used["MLP"]

    def track_compiling_mlp_after_net(self, used):
        return used["MLP after fit"]

    def track_cache_size(self, used):
        return used["bytes"]

    track_cache_size.unit = "bytes"

    def track_import_over_numba(self, used):
        return self.median_difference("import", "numba")

    def track_first_fit_over_numba(self, used):
        return self.median_difference("fit", "trivial")

    def median_difference(self, what, base):
        """Return the median of what a first call takes longer than another, in turn."""

        def turn(what):
            return first_call_seconds(what, Path(FILLED).resolve())[0]

        seconds = interleave([partial(turn, what), partial(turn, base)], ROUNDS)
        return statistics.median(a - b for a, b in zip(*seconds, strict=True))

    track_compiling_net.pretty_name = "Processor time of import and first fit of a NeuralNet"
    track_compiling_mlp.pretty_name = "Processor time of import and first fit of an MLP"
    track_compiling_mlp_after_net.pretty_name = (
        "Processor time of the first fit of an MLP after one of a NeuralNet"
    )
    track_cache_size.pretty_name = "Compiled code of a NeuralNet and an MLP on disk"
    track_import_over_numba.pretty_name = "import fastmlp and NeuralNet, less importing Numba"
    track_first_fit_over_numba.pretty_name = (
        "Import and first fit with a filled cache, less a trivial cached Numba function"
    )
