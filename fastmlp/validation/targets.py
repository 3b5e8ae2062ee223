"""Validation of targets, and their conversion for the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmlp.core.equations.losses import LOGISTIC, POISSON, SOFTMAX, Loss, Targets
from fastmlp.core.run import no_targets
from fastmlp.messages import must, shown
from fastmlp.validation import checks

#: The smallest and largest targets of losses that restrict them.
LIMITS = {LOGISTIC: (0, 1), POISSON: (0, np.inf)}

#: Tolerance of the sum of a row of probabilities. For float16, which is less precise, it is
#: the epsilon of that type.
SUM_TOLERANCE = 1e-4


def targets(name: str, y: Any, n_samples: int, loss: Loss, n_out: int, dtype: Any) -> Targets:
    """Convert `y` for the kernels: labels or probabilities for softmax, otherwise values.

    Raises
    ------
    TypeError, ValueError
        For another number of samples or outputs, labels outside 0 to n_out - 1, names of classes,
        rows that are not probabilities, NaN and infinity, numbers outside 0 to 1 for the logistic
        loss, and below 0 for Poisson's.
    """
    none = no_targets(np.dtype(dtype).char)
    if loss.kind == SOFTMAX:
        labels, values = _classes(name, y, n_samples, n_out, none)
        return Targets(labels, values, none.weights)
    values = _numbers(name, y, n_samples, n_out, dtype, loss.kind == LOGISTIC)
    lowest, highest = LIMITS.get(loss.kind, (-np.inf, np.inf))
    outside = (values < lowest) | (values > highest)
    if outside.any():
        requirement = f"be at least {lowest}" + f" and at most {highest}" * (highest < np.inf)
        raise ValueError(must(name, requirement, f"{values[outside][0]}"))
    return Targets(none.labels, values.reshape(-1), none.weights)


def _given(name: str, y: Any, of_classes: bool) -> Any:
    """Return `y` as an array of numbers, or unchanged if it is sparse."""
    if hasattr(y, "tocsr"):
        return y.reshape(-1, 1) if len(y.shape) == 1 else y
    return checks.array_of(name, y, of_classes)


def _one_each(name: str, array: Any, n_samples: int) -> None:
    if array.shape[0] != n_samples:
        requirement = f"have as many samples as `X`, {n_samples}"
        raise ValueError(must(name, requirement, f"{array.shape[0]}"))


# Numbers ----------------------------------------------------------------------------------------


def _numbers(
    name: str, y: Any, n_samples: int, n_out: int, dtype: Any, of_classes: bool
) -> np.ndarray:
    """Return `y` as finite values of `dtype`, (n_samples, n_out), for the kernels."""
    array = _given(name, y, of_classes)
    if array.ndim == 1 and n_out == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != n_out:
        one = "(n_samples,) or " if n_out == 1 else ""
        raise ValueError(must(name, f"have shape {one}(n_samples, {n_out})", f"{array.shape}"))
    _one_each(name, array, n_samples)
    if not isinstance(array, np.ndarray):
        array = _dense(array.shape, _entries(name, array))
    values = checks.readable(array, np.dtype(dtype))
    checks.finite_rows(name, values)
    return values


# Classes ----------------------------------------------------------------------------------------


def _classes(
    name: str, y: Any, n_samples: int, n_out: int, none: Targets
) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 labels and no probabilities, or no labels and flat probabilities."""
    array = _given(name, y, True)
    if array.ndim not in (1, 2):
        forms = "labels (n_samples,), or one-hot rows or probabilities"
        raise ValueError(
            must(name, f"be {forms} (n_samples, {n_out})", f"an array of shape {array.shape}")
        )
    _one_each(name, array, n_samples)
    if array.ndim == 2 and array.shape[1] not in (1, n_out):
        requirement = f"have rows of length {n_out}, one element for each output"
        raise ValueError(must(name, requirement, f"length {array.shape[1]}"))
    if not isinstance(array, np.ndarray):
        row, column, number = entries = _entries(name, array)
        is_one_hot = np.array_equal(row, np.arange(n_samples)) and (number == 1).all()
        if array.shape[1] == n_out and is_one_hot:
            return column.astype(np.int64), none.values
        array = _dense(array.shape, entries)
    if array.ndim == 2 and array.shape[1] == n_out:
        one_hot = ((array == 0) | (array == 1)).all(axis=1)
        one_hot &= (array != 0).sum(axis=1) == 1
        if one_hot.all():
            return array.argmax(axis=1).astype(np.int64), none.values
        if n_out > 1:
            return none.labels, _probabilities(name, array, none.values.dtype).reshape(-1)
    return _labels(name, array.reshape(-1), n_out), none.values


def _labels(name: str, array: np.ndarray, n_out: int) -> np.ndarray:
    """Return labels from 0 to n_out - 1 as int64."""
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            labels = array.astype(np.int64)
    else:
        labels = array.astype(np.int64)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        wrong = array[labels != array][0]
        kind, advice = "integer labels", "use MLP(loss='squared_error') for regression"
    elif np.maximum.reduce(labels.view(np.uint64)) >= n_out:  # negative labels become the largest
        wrong = array[(array < 0) | (array >= n_out)][0]
        kind, advice = "labels", ""
    else:
        return labels
    if n_out == 1:
        advice = (
            "use layers that end in 2 for two classes, or keep one output and use "
            "MLP(loss='logistic'), or 'squared_error' for regression"
        )
        raise ValueError(must(name, "be 0 for softmax with one output", f"{wrong}", advice))
    raise ValueError(must(name, f"be {kind} from 0 to {n_out - 1}", f"{wrong}", advice))


def _probabilities(name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return rows of probabilities as `dtype`, each divided by its sum."""
    tolerance = SUM_TOLERANCE
    if array.dtype.kind == "f":
        tolerance = max(tolerance, float(np.finfo(array.dtype).eps))
    p = array.astype(np.float64)
    checks.finite_rows(name, p)
    with np.errstate(over="ignore"):
        sums = p.sum(axis=1)
    right = (p >= 0).all(axis=1) & (np.abs(sums - 1) <= tolerance)
    if not right.all():
        row = int(np.argmin(right))
        got = f"the sum {sums[row]}" if (p[row] >= 0).all() else f"the number {p[row].min()}"
        requirement = "be labels, one-hot rows or rows of probabilities of at least 0 with sum 1"
        raise ValueError(must(name, requirement, f"{got} in row {row}"))
    p /= sums[:, None]
    return p.astype(dtype, copy=False)


# Sparse matrices --------------------------------------------------------------------------------


def _entries(name: str, matrix: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row, column and value of every nonzero entry, row by row."""
    rows = checks.sparse_rows(name, matrix.tocsr(), np.dtype(np.float64))
    n = int(rows.starts[-1])
    row_of_each = np.repeat(np.arange(len(rows)), np.diff(rows.starts))
    there = rows.numbers[:n] != 0
    return row_of_each[there], rows.inputs[:n][there], rows.numbers[:n][there]


def _dense(shape: tuple[int, int], entries: tuple[np.ndarray, ...]) -> np.ndarray:
    row, column, number = entries
    array = np.zeros(shape)
    np.add.at(array, (row, column), number)
    return array


# One form ---------------------------------------------------------------------------------------


def of_one_form(parts: list[Targets], sizes: list[int]) -> list[Targets]:
    """Convert labels to probabilities if some of the parts have labels and some probabilities.

    The parts, with these numbers of samples, can then be concatenated.
    """
    widths = [len(t.values) // n for t, n in zip(parts, sizes, strict=True) if len(t.values) > 0]
    if not widths or not any(len(t.labels) > 0 for t in parts):
        return parts
    classes = np.arange(widths[0])
    return [
        t._replace(
            labels=t.labels[:0],
            values=(t.labels[:, None] == classes).astype(t.values.dtype).reshape(-1),
        )
        if len(t.labels) > 0
        else t
        for t in parts
    ]


def as_scored(targets: Targets, outputs: np.ndarray, loss: Loss) -> tuple[Any, np.ndarray, Any]:
    """Return the arguments of a metric: targets, outputs, and sample weights or None.

    Probabilities are replaced by what they predict: the most probable class, or 1 for each label
    with a probability of at least 0.5.
    """
    expected = targets.labels
    if len(expected) == 0:
        expected = targets.values.reshape(outputs.shape)
        if loss.kind == SOFTMAX:
            expected = expected.argmax(axis=1)
        elif loss.kind == LOGISTIC:
            expected = (expected >= 0.5).astype(expected.dtype)
    return expected, outputs, targets.weights if len(targets.weights) > 0 else None


def _size(name: str, values: Any) -> int:
    """Return the number of elements of `values`."""
    try:
        return int(np.size(values))
    except ValueError:
        raise checks.ragged(name) from None


def labelled_pairs(name: str, pairs: Any, sizes: list[int], dtype: np.dtype) -> tuple[Any, Any]:
    """Return the arrays (X, y) of a list of (x, y) pairs, y as `targets` takes it.

    Each x has n_in elements of any shape; each y is a label, or has n_out elements: a one-hot or
    probabilities. Raises the errors of `feature_rows`.
    """
    n_in, n_out = sizes[0], sizes[-1]
    try:
        samples = [(x, y) for x, y in pairs]
    except (TypeError, ValueError):
        raise TypeError(must(name, "be a list of (x, one_hot) pairs", shown(pairs))) from None
    if not samples:
        raise ValueError(must(name, "have at least one (x, one_hot) pair", shown(pairs)))
    for i, (x, y) in enumerate(samples):
        n_features, n_classes = _size(f"{name}[{i}][0]", x), _size(f"{name}[{i}][1]", y)
        if n_features != n_in:
            raise ValueError(must(f"{name}[{i}][0]", f"have {n_in} features", f"{n_features}"))
        if np.ndim(y) > 0 and n_classes != n_out:
            requirement = f"be a label or have {n_out} elements"
            raise ValueError(must(f"{name}[{i}][1]", requirement, f"{n_classes} elements"))
    X = checks.feature_rows(name, [np.ravel(x) for x, _ in samples], n_in, dtype)
    return X, _rows_of_pairs(name, [y for _, y in samples], n_out)


def _rows_of_pairs(name: str, ys: list[Any], n_out: int) -> Any:
    """Return labels if all targets are labels, otherwise rows, with one-hots for labels."""
    single = [i for i, y in enumerate(ys) if np.ndim(y) == 0]
    if len(single) == len(ys):
        return ys
    if single:
        labels = _labels(name, _given(name, [ys[i] for i in single], True), n_out)
        for i, label in zip(single, labels, strict=True):
            ys[i] = np.arange(n_out) == label
    return [np.ravel(y) for y in ys]
