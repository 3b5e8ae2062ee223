"""The charts: scores by epoch, and speed-ups by workers."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from curves import SHARDS  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402
from page import found_for  # noqa: E402
from speed import (  # noqa: E402
    BY_SECONDS,
    BY_SHARDS,
    SPREAD,
    WORKERS,
    Cluster,
    seconds,
    simulated_speed_up,
)

#: From light to dark, so that they can be told apart in grey; one shard is black.
COLOURS = dict(zip(SHARDS, ("black", "#0072B2", "#009E73", "#E69F00", "#D55E00"), strict=True))
MARKERS = dict(zip(SHARDS, ("", "o", "s", "^", "D"), strict=True))


def finish(figure, path):
    """Write the file, with the same bytes whenever the figure is the same."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def plain(axis, title, xlabel, ylabel):
    """Set what all panels have in common."""
    axis.set_title(title, fontsize=9, loc="left")
    axis.set_xlabel(xlabel, fontsize=8)
    axis.set_ylabel(ylabel, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def write_curves(results, problem, optimizers, path):
    """Draw the scores of a problem by epoch, a panel for each optimizer and rate."""
    plt.rcParams["svg.hashsalt"] = "fastmlp"  # reproducible ids
    rates = {"unchanged": "scale_rate=1: the rate is unchanged", "auto": 'scale_rate="auto"'}
    size = (7.6, 2.9 * len(optimizers))
    figure, axes = plt.subplots(
        len(optimizers), 2, figsize=size, squeeze=False, sharex=True, sharey="row"
    )
    for row, optimizer in zip(axes, optimizers, strict=True):
        best = 0.0
        for axis, (rate, title) in zip(row, rates.items(), strict=True):
            for shards, curve in found_for(results, problem, optimizer, rate).items():
                epochs = range(1, len(curve) + 1)
                label = "1 shard: plain fit" if shards == 1 else f"{shards} shards"
                axis.plot(
                    epochs, [100 * score for score in curve], f"-{MARKERS[shards]}", label=label,
                    color=COLOURS[shards], markersize=3.5, markevery=2, linewidth=1.3,
                )  # fmt: skip
                best = max(best, 100 * max(curve))
            plain(axis, f"{optimizer}, {title}", "", "")
            axis.grid(axis="y", linewidth=0.4)
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        row[0].set_ylim(best - 20, best + 1)
        row[0].set_ylabel(f"accuracy on {problem}, %", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("epochs", fontsize=8)
    axes[0, 0].legend(fontsize=7, frameon=False, loc="lower right")
    finish(figure, path)


def log_axes(axis):
    """Draw the line of k workers that are k times as fast, with logarithmic scales."""
    axis.loglog(WORKERS, WORKERS, ":", color="black", linewidth=1, label="k times")
    axis.set_xticks(WORKERS, WORKERS)
    ticks = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    axis.set_yticks(ticks, ticks)
    axis.minorticks_off()
    axis.set_ylim(0.4, 300)


def draw_speed_up(axis, round_, label, colour, marker):
    """Draw the formula as a line, and the simulation as markers, hollow with a spread."""
    by_formula = [round_.seconds_alone / seconds(round_, k, Cluster()) for k in WORKERS]
    axis.plot(WORKERS, by_formula, "-", color=colour, linewidth=1.2)
    for spread, face in ((0.0, colour), (SPREAD, "white")):
        found = [simulated_speed_up(round_, k, Cluster(spread=spread)) for k in WORKERS]
        axis.plot(
            WORKERS, found, marker, color=colour, markersize=4, markerfacecolor=face,
            label=label if spread == 0 else None,
        )  # fmt: skip


def write_speed(measured, cluster, path):
    """Draw speed-ups by workers: by the seconds of a shard, by shards, and those measured."""
    plt.rcParams["svg.hashsalt"] = "fastmlp"
    figure, axes = plt.subplots(1, 3 if measured else 2, figsize=(10.2 if measured else 7.6, 3.4))
    colours = [(COLOURS[n], MARKERS[n]) for n in SHARDS[1:]]
    log_axes(axes[0])
    for round_, style in zip(BY_SECONDS, colours[::-1], strict=False):
        draw_speed_up(axes[0], round_, f"{round_.shard_seconds:g} s a shard", *style)
    plain(axes[0], "256 shards", "workers, k", "times as fast as one after the other")
    log_axes(axes[1])
    for round_, style in zip(BY_SHARDS, colours, strict=False):
        draw_speed_up(axes[1], round_, f"{round_.shards} shards", *style)
    plain(axes[1], "rounds of 256 s on one worker", "workers, k", "")
    if measured:
        draw_measured(axes[2], measured, cluster)
    label = f"hollow: shards differ by {100 * SPREAD:.0f} %"
    for axis in axes[:2]:
        axis.plot([], [], "o", color="black", markersize=4, markerfacecolor="white", label=label)
    for axis in axes:
        axis.legend(fontsize=7, frameon=False, loc="upper left")
    finish(figure, path)


def draw_measured(axis, measured, cluster):
    """Draw the measured rounds beside the formula for them."""
    workers = [each.workers for each in measured]
    by_formula = [
        each.round.seconds_alone / seconds(each.round, each.workers, cluster) for each in measured
    ]
    found = [each.round.seconds_alone / each.seconds for each in measured]
    axis.plot(workers, workers, ":", color="black", linewidth=1, label="k times")
    axis.plot(workers, by_formula, "-", color=COLOURS[2], linewidth=1.2, label="formula")
    axis.plot(workers, found, "s", color=COLOURS[16], markersize=5, label="measured")
    axis.set_xticks(workers)
    axis.set_ylim(0, max(workers) + 0.5)
    plain(axis, f"measured, {cluster.at_once:g} processors", "workers, k", "")
