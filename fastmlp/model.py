"""What every network is: parameters, predictions, a file (floor 4)."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import IO, Any, ClassVar

import numpy as np

from fastmlp.core.run import NotFinite
from fastmlp.core.storage import Network
from fastmlp.losses import LOSSES
from fastmlp.metrics import METRICS
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.parameter_views import ParameterViews
from fastmlp.serialization import model_files
from fastmlp.settings import Fixed, Settings
from fastmlp.training.reading import Reader
from fastmlp.training.state import State
from fastmlp.validation import checks, sample_weights, targets


class Model:
    """A network that a subclass makes and trains.

    Attributes
    ----------
    loss : instance of a class in `fastmlp.losses`
    dtype : dtype
    n_threads : int or None
    history_ : dict of lists
    """

    _kind: ClassVar[Any]  # the class that `_arguments` are those of, whatever subclasses take
    _settings: Settings
    _state: State
    _random: Any  # where random numbers come from; None for NumPy's global state
    _feature_names: list[str] | None  # the columns of the frame that it was fitted on
    _fit: Any = None  # the `Fit` that runs
    _partial: Any  # the `Training` of the last `partial_fit`
    _is_restored = False  # while a file or a pickle brings the parameters: none are drawn
    _fitted = False
    loss: Any
    dtype: Any
    n_threads: Any
    history_: dict[str, list[float]]
    stop_training: bool

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments, apart from random_state, that make a network like this one."""
        raise NotImplementedError

    def _change(self, **changes: Any) -> None:
        """Take other settings, all of them or, where one is refused, none."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return the call that makes a network like this one: what is not the default."""
        defaults = inspect.signature(self._kind).parameters  # a subclass may take others
        shown = [
            f"{name}={(value.name if isinstance(value, np.dtype) else value)!r}"
            for name, value in self._arguments().items()
            if name != "layers" and not _equal(value, defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join([str(self._network.sizes), *shown])})"

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

    @Fixed
    def input_shift(self) -> Any:
        """What is subtracted from each input: an array (n_in,), or 0.0 where nothing is scaled."""
        return self._network.scaling[: self._network.sizes[0]].copy() if self._is_scaled else 0.0

    @Fixed
    def input_scale(self) -> Any:
        """What each input is multiplied by then: an array (n_in,), or 1.0 where nothing is."""
        return self._network.scaling[self._network.sizes[0] :].copy() if self._is_scaled else 1.0

    @property
    def _is_scaled(self) -> bool:
        return len(self._network.scaling) > 0

    # Prediction -------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the mean that is predicted for each row of X, (n_samples, n_out)."""
        rows = self._reader.rows("X", X)
        try:
            return self._state.outputs(rows)[0]
        except NotFinite as error:
            raise checks.not_finite("X", error.row, self.dtype) from None

    @property
    def _reader(self) -> Reader:
        return Reader(self._state, self._feature_names)

    @Fixed
    def feature_names_in_(self) -> np.ndarray:
        """The columns of the frame that the network was fitted on; AttributeError if it was none.

        A frame must have the same columns in the same order from then on.
        """
        if self._feature_names is None:
            raise AttributeError("the network was not fitted on a frame whose columns have names")
        return np.array(self._feature_names, object)

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

        Of several labels all must be right; R2 is the mean over outputs. Where y has probabilities,
        right is the class or label that would be predicted with them. Parameters and errors are
        those of `fit`.
        """
        outputs = self._outputs(X)
        found = self._reader.targets("y", y, len(outputs))
        found = sample_weights.weighted(found, sample_weight, len(outputs))
        metric = METRICS["r2" if self.loss.task == "values" else "accuracy"]
        return metric(*targets.as_scored(found, outputs, self._state.loss))

    # On disk ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike | IO[bytes]) -> None:
        """Write the network to `path` as one ``.npz``, whole or not at all.

        `path` may also be a binary file that is open for writing, such as `io.BytesIO`.

        Parameters, `history_`, the optimizer's state and that of `random_state` come back from
        `load` bit by bit, except a random state that is NumPy's global one. Of a learning rate
        that is a function of the user's own, the rate of the next step is kept. Called by a
        callback at the end of an epoch, it writes what `fit` can go on from, see `resume`.
        """
        fit = self._fit
        resumable = {} if fit is None or not fit.at_epoch_end else {"fit": fit.checkpoint()}
        model_files.save(model_files.plain(self) | resumable, path)

    @classmethod
    def load(cls, path: str | os.PathLike | IO[bytes]) -> Any:
        """Return the network that `save` or a checkpoint wrote to `path`; no pickle is involved.

        `path` may also be a binary file that is open for reading.

        Raises
        ------
        FileNotFoundError
        ValueError
            For a file of another kind, or of a later format.
        """
        return model_files.loaded((cls,), path)

    def __getstate__(self) -> dict[str, Any]:
        own = {
            "_settings", "_state", "_random", "_fit", "_fitted", "_feature_names",
            "_partial", "history_",
        }  # fmt: skip
        others = {name: value for name, value in vars(self).items() if name not in own}
        rate = self._settings.learning_rate  # pickle keeps functions too
        return {"network": model_files.plain(self), "learning_rate": rate, "others": others}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model_files.remake(self, state["network"])
        self._change(learning_rate=state["learning_rate"])
        vars(self).update(state["others"])


def _equal(value: Any, default: Any) -> bool:
    """Whether an argument is as it would be if it were not given."""
    if isinstance(value, np.dtype):
        return value == np.dtype(default)
    if isinstance(default, str):
        named = LOSSES.get(default) or OPTIMIZERS.get(default)
        if named is not None:
            return value == named()
        names = value if isinstance(value, list) else [value]
        return all(isinstance(name, str) and name == default for name in names)
    return type(value) in (float, int, bool, type(None)) and value == default
