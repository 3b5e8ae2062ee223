"""The page of results: scores by table, and how many tables meet each bar."""

import math
from typing import NamedTuple

import numpy as np
from packaged import SMALL, TABLES, half

OURS = "fastmlp"
ROUNDING = 1e-12


class Comparison(NamedTuple):
    """Scores of fastmlp less those of another method: the mean over splits, and its error.

    Both are fitted to the same splits, so the error is that of the mean of the differences, their
    standard deviation over the root of their number: what the splits have in common cancels.
    """

    difference: float
    error: float
    n_splits: int = 0

    @property
    def is_better(self):
        """Whether the mean score is higher, by more than the rounding of equal means."""
        return self.difference > ROUNDING

    @property
    def is_worse(self):
        """Whether the mean score is lower, by more than the rounding of equal means."""
        return self.difference < -ROUNDING

    @property
    def is_within_error(self):
        """Whether the mean score is higher, or lower by no more than a standard error."""
        return self.difference >= -self.error - ROUNDING


def compare(results, table, other, what="score"):
    """Compare on the splits that both have; None for fewer than two."""
    ours, theirs = (results.by_split(table, method, what) for method in (OURS, other))
    splits = sorted(set(ours) & set(theirs))
    if len(splits) < 2:
        return None
    differences = np.array([ours[split] - theirs[split] for split in splits])
    error = differences.std(ddof=1) / math.sqrt(len(splits))
    return Comparison(differences.mean(), error, len(splits))


#: A bar: what is said, the method, what counts, and the share of tables that shall count.
BARS = (
    ("better than scikit-learn's MLP", "scikit-learn", "is_better", 0.9),
    ("better, with its y scaled, too", "scikit-learn (y scaled)", "is_better", None),
    ("within an error of HistGradientBoosting", "HistGradientBoosting", "is_within_error", 0.6),
    ("within an error of RealMLP_TD_S", "RealMLP_TD_S", "is_within_error", 0.8),
    ("the mean of five is better", "fastmlp ensemble", "is_worse", 8 / 11),
)


def counted(results, tables, method, what):
    """Return on how many tables the property `what` holds, and how many were compared."""
    found = [compare(results, table, _standing_in(results, table, method)) for table in tables]
    found = [comparison for comparison in found if comparison is not None]
    return sum(getattr(comparison, what) for comparison in found), len(found)


def _standing_in(results, table, method):
    """Return the method itself, or scikit-learn's where scaling y does not apply."""
    is_missing = method == "scikit-learn (y scaled)" and TABLES[table].is_classification
    return "scikit-learn" if is_missing else method


def bars(results):
    """Return the table of bars."""
    groups = {
        "reported half": half(True), "development half": half(False),
        "both halves": half(True) + half(False), "small tables": list(SMALL),
    }  # fmt: skip
    lines = [f"| | bar | {' | '.join(groups)} |", "|---|---:|" + "---:|" * len(groups)]
    for text, method, what, share in BARS:
        cells = []
        for tables in groups.values():
            count, of = counted(results, tables, method, what)
            cells.append(f"{count} of {of}, {count / of:.0%}" if of else "")
        lines.append(f"| {text} | {f'{share:.0%}' if share else ''} | {' | '.join(cells)} |")
    cells = []
    for tables in groups.values():
        ratios = [ratio for table in tables if (ratio := seconds_ratio(results, table))]
        cells.append(f"{np.median(ratios):.3f} ({max(ratios):.3f})" if ratios else "")
    lines.append(f"| time over RealMLP's: median (largest) | 0.1 | {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds_ratio(results, table):
    """Return the median over splits of fastmlp's seconds over RealMLP's; None without both."""
    ours, theirs = (results.by_split(table, m, "seconds") for m in (OURS, "RealMLP_TD_S"))
    ratios = [ours[split] / theirs[split] for split in set(ours) & set(theirs)]
    return float(np.median(ratios)) if ratios else None


def scores(results, tables, is_classification, methods):
    """Return the table of mean scores, with fastmlp's difference to each other method."""
    methods = [m for m in methods if not (is_classification and m == "scikit-learn (y scaled)")]
    others = [method for method in methods if method != OURS]
    lines = [
        f"| table | splits | {OURS} | {' | '.join(others)} |",
        "|---|---:|" + "---:|" * len(methods),
    ]
    for table in tables:
        if TABLES[table].is_classification != is_classification:
            continue
        ours = list(results.by_split(table, OURS).values())
        if not ours:
            continue
        cells = [_cell(results, table, other, len(ours)) for other in others]
        lines.append(f"| {table} | {len(ours)} | {np.mean(ours):.4f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(results, table, other, n_ours):
    theirs, found = results.by_split(table, other), compare(results, table, other)
    if found is None:
        return ""
    difference = f"{found.difference:+.4f}"
    if not found.is_within_error:
        difference = f"**{difference}**"
    fewer = f", {found.n_splits} splits" if found.n_splits < n_ours else ""
    return f"{np.mean(list(theirs.values())):.4f} ({difference} ± {found.error:.4f}{fewer})"


def log_losses(results, tables, methods):
    """Return the table of mean log losses of classifications."""
    lines = ["| table | " + " | ".join(methods) + " |", "|---|" + "---:|" * len(methods)]
    for table in tables:
        found = [list(results.by_split(table, m, "log_loss").values()) for m in methods]
        if TABLES[table].is_classification and found[0]:
            cells = [f"{np.mean(values):.3f}" if values else "" for values in found]
            lines.append(f"| {table} | {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds(results, tables, methods):
    """Return the table of median seconds of a fit."""
    lines = ["| table | " + " | ".join(methods) + " |", "|---|" + "---:|" * len(methods)]
    for table in tables:
        found = [list(results.by_split(table, m, "seconds").values()) for m in methods]
        if found[0]:
            cells = [f"{np.median(values):.2f}" if values else "" for values in found]
            lines.append(f"| {table} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(results, title, notes, methods):
    """Return the page: bars first, then the scores of each half and of the small tables."""
    parts = [title, bars(results)]
    groups = {
        "Reported half": half(True), "Development half": half(False),
        "Small tables, for choosing alone": list(SMALL),
    }  # fmt: skip
    for name, tables in groups.items():
        parts += [f"## {name}", "Accuracy:", scores(results, tables, True, methods)]
        parts += ["R2:", scores(results, tables, False, methods)]
    classes = [m for m in methods if m != "scikit-learn (y scaled)"]
    every = [table for tables in groups.values() for table in tables]
    parts += ["## Log loss", log_losses(results, every, classes)]
    parts += ["## Seconds", seconds(results, every, methods), notes]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"
