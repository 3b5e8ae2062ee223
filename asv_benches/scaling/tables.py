"""The results as Markdown."""

import importlib.metadata

from points import AXES
from roofline import intensity, least_seconds
from tooling import heading, name_threads


def least(point, limits):
    """Return the limit that bounds a point, and the shortest seconds per sample it allows.

    More threads than the machine can run at once have the limits of as many as it can run.
    """
    parts = least_seconds(point, limits[min(point.n_threads, max(limits))])
    bound = max(parts, key=parts.get)
    return bound, parts[bound]


def digits(number):
    """Return a number with three significant digits: ``"0.173"``, ``"1,650"``."""
    return f"{float(f'{number:.3g}'):,g}"


def row(timed, limits):
    """Return a row of the table of an axis."""
    point, seconds = timed.point, timed.seconds
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
    """Return the lines of the machine's limits, with a column for each number of threads."""
    heads = [name_threads(n) for n in limits]
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
    text = [*heading(f"Numba {numba}", rounds), "", "All in float32."]
    for name, points in results.items():
        axis = AXES[name]
        text += [
            "",
            f"By {name}: {axis.fixed}.",
            "",
            f"| {axis.unit} | us per sample | GFLOP/s | FLOP/byte | % of roofline |",
            "|---:|---:|---:|---:|---:|",
        ]
        text += [row(timed, limits) for timed in points]
    text += ["", "The machine's limits, the highest of all rounds:", "", *limits_table(limits)]
    return "\n".join(text) + "\n"
