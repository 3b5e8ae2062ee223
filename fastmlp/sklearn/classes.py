"""The classes of a classifier, as scikit-learn's `LabelBinarizer` holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fastmlp.messages import must, shown

MULTILABEL = "multilabel-indicator"


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
    known = classifier._label_binarizer
    set_classes(classifier, known.y_type_, names[positions], known.sparse_input_)
