"""`MLP`: the full trainer (floor 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from fastmlp.callbacks import Callback
from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.core.run import NotFinite
from fastmlp.losses import Loss
from fastmlp.metrics import METRICS, Metric, chosen_metrics
from fastmlp.optimizers import Optimizer
from fastmlp.parameter_views import ParameterViews
from fastmlp.serialization import model_files
from fastmlp.settings import ARGUMENTS, Assignable, Fixed, call_text
from fastmlp.training import state_dict
from fastmlp.training.data import FitData
from fastmlp.training.fit import Fit, Plan
from fastmlp.training.reading import Reader
from fastmlp.training.state import State
from fastmlp.typing import (
    ActivationName,
    ArrayLike,
    Dtype,
    File,
    InitializerName,
    LossName,
    MetricName,
    OptimizerName,
    Path,
    RandomState,
)
from fastmlp.validation import checks, sample_weights, targets

_Metric = MetricName | Metric | Callable[..., float]


class MLP:
    r"""A multilayer perceptron for classes, labels and numbers, with all that training needs.

    Forward, for layers l = 1 to L: :math:`z_l = W_l a_{l-1} + b_l`, :math:`a_l = f_l(z_l)`. The
    loss of a minibatch is :math:`\sum_i w_i L(a_L^i, y^i) / \sum_i w_i` over its samples.

    Parameters
    ----------
    layers : list of int
        Units of the input, of each hidden layer and of the output: ``[784, 64, 10]``.
    activation : str or list of str, default "relu"
        Of all hidden layers, or of each: relu, leaky_relu, elu, sigmoid, tanh, softplus, gelu,
        silu, identity; see `core.equations.activations`.
    output_activation : str, default "identity"
        One of these; what the loss says of z is said of it.
    loss : str or instance of a class in `fastmlp.losses`, default "softmax"
        softmax, logistic, squared_error, absolute_error, huber, poisson, pinball.
    optimizer : str or instance of a class in `fastmlp.optimizers`, default "adam"
        sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw.
    learning_rate : float, callable or None, default None
        None is the optimizer's default. A callable returns the rate of each step, numbered from 0
        for the first of this network: see `fastmlp.schedules`.
    init : str or list of arrays (n_out, n_in), default "xavier_normal"
        How weights are drawn (see `fastmlp.initializers`), or what they are at first; biases are
        zero.
    l2, l1 : float or list of float, default 0.0
        Of all layers or of each: ``l2 * w + l1 * sign(w)`` is added to the gradients of weights;
        AdamW multiplies them by ``1 - rate * l2`` instead. Not part of the loss in `history_`.
    max_norm : float, list or None, default None
        The largest Euclidean norm of the weights that lead to a unit; after each step longer ones
        are scaled down to it.
    dropout : float or list of float, default 0.0
        The share of units, of all hidden layers or of each, that every sample of a step does
        without; the others' activations are divided by what is left.
    input_noise : float, default 0.0
        The standard deviation of normal noise that is added to each input (as scaled) in training.
    clip_norm : float or None, default None
        Where all gradients together have a larger Euclidean norm, they are scaled down to it.
    dtype : {float32, float64}, default float32
    input_shift, input_scale : float or array (n_in,), default 0.0 and 1.0
        Every x is read as ``(x - input_shift) * input_scale``, in training and prediction alike.
    warm_start : bool, default True
        Whether another call of `fit` goes on from where the last one ended. If not, it begins
        with new weights, and nothing of the optimizer's state.
    random_state : None, int, RandomState or Generator, default None
        Where weights, shuffling, dropout and noise come from. None is NumPy's global state.
    n_threads : int or None, default None
        Threads that train and predict, but never more than this process may run at once, by its
        processors, their quota, `OMP_NUM_THREADS`, `NUMBA_NUM_THREADS`, `numba.set_num_threads`
        and `threadpoolctl.threadpool_limits`. None is as many as the size of the work repays; 1
        starts no thread. The result has the same bits for any number.

    Attributes
    ----------
    learning_rate, init, l2, l1, max_norm, dropout, input_noise, clip_norm, warm_start, n_threads
        May be assigned, by a callback as well: checked at once, and used from the next step on.
        Of the other parameters a new network is needed.
    rate_factor : float
        What every learning rate is multiplied by: 1.0 until it is assigned.
    weights, biases : sequences of arrays
        For each layer a live view of shape (n_out, n_in) and (n_out, 1). Assign to an element or
        to the whole; write into a view.
    feature_names_in_ : array of str
        The columns of the data frame that the network was fitted on, if it was one.
    history_ : dict of lists
        Of the last `fit`, a number for each epoch: "loss", and the scores of `fit`.
    stop_training : bool
        A callback sets it to end training after the epoch.

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the argument, what it must be and what it is.

    Examples
    --------
    >>> from fastmlp import MLP, datasets
    >>> X, y = datasets.digits()
    >>> mlp = MLP([64, 32, 10], activation="tanh", dropout=0.1, input_scale=1 / 16, random_state=0)
    >>> mlp.fit(X, y, epochs=30).score(X, y) > 0.95
    True
    """

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
        arguments = {name: value for name, value in locals().items() if name in _ARGUMENTS.names}
        self._state = State.new("MLP", arguments, random_state)

    @classmethod
    def _of(cls, state: State) -> Self:
        """Return the network of a state."""
        network = cls.__new__(cls)
        network._state = state
        return network

    # Attributes -------------------------------------------------------------------------------

    layers = Fixed[list[int]]()
    activation = Fixed[list[ActivationName]]()
    output_activation = Fixed[ActivationName]()
    loss = Fixed[Loss]()
    optimizer = Fixed[Optimizer]()
    dtype = Fixed[np.dtype[Any]]()
    input_shift = Fixed[float | np.ndarray]()
    input_scale = Fixed[float | np.ndarray]()
    learning_rate = Assignable[float | Callable[[int], float] | None]()
    init = Assignable[InitializerName | list[ArrayLike]]()
    l2 = Assignable[float | list[float]]()
    l1 = Assignable[float | list[float]]()
    max_norm = Assignable[float | list[float | None] | None]()
    clip_norm = Assignable[float | None]()
    dropout = Assignable[float | list[float]]()
    input_noise = Assignable[float]()
    warm_start = Assignable[bool]()
    n_threads = Assignable[int | None]()

    @Fixed
    def random_state(self) -> np.random.RandomState | np.random.Generator | None:
        """The RandomState or Generator that is drawn from; None for NumPy's global state."""
        return self._state.random

    @Fixed
    def num_layers(self) -> int:
        """How many layers there are, the input included."""
        return len(self._state.settings.layers)

    @Fixed
    def feature_names_in_(self) -> np.ndarray:
        """The columns of the frame that the network was fitted on; AttributeError if it was none.

        A frame must have the same columns in the same order from then on.
        """
        if self._state.feature_names is None:
            raise AttributeError("the network was not fitted on a frame whose columns have names")
        return np.array(self._state.feature_names, object)

    @property
    def rate_factor(self) -> float:
        """What every learning rate is multiplied by: 1.0 until a callback lowers it."""
        return self._state.optimizer.rate_factor

    @rate_factor.setter
    def rate_factor(self, value: float) -> None:
        self._state.optimizer.rate_factor = checks.real_number("rate_factor", value)

    @property
    def history_(self) -> dict[str, list[float]]:
        """A value for each epoch of the last `fit`, by name."""
        return self._state.history

    @history_.setter
    def history_(self, history: dict[str, list[float]]) -> None:
        self._state.history = history

    @property
    def stop_training(self) -> bool:
        """Whether training ends after the epoch; a callback may set it."""
        return self._state.stop_training

    @stop_training.setter
    def stop_training(self, stops: bool) -> None:
        self._state.stop_training = stops

    @property
    def weights(self) -> ParameterViews:
        """Each layer's weights, live views of shape (n_out, n_in)."""
        return ParameterViews("weights", self._state.network.weights)

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        self.weights.assign(values)

    @property
    def biases(self) -> ParameterViews:
        """Each layer's biases, live views of shape (n_out, 1)."""
        return ParameterViews("biases", self._state.network.biases)

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        self.biases.assign(values)

    def __repr__(self) -> str:
        """Return the call that makes a network like this one: what is not the default."""
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
        """Train on arrays or on batches, minibatch by minibatch, from the present weights on.

        Parameters
        ----------
        X : array-like (n_samples, n_in), or iterable of (X, y) or (X, y, sample_weight)
            Finite real numbers of any type and memory order; read without a copy where they are
            C-contiguous and of the network's dtype, uint8, bool or float16, in memory or in a
            file (`numpy.memmap`). Text, missing and masked values are refused. The names of a data
            frame's columns are kept: later frames must have the same ones in the same order. Or a
            matrix of scipy.sparse, which is never made dense. Or, with y None, batches of any
            sizes: a list, an object that can be iterated over once for each epoch, or a function
            that returns an iterator.
        y : array-like (n_samples,) or (n_samples, n_out)
            softmax: labels 0 to n_out - 1, in a column or not, one-hot rows, or rows of
            probabilities, which sum to 1 within 1e-4 and are divided by their sum. Other losses:
            numbers, for logistic from 0 to 1, for poisson of at least 0; (n_samples,) where n_out
            is 1. Rows may be a matrix of scipy.sparse.
        epochs : int, default 10
            How often every sample is trained on.
        batch_size : int, default 32
            Samples of a step; the last of an epoch has those that are left over.
        shuffle : bool or "blocks", default True
            A new order for every epoch, from `random_state`. "blocks", which True means for a
            `numpy.memmap`, reads pieces of rows that lie together and shuffles 64 MB of them at a
            time; a smaller X is shuffled as a whole. Batches are shuffled in blocks, too, in the
            order in which they come.
        sample_weight : array-like (n_samples,), optional
            What each sample counts in the loss.
        class_weight : dict, array-like (n_classes,) or "balanced", optional
            Likewise of each class, times that of the sample: for softmax, and for logistic with
            one output, whose classes are 0 and 1. "balanced" is n_samples over the number of
            classes and the class's number of samples. See `fastmlp.losses` for probabilities.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after every epoch, never trained on.
        validation_fraction : float, default 0.0
            Or this share of the samples, which `random_state` draws. Weights of classes are not
            applied to it.
        metrics : str, callable or a list of them, optional
            What else to score, see `fastmlp.metrics`: the validation data if there are any, in
            `history_` as "validation_accuracy", else the training data, as "accuracy". None is
            accuracy of validation data, where the loss is of classes or labels. Functions of your
            own are called once more before the first epoch, to see that they work.
        callbacks : list of callbacks.Callback, optional
        resume : True or path, optional
            Go on from what `callbacks.ModelCheckpoint` has written: True is the file of the one
            among the callbacks, if there is one yet. With the same arguments, data and callbacks
            training ends with the bits of one that was never interrupted.
        verbose : bool, default False
            Show a progress bar with the loss and samples per second.

        Returns
        -------
        MLP
            This network: `weights`, `biases` and `history_` are overwritten.

        Warns
        -----
        DivergenceWarning
            Where a loss, a weight or a moment of the optimizer is NaN or infinity: training stops,
            and the last finite state is kept.
        RuntimeWarning
            Where after the first epoch all units of a hidden relu layer are 0, and X has numbers
            above 10: unscaled pixels, probably.

        Raises
        ------
        ValueError, TypeError
            For data that cannot be trained on. Nothing is changed.
        RuntimeError
            If this network is being trained already, for example by a fit inside a callback.
        KeyboardInterrupt
            Within half a second of Ctrl-C in the main thread, except during the first compilation
            and within a single call of NumPy on tens of millions of rows. Steps that are finished
            count; one that takes more than 0.3 s is stopped and undone.
        """
        state = self._state
        chosen = chosen_metrics(metrics, state.settings.loss.task)
        watching = CallbackList(callbacks, self, checks.flag("verbose", verbose))
        data = FitData(state, batch_size, shuffle)
        data.take(X, y, sample_weight, class_weight)
        data.validate_on(validation_data, validation_fraction)
        n_epochs = checks.whole_number("epochs", epochs, 0)
        Fit(state, data, Plan(n_epochs, watching, chosen, metrics is not None)).run(resume)
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
        """Train on every sample once more, and add to `history_`; `warm_start` or not.

        Parameters, return value, warnings and errors are those of `fit`.
        """
        data = FitData(self._state, batch_size, shuffle, goes_on=True)
        data.take(X, y, sample_weight, class_weight, is_checked=True)
        Fit(self._state, data, Plan(1, goes_on=True)).run()
        return self

    # Prediction -------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the mean that is predicted for each row of X, (n_samples, n_out)."""
        rows = self._reader.rows("X", X)
        try:
            return self._state.outputs(rows)[0]
        except NotFinite as error:
            raise checks.not_finite("X", error.row, self._state.network.dtype) from None

    @property
    def _reader(self) -> Reader:
        return Reader(self._state, self._state.feature_names)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class, or of every label, for each row of X.

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
            For losses of numbers.
        """
        if self._state.settings.loss.task == "values":
            raise AttributeError(f"{self.loss} predicts numbers, which have no probabilities")
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return what is predicted for each row of X.

        Parameters and errors are those of `predict_proba`.

        Returns
        -------
        array
            softmax: the most probable class, int64 (n_samples,), the first of several equal ones.
            logistic: 1 where the probability is at least 1/2, else 0, int64. Others: numbers, for
            poisson exp(a_L). Of shape (n_samples,) where n_out is 1, else (n_samples, n_out).
        """
        outputs = self._outputs(X)
        if self._state.settings.loss.task == "classes":
            return outputs.argmax(axis=1)
        if self._state.settings.loss.task == "labels":
            outputs = (outputs >= 0.5).astype(np.int64)
        return outputs.reshape(-1) if outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy (0 to 1) of classes or labels, R2 (up to 1) of numbers.

        Of several labels all must be right; R2 is the mean over outputs. Where y has probabilities,
        right is the class or label that would be predicted with them. Parameters and errors are
        those of `fit`.
        """
        outputs = self._outputs(X)
        found = self._reader.targets("y", y, len(outputs))
        found = sample_weights.weighted(found, sample_weight, len(outputs))
        metric = METRICS["r2" if self._state.settings.loss.task == "values" else "accuracy"]
        return metric(*targets.as_scored(found, outputs, self._state.loss))

    # On disk ----------------------------------------------------------------------------------

    def save(self, path: File) -> None:
        """Write the network to `path` as one ``.npz``, whole or not at all.

        `path` may also be a binary file that is open for writing, such as `io.BytesIO`.

        Parameters, `history_`, the optimizer's state and that of `random_state` come back from
        `load` bit by bit, except a random state that is NumPy's global one. Of a learning rate
        that is a function of the user's own, the rate of the next step is kept. Called by a
        callback at the end of an epoch, it writes what `fit` can go on from, see `resume`.
        """
        fit = self._state.fit
        resumable = {} if fit is None or not fit.at_epoch_end else {"fit": fit.checkpoint()}
        model_files.save(state_dict.to_dict(self._state) | resumable, path)

    @classmethod
    def load(cls, path: File) -> Self:
        """Return the network that `save` or a checkpoint wrote to `path`; no pickle is involved.

        `path` may also be a binary file that is open for reading.

        Raises
        ------
        FileNotFoundError
        ValueError
            For a file of another kind, or of a later format.
        """
        return cls._of(state_dict.loaded(path, ("MLP",)))

    def __getstate__(self) -> dict[str, Any]:
        return state_dict.pickled(self._state, vars(self))

    def __setstate__(self, found: dict[str, Any]) -> None:
        self._state = state_dict.unpickled(found)
        vars(self).update(found["others"])


_ARGUMENTS = ARGUMENTS["MLP"]
