"""`MLPClassifier`."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastmlp import losses
from fastmlp.core.equations.losses import Targets
from fastmlp.messages import must, shown
from fastmlp.sklearn import fitting, parameters
from fastmlp.sklearn.base import BaseMLP, Encoded
from fastmlp.sklearn.classes import ClassPredictions


class MLPClassifier(ClassifierMixin, ClassPredictions, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that classifies, as ``sklearn.neural_network.MLPClassifier``.

    The log loss is minimized by minibatches or by L-BFGS. There is one output for two classes, one
    for each class for more, and one for each label of a multilabel y.

    Parameters
    ----------
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
    class_weight : dict, "balanced" or None, default=None
        The weight of each class in the loss, multiplied by that of the sample. It does not count
        for scores, those of early stopping included.
    label_smoothing : float, default=0.0
        How much of the probability of a label is spread over all classes, if there are three or
        more.
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
    classes_ : array of shape (n_classes,)
    coefs_, intercepts_ : lists of arrays of shape (n_in, n_out) and (n_out,)
        The weights and biases of each layer, of the type of X: float32 or float64. They may be
        changed and assigned.
    loss_, loss_curve_ : float and list of float
        The loss of the last epoch and of each, including the L2 penalty.
    best_loss_ : float or None
        The smallest; None with early stopping.
    validation_scores_, best_validation_score_ : list of float and float, or None
        The accuracy after each epoch, or with a preset minus the log loss, and its best; None
        without early stopping, see Notes for that of a preset.
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
    preset_parameters_ : dict
        With a preset, what it has in place of defaults.
    encoder_ : TableEncoder
        Of X, if it was fitted with a preset.
    metadata_ : dict
        What was saved with the estimator, if it was loaded.
    out_activation_ : str
        "softmax" for three or more classes, otherwise "logistic".

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
    From the same int `random_state`, sgd and adam give scikit-learn's weights within 1e-9 in
    float64. The exceptions are in docs/differences_from_scikit_learn.md. The initial weights are
    Glorot's (Understanding the difficulty of training deep feedforward neural networks, 2010);
    adam is Kingma and Ba's (Adam: A Method for Stochastic Optimization, 2015, the form at the end
    of section 2); lbfgs is that of Byrd, Lu, Nocedal and Zhu (A Limited Memory Algorithm for Bound
    Constrained Optimization, 1995) in SciPy.

    With ``preset="tabular"``, X is a data frame or an array of any columns that a `TableEncoder`
    takes, in float32. A stratified part is held out, unless X_val is given, and the epoch with the
    smallest log loss is kept. The encoder and the scale of a regressor's y are learned from the
    other rows. Of fewer than 300 rows without X_val none is held out, unless
    ``early_stopping=True``: the last epoch is kept, there are no `validation_scores_`, the learning
    rate is smaller, and numbers have no sines and cosines. Parameters that have the default of this
    signature are replaced by those in `fastmlp.sklearn.preset.TABULAR`, and for so few rows in
    `TABULAR_FEW`; others win. Sparse X, lbfgs and `partial_fit` are refused.
    (Holzmueller, Grinsztajn, Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
    on Tabular Data, 2024.)

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from fastmlp.sklearn import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = MLPClassifier(64, max_iter=50, tol=0.01, random_state=0)
    >>> bool(clf.fit(X, y).score(X_test, y_test) > 0.95)
    True
    >>> clf.predict(X_test[:3]).shape, clf.predict_proba(X_test[:3]).shape
    ((3,), (3, 10))
    """

    loss: ClassVar[str] = "log_loss"

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
    ):
        given = dict(locals())
        for name in parameters.names_of(MLPClassifier):
            setattr(self, name, given[name])

    # Targets -------------------------------------------------------------------------------------

    def _learn_targets(self, y: Any, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return
        if not self.warm_start:
            self._check_known(y)
            return
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )

    def _check_known(self, y: Any) -> None:
        if self._are_labels(y):
            return
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)) > 0:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )

    def _are_labels(self, y: Any) -> bool:
        """Whether y is a plain array of known classes; `unique_labels` takes as long as a step."""
        known, kinds = self.classes_, self.classes_.dtype.kind + y.dtype.kind
        if y.ndim != 1 or not set(kinds) <= set("iu"):
            return False
        at = np.minimum(np.searchsorted(known, y), len(known) - 1)
        return bool((known[at] == y).all())

    def _encoded(self, y: Any, dtype: Any) -> Encoded:
        kind, classes = self._label_binarizer.y_type_, self.classes_
        if kind == "multiclass":
            targets = fitting.labels_only(np.searchsorted(classes, y), dtype)
            return Encoded(targets, len(classes), None)
        if kind == "binary":
            is_positive = y == classes[1] if len(classes) == 2 else np.zeros(len(y), bool)
            targets = fitting.values_only(np.asarray(is_positive).astype(dtype))
            return Encoded(targets, 1, np.asarray(is_positive).reshape(-1, 1))
        values = self._label_binarizer.transform(y)
        targets = fitting.values_only(values.astype(dtype).reshape(-1))
        return Encoded(targets, values.shape[1], None)

    def _class_weights(self, y: Any) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        given = self.class_weight
        if isinstance(given, dict) and y.ndim == 1:  # not of every class is there a sample
            of_each = np.array([given.get(c, 1.0) for c in self.classes_.tolist()], np.float64)
            return of_each[np.searchsorted(self.classes_, y)]
        return compute_sample_weight(given, y)

    def _output_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _network_loss(self) -> Any:
        if self.out_activation_ == "softmax":
            return losses.Softmax(self.label_smoothing)
        if self.label_smoothing != 0:
            requirement = "be 0 unless there are three or more classes"
            raise ValueError(must("label_smoothing", requirement, shown(self.label_smoothing)))
        return losses.Logistic(reduction="sum")

    def _score_of(self, outputs: np.ndarray, targets: Targets) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if len(self.classes_) == 1 and not self._has_preset:
            return 1.0  # `predict` has no other class
        score = _minus_log_losses if self._has_preset else _are_right
        weights = targets.weights if len(targets.weights) > 0 else None
        return float(np.average(score(outputs, targets), weights=weights))

    # Training ------------------------------------------------------------------------------------

    @available_if(lambda self: self._has_partial_fit())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch, from the present weights and state of the solver.

        Only if `solver` is not "lbfgs".

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls, which the first one needs.

        Returns
        -------
        self : object
            The trained estimator.

        Raises
        ------
        ValueError
            As `fit`; also if `classes` differ from those of the first call, and if
            ``early_stopping=True``.
        """
        if not hasattr(self, "classes_") or not hasattr(self, "coefs_"):
            parameters.check(self)
        begin = partial(self._begin_classes, y, classes)
        return self._fit(X, y, sample_weight, incremental=True, begin=begin)

    def _begin_classes(self, y: Any, classes: Any) -> None:
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_ = unique_labels(classes)
            of_y = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if of_y else classes)
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{known!r}"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


# Scores of the validation set, (n_samples,) ------------------------------------------------------


def _are_right(outputs: np.ndarray, targets: Targets) -> np.ndarray:
    if len(targets.labels) > 0:
        return outputs.argmax(axis=1) == targets.labels
    expected = targets.values.reshape(outputs.shape) > 0.5
    return ((outputs > 0.5) == expected).all(axis=1)


def _minus_log_losses(outputs: np.ndarray, targets: Targets) -> np.ndarray:
    """Return the logarithms of the probabilities of the classes, or of each label together."""
    if len(targets.labels) > 0:
        probabilities = outputs[np.arange(len(outputs)), targets.labels][:, np.newaxis]
    else:
        expected = targets.values.reshape(outputs.shape) > 0.5
        probabilities = np.where(expected, outputs, 1 - outputs)
    least = np.finfo(outputs.dtype).eps  # instead of an infinite loss
    return np.log(np.maximum(probabilities, least)).sum(axis=1)
