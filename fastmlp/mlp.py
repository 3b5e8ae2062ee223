"""`MLP`: the full trainer, thin over the compiled core (floor 4)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp import random_sources
from fastmlp.core.activations import ACTIVATIONS
from fastmlp.core.descent import Descent
from fastmlp.core.losses import LOSS_CODES, Loss
from fastmlp.core.rules import RULES
from fastmlp.core.storage import Network
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.model import Model
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import as_plain
from fastmlp.parameter_views import ParameterViews
from fastmlp.settings import Assignable, Fixed, Settings
from fastmlp.training.fit import Fit
from fastmlp.training.state import State
from fastmlp.validation import checks


class MLP(Model):
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
        One sentence that names the argument, what was given and what is accepted.

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
        arguments = dict(locals())
        source = random_sources.random_source(random_state)
        settings = Settings(**{name: arguments[name] for name in SETTINGS})
        network = Network(
            settings.layers,
            ACTIVATIONS[settings.output_activation],
            settings.dtype,
            checks.scaling(input_shift, input_scale, settings.layers[0], settings.dtype),
            [ACTIVATIONS[name] for name in settings.activation],
        )
        descent = _descent(network, settings.optimizer)
        self._settings, self._state = settings, State(network, descent, _kernel_loss(settings.loss))
        self._random = None if random_state is None else source
        self._feature_names, self._partial = None, None
        self.stop_training = False
        self._apply()
        if not self._is_restored:
            self._draw_weights()

    # What the arguments become ----------------------------------------------------------------

    layers, activation, output_activation = Fixed(), Fixed(), Fixed()
    loss, optimizer, dtype = Fixed(), Fixed(), Fixed()
    learning_rate, init = Assignable(), Assignable()
    l2, l1, max_norm, clip_norm = Assignable(), Assignable(), Assignable(), Assignable()
    dropout, input_noise = Assignable(), Assignable()
    warm_start, n_threads = Assignable(), Assignable()

    @Fixed
    def random_state(self) -> Any:
        """The RandomState or Generator that is drawn from; None for NumPy's global state."""
        return self._random

    @Fixed
    def num_layers(self) -> int:
        """How many layers there are, the input included."""
        return len(self._settings.layers)

    def _change(self, **changes: Any) -> None:
        """Take other settings, all of them or, where one is refused, none."""
        self._settings = dataclasses.replace(self._settings, **changes)
        self._apply()
        if self._fit is not None:
            self._draw_key()

    def _apply(self) -> None:
        """Make the next steps use the settings that may be assigned."""
        settings, state = self._settings, self._state
        rate = settings.learning_rate
        state.descent.rate = settings.optimizer.default_rate if rate is None else rate
        state.set_options(
            settings.of_layers("l2"),
            settings.of_layers("l1"),
            [_bound(norm) for norm in settings.of_layers("max_norm")],
            [*settings.of_layers("dropout"), 0.0],
            settings.input_noise,
            _bound(settings.clip_norm),
            settings.n_threads,
        )

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
        """Draw new weights by `init`, set biases to zero and reset the optimizer."""
        source, state, init = self._source, self._state, self._settings.init
        if isinstance(init, str):
            for weights in state.network.weights:
                weights[...] = INITIALIZERS[init](source, *weights.shape)
        else:
            ParameterViews("init", state.network.weights).assign(init)
        for biases in state.network.biases:
            biases[...] = 0
        state.forget()
        state.key = 0
        self._draw_key()
        self.history_, self._fitted, self._feature_names = {}, False, None

    def _draw_key(self) -> None:
        """Draw what dropout and noise depend on, unless it is there or nothing does."""
        state = self._state
        if state.key == 0 and state.is_drawn_from:
            state.key = int.from_bytes(self._source.bytes(8), "little", signed=True)

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments, apart from random_state, that make a network like this one."""
        return {name: getattr(self, name) for name in SETTINGS}

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
        fit = Fit(self, batch_size, callbacks, metrics, verbose, shuffle)
        fit.data.take(X, y, sample_weight, class_weight)
        fit.data.validate_on(validation_data, validation_fraction)
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

        Parameters, return value, warnings and errors are those of `fit`.
        """
        fit = Fit(self, batch_size, (), None, False, shuffle, goes_on=True)
        fit.data.take(X, y, sample_weight, class_weight, is_looked_at=True)
        return fit.run(1, None)


SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))


def _bound(norm: float | None) -> float:
    return np.inf if norm is None else norm


def _kernel_loss(loss: Any) -> Loss:
    plain = as_plain(loss, LOSSES)
    return Loss(LOSS_CODES[plain.pop("name")], float(next(iter(plain.values()), 0.0)))


def _descent(network: Network, optimizer: Any) -> Descent:
    plain = as_plain(optimizer, OPTIMIZERS)
    if network.dtype.type(plain.get("epsilon", 1)) == 0:
        raise ValueError(
            f"optimizer has the epsilon {plain['epsilon']}, which is 0 as {network.dtype}; "
            "accepted is one that is not"
        )
    return Descent(
        network,
        RULES[plain["name"]],
        plain.get("momentum", plain.get("beta1", 0.0)),
        plain.get("decay", plain.get("beta2", 0.0)),
        plain.get("epsilon", 0.0),
    )


MLP._kind = MLP
