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
from fastmlp.core import storage
from fastmlp.core.activations import ACTIVATIONS
from fastmlp.core.run import NotFinite, predict, train_epoch, workers_for
from fastmlp.core.step import Rule, Samples
from fastmlp.progress import progress


class ParameterViews(Sequence):
    """Each layer's weights (or biases): live views, so that writing to one changes the network.

    ``views[l]`` is an array; ``views[l] = values`` copies values of the same shape into it.
    """

    def __init__(self, name: str, views: list[np.ndarray]):
        self._name, self._views = name, views

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, l: Any) -> Any:
        return self._views[l]

    def __setitem__(self, l: int, values: Any) -> None:
        view = self._views[l]
        view[...] = checks.parameter_values(f"{self._name}[{l}]", values, view.shape)

    def __repr__(self) -> str:
        return repr(self._views)


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
    random_state : None, int, RandomState or Generator, default None
        Where the weights and the shuffling of `fit` come from. None is NumPy's global state,
        so that after ``np.random.seed(s)`` the weights are those of the NumPy version; an int
        seeds a RandomState of this network's own, with the same weights.
    n_threads : int or None, default None
        Threads that train and predict. None is as many as this process may use and the size of
        the work repays. The result has the same bits for any number.

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
        random_state: Any = None,
        n_threads: int | None = None,
    ):
        self.layers = checks.layer_sizes(layers)
        self.num_layers = len(self.layers)
        self.learning_rate = checks.real_number("learning_rate", learning_rate)
        self.reg_lambda = checks.real_number("reg_lambda", reg_lambda)
        self.output_activation = checks.choice("output_activation", output_activation, ACTIVATIONS)
        self.dtype = checks.float_type(dtype)
        self.n_threads = (
            None if n_threads is None else checks.whole_number("n_threads", n_threads, 1)
        )
        source = checks.random_source(random_state)
        self._random = None if random_state is None else source
        self.history_: dict[str, list[float]] = {}
        self._allocate()
        for weights in self.weights:
            n_out, n_in = weights.shape
            weights[...] = source.standard_normal((n_out, n_in)) * np.sqrt(2 / (n_in + n_out))

    def _allocate(self) -> None:
        """Make the flat array of all parameters, zero, and the views of it."""
        self._table = storage.layer_table(
            self.layers, ACTIVATIONS[self.output_activation], self.dtype, 1
        )
        self._parameters = storage.new_parameters(self._table, self.dtype)
        self._weights = ParameterViews(
            "weights", storage.weights_views(self._table, self._parameters)
        )
        self._biases = ParameterViews("biases", storage.biases_views(self._table, self._parameters))

    def __repr__(self) -> str:
        return (
            f"NeuralNet({self.layers}, learning_rate={self.learning_rate}, "
            f"reg_lambda={self.reg_lambda}, output_activation={self.output_activation!r}, "
            f"dtype={self.dtype.name!r}, n_threads={self.n_threads})"
        )

    # The parameters ---------------------------------------------------------------------------

    @property
    def weights(self) -> Any:
        """Each layer's weights, live views of shape (n_out, n_in)."""
        return self._weights

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        self._assign(self._weights, values)

    @property
    def biases(self) -> Any:
        """Each layer's biases, live views of shape (n_out, 1)."""
        return self._biases

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        self._assign(self._biases, values)

    @staticmethod
    def _assign(views: ParameterViews, values: Sequence[Any]) -> None:
        name = views._name
        if len(values) != len(views):
            raise ValueError(f"{name} has {len(values)} arrays; accepted are {len(views)}")
        checked = [
            checks.parameter_values(f"{name}[{l}]", array, views[l].shape)
            for l, array in enumerate(values)
        ]
        for view, array in zip(views, checked, strict=True):
            view[...] = array

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
            C-contiguous and of the network's dtype.
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
        data = checks.feature_rows("X", X, self.layers[0], self.dtype)
        labels = checks.class_labels("y", y, len(data), self.layers[-1])
        validation = None if validation_data is None else self._validation(validation_data)
        epochs = checks.whole_number("epochs", epochs, 0)
        batch_size = checks.whole_number("batch_size", batch_size, 1)
        source = np.random if self._random is None else self._random
        orders = (
            source.permutation(len(data)) if shuffle else np.arange(len(data))
            for _ in range(epochs)
        )
        with self._unchanged_if_refused(source), progress(verbose, len(data), epochs) as report:
            for _ in self._epochs(data, labels, orders, batch_size, validation, report):
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
        data, labels = checks.labelled_pairs(
            "training_data", training_data, self.layers, self.dtype
        )
        validation = None
        if validation_data is not None:
            validation = checks.labelled_pairs(
                "validation_data", validation_data, self.layers, self.dtype
            )
        epochs = checks.whole_number("epochs", epochs, 0)
        order = list(range(len(data)))

        def orders() -> Iterator[np.ndarray]:
            for _ in range(epochs):
                random.shuffle(order)
                yield np.array(order)

        for epoch in self._epochs(data, labels, orders(), 1, validation):
            if validation is not None:
                percent = 100 * self.history_["validation_accuracy"][-1]
                print(f"epoch {epoch}: {percent:.2f} % correct")

    def _epochs(
        self,
        X: np.ndarray,
        labels: np.ndarray,
        orders: Iterable[np.ndarray],
        batch_size: int,
        validation: tuple[np.ndarray, np.ndarray] | None,
        report: Callable[[int, float], None] | None = None,
    ) -> Iterator[int]:
        """Train an epoch for each order, keep its history, and yield its number from 1 on."""
        rule = Rule(
            checks.real_number("learning_rate", self.learning_rate),
            checks.real_number("reg_lambda", self.reg_lambda),
        )
        batch_size = min(batch_size, len(X))
        n_workers = workers_for(self.n_threads, self.layers, batch_size, len(X))
        work = storage.new_workspace(
            self.layers, ACTIVATIONS[self.output_activation], self.dtype, batch_size, n_workers
        )
        names = ["loss"] + ["validation_loss", "validation_accuracy"] * (validation is not None)
        self.history_ = {name: [] for name in names}
        storage.clear_padding(self._table, self._parameters)
        for epoch, order in enumerate(orders, 1):
            samples = Samples(X.reshape(-1), labels, order.astype(np.int64, copy=False), batch_size)
            loss = train_epoch(self._parameters, rule, samples, work, report)
            self.history_["loss"].append(loss)
            if validation is not None:
                scores = self._scores(*validation)
                for name, score in zip(names[1:], scores, strict=True):
                    self.history_[name].append(score)
            yield epoch

    def _scores(self, X: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Return the mean cross-entropy and the accuracy on data that has been checked."""
        probabilities = self._probabilities("X", X)
        of_label = probabilities[np.arange(len(X)), labels].astype(np.float64)
        loss = -np.log(np.maximum(of_label, np.finfo(self.dtype).tiny)).mean()
        return float(loss), float((probabilities.argmax(axis=1) == labels).mean())

    def _validation(self, pair: Any) -> tuple[np.ndarray, np.ndarray]:
        try:
            X, y = pair
        except (TypeError, ValueError):
            raise TypeError("validation_data is not a tuple (X, y), which is accepted") from None
        data = checks.feature_rows("validation_data[0]", X, self.layers[0], self.dtype)
        checks.finite_rows("validation_data[0]", data)
        return data, checks.class_labels("validation_data[1]", y, len(data), self.layers[-1])

    @contextlib.contextmanager
    def _unchanged_if_refused(self, source: Any) -> Iterator[None]:
        """Put everything back if the kernels come upon a row that is not finite.

        They look at each row as they read it, which costs nothing, where a look beforehand
        would cost a pass over X.
        """
        parameters, history = self._parameters.copy(), self.history_
        position = checks.random_position(source)
        try:
            yield
        except NotFinite as error:
            self._parameters[...], self.history_ = parameters, history
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
        data = checks.feature_rows("X", X, self.layers[0], self.dtype)
        return self._probabilities("X", data)

    def _probabilities(self, name: str, X: np.ndarray) -> np.ndarray:
        try:
            return predict(
                self._parameters, X, self.layers, ACTIVATIONS[self.output_activation],
                self.n_threads,
            )  # fmt: skip
        except NotFinite as error:
            raise checks.not_finite(name, error.row, self.dtype) from None

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
        labels = checks.class_labels("y", y, len(predicted), self.layers[-1])
        return float((predicted == labels).mean())

    def test(self, test_data: Sequence[tuple[Any, Any]]) -> float:
        """Return the percentage (0 to 100) of (x, one_hot) pairs whose class is predicted."""
        X, labels = checks.labelled_pairs("test_data", test_data, self.layers, self.dtype)
        n_correct = np.count_nonzero(self._probabilities("test_data", X).argmax(axis=1) == labels)
        return 100 * n_correct / len(X)

    # On disk ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write the network to `path` as one ``.npz``, whole or not at all.

        Parameters, `history_` and the state of `random_state` come back from `load` bit by bit,
        except a random state that is NumPy's global one.
        """
        files.save_state(path, self.__getstate__())

    @classmethod
    def load(cls, path: str | os.PathLike) -> NeuralNet:
        """Return the network that `save` wrote to `path`; no pickle is involved.

        Raises
        ------
        FileNotFoundError
        ValueError
            For a file of another kind, or of a later format.
        """
        net = cls.__new__(cls)
        net.__setstate__(files.load_state(path))
        return net

    def dump(self, file: str | os.PathLike | IO[bytes]) -> None:
        """Pickle the network to a path (whole or not at all) or into an open binary file."""
        if isinstance(file, (str, os.PathLike)):
            with files.written_whole(file) as opened:
                pickle.dump(self, opened)
        else:
            pickle.dump(self, file)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "layers": self.layers,
            "learning_rate": self.learning_rate,
            "reg_lambda": self.reg_lambda,
            "output_activation": self.output_activation,
            "dtype": self.dtype.name,
            "n_threads": self.n_threads,
            "random_state": self._random,
            "history_": self.history_,
            "weights": [np.ascontiguousarray(view) for view in self.weights],
            "biases": [view.copy() for view in self.biases],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]  # the arguments are checked once more
            state["layers"],
            state["learning_rate"],
            state["reg_lambda"],
            output_activation=state["output_activation"],
            dtype=state["dtype"],
            random_state=0,
            n_threads=state["n_threads"],
        )
        self._random = state["random_state"]
        self.history_ = state["history_"]
        self.weights, self.biases = state["weights"], state["biases"]


def warmup(dtype: Any = None) -> None:
    """Compile all that training and prediction need, or load it from the cache on disk.

    Parameters
    ----------
    dtype : {float32, float64} or None, default None
        None is both. One compilation serves every architecture.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.warmup("float32")
    """
    for each in (np.float32, np.float64) if dtype is None else (dtype,):
        net = NeuralNet([1, 1], dtype=each, random_state=0)
        net.fit([[1.0]], [0], epochs=1).predict([[1.0]])
