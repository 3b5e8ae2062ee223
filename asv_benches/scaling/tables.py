"""All that was measured, as Markdown."""

import datetime
import importlib.metadata
import platform

from machine import processor
from points import AXES
from roofline import intensity, least_seconds


def least(point, limits):
    """Return what bounds a point most, and the seconds a sample that this alone takes.

    More threads than the machine can run at once have the limits of as many as it can.
    """
    parts = least_seconds(point, limits[min(point.n_threads, max(limits))])
    bound = max(parts, key=parts.get)
    return bound, parts[bound]


def digits(number):
    """Return three significant digits as text: ``"0.173"``, ``"1,650"``."""
    return f"{float(f'{number:.3g}'):,g}"


def row(timed, limits):
    """Return a row of an axis's table."""
    point, seconds = timed
    bound, at_least = least(point, limits)
    cells = [
        f"{point.value:,}",
        digits(1e6 * seconds),
        digits(point.flops / seconds / 1e9),
        digits(intensity(point)),
        f"{100 * at_least / seconds:.0f} ({bound})",
    ]
    return "| " + " | ".join(cells) + " |"


def size_text(n_bytes):
    """Return ``"32 KiB"`` or ``"256 MiB"``."""
    return f"{n_bytes >> 10} KiB" if n_bytes < 2**20 else f"{n_bytes >> 20} MiB"


def limits_table(limits):
    """Return the lines of the machine's limits: a column for each number of threads."""
    heads = ["one thread" if n == 1 else f"{n} threads" for n in limits]
    peaks = [f"{found.flops / 1e9:.0f}" for found in limits.values()]
    lines = [
        "| | " + " | ".join(heads) + " |",
        "|---|" + "---:|" * len(limits),
        "| multiply-adds in registers, GFLOP/s | " + " | ".join(peaks) + " |",
    ]
    for size in next(iter(limits.values())).bandwidth:
        rates = [f"{found.bandwidth[size] / 1e9:.0f}" for found in limits.values()]
        lines.append(f"| over {size_text(size)}, GB/s | " + " | ".join(rates) + " |")
    return lines


def tables(results, limits, rounds):
    """Return ``{axis: [Timed, ...]}`` and ``{n_threads: Limits}`` as Markdown."""
    numba = importlib.metadata.version("numba")
    text = [
        f"{processor()}, {platform.system()}, Python {platform.python_version()}, Numba {numba};",
        f"medians of {rounds} interleaved rounds, {datetime.date.today():%d %B %Y}. float32.",
    ]
    for name, points in results.items():
        axis = AXES[name]
        text += [
            "",
            f"By {name}: {axis.fixed}.",
            "",
            f"| {axis.unit} | us a sample | GFLOP/s | FLOP a byte | % of roofline |",
            "|---:|---:|---:|---:|---:|",
        ]
        text += [row(timed, limits) for timed in points]
    text += ["", "The machine's limits, the best that was seen:", "", *limits_table(limits)]
    return "\n".join(text) + "\n"
