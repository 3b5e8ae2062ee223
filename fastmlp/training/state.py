"""What training changes, and copies of it to go back to (floor 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.core.activations import RELU
from fastmlp.core.descent import Descent
from fastmlp.core.gather import SparseRows
from fastmlp.core.losses import SOFTMAX, Loss, Targets
from fastmlp.core.rules import ROWS
from fastmlp.core.run import predict
from fastmlp.core.storage import Network
from fastmlp.training.sources import all_finite, dense_rows

LOOKED_AT = 64  # rows of X, in which all hidden units are 0
LARGE = 10  # inputs above this are bytes, or others that were not scaled


@dataclass
class State:
    """What training changes, and what the next step depends on."""

    network: Network
    descent: Descent
    loss: Loss
    key: int = 0  # of what is drawn for dropout and input noise
    input_noise: float = 0.0
    n_threads: int | None = None
    version: int = 0  # counts the changes by `set_options`
    _options: Any = None

    def set_options(
        self,
        l2: Any,
        l1: Any,
        max_norm: Any,
        dropout: Any,
        input_noise: float,
        clip_norm: float,
        n_threads: int | None,
    ) -> None:
        """Set what each layer has, and what all have in common; see `MLP`.

        The next step uses it, in a training that runs as well.
        """
        given = (l2, l1, max_norm, dropout, input_noise, clip_norm, n_threads)
        if given == self._options:
            return
        self._options = given
        self.network.regularise(l2, l1, max_norm, dropout)
        self.descent.clip(clip_norm)
        self.input_noise, self.n_threads = input_noise, n_threads
        self.version += 1

    @property
    def seen(self) -> int:
        """How many rows were trained on."""
        return self.descent.seen

    @seen.setter
    def seen(self, rows: int) -> None:
        self.descent.counts[ROWS] = rows

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the parameters, the moments and the counts of steps and rows."""
        descent = self.descent
        return self.network.parameters, descent.first, descent.second, descent.counts

    @property
    def is_finite(self) -> bool:
        """Whether no parameter and no moment is NaN or infinity."""
        descent = self.descent
        return (
            all_finite(self.network.parameters)
            and all_finite(descent.first)
            and all_finite(descent.second)
        )

    def predicts_plainly(self, targets: Targets | None) -> bool:
        """Whether the plain kernels do: for labels, if any, and nothing but identity and relu."""
        soft = targets is not None and len(targets.labels) == 0
        return self.loss == (SOFTMAX, 0.0) and self.network.is_simple and not soft

    def trains_plainly(self, targets: Targets) -> bool:
        """Whether the plain kernels do for training: by SGD, and with l2 at most."""
        return self.predicts_plainly(targets) and self.descent.is_plain and self.input_noise == 0

    @property
    def is_drawn_from(self) -> bool:
        """Whether the next step needs random numbers."""
        return self.input_noise > 0 or self.network.drops

    def outputs(
        self, X: np.ndarray | SparseRows, targets: Targets | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the means that are predicted for the rows of X, and their losses."""
        loss = None if self.predicts_plainly(targets) else self.loss
        return predict(self.network, X, loss, self.n_threads, targets)

    def died_of_large_inputs(self, X: np.ndarray | SparseRows) -> bool:
        """Whether X has numbers above `LARGE`, and all units of a hidden layer of relu are 0.

        By NumPy alone: a prediction would have its kernels compiled, too.
        """
        network = self.network
        a = dense_rows(X, network, LOOKED_AT)
        if np.abs(a).max() <= LARGE:
            return False
        for l, activation in enumerate(network.activations[:-1]):
            if activation != RELU:
                return False
            a = np.maximum(a @ network.weights[l].T + network.biases[l].T, 0)
            if not a.any():
                return True
        return False

    def moments(self) -> dict[str, np.ndarray]:
        """Return the moments that the update rule has, laid out as the parameters."""
        both = {"first": self.descent.first, "second": self.descent.second}
        return {name: flat for name, flat in both.items() if len(flat) > 0}

    def forget(self) -> None:
        """Return to the state before the first step, parameters apart."""
        self.descent.first[...] = self.descent.second[...] = 0
        self.descent.state, self.seen = self.descent.START, 0


class Snapshot:
    """A copy of what steps change: the parameters, the moments and the counts.

    Parameters
    ----------
    state : State
        Copied by each `take`, which allocates nothing.
    """

    def __init__(self, state: State):
        self._state = state
        self._copies = [np.empty_like(array) for array in state.arrays()]
        self._descent, self._key = state.descent.START, 0

    def take(self) -> None:
        """Copy the state as it is now."""
        for copy, array in zip(self._copies, self._state.arrays(), strict=True):
            copy[...] = array
        self._descent, self._key = self._state.descent.state, self._state.key

    def restore(self) -> None:
        """Set the state to what was copied last."""
        for copy, array in zip(self._copies, self._state.arrays(), strict=True):
            array[...] = copy
        self._state.descent.state, self._state.key = self._descent, self._key
