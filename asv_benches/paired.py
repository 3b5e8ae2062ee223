"""Compare two versions of the package, benchmark by benchmark, and report what became slower.

    python asv_benches/paired.py main                    # HEAD against main
    python asv_benches/paired.py v0.1.0 HEAD --bench kernels

Every `time_` benchmark runs against both versions, each in its own process, in interleaved turns,
so that drift of the machine affects both. Such a pair of processes is a look. The speed of a
process depends on where its code and data are placed and where its threads run, for as long as it
lives. So two ratios must both exceed the factor: the ratio of each version's quickest turn in all
looks, and the median over the looks of the ratio of their quickest turns. A benchmark that exceeds
the factor is measured again, round by round, and is slower if it still does in the end.

The exit code is 0 if nothing is slower, and 1 if something is or the second version cannot run a
benchmark. Benchmarks that only the first version cannot run, because they are new, are listed.
"""

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
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.timed import interleave, seconds_of
from tooling import above_one, invalid, make_parser, save

HERE = Path(__file__).parent
VERSIONS = HERE / "env" / "paired"  # the package at each commit, and its compiled code
# README.md has the measurements behind these values.
FACTOR = 1.05
LOOKS = 3  # in a round
ROUNDS = 5  # all but the first only of what exceeds the factor so far
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
    """Return the name of a benchmark in the table."""
    module, name, method, params = benchmark
    return f"{module}.{name}.{method}({', '.join(map(str, params))})"


class Turns:
    """One benchmark, set up in this process."""

    def __init__(self, benchmark, look):
        module, name, method, self.params = benchmark
        self.case = getattr(importlib.import_module(f"benchmarks.{module}"), name)()
        self.case.setup(*self.params)
        if hasattr(os, "sched_setaffinity"):
            # Processors differ: both versions use the same one, and the next look another.
            threads = dict(zip(self.case.param_names, self.params, strict=True)).get("n_threads", 1)
            one = PROCESSORS[look % len(PROCESSORS)]
            os.sched_setaffinity(0, PROCESSORS if threads > 1 else [one])
        self.run = partial(getattr(self.case, method), *self.params)
        self.take()

    def take(self):
        """Return the seconds of a turn."""
        return seconds_of(self.run)

    def close(self):
        """Undo the set-up."""
        getattr(self.case, "teardown", lambda *params: None)(*self.params)


PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def serve(folder):
    """Answer lines on standard input: [benchmark, look] sets up and takes a turn, "take" another.

    The answer is the seconds of the turn, or an error message.
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
            # -P: the working directory may contain a package of the same name.
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

    def take(self):
        self.tell("take")
        return self.answer()

    def close(self):
        with self.process:
            self.process.stdin.close()


def look_at(folders, benchmarks, look, turns, failures):
    """Run the benchmarks once more, in new processes.

    Appends the seconds of each version's turns to ``turns[title]``. If a version cannot run a
    benchmark, ``failures[title]`` becomes the error of each version, None for one that can.
    """
    servers = [Server(folder) for folder in folders]
    for benchmark in benchmarks:
        for server in servers:  # at the same time: the first time both compile
            server.tell([benchmark, look])
        answers = [server.answer() for server in servers]
        errors = [answer if isinstance(answer, str) else None for answer in answers]
        if any(errors):
            if not all(error and error.startswith("NotImplementedError") for error in errors):
                failures[title(benchmark)] = errors
            continue
        n = min(MOST, max(FEWEST, round(SECONDS / sum(answers))))
        seconds = interleave([server.take for server in servers], n, alternate=True)
        turns.setdefault(title(benchmark), []).append(seconds)
    for server in servers:
        server.close()


def ratio_of(looks):
    """Return the time of the second version over that of the first.

    Of the ratio of the quickest turns and the median ratio of the looks, the one nearer to 1.
    """
    quickest = [(min(base), min(head)) for base, head in looks]
    bases, heads = zip(*quickest, strict=True)
    overall = min(heads) / min(bases)
    median = statistics.median(head / base for base, head in quickest)
    return min(overall, median, key=lambda ratio: abs(math.log(ratio)))


def compare(folders, benchmarks, factor=FACTOR, rounds=ROUNDS, report=lambda text: None):
    """Return the turns of each benchmark, look by look, and the failures: see `look_at`.

    All rounds but the first measure only the benchmarks that exceed the factor so far.
    """
    turns, failures, suspects = {}, {}, benchmarks
    for look in range(rounds * LOOKS):
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
    """Return a folder with the package at a git revision, and write it if it does not exist.

    The package is extracted beside it and then renamed: if this is interrupted, the next call
    extracts it again.
    """
    name = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    folder = VERSIONS / name
    if not (folder / "fastmlp").exists():
        archive = git("archive", name, "fastmlp")
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder) as extracted,
            tarfile.open(fileobj=io.BytesIO(archive)) as files,
        ):
            files.extractall(extracted, filter="data")
            os.rename(Path(extracted) / "fastmlp", folder / "fastmlp")
    return folder


def git(*arguments):
    """Return the output of a git command in this repository."""
    return subprocess.run(
        ["git", *arguments], cwd=HERE.parent, check=True, stdout=subprocess.PIPE
    ).stdout


def table(turns, failures, factor, names):
    """Return a table of the benchmarks that differ by more than the factor, slowest first."""
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
    """Parse a regular expression."""
    try:
        return re.compile(text).pattern
    except re.error as error:
        raise invalid(f"a regular expression ({error})", text) from None


def main():
    """Compare, print the table, and return the exit code."""
    parser = make_parser("paired.py", __doc__, ROUNDS)
    parser.add_argument("base", help="a git revision")
    parser.add_argument("head", nargs="?", default="HEAD", help="a git revision")
    parser.add_argument(
        "--bench", type=parse_pattern, default="", help="a regular expression for benchmarks"
    )
    parser.add_argument("--factor", type=above_one, default=FACTOR, help=f"default: {FACTOR}")
    arguments = parser.parse_args()
    names, folders = (arguments.base, arguments.head), []
    for argument, revision in zip(("base", "head"), names, strict=True):
        try:
            folders.append(export(revision))
        except subprocess.CalledProcessError:
            parser.error(
                f"argument {argument}: must be a commit of this repository, got {revision!r}"
            )
    benchmarks = find_benchmarks(arguments.bench)
    if not benchmarks:
        parser.error(f"argument --bench: must match a benchmark, got {arguments.bench!r}")

    turns, failures = compare(
        folders,
        benchmarks,
        arguments.factor,
        arguments.rounds,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    text = table(turns, failures, arguments.factor, names)
    print(text)
    save(arguments, text + "\n", turns)
    broken = any(head_error for _, head_error in failures.values())
    return int(broken or bool(slower(turns, arguments.factor)))


if __name__ == "__main__":
    sys.exit(main())
