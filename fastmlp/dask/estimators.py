"""`MLPClassifier` and `MLPRegressor`, which train in rounds."""

from __future__ import annotations

import contextlib
import inspect
import os
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

from sklearn.base import BaseEstimator

from fastmlp import sklearn
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
    scale_rate: float | Literal["auto"] = "auto"
    checkpoint: Path | None = None
    resume: bool | Path = False
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


def _signature(kind: Any, own: Any) -> inspect.Signature:
    """Return the parameters of an estimator of `fastmlp.sklearn`, then those of its own."""
    known = inspect.signature(own).parameters.values()
    added = [each for each in known if each.kind is each.KEYWORD_ONLY]
    return inspect.Signature([*inspect.signature(kind.__init__).parameters.values(), *added])


def _init(kind: Any) -> Any:
    """Return `__init__` of a subclass of an estimator."""

    def __init__(
        self: Any,
        *args: Any,
        client: Any = None,
        n_shards: int = 4,
        local_epochs: int = 1,
        scale_rate: float | Literal["auto"] = "auto",
        checkpoint: Path | None = None,
        resume: bool | Path = False,
        **others: Any,
    ) -> None:
        kind.__init__(self, *args, **others)
        self.client, self.n_shards, self.local_epochs = client, n_shards, local_epochs
        self.scale_rate, self.checkpoint, self.resume = scale_rate, checkpoint, resume

    vars(__init__)["__signature__"] = _signature(kind, __init__)
    return __init__


class MLPClassifier(InRounds, sklearn.MLPClassifier):
    """A multilayer perceptron that classifies, trained in rounds on a cluster of Dask.

    It is `fastmlp.sklearn.MLPClassifier` with the algorithm of `fastmlp.dask.fit`: in each round
    all shards of the data train from the same weights, and the mean of theirs is where the next
    round begins. The result has the same bits on any number of workers.

    Parameters
    ----------
    *args, **others
        The parameters of `fastmlp.sklearn.MLPClassifier`, of which these are of rounds: `max_iter`
        and `n_iter_no_change` count rounds; `tol` is compared with the losses of rounds, or with
        the scores after them; "invscaling" and "adaptive" learning rates change after rounds; a
        `batch_size` of "auto" is at most the samples of the largest shard; `callbacks` see a round
        as an epoch, and `metrics` need X_val. ``solver="lbfgs"`` and a `preset` are refused.
    client : dask.distributed.Client, False or None, default=None
        Where rounds are computed: None is the current client, and False this process, without Dask.
        Clones have the same client; pickles and files have none.
    n_shards : int, default=4
        The parts of the data that are trained on at the same time, at most one for each sample. It
        changes the result; the number of workers does not.
    local_epochs : int, default=1
        The epochs of each shard in a round.
    scale_rate : "auto" or float, default="auto"
        A factor of all learning rates, see `fastmlp.dask.fit`.
    checkpoint : str, os.PathLike or None, default=None
        A file that is written after each round. Not with early stopping, whose best weights it
        does not have.
    resume : bool, str or os.PathLike, default=False
        Whether to continue from `checkpoint`, if that file exists, or from another one. The result
        has the same bits as without an interruption.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Of all shards.
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
    loss_, loss_curve_ : float and list of float
        The mean loss of the shards in the last epoch of the last round, and of each.
    n_iter_ : int
        The rounds of the last fit.
    n_features_in_ : int
        And all others of `fastmlp.sklearn.MLPClassifier`.

    Raises
    ------
    ValueError
        By `fit`, if a parameter is invalid.

    See Also
    --------
    fastmlp.dask.fit : The rounds, and when they are worth it.
    fastmlp.sklearn.MLPClassifier : All other parameters and attributes; faster for data that one
        machine trains on in minutes.

    Notes
    -----
    With one shard and an int as `random_state`, the weights have the same bits as those of
    `fastmlp.sklearn.MLPClassifier`.

    `predict`, `predict_proba` and `predict_log_proba` of a dask array or data frame return another
    one, which is not computed yet. `early_stopping` without X_val holds out a part of arrays in
    memory. `save` writes the file of `fastmlp.sklearn.MLPClassifier`, which `fastmlp.load` returns.

    Examples
    --------
    >>> from fastmlp import datasets
    >>> from fastmlp.dask import MLPClassifier
    >>> X, y = datasets.digits()
    >>> clf = MLPClassifier(32, client=False, max_iter=60, tol=0.01, random_state=0)
    >>> clf.fit(X / 16, y).score(X / 16, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **sklearn.MLPClassifier._parameter_constraints,
        **CONSTRAINTS,
    }

    __init__ = _init(sklearn.MLPClassifier)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask array, dask data frame} of shape \
                (n_samples, n_features)

        Returns
        -------
        y_prob : ndarray, dask array or data frame of shape (n_samples, n_classes)
            In the order of `classes_`, of the type of the network.
        """
        return self._predicted("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask array, dask data frame} of shape \
                (n_samples, n_features)

        Returns
        -------
        log_y_prob : ndarray, dask array or data frame of shape (n_samples, n_classes)
        """
        return self._predicted("predict_log_proba", X)


class MLPRegressor(InRounds, sklearn.MLPRegressor):
    """A multilayer perceptron for regression, trained in rounds on a cluster of Dask.

    It is `fastmlp.sklearn.MLPRegressor` with the algorithm of `fastmlp.dask.fit`; all else is as
    for `fastmlp.dask.MLPClassifier`.

    Parameters
    ----------
    *args, **others
        The parameters of `fastmlp.sklearn.MLPRegressor`, see `MLPClassifier` for those of rounds.
    client : dask.distributed.Client, False or None, default=None
        Where rounds are computed: None is the current client, and False this process, without Dask.
    n_shards : int, default=4
        The parts of the data that are trained on at the same time.
    local_epochs : int, default=1
        The epochs of each shard in a round.
    scale_rate : "auto" or float, default="auto"
        A factor of all learning rates, see `fastmlp.dask.fit`.
    checkpoint : str, os.PathLike or None, default=None
        A file that is written after each round.
    resume : bool, str or os.PathLike, default=False
        Whether to continue from `checkpoint`, if that file exists, or from another one.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
    loss_, loss_curve_ : float and list of float
        The mean loss of the shards in the last epoch of the last round, and of each.
    n_iter_ : int
        The rounds of the last fit.
    n_features_in_ : int
        And all others of `fastmlp.sklearn.MLPRegressor`.

    Raises
    ------
    ValueError
        By `fit`, if a parameter is invalid.

    See Also
    --------
    fastmlp.dask.MLPClassifier : The parameters in detail.
    fastmlp.dask.fit : The rounds, and when they are worth it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.dask import MLPRegressor
    >>> X = np.random.default_rng(0).normal(size=(2000, 3))
    >>> y = X[:, 0] - np.sin(X[:, 1])
    >>> model = MLPRegressor(hidden_layer_sizes=32, client=False, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **sklearn.MLPRegressor._parameter_constraints,
        **CONSTRAINTS,
    }

    __init__ = _init(sklearn.MLPRegressor)
