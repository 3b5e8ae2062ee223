"""`SquashingScaler`: columns centred, scaled and bounded."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.messages import must, shown
from fastmlp.sklearn.constraints import Interval

FLOATS = (np.float64, np.float32)
#: Larger values are squashed to the bound exactly; their squares are finite.
LARGE = 1e150


def centre_and_scale(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the median of the finite values, and the distance of two quantiles.

    If they are equal, it is half of the distance of the extremes, and 0 if these are equal, too.

    Parameters
    ----------
    values : float array (n_values,)
    low, high : float
        The quantiles, from 0 to 100.
    """
    halves = values[np.isfinite(values)].astype(np.float64) * 0.5  # whose differences are finite
    if len(halves) == 0:
        return 0.0, 0.0
    least, lower, median, upper, most = np.percentile(halves, [0, low, 50, high, 100]).tolist()
    scale = 2 * (upper - lower) if upper > lower else most - least
    return 2 * median, min(scale, float(np.finfo(np.float64).max))


def squash(values: np.ndarray, centre: float, scale: float, bound: float) -> np.ndarray:
    """Return ``z / sqrt(1 + (z / bound)**2)`` for ``z = (values - centre) / scale``, float64.

    NaN stays NaN, infinity becomes `bound`; if the scale is 0, everything else becomes 0.
    """
    with np.errstate(all="ignore"):
        if scale == 0:
            z = np.where(np.isinf(values), values, values * 0.0)
        else:
            z = np.subtract(values, centre, dtype=np.float64)
            z /= scale
        np.clip(z, -LARGE, LARGE, out=z)
        ratio = z / bound
        ratio *= ratio
        ratio += 1
        z /= np.sqrt(ratio, out=ratio)
    return z


class SquashingScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scale columns by median and quantiles, and squash them smoothly to a bounded range.

    Each value x of a column becomes ``z / sqrt(1 + (z / max_absolute_value)**2)`` for
    ``z = (x - median) / (upper quantile - lower quantile)``. Outliers stay outliers, but bounded
    ones. If both quantiles are equal, z is divided by half of the distance between the smallest and
    the largest value instead; a constant column becomes 0.

    Parameters
    ----------
    max_absolute_value : float, default=3.0
        The bound of the result, above 0.
    quantile_range : tuple of two floats, default=(25.0, 75.0)
        The lower and the upper quantile in percent, from 0 to 100.

    Attributes
    ----------
    center_, scale_ : arrays of shape (n_features,)
        What is subtracted, and what is divided by; a scale of 0 is that of a constant column.
    n_features_in_ : int
    feature_names_in_ : array of str
        The columns of X, if it was a data frame.

    See Also
    --------
    TableEncoder : The same for the numbers of a table, with its other columns.

    Notes
    -----
    Missing values (NaN) are ignored by `fit` and stay missing. Infinite values are ignored by `fit`
    and become the bound. This is "robust scale and smooth clip" of Holzmueller, Grinsztajn and
    Steinwart (Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data, 2024,
    section 3).

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.sklearn import SquashingScaler
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [1e9]])
    >>> SquashingScaler().fit_transform(X).ravel().round(3).tolist()
    [-0.949, -0.493, 0.0, 0.493, 3.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_absolute_value": [Interval(Real, 0, None, closed="neither")],
        "quantile_range": [tuple, list],
    }

    def __init__(
        self,
        max_absolute_value: float = 3.0,
        quantile_range: tuple[float, float] = (25.0, 75.0),
    ):
        self.max_absolute_value = max_absolute_value
        self.quantile_range = quantile_range

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the centre and the scale of each column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid parameters or data.
        """
        self._validate_params()
        low, high = checked_quantiles("quantile_range", self.quantile_range)
        X = validate_data(self, X, dtype=FLOATS, ensure_all_finite=False)
        found = [centre_and_scale(column, low, high) for column in X.T]
        self.center_, self.scale_ = (np.array(each) for each in zip(*found, strict=True))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the scaled and squashed columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            float32 for a float32 X, otherwise float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, ensure_all_finite=False, reset=False)
        out = np.empty(X.shape, X.dtype)
        bound = checked_bound(self.max_absolute_value)
        for j, (centre, scale) in enumerate(zip(self.center_, self.scale_, strict=True)):
            out[:, j] = squash(X[:, j], float(centre), float(scale), bound)
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def checked_bound(value: Any) -> float:
    """Return a bound, which may have been changed after a fit; ValueError if it is not one."""
    if not isinstance(value, Real) or not float(value) > 0:
        raise ValueError(must("max_absolute_value", "be a number above 0", shown(value)))
    return float(value)


def checked_quantiles(name: str, value: Any) -> tuple[float, float]:
    """Return two quantiles in percent; ValueError for anything else."""
    requirement = "be two numbers from 0 to 100, the lower one first"
    try:
        low, high = (float(each) for each in value)
    except (TypeError, ValueError):
        raise ValueError(must(name, requirement, shown(value))) from None
    if not 0 <= low < high <= 100:
        raise ValueError(must(name, requirement, shown(value)))
    return low, high
