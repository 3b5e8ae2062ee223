"""The tables: scores and epochs by the number of shards, and the seconds of rounds."""

import platform
from importlib.metadata import version

import numpy as np
from curves import BATCH_SIZE, RATES, SHARDS, Case
from speed import (
    BY_SECONDS,
    BY_SHARDS,
    SPREAD,
    WORKERS,
    Cluster,
    seconds,
    simulated_speed_up,
)
from tooling import processor

LAST = 3  # a score is the mean of the last epochs, which differ by as much as seeds do
SEVERAL = SHARDS[1:]


def score(curve, epoch):
    """Return the mean score of the last epochs up to this one."""
    return float(np.mean(curve[max(0, epoch - LAST) : epoch]))


def epochs_to_reach(curve, wanted):
    """Return after how many epochs the score is reached; None if it never is."""
    epochs = range(1, len(curve) + 1)
    return next((epoch for epoch in epochs if score(curve, epoch) >= wanted), None)


def points(difference):
    """Return a difference of scores in hundredths: ``"+0.3"``, ``"-12.4"``."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def found_for(results, problem, optimizer, rate):
    """Return the curves by the number of shards."""
    return {
        shards: results[Case(problem, optimizer, shards, rate if shards > 1 else RATES[0])]
        for shards in SHARDS
    }


def scores_table(results, problem, optimizers, epoch):
    """Return the lines with the score of one shard, and the differences of several from it."""
    heads = [f"{n}, {rate}" for rate in RATES for n in SEVERAL]
    lines = [
        f"| {problem} | 1 shard | " + " | ".join(heads) + " |",
        "|---|" + "---:|" * (1 + len(heads)),
    ]
    for optimizer in optimizers:
        cells = []
        for rate in RATES:
            curves = found_for(results, problem, optimizer, rate)
            alone = score(curves[1], epoch)
            cells += [points(score(curves[n], epoch) - alone) for n in SEVERAL]
        lines.append(f"| {optimizer} | {100 * alone:.1f} | " + " | ".join(cells) + " |")
    return lines


def epochs_table(results, problems, optimizers, epoch):
    """Return the lines with the epochs that reach the score of one shard after this epoch."""
    heads = [f"{n}, {rate}" for rate in RATES for n in SEVERAL]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for problem in problems:
        for optimizer in optimizers:
            cells = []
            for rate in RATES:
                curves = found_for(results, problem, optimizer, rate)
                wanted = score(curves[1], epoch)
                reached = [epochs_to_reach(curves[n], wanted) for n in SEVERAL]
                cells += [f"> {len(curves[1])}" if n is None else str(n) for n in reached]
            lines.append(f"| {problem}, {optimizer} | " + " | ".join(cells) + " |")
    return lines


def heading():
    """Return the line of the machine and the versions."""
    versions = f"Numba {version('numba')}, NumPy {version('numpy')}"
    return f"{processor()}, {platform.system()}, Python {platform.python_version()}, {versions}"


def accuracy(results, problems, optimizers, seeds, epochs):
    """Return the tables of scores and epochs as Markdown."""
    text = [
        f"{heading()}; means of {seeds} seeds.",
        f"Rounds of one epoch, minibatches of {BATCH_SIZE}, the default rate of each optimizer.",
        f"Scores are accuracies, and R2 for friedman, in percent: means of the last {LAST} epochs.",
        "",
        f"After {epochs} epochs, one shard, and the points that several differ by:",
    ]
    for problem in problems:
        text += ["", *scores_table(results, problem, optimizers, epochs)]
    text += [
        "",
        f"Epochs to reach the score that one shard has after {epochs // 2}:",
        "",
        *epochs_table(results, problems, optimizers, epochs // 2),
    ]
    return "\n".join(text) + "\n"


def expected_table():
    """Return the lines with the speed-ups by the formula, and simulated with a spread."""
    lines = [
        "| shards | s a shard | " + " | ".join(str(k) for k in WORKERS) + " |",
        "|---:|---:|" + "---:|" * len(WORKERS),
    ]
    for round_ in dict.fromkeys([*BY_SECONDS, *BY_SHARDS]):
        cells = []
        for workers in WORKERS:
            by_formula = round_.seconds_alone / seconds(round_, workers, Cluster())
            simulated = simulated_speed_up(round_, workers, Cluster(spread=SPREAD))
            cells.append(f"{by_formula:.3g} ({simulated:.3g})")
        name = f"| {round_.shards} | {round_.shard_seconds:g} | "
        lines.append(name + " | ".join(cells) + " |")
    return lines


def measured_table(measured, cluster):
    """Return the lines that compare measured rounds with the formula."""
    lines = [
        "| workers | shards | s a shard | MB of a point | s a round | by the formula |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for workers, round_, found in measured:
        cells = [
            f"{workers} | {round_.shards} | {round_.shard_seconds:.3f}",
            f"{round_.point_bytes / 1e6:.1f} | {found:.3f}",
            f"{seconds(round_, workers, cluster):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def speed(measured, cluster):
    """Return the tables of the speed as Markdown."""
    text = [
        "Times as fast on so many workers as one shard after the other on one, by the formula, and",
        f"simulated with times of shards that differ by {100 * SPREAD:.0f} %:",
        "",
        *expected_table(),
    ]
    if measured:
        text += [
            "",
            f"Measured on {heading()}, where the training of",
            f"several processes at once has {cluster.at_once:g} times the speed of one:",
            "",
            *measured_table(measured, cluster),
        ]
    return "\n".join(text) + "\n"
