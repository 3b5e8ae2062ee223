"""What the estimators that train in rounds have in common."""

from __future__ import annotations

import contextlib
import os
from numbers import Integral, Real
from typing import Any, Literal, Self

from sklearn.base import BaseEstimator

from fastmlp.argument_types import Path
from fastmlp.dask.collections import is_collection
from fastmlp.dask.estimator_fits import EstimatorFit, refuse
from fastmlp.dask.fitting import MOST_SHARDS
from fastmlp.dask.prediction import lazily
from fastmlp.dask.scores import score
from fastmlp.sklearn import parameters
from fastmlp.sklearn.base import BaseMLP, Validation
from fastmlp.sklearn.constraints import Interval, StrOptions

#: What scikit-learn checks of the parameters that only these estimators have.
CONSTRAINTS: dict[str, list[Any]] = {
    "n_shards": [Interval(Integral, 1, MOST_SHARDS, closed="both")],
    "local_epochs": [Interval(Integral, 1, 2**31 - 1, closed="both")],
    "local_steps": [None, Interval(Integral, 1, 2**31 - 1, closed="both")],
    "scale_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    "checkpoint": [None, str, os.PathLike],
    "resume": ["boolean", str, os.PathLike],
}


class InRounds(BaseMLP):
    """What both estimators have in common: they train in rounds, and predict lazily."""

    # Which estimators lack that are loaded from files, as those are of `fastmlp.sklearn`.
    client: Any = None
    n_shards = 4
    local_epochs = 1
    local_steps: int | None = None
    scale_rate: float | Literal["auto"] = "auto"
    checkpoint: Path | None = None
    resume: bool | Path = False
    _for_tables = "a TableEncoder"

    # Training ------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to X and y, in rounds.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask array, dask data frame} of shape \
                (n_samples, n_features), or callable
            float32 stays float32, everything else becomes float64. A function gets the number of a
            shard, from 0 to ``n_shards - 1``, and returns its (X, y) or (X, y, sample_weight). It
            is called once to find the columns and classes, once to train, and again for the shards
            of a worker that died: it has to return the same each time.
        y : array-like, dask array or dask series of shape (n_samples,) or \
                (n_samples, n_outputs), default=None
            None if X is a function.
        sample_weight : array-like or dask array of shape (n_samples,), default=None
            At least 0. None if X is a function.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Validation data, which has to fit into memory: its loss after each round is in
            `validation_loss_curve_`, and `early_stopping` uses it instead of a part of X.

        Returns
        -------
        self : object
            The trained estimator.

        Warns
        -----
        ConvergenceWarning
            If training ended before it had converged.

        Raises
        ------
        ValueError
            For invalid parameters or data, and if a loss or a weight becomes NaN or infinite.
        """
        return super().fit(
            X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val
        )

    def _fit_or_raise(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, validation: Validation | None
    ) -> Self:
        parameters.hidden_sizes(self.hidden_layer_sizes)
        refuse(self, X, y, sample_weight, validation is not None)
        with contextlib.closing(EstimatorFit(self)) as fit:
            fit.run(X, y, sample_weight, validation)
        return self

    def _has_partial_fit(self) -> bool:
        raise AttributeError(
            "partial_fit is not available for training in rounds: use fit with warm_start=True"
        )

    # Prediction ----------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Return the prediction for each row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask array, dask data frame} of shape \
                (n_samples, n_features)

        Returns
        -------
        y : ndarray, dask array, series or data frame of shape (n_samples,) or \
                (n_samples, n_outputs)
            For a collection of Dask not computed yet, see `fastmlp.dask.predict`.
        """
        return self._predicted("predict", X)

    def _predicted(self, method: str, X: Any) -> Any:
        if is_collection(X):
            return lazily(self, method, X)
        return getattr(super(), method)(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, the R2 of a regressor.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask array, dask data frame} of shape \
                (n_samples, n_features)
            Of a collection of Dask only a few blocks are in memory at a time.
        y : array-like, dask array or dask series of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like or dask array of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        if is_collection(X):
            return score(self, X, y, sample_weight)
        found: float = super().score(X, y, sample_weight)
        return found

    # The client ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if state.get("client") is not False:  # a client belongs to its process
            state["client"] = None
        return state

    def __sklearn_clone__(self) -> Any:
        """Return an estimator with copies of the parameters, and with the same client."""
        without_client = object.__new__(type(self))
        without_client.__dict__.update(vars(self), client=None)
        cloned: Any = BaseEstimator.__sklearn_clone__(without_client)
        cloned.client = self.client
        return cloned
