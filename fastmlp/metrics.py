"""Metrics of predictions.

Every metric is called as ``metric(targets, outputs, sample_weight=None)`` and returns a float.
Depending on the task of the loss (see `fastmlp.losses`), targets and outputs are

=======  =======================  ========================
classes  int labels (n,)          probabilities (n, n_out)
labels   0 or 1 (n, n_out)        probabilities (n, n_out)
values   real numbers (n, n_out)  predictions (n, n_out)
=======  =======================  ========================

Other shapes are a ValueError. If a network is trained on probabilities, the targets are the labels
that these would predict. The predicted class is the most probable one (the first in case of a tie);
a label is predicted if its probability is at least 0.5. Means over samples are weighted if weights
are given; sums are in float64. Metrics that scikit-learn has give the same results.

`MLP.fit` calls custom metrics once before the first epoch, on all samples that will be scored, so
that a metric that fails changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.argument_types import ArrayLike
from fastmlp.messages import must, shown
from fastmlp.options import check_fields
from fastmlp.validation import checks

TASKS = ("classes", "labels", "values")


@dataclass(frozen=True)
class Metric:
    """A function of targets and outputs, with its name and properties.

    Parameters
    ----------
    name : str
        In messages and, after ``validation_``, in `history_`.
    function : callable
        A function of (targets, outputs) or (targets, outputs, sample_weight) that returns a number.
    tasks : tuple of str, default all
        The tasks that it supports: "classes", "labels", "values".
    greater_is_better : bool, default True
        Whether a greater value is an improvement, for early stopping.
    takes_weight : bool, default False
        Whether the function has the third parameter, which may be None. If not, all samples have
        the same weight.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.metrics import Metric
    >>> worst = Metric("worst", lambda t, z: np.abs(t - z).max(), greater_is_better=False)
    >>> worst(np.array([[1.0], [2.0]]), np.array([[1.5], [2.0]]))
    0.5
    """

    name: str
    function: Callable[..., Any]
    tasks: tuple[str, ...] = TASKS
    greater_is_better: bool = True
    takes_weight: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            name=_text,
            function=_function,
            tasks=_tasks,
            greater_is_better=checks.flag,
            takes_weight=checks.flag,
        )

    def __call__(self, targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
        """Return the value of the metric; TypeError if the function does not return a number.

        Errors raised by the function get a note with the name of the metric.
        """
        weight = (sample_weight,) if self.takes_weight else ()
        try:
            value = self.function(targets, outputs, *weight)
        except Exception as error:
            error.add_note(f"raised by the metric {shown(self.name)}")
            raise
        try:
            if isinstance(value, (str, bytes)):  # `float` would parse it
                raise TypeError
            return float(value)
        except Exception:
            got = f"{shown(value)} from the metric {shown(self.name)}"
            raise TypeError(must("function", "return a number", got)) from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(must(name, "be a str", shown(value)))
    return value


def _function(name: str, value: Any) -> Callable[..., Any]:
    if not callable(value):
        raise TypeError(must(name, "be a function of (targets, outputs)", shown(value)))
    return value


def _tasks(name: str, value: Any) -> tuple[str, ...]:
    tasks = checks.listed(name, value, f"a tuple of {', '.join(map(repr, TASKS))}")
    return tuple(checks.choice(f"{name}[{i}]", task, TASKS) for i, task in enumerate(tasks))


# Classes and labels ---------------------------------------------------------------------------


def accuracy(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return the fraction of samples that are predicted correctly, with all of their labels.

    Examples
    --------
    >>> from fastmlp.metrics import accuracy
    >>> accuracy([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    0.6666666666666666
    """
    targets, outputs = _arrays(targets, outputs)
    if targets.ndim == 1:
        right = outputs.argmax(axis=1) == targets
    else:
        right = ((outputs >= 0.5) == (targets != 0)).all(axis=1)
    return _mean(right, sample_weight)


def balanced_accuracy(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return the mean of the recall of each class.

    Classes without samples are ignored. For labels, the mean over labels of the mean recall of 0
    and 1 (Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, 2010).

    Examples
    --------
    >>> from fastmlp.metrics import balanced_accuracy
    >>> balanced_accuracy([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    0.75
    """
    right, true, _ = _counts(targets, outputs, sample_weight)
    recall = np.divide(right, true, out=np.zeros_like(true), where=true > 0)
    return float((recall.sum(axis=1) / (true > 0).sum(axis=1)).mean())


def f1(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return 2 P R / (P + R) of precision P and recall R, 2 * right / (true + predicted) in counts.

    For two classes, the score of class 1; for more, the mean over the classes that occur in the
    targets or predictions; for labels, the mean over all of them, with 0 for a label that is
    neither true nor predicted (van Rijsbergen, Information Retrieval, 1979, chapter 7).

    Examples
    --------
    >>> from fastmlp.metrics import f1
    >>> f1([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    0.6666666666666666
    """
    right, true, predicted = _counts(targets, outputs, sample_weight)
    either = true + predicted
    scores = np.divide(2 * right, either, out=np.zeros_like(either), where=either > 0)
    if scores.shape[1] == 2:
        return float(scores[:, 1].mean())
    return float(scores[either > 0].mean())


def top_k_accuracy(
    targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None, *, k: int = 5
) -> float:
    """Return the fraction of samples whose class is among the k most probable ones.

    Ties are broken in favor of the first class, so that k = 1 is `accuracy`.

    Examples
    --------
    >>> from fastmlp.metrics import top_k_accuracy
    >>> top_k_accuracy([0, 1, 2], [[0.5, 0.3, 0.2]] * 3, k=2)
    0.6666666666666666
    """
    targets, outputs = _arrays(targets, outputs, (1,))
    targets = targets[:, None]
    true = np.take_along_axis(outputs, targets, axis=1)
    tied_before = (outputs == true) & (np.arange(outputs.shape[1]) < targets)
    before = ~(outputs <= true) | tied_before  # NaN equals nothing: all others are before it
    return _mean(before.sum(axis=1) < k, sample_weight)


def top_k(k: int) -> Metric:
    """Return `top_k_accuracy` for another k, named "top_3_accuracy" for 3.

    Examples
    --------
    >>> from fastmlp.metrics import top_k
    >>> top_k(2)([0, 1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    0.6666666666666666
    """
    k = checks.whole_number("k", k, 1)
    function = functools.partial(top_k_accuracy, k=k)
    return Metric(f"top_{k}_accuracy", function, ("classes",), takes_weight=True)


def log_loss(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return the mean of -log p of the true class or label.

    Probabilities are clipped to [epsilon, 1 - epsilon], with the machine epsilon of their type, so
    that the result is finite: at most 16 in float32, 36 in float64.

    Examples
    --------
    >>> from fastmlp.metrics import log_loss
    >>> round(log_loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 4)
    0.1643
    """
    targets, p = _arrays(targets, outputs)
    epsilon = np.finfo(np.result_type(p.dtype, np.float16)).eps  # of integers: of float64
    p = np.clip(p, epsilon, 1 - epsilon).astype(np.float64)
    if targets.ndim == 1:
        true = np.take_along_axis(p, targets[:, None], axis=1)
    else:
        true = np.where(targets != 0, p, 1 - p)
    return _mean(-np.log(true).mean(axis=1), sample_weight)


# Regression ---------------------------------------------------------------------------------------


@np.errstate(over="ignore", invalid="ignore")  # if training diverges, outputs may overflow
def r2(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return the coefficient of determination, 1 - sum (t - z)**2 / sum (t - mean t)**2.

    The mean over outputs. 1 is perfect, 0 no better than the mean of the targets. An output with
    constant targets has 1 if they are predicted exactly, otherwise 0.

    Examples
    --------
    >>> from fastmlp.metrics import r2
    >>> r2([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    0.5
    """
    targets, outputs = _values(targets, outputs)
    mean = np.average(targets, axis=0, weights=sample_weight)
    left = np.average((targets - outputs) ** 2, axis=0, weights=sample_weight)
    whole = np.average((targets - mean) ** 2, axis=0, weights=sample_weight)
    share = np.divide(left, whole, out=(left != 0).astype(np.float64), where=whole > 0)
    return float((1 - share).mean())


def mae(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return the mean of abs(t - z) over samples and outputs.

    Examples
    --------
    >>> from fastmlp.metrics import mae
    >>> mae([[1.0], [2.0]], [[1.5], [2.0]])
    0.25
    """
    targets, outputs = _values(targets, outputs)
    return _mean(np.abs(targets - outputs).mean(axis=1), sample_weight)


@np.errstate(over="ignore", invalid="ignore")
def rmse(targets: ArrayLike, outputs: ArrayLike, sample_weight: Any = None) -> float:
    """Return the root of the mean of (t - z)**2 over samples, averaged over outputs.

    Examples
    --------
    >>> from fastmlp.metrics import rmse
    >>> rmse([[1.0], [2.0]], [[1.0], [4.0]]) == 2**0.5
    True
    """
    targets, outputs = _values(targets, outputs)
    squares = np.average((targets - outputs) ** 2, axis=0, weights=sample_weight)
    return float(np.sqrt(squares).mean())


# Names and functions --------------------------------------------------------------------------

_BOTH, _CLASSES, _VALUES = ("classes", "labels"), ("classes",), ("values",)

#: The names that users may pass, and what they stand for.
METRICS: dict[str, Metric] = {
    function.__name__: Metric(function.__name__, function, tasks, greater, takes_weight=True)
    for function, tasks, greater in (
        (accuracy, _BOTH, True),
        (balanced_accuracy, _BOTH, True),
        (top_k_accuracy, _CLASSES, True),
        (log_loss, _BOTH, False),
        (f1, _BOTH, True),
        (r2, _VALUES, True),
        (mae, _VALUES, False),
        (rmse, _VALUES, False),
    )
}


def chosen_metrics(metrics: Any, task: str) -> list[Metric]:
    """Return the metrics for the argument `metrics` of `MLP.fit`.

    Parameters
    ----------
    metrics : None, or one or several of str, Metric and callable
        None is accuracy for classification, and no metric for regression. A callable is a function
        of (targets, outputs), whose name is its ``__name__``; greater is better unless it has an
        attribute ``greater_is_better`` that is false.
    task : {"classes", "labels", "values"}
        The task of the loss.

    Raises
    ------
    ValueError
        For unknown or duplicate names, and for metrics of another task.
    TypeError
        For anything else.

    Examples
    --------
    >>> from fastmlp.metrics import chosen_metrics
    >>> [metric.name for metric in chosen_metrics(["accuracy", "f1"], "classes")]
    ['accuracy', 'f1']
    """
    if metrics is None:
        return [METRICS["accuracy"]] if task in _BOTH else []
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    else:
        metrics = checks.listed("metrics", metrics, f"one or a list of {_known(task)}")
    found = [_metric(metric, task) for metric in metrics]
    names = [metric.name for metric in found]
    for name in names:
        if name == "loss" or names.count(name) > 1:  # they are keys of the history
            requirement = "have names that differ from one another and from 'loss'"
            got = f"{shown(name)}{' twice' * (name != 'loss')}"
            raise ValueError(must("metrics", requirement, got))
    return found


def _metric(metric: Any, task: str) -> Metric:
    """Return one of `chosen_metrics`."""
    known = METRICS.get(metric) if isinstance(metric, str) else metric
    if isinstance(known, Metric):
        if task in known.tasks:
            return known
    elif callable(known) and isinstance(getattr(known, "__name__", None), str):
        greater_is_better = getattr(known, "greater_is_better", True)
        return Metric(known.__name__, known, greater_is_better=greater_is_better)
    given = known.name if isinstance(known, Metric) else metric
    raise (ValueError if isinstance(given, str) else TypeError)(
        must("metrics", f"be among {_known(task)}", shown(given))
    )


def _known(task: str) -> str:
    """Return what the metrics of a task may be."""
    names = sorted(name for name, metric in METRICS.items() if task in metric.tasks)
    return f"{', '.join(map(repr, names))} and named functions, for a loss with the task {task!r}"


# What several metrics need --------------------------------------------------------------------


def _mean(values: np.ndarray, weight: Any) -> float:
    return float(np.average(values, weights=weight))


def _arrays(
    targets: Any, outputs: Any, dimensions: tuple[int, ...] = (1, 2)
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays; ValueError for shapes that NumPy would broadcast or fail on."""
    targets, outputs = np.asarray(targets), np.asarray(outputs)
    if outputs.ndim != 2:
        raise ValueError(must("outputs", "have shape (n_samples, n_out)", f"{outputs.shape}"))
    shapes = [outputs.shape[:n] for n in dimensions]
    if targets.shape not in shapes:
        wanted = f"have shape {' or '.join(map(str, shapes))}, to go with the outputs"
        raise ValueError(must("targets", wanted, f"{targets.shape}"))
    return targets, outputs


def _values(targets: Any, outputs: Any) -> tuple[np.ndarray, np.ndarray]:
    targets, outputs = _arrays(targets, outputs, (2,))
    return np.asarray(targets, np.float64), np.asarray(outputs, np.float64)


def _counts(targets: Any, outputs: Any, weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the total weights of samples of each class: correctly predicted, true, predicted.

    Of shape (1, n_out) for classes and (n_out, 2) for labels, whose classes are 0 and 1.
    """
    targets, outputs = _arrays(targets, outputs)
    n_samples, n_out = outputs.shape
    weight = np.ones(n_samples) if weight is None else np.asarray(weight, np.float64)
    if targets.ndim == 1:
        shape, true, predicted = (1, n_out), targets, outputs.argmax(axis=1)
    else:
        shape, zero = (n_out, 2), 2 * np.arange(n_out)  # label j has the classes 2 j and 2 j + 1
        true = (zero + (targets != 0)).ravel()
        predicted = (zero + (outputs >= 0.5)).ravel()
        weight = np.repeat(weight, n_out)

    def total(classes: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.bincount(classes, weight, shape[0] * shape[1]).reshape(shape)

    right = true == predicted
    return total(true[right], weight[right]), total(true, weight), total(predicted, weight)
