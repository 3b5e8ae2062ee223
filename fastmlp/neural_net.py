"""`NeuralNet`: the drop-in replacement for the NumPy version, based on `MLP`."""

from __future__ import annotations

import functools
import pickle
import random
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

import numpy as np

from fastmlp.argument_types import ActivationName, ArrayLike, Dtype, File, RandomState
from fastmlp.base import BaseNetwork
from fastmlp.callbacks import Callback
from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.losses import Loss
from fastmlp.metrics import chosen_metrics
from fastmlp.mlp import MLP
from fastmlp.optimizers import Optimizer
from fastmlp.serialization import files
from fastmlp.settings import ARGUMENTS, Absent, Assignable, Fixed, call_text
from fastmlp.training.data import FitData
from fastmlp.training.fit import Fit, Plan
from fastmlp.training.samples import Data
from fastmlp.training.state import State
from fastmlp.validation import checks, targets

N = TypeVar("N", bound="NeuralNet")
P = ParamSpec("P")
R = TypeVar("R")


def _documented(
    method: Callable[Concatenate[MLP, P], R],
) -> Callable[[Callable[..., R]], Callable[Concatenate[NeuralNet, P], R]]:
    """Return a decorator that copies the docstring and signature of a method of `MLP`."""
    return functools.wraps(method, assigned=("__doc__",))


class _Method(Protocol[P]):
    """A method with the parameters of one of `MLP`, which returns the network of its own class."""

    @overload
    def __get__(self, net: None, owner: Any = None) -> Callable[..., Any]: ...
    @overload
    def __get__(self, net: N, owner: Any = None) -> Callable[P, N]: ...


def _training(
    method: Callable[Concatenate[MLP, P], MLP],
) -> Callable[[Callable[..., NeuralNet]], _Method[P]]:
    """Return `_documented` for a method that returns the network itself."""
    return functools.wraps(method, assigned=("__doc__",))  # type: ignore[return-value]


class NeuralNet(BaseNetwork):
    r"""A multilayer perceptron with softmax output, trained by stochastic gradient descent.

    For the layers l = 1 to L, :math:`z_l = W_l a_{l-1} + b_l` and :math:`a_l = f_l(z_l)`; the
    predicted probabilities are :math:`p = \mathrm{softmax}(a_L)`. The loss of a minibatch is the
    mean of :math:`-\log p_y` over its samples. The update of each step is

    .. math:: W \leftarrow W - \eta (\partial loss / \partial W + \lambda W), \quad
              b \leftarrow b - \eta \, \partial loss / \partial b .

    Parameters
    ----------
    layers : list of int
        Sizes of the input, the hidden layers and the output: ``[784, 64, 10]``.
    learning_rate : float, default 0.05
        The :math:`\eta` above.
    reg_lambda : float, default 0.0
        The :math:`\lambda` above: an L2 penalty on the weights, not on the biases.
    output_activation : str, default "relu"
        The :math:`f_L` before the softmax: "relu" as in the NumPy version, "identity", which is
        usual today, or another activation of `MLP`. Hidden layers have relu.
    dtype : {float64, float32}, default float64
        float32 is about twice as fast.
    input_shift, input_scale : float or array (n_in,), default 0.0 and 1.0
        Inputs are read as ``(x - input_shift) * input_scale``, in training and prediction: for
        example 1 / 255 for images, or means and inverse standard deviations.
    random_state : None, int, RandomState or Generator, default None
        The source of initial weights and shuffling in `fit`. None is NumPy's global state, so that
        after ``np.random.seed(s)`` the weights are those of the NumPy version; an int seeds a new
        RandomState, which gives the same weights.
    n_threads : int or None, default None
        The largest number of threads for training and prediction, see `MLP`. None measures which
        number is fastest. The results have the same bits for any number.

    Attributes
    ----------
    layers, num_layers, learning_rate, reg_lambda
        As given; the number of layers includes the input. learning_rate, reg_lambda and n_threads
        may be assigned, also by callbacks, and are used from the next step.
    weights, biases : sequences of arrays
        For each layer a view of shape (n_out, n_in) and (n_out, 1). Assign to an element, to the
        whole attribute, or write to a view.
    history_ : dict of lists
        Values of each epoch of the last `fit` or `train`: "loss", the mean cross-entropy of the
        samples, each with the weights before its step; with validation data also "validation_loss"
        and "validation_accuracy" (0 to 1) after the epoch.

    Raises
    ------
    ValueError, TypeError
        If a parameter is invalid.

    Notes
    -----
    Initial weights are ``randn(n_out, n_in) * sqrt(2 / (n_in + n_out))``, initial biases zeros
    (Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010, section 4.2.1). All sums have a fixed order: a seed gives the same bits with any number of
    threads and on processors of any vector width with fused multiply-add.

    Examples
    --------
    >>> from fastmlp import NeuralNet, datasets
    >>> X, y = datasets.digits()
    >>> net = NeuralNet([64, 32, 10], output_activation="identity", random_state=0)
    >>> net = net.fit(X / 16, y, epochs=20)
    >>> net.score(X / 16, y) > 0.95
    True
    """

    _class_name = "NeuralNet"

    def __init__(
        self,
        layers: Sequence[int],
        learning_rate: float = 0.05,
        reg_lambda: float = 0.0,
        *,
        output_activation: ActivationName = "relu",
        dtype: Dtype = np.float64,
        input_shift: ArrayLike = 0.0,
        input_scale: ArrayLike = 1.0,
        random_state: RandomState = None,
        n_threads: int | None = None,
    ):
        given = locals()
        arguments = {name: given[name] for name in ARGUMENTS["NeuralNet"].names}
        self._set_state(State.new("NeuralNet", arguments, random_state))

    def _set_state(self, state: State) -> None:
        super()._set_state(state)
        self._mlp = MLP._of(state)

    # Settings ---------------------------------------------------------------------------------

    layers = Fixed[list[int]]()
    output_activation = Fixed[ActivationName]()
    dtype = Fixed[np.dtype[Any]]()
    input_shift = Fixed[float | np.ndarray]()
    input_scale = Fixed[float | np.ndarray]()
    learning_rate = Assignable[float]()
    reg_lambda = Assignable[float]()
    n_threads = Assignable[int | None]()
    activation = Absent[list[ActivationName]]()
    loss = Absent[Loss]()
    optimizer = Absent[Optimizer]()
    init, warm_start = Absent[str](), Absent[bool]()
    l2, l1, max_norm = Absent[float](), Absent[float](), Absent[None]()
    dropout, input_noise, clip_norm = Absent[float](), Absent[float](), Absent[None]()
    l2_per_batch = Absent[bool]()

    def __repr__(self) -> str:
        """Return the call that creates this network, without default arguments."""
        return call_text(type(self), NeuralNet, self._state.arguments)

    # What an `MLP` does -------------------------------------------------------------------------

    @_training(MLP.fit)
    def fit(
        self, X: Any, y: Any = None, epochs: int = 10, batch_size: int = 32, **options: Any
    ) -> Self:
        options["callbacks"] = CallbackList(options.get("callbacks", ()), self)
        self._mlp.fit(X, y, epochs, batch_size, **options)
        return self

    @_training(MLP.partial_fit)
    def partial_fit(self, X: Any, y: Any = None, batch_size: int = 32, **options: Any) -> Self:
        self._mlp.partial_fit(X, y, batch_size, **options)
        return self

    @_documented(MLP.predict_proba)
    def predict_proba(self, X: Any) -> np.ndarray:
        return self._mlp.predict_proba(X)

    @_documented(MLP.predict)
    def predict(self, X: Any) -> np.ndarray:
        return self._mlp.predict(X)

    @_documented(MLP.score)
    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        return self._mlp.score(X, y, sample_weight)

    # What the NumPy version does ----------------------------------------------------------------

    def train(
        self,
        training_data: Sequence[tuple[Any, Any]],
        validation_data: Sequence[tuple[Any, Any]] | None = None,
        epochs: int = 10,
    ) -> None:
        """Train as the NumPy version does, with an update after every sample.

        Parameters
        ----------
        training_data : list of (x, one_hot) pairs
            x has n_in elements; one_hot has n_out elements or probabilities, or is a label. The
            list is not changed. Each epoch shuffles the order of the last one by
            ``random.shuffle``.
        validation_data : list of pairs, optional
            Scored after every epoch, which prints one line; never trained on.
        epochs : int, default 10

        Raises
        ------
        ValueError, TypeError
            For invalid data. Nothing is changed.
        """
        state = self._state
        data = FitData(state, 1, shuffle=False)
        data.samples = self._pairs("training_data", training_data)
        if validation_data is not None:
            data.validation = self._pairs("validation_data", validation_data)
        order = list(range(len(data.samples.X)))

        def shuffled() -> np.ndarray:
            random.shuffle(order)
            return np.array(order)

        data.order = shuffled
        callbacks = CallbackList([_Lines()], self)
        metrics = chosen_metrics(None, state.settings.loss.task)
        n_epochs = checks.whole_number("epochs", epochs, 0)
        self._mlp._trainer = None  # as in `MLP.fit`: its snapshot would be a second one
        Fit(state, data, Plan(n_epochs, callbacks, metrics)).run()

    def _pairs(self, name: str, pairs: Any) -> Data:
        X, y = targets.labelled_pairs(name, pairs, self._state.network.sizes, self.dtype)
        self._mlp._reader.check_finite(name, X)
        return Data(X, self._mlp._reader.targets(name, y, len(X)))

    def test(self, test_data: Sequence[tuple[Any, Any]]) -> float:
        """Return the percentage (0 to 100) of (x, one_hot) pairs that are classified correctly.

        If probabilities are given instead of a one-hot, the class is the most probable one.
        """
        data = self._pairs("test_data", test_data)
        expected, outputs, _ = targets.as_scored(
            data.targets, self._mlp._outputs(data.X), self._state.loss
        )
        return 100 * np.count_nonzero(outputs.argmax(axis=1) == expected) / len(data.X)

    def dump(self, file: File) -> None:
        """Pickle the network to a path, atomically, or to an open binary file."""
        with files.open_for_writing(file, "file") as opened:
            pickle.dump(self, opened)


class _Lines(Callback):
    """Print a line for each epoch with validation data."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs and "validation_accuracy" in logs:
            print(f"epoch {epoch + 1}: {100 * logs['validation_accuracy']:.2f} % correct")


def warmup(dtype: Dtype | None = None, everything: bool = False) -> None:
    """Compile the code for training and prediction, or load it from the cache on disk.

    Parameters
    ----------
    dtype : {float32, float64} or None, default None
        None is both. The compiled code is used for every architecture, and for X of this type or
        of a type that is converted to it. X of uint8 or bool, of float16, and sparse X are compiled
        when they are first used.
    everything : bool, default False
        Whether to compile all options of `MLP` as well, which `NeuralNet` needs only for targets
        that are probabilities.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.warmup("float32")
    """
    for each in (np.float32, np.float64) if dtype is None else (dtype,):
        nets: list[Any] = [NeuralNet([1, 1], dtype=each, random_state=0)]
        if everything:
            nets.append(MLP([1, 1, 1], activation="tanh", dtype=each, random_state=0))
        for net in nets:
            net.fit([[1.0]], [0], epochs=1).predict([[1.0]])
