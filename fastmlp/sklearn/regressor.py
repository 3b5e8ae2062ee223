"""`MLPRegressor`."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from fastmlp import losses
from fastmlp.core.equations.losses import Targets
from fastmlp.messages import must, shown
from fastmlp.options import chosen
from fastmlp.sklearn import fitting, parameters
from fastmlp.sklearn.base import BaseMLP, Encoded
from fastmlp.sklearn.constraints import StrOptions

#: Losses of classification.
OTHERS = {"softmax", "logistic"}


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron for regression, as ``sklearn.neural_network.MLPRegressor``.

    Parameters
    ----------
    loss : str or instance of a class in `fastmlp.losses`, default="squared_error"
        "squared_error" and "poisson" are scikit-learn's: half the squared error and half the
        deviance, which requires non-negative y. The other losses of regression (absolute_error,
        huber, pinball) are those of `fastmlp.losses`.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        The units of each hidden layer; () for none.
    activation : str or list of str, default="relu"
        The activation of all hidden layers, or a list with one for each: identity, logistic, tanh,
        relu; also leaky_relu, elu, softplus, gelu and silu.
    solver : str or instance of a class in `fastmlp.optimizers`, default="adam"
        "adam", "sgd" (with momentum) and "lbfgs" are scikit-learn's, with its numbers. The other
        names of `fastmlp.optimizers` (momentum, nesterov, rmsprop, adagrad, adamw) have the
        defaults of that module.
    alpha : float, default=0.0001
        The L2 penalty: ``alpha / 2`` times the sum of all squared weights is added to the losses of
        the samples of a minibatch, before their sum is divided by their total weight. With the
        solvers of `fastmlp.optimizers`, ``alpha * W`` is added to the gradient instead, or decays
        the weights with adamw.
    batch_size : int or "auto", default="auto"
        The samples of a minibatch; "auto" is at most 200.
    learning_rate : str or callable, default="constant"
        "constant", "invscaling" or "adaptive" (for all solvers but adam and lbfgs);
        "cyclic_cosine", which is `fastmlp.schedules.CyclicCosine` over the steps of `max_iter`
        epochs; or a function of the step, see `fastmlp.schedules`.
    learning_rate_init : float, default=0.001
        The initial learning rate.
    power_t : float, default=0.5
        The exponent of "invscaling", whose rate after t samples is
        ``learning_rate_init / (t + 1)**power_t``.
    max_iter : int, default=200
        The largest number of epochs, or of iterations of lbfgs.
    shuffle : bool or "blocks", default=True
        Whether to shuffle the samples in every epoch. With "blocks", an array of more than 64 MB is
        read in long pieces, some of which are shuffled together: for a `numpy.memmap` that is
        larger than the memory.
    random_state : int, RandomState or None, default=None
        The source of initial weights, of the validation set and of the orders of samples. The same
        int gives the same network as in scikit-learn.
    tol : float, default=1e-4
        Training stops after `n_iter_no_change` epochs in which the loss, or the validation score,
        did not improve by more than `tol`. For lbfgs the largest gradient at which it stops.
    verbose : bool, int or "bar", default=False
        Whether to print a line for each epoch; "bar" shows a progress bar.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights.
    momentum : float, default=0.9
        Momentum for ``solver="sgd"``, from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether sgd uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to stop when the score of a validation set does not improve, and to keep the best
        weights.
    validation_fraction : float, default=0.1
        The fraction of the samples that early stopping holds out.
    beta_1, beta_2 : float, default=0.9 and 0.999
        The decay rates of the moments of adam.
    epsilon : float, default=1e-8
        Only for ``solver="adam"``; added before the bias correction.
    n_iter_no_change : int or np.inf, default=10
        See `tol`.
    max_fun : int, default=15000
        The largest number of evaluations of the loss by lbfgs.
    l1 : float or list of float, default=0.0
        The L1 penalty of all layers or of each, not counted in the loss.
    dropout : float or list of float, default=0.0
        The probability of dropping a unit, of all hidden layers or of each.
    input_noise : float, default=0.0
        The standard deviation of normal noise added to X in training.
    clip_norm : float or None, default=None
        The largest Euclidean norm of all gradients together.
    max_norm : float, list or None, default=None
        The largest Euclidean norm of the incoming weights of a unit.
    callbacks : list of `fastmlp.callbacks.Callback` or None, default=None
        Their `model` is an `MLP` that shares the weights.
    metrics : str, callable, list of them or None, default=None
        Recorded after each epoch in `history_`, see `fastmlp.metrics`.
    n_threads : int or None, default=None
        The largest number of threads; None measures which number is fastest. The results have the
        same bits for any number.
    preset : "tabular" or None, default=None
        "tabular" takes a table as it is, see Notes; None is scikit-learn's behaviour.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        The weights and biases of each layer, of the type of X: float32 or float64. They may be
        changed and assigned.
    loss_, loss_curve_ : float and list of float
        The loss of the last epoch and of each, including the L2 penalty.
    best_loss_ : float or None
        The smallest; None with early stopping.
    validation_scores_, best_validation_score_ : list of float and float, or None
        R2 after each epoch and its best; None without early stopping.
    validation_loss_curve_ : list of float
        The loss of X_val after each epoch, without penalty, if it was passed to `fit`.
    history_ : dict of lists
        "loss", "validation_loss" and `metrics` of each epoch of the last `fit`.
    n_iter_ : int
        The epochs, or iterations of lbfgs, of the last fit.
    t_ : int
        The number of samples seen by the solver since the weights were drawn.
    n_features_in_, n_layers_, n_outputs_ : int
    feature_names_in_ : array of str
        The columns of X, if it was a data frame.
    target_center_, target_scale_ : float, or arrays of shape (n_outputs,)
        The mean and the standard deviation of y, of the rows that are not held out, if it was
        fitted with a preset; 0 and the mean for ``loss="poisson"``.
    preset_parameters_ : dict
        With a preset, what it has in place of defaults.
    encoder_ : TableEncoder
        Of X, if it was fitted with a preset.
    metadata_ : dict
        What was saved with the estimator, if it was loaded.
    out_activation_ : str
        "exp" for the Poisson loss, otherwise "identity".

    Raises
    ------
    ValueError
        By `fit`, if a parameter is invalid.

    See Also
    --------
    TableEncoder : The columns of a table as the preset has them.
    fastmlp.MLP : The underlying network, with checkpoints.

    Notes
    -----
    As for `MLPClassifier`. With several outputs, `loss_` has the mean over them of the squared
    errors, but its gradient is that of their sum, as in scikit-learn.

    With ``preset="tabular"``, X is a data frame or an array with numbers, booleans, text,
    categories and missing values, as for `MLPClassifier`; the epoch with the best R2 is kept, or of
    fewer than 300 rows the last.
    Targets are trained on as ``(y - target_center_) / target_scale_``, so losses, `history_` and
    the parameters of a loss are in these units; predictions are in those of y, and float64.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastmlp.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = MLPRegressor(hidden_layer_sizes=20, solver="lbfgs", tol=5.0, random_state=0)
    >>> model = make_pipeline(StandardScaler(), regressor).fit(X, y)
    >>> bool(model.score(X, y) > 0.5)
    True
    >>> model.predict(X[:3]).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({*losses.LOSSES} - OTHERS), losses.Loss],
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
    ):
        given = dict(locals())
        for name in parameters.names_of(MLPRegressor):
            setattr(self, name, given[name])

    # Targets -------------------------------------------------------------------------------------

    def _encoded(self, y: Any, dtype: Any) -> Encoded:
        if self.out_activation_ == "exp" and (y < 0).any():
            raise ValueError(must("y", "be at least 0 if loss='poisson'", f"{y.min()}"))
        with np.errstate(over="ignore"):
            if self._has_preset:
                y = (y - self.target_center_) / np.where(
                    self.target_scale_ > 0, self.target_scale_, 1
                )
            values = y.reshape(-1).astype(dtype)
        return Encoded(fitting.values_only(values), 1 if y.ndim == 1 else y.shape[1], None)

    def _output_activation(self) -> str:
        poisson = self.loss == "poisson" or isinstance(self.loss, losses.Poisson)
        return "exp" if poisson else "identity"

    def _network_loss(self) -> Any:
        if isinstance(self.loss, str) and self.loss in parameters.REGRESSION:
            return parameters.REGRESSION[self.loss]
        loss = chosen("loss", self.loss, losses.LOSSES)
        if loss.task != "values":
            raise ValueError(must("loss", "be one of regression", shown(self.loss)))
        return loss

    def _learn_scale(self, y: Any, weights: np.ndarray | None) -> None:
        if weights is not None:
            is_refused_later = (weights < 0).any() or not weights.any()
            weights = None if is_refused_later else weights / weights.max()
        if self.out_activation_ == "exp":  # of positive means, which are scaled only
            center = np.zeros(y.shape[1:])[()]
            scale = np.average(y, axis=0, weights=weights)
        else:
            center = np.average(y, axis=0, weights=weights)
            distances = y - center
            largest = np.abs(distances).max(axis=0)  # whose square may be infinite, or 0
            ratios = distances / np.where(largest > 0, largest, 1)
            scale = largest * np.sqrt(np.average(ratios**2, axis=0, weights=weights))
        if not (np.isfinite(center).all() and np.isfinite(scale).all()):
            raise ValueError(
                must("y", "have a finite mean and standard deviation", "larger values")
            )
        self.target_center_, self.target_scale_ = center, scale

    def _score_of(self, outputs: np.ndarray, targets: Targets) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if len(outputs) < 2 and self._has_preset:
            return 0.0  # R2 is not defined
        expected = targets.values.reshape(outputs.shape)
        weights = targets.weights if len(targets.weights) > 0 else None
        with np.errstate(over="ignore", invalid="ignore"):
            return float(r2_score(expected, outputs, sample_weight=weights))

    # Training ------------------------------------------------------------------------------------

    @available_if(lambda self: self._has_partial_fit())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch, from the present weights and state of the solver.

        Only if `solver` is not "lbfgs".

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object
            The trained estimator.

        Raises
        ------
        ValueError
            As `fit`; also if ``early_stopping=True``.
        """
        if not hasattr(self, "coefs_"):
            parameters.check(self)
        return self._fit(X, y, sample_weight, incremental=True)

    # Prediction ----------------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Return the prediction for each row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the type of the network.
        """
        outputs = self._outputs(X)
        if self._has_preset:
            outputs = outputs.astype(np.float64) * self.target_scale_ + self.target_center_
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
