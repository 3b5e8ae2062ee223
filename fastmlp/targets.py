"""Targets and the weights of samples, checked and brought into form (floor 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastmlp import checks
from fastmlp.core.losses import LOGISTIC, POISSON, SOFTMAX, Loss, Targets

#: The least and the greatest target, where not every number is one.
LIMITS = {LOGISTIC: (0, 1), POISSON: (0, np.inf)}


def targets(name: str, y: Any, n_samples: int, loss: Loss, n_out: int, dtype: Any) -> Targets:
    """Return `y` as the kernels take it: classes for softmax, numbers for every other loss.

    Raises
    ------
    TypeError, ValueError
        For another number of samples or outputs, labels outside 0 to n_out - 1, NaN and infinity,
        numbers outside 0 to 1 for the logistic loss, and below 0 for Poisson's.
    """
    none, unweighted = np.empty(0, dtype), np.empty(0)
    if loss.kind == SOFTMAX:
        return Targets(class_labels(name, y, n_samples, n_out), none, unweighted)
    values = numbers(name, y, n_samples, n_out, dtype)
    lowest, highest = LIMITS.get(loss.kind, (-np.inf, np.inf))
    outside = (values < lowest) | (values > highest)
    if outside.any():
        accepted = f"numbers of at least {lowest}" + (
            f" and at most {highest}" * (highest < np.inf)
        )
        raise ValueError(f"{name} has the target {values[outside][0]}; accepted are {accepted}")
    return Targets(np.empty(0, np.int64), values.reshape(-1), unweighted)


def numbers(name: str, y: Any, n_samples: int, n_out: int, dtype: Any) -> np.ndarray:
    """Return `y` as finite numbers of `dtype`, of shape (n_samples, n_out)."""
    array = checks.array_of(name, y)
    if array.ndim == 1 and n_out == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != n_out:
        one = "(n_samples,) and " if n_out == 1 else ""
        raise ValueError(
            f"{name} has the shape {array.shape}; accepted is {one}(n_samples, {n_out})"
        )
    _one_each(name, array, n_samples)
    with np.errstate(all="ignore"):
        values = np.ascontiguousarray(array, dtype)
    checks.finite_rows(name, values)
    return values


def class_labels(name: str, y: Any, n_samples: int, n_out: int) -> np.ndarray:
    """Return `y`, integer labels or one-hot rows, as int64 labels of shape (n_samples,)."""
    array = checks.array_of(name, y)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {array.ndim} dimensions; accepted are labels of shape (n_samples,) "
            f"and one-hot rows of shape (n_samples, {n_out})"
        )
    _one_each(name, array, n_samples)
    if array.ndim == 2:
        return _labels_of_one_hot(name, array, n_out)
    with np.errstate(invalid="ignore"):
        labels = array.astype(np.int64)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        wrong = array[labels != array][0]
        raise ValueError(f"{name} has the label {wrong}; accepted are whole numbers")
    if labels.min() < 0 or labels.max() >= n_out:
        wrong = labels[(labels < 0) | (labels >= n_out)][0]
        raise ValueError(f"{name} has the label {wrong}; accepted are 0 to {n_out - 1}")
    return labels


def _one_each(name: str, array: np.ndarray, n_samples: int) -> None:
    if len(array) != n_samples:
        raise ValueError(
            f"{name} has {len(array)} samples, X has {n_samples}; accepted is one each"
        )


def _labels_of_one_hot(name: str, array: np.ndarray, n_out: int) -> np.ndarray:
    if array.shape[1] != n_out:
        raise ValueError(
            f"{name} has one-hot rows of width {array.shape[1]}; the output layer has {n_out} units"
        )
    one_hot = ((array == 0) | (array == 1)).all(axis=1) & (array.sum(axis=1) == 1)
    if not one_hot.all():
        raise ValueError(
            f"{name} has in row {int(np.argmin(one_hot))} something other than one 1 among 0s; "
            "accepted are integer labels and one-hot rows"
        )
    return array.argmax(axis=1).astype(np.int64)


def weighted(
    targets: Targets,
    sample_weight: Any,
    class_weight: Any,
    n_samples: int,
    n_out: int,
    some: bool = True,
) -> Targets:
    """Return the targets with the product of both weights of each sample; empty if all are 1.

    Parameters
    ----------
    targets : Targets
        Of classes, where class_weight is given.
    sample_weight : array-like (n_samples,) or None
        Finite numbers of at least 0.
    class_weight : dict, array-like (n_out,), "balanced" or None
        From classes to numbers of that kind, 1 for those that a dict does not name. "balanced"
        is n_samples over the number of classes that occur and the class's number of samples.
    some : bool, default True
        Whether one of the products must be above 0.

    Raises
    ------
    TypeError, ValueError
    """
    weights = np.ones(n_samples)
    if sample_weight is not None:
        weights = _weights("sample_weight", sample_weight, n_samples)
    if class_weight is not None:
        if len(targets.labels) == 0:
            raise ValueError("class_weight is given; accepted is one for the softmax loss alone")
        weights = weights * _of_classes(class_weight, targets.labels, n_out)[targets.labels]
    if sample_weight is None and class_weight is None:
        return targets
    if some and not weights.any():
        raise ValueError("sample_weight times class_weight is 0 for all; accepted is one above 0")
    return targets._replace(weights=weights)


def as_scored(targets: Targets, outputs: np.ndarray) -> tuple[Any, np.ndarray, Any]:
    """Return what a metric takes: the targets in their form, the outputs, the weights or None."""
    expected = targets.labels
    if len(expected) == 0:
        expected = targets.values.reshape(outputs.shape)
    return expected, outputs, targets.weights if len(targets.weights) > 0 else None


def _weights(name: str, values: Any, n: int) -> np.ndarray:
    array = checks.array_of(name, values)
    if array.shape != (n,):
        raise ValueError(f"{name} has the shape {array.shape}; accepted is ({n},)")
    array = array.astype(np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        wrong = array[~(np.isfinite(array) & (array >= 0))][0]
        raise ValueError(f"{name} has {wrong}; accepted are finite numbers of at least 0")
    return array


def _of_classes(class_weight: Any, labels: np.ndarray, n_out: int) -> np.ndarray:
    """Return the weight of each class."""
    if isinstance(class_weight, str):
        checks.choice("class_weight", class_weight, ["balanced"])
        counts = np.bincount(labels, minlength=n_out)
        return np.where(
            counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0
        )
    if isinstance(class_weight, Mapping):
        weights = np.ones(n_out)
        for label, weight in class_weight.items():
            number = checks.whole_number("class_weight's class", label, 0)
            if number >= n_out:
                raise ValueError(
                    f"class_weight has the class {number}; accepted are 0 to {n_out - 1}"
                )
            weights[number] = checks.real_number(f"class_weight[{number}]", weight)
        return weights
    return _weights("class_weight", class_weight, n_out)


def _size(name: str, values: Any) -> int:
    """Return how many numbers `values` holds."""
    try:
        return int(np.size(values))
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths; accepted are equal ones") from None


def labelled_pairs(name: str, pairs: Any, sizes: list[int], dtype: np.dtype) -> tuple:
    """Return the arrays (X, labels) of a list of (x, one_hot) pairs.

    Each x has n_in numbers in any shape, each one_hot n_out; an integer label in its place is
    taken too. Raises as `feature_rows`, `finite_rows` and `class_labels` do.
    """
    n_in, n_out = sizes[0], sizes[-1]
    try:
        samples = [(x, y) for x, y in pairs]
    except (TypeError, ValueError):
        raise TypeError(f"{name} is not a list of (x, one_hot) pairs, which is accepted") from None
    if not samples:
        raise ValueError(f"{name} is empty; accepted are one or more (x, one_hot) pairs")
    for i, (x, y) in enumerate(samples):
        n_features, n_classes = _size(f"{name}[{i}][0]", x), _size(f"{name}[{i}][1]", y)
        if n_features != n_in:
            raise ValueError(
                f"{name}[{i}][0] has {n_features} features; the network's input layer takes {n_in}"
            )
        if np.ndim(y) > 0 and n_classes != n_out:
            raise ValueError(
                f"{name}[{i}][1] is a one-hot of {n_classes}; the output layer has {n_out} units"
            )
    X = checks.feature_rows(name, [np.ravel(x) for x, _ in samples], n_in, dtype)
    checks.finite_rows(name, X)
    one_hots = [np.ravel(y) if np.ndim(y) else np.arange(n_out) == y for _, y in samples]
    return X, class_labels(name, one_hots, len(X), n_out)
