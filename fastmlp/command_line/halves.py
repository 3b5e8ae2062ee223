"""The score of rows that are held out, of which some choose the epoch for the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmlp import metrics
from fastmlp.command_line import splitting
from fastmlp.messages import must, shown
from fastmlp.sklearn.preset import in_effect

NAMES = ("first_half", "second_half")
CRITERION = "_criterion"  # what a half would choose the epoch by, after its name


class Halves:
    """Two halves of the rows that are held out.

    The epoch is chosen by all of them, so their score at this epoch is a little too good. That of
    one half, at the epoch that the other half would choose, is not.

    Parameters
    ----------
    task : str
    preset : bool
        Estimators choose by R2, by accuracy, or with a preset by the log loss.
    values : array
        The targets of the rows, as in `tables.targets.Target`.
    weights : float64 array (n_rows,) or None
    seed : int
    """

    def __init__(
        self, task: str, preset: bool, values: np.ndarray, weights: np.ndarray | None, seed: int
    ):
        strata = values if task == "classification" else np.zeros(len(values), np.int8)
        self.rows = splitting.drawn_split(strata, np.random.RandomState(seed), 0.5)
        self.weights = weights
        self.score = metrics.METRICS["r2" if task == "regression" else "accuracy"]
        by_log_loss = preset and task != "regression"
        self.criterion = metrics.METRICS["log_loss"] if by_log_loss else self.score

    @property
    def totals(self) -> list[float]:
        """The weight of each half, 0 if it has less than two rows."""
        return [
            0.0 if len(rows) < 2 else len(rows) if self.weights is None else
            float(self.weights[rows].sum())
            for rows in self.rows
        ]  # fmt: skip

    def recorded(self) -> list[Any]:
        """Return the metrics that training records: the score of all rows, and of each half."""
        found: list[Any] = [self.score.name]
        if min(self.totals) > 0:
            for name, rows in zip(NAMES, self.rows, strict=True):
                found.append(self._of_half(name, self.score, rows))
                found.append(self._of_half(name + CRITERION, self.criterion, rows))
        return found

    def _of_half(self, name: str, metric: metrics.Metric, rows: np.ndarray) -> metrics.Metric:
        sign = 1 if metric.greater_is_better else -1
        weights = None if self.weights is None else self.weights[rows]

        def function(targets: Any, outputs: Any) -> float:
            return sign * metric(targets[rows], outputs[rows], weights)

        return metrics.Metric(name, function)

    def best_epoch(self, estimator: Any) -> tuple[int, float | None]:
        """Return the best epoch, counted from 1, and the score of rows that did not choose it."""
        recorded, history = estimator.validation_scores_, estimator.history_
        if not recorded:
            return 0, None
        if not np.isfinite(recorded).any():
            rate = in_effect(estimator).learning_rate_init
            requirement = "be so small that the loss of the first epoch is finite"
            raise ValueError(must("--learning-rate", requirement, shown(rate)))
        best = last_best(recorded)
        totals = self.totals
        if min(totals) == 0:
            return best + 1, history[f"validation_{self.score.name}"][best]
        of_halves = [history[f"validation_{name}"] for name in NAMES]
        chosen = [last_best(history[f"validation_{name}{CRITERION}"]) for name in NAMES]
        found = [of_halves[0][chosen[1]], of_halves[1][chosen[0]]]
        return best + 1, float(np.average(found, weights=totals))


def last_best(values: list[float]) -> int:
    """Return the position of the largest value, of the last one of several."""
    return len(values) - 1 - int(np.nanargmax(values[::-1]))
