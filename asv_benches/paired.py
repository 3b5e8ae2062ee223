"""Time two versions of the package benchmark by benchmark, in turn, and name what became slower.

    python asv_benches/paired.py main                    # the work tree's HEAD against main
    python asv_benches/paired.py v0.1.0 HEAD --bench kernels

Every `time_` benchmark of this folder runs against both versions, each in a process of its own: a
turn of the one, a turn of the other, and so on, so that what happens to the machine happens to
both. Such a pair of processes is a look. Where a process's code and data happen to lie, and where
its threads run, makes its turns slower for as long as it lives. So two ratios must agree that a
benchmark is slower: that of the quickest turns that either version had in any look, and the median
over the looks of the ratio of their quickest turns. A benchmark that exceeds the factor in both is
looked at again, and counts as slower if no further look brings one of them below.

Ends with 0 where nothing is slower, with 1 where something is, or where the second version cannot
run a benchmark. One that only the first cannot run, for what it calls is new, is told of.
"""

import argparse
import importlib
import io
import itertools
import json
import math
import os
import pkgutil
import re
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).parent
VERSIONS = HERE / "env" / "paired"  # packages of commits, with what was compiled of them
# Why these: see README.md, where the table of selftest.py stands.
FACTOR = 1.05
LOOKS = 3  # in a round
ROUNDS = 5  # of looks, all but the first only at what exceeded the factor so far
SECONDS = 0.25  # for the turns of one benchmark in one look
FEWEST, MOST = 8, 100  # turns


def find_benchmarks(pattern=""):
    """Return [module, class, method, params] of each timed benchmark whose title matches."""
    import benchmarks

    found = []
    for module in pkgutil.iter_modules(benchmarks.__path__):
        source = importlib.import_module(f"benchmarks.{module.name}")
        for name, kind in vars(source).items():
            if getattr(kind, "__module__", None) != source.__name__ or name.startswith("_"):
                continue
            for method in [m for m in dir(kind) if m.startswith("time_")]:
                for params in itertools.product(*kind.params):
                    benchmark = [module.name, name, method, list(params)]
                    if re.search(pattern, title(benchmark)):
                        found.append(benchmark)
    return found


def title(benchmark):
    """Return what a benchmark is called in the table."""
    module, name, method, params = benchmark
    return f"{module}.{name}.{method}({', '.join(map(str, params))})"


class Turns:
    """One benchmark, set up in this process."""

    def __init__(self, benchmark, look):
        module, name, self.method, self.params = benchmark
        self.case = getattr(importlib.import_module(f"benchmarks.{module}"), name)()
        self.case.setup(*self.params)
        if hasattr(os, "sched_setaffinity"):
            # Both versions on one processor, for no two are alike; another one in the next look.
            threads = dict(zip(self.case.param_names, self.params, strict=True)).get("n_threads", 1)
            one = PROCESSORS[look % len(PROCESSORS)]
            os.sched_setaffinity(0, PROCESSORS if threads > 1 else [one])
        self.take()

    def take(self):
        """Return the seconds of a turn."""
        run = getattr(self.case, self.method)
        began = time.perf_counter()
        run(*self.params)
        return time.perf_counter() - began

    def close(self):
        """Undo what setting up did."""
        getattr(self.case, "teardown", lambda *params: None)(*self.params)


PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def serve(folder):
    """Answer lines on standard input: [benchmark, look] sets up and times once, "take" again.

    The answer is text where the benchmark cannot be run.
    """
    import fastmlp

    if not Path(fastmlp.__file__).is_relative_to(folder):
        raise ImportError(f"found {fastmlp.__file__}, not the package in {folder}")
    answers, sys.stdout = sys.stdout, sys.stderr
    turns = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if message != "take":
                if turns is not None:
                    turns.close()
                turns = Turns(*message)
            answer = turns.take()
        except Exception as error:
            answer, turns = f"{type(error).__name__}: {error}", None
        print(json.dumps(answer), file=answers, flush=True)


class Server:
    """A process that runs benchmarks against the package in `folder`."""

    def __init__(self, folder):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), str(HERE)]),
            "NUMBA_CACHE_DIR": str(Path(folder) / "numba-cache"),
        }
        self.process = subprocess.Popen(
            # -P: the working folder may hold a package of the same name.
            [sys.executable, "-P", "-c", f"import paired; paired.serve({str(folder)!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def tell(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process that runs benchmarks ended with {self.process.wait()}")
        return json.loads(line)

    def close(self):
        with self.process:
            self.process.stdin.close()


def look_at(folders, benchmarks, look, turns, failures):
    """Run the benchmarks once more, in new processes.

    Appends to ``turns[title]`` the seconds of each version's turns; where a version cannot run a
    benchmark, ``failures[title]`` becomes what each of them said, None of the one that can.
    """
    servers = [Server(folder) for folder in folders]
    for benchmark in benchmarks:
        for server in servers:  # together: the first time each compiles
            server.tell([benchmark, look])
        answers = [server.answer() for server in servers]
        errors = [answer if isinstance(answer, str) else None for answer in answers]
        if any(errors):
            if not all(error and error.startswith("NotImplementedError") for error in errors):
                failures[title(benchmark)] = errors
            continue
        seconds = ([], [])
        n = min(MOST, max(FEWEST, round(SECONDS / sum(answers))))
        for i in range(n):
            for side in (0, 1) if i % 2 else (1, 0):  # no version always goes first
                servers[side].tell("take")
                seconds[side].append(servers[side].answer())
        turns.setdefault(title(benchmark), []).append(seconds)
    for server in servers:
        server.close()


def ratio_of(looks):
    """Return how many times as long the second version takes as the first.

    By the quickest turn of either in all looks, and by the median look's: what is nearer to 1.
    """
    quickest = [(min(base), min(head)) for base, head in looks]
    bases, heads = zip(*quickest, strict=True)
    overall = min(heads) / min(bases)
    median = statistics.median(head / base for base, head in quickest)
    return min(overall, median, key=lambda ratio: abs(math.log(ratio)))


def compare(folders, benchmarks, factor=FACTOR, report=lambda text: None):
    """Return the turns of each benchmark, look by look, and the failures: see `look_at`.

    Looked at again is whatever exceeds the factor: what still does at the end is slower.
    """
    turns, failures, suspects = {}, {}, benchmarks
    for look in range(ROUNDS * LOOKS):
        if look >= LOOKS and look % LOOKS == 0:
            suspects = [b for b in suspects if title(b) in slower(turns, factor)]
        if not suspects:
            break
        report(f"look {look + 1}: {len(suspects)} benchmarks")
        look_at(folders, suspects, look, turns, failures)
    return turns, failures


def slower(turns, factor):
    """Return the titles whose ratio exceeds the factor."""
    return [name for name, looks in turns.items() if ratio_of(looks) > factor]


def export(revision):
    """Return a folder with the package as it is in a git revision, written if it is not there."""
    name = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    folder = VERSIONS / name
    if not (folder / "fastmlp").exists():
        archive = git("archive", name, "fastmlp")
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
    return folder


def git(*arguments):
    """Return what a git command of this repository prints."""
    return subprocess.run(
        ["git", *arguments], cwd=HERE.parent, check=True, stdout=subprocess.PIPE
    ).stdout


def table(turns, failures, factor, names):
    """Return the comparison as Markdown: what differs by more than the factor, worst first."""
    ratios = {name: ratio_of(looks) for name, looks in turns.items()}
    rows = [
        f"| {name} | {ratio:.3f} | {'slower' if ratio > 1 else 'faster'} |"
        for name, ratio in sorted(ratios.items(), key=lambda item: -item[1])
        if ratio > factor or ratio < 1 / factor
    ]
    errors = {}
    for name, (base_error, head_error) in failures.items():
        error = f"{names[1]}: {head_error}" if head_error else f"{names[0]}: {base_error}"
        errors.setdefault(error[:120], []).append(name)
    for error, failed in errors.items():
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        rows.append(f"| {failed[0]}{others} | | {error} |")
    head = [f"| benchmark | {names[1]} / {names[0]} | |", "|---|---:|---|"] if rows else []
    n_slower = len(slower(turns, factor))
    summary = f"{len(turns)} benchmarks compared, {n_slower} more than {factor} times as long"
    return "\n".join([*head, *rows, "", summary])


def parse_pattern(text):
    """Return a regular expression."""
    try:
        return re.compile(text).pattern
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def parse_factor(text):
    """Return a number above 1."""
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 1 < factor < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 1, like {FACTOR}")
    return factor


def parse_file(text):
    """Return the path of a file to write, whose folder is there."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no file in a folder that is there")
    return path


def main():
    """Compare, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="a git revision")
    parser.add_argument("head", nargs="?", default="HEAD", help="a git revision")
    parser.add_argument(
        "--bench", type=parse_pattern, default="", help="a regular expression of titles"
    )
    parser.add_argument("--factor", type=parse_factor, default=FACTOR)
    parser.add_argument("--write", type=parse_file, help="a file for the table, as Markdown")
    parser.add_argument("--save", type=parse_file, help="a file for all the seconds, as JSON")
    arguments = parser.parse_args()
    names, folders = (arguments.base, arguments.head), []
    for argument, revision in zip(("base", "head"), names, strict=True):
        try:
            folders.append(export(revision))
        except subprocess.CalledProcessError:
            parser.error(f"{argument} is {revision!r}, which is no commit that git knows here")
    benchmarks = find_benchmarks(arguments.bench)
    if not benchmarks:
        parser.error(f"--bench is {arguments.bench!r}, which no benchmark's title matches")

    turns, failures = compare(
        folders,
        benchmarks,
        arguments.factor,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    text = table(turns, failures, arguments.factor, names)
    print(text)
    if arguments.save:
        arguments.save.write_text(json.dumps(turns))
    if arguments.write:
        arguments.write.write_text(text + "\n")
    broken = any(head_error for _, head_error in failures.values())
    return int(broken or bool(slower(turns, arguments.factor)))


if __name__ == "__main__":
    sys.exit(main())
