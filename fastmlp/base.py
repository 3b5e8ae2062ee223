"""What `MLP` and `NeuralNet` have in common: attributes of their state, and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fastmlp.argument_types import File
from fastmlp.parameter_views import ParameterViews
from fastmlp.serialization import model_files
from fastmlp.settings import Fixed
from fastmlp.training import state_dict
from fastmlp.training.state import State
from fastmlp.validation import checks


class BaseNetwork:
    """A public class around a `State`.

    Subclasses add constructors, settings as attributes, training and prediction.
    """

    _class_name: ClassVar[str]  # the public class: a key of `settings.ARGUMENTS`
    _state: State

    def _set_state(self, state: State) -> None:
        """Become the network of a state."""
        self._state = state

    @classmethod
    def _of(cls, state: State) -> Self:
        """Return the network of a state."""
        network = cls.__new__(cls)
        network._set_state(state)
        return network

    # Attributes -------------------------------------------------------------------------------

    @Fixed
    def random_state(self) -> np.random.RandomState | np.random.Generator | None:
        """The RandomState or Generator of this network; None for NumPy's global state."""
        return self._state.random

    @Fixed
    def num_layers(self) -> int:
        """The number of layers, including the input."""
        return len(self._state.settings.layers)

    @Fixed
    def feature_names_in_(self) -> np.ndarray:
        """The columns of the data frame that the network was fitted on; otherwise AttributeError.

        Later data frames must have the same columns in the same order.
        """
        if self._state.feature_names is None:
            raise AttributeError("the network was not fitted on a frame whose columns have names")
        return np.array(self._state.feature_names, object)

    @property
    def rate_factor(self) -> float:
        """A factor of all learning rates, 1.0 until it is assigned."""
        return self._state.optimizer.rate_factor

    @rate_factor.setter
    def rate_factor(self, value: float) -> None:
        self._state.optimizer.rate_factor = checks.non_negative("rate_factor", value)

    @property
    def next_learning_rate(self) -> float:
        """The learning rate of the next step, including `rate_factor`."""
        return self._state.optimizer.next_rate

    @property
    def history_(self) -> dict[str, list[float]]:
        """A value for each epoch of the last `fit`, by name."""
        return self._state.history

    @history_.setter
    def history_(self, history: dict[str, list[float]]) -> None:
        self._state.history = checks.history("history_", history)

    @property
    def stop_training(self) -> bool:
        """Whether training ends after the epoch; a callback may set it."""
        return self._state.stop_training

    @stop_training.setter
    def stop_training(self, stops: bool) -> None:
        self._state.stop_training = checks.flag("stop_training", stops)

    @property
    def weights(self) -> ParameterViews:
        """The weights of each layer, as views of shape (n_out, n_in)."""
        return ParameterViews("weights", self._state.network.weights)

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        self.weights.assign(values)

    @property
    def biases(self) -> ParameterViews:
        """The biases of each layer, as views of shape (n_out, 1)."""
        return ParameterViews("biases", self._state.network.biases)

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        self.biases.assign(values)

    # Files ------------------------------------------------------------------------------------

    def save(self, path: File) -> None:
        """Save the network to one ``.npz`` file, atomically.

        `load` restores the parameters, `history_`, the states of the optimizer and of
        `random_state`, except NumPy's global one, bit by bit. For a learning rate that is a custom
        function, the rate of the next step is saved. If a callback calls this at the end of an
        epoch, `fit` can resume from the file.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for writing
            For example `io.BytesIO`.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError, TypeError
            For values that cannot be saved. Nothing is written.
        """
        fit = self._state.fit
        resumable = {} if fit is None or not fit.at_epoch_end else {"fit": fit.checkpoint()}
        model_files.save(state_dict.to_dict(self._state) | resumable, path)

    @classmethod
    def load(cls, path: File) -> Self:
        """Return a network that `save` or `callbacks.ModelCheckpoint` wrote, without using pickle.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for reading

        Raises
        ------
        FileNotFoundError
        ValueError
            For other files, networks of other classes, and later formats.
        """
        return cls._of(state_dict.loaded(path, (cls._class_name,)))

    def __getstate__(self) -> dict[str, Any]:
        return state_dict.pickled(self._state, vars(self))

    def __setstate__(self, found: dict[str, Any]) -> None:
        self._set_state(state_dict.unpickled(found))
        vars(self).update(found["others"])
