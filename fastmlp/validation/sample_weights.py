"""Sample weights, and the class weights that they are multiplied by."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmlp.core.equations.losses import LOGISTIC, SOFTMAX, Loss, Targets
from fastmlp.messages import must, shown
from fastmlp.validation import checks


def weighted(
    targets: Targets,
    sample_weight: Any,
    n_samples: int,
    require_positive: bool = True,
    name: str = "sample_weight",
) -> Targets:
    """Return the targets with sample weights; unchanged if `sample_weight` is None.

    Parameters
    ----------
    targets : Targets
    sample_weight : array-like (n_samples,) or None
        Finite and at least 0.
    n_samples : int
    require_positive : bool, default True
        Whether at least one weight must be above 0.
    name : str
        The argument, for messages.

    Raises
    ------
    TypeError, ValueError
    """
    if sample_weight is None:
        return targets
    weights = _weights(name, sample_weight, n_samples)
    check_sum(name, weights, require_positive)
    return targets._replace(weights=weights)


def class_weighted(
    targets: Targets,
    class_weight: Any,
    loss: Loss,
    n_out: int,
    rows: np.ndarray | None = None,
    require_positive: bool = True,
) -> Targets:
    r"""Return the targets with the weight of each class as well.

    For a sample with the probability :math:`t_j` of class j, the loss becomes
    :math:`-\sum_j w_j t_j \log p_j` and the weight :math:`\sum_j w_j t_j`: the sums over one sample
    of each class j with the weight :math:`t_j`. For labels, this is the weight of the class. The
    logistic loss with one output has the classes 0 and 1, with the probabilities 1 - t and t.

    Parameters
    ----------
    targets : Targets
        As `weighted` returns them.
    class_weight : dict, array-like (n_classes,), "balanced" or None
        Finite weights of at least 0; classes that are missing in a dict have the weight 1.
        "balanced" is the number of samples, divided by the number of classes that occur and by the
        number of samples of the class, or its sum of probabilities.
    loss : Loss
    n_out : int
    rows : array of int, optional
        The training samples, all by default: only these are counted.
    require_positive : bool, default True
        Whether at least one of their weights must be above 0.

    Raises
    ------
    TypeError, ValueError
        If class_weight is invalid.
    """
    name = "class_weight" if len(targets.weights) == 0 else "sample_weight"
    if class_weight is not None:
        name = name if name == "class_weight" else "sample_weight times class_weight"
        targets = _times_class_weights(targets, class_weight, loss, n_out, rows)
    if len(targets.weights) > 0:
        trained = targets.weights if rows is None else targets.weights[rows]
        check_sum(name, trained, require_positive, "" if rows is None else " to train on")
    return targets


def _times_class_weights(
    targets: Targets, class_weight: Any, loss: Loss, n_out: int, rows: np.ndarray | None
) -> Targets:
    check_has_classes(class_weight, loss, n_out)
    each = weights_of_classes(class_weight, class_counts(targets, loss, n_out, rows))
    if len(targets.labels) > 0:
        weights = each[targets.labels]
    else:
        shares = _shares(targets, loss, n_out) * each
        weights = shares.sum(axis=1)
        np.divide(shares, weights[:, None], out=shares, where=weights[:, None] > 0)
        values = shares[:, 1] if loss.kind == LOGISTIC else shares.reshape(-1)
        targets = targets._replace(values=values.astype(targets.values.dtype))
    if len(targets.weights) > 0:
        weights = targets.weights * weights
    return targets._replace(weights=weights)


def check_has_classes(class_weight: Any, loss: Loss, n_out: int) -> None:
    """Raise ValueError if class weights are given for a loss without classes."""
    if class_weight is not None and loss.kind != SOFTMAX and (loss.kind, n_out) != (LOGISTIC, 1):
        requirement = "be None unless the loss is softmax, or logistic with one output"
        got = f"{shown(class_weight)} for another loss"
        raise ValueError(must("class_weight", requirement, got, "use sample_weight instead"))


def class_counts(
    targets: Targets, loss: Loss, n_out: int, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return the number of samples of each class, or its sum of probabilities, in float64."""
    counted = slice(None) if rows is None else rows
    if len(targets.labels) > 0:
        return np.bincount(targets.labels[counted], minlength=n_out).astype(np.float64)
    return _shares(targets, loss, n_out)[counted].sum(axis=0)


def class_sums(targets: Targets, loss: Loss, n_out: int) -> np.ndarray:
    """Return the sum of the weights of the samples of each class, in float64."""
    if len(targets.weights) == 0:
        return class_counts(targets, loss, n_out)
    if len(targets.labels) > 0:
        return np.bincount(targets.labels, targets.weights, n_out)
    return np.asarray(targets.weights @ _shares(targets, loss, n_out))


def _shares(targets: Targets, loss: Loss, n_out: int) -> np.ndarray:
    """Return the probability of each class for each sample, (n_samples, n_classes), in float64."""
    shares = targets.values.reshape(-1, n_out).astype(np.float64)
    return np.hstack([1 - shares, shares]) if loss.kind == LOGISTIC else shares


def _weights(name: str, values: Any, n: int) -> np.ndarray:
    array = checks.array_of(name, values)
    if array.shape != (n,):
        raise ValueError(must(name, f"have shape ({n},)", f"{array.shape}"))
    array = array.astype(np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        wrong = array[~(np.isfinite(array) & (array >= 0))][0]
        raise ValueError(must(name, "be finite and at least 0", f"{wrong}"))
    return array


def check_positive(name: str, weights: np.ndarray, which: str) -> None:
    """Raise ValueError if all weights are 0."""
    if len(weights) > 0 and not weights.any():
        raise ValueError(must(name, f"be above 0 for at least one sample{which}", "only zeros"))


def check_sum(name: str, weights: np.ndarray, require_positive: bool, which: str = "") -> None:
    """Raise ValueError if a weighted mean would be NaN."""
    if require_positive:
        check_positive(name, weights, which)
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(must(name, "have a finite sum", f"{total}"))


def weights_of_classes(class_weight: Any, counts: np.ndarray) -> np.ndarray:
    """Return the weight of each class, for the counts of `class_counts`."""
    n_classes = len(counts)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            requirement = "be 'balanced', a dict or one weight for each class"
            raise ValueError(must("class_weight", requirement, shown(class_weight)))
        shared = np.count_nonzero(counts) * counts
        return np.divide(counts.sum(), shared, out=np.zeros(n_classes), where=counts > 0)
    if hasattr(class_weight, "items"):  # dict, or pandas.Series
        weights = np.ones(n_classes)
        for label, weight in class_weight.items():
            try:
                number = checks.whole_number("class_weight", label, 0, n_classes - 1)
            except (TypeError, ValueError) as error:
                requirement = f"have only classes from 0 to {n_classes - 1}"
                raise type(error)(must("class_weight", requirement, shown(label))) from None
            weights[number] = checks.non_negative(f"class_weight[{number}]", weight)
        return weights
    return _weights("class_weight", class_weight, n_classes)
