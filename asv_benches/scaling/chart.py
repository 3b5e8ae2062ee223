"""The chart: the time per sample along each axis, and the shortest that the machine allows."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import LogLocator, StrMethodFormatter  # noqa: E402
from points import AXES  # noqa: E402

from tables import least  # noqa: E402

COLUMNS = 3


def draw(axis, name, points, limits):
    """Draw the panel of an axis."""
    values = [timed.point.value for timed in points]
    measured = [1e6 * timed.seconds for timed in points]
    bounds = [1e6 * least(timed.point, limits)[1] for timed in points]
    axis.loglog(values, measured, "o-", color="#0072B2", markersize=4, label="fastmlp")
    axis.loglog(values, bounds, "--", color="black", linewidth=1, label="roofline")
    axis.set_ylim(min(bounds + measured) / 2, max(bounds + measured) * 2)
    steps = (1, 2, 5) if max(measured) < 100 * min(bounds) else (1,)
    axis.yaxis.set_major_locator(LogLocator(subs=steps))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.minorticks_off()
    axis.set_xticks(values, [short(value) for value in values])
    axis.tick_params(labelsize=6)
    axis.set_title(f"By {name}", fontsize=9, loc="left")
    axis.set_xlabel(AXES[name].unit, fontsize=8)
    axis.set_ylabel("us per sample", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def short(value):
    """Return a number as text, from 10,000 as a power of ten."""
    return f"$10^{len(str(value)) - 1}$" if value >= 10_000 else str(value)


def write_chart(results, limits, path):
    """Draw a panel for each axis, with logarithmic scales."""
    plt.rcParams["svg.hashsalt"] = "fastmlp"  # reproducible ids
    columns = min(COLUMNS, len(results))
    rows = -(-len(results) // columns)
    size = (3.2 * columns, 2.6 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(results) :]:
        axis.set_visible(False)
    for axis, (name, points) in zip(axes.flat, results.items(), strict=False):
        draw(axis, name, points, limits)
    axes[0, 0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
