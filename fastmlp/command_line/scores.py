"""Scores of predictions, by scikit-learn, and of guesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp.tables.extras import required

#: The name of the first score of each task, which training watches.
MAIN = {"classification": "accuracy", "multilabel": "accuracy", "regression": "R2"}
GUESSES = {
    "classification": "always answering the commonest class",
    "multilabel": "always answering the commonest labels",
    "regression": "always answering the mean",
}


def guess_of(task: str, values: np.ndarray, weights: np.ndarray | None = None) -> Any:
    """Return the commonest class or labels, or the mean, of targets."""
    if task == "regression":
        return np.average(values, axis=0, weights=weights).tolist()
    rows, counts = np.unique(values, axis=0, return_counts=True)
    return rows[counts.argmax()].tolist()


def score_of_guess(task: str, guess: Any, values: np.ndarray) -> float:
    """Return the main score of always answering `guess`."""
    if task == "regression":
        return r2(values, np.broadcast_to(np.asarray(guess), values.shape))
    same = values == np.asarray(guess)
    return float(np.mean(same if same.ndim == 1 else same.all(axis=1)))


def r2(values: np.ndarray, predicted: np.ndarray) -> float:
    """Return R2, averaged over the targets."""
    left = ((values - predicted) ** 2).mean(axis=0)
    whole = values.var(axis=0)
    share = np.divide(left, whole, out=(left != 0).astype(np.float64), where=whole > 0)
    return float((1 - share).mean())


def scores(
    task: str, values: np.ndarray, outputs: np.ndarray, names: Sequence[Any]
) -> dict[str, Any]:
    """Return all scores of a task, as plain values.

    Parameters
    ----------
    task : str
    values : array
        As in `tables.targets.Target`.
    outputs : array (n_rows, n_outputs)
        Probabilities of the classes or labels, or predicted values.
    names : list
        The classes; or the names of the targets.
    """
    metrics = required("sklearn.metrics", "scikit-learn", "fastmlp evaluate")
    if task == "regression":
        return {
            "R2": r2(values, outputs),
            "MAE": float(metrics.mean_absolute_error(values, outputs)),
            "RMSE": float(metrics.root_mean_squared_error(values, outputs)),
        }
    if task == "multilabel":
        return _of_labels(metrics, values, outputs, names)
    positions = np.arange(len(names))
    predicted = outputs.argmax(axis=1)
    confusion = metrics.confusion_matrix(values, predicted, labels=positions)
    present = confusion.sum(axis=1) > 0
    recalls = np.diag(confusion)[present] / confusion.sum(axis=1)[present]
    each = metrics.precision_recall_fscore_support(
        values, predicted, labels=positions, zero_division=0.0
    )
    return {
        "accuracy": float(np.mean(predicted == values)),
        "balanced accuracy": float(recalls.mean()),
        "log loss": _log_loss(outputs[np.arange(len(values)), values]),
        "classes": _each(names, each),
        "confusion matrix": confusion.tolist(),
    }


def _of_labels(
    metrics: Any, values: np.ndarray, outputs: np.ndarray, names: Sequence[Any]
) -> dict[str, Any]:
    predicted = outputs >= 0.5
    true = values != 0
    each = metrics.precision_recall_fscore_support(true, predicted, zero_division=0.0)
    balanced = []
    for k in range(values.shape[1]):
        recalls = [np.mean(predicted[true[:, k] == c, k] == c) for c in (False, True)
                   if (true[:, k] == c).any()]  # fmt: skip
        balanced.append(np.mean(recalls))
    return {
        "accuracy": float(np.mean((predicted == true).all(axis=1))),
        "balanced accuracy": float(np.mean(balanced)),
        "log loss": _log_loss(np.where(true, outputs, 1 - outputs)),
        "labels": _each(names, each),
    }


def _each(names: Sequence[Any], each: Any) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and the number of rows of each class or label."""
    return [
        {"name": name, "precision": float(p), "recall": float(r), "F1": float(f), "rows": int(n)}
        for name, p, r, f, n in zip(names, *each, strict=True)
    ]


def _log_loss(probabilities: np.ndarray) -> float:
    """Return the mean of -log of the probabilities of what is true."""
    least = np.finfo(probabilities.dtype).eps
    return float(-np.log(np.maximum(probabilities, least), dtype=np.float64).mean())
