"""The reference implementation: a multilayer perceptron in NumPy, one sample at a time.

Start reading here. The rest of the package computes the same, faster: tests compare its results to
those of this module, and benchmarks its time. This module imports nothing else of ``fastmlp``.

Layer ``l`` computes ``z = W a + b`` from the activations ``a`` of the previous layer, and returns
``relu(z) = max(z, 0)``. Every vector is a column of shape ``(n, 1)``; all arrays are float64.
"""

from __future__ import annotations

import os
import pickle
import random
from typing import BinaryIO

import numpy as np


def softmax(a: np.ndarray) -> np.ndarray:
    """Return the probabilities ``exp(a) / sum(exp(a))`` of a column ``a``, both ``(k, 1)``."""
    exps = np.exp(a - a.max())  # the shift cancels out, and exp cannot overflow
    probabilities: np.ndarray = exps / exps.sum()
    return probabilities


class NeuralNet:
    """Multilayer perceptron with ReLU activations, a softmax output and the cross-entropy loss.

    The loss of one sample is ``-sum(y * log(softmax(a))) + reg_lambda / 2 * sum(W ** 2)``, where
    ``a`` is the activation of the last layer, ``y`` the one-hot label, and the second sum runs
    over all weights.

    Parameters
    ----------
    layers : list of int
        Number of units in each layer, the inputs first and the classes last: ``[784, 64, 10]``.
    learning_rate : float
        Step length of gradient descent.
    reg_lambda : float
        Strength of the L2 penalty on the weights. Biases are not penalized.
    output_activation : {"relu", "identity"}
        What the last layer applies to its ``z`` before the softmax.

    Attributes
    ----------
    num_layers : int
        ``len(layers)``.
    weights : list of ndarray
        ``weights[l]`` has shape ``(n_out, n_in)``, drawn from NumPy's global random state.
    biases : list of ndarray
        ``biases[l]`` has shape ``(n_out, 1)``, initially zeros.

    Raises
    ------
    ValueError
        If `output_activation` is neither "relu" nor "identity".

    Examples
    --------
    >>> import random
    >>> import numpy as np
    >>> from fastmlp.numpy_version import NeuralNet
    >>> random.seed(0)
    >>> np.random.seed(0)
    >>> data = [(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]])),
    ...         (np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]))]
    >>> net = NeuralNet([2, 8, 2], learning_rate=0.1, output_activation="identity")
    >>> net.train(data, epochs=50)
    >>> net.test(data)
    100.0
    """

    def __init__(
        self,
        layers: list[int],
        learning_rate: float = 0.05,
        reg_lambda: float = 0.0,
        *,
        output_activation: str = "relu",
    ) -> None:
        if output_activation not in ("relu", "identity"):
            raise ValueError(
                f"`output_activation` must be 'relu' or 'identity', got {output_activation!r}."
            )
        self.layers = list(layers)
        self.num_layers = len(layers)
        self.learning_rate = learning_rate
        self.reg_lambda = reg_lambda
        self.output_activation = output_activation
        # Xavier initialization: activations and deltas have similar scales in all layers.
        self.weights = [
            np.random.randn(n_out, n_in) * np.sqrt(2 / (n_in + n_out))
            for n_in, n_out in zip(layers[:-1], layers[1:], strict=True)
        ]
        self.biases = [np.zeros((n_out, 1)) for n_out in layers[1:]]

    def forward(self, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Compute ``z = W a + b`` and ``a = relu(z)`` layer by layer, from a column ``x``.

        Returns the lists ``(z, activations)`` of columns. Layer ``l`` reads ``activations[l]``,
        computes ``z[l]`` and appends ``activations[l + 1]``; ``activations[0]`` is `x` itself.
        """
        z: list[np.ndarray] = []
        activations = [x]
        for W, b in zip(self.weights, self.biases, strict=True):
            z.append(W @ activations[-1] + b)
            activations.append(np.maximum(z[-1], 0))
        if self.output_activation == "identity":
            activations[-1] = z[-1]
        return z, activations

    def propagate(
        self, y: np.ndarray, z: list[np.ndarray], activations: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Compute ``delta = dLoss/dz`` of every layer, from the output inward.

        `y` is the one-hot column ``(k, 1)``; `z` and `activations` come from `forward`. Returns
        ``deltas``, where ``deltas[l]`` has the shape of ``z[l]``. No array is modified.
        """
        # Softmax and cross-entropy together have the derivative (probabilities - y).
        delta = softmax(activations[-1]) - y
        if self.output_activation == "relu":
            delta = delta * (z[-1] > 0)
        deltas = [delta]
        for l in range(len(z) - 2, -1, -1):
            delta = (self.weights[l + 1].T @ delta) * (z[l] > 0)
            deltas.insert(0, delta)
        return deltas

    def update(self, activations: list[np.ndarray], deltas: list[np.ndarray]) -> None:
        """Step down the gradient: ``W -= learning_rate * dW``, ``b -= learning_rate * db``.

        The gradients are ``dW = delta a.T + reg_lambda * W`` and ``db = delta``. Overwrites every
        array in `weights` and `biases`.
        """
        for W, b, a, delta in zip(self.weights, self.biases, activations, deltas, strict=False):
            W -= self.learning_rate * (delta @ a.T + self.reg_lambda * W)
            b -= self.learning_rate * delta

    def train(
        self,
        training_data: list[tuple[np.ndarray, np.ndarray]],
        validation_data: list[tuple[np.ndarray, np.ndarray]] | None = None,
        epochs: int = 10,
    ) -> None:
        """Train on pairs ``(x, y)``: columns ``(n, 1)`` and one-hot columns ``(k, 1)``.

        Every epoch visits the samples in a new order, drawn by Python's ``random.shuffle``, and
        updates the parameters after each. `training_data` is not modified. With `validation_data`,
        every epoch prints the percentage of its pairs that are classified correctly.
        """
        order = list(range(len(training_data)))
        for epoch in range(1, epochs + 1):
            random.shuffle(order)
            for i in order:
                x, y = training_data[i]
                z, activations = self.forward(x)
                deltas = self.propagate(y, z, activations)
                self.update(activations, deltas)
            if validation_data is not None:
                print(f"epoch {epoch}: {self.test(validation_data):.2f} % correct")

    def test(self, test_data: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """Return the percentage (0 to 100) of pairs ``(x, y)`` that are classified correctly.

        Raises ``ZeroDivisionError`` if `test_data` is empty.
        """
        correct = [np.argmax(self.predict_proba(x)) == np.argmax(y) for x, y in test_data]
        return 100.0 * sum(map(bool, correct)) / len(correct)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the class probabilities, ``(k, 1)``, for one column ``x`` of shape ``(n, 1)``."""
        return softmax(self.forward(x)[1][-1])

    def dump(self, file: str | os.PathLike[str] | BinaryIO) -> None:
        """Pickle the network to a path, or to a file object open for writing bytes.

        Raises ``OSError`` if the path cannot be written. Load it with ``pickle.load``, and only
        from files you trust: a pickle can run any code.
        """
        if isinstance(file, str | os.PathLike):
            with open(file, "wb") as opened:
                pickle.dump(self, opened)
        else:
            pickle.dump(self, file)
