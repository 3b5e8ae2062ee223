"""What `MLP` and `NeuralNet` have in common: attributes of their state, and files."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fastmlp.argument_types import File
from fastmlp.exchange import layers
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

    # Other programs ---------------------------------------------------------------------------

    def to_onnx(self, path: File) -> None:
        """Write the network as an ONNX model, for onnxruntime and other programs.

        The model has one input, `X` of shape (n_samples, n_in) and the network's dtype, which is
        scaled by `input_shift` and `input_scale`. A classifier has two outputs: `label`, what
        `predict` returns, int64, and `probabilities`, what `predict_proba` returns. For other
        losses the output is `variable` of shape (n_samples, n_out), what `predict` returns. The
        number of samples is open. The model has opset 17 and IR version 8.

        Needs ``pip install "fastmlp[onnx]"``.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for writing

        Raises
        ------
        ImportError
            If onnx is missing.
        OSError
            If the file cannot be written.
        ValueError
            If the parameters have more than 2 GB, the most that the format allows.

        Notes
        -----
        onnxruntime sums in another order, so predictions differ by rounding. It has the erf of
        gelu in float32 only, whose error is about 1e-7 in float64 networks as well. NaN is not
        refused.

        Examples
        --------
        >>> import io
        >>> from fastmlp import MLP
        >>> file = io.BytesIO()
        >>> MLP([4, 8, 3], random_state=0).to_onnx(file)
        >>> import onnx  # onnxruntime.InferenceSession(file.getvalue()) predicts
        >>> [output.name for output in onnx.load_from_string(file.getvalue()).graph.output]
        ['label', 'probabilities']
        """
        from fastmlp.exchange import onnx_network

        onnx_network.save_network(self._state, path, repr(self))

    def to_torch(self, *, logits: bool = False) -> Any:
        """Return a ``torch.nn.Sequential`` with the same parameters, in evaluation mode.

        Its modules are Linear and the activation of each layer, and Dropout where the network has
        it, then what makes activations predictions: Softmax, Sigmoid or exp, by the loss. It
        begins with a module that scales inputs, if the network does. Tensors are copies.

        Parameters
        ----------
        logits : bool, default False
            Whether to leave out the last function, as PyTorch's losses expect it:
            ``CrossEntropyLoss``, ``BCEWithLogitsLoss``, ``PoissonNLLLoss``.

        Returns
        -------
        torch.nn.Sequential

        Raises
        ------
        ImportError
            If PyTorch is missing.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> MLP([4, 8, 3], random_state=0).to_torch()  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=4, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=3, bias=True)
          (3): Softmax(dim=1)
        )
        """
        from fastmlp.exchange import torch_modules

        checks.flag("logits", logits)
        return torch_modules.to_module(layers.of_state(self._state), logits)

    @classmethod
    def from_torch(cls, module: Any, **arguments: Any) -> Self:
        """Return the network of a ``torch.nn.Sequential``, with copies of its parameters.

        Parameters
        ----------
        module : torch.nn.Sequential
            Of Linear, the activations of this package with their defaults in PyTorch, Dropout,
            Flatten at the beginning and Softmax at the end; they may be in a Sequential inside it.
            Modules with hooks, such as those of `torch.nn.utils.prune`, are refused.
        **arguments
            Of the constructor, except what the module says. Without `loss` it is softmax after
            Softmax, logistic after Sigmoid, and otherwise squared_error, for which predictions are
            the outputs of the module: pass ``loss="softmax"`` for a module that returns logits.

        Returns
        -------
        network
            Its dtype is that of the module, or float32 for narrower types.

        Raises
        ------
        ImportError
            If PyTorch is missing.
        ValueError, TypeError
            For other modules, of which the first is named, and for invalid arguments.

        Examples
        --------
        >>> from torch import nn  # doctest: +SKIP
        >>> module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))  # doctest: +SKIP
        >>> MLP.from_torch(module, loss="softmax")  # doctest: +SKIP
        MLP([4, 8, 3], activation=['tanh'])
        """
        from fastmlp.exchange import torch_modules

        found = torch_modules.from_module(module)
        return cls._of_layers(found, arguments, "module")

    def to_safetensors(self, path: File) -> None:
        """Write the parameters as a safetensors file.

        Its keys are those of ``to_torch().state_dict()``: "0.weight" of shape (n_out, n_in),
        "0.bias", "2.weight" and so on. The metadata has the activations and the loss.

        Needs ``pip install "fastmlp[safetensors]"``.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for writing

        Raises
        ------
        ImportError
            If safetensors is missing.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import io
        >>> from fastmlp import MLP
        >>> file = io.BytesIO()
        >>> MLP([4, 8, 3], activation="tanh", random_state=0).to_safetensors(file)
        >>> _ = file.seek(0)
        >>> MLP.from_safetensors(file)
        MLP([4, 8, 3], activation=['tanh'])
        """
        from fastmlp.exchange import safetensors_files

        safetensors_files.save(layers.of_state(self._state), self._state.settings.loss, path)

    @classmethod
    def from_safetensors(cls, path: File, **arguments: Any) -> Self:
        """Return the network in a file that `to_safetensors` wrote, without trusting it.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for reading
        **arguments
            Of the constructor, except what the file says: the optimizer, penalties.

        Raises
        ------
        ImportError
            If safetensors is missing.
        FileNotFoundError
        ValueError, TypeError
            For other files, and for invalid arguments.
        """
        from fastmlp.exchange import safetensors_files

        found, loss = safetensors_files.load(path)
        return cls._of_layers(found, {"loss": loss} | arguments, "file")

    @classmethod
    def _of_layers(cls, found: layers.Layers, arguments: dict[str, Any], source: str) -> Self:
        """Return the network of layers that come from a `source`."""
        kind = next(each for each in cls.__mro__ if each.__name__ == cls._class_name)
        parameters = inspect.signature(kind).parameters.values()
        defaults = {
            each.name: each.default for each in parameters if each.default is not each.empty
        }
        return cls._of(layers.to_state(found, cls._class_name, arguments, defaults, source))

    def __getstate__(self) -> dict[str, Any]:
        return state_dict.pickled(self._state, vars(self))

    def __setstate__(self, found: dict[str, Any]) -> None:
        self._set_state(state_dict.unpickled(found))
        vars(self).update(found["others"])
