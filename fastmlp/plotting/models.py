"""What is drawn of networks and estimators: their last step, their task and their predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastmlp.base import BaseNetwork
from fastmlp.messages import must, shown
from fastmlp.validation import checks


def network_of(estimator: Any) -> Any:
    """Return the network in a pipeline, a search or a `TransformedTargetRegressor`."""
    while True:
        inner = getattr(estimator, "best_estimator_", getattr(estimator, "regressor_", None))
        steps = getattr(estimator, "steps", None)
        if inner is None and steps:
            inner = steps[-1][1]
        if inner is None:
            return estimator
        estimator = inner


class Outputs(NamedTuple):
    """What a model predicts for rows of X."""

    task: str  # "classes", "labels" or "values"
    classes: Any  # of classes or labels: an array; None for values
    values: np.ndarray  # probabilities, or predicted values, (n_samples, n_outputs)


def outputs_of(estimator: Any, X: Any) -> Outputs:
    """Return the probabilities of a classifier, or the values of a regressor.

    A classifier without `predict_proba` has 1 for the predicted class, and 0 for others.
    """
    if isinstance(estimator, BaseNetwork):
        return _of_network(estimator, X)
    classes = classes_of(estimator)
    if classes is None:
        return Outputs("values", None, _as_columns(estimator.predict(X)))
    if hasattr(estimator, "predict_proba"):
        found = np.asarray(estimator.predict_proba(X))
        if len(classes) == 1:  # of which scikit-learn's networks have two probabilities
            return Outputs("classes", classes, np.ones((len(found), 1)))
        is_labels = found.shape[1] == len(classes) and np.ndim(estimator.predict(X[:1])) == 2
        return Outputs("labels" if is_labels else "classes", classes, found)
    found = np.asarray(estimator.predict(X))
    if found.ndim == 2:
        return Outputs("labels", classes, found)
    return Outputs("classes", classes, (found[:, np.newaxis] == classes).astype(np.float64))


def _of_network(network: Any, X: Any) -> Outputs:
    task, n_out = task_of(network)
    if task == "values":
        return Outputs(task, None, _as_columns(network.predict(X)))
    found = _as_columns(network.predict_proba(X))
    if task == "labels" and n_out == 1:
        return Outputs("classes", np.arange(2), np.concatenate([1 - found, found], axis=1))
    return Outputs(task, np.arange(n_out), found)


def task_of(network: Any) -> tuple[str, int]:
    """Return the task of a network's loss, and its number of outputs."""
    loss = getattr(network, "loss", None)  # which a `NeuralNet` does not have
    return ("classes" if loss is None else loss.task), int(network.layers[-1])


def classes_of(estimator: Any) -> Any:
    """Return the classes or labels of a classifier; None for regressors."""
    if isinstance(estimator, BaseNetwork):
        task, n_out = task_of(estimator)
        is_binary = task == "labels" and n_out == 1
        return None if task == "values" else np.arange(2 if is_binary else n_out)
    found = getattr(estimator, "classes_", None)
    return None if found is None else np.asarray(found)


def flat(y: Any) -> np.ndarray:
    """Return targets as an array, (n_samples,) if they are a column."""
    found = np.asarray(y)
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def numbers(name: str, values: Any) -> np.ndarray:
    """Return values as float64; ValueError if they are no numbers."""
    try:
        return np.asarray(values).astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(must(name, "hold numbers", shown(values))) from None


def _as_columns(values: Any) -> np.ndarray:
    found = np.asarray(values)
    return found.reshape(len(found), -1)


def one_output(name: str, values: Any, output: int | None, what: str) -> np.ndarray:
    """Return values as (n_samples,): those of one output, if there are several.

    Raises
    ------
    ValueError
        If `output` is None although there are several, or no position of an output.
    """
    found = flat(values)
    if found.ndim == 1:
        return found
    if found.ndim != 2:
        raise ValueError(must(name, "have one or two dimensions", f"shape {found.shape}"))
    requirement = f"be the position of one of {found.shape[1]} {what}"
    if output is None:
        raise ValueError(must("output", requirement, "None"))
    position = checks.whole_number("output", output, 0)
    if position >= found.shape[1]:
        raise ValueError(must("output", requirement, shown(output)))
    return found[:, position]
