"""What users pass: scikit-learn's checks, left out where they are known to pass."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.validation import validate_data

from fastmlp.training.samples import all_finite

SPARSE = ["csr", "csc"]
FLOATS = (np.float64, np.float32)


def rows_and_targets(estimator: Any, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
    """Return X and y after scikit-learn's checks; `reset` also learns the columns of X."""
    if not reset and _are_plain(estimator, X, y):
        return X, y
    X, y = validate_data(
        estimator, X, y, accept_sparse=SPARSE, multi_output=True, dtype=FLOATS, reset=reset,
        y_numeric=is_regressor(estimator),
    )  # fmt: skip
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def rows(estimator: Any, X: Any) -> Any:
    """Return X after scikit-learn's checks.

    Except that an array of floats may have NaN or infinity, which the kernels notice.
    """
    if is_plain(estimator, X):
        return X
    return validate_data(estimator, X, accept_sparse=SPARSE, reset=False)


def is_plain(estimator: Any, X: Any) -> bool:
    """Whether X is an array of floats with the columns that the estimator knows, without names.

    `validate_data` takes several times as long as a prediction for one row.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in FLOATS
        and len(X) > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
    )


def _are_plain(estimator: Any, X: Any, y: Any) -> bool:
    return (
        is_plain(estimator, X)
        and type(y) is np.ndarray
        and y.shape == X.shape[:1]
        and (y.dtype.kind in "iub" or (y.dtype in FLOATS and all_finite(y)))
        and all_finite(X)
    )


def weights_of(
    sample_weight: Any, n_samples: int, name: str = "sample_weight"
) -> np.ndarray | None:
    """Return the weights of the samples, float64, or None for weights of 1."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        return np.full(n_samples, float(sample_weight))
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name)
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weights.ndim}D array.")
    if weights.shape != (n_samples,):
        raise ValueError(f"{name}.shape == {weights.shape}, expected {(n_samples,)}!")
    return weights


def random_source(estimator: Any) -> np.random.RandomState:
    """Return the RandomState of a call of fit.

    For an int it is seeded again: to create one takes longer than a step.
    """
    if not isinstance(estimator.random_state, Integral):
        return check_random_state(estimator.random_state)
    seeded: np.random.RandomState | None = vars(estimator).get("_seeded")
    if seeded is None:
        seeded = estimator._seeded = check_random_state(estimator.random_state)
    else:
        seeded.seed(int(estimator.random_state))
    return seeded
