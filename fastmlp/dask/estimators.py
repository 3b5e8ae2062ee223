"""`MLPClassifier` and `MLPRegressor`, which train in rounds."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from fastmlp import sklearn
from fastmlp.argument_types import Path
from fastmlp.dask.estimator_base import CONSTRAINTS, InRounds
from fastmlp.sklearn import parameters


class MLPClassifier(InRounds, sklearn.MLPClassifier):
    """A multilayer perceptron that classifies, trained in rounds on a cluster of Dask.

    It is `fastmlp.sklearn.MLPClassifier` with the algorithm of `fastmlp.dask.fit`: in each round
    all shards of the data train from the same weights, and the mean of theirs is where the next
    round begins. The result has the same bits on any number of workers.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, ...
        The parameters of `fastmlp.sklearn.MLPClassifier`, of which these are of rounds: `max_iter`
        and `n_iter_no_change` count rounds, however short; `tol` is compared with the losses of
        rounds, or with the scores after them; "invscaling" and "adaptive" learning rates change
        after rounds; a `batch_size` of "auto" is at most the samples of the largest shard;
        `callbacks` see a round as an epoch, and `metrics` need X_val. ``solver="lbfgs"`` and a
        `preset` are refused.
    client : dask.distributed.Client, False or None, default=None
        Where rounds are computed: None is the current client, and False this process, without Dask.
        Clones have the same client; pickles and files have none.
    n_shards : int, default=4
        The parts of the data that are trained on at the same time, at most one for each sample. It
        changes the result; the number of workers does not.
    local_epochs : int, default=1
        The epochs of each shard in a round.
    local_steps : int or None, default=None
        The minibatches of each shard in a round, in place of epochs, see `fastmlp.dask.fit`.
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
        The mean loss of the shards in the last round, and in each: of its last epoch, or of
        `local_steps`.
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
    >>> clf.fit(X / 16, y).score(X / 16, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **sklearn.MLPClassifier._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool | str = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        l1: Any = 0.0,
        dropout: Any = 0.0,
        input_noise: float = 0.0,
        clip_norm: float | None = None,
        max_norm: Any = None,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        callbacks: Any = None,
        metrics: Any = None,
        n_threads: int | None = None,
        preset: str | None = None,
        client: Any = None,
        n_shards: int = 4,
        local_epochs: int = 1,
        local_steps: int | None = None,
        scale_rate: float | Literal["auto"] = "auto",
        checkpoint: Path | None = None,
        resume: bool | Path = False,
    ):
        given = dict(locals())
        for name in parameters.names_of(MLPClassifier):
            setattr(self, name, given[name])

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
    hidden_layer_sizes, activation, solver, ...
        The parameters of `fastmlp.sklearn.MLPRegressor`, see `MLPClassifier` for those of rounds.
    client : dask.distributed.Client, False or None, default=None
        Where rounds are computed: None is the current client, and False this process, without Dask.
    n_shards : int, default=4
        The parts of the data that are trained on at the same time.
    local_epochs : int, default=1
        The epochs of each shard in a round.
    local_steps : int or None, default=None
        The minibatches of each shard in a round, in place of epochs, see `fastmlp.dask.fit`.
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
        The mean loss of the shards in the last round, and in each: of its last epoch, or of
        `local_steps`.
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

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool | str = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        l1: Any = 0.0,
        dropout: Any = 0.0,
        input_noise: float = 0.0,
        clip_norm: float | None = None,
        max_norm: Any = None,
        callbacks: Any = None,
        metrics: Any = None,
        n_threads: int | None = None,
        preset: str | None = None,
        client: Any = None,
        n_shards: int = 4,
        local_epochs: int = 1,
        local_steps: int | None = None,
        scale_rate: float | Literal["auto"] = "auto",
        checkpoint: Path | None = None,
        resume: bool | Path = False,
    ):
        given = dict(locals())
        for name in parameters.names_of(MLPRegressor):
            setattr(self, name, given[name])
