"""The classes of a classifier, as a `LabelBinarizer` holds them, and their predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fastmlp.messages import must, shown
from fastmlp.serialization.estimator_schema import MULTILABEL


def set_classes(classifier: Any, kind: str, classes: np.ndarray, is_sparse: bool) -> None:
    """Set the classes of a classifier that was not fitted.

    Parameters
    ----------
    classifier : MLPClassifier
    kind : str
        "binary", "multiclass" or "multilabel-indicator".
    classes : array (n_classes,)
        Sorted.
    is_sparse : bool
        Whether y was a sparse matrix.
    """
    binarizer = classifier._label_binarizer = LabelBinarizer()
    classifier.classes_ = binarizer.classes_ = classes
    binarizer.y_type_, binarizer.sparse_input_ = kind, is_sparse


def classes_of(classifier: Any) -> tuple[str, np.ndarray, bool]:
    """Return what `set_classes` gives to another classifier, which then has the same classes."""
    known = classifier._label_binarizer
    return known.y_type_, np.asarray(classifier.classes_), known.sparse_input_


def is_multilabel(classifier: Any) -> bool:
    """Whether a fitted classifier predicts several labels for each row."""
    return bool(classifier._label_binarizer.y_type_ == MULTILABEL)


def name_classes(classifier: Any, names: np.ndarray) -> None:
    """Give names to the classes of a classifier that was fitted to their positions.

    Parameters
    ----------
    classifier : MLPClassifier
    names : array (n_names,)
        Sorted, without repetition. Classes without a training sample are left out.

    Raises
    ------
    ValueError
        For other names.
    """
    positions = np.asarray(classifier.classes_)
    if not (names[:-1] < names[1:]).all() or positions[-1] >= len(names):
        requirement = "be sorted, different and one for each class"
        raise ValueError(must("names", requirement, shown(names)))
    kind, _, is_sparse = classes_of(classifier)
    set_classes(classifier, kind, names[positions], is_sparse)


class ClassPredictions:
    """The predictions of a classifier."""

    n_outputs_: int
    _label_binarizer: LabelBinarizer
    # The probabilities of each class of three or more, of the second of two, or of each label.
    _outputs: Callable[[Any], np.ndarray]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row of X, or its labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Of the type of the classes that the estimator was trained on.
        """
        outputs = self._outputs(X)
        if self.n_outputs_ == 1:
            outputs = outputs.ravel()
        return self._label_binarizer.inverse_transform(outputs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y_prob : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, of the type of the network.
        """
        outputs = self._outputs(X)
        if self.n_outputs_ > 1:
            return outputs
        return np.concatenate([1 - outputs, outputs], axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_y_prob : ndarray of shape (n_samples, n_classes)
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)
