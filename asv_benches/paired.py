"""Compare two versions of the package, benchmark by benchmark, and report what became slower.

    python asv_benches/paired.py main                    # HEAD against main
    python asv_benches/paired.py v0.1.0 HEAD --bench kernels

Each version runs its own `time_` benchmarks, and those with the same name and parameters are
compared. So the benchmarks may change with the kernels that they call, but the work that a name
stands for must not. With `--suite REVISION` both versions run the benchmarks of that revision.

Each version runs in its own process, in interleaved turns, so that drift of the machine affects
both. Such a pair of processes is a round. The speed of a process depends on where its code and data
are placed and where its threads run, for as long as it lives. So two ratios must both exceed the
factor: the ratio of each version's quickest turn in all rounds, and the median over the rounds of
the ratio of their quickest turns. A benchmark is measured in two rounds at least, and in as many
more as it takes to be sure: see `settled`.

The exit code is 0 if nothing is slower, and 1 if something is or the second version cannot run a
benchmark. Benchmarks that only one version has are listed.
"""

import io
import math
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from benchmarks.timed import interleave
from serving import Server, Version
from tooling import above_one, invalid, make_parser, save

HERE = Path(__file__).parent
VERSIONS = HERE / "env" / "paired"  # the package at each commit, and its compiled code
# README.md has the measurements behind these values.
FACTOR = 1.05
ROUNDS = 15  # at most
AGREEING = 6  # rounds, after which a difference that all of them show is certain
SECONDS = 0.08  # for the turns of one benchmark in one round
FEWEST, MOST = 5, 40  # turns


def list_benchmarks(versions):
    """Return the titles of each version's benchmarks, and {title: error} of broken modules."""
    titles, failures = [], {}
    servers = [Server(version) for version in versions]
    for i, server in enumerate(servers):
        server.tell("list")
        found, errors = server.answer()
        titles.append(found)
        for module, error in errors.items():
            failures.setdefault(f"{module} (the module)", [None] * len(versions))[i] = error
        server.close()
    return titles, failures


def measure(versions, titles, look, turns, failures):
    """Run the benchmarks in a new process for each version: a round, the number of which is `look`.

    Appends the seconds of each version's turns to ``turns[title]``. If a version cannot run a
    benchmark, ``failures[title]`` becomes the error of each version, None for one that can.
    """
    servers = [Server(version) for version in versions]
    for title in titles:
        for server in servers:  # at the same time: the first time both compile
            server.tell([title, look])
        answers = [server.answer() for server in servers]
        errors = [answer if isinstance(answer, str) else None for answer in answers]
        if any(errors):
            failures[title] = errors
            continue
        n = min(MOST, max(FEWEST, round(SECONDS / sum(sum(answers, [])))))
        seconds = interleave([server.take for server in servers], n, alternate=True)
        turns.setdefault(title, []).append(seconds)
    for server in servers:
        server.close()


def ratios_of(looks):
    """Return the ratio of the quickest turns in each round: the second version over the first."""
    return [min(head) / min(base) for base, head in looks]


def ratio_of(looks):
    """Return the time of the second version over that of the first.

    Of the ratio of the quickest turns and the median ratio of the rounds, the one nearer to 1.
    """
    bases, heads = zip(*looks, strict=True)
    overall = min(map(min, heads)) / min(map(min, bases))
    median = statistics.median(ratios_of(looks))
    return min(overall, median, key=lambda ratio: abs(math.log(ratio)))


def settled(looks, factor):
    """Return whether a benchmark needs no more rounds.

    A difference below the factor is settled after every third round, or after two that are both
    below its square root; a larger one after `AGREEING` rounds that all exceed the factor.
    """
    ratios, n = ratios_of(looks), len(looks)
    if differs(ratio_of(looks), factor):
        same_side = max(ratios) < 1 / factor or min(ratios) > factor
        return n >= AGREEING and same_side
    return n % 3 == 0 or n == 2 and not any(differs(ratio, math.sqrt(factor)) for ratio in ratios)


def differs(ratio, factor):
    """Return whether a ratio exceeds the factor in either direction."""
    return abs(math.log(ratio)) > math.log(factor)


def compare(versions, titles, factor=FACTOR, rounds=ROUNDS, report=lambda text: None):
    """Return the turns of each benchmark, round by round, and the failures: see `measure`."""
    turns, failures, left = {}, {}, titles
    for look in range(rounds):
        if not left:
            break
        report(f"round {look + 1}: {len(left)} benchmarks")
        measure(versions, left, look, turns, failures)
        left = [t for t in left if t not in failures and not settled(turns[t], factor)]
    impossible = "NotImplementedError"  # what asv takes for parameters to skip
    for title, errors in list(failures.items()):
        if all(error and error.startswith(impossible) for error in errors):
            del failures[title]
    return turns, failures


def slower(turns, factor):
    """Return the titles whose ratio exceeds the factor."""
    return [title for title, looks in turns.items() if ratio_of(looks) > factor]


def faster(turns, factor):
    """Return the titles whose ratio is below 1 / factor."""
    return [title for title, looks in turns.items() if ratio_of(looks) < 1 / factor]


def export(revision):
    """Return a `Version` of the package and its benchmarks at a git revision.

    Their files are written if they do not exist: extracted beside the folder and then moved, so
    that an interrupted call is repeated by the next one.
    """
    commit = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    folder, parts = VERSIONS / commit, ("fastmlp", "asv_benches/benchmarks")
    if not all((folder / part).exists() for part in parts):
        archive = git("archive", commit, *parts)
        (folder / "asv_benches").mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder) as extracted,
            tarfile.open(fileobj=io.BytesIO(archive)) as files,
        ):
            files.extractall(extracted, filter="data")
            for part in parts:
                if not (folder / part).exists():
                    os.rename(Path(extracted) / part, folder / part)
    return Version(revision, folder, folder / "asv_benches")


def git(*arguments):
    """Return the output of a git command in this repository."""
    return subprocess.run(
        ["git", *arguments], cwd=HERE.parent, check=True, stdout=subprocess.PIPE
    ).stdout


def named(titles):
    """Return the first of these titles, and how many more there are."""
    return titles[0] + (f" and {len(titles) - 1} more" if len(titles) > 1 else "")


def table(turns, failures, factor, names, alone=((), ())):
    """Return a table of the benchmarks that differ by more than the factor, slowest first.

    `names` are those of the versions, and `alone` the titles that only one of them has.
    """
    ratios = {title: ratio_of(looks) for title, looks in turns.items()}
    rows = [
        f"| {title} | {ratio:.3f} | {'slower' if ratio > 1 else 'faster'} |"
        for title, ratio in sorted(ratios.items(), key=lambda item: -item[1])
        if differs(ratio, factor)
    ]
    errors = {}
    for title, (base_error, head_error) in failures.items():
        error = f"{names[1]}: {head_error}" if head_error else f"{names[0]}: {base_error}"
        errors.setdefault(error[:120], []).append(title)
    rows += [f"| {named(failed)} | | {error} |" for error, failed in errors.items()]
    head = [f"| benchmark | {names[1]} / {names[0]} | |", "|---|---:|---|"] if rows else []
    summary = [
        f"{len(turns)} benchmarks compared: {len(slower(turns, factor))} slower and "
        f"{len(faster(turns, factor))} faster by a factor of more than {factor}"
    ]
    if failures:
        summary.append(f"{len(failures)} could not run")
    for name, titles in zip(names, alone, strict=True):
        if titles:
            summary.append(f"{len(titles)} only in {name}: {named(titles)}")
    return "\n".join([*head, *rows, "", *summary])


def parse_pattern(text):
    """Parse a regular expression."""
    try:
        return re.compile(text).pattern
    except re.error as error:
        raise invalid(f"a regular expression ({error})", text) from None


def parse_arguments():
    """Return the arguments and the two versions."""
    parser = make_parser("paired.py", __doc__, ROUNDS)
    parser.add_argument("base", help="a git revision")
    parser.add_argument("head", nargs="?", default="HEAD", help="a git revision")
    parser.add_argument(
        "--bench", type=parse_pattern, default="", help="a regular expression for benchmarks"
    )
    parser.add_argument(
        "--suite", metavar="REVISION", help="run the benchmarks of this revision for both versions"
    )
    parser.add_argument("--factor", type=above_one, default=FACTOR, help=f"default: {FACTOR}")
    arguments = parser.parse_args()
    versions = {}
    for argument in ("base", "head", "suite"):
        revision = getattr(arguments, argument)
        if revision is None:
            continue
        try:
            versions[argument] = export(revision)
        except subprocess.CalledProcessError:
            option = "--suite" if argument == "suite" else argument
            requirement = "a commit of this repository that has the package and benchmarks"
            parser.error(f"argument {option}: must be {requirement}, got {revision!r}")
    pair = [versions["base"], versions["head"]]
    if "suite" in versions:
        pair = [version._replace(suite=versions["suite"].suite) for version in pair]
    return parser, arguments, pair


def main():
    """Compare, print the table, and return the exit code."""
    parser, arguments, versions = parse_arguments()
    found, failures = list_benchmarks(versions)
    found = [[t for t in titles if re.search(arguments.bench, t)] for titles in found]
    alone = [[t for t in a if t not in b] for a, b in (found, found[::-1])]
    common = [title for title in found[1] if title in found[0]]
    if not any(found):
        parser.error(f"argument --bench: must match a benchmark, got {arguments.bench!r}")

    turns, failed = compare(
        versions,
        common,
        arguments.factor,
        arguments.rounds,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    failures |= failed
    names = [version.name for version in versions]
    text = table(turns, failures, arguments.factor, names, alone)
    print(text)
    save(arguments, text + "\n", turns)
    broken = any(head_error for _, head_error in failures.values())
    return int(broken or bool(slower(turns, arguments.factor)))


if __name__ == "__main__":
    sys.exit(main())
