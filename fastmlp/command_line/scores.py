"""Scores of predictions and of guesses, added up piece by piece.

So the predictions of a file of any size need no memory but for the sums. All scores are those of
scikit-learn, with sample weights where there are some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

#: The name of the first score of each task, which training watches.
MAIN = {"classification": "accuracy", "multilabel": "accuracy", "regression": "R2"}
GUESSES = {
    "classification": "always answering the commonest class",
    "multilabel": "always answering the commonest labels",
    "regression": "always answering the mean",
}
MOST_IN_MATRIX = 1000  # classes; a confusion matrix of more is left out
MOST_ERRORS = 10  # pairs of classes that are listed


# The main score -----------------------------------------------------------------------------------


class MainScore(Protocol):
    """The main score of a task."""

    def add(self, values: np.ndarray, answers: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows.

        Parameters
        ----------
        values : array
            As in `tables.targets.Target`.
        answers : array of the same shape
            What was predicted.
        weights : float64 array (n_rows,) or None
            None is 1 for each row.
        """

    @property
    def value(self) -> float:
        """The score of all rows; NaN for none."""


class Hits:
    """The share of rows that were predicted correctly, with all of their labels."""

    def __init__(self) -> None:
        self.right = self.total = 0.0

    def add(self, values: np.ndarray, answers: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows, see `MainScore`."""
        same = values == answers
        same = same if same.ndim == 1 else same.all(axis=1)
        self.right += float(np.count_nonzero(same) if weights is None else weights[same].sum())
        self.total += float(len(same) if weights is None else weights.sum())

    @property
    def value(self) -> float:
        """The accuracy."""
        return self.right / self.total if self.total > 0 else float("nan")


class Squares:
    """The sums of squares of each target, (n_targets,), that R2 consists of."""

    def __init__(self) -> None:
        self.total = 0.0
        self.mean = self.spread = self.left = np.zeros(())
        self.least, self.most = np.array(np.inf), np.array(-np.inf)

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, values: np.ndarray, answers: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows, see `MainScore`: sums of parts as Chan, Golub and LeVeque (1979) join them."""
        n = float(len(values) if weights is None else weights.sum())
        if n == 0:
            return
        mean = np.average(values, axis=0, weights=weights)
        spread = _sums((values - mean) ** 2, weights)
        step, both = mean - self.mean, self.total + n
        self.spread = self.spread + spread + step**2 * (self.total * n / both)
        self.mean = self.mean + step * (n / both)
        self.left = self.left + _sums((values - answers) ** 2, weights)
        self.least = np.minimum(self.least, values.min(axis=0))
        self.most = np.maximum(self.most, values.max(axis=0))
        self.total = both

    @property
    def value(self) -> float:
        """R2, averaged over the targets; of a constant one 1 if it is met, otherwise 0."""
        if self.total == 0:
            return float("nan")
        varied = (self.most > self.least) & (self.spread > 0)
        share = np.divide(self.left, self.spread, out=(self.left != 0).astype(float), where=varied)
        return float((1 - share).mean())


def main_score(task: str) -> MainScore:
    """Return the main score of a task, of no rows yet."""
    return Squares() if task == "regression" else Hits()


def guess_of(task: str, values: np.ndarray, weights: np.ndarray | None = None) -> Any:
    """Return the commonest class or labels, or the mean, of targets."""
    if task == "regression":
        return np.average(values, axis=0, weights=weights).tolist()
    if values.ndim == 1:
        return int(np.bincount(values, weights).argmax())
    rows, position = np.unique(values, axis=0, return_inverse=True)
    return rows[np.bincount(position.reshape(-1), weights).argmax()].tolist()


def add_guess(score: MainScore, guess: Any, values: np.ndarray, weights: np.ndarray | None) -> None:
    """Add rows to a main score, for which `guess` is always answered."""
    score.add(values, np.broadcast_to(np.asarray(guess), values.shape), weights)


# All scores ---------------------------------------------------------------------------------------


class Scores(Protocol):
    """All scores of a task."""

    @property
    def main(self) -> MainScore:
        """The main one."""

    def add(self, values: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows.

        Parameters
        ----------
        values : array
            As in `tables.targets.Target`.
        outputs : array (n_rows, n_outputs)
            Probabilities of the classes or labels, or predicted values.
        weights : float64 array (n_rows,) or None
        """

    def result(self) -> dict[str, Any]:
        """Return the scores as plain values."""


def new_scores(task: str, names: Sequence[Any]) -> Scores:
    """Return all scores of a task, of no rows yet; `names` are those of the classes or targets."""
    if task == "classification":
        return _Classes(names)
    return _Labels(names) if task == "multilabel" else _Values(names)


class _Classes:
    def __init__(self, names: Sequence[Any]):
        self.main, self.names, self.loss = Hits(), names, 0.0
        self.n_rows = np.zeros(len(names), np.int64)
        self.pairs: Counter[int] = Counter()  # true * n_classes + predicted
        self.is_weighted = False

    def add(self, values: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        predicted = outputs.argmax(axis=1)
        self.main.add(values, predicted, weights)
        self.n_rows += np.bincount(values, minlength=len(self.names))
        codes = values.astype(np.int64) * len(self.names) + predicted
        found, position = np.unique(codes, return_inverse=True)
        sums = np.bincount(position.reshape(-1), weights)
        self.pairs.update(dict(zip(found.tolist(), sums.tolist(), strict=True)))
        self.is_weighted |= weights is not None
        self.loss += float(_sums(_log_losses(outputs[np.arange(len(values)), values]), weights))

    def result(self) -> dict[str, Any]:
        n = len(self.names)
        codes = np.fromiter(self.pairs, np.int64, len(self.pairs))
        true, predicted = np.divmod(codes, n)
        totals = np.fromiter(self.pairs.values(), np.float64, len(codes))
        right = np.bincount(true, np.where(true == predicted, totals, 0), n)
        of_true, of_predicted = (np.bincount(each, totals, n) for each in (true, predicted))
        return {
            "accuracy": self.main.value,
            "balanced accuracy": float(_shares(right, of_true)[of_true > 0].mean()),
            "log loss": self.loss / self.main.total,
            "classes": _each(self.names, right, of_true, of_predicted, self.n_rows),
            "confusion matrix": self._matrix(true, predicted, totals),
            "errors": self._errors(true, predicted, totals),
        }

    def _matrix(
        self, true: np.ndarray, predicted: np.ndarray, totals: np.ndarray
    ) -> list[list[float]] | None:
        """Return the weights of the rows of each true class (line) that have each prediction."""
        if len(self.names) > MOST_IN_MATRIX:
            return None
        shape = len(self.names), len(self.names)
        matrix = np.zeros(shape, np.float64 if self.is_weighted else np.int64)
        matrix[true, predicted] = totals
        return matrix.tolist()

    def _errors(
        self, true: np.ndarray, predicted: np.ndarray, totals: np.ndarray
    ) -> list[dict[str, Any]]:
        """Return the wrong predictions that are most frequent."""
        wrong = np.flatnonzero((true != predicted) & (totals > 0))
        most = wrong[np.lexsort((predicted[wrong], true[wrong], -totals[wrong]))][:MOST_ERRORS]
        return [
            {"true": self.names[true[k]], "predicted": self.names[predicted[k]],
             "total": totals[k].item() if self.is_weighted else int(totals[k])}
            for k in most
        ]  # fmt: skip


class _Labels:
    def __init__(self, names: Sequence[Any]):
        self.main, self.names, self.loss = Hits(), names, 0.0
        self.n_rows = np.zeros(len(names), np.int64)
        self.totals = np.zeros((2, 2, len(names)))  # by what is true and what was predicted

    def add(self, values: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        true, predicted = values != 0, outputs >= 0.5
        self.main.add(true, predicted, weights)
        self.n_rows += true.sum(axis=0)
        for i, of_true in enumerate((~true, true)):
            for j, of_predicted in enumerate((~predicted, predicted)):
                self.totals[i, j] += _sums(of_true & of_predicted, weights)
        each = _log_losses(np.where(true, outputs, 1 - outputs))
        self.loss += float(_sums(each.mean(axis=1), weights))

    def result(self) -> dict[str, Any]:
        of_true = self.totals.sum(axis=1)
        right = np.stack([self.totals[0, 0], self.totals[1, 1]])
        recalls = np.where(of_true > 0, _shares(right, of_true), np.nan)  # of 0 and of 1
        predicted = self.totals[:, 1].sum(axis=0)
        return {
            "accuracy": self.main.value,
            "balanced accuracy": float(np.nanmean(recalls, axis=0).mean()),
            "log loss": self.loss / self.main.total,
            "labels": _each(self.names, right[1], of_true[1], predicted, self.n_rows),
        }


class _Values:
    def __init__(self, names: Sequence[Any]):
        self.main, self.names, self.absolute = Squares(), names, 0.0

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, values: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        self.main.add(values, outputs, weights)
        self.absolute += float(_sums(np.abs(values - outputs).mean(axis=1), weights))

    def result(self) -> dict[str, Any]:
        return {
            "R2": self.main.value,
            "MAE": self.absolute / self.main.total,
            "RMSE": float(np.sqrt(self.main.left / self.main.total).mean()),
        }


def _sums(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the sums over rows, in float64."""
    if weights is None:
        return np.asarray(values.sum(axis=0, dtype=np.float64))
    return np.asarray(weights @ values.astype(np.float64, copy=False))


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Return parts / wholes, 0 where the whole is 0."""
    return np.divide(parts, wholes, out=np.zeros(np.shape(wholes)), where=wholes > 0)


def _each(
    names: Sequence[Any], right: np.ndarray, true: np.ndarray, predicted: np.ndarray,
    n_rows: np.ndarray,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return precision, recall, F1 and the number of rows of each class or label."""
    columns = _shares(right, predicted), _shares(right, true), _shares(2 * right, true + predicted)
    rows = zip(names, *(column.tolist() for column in columns), n_rows.tolist(), strict=True)
    keys = ("name", "precision", "recall", "F1", "rows")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _log_losses(probabilities: np.ndarray) -> np.ndarray:
    """Return -log of the probabilities of what is true, finite."""
    least = np.finfo(probabilities.dtype).eps
    return np.asarray(-np.log(np.maximum(probabilities, least), dtype=np.float64))
