"""`NeuralNet`: the drop-in for the NumPy version, thin over the compiled core (floor 4)."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

import numpy as np

from fastmlp import checks, files
from fastmlp.core.activations import ACTIVATIONS
from fastmlp.core.gather import SparseRows
from fastmlp.core.run import NotFinite, predict
from fastmlp.core.step import Rule
from fastmlp.core.storage import Network
from fastmlp.parameter_views import ParameterViews
from fastmlp.progress import progress
from fastmlp.training import Data, train_epochs


class NeuralNet:
    r"""A multilayer perceptron with softmax output, trained by stochastic gradient descent.

    Forward, for layers l = 1 to L: :math:`z_l = W_l a_{l-1} + b_l`, :math:`a_l = f_l(z_l)`, and
    :math:`p = \mathrm{softmax}(a_L)`. The loss of a minibatch is the mean of
    :math:`-\log p_y` over its samples; each update is

    .. math:: W \leftarrow W - \eta (\partial loss / \partial W + \lambda W), \quad
              b \leftarrow b - \eta \, \partial loss / \partial b .

    Parameters
    ----------
    layers : list of int
        Units of the input, of each hidden layer and of the output: ``[784, 64, 10]``.
    learning_rate : float, default 0.05
        The :math:`\eta` above.
    reg_lambda : float, default 0.0
        The :math:`\lambda` above: an L2 penalty on the weights, not on the biases.
    output_activation : {"relu", "identity"}, default "relu"
        The :math:`f_L` before the softmax: relu as in the NumPy version, or today's standard,
        none. Hidden layers are relu.
    dtype : {float64, float32}, default float64
        float32 is about twice as fast.
    input_shift, input_scale : float or array (n_in,), default 0.0 and 1.0
        Every x is read as ``(x - input_shift) * input_scale``, in training and prediction alike:
        1 / 255 for the bytes of images, or means and inverse deviations.
    random_state : None, int, RandomState or Generator, default None
        Where the weights and the shuffling of `fit` come from. None is NumPy's global state,
        so that after ``np.random.seed(s)`` the weights are those of the NumPy version; an int
        seeds a RandomState of this network's own, with the same weights.
    n_threads : int or None, default None
        Threads that train and predict, but never more than this process may run at once. None
        is as many as the size of the work repays. The result has the same bits for any number.

    Attributes
    ----------
    layers, num_layers, learning_rate, reg_lambda
        As given; the number of layers counts the input. The two rates may be assigned between
        calls.
    weights, biases : sequences of arrays
        For each layer a live view of shape (n_out, n_in) and (n_out, 1). Assign to an element or
        to the whole; write into a view.
    history_ : dict of lists
        After `fit` and `train`, for each epoch: "loss", the mean cross-entropy of the samples
        by the weights of their step; given validation data, "validation_loss" and
        "validation_accuracy" (0 to 1) after the epoch.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, what was given and what is accepted.

    Notes
    -----
    Weights are drawn as ``randn(n_out, n_in) * sqrt(2 / (n_in + n_out))``, biases are zero
    (Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks, 2010, section 4.2.1). Every sum runs in one fixed order, so a seed gives the same
    bits on any number of threads and on processors of any vector width that fuse multiply-adds.

    Examples
    --------
    >>> from fastmlp import NeuralNet, datasets
    >>> X, y = datasets.digits()
    >>> net = NeuralNet([64, 32, 10], output_activation="identity", random_state=0)
    >>> net = net.fit(X / 16, y, epochs=20)
    >>> net.score(X / 16, y) > 0.95
    True
    """

    def __init__(
        self,
        layers: Sequence[int],
        learning_rate: float = 0.05,
        reg_lambda: float = 0.0,
        *,
        output_activation: str = "relu",
        dtype: Any = np.float64,
        input_shift: Any = 0.0,
        input_scale: Any = 1.0,
        random_state: Any = None,
        n_threads: int | None = None,
    ):
        self.layers = checks.layer_sizes(layers)
        self.num_layers = len(self.layers)
        self.learning_rate = checks.real_number("learning_rate", learning_rate)
        self.reg_lambda = checks.real_number("reg_lambda", reg_lambda)
        self.output_activation = checks.choice("output_activation", output_activation, ACTIVATIONS)
        self.dtype = checks.float_type(dtype)
        self.n_threads = None if n_threads is None else checks.thread_count(n_threads)
        source = checks.random_source(random_state)
        self._random = None if random_state is None else source
        self.history_: dict[str, list[float]] = {}
        self._network = Network(
            list(self.layers),
            ACTIVATIONS[self.output_activation],
            self.dtype,
            checks.scaling(input_shift, input_scale, self.layers[0], self.dtype),
        )
        for weights in self._network.weights:
            n_out, n_in = weights.shape
            weights[...] = source.standard_normal((n_out, n_in)) * np.sqrt(2 / (n_in + n_out))

    def __repr__(self) -> str:
        return (
            f"NeuralNet({self.layers}, learning_rate={self.learning_rate}, "
            f"reg_lambda={self.reg_lambda}, output_activation={self.output_activation!r}, "
            f"dtype={self.dtype.name!r}, n_threads={self.n_threads})"
        )

    # The parameters ---------------------------------------------------------------------------

    @property
    def weights(self) -> ParameterViews:
        """Each layer's weights, live views of shape (n_out, n_in)."""
        return ParameterViews("weights", self._network.weights)

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        self.weights.assign(values)

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

    @property
    def biases(self) -> ParameterViews:
        """Each layer's biases, live views of shape (n_out, 1)."""
        return ParameterViews("biases", self._network.biases)

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        self.biases.assign(values)

    # Training ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 10,
        batch_size: int = 32,
        *,
        shuffle: bool = True,
        validation_data: tuple[Any, Any] | None = None,
        verbose: bool = False,
    ) -> NeuralNet:
        """Train on arrays, minibatch by minibatch, from the present weights on.

        Parameters
        ----------
        X : array-like (n_samples, n_in)
            Finite real numbers of any type and memory order; read without a copy where they are
            C-contiguous and of the network's dtype, uint8, bool or float16. Or a matrix of
            scipy.sparse, which is never made dense.
        y : array-like (n_samples,) or (n_samples, n_out)
            Labels 0 to n_out - 1, or one-hot rows.
        epochs : int, default 10
            How often every sample is trained on.
        batch_size : int, default 32
            Samples of a step; the last of an epoch has those that are left over.
        shuffle : bool, default True
            A new order for every epoch, from `random_state`.
        validation_data : tuple (X, y), optional
            Scored after every epoch, never trained on.
        verbose : bool, default False
            Show a progress bar with the loss and samples per second.

        Returns
        -------
        NeuralNet
            This network: `weights`, `biases` and `history_` are overwritten.

        Raises
        ------
        ValueError, TypeError
            For data that cannot be trained on. Nothing is changed.
        KeyboardInterrupt
            Within half a second of Ctrl-C; the network is as after the last finished steps.
        """
        data = self._data("X", X, "y", y)
        validation = None if validation_data is None else self._validation(validation_data)
        epochs = checks.whole_number("epochs", epochs, 0)
        batch_size = checks.whole_number("batch_size", batch_size, 1)
        n, source = len(data.X), np.random if self._random is None else self._random
        orders = (source.permutation(n) if shuffle else np.arange(n) for _ in range(epochs))
        with self._unchanged_if_refused(source), progress(verbose, n, epochs) as report:
            for _ in self._train(data, orders, batch_size, validation, report):
                pass
        return self

    def train(
        self,
        training_data: Sequence[tuple[Any, Any]],
        validation_data: Sequence[tuple[Any, Any]] | None = None,
        epochs: int = 10,
    ) -> None:
        """Train as the NumPy version does: an update after every sample.

        Parameters
        ----------
        training_data : list of (x, one_hot) pairs
            x of n_in numbers, one_hot of n_out; the list is left as it is. Each epoch goes
            through it in an order that ``random.shuffle`` makes of the last epoch's.
        validation_data : list of pairs, optional
            Scored after every epoch, with one line printed; never trained on.
        epochs : int, default 10

        Raises
        ------
        ValueError, TypeError
            For data that cannot be trained on. Nothing is changed.
        """
        data = self._pairs("training_data", training_data)
        validation = None
        if validation_data is not None:
            validation = self._pairs("validation_data", validation_data)
        epochs = checks.whole_number("epochs", epochs, 0)
        order = list(range(len(data.X)))

        def orders() -> Iterator[np.ndarray]:
            for _ in range(epochs):
                random.shuffle(order)
                yield np.array(order)

        for epoch in self._train(data, orders(), 1, validation):
            if validation is not None:
                percent = 100 * self.history_["validation_accuracy"][-1]
                print(f"epoch {epoch}: {percent:.2f} % correct")

    def _train(
        self,
        data: Data,
        orders: Iterable[np.ndarray],
        batch_size: int,
        validation: Data | None,
        report: Callable[[int, float], None] | None = None,
    ) -> Iterator[int]:
        """Train an epoch for each order, into a new history, yielding its number after it."""
        rule = Rule(
            checks.real_number("learning_rate", self.learning_rate),
            checks.real_number("reg_lambda", self.reg_lambda),
        )
        n_threads = self._threads()
        history: dict[str, list[float]] = {}
        self.history_ = history
        return train_epochs(
            self._network, data, orders, batch_size, rule, n_threads, history, validation, report
        )

    def _threads(self) -> int | None:
        return None if self.n_threads is None else checks.thread_count(self.n_threads)

    def _rows(self, name: str, X: Any) -> Any:
        n_in = self._network.sizes[0]
        rows = checks.feature_rows(name, X, n_in, self.dtype)
        if isinstance(rows, SparseRows) and self._network.scaling[:n_in].any():
            raise ValueError(f"{name} is sparse, which an input_shift other than 0 would fill")
        return rows

    def _data(self, X_name: str, X: Any, y_name: str, y: Any) -> Data:
        rows = self._rows(X_name, X)
        return Data(rows, checks.class_labels(y_name, y, len(rows), self._network.sizes[-1]))

    def _pairs(self, name: str, pairs: Any) -> Data:
        return Data(*checks.labelled_pairs(name, pairs, self._network.sizes, self.dtype))

    def _validation(self, pair: Any) -> Data:
        try:
            X, y = pair
        except (TypeError, ValueError):
            raise TypeError("validation_data is not a tuple (X, y), which is accepted") from None
        data = self._data("validation_data[0]", X, "validation_data[1]", y)
        checks.finite_rows("validation_data[0]", data.X)
        return data

    @contextlib.contextmanager
    def _unchanged_if_refused(self, source: Any) -> Iterator[None]:
        """Put everything back if the kernels come upon a row that is not finite.

        They look at each row as they read it, which costs nothing, where a look beforehand
        would cost a pass over X.
        """
        parameters, history = self._network.parameters.copy(), self.history_
        position = checks.random_position(source)
        try:
            yield
        except NotFinite as error:
            self._network.parameters[...], self.history_ = parameters, history
            checks.return_to_position(source, position)
            raise checks.not_finite("X", error.row, self.dtype) from None

    # Prediction -------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class, ``softmax(a_L)``, for each row of X.

        Parameters
        ----------
        X : array-like (n_samples, n_in)
            As in `fit`.

        Returns
        -------
        array (n_samples, n_out) of the network's dtype

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        rows = self._rows("X", X)
        try:
            return predict(self._network, rows, self._threads())[0]
        except NotFinite as error:
            raise checks.not_finite("X", error.row, self.dtype) from None

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row of X, int64 of shape (n_samples,).

        The first of several equal ones. Parameters and errors are those of `predict_proba`.
        """
        return self.predict_proba(X).argmax(axis=1)

    def score(self, X: Any, y: Any) -> float:
        """Return the share of rows of X (0 to 1) whose predicted class is the one in y.

        Parameters and errors are those of `fit`.
        """
        predicted = self.predict(X)
        labels = checks.class_labels("y", y, len(predicted), self._network.sizes[-1])
        return float((predicted == labels).mean())

    def test(self, test_data: Sequence[tuple[Any, Any]]) -> float:
        """Return the percentage (0 to 100) of (x, one_hot) pairs whose class is predicted."""
        data = self._pairs("test_data", test_data)
        return 100 * np.count_nonzero(self.predict(data.X) == data.labels) / len(data.X)

    # On disk ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write the network to `path` as one ``.npz``, whole or not at all.

        Parameters, `history_` and the state of `random_state` come back from `load` bit by bit,
        except a random state that is NumPy's global one.
        """
        files.save_state(path, self._state())

    @classmethod
    def load(cls, path: str | os.PathLike) -> NeuralNet:
        """Return the network that `save` wrote to `path`; no pickle is involved.

        Raises
        ------
        FileNotFoundError
        ValueError
            For a file of another kind, or of a later format.
        """
        net, state = cls.__new__(cls), files.load_state(path)
        try:
            net._restore(state)
        except Exception:
            raise files.not_a_network(path) from None
        return net

    def dump(self, file: str | os.PathLike | IO[bytes]) -> None:
        """Pickle the network to a path (whole or not at all) or into an open binary file."""
        if isinstance(file, (str, os.PathLike)):
            with files.written_whole(file) as opened:
                pickle.dump(self, opened)
        else:
            pickle.dump(self, file)

    def _state(self) -> dict[str, Any]:
        """Return all that makes this network, in forms that do not depend on the processor."""
        return {
            "layers": self._network.sizes,
            "learning_rate": self.learning_rate,
            "reg_lambda": self.reg_lambda,
            "output_activation": self.output_activation,
            "dtype": self.dtype.name,
            "input_shift": np.asarray(self.input_shift).tolist(),
            "input_scale": np.asarray(self.input_scale).tolist(),
            "n_threads": self.n_threads,
            "random_state": self._random,
            "history_": self.history_,
            "weights": [np.ascontiguousarray(view) for view in self.weights],
            "biases": [view.copy() for view in self.biases],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Become the network of `_state`; the arguments are checked once more."""
        NeuralNet.__init__(
            self,
            state["layers"],
            state["learning_rate"],
            state["reg_lambda"],
            output_activation=state["output_activation"],
            dtype=state["dtype"],
            input_shift=state.get("input_shift", 0.0),  # which format 1 has not
            input_scale=state.get("input_scale", 1.0),
            random_state=0,
            n_threads=state["n_threads"],
        )
        self._random = state["random_state"]
        self.history_ = state["history_"]
        self.weights, self.biases = state["weights"], state["biases"]

    def __getstate__(self) -> dict[str, Any]:
        state = self._state()
        own = {"num_layers", "_network", "_random", *state}
        return state | {"others": {k: v for k, v in vars(self).items() if k not in own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._restore(state)
        vars(self).update(state["others"])


def warmup(dtype: Any = None) -> None:
    """Compile all that training and prediction need, or load it from the cache on disk.

    Parameters
    ----------
    dtype : {float32, float64} or None, default None
        None is both. One compilation serves every architecture, for X of this type or of one that
        is converted to it; X of uint8 or bool, of float16 and sparse have one each, which is made
        at their first use.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.warmup("float32")
    """
    for each in (np.float32, np.float64) if dtype is None else (dtype,):
        net = NeuralNet([1, 1], dtype=each, random_state=0)
        net.fit([[1.0]], [0], epochs=1).predict([[1.0]])
