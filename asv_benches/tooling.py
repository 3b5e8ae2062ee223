"""What the tools share: the options of their command lines, their files, the machine's name."""

import argparse
import datetime
import json
import math
import os
import platform
import re
from pathlib import Path


def make_parser(tool, description, rounds, *, chart=False):
    """Return a parser with the options that all tools have, the default of --rounds among them.

    With `chart` the tool draws one, which needs Matplotlib.
    """
    parser = argparse.ArgumentParser(
        prog=f"python asv_benches/{tool}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    files = ["tables.md", "chart.svg"] if chart else ["tables.md"]
    parser.add_argument(
        "--rounds", type=at_least(1), default=rounds, metavar="N", help=f"default: {rounds}"
    )
    parser.add_argument(
        "--write",
        type=folder_for(files),
        metavar="FOLDER",
        help=f"write {' and '.join(files)} into this folder",
    )
    parser.add_argument(
        "--json", type=new_file, metavar="FILE", help="write all measured seconds to this file"
    )
    return parser


def save(arguments, text, seconds):
    """Write what --json and --write ask for, apart from a chart."""
    if arguments.json:
        arguments.json.write_text(json.dumps(seconds), encoding="utf-8")
    if arguments.write:
        (arguments.write / "tables.md").write_text(text, encoding="utf-8")


def invalid(requirement, text):
    """Return the error for an option's value: what it must be, and what it is."""
    return argparse.ArgumentTypeError(f"must be {requirement}, got {text!r}")


def at_least(least):
    """Return a function that parses an int of at least `least`."""

    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise invalid(f"an int of at least {least}", text)
        return number

    return parse


def above_one(text):
    """Parse a number above 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1 < number < math.inf:
        raise invalid("a number above 1", text)
    return number


def one_of(names):
    """Return a function that accepts one of the names."""

    def parse(text):
        if text not in names:
            raise invalid(f"one of {', '.join(names)}", text)
        return text

    return parse


def list_of(parse):
    """Return a function that parses values separated by commas, and drops repeated ones."""
    return lambda text: list(dict.fromkeys(parse(part) for part in text.split(",")))


def case_of(make):
    """Return a function that parses ``"784-64-10@32"`` or ``"784-64-10:1000"``.

    It returns ``make((784, 64, 10), batch_size=32)`` or ``make((784, 64, 10), n_rows=1000)``.
    """

    def parse(text):
        match = re.fullmatch(r"([1-9]\d*(?:-[1-9]\d*)+)([@:])([1-9]\d*)", text)
        if match is None:
            raise invalid("layers@batch_size or layers:rows, such as 784-64-10@32", text)
        layers, mark, number = match.groups()
        sizes = tuple(int(size) for size in layers.split("-"))
        return make(sizes, **{"batch_size" if mark == "@" else "n_rows": int(number)})

    return parse


def new_file(text):
    """Parse the path of a file to write."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise invalid("a file in an existing folder", text)
    return path


def folder_for(files):
    """Return a function that parses a folder which these files can be written to."""

    def parse(text):
        path = Path(text)
        if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
            raise invalid("a folder that can be written to", text)
        for file in (path / name for name in files):
            if file.exists() and not (file.is_file() and os.access(file, os.W_OK)):
                raise invalid("a folder whose files can be written", str(file))
        if any(name.endswith(".svg") for name in files):
            try:
                import matplotlib  # noqa: F401
            except ImportError as error:
                message = f"the chart needs Matplotlib: {error}"
                raise argparse.ArgumentTypeError(message) from None
        return path

    return parse


def heading(versions, rounds):
    """Return the lines above the tables: machine, versions, number of rounds, date."""
    return [
        f"{processor()}, {platform.system()}, Python {platform.python_version()}, {versions};",
        f"medians of {rounds} interleaved rounds, {datetime.date.today():%d %B %Y}.",
    ]


def name_threads(n_threads):
    """Return ``"one thread"`` or ``"2 threads"``."""
    return "one thread" if n_threads == 1 else f"{n_threads} threads"


def processor():
    """Return the number of processors and their model."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} x {name}"


def available_memory():
    """Return the bytes of memory that are still available, infinity where this is unknown."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return math.inf
