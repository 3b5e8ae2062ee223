"""Scores of estimators for the collections of Dask, of which only sums of blocks are kept."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score

from fastmlp.dask.collections import is_collection, is_frame
from fastmlp.dask.prediction import lazily
from fastmlp.messages import must


def score(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return the accuracy of a classifier or the R2 of a regressor.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X : dask array or dask data frame
    y, sample_weight
        Collections with the same blocks of rows, or arrays in memory.
    """
    import dask

    predicted = lazily(estimator, "predict", X)
    blocks = [
        _blocks(predicted, name, values)
        for name, values in (("X", predicted), ("y", y), ("sample_weight", sample_weight))
    ]
    compare = dask.delayed(_right if is_classifier(estimator) else _sums, pure=False)
    parts = [compare(*each) for each in zip(*blocks, strict=True)]
    found = [part for part in _computed(estimator.client, parts) if part is not None]
    if not found:
        raise ValueError(must("X", "have at least one sample", "none"))
    if is_classifier(estimator):
        right, total = (sum(values) for values in zip(*found, strict=True))
        return float(right / total)
    sums, *others = found
    for each in others:
        sums = sums.plus(each)
    return _r2(sums)


def _blocks(predicted: Any, name: str, values: Any) -> list[Any]:
    """Return the blocks of values, delayed, for the same rows as those of predictions."""
    import dask.array as da

    if values is None:
        return [None] * predicted.npartitions
    if not is_collection(values):
        values = np.asarray(values)
        values = da.from_array(values, chunks=(-1,) * values.ndim)
    lengths = [() if is_frame(each) else each.chunks[0] for each in (predicted, values)]
    if all(each and not np.isnan(each).any() for each in lengths):
        n, n_found = map(sum, lengths)
        if n_found != n:
            raise ValueError(must(name, f"have {n} rows, as X has", f"{n_found}"))
        values = values.rechunk({0: lengths[0]})
    elif values.npartitions != predicted.npartitions:
        requirement = f"have {predicted.npartitions} partitions, as X has"
        raise ValueError(must(name, requirement, f"{values.npartitions} of unknown lengths"))
    if values.ndim == 2 and not is_frame(values):
        values = values.rechunk({1: -1})
    return list(np.ravel(np.array(values.to_delayed(), object)))


def _computed(client: Any, parts: list[Any]) -> list[Any]:
    import dask

    if client is False:
        return list(dask.compute(*parts, scheduler="threads"))
    return list(dask.compute(*parts) if client is None else dask.compute(*parts, scheduler=client))


# Tasks -------------------------------------------------------------------------------------------


def _right(predicted: Any, y: Any, weights: Any) -> tuple[float, float] | None:
    """Return the weight of the samples that are classified rightly, and that of all."""
    _check_lengths(predicted, y, weights)
    if len(predicted) == 0:
        return None
    y, predicted = np.asarray(y), np.asarray(predicted)
    total = float(len(predicted)) if weights is None else float(np.sum(weights))
    return float(accuracy_score(y, predicted, normalize=False, sample_weight=weights)), total


class Sums(NamedTuple):
    """What a block of samples adds to the R2 of each output."""

    weight: float
    mean: np.ndarray  # of y
    squares: np.ndarray  # of the distances from it
    errors: np.ndarray  # squared

    def plus(self, other: Sums) -> Sums:
        """Return those of both blocks."""
        weight = self.weight + other.weight
        if weight == 0:
            return self
        distance, share = other.mean - self.mean, other.weight / weight
        return Sums(
            weight,
            self.mean + distance * share,
            self.squares + other.squares + distance**2 * (self.weight * share),
            self.errors + other.errors,
        )


def _sums(predicted: Any, y: Any, weights: Any) -> Sums | None:
    _check_lengths(predicted, y, weights)
    n = len(predicted)
    if n == 0:
        return None
    values = predicted, y, np.ones(n) if weights is None else weights
    found, expected, w = (np.asarray(each, np.float64).reshape(n, -1) for each in values)
    total = float(w.sum())
    mean = (w * expected).sum(axis=0) / (total or 1.0)
    squares = (w * (expected - mean) ** 2).sum(axis=0)
    return Sums(total, mean, squares, (w * (expected - found) ** 2).sum(axis=0))


def _check_lengths(predicted: Any, y: Any, weights: Any) -> None:
    for name, values in (("y", y), ("sample_weight", weights)):
        if values is not None and len(values) != len(predicted):
            requirement = "have as many rows in each partition as X has"
            raise ValueError(must(name, requirement, f"{len(values)} for {len(predicted)}"))


def _r2(sums: Sums) -> float:
    """Return the mean R2 of the outputs; of a constant output it is 1 or 0, as in scikit-learn."""
    errors, squares = sums.errors, sums.squares
    ratios = np.divide(errors, squares, out=(errors != 0) * 1.0, where=squares != 0)
    return float(np.mean(1 - ratios))
