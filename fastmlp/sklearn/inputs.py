"""What users pass: scikit-learn's checks, left out where they are known to pass."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.validation import validate_data

from fastmlp.messages import must, shown
from fastmlp.sklearn.columns import Table, is_missing
from fastmlp.sklearn.encoder import EncodedRows, as_array
from fastmlp.sklearn.preset import TABULAR, TABULAR_FEW, has_few, new_encoder
from fastmlp.training.samples import all_finite

SPARSE = ["csr", "csc"]
FLOATS = (np.float64, np.float32)
#: What a fit with a preset leaves.
OF_PRESET = ("encoder_", "preset_parameters_", "target_center_", "target_scale_")
#: What scikit-learn's and NumPy's errors for values that are not finite numbers have in common.
OF_VALUES = ("contains NaN", "contains infinity", "could not convert", "invalid literal")


def rows_and_targets(
    estimator: Any, X: Any, y: Any, reset: bool, validates: bool = False
) -> tuple[Any, Any]:
    """Return X and y after scikit-learn's checks; `reset` also learns the columns of X.

    With a preset X is still a `Table`, or `EncodedRows`, which `encoded` turns into rows; `reset`
    chooses the preset's parameters, which depend on whether there is X_val (`validates`).
    """
    if reset:
        for name in OF_PRESET:
            estimator.__dict__.pop(name, None)
    if (
        isinstance(X, EncodedRows)
        or estimator._has_preset
        or (reset and estimator.preset is not None)
    ):
        X = _checked_table(estimator, X)
        y = targets(estimator, X.shape[0], y)
        if reset:
            few = has_few(estimator, X.shape[0], validates)
            estimator.preset_parameters_ = TABULAR | (TABULAR_FEW if few else {})
        return X, y
    if not reset and _are_plain(estimator, X, y):
        return X, y
    with named_if_not_numbers(estimator, X):
        X, y = validate_data(
            estimator, X, y, accept_sparse=SPARSE, multi_output=True, dtype=FLOATS, reset=reset,
            y_numeric=is_regressor(estimator),
        )  # fmt: skip
    return X, _flat(y)


def _flat(y: np.ndarray) -> np.ndarray:
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


# Tables -------------------------------------------------------------------------------------------


def _checked_table(estimator: Any, X: Any) -> Table | EncodedRows:
    if not isinstance(X, EncodedRows):
        return Table(X)
    if estimator.preset is None:
        raise ValueError(must("preset", "be 'tabular' for EncodedRows", "None"))
    X.check()
    X.check_encoder(vars(estimator).get("encoder_", X.encoder))
    return X


def encoded(
    estimator: Any, X: Table | EncodedRows, reset: bool = False, trained_on: Any = None
) -> np.ndarray:
    """Return the rows of a table as `encoder_` encodes them.

    `reset` fits it to the rows that are `trained_on`, or to all of them if that is None.
    """
    if isinstance(X, EncodedRows):
        encoder, rows = X
    else:
        encoder = vars(estimator).get("encoder_")
        if reset:
            holds_out = estimator.preset_parameters_["early_stopping"]
            encoder = new_encoder(few=not holds_out).fit(X.part(trained_on))
        rows = as_array(encoder, X)
    if reset:
        estimator.encoder_ = encoder
        estimator.__dict__.pop("feature_names_in_", None)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(encoder, name):
                setattr(estimator, name, getattr(encoder, name))
    return rows


def targets(estimator: Any, n_samples: int, y: Any) -> np.ndarray:
    """Return y after scikit-learn's checks, without those of X."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        )
    row = _missing_row(y)
    if row is not None:
        raise ValueError(must("y", "have a value in every row", f"a missing one in row {row}"))
    y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y")
    if is_regressor(estimator):
        y = _numbers_of(y)
    if y.shape[0] != n_samples:
        raise ValueError(must("y", f"have {n_samples} rows, as X", f"{y.shape[0]}"))
    return _flat(y)


def _numbers_of(y: Any) -> np.ndarray:
    """Return the targets of a regressor as float64."""
    if not isinstance(y, np.ndarray):
        raise TypeError(must("y", "be dense for a regressor", "a sparse matrix"))
    if y.dtype.kind in "biufOSU":
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return y.astype(np.float64)
        values = y.reshape(-1).tolist()
        wrong = next((v for v in values if not _is_finite_number(v)), values[0])
        row = values.index(wrong) // (y.size // len(y))
        got = f"{shown(wrong)} in row {row}"
    else:
        got = f"{y.dtype}"
    raise ValueError(must("y", "have numbers for a regressor", got))


def rows(estimator: Any, X: Any) -> Any:
    """Return X after scikit-learn's checks.

    Except that an array of floats may have NaN or infinity, which the kernels notice.
    """
    if estimator._has_preset:
        if isinstance(X, EncodedRows):
            raise ValueError(must("X", "be a table for predictions", "EncodedRows"))
        return as_array(estimator.encoder_, Table(X))
    if is_plain(estimator, X):
        return X
    with named_if_not_numbers(estimator, X):
        return validate_data(estimator, X, accept_sparse=SPARSE, reset=False)


@contextlib.contextmanager
def named_if_not_numbers(estimator: Any, X: Any) -> Iterator[None]:
    """Name the first row and column of X with text, NaN or infinity in a ValueError.

    The message begins as scikit-learn's.
    """
    try:
        yield
    except ValueError as error:
        is_of_values = any(part in str(error) for part in OF_VALUES)
        found = _first_not_number(X) if is_of_values else None
        if found is None:
            raise
        advice = f"{estimator._for_tables} takes text and missing values"
        raise ValueError(f"Input X contains {found}; {advice}.") from None


def _first_not_number(X: Any) -> str | None:
    """Return the first value of X that is not a finite number and its place, if there is one."""
    try:
        table = Table(X)
        columns = [table.column(j)[0] for j in range(table.shape[1])]
    except (TypeError, ValueError):
        return None
    found = []
    for j, values in enumerate(columns):
        wrong = ~np.isfinite(values) if values.dtype.kind in "f" else _are_not_numbers(values)
        if wrong.any():
            found.append((int(wrong.argmax()), j))
    if not found:
        return None
    row, j = min(found)
    value = columns[j].tolist()[row]
    text = "NaN" if is_missing(value) else shown(value)
    if isinstance(value, float) and math.isinf(value):
        text = "infinity"
    return f"{text} in row {row} of {table.name(j)}"


def _are_not_numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "biu":
        return np.zeros(len(values), bool)
    return np.array([not _is_finite_number(value) for value in values.tolist()], bool)


def _is_finite_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


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


def _missing_row(y: Any) -> int | None:
    """Return the first row of y with a missing value, if there is one."""
    if hasattr(y, "tocsr"):
        return None
    values = np.asarray(y)
    if isinstance(y, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(y) | _are_missing(values)
    else:
        missing = _are_missing(values)
    rows = missing.reshape(len(values), -1).any(axis=1) if missing.any() else missing
    return int(rows.argmax()) if rows.any() else None


def _are_missing(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "O":
        missing = [is_missing(v) for v in values.reshape(-1).tolist()]
        return np.array(missing, bool).reshape(values.shape)
    return np.zeros(values.shape, bool)


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
