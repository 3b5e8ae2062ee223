"""Predictions and scores of estimators for the collections of Dask, one block at a time."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from fastmlp.dask.collections import is_collection
from fastmlp.messages import must
from fastmlp.training.reading import Reader, names_of


def lazily(estimator: Any, method: str, X: Any) -> Any:
    """Return the dask array that a method returns for the rows of X, for the present weights."""
    import dask

    X, fitted = _rows(estimator, X), _without_names(estimator)
    meta = getattr(fitted, method)(np.zeros((1, X.shape[1])))[:0]
    rows = X.chunks[0]
    shape: dict[str, Any] = {"drop_axis": 1, "chunks": (rows,)}
    if meta.ndim == 2:
        shape = {"chunks": (rows, (meta.shape[1],))}
    return X.map_blocks(
        _of_block, dask.delayed(fitted, pure=False), method, meta, dtype=meta.dtype, meta=meta,
        name=f"fastmlp_{method}-{dask.base.tokenize(X.name, id(fitted))}", **shape,
    )  # fmt: skip


def _of_block(X: Any, estimator: Any, method: str, meta: np.ndarray) -> Any:
    if X.shape[0] == 0:  # of a data frame without rows
        return meta
    return getattr(estimator, method)(X)


def _rows(estimator: Any, X: Any) -> Any:
    """Return a dask array whose blocks have all columns that the estimator knows."""
    check_is_fitted(estimator, "coefs_")
    known = getattr(estimator, "feature_names_in_", None)
    if known is not None:
        Reader(None, known.tolist()).check_names("X", names_of(X))  # type: ignore[arg-type]
    if hasattr(X, "to_dask_array"):
        X = X.to_dask_array()
    if X.ndim != 2 or X.shape[1] != estimator.n_features_in_:
        requirement = f"have shape (n_samples, {estimator.n_features_in_})"
        raise ValueError(must("X", requirement, f"{X.shape}"))
    return X if len(X.chunks[1]) == 1 else X.rechunk({1: -1})


def _without_names(estimator: Any) -> Any:
    """Return a copy of an estimator that does not expect names of columns."""
    fitted = copy.deepcopy(estimator)
    fitted.__dict__.pop("feature_names_in_", None)
    return fitted


# Scores ------------------------------------------------------------------------------------------


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
        distance = other.mean - self.mean
        share = other.weight / weight
        return Sums(
            weight,
            self.mean + distance * share,
            self.squares + other.squares + distance**2 * (self.weight * share),
            self.errors + other.errors,
        )


def score(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return the accuracy or R2, of which only sums of blocks are kept."""
    import dask

    X, fitted = _rows(estimator, X), _without_names(estimator)
    model = dask.delayed(fitted, pure=False)
    blocks = [_blocks_like(X, name, v) for name, v in (("y", y), ("sample_weight", sample_weight))]
    of_block = dask.delayed(_right if is_classifier(estimator) else _sums, pure=False)
    parts = [
        of_block(model, *each)
        for each in zip(X.to_delayed().reshape(-1).tolist(), *blocks, strict=True)
    ]
    found = [part for part in _computed(estimator, parts) if part is not None]
    if not found:
        raise ValueError(must("X", "have at least one sample", "none"))
    if is_classifier(estimator):
        right, total = (sum(values) for values in zip(*found, strict=True))
        return float(right / total)
    total, *others = found
    for each in others:
        total = total.plus(each)
    return _r2(total)


def _blocks_like(X: Any, name: str, values: Any) -> list[Any]:
    """Return the blocks of values, delayed, for the same rows as those of X."""
    import dask.array as da

    n_blocks = len(X.chunks[0])
    if values is None:
        return [None] * n_blocks
    if hasattr(values, "to_dask_array"):
        values = values.to_dask_array()
    elif not is_collection(values):
        values = da.from_array(np.asarray(values))
    if values.ndim == 2 and len(values.chunks[1]) > 1:
        values = values.rechunk({1: -1})
    if np.isnan([*X.chunks[0], *values.chunks[0]]).any():
        if len(values.chunks[0]) != n_blocks:
            got = f"{len(values.chunks[0])} of unknown lengths"
            raise ValueError(must(name, f"have {n_blocks} partitions, as X has", got))
    elif values.shape[0] != X.shape[0]:
        raise ValueError(must(name, f"have {X.shape[0]} rows, as X has", f"{values.shape[0]}"))
    else:
        values = values.rechunk({0: X.chunks[0]})
    return list(values.to_delayed().reshape(-1).tolist())


def _computed(estimator: Any, parts: list[Any]) -> list[Any]:
    import dask

    if estimator.client is False:
        return list(dask.compute(*parts, scheduler="threads"))
    if estimator.client is None:
        return list(dask.compute(*parts))
    return list(estimator.client.gather(estimator.client.compute(parts)))


def _right(estimator: Any, X: Any, y: Any, weights: Any) -> tuple[float, float] | None:
    """Return the weight of the samples that are classified rightly, and that of all."""
    if X.shape[0] == 0:
        return None
    total = float(X.shape[0]) if weights is None else float(np.sum(weights))
    predicted = estimator.predict(X)
    return float(accuracy_score(y, predicted, normalize=False, sample_weight=weights)), total


def _sums(estimator: Any, X: Any, y: Any, weights: Any) -> Sums | None:
    n = X.shape[0]
    if n == 0:
        return None
    expected, predicted = (
        np.asarray(values, np.float64).reshape(n, -1) for values in (y, estimator.predict(X))
    )
    w = np.ones((n, 1)) if weights is None else np.asarray(weights, np.float64).reshape(n, 1)
    total = float(w.sum())
    mean = (w * expected).sum(axis=0) / (total or 1.0)
    squares = (w * (expected - mean) ** 2).sum(axis=0)
    return Sums(total, mean, squares, (w * (expected - predicted) ** 2).sum(axis=0))


def _r2(sums: Sums) -> float:
    """Return the mean R2 of the outputs; of a constant output it is 1 or 0, as in scikit-learn."""
    constant = np.where(sums.errors == 0, 1.0, 0.0)
    ratios = np.divide(sums.errors, sums.squares, out=1 - constant, where=sums.squares != 0)
    return float(np.mean(1 - ratios))
