"""Scores of estimators for the collections of Dask, of which only sums of blocks are kept."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array

from fastmlp.dask.collections import (
    blocks_of,
    computed,
    is_collection,
    is_frame,
    known_length,
    plus_rows,
)
from fastmlp.dask.prediction import lazily
from fastmlp.messages import must, shown
from fastmlp.sklearn import inputs


def score(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return the accuracy of a classifier or the R2 of a regressor.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X : dask array or dask data frame
    y, sample_weight
        Collections with the same blocks of rows, or of any others if all lengths are known, or
        arrays in memory.
    """
    import dask

    predicted = lazily(estimator, "predict", X)
    of_X = [columns[0] for columns in blocks_of(predicted)]
    of_y = _blocks(predicted, of_X, "y", y)
    of_weights = [None] * len(of_X)
    if sample_weight is not None:
        of_weights = _blocks(predicted, of_X, "sample_weight", sample_weight)
    compare = dask.delayed(_right if is_classifier(estimator) else _sums, pure=False)
    parts = [compare(*each) for each in zip(of_X, of_y, of_weights, strict=True)]
    found = [part for part in computed(parts, estimator.client) if part is not None]
    if not found:
        raise ValueError(must("X", "have at least one sample", "none"))
    total = sum(part.weight for part in found)
    if total == 0:
        raise ValueError(must("sample_weight", "be above 0 for at least one sample", "only zeros"))
    if is_classifier(estimator):
        return float(sum(part.right for part in found) / total)
    sums, *others = found
    for each in others:
        sums = sums.plus(each)
    return _r2(sums)


def _blocks(predicted: Any, of_X: list[Any], name: str, values: Any) -> list[Any]:
    """Return the blocks of values, delayed, for the same rows as those of predictions."""
    if not is_collection(values):
        return _of_array(predicted, of_X, name, values)
    n = known_length(predicted)
    if n is not None and known_length(values) is not None:
        _check_rows(name, values, n)
        values = values.rechunk({0: predicted.chunks[0]})
    elif values.npartitions != predicted.npartitions:
        requirement = f"have {predicted.npartitions} partitions, as X has"
        raise ValueError(must(name, requirement, f"{values.npartitions} of unknown lengths"))
    if values.ndim == 2 and not is_frame(values):
        values = values.rechunk({1: -1})
    return [columns[0] for columns in blocks_of(values)]


def _of_array(predicted: Any, of_X: list[Any], name: str, values: Any) -> list[Any]:
    """Return the same of an array in memory, which is cut where the blocks of X end."""
    import dask

    values = values.tocsr() if hasattr(values, "tocsr") else np.asarray(values)
    if values.ndim == 0:
        raise ValueError(must(name, "be an array with as many rows as X has", shown(values.item())))
    n = known_length(predicted)
    if n is not None:
        _check_rows(name, values, n)
        stops = np.cumsum(predicted.chunks[0]).tolist()
        return [
            dask.delayed(values[start:stop], traverse=False, pure=False)
            for start, stop in zip([0, *stops], stops, strict=False)
        ]
    whole = dask.delayed(values, traverse=False, pure=False)
    cut, plus = (dask.delayed(task, pure=False) for task in (_cut, plus_rows))
    start: Any = 0
    found = []
    for k, block in enumerate(of_X):
        stop = plus(start, block)
        found.append(cut(whole, start, None if k == len(of_X) - 1 else stop))
        start = stop
    return found


def _check_rows(name: str, values: Any, n: int) -> None:
    if values.shape[0] != n:
        raise ValueError(must(name, f"have {n} rows, as X has", f"{values.shape[0]}"))


# Tasks -------------------------------------------------------------------------------------------


class Right(NamedTuple):
    """What a block of samples adds to the accuracy."""

    weight: float
    right: float  # the weight of the samples that are classified rightly


class Sums(NamedTuple):
    """What a block of samples adds to the R2 of each output."""

    n: int
    weight: float
    mean: np.ndarray  # of y
    squares: np.ndarray  # of the distances from it
    errors: np.ndarray  # squared

    def plus(self, other: Sums) -> Sums:
        """Return those of both blocks."""
        n, weight = self.n + other.n, self.weight + other.weight
        if weight == 0:
            return self._replace(n=n)
        distance, share = other.mean - self.mean, other.weight / weight
        return Sums(
            n,
            weight,
            self.mean + distance * share,
            self.squares + other.squares + distance**2 * (self.weight * share),
            self.errors + other.errors,
        )


def _right(predicted: Any, y: Any, weights: Any) -> Right | None:
    n, weights = _checked(predicted, y, weights)
    if n == 0:
        return None
    total = float(n) if weights is None else float(weights.sum())
    if total == 0:  # scikit-learn refuses a block without weight
        return Right(0.0, 0.0)
    y = y if hasattr(y, "tocsr") else np.asarray(y)
    right = accuracy_score(y, np.asarray(predicted), normalize=False, sample_weight=weights)
    return Right(total, float(right))


def _sums(predicted: Any, y: Any, weights: Any) -> Sums | None:
    n, weights = _checked(predicted, y, weights)
    if n == 0:
        return None
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    found, expected = (np.asarray(each, np.float64).reshape(n, -1) for each in (predicted, y))
    if found.shape[1] != expected.shape[1]:
        outputs = f"{found.shape[1]} outputs, as predictions have"
        raise ValueError(must("y", f"have {outputs}", f"{expected.shape[1]}"))
    w = np.ones((n, 1)) if weights is None else weights[:, np.newaxis]
    total = float(w.sum())
    mean = (w * expected).sum(axis=0) / (total or 1.0)
    squares = (w * (expected - mean) ** 2).sum(axis=0)
    return Sums(n, total, mean, squares, (w * (expected - found) ** 2).sum(axis=0))


def _cut(values: Any, start: int, stop: int | None) -> Any:
    """Return the rows of a block; those of the last one end with the array."""
    return values[start:stop]


def _checked(predicted: Any, y: Any, weights: Any) -> tuple[int, np.ndarray | None]:
    """Return the number of samples of a block, and their weights."""
    n = len(predicted)
    for name, values in (("y", y), ("sample_weight", weights)):
        if values is not None and known_length(values) != n:
            requirement = "have as many rows in each partition as X has"
            raise ValueError(must(name, requirement, f"{known_length(values)} for {n}"))
    return n, inputs.weights_of(weights, n) if n > 0 else None


def _r2(sums: Sums) -> float:
    """Return the mean R2 of the outputs; of a constant output it is 1 or 0, as in scikit-learn."""
    if sums.n < 2:
        text = "R^2 score is not well-defined with less than two samples."
        warnings.warn(text, UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    errors, squares = sums.errors, sums.squares
    ratios = np.divide(errors, squares, out=(errors != 0) * 1.0, where=squares != 0)
    return float(np.mean(1 - ratios))
