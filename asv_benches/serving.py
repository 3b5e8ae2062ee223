"""The processes that run benchmarks for `paired.py`, each for one version of the package.

Run as a script, it answers lines on standard input with lines on standard output, in JSON. It
imports nothing but the package and the benchmarks of that version.
"""

import importlib
import itertools
import json
import os
import pkgutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Version(NamedTuple):
    """A version of the package, and the benchmarks that run against it."""

    name: str
    package: Path  # the folder with `fastmlp`
    suite: Path  # the folder with `benchmarks`


def find_benchmarks():
    """Return {title: (module, class, method, params)} of all timed benchmarks, and errors.

    The errors are those of modules that cannot be imported, by the module's name.
    """
    import benchmarks

    found, errors = {}, {}
    for module in pkgutil.iter_modules(benchmarks.__path__):
        try:
            source = importlib.import_module(f"benchmarks.{module.name}")
        except Exception as error:
            errors[module.name] = f"{type(error).__name__}: {error}"
            continue
        for name, kind in vars(source).items():
            if getattr(kind, "__module__", None) != source.__name__ or name.startswith("_"):
                continue
            for method in [m for m in dir(kind) if m.startswith("time_")]:
                for params in itertools.product(*kind.params):
                    title = f"{module.name}.{name}.{method}({', '.join(map(str, params))})"
                    found[title] = source, name, method, params
    return found, errors


class Turns:
    """One benchmark, set up in this process."""

    def __init__(self, benchmark, look):
        source, name, method, self.params = benchmark
        self.case = getattr(source, name)()
        self.case.setup(*self.params)
        if PROCESSORS:
            # Processors differ: both versions use the same one, and the next look another.
            threads = dict(zip(self.case.param_names, self.params, strict=True)).get("n_threads", 1)
            one = PROCESSORS[look % len(PROCESSORS)]
            os.sched_setaffinity(0, PROCESSORS if threads > 1 else [one])
        self.run = partial(getattr(self.case, method), *self.params)
        self.take()

    def take(self):
        """Return the seconds of a turn."""
        began = time.perf_counter()
        self.run()
        return time.perf_counter() - began

    def close(self):
        """Undo the set-up."""
        getattr(self.case, "teardown", lambda *params: None)(*self.params)


def serve(package, suite):
    """Answer messages on standard input.

    ``"list"``: the titles of all benchmarks, and the errors of modules that cannot be imported.
    ``[title, look]``: set up a benchmark, and take a turn. ``n``: take n more turns. The answer is
    a list of the seconds of each turn, or the message of an error.
    """
    import benchmarks

    import fastmlp

    for module, folder in ((fastmlp, package), (benchmarks, suite)):
        if not Path(module.__file__).is_relative_to(folder):
            raise ImportError(f"found {module.__file__}, not {module.__name__} in {folder}")
    answers, sys.stdout = sys.stdout, sys.stderr
    found, errors = find_benchmarks()
    turns = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if message == "list":
                answer = [list(found), errors]
            elif isinstance(message, int):
                answer = [turns.take() for _ in range(message)]
            else:
                if turns is not None:
                    turns.close()
                title, look = message
                turns = Turns(found[title], look)
                answer = [turns.take()]
        except Exception as error:
            answer, turns = f"{type(error).__name__}: {error}", None
        print(json.dumps(answer), file=answers, flush=True)


class Server:
    """A process that runs the benchmarks of a version."""

    def __init__(self, version):
        folders = str(version.package), str(version.suite)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(folders),
            "NUMBA_CACHE_DIR": str(version.package / "numba-cache"),
        }
        self.process = subprocess.Popen(
            # -P: the folder of this script contains the benchmarks of another version.
            [sys.executable, "-P", __file__, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def tell(self, message):
        """Send a message, see `serve`."""
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """Wait for the answer to the last message."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process that runs benchmarks ended with {self.process.wait()}")
        return json.loads(line)

    def take(self):
        """Return the seconds of a turn."""
        self.tell(1)
        return self.answer()[0]

    def close(self):
        """End the process."""
        with self.process:
            self.process.stdin.close()


if __name__ == "__main__":
    serve(*sys.argv[1:])
