"""Time fastmlp and its peers in one interleaved run, and write the README's tables and chart.

    tox -e peers                                              # all of it, some minutes
    python asv_benches/peers --rounds 9 --write asv_benches/peers
    python asv_benches/peers --threads 1 --systems fastmlp,numpy --cases 784-64-10@32

A case is layers@batch_size for an epoch of training, layers:rows for predictions of so many rows in
a call. Every system lives in a process of its own, and used as its own manual advises for speed.
Printed, as Markdown, are the medians over the rounds, in microseconds a sample, and behind them how
many times as long as fastmlp in the same round. The data is synthetic; 19 % of the inputs are not
zero, as in MNIST. With --write, tables.md and chart.svg go into that folder.
"""

import argparse
import datetime
import functools
import importlib.metadata
import platform
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from machine import processor
from measure import Case, figures, measure, name_threads
from systems import SYSTEMS

CASES = (
    "784-64-10@1,784-64-10@32,784-64-10@128,784-512-512-10@128,64-32-10@32,28-64-64-2@256,"
    "784-64-10:1,784-64-10:1000"
)
PACKAGES = {"numpy": "NumPy", "scikit-learn": "scikit-learn", "torch": "PyTorch", "jax": "JAX"}


def parse_number(text):
    """Return a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def parse_case(text):
    """Return the case of ``"784-64-10@32"`` or ``"784-64-10:1000"``."""
    match = re.fullmatch(r"([1-9]\d*(?:-[1-9]\d*)+)([@:])([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither layers@batch_size nor layers:rows, like 784-64-10@32"
        )
    layers, mark, number = match.groups()
    sizes = tuple(int(size) for size in layers.split("-"))
    return Case(sizes, **{"batch_size" if mark == "@" else "n_rows": int(number)})


def parse_system(text):
    """Return the name of a system."""
    if text not in SYSTEMS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(SYSTEMS)}")
    return text


def parse_folder(text):
    """Return the path of a folder that is there."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder that is there")
    return Path(text)


def each(parse):
    """Return a function that parses what stands between commas."""
    return lambda text: [parse(part) for part in text.split(",")]


def versions():
    """Return the installed peers with their versions."""
    found = []
    for package, name in PACKAGES.items():
        try:
            found.append(f"{name} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    return ", ".join(found)


def row(case, found, systems):
    """Return a row of a table."""
    cells = []
    for system in systems:
        if system in found:
            seconds, ratio = found[system]
            text = f"{1e6 * seconds:.3g}"
            cells.append(text if system == "fastmlp" else f"{text} ({ratio:.1f}x)")
        else:
            cells.append("")
    return f"| {list(case.layers)} | {case.what} | " + " | ".join(cells) + " |"


def tables(results, systems, threads, rounds):
    """Return all that was measured as Markdown."""
    text = [
        f"{processor()}, {platform.system()}, Python {platform.python_version()}, {versions()};",
        f"medians of {rounds} interleaved rounds, {datetime.date.today():%d %B %Y}.",
    ]
    for n_threads in threads:
        text += [
            "",
            f"{name_threads(n_threads)}:",
            "",
            "| layers | | " + " | ".join(systems) + " |",
            "|---|---|" + "---:|" * len(systems),
        ]
        text += [row(case, figures(seconds, n_threads), systems) for case, seconds in results]
    return "\n".join(text) + "\n"


def main():
    """Measure, print, and write where it was asked for."""
    parser = argparse.ArgumentParser(
        prog="python asv_benches/peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--systems", type=each(parse_system), default=",".join(SYSTEMS))
    parser.add_argument(
        "--cases", type=each(parse_case), default=CASES, help="some layers@batch_size, layers:rows"
    )
    parser.add_argument("--threads", type=each(parse_number), default="1,2")
    parser.add_argument("--rounds", type=parse_number, default=7)
    parser.add_argument("--write", type=parse_folder, help="a folder for tables.md and chart.svg")
    arguments = parser.parse_args()
    systems, threads = arguments.systems, arguments.threads
    if arguments.write:
        try:
            from chart import write_chart
        except ImportError as error:  # not only after minutes of measurement
            parser.error(f"--write needs matplotlib for the chart: {error}")

    tell = functools.partial(print, file=sys.stderr, flush=True)
    results = list(measure(systems, threads, arguments.cases, arguments.rounds, tell))
    text = tables(results, systems, threads, arguments.rounds)
    print(text)
    if arguments.write:
        (arguments.write / "tables.md").write_text(text)
        write_chart(results, systems, threads, arguments.write / "chart.svg")


if __name__ == "__main__":
    main()
