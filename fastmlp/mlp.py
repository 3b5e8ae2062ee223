"""`MLP`: the full trainer, thin over the compiled core (floor 4)."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fastmlp import checks, files, saving, targets
from fastmlp.core.activations import ACTIVATIONS
from fastmlp.core.descent import Descent
from fastmlp.core.gather import SparseRows
from fastmlp.core.losses import LOSS_CODES, Loss, Targets
from fastmlp.core.rules import RULES
from fastmlp.core.run import NotFinite
from fastmlp.core.storage import Network
from fastmlp.fitting import Fit
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.metrics import METRICS
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import as_plain, chosen
from fastmlp.parameter_views import ParameterViews
from fastmlp.training import State


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
        silu, identity; see `core.activations`.
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
        Threads that train and predict, but never more than this process may run at once. None
        is as many as the size of the work repays. The result has the same bits for any number.

    Attributes
    ----------
    weights, biases : sequences of arrays
        For each layer a live view of shape (n_out, n_in) and (n_out, 1). Assign to an element or
        to the whole; write into a view.
    history_ : dict of lists
        Of the last `fit`, a number for each epoch: "loss", and the scores of `fit`.
    stop_training : bool
        A callback sets it to end training after the epoch.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, what was given and what is accepted.

    Examples
    --------
    >>> from fastmlp import MLP, datasets
    >>> X, y = datasets.digits()
    >>> mlp = MLP([64, 32, 10], activation="tanh", dropout=0.1, input_scale=1 / 16, random_state=0)
    >>> mlp.fit(X, y, epochs=30).score(X, y) > 0.95
    True
    """

    _kind: ClassVar[Any]  # the class that `_arguments` are those of, whatever subclasses take

    def __init__(
        self,
        layers: Sequence[int],
        *,
        activation: str | Sequence[str] = "relu",
        output_activation: str = "identity",
        loss: Any = "softmax",
        optimizer: Any = "adam",
        learning_rate: Any = None,
        init: str | Sequence[Any] = "xavier_normal",
        l2: Any = 0.0,
        l1: Any = 0.0,
        max_norm: Any = None,
        dropout: Any = 0.0,
        input_noise: float = 0.0,
        clip_norm: float | None = None,
        dtype: Any = np.float32,
        input_shift: Any = 0.0,
        input_scale: Any = 1.0,
        warm_start: bool = True,
        random_state: Any = None,
        n_threads: int | None = None,
    ):
        self.layers = checks.layer_sizes(layers)
        self.num_layers = len(self.layers)
        n_hidden = self.num_layers - 2
        self.activation = checks.for_each("activation", activation, n_hidden, _activation)
        self.output_activation = _activation("output_activation", output_activation)
        self.loss = chosen("loss", loss, LOSSES)
        self.optimizer = chosen("optimizer", optimizer, OPTIMIZERS)
        self.learning_rate = learning_rate
        self.l2, self.l1, self.max_norm, self.dropout = l2, l1, max_norm, dropout
        self.input_noise, self.clip_norm = input_noise, clip_norm
        self.dtype = checks.float_type(dtype)
        self.warm_start, self.init = bool(warm_start), init
        self.n_threads = None if n_threads is None else checks.thread_count(n_threads)
        self.stop_training, self._fitted = False, False
        self._fit: Fit | None = None  # the one that runs
        self.history_: dict[str, list[float]] = {}
        source = checks.random_source(random_state)
        self._random = None if random_state is None else source
        network = Network(
            list(self.layers),
            ACTIVATIONS[self.output_activation],
            self.dtype,
            checks.scaling(input_shift, input_scale, self.layers[0], self.dtype),
            [ACTIVATIONS[name] for name in self.activation],
        )
        self._state = State(network, self._descent(network), self._kernel_loss())
        self._prepare()
        self._draw_weights()

    def __repr__(self) -> str:
        """Return the call that makes a network like this one: what is not the default."""
        defaults = inspect.signature(type(self)).parameters
        shown = [
            f"{name}={value!r}"
            for name, value in self._arguments().items()
            if name != "layers" and not _equal(value, defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join([str(self._network.sizes), *shown])})"

    # What the arguments become ----------------------------------------------------------------

    def _kernel_loss(self) -> Loss:
        plain = as_plain(self.loss, LOSSES)
        return Loss(LOSS_CODES[plain.pop("name")], float(next(iter(plain.values()), 0.0)))

    def _descent(self, network: Network) -> Descent:
        plain = as_plain(self.optimizer, OPTIMIZERS)
        if self.dtype.type(plain.get("epsilon", 1)) == 0:
            raise ValueError(
                f"optimizer has the epsilon {plain['epsilon']}, which is 0 as {self.dtype}; "
                "accepted is one that is not"
            )
        return Descent(
            network,
            RULES[plain["name"]],
            plain.get("momentum", plain.get("beta1", 0.0)),
            plain.get("decay", plain.get("beta2", 0.0)),
            plain.get("epsilon", 0.0),
        )

    def _prepare(self) -> State:
        """Check what may have been assigned since the last call, and return the state with it."""
        state, n_hidden = self._state, len(self._network.sizes) - 2
        l2, l1 = self._penalties()
        dropout = checks.for_each("dropout", self.dropout, n_hidden, checks.from_zero_below_one)
        max_norm = checks.for_each("max_norm", self.max_norm, n_hidden + 1, _norm)
        noise = checks.real_number("input_noise", self.input_noise)
        rate, clip_norm = self._rate(), _norm("clip_norm", self.clip_norm)
        state.network.regularise(l2, l1, max_norm, [*dropout, 0.0])
        state.descent.begin(rate, clip_norm)
        state.input_noise = noise
        return state

    def _penalties(self) -> tuple[list[float], list[float]]:
        n = len(self._network.sizes) - 1
        l2 = checks.for_each("l2", self.l2, n, checks.real_number)
        return l2, checks.for_each("l1", self.l1, n, checks.real_number)

    def _rate(self) -> Any:
        """Return the learning rate of every step, or what returns it for one."""
        if self.learning_rate is None:
            return self.optimizer.default_rate
        if callable(self.learning_rate):
            return self.learning_rate
        return checks.real_number("learning_rate", self.learning_rate)

    @property
    def rate_factor(self) -> float:
        """What every learning rate is multiplied by: 1.0 until a callback lowers it."""
        return self._state.descent.rate_factor

    @rate_factor.setter
    def rate_factor(self, value: float) -> None:
        self._state.descent.rate_factor = checks.real_number("rate_factor", value)

    @property
    def _source(self) -> Any:
        return np.random if self._random is None else self._random

    def _draw_weights(self) -> None:
        """Begin anew: weights by `init`, biases zero, and nothing learnt."""
        source, state = self._source, self._state
        if isinstance(self.init, str):
            draw = INITIALIZERS[checks.choice("init", self.init, INITIALIZERS)]
            for weights in state.network.weights:
                weights[...] = draw(source, *weights.shape)
        else:
            ParameterViews("init", state.network.weights).assign(self.init)
        for biases in state.network.biases:
            biases[...] = 0
        state.forget()
        state.key = 0
        self._draw_key()
        self.history_, self._fitted = {}, False

    def _draw_key(self) -> None:
        """Draw what dropout and noise depend on, unless it is there or nothing does."""
        state = self._state
        if state.key == 0 and (state.input_noise > 0 or state.network.drops):
            state.key = int.from_bytes(self._source.bytes(8), "little", signed=True)

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments, apart from random_state, that make a network like this one."""
        names = (
            "layers", "activation", "output_activation", "loss", "optimizer", "learning_rate",
            "init", "l2", "l1", "max_norm", "dropout", "input_noise", "clip_norm", "dtype",
            "input_shift", "input_scale", "warm_start", "n_threads",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"layers": self._network.sizes}

    # The parameters ---------------------------------------------------------------------------

    @property
    def _network(self) -> Network:
        return self._state.network

    @property
    def weights(self) -> ParameterViews:
        """Each layer's weights, live views of shape (n_out, n_in)."""
        return ParameterViews("weights", self._network.weights)

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        self.weights.assign(values)

    @property
    def biases(self) -> ParameterViews:
        """Each layer's biases, live views of shape (n_out, 1)."""
        return ParameterViews("biases", self._network.biases)

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        self.biases.assign(values)

    @property
    def input_shift(self) -> Any:
        """What is subtracted from each input: an array (n_in,), or 0.0 where nothing is scaled."""
        return self._network.scaling[: self._network.sizes[0]].copy() if self._is_scaled else 0.0

    @property
    def input_scale(self) -> Any:
        """What each input is multiplied by then: an array (n_in,), or 1.0 where nothing is."""
        return self._network.scaling[self._network.sizes[0] :].copy() if self._is_scaled else 1.0

    @property
    def _is_scaled(self) -> bool:
        return len(self._network.scaling) > 0

    # Training ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        *,
        shuffle: bool | str = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_fraction: float = 0.0,
        metrics: Any = None,
        callbacks: Sequence[Any] = (),
        resume: bool | str | os.PathLike | None = None,
        verbose: bool = False,
    ) -> Any:
        """Train on arrays or on batches, minibatch by minibatch, from the present weights on.

        Parameters
        ----------
        X : array-like (n_samples, n_in), or iterable of (X, y) or (X, y, sample_weight)
            Finite real numbers of any type and memory order; read without a copy where they are
            C-contiguous and of the network's dtype, uint8, bool or float16, be they in memory or
            in a file (`numpy.memmap`). Or a matrix of scipy.sparse, which is never made dense. Or,
            with y None, batches of any sizes: a list, an object that can be iterated over once
            for each epoch, or a function that returns an iterator.
        y : array-like (n_samples,) or (n_samples, n_out)
            softmax: labels 0 to n_out - 1, or one-hot rows. Other losses: numbers, for logistic
            from 0 to 1, for poisson of at least 0; (n_samples,) where n_out is 1.
        epochs : int, default 10
            How often every sample is trained on.
        batch_size : int, default 32
            Samples of a step; the last of an epoch has those that are left over.
        shuffle : bool or "blocks", default True
            A new order for every epoch, from `random_state`. "blocks", which True is for a
            `numpy.memmap`, reads pieces of rows that lie together and shuffles some of them at
            once; so are batches shuffled, in the order in which they come.
        sample_weight : array-like (n_samples,), optional
            What each sample counts in the loss.
        class_weight : dict, array-like (n_out,) or "balanced", optional
            Likewise of each class, times that of the sample. "balanced" is n_samples over the
            number of classes and the class's number of samples.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after every epoch, never trained on.
        validation_fraction : float, default 0.0
            Or this share of the samples, which `random_state` draws.
        metrics : str, callable or a list of them, optional
            What else to score, see `fastmlp.metrics`: the validation data if there are any, in
            `history_` as "validation_accuracy", else the training data, as "accuracy". None is
            accuracy of validation data, where the loss is of classes or labels.
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
            Where the loss or a weight was NaN or infinity: training stops with the last weights
            that were finite.

        Raises
        ------
        ValueError, TypeError
            For data that cannot be trained on. Nothing is changed.
        KeyboardInterrupt
            Within half a second of Ctrl-C; the network is as after the last finished steps.
        """
        fit = Fit(self, batch_size, callbacks, metrics, verbose, shuffle)
        fit.take(X, y, sample_weight, class_weight)
        fit.validate_on(validation_data, validation_fraction)
        return fit.run(checks.whole_number("epochs", epochs, 0), resume)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        batch_size: int = 32,
        *,
        shuffle: bool | str = True,
        sample_weight: Any = None,
        class_weight: Any = None,
    ) -> Any:
        """Train on every sample once more, and add to `history_`; `warm_start` or not.

        Parameters, return value and errors are those of `fit`.
        """
        fit = Fit(self, batch_size, (), None, False, shuffle, goes_on=True)
        fit.take(X, y, sample_weight, class_weight)
        return fit.run(1, None)

    # Prediction -------------------------------------------------------------------------------

    def _threads(self) -> int | None:
        return None if self.n_threads is None else checks.thread_count(self.n_threads)

    def _rows(self, name: str, X: Any) -> np.ndarray | SparseRows:
        """Return X in the form that kernels take."""
        rows = checks.feature_rows(name, X, self._network.sizes[0], self.dtype)
        if isinstance(rows, SparseRows):
            shift = self._network.scaling[: self._network.sizes[0]]
            for option, fills in (("input_shift", shift.any()), ("input_noise", self.input_noise)):
                if fills:
                    raise ValueError(f"{name} is sparse, which an {option} other than 0 would fill")
        return rows

    def _targets(self, name: str, y: Any, n_samples: int) -> Targets:
        """Return y in the form that kernels take."""
        loss, n_out = self._state.loss, self._network.sizes[-1]
        return targets.targets(name, y, n_samples, loss, n_out, self.dtype)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the mean that is predicted for each row of X, (n_samples, n_out)."""
        rows = self._rows("X", X)
        try:
            return self._state.outputs(rows, self._threads())[0]
        except NotFinite as error:
            raise checks.not_finite("X", error.row, self.dtype) from None

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
        if self.loss.task == "values":
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
        if self.loss.task == "classes":
            return outputs.argmax(axis=1)
        if self.loss.task == "labels":
            outputs = (outputs >= 0.5).astype(np.int64)
        return outputs.reshape(-1) if outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy (0 to 1) of classes or labels, R2 (up to 1) of numbers.

        Of several labels all must be right; R2 is the mean over outputs. Parameters and errors
        are those of `fit`.
        """
        outputs = self._outputs(X)
        found = self._targets("y", y, len(outputs))
        found = targets.weighted(found, sample_weight, None, len(outputs), self._network.sizes[-1])
        metric = METRICS["r2" if self.loss.task == "values" else "accuracy"]
        return metric(*targets.as_scored(found, outputs))

    # On disk ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write the network to `path` as one ``.npz``, whole or not at all.

        Parameters, `history_`, the optimizer's state and that of `random_state` come back from
        `load` bit by bit, except a random state that is NumPy's global one. Of a learning rate
        that is a function of the user's own, the rate of the next step is kept. Called by a
        callback at the end of an epoch, it writes what `fit` can go on from, see `resume`.
        """
        resumable = {} if self._fit is None else {"fit": self._fit.checkpoint()}
        files.save_state(path, saving.plain(self) | resumable)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Any:
        """Return the network that `save` or a checkpoint wrote to `path`; no pickle is involved.

        Raises
        ------
        FileNotFoundError
        ValueError
            For a file of another kind, or of a later format.
        """
        return saving.loaded(cls, path)

    def __getstate__(self) -> dict[str, Any]:
        own = {"_state", "_random", "_fit", "_fitted", "history_", "num_layers"}
        own |= {name for name in vars(self) if name in self._arguments()}
        others = {name: value for name, value in vars(self).items() if name not in own}
        raw = {"learning_rate": self.learning_rate}  # pickle keeps functions too
        return {"network": saving.plain(self), "raw": raw, "others": others}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saving.remake(self, state["network"])
        vars(self).update(state["raw"] | state["others"])


def _activation(name: str, value: Any) -> str:
    return checks.choice(name, value, ACTIVATIONS)


def _equal(value: Any, default: Any) -> bool:
    """Whether an argument is as it would be if it were not given."""
    if isinstance(value, np.dtype):
        return value == np.dtype(default)
    if isinstance(default, str):
        named = LOSSES.get(default) or OPTIMIZERS.get(default)
        return value in ([default], default) if named is None else value == named()
    return type(value) in (float, int, bool, type(None)) and value == default


def _norm(name: str, value: Any) -> float:
    return np.inf if value is None else checks.above_zero(name, value)


MLP._kind = MLP
