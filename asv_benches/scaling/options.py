"""The command line's arguments, checked before anything is measured."""

import argparse
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from machine import available_memory
from points import AXES, FEWEST_SAMPLES, file_bytes, points_of

BESIDE_X = 1.25  # of its bytes: labels and orders, with copies


def axes_of(text):
    """Parse ``"threads,batch"``."""
    names = text.split(",")
    for name in names:
        if name not in AXES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(AXES)}")
    return list(dict.fromkeys(names))


def at_least(least):
    """Return what parses an int of at least `least`."""

    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an int of at least {least}")
        return number

    return parse


def folder(text):
    """Parse a folder that tables.md and chart.svg can be written to."""
    path = Path(text)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder that can be written to")
    for file in (path / "tables.md", path / "chart.svg"):
        if file.exists() and not (file.is_file() and os.access(file, os.W_OK)):
            raise argparse.ArgumentTypeError(f"'{file}' cannot be written")
    if importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("the chart needs matplotlib, which is not installed")
    return path


def lack_of_space(n_bytes, disk, memory):
    """Return what is wrong with a file of so many bytes, None where nothing is."""
    needs = {
        "space in the temporary folder": (n_bytes, disk),
        "memory": (BESIDE_X * n_bytes, memory),
    }
    for what, (needed, free) in needs.items():
        if needed > free:
            return f"X needs {needed / 1e9:.1f} GB of {what}, and {free / 1e9:.1f} GB are free"
    return None


def parse(description, arguments=None):
    """Return the arguments, checked; those of the command line where none are given."""
    parser = argparse.ArgumentParser(
        prog="python asv_benches/scaling",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names, most = ",".join(AXES), AXES["samples"].values[-1]
    parser.add_argument("--axes", type=axes_of, default=list(AXES), help=f"some of {names}")
    parser.add_argument("--rounds", type=at_least(1), default=5)
    parser.add_argument(
        "--most-samples", type=at_least(FEWEST_SAMPLES), default=most, help=f"default: {most}"
    )
    parser.add_argument("--write", type=folder, help="a folder for tables.md and chart.svg")
    parsed = parser.parse_args(arguments)
    if "samples" in parsed.axes:
        needed = file_bytes(points_of("samples", parsed.most_samples))
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if lack := lack_of_space(needed, free, available_memory()):
            parser.error(f"argument --most-samples: {lack}")
    return parsed
