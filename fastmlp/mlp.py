"""`MLP`: the full trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from fastmlp.argument_types import (
    ActivationName,
    ArrayLike,
    Dtype,
    InitializerName,
    LossName,
    MetricName,
    OptimizerName,
    Path,
    RandomState,
)
from fastmlp.base import BaseNetwork
from fastmlp.callbacks import Callback
from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.core.run import NotFinite
from fastmlp.losses import Loss
from fastmlp.metrics import METRICS, Metric, chosen_metrics
from fastmlp.optimizers import Optimizer
from fastmlp.settings import ARGUMENTS, Assignable, Fixed, call_text
from fastmlp.training.data import FitData
from fastmlp.training.epoch import Trainer
from fastmlp.training.fit import Fit, Plan
from fastmlp.training.reading import Reader
from fastmlp.training.state import State
from fastmlp.validation import checks, sample_weights, targets

KEPT_BYTES = 2**20  # of what `fit` needs, for the next fit; `partial_fit` keeps all of it

_Metric = MetricName | Metric | Callable[..., float]


class MLP(BaseNetwork):
    r"""A multilayer perceptron for classification, multilabel classification and regression.

    For the layers l = 1 to L, :math:`z_l = W_l a_{l-1} + b_l` and :math:`a_l = f_l(z_l)`. The loss
    of a minibatch is :math:`\sum_i w_i L(a_L^i, y^i) / \sum_i w_i` over its samples.

    Parameters
    ----------
    layers : list of int
        Sizes of the input, the hidden layers and the output: ``[784, 64, 10]``.
    activation : str or list of str, default "relu"
        The activation of all hidden layers, or a list with one for each: relu, leaky_relu, elu,
        sigmoid, tanh, softplus, gelu, silu, identity; see `core.equations.activations`.
    output_activation : str, default "identity"
        Applied to the last layer before the loss; the z of `fastmlp.losses` is its result.
    loss : str or instance of a class in `fastmlp.losses`, default "softmax"
        softmax, logistic, squared_error, absolute_error, huber, poisson, pinball.
    optimizer : str or instance of a class in `fastmlp.optimizers`, default "adam"
        sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw.
    learning_rate : float, callable or None, default None
        None is the optimizer's default. A callable returns the rate of each step; steps of this
        network are counted from 0. See `fastmlp.schedules`.
    init : str or list of arrays (n_out, n_in), default "xavier_normal"
        The distribution of the initial weights (see `fastmlp.initializers`), or the initial weights
        themselves; initial biases are zero.
    l2, l1 : float or list of float, default 0.0
        Penalties for all layers, or a list with one for each: ``l2 * w + l1 * sign(w)`` is added to
        the gradients of the weights; AdamW multiplies weights by ``1 - rate * l2`` instead. Not
        included in the losses in `history_`.
    l2_per_batch : bool, default False
        Whether the loss of a minibatch includes ``l2 * sum(w**2) / 2``, divided like those of its
        samples by their total weight, as in scikit-learn. So the gradient has this term, and so
        has the loss in `history_`: the mean over the minibatches by their numbers of samples.
    max_norm : float, list or None, default None
        The largest Euclidean norm of the incoming weights of a unit; larger ones are scaled down
        after each step.
    dropout : float or list of float, default 0.0
        The probability of dropping a unit, for all hidden layers or a list with one for each,
        drawn for every sample of a step; other activations are divided by ``1 - dropout``.
    input_noise : float, default 0.0
        The standard deviation of normal noise added to each scaled input in training.
    clip_norm : float or None, default None
        The largest Euclidean norm of all gradients together; larger ones are scaled down.
    dtype : {float32, float64}, default float32
        The type of parameters, activations and predictions.
    input_shift, input_scale : float or array (n_in,), default 0.0 and 1.0
        Inputs are read as ``(x - input_shift) * input_scale``, in training and prediction.
    warm_start : bool, default True
        Whether `fit` continues from the present parameters and optimizer state. If not, every
        further call draws new initial weights.
    random_state : None, int, RandomState or Generator, default None
        The source of initial weights, shuffling, dropout and noise. None is NumPy's global state.
    n_threads : int or None, default None
        The largest number of threads for training and prediction. It is limited by the available
        processors, which all fits of this process share, their quota, `OMP_NUM_THREADS`,
        `NUMBA_NUM_THREADS`, `numba.set_num_threads` and `threadpoolctl.threadpool_limits`. None
        measures which number is fastest, and occasionally measures again, because the load
        changes; a given number is kept. 1 starts no thread. The results have the same bits for
        any number.

    Attributes
    ----------
    learning_rate, l2, l1, max_norm, dropout, input_noise, clip_norm, n_threads, warm_start
        May be assigned, also by callbacks: checked immediately, and used from the next step, or by
        the next `fit` for warm_start. Other parameters cannot be changed. Lists are copies.
    rate_factor : float
        A factor of all learning rates, 1.0 until it is assigned.
    weights, biases : sequences of arrays
        For each layer a view of shape (n_out, n_in) and (n_out, 1). Assign to an element, to the
        whole attribute, or write to a view.
    feature_names_in_ : array of str
        The columns of the data frame that the network was fitted on, if X was one.
    history_ : dict of lists
        Values of each epoch of the last `fit`: "loss", and the scores that `fit` describes.
    stop_training : bool
        Callbacks set it to end training after the epoch.

    Raises
    ------
    ValueError, TypeError
        If a parameter is invalid.

    Examples
    --------
    >>> from fastmlp import MLP, datasets
    >>> X, y = datasets.digits()
    >>> mlp = MLP([64, 32, 10], activation="tanh", dropout=0.1, input_scale=1 / 16, random_state=0)
    >>> mlp.fit(X, y, epochs=30).score(X, y) > 0.95
    True
    """

    _class_name = "MLP"
    _trainer: Trainer | None = None  # of the last fit, with its workspace

    def __init__(
        self,
        layers: Sequence[int],
        *,
        activation: ActivationName | Sequence[ActivationName] = "relu",
        output_activation: ActivationName = "identity",
        loss: LossName | Loss = "softmax",
        optimizer: OptimizerName | Optimizer = "adam",
        learning_rate: float | Callable[[int], float] | None = None,
        init: InitializerName | Sequence[ArrayLike] = "xavier_normal",
        l2: float | Sequence[float] = 0.0,
        l1: float | Sequence[float] = 0.0,
        l2_per_batch: bool = False,
        max_norm: float | Sequence[float | None] | None = None,
        dropout: float | Sequence[float] = 0.0,
        input_noise: float = 0.0,
        clip_norm: float | None = None,
        dtype: Dtype = np.float32,
        input_shift: ArrayLike = 0.0,
        input_scale: ArrayLike = 1.0,
        warm_start: bool = True,
        random_state: RandomState = None,
        n_threads: int | None = None,
    ):
        given = locals()
        arguments = {name: given[name] for name in ARGUMENTS["MLP"].names}
        self._set_state(State.new("MLP", arguments, random_state))

    # Settings ---------------------------------------------------------------------------------

    layers = Fixed[list[int]]()
    activation = Fixed[list[ActivationName]]()
    output_activation = Fixed[ActivationName]()
    loss = Fixed[Loss]()
    optimizer = Fixed[Optimizer]()
    l2_per_batch = Fixed[bool]()
    dtype = Fixed[np.dtype[Any]]()
    input_shift = Fixed[float | np.ndarray]()
    input_scale = Fixed[float | np.ndarray]()
    init = Fixed[InitializerName | list[ArrayLike]]()
    learning_rate = Assignable[float | Callable[[int], float] | None]()
    l2 = Assignable[float | list[float]]()
    l1 = Assignable[float | list[float]]()
    max_norm = Assignable[float | list[float | None] | None]()
    clip_norm = Assignable[float | None]()
    dropout = Assignable[float | list[float]]()
    input_noise = Assignable[float]()
    warm_start = Assignable[bool]()
    n_threads = Assignable[int | None]()

    def __repr__(self) -> str:
        """Return the call that creates this network, without default arguments."""
        return call_text(type(self), MLP, self._state.arguments)

    # Training ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        *,
        shuffle: bool | Literal["blocks"] = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | ArrayLike | Literal["balanced"] | None = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_fraction: float = 0.0,
        metrics: _Metric | Sequence[_Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        resume: bool | Path | None = None,
        verbose: bool = False,
    ) -> Self:
        """Train on arrays or on an iterable of batches, by minibatches.

        Parameters
        ----------
        X : array-like (n_samples, n_in), or iterable of (X, y) or (X, y, sample_weight)
            Finite real numbers of any type and memory order. They are not copied if they are
            C-contiguous and of the network's dtype, uint8, bool or float16, in memory or in a file
            (`numpy.memmap`). Text, missing and masked values are errors. Later data frames must
            have the same columns in the same order. Matrices of scipy.sparse stay sparse. If y is
            None, X has batches of any size: a list, an object that can be iterated over once for
            each epoch, or a function that returns an iterator.
        y : array-like (n_samples,) or (n_samples, n_out)
            For softmax, labels from 0 to n_out - 1, one-hot rows, or rows of probabilities, whose
            sum is 1 within 1e-4 and which are divided by it. For other losses real numbers, from 0
            to 1 for logistic and at least 0 for poisson; (n_samples,) is allowed if n_out is 1.
            Rows may be a matrix of scipy.sparse.
        epochs : int, default 10
            The number of passes over all samples.
        batch_size : int, default 32
            The number of samples of a step; the last step of an epoch has the remaining ones.
        shuffle : bool or "blocks", default True
            Whether to shuffle the samples in every epoch, using `random_state`. "blocks", the
            default for a `numpy.memmap`, reads contiguous pieces of rows and shuffles 64 MB of
            them at a time; a smaller X is shuffled as a whole. Batches are also shuffled in blocks,
            in the order in which they arrive.
        sample_weight : array-like (n_samples,), optional
            The weight of each sample in the loss.
        class_weight : dict, array-like (n_classes,) or "balanced", optional
            The weight of each class, multiplied by that of the sample: for softmax, and for
            logistic with one output, whose classes are 0 and 1. "balanced" is n_samples divided by
            the number of classes and by the number of samples of the class. See `fastmlp.losses`
            for probabilities.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after every epoch, never trained on.
        validation_fraction : float, default 0.0
            The fraction of the samples to hold out as validation data, drawn by `random_state`.
            Class weights are not applied to them.
        metrics : str, callable or a list of them, optional
            Additional scores, see `fastmlp.metrics`: of the validation data if given, recorded as
            "validation_accuracy" in `history_`, otherwise of the training data, as "accuracy". None
            is the accuracy of the validation data for classification. Custom functions are called
            once before the first epoch, to raise errors early.
        callbacks : list of callbacks.Callback, optional
        resume : True or path, optional
            Resume from a file written by `callbacks.ModelCheckpoint`: True is the file of the one
            in `callbacks`, if it exists already. With the same arguments, data and callbacks,
            training ends with the same bits as without an interruption.
        verbose : bool, default False
            Show a progress bar with the loss and the samples per second.

        Returns
        -------
        self
            The trained network: `weights`, `biases` and `history_` are overwritten.

        Warns
        -----
        DivergenceWarning
            If a loss, a weight or a moment of the optimizer is NaN or infinite: training stops, and
            the last finite state is kept.
        RuntimeWarning
            If all units of a hidden relu layer are 0 after the first epoch and X has values above
            10, which are probably unscaled pixels.

        Raises
        ------
        ValueError, TypeError
            For invalid arguments or data. Nothing is changed, but NumPy's global random state may
            have advanced.
        RuntimeError
            If this network is already being trained, for example by a fit inside a callback.
        KeyboardInterrupt
            Within half a second of Ctrl-C in the main thread, except during compilation and within
            a single call of NumPy on tens of millions of rows. Finished steps are kept; a step that
            takes more than 0.3 s is interrupted and undone.
        """
        state = self._state
        chosen = chosen_metrics(metrics, state.settings.loss.task)
        watching = CallbackList(callbacks, self, checks.flag("verbose", verbose))
        data = FitData(state, batch_size, shuffle)
        data.take(X, y, sample_weight, class_weight)
        data.validate_on(validation_data, validation_fraction)
        n_epochs = checks.whole_number("epochs", epochs, 0)
        self._run(Fit(state, data, Plan(n_epochs, watching, chosen, metrics is not None)), resume)
        if self._trainer is not None and self._trainer.n_bytes > KEPT_BYTES:
            self._trainer = None
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        batch_size: int = 32,
        *,
        shuffle: bool | Literal["blocks"] = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | ArrayLike | Literal["balanced"] | None = None,
    ) -> Self:
        """Train for one epoch from the present state, and append to `history_`.

        `warm_start` is ignored. Parameters, return value, warnings and errors are those of `fit`.
        """
        data = FitData(self._state, batch_size, shuffle, continues=True)
        data.take(X, y, sample_weight, class_weight, check_finite=True)
        self._run(Fit(self._state, data, Plan(1, continues=True)))
        return self

    def _run(self, fit: Fit, resume: Any = None) -> None:
        """Run a fit with the trainer of the previous one, which it frees if it needs another."""
        fit.known, self._trainer = self._trainer, None
        fit.run(resume)
        self._trainer = fit.trainer

    # Prediction -------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the predicted mean for each row of X, (n_samples, n_out)."""
        rows = self._reader.rows("X", X)
        try:
            return self._state.outputs(rows)[0]
        except NotFinite as error:
            raise checks.not_finite("X", error.row, self._state.network.dtype) from None

    @property
    def _reader(self) -> Reader:
        return Reader(self._state, self._state.feature_names)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class or label for each row of X.

        Parameters
        ----------
        X : array-like (n_samples, n_in)
            As in `fit`.

        Returns
        -------
        array (n_samples, n_out) of the network's dtype
            ``softmax(a_L)``, or ``1 / (1 + exp(-a_L))`` for the logistic loss.

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        AttributeError
            For regression losses.
        """
        if self._state.settings.loss.task == "values":
            raise AttributeError(
                f"{self.loss} is a regression loss, which predicts no probabilities"
            )
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the prediction for each row of X.

        Parameters and errors are those of `predict_proba`.

        Returns
        -------
        array
            For softmax the most probable class, int64 (n_samples,), the first one in case of a tie.
            For logistic 1 where the probability is at least 0.5, otherwise 0, int64. For other
            losses a_L, or exp(a_L) for poisson, of the network's dtype. Their shape is (n_samples,)
            if n_out is 1, otherwise (n_samples, n_out).
        """
        outputs = self._outputs(X)
        if self._state.settings.loss.task == "classes":
            return outputs.argmax(axis=1)
        if self._state.settings.loss.task == "labels":
            outputs = (outputs >= 0.5).astype(np.int64)
        return outputs.reshape(-1) if outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy (0 to 1) for classification, R2 (up to 1) for regression.

        With several labels all must be correct; R2 is the mean over outputs. If y has
        probabilities, they are replaced by the classes or labels that they predict. Parameters and
        errors are those of `fit`.
        """
        outputs = self._outputs(X)
        found = self._reader.targets("y", y, len(outputs))
        found = sample_weights.weighted(found, sample_weight, len(outputs))
        metric = METRICS["r2" if self._state.settings.loss.task == "values" else "accuracy"]
        return metric(*targets.as_scored(found, outputs, self._state.loss))
