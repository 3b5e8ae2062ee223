"""The tables: scores and epochs by the number of shards, and the seconds of rounds."""

import platform
from importlib.metadata import version

import numpy as np
from curves import BATCH_SIZE, RATES, SHARDS, Case
from speed import seconds
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


def rounds(measured, cluster):
    """Return the table that compares measured rounds with the formula as Markdown."""
    text = [
        f"{heading()}.",
        "",
        "| workers | shards | s a shard | MB of a point | s a round | by the formula |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for workers, round_, found in measured:
        cells = [
            f"{workers} | {round_.shards} | {round_.shard_seconds:.3f}",
            f"{round_.point_bytes / 1e6:.1f} | {found:.3f}",
            f"{seconds(round_, workers, cluster):.3f}",
        ]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text) + "\n"
