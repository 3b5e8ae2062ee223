"""Targets of any kind: what the shards have, and how a shard encodes its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import type_of_target

from fastmlp.messages import must
from fastmlp.settings import Settings
from fastmlp.sklearn import MLPClassifier, MLPRegressor, inputs
from fastmlp.sklearn.classes import classes_of, set_classes
from fastmlp.sklearn.fitting import Samples
from fastmlp.training.reading import names_of
from fastmlp.training.samples import Data
from fastmlp.validation import checks


class Columns(NamedTuple):
    """The columns of X."""

    n: int
    names: list[str] | None
    are_float32: bool  # all of them


class Seen(NamedTuple):
    """What samples show before the network is known."""

    n_samples: int
    columns: Columns
    #: Targets of the same kind with every class that occurs, as few as possible.
    example: Any
    counts: np.ndarray  # of each class of `example`, or of each label; empty for a regressor


def see(kind: type, X: Any, y: Any, sample_weight: Any = None) -> Seen:
    """Return what samples show to a `kind` of estimators, `MLPClassifier` or `MLPRegressor`."""
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    if len(X.shape) != 2 or 0 in X.shape:
        requirement = "have shape (n_samples, n_features), both above 0"
        raise ValueError(must("X", requirement, f"{tuple(X.shape)}"))
    columns = Columns(int(X.shape[1]), names_of(X), are_float32(X))
    return see_targets(kind, columns, X, y)


def see_targets(kind: type, columns: Columns, X: Any, y: Any, sample_weight: Any = None) -> Seen:
    """Return the same of targets alone, the columns of X being known; only its length counts."""
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    y = _targets(kind(), n_samples, y)
    seen = int(n_samples), columns
    if kind is MLPRegressor:
        return Seen(*seen, np.zeros((1, *y.shape[1:])), np.empty(0))
    if y.ndim == 1:
        example, counts = _classes(y)
        type_of_y = type_of_target(twice(example))
        if type_of_y not in ("binary", "multiclass"):
            raise ValueError(
                f"Unknown label type: {type_of_y}: y must have text, bools or whole numbers"
            )
        return Seen(*seen, example, counts)
    binarizer = LabelBinarizer().fit(y)
    labels = np.eye(y.shape[1], dtype=int)
    counts = np.asarray(y.sum(axis=0), np.float64).reshape(-1)
    return Seen(*seen, type(y)(labels) if binarizer.sparse_input_ else labels, counts)


def _classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and the number of samples of each."""
    try:
        classes, counts = np.unique(y, return_counts=True)
    except TypeError:
        types = sorted({type(value).__name__ for value in y.tolist()})
        raise ValueError(must("y", "have labels of one type", " and ".join(types))) from None
    return classes, counts.astype(np.float64)


def twice(classes: np.ndarray) -> np.ndarray:
    """Return each class twice: for classes that occur only once there would be a warning."""
    return classes.repeat(2) if classes.ndim == 1 else classes


def _targets(estimator: Any, n_samples: int, y: Any) -> Any:
    """Return y after scikit-learn's checks; a column is flat."""
    if y is not None and not hasattr(y, "tocsr"):
        y = np.asarray(y)
        y = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    return inputs.targets(estimator, n_samples, y)


def are_float32(X: Any) -> bool:
    """Whether the type of all columns together is float32."""
    types = list(X.dtypes) if hasattr(X, "dtypes") else [X.dtype]
    try:
        return bool(np.result_type(*types) == np.float32)
    except TypeError:  # a type of pandas
        return False


def together(all_seen: Sequence[Seen]) -> Seen:
    """Return what all shards show together; ValueError if they do not fit together."""
    first = all_seen[0]
    for shard, each in enumerate(all_seen):
        if each.columns.n != first.columns.n:
            requirement = f"have {first.columns.n} columns in every shard, as in shard 0"
            raise ValueError(must("X", requirement, f"{each.columns.n} in shard {shard}"))
        if each.example.shape[1:] != first.example.shape[1:]:
            requirement = f"have targets of the shape {_row(first)} in every shard, as in shard 0"
            raise ValueError(must("y", requirement, f"{_row(each)} in shard {shard}"))
    example, counts = first.example, first.counts
    if example.ndim > 1:
        counts = sum((each.counts for each in all_seen[1:]), counts)
    if example.ndim == 1 and len(first.counts) > 0:
        are_text = [each.example.dtype.kind in "OSU" for each in all_seen]
        if len(set(are_text)) > 1:
            pair = f"text in shard {are_text.index(True)}, numbers in {are_text.index(False)}"
            raise ValueError(must("y", "have labels of one type", pair))
        example = np.unique(np.concatenate([each.example for each in all_seen]))
        counts = np.zeros(len(example))
        for each in all_seen:
            counts[np.searchsorted(example, each.example)] += each.counts
    return first._replace(
        n_samples=sum(each.n_samples for each in all_seen),
        columns=first.columns._replace(
            are_float32=all(each.columns.are_float32 for each in all_seen)
        ),
        example=example,
        counts=counts,
    )


def _row(seen: Seen) -> str:
    """Return the shape of the targets of a sample."""
    return str(tuple(seen.example.shape[1:]))


def converted(shell: Any, settings: Settings, X: Any, y: Any, sample_weight: Any) -> Data:
    """Return samples as the network takes them, with class weights.

    Parameters
    ----------
    shell : MLPClassifier or MLPRegressor
        Of `fastmlp.sklearn`, which knows the classes of all shards, see `shell_of`.
    settings : Settings
        Of the network.
    X, y, sample_weight
        Of a shard.
    """
    X = X if hasattr(X, "tocsr") else checks.array_of("X", X)
    y = _targets(shell, X.shape[0], y)
    weights = inputs.weights_of(sample_weight, X.shape[0])
    samples = Samples(
        X,
        shell._encoded(y, settings.dtype).targets,
        weights,
        shell._class_weights(y),
        require_positive=False,  # a shard may have no sample with a weight
    )
    return samples.weighted(samples.data(settings))


def shell_of(estimator: Any, seen: Seen) -> Any:
    """Return what encodes targets as an estimator does that has learned what was seen in all.

    It is small, has no client, and is of `fastmlp.sklearn`.
    """
    has_classes = isinstance(estimator, MLPClassifier)
    shell: Any = MLPClassifier() if has_classes else MLPRegressor()
    shell.loss, shell.out_activation_ = estimator.loss, estimator.out_activation_
    if has_classes:
        set_classes(shell, *classes_of(estimator))
        shell.class_weight = _of_all_shards(estimator.class_weight, seen)
    return shell


def _of_all_shards(class_weight: Any, seen: Seen) -> Any:
    """Return class weights that do not depend on which classes a shard has, and how often."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return _balanced(seen)
    if not isinstance(class_weight, list) or seen.example.ndim == 1:
        return class_weight
    if len(class_weight) != len(seen.counts):
        return class_weight  # which is refused
    found = []
    for given, balanced in zip(class_weight, _balanced(seen), strict=True):
        if isinstance(given, str) and given == "balanced":
            given = balanced
        elif isinstance(given, dict) and set(given) <= {0, 1}:
            given = {label: given.get(label, 1.0) for label in (0, 1)}
        found.append(given)
    return found


def _balanced(seen: Seen) -> Any:
    """Return the weights for which the sums over the samples of each class are equal."""
    n, counts = seen.n_samples, seen.counts
    if seen.example.ndim == 1:
        return dict(zip(seen.example.tolist(), (n / (len(counts) * counts)).tolist(), strict=True))
    found = []
    for ones in counts.tolist():
        of_each = {label: count for label, count in ((0, n - ones), (1, ones)) if count > 0}
        found.append({label: n / (len(of_each) * count) for label, count in of_each.items()})
    return found
