"""The base class of callbacks, and those that need nothing else."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Any

from fastmlp.callbacks.output import bar_class, shown_on
from fastmlp.messages import must, shown


class Callback:
    """Base class of callbacks. Subclasses override the hooks that they need.

    Attributes
    ----------
    model : MLP or NeuralNet
        The network that is trained; ``model.stop_training = True`` ends training after the epoch.

    Examples
    --------
    >>> from fastmlp import MLP, callbacks
    >>> class Epochs(callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> mlp = MLP([1, 2], random_state=0)
    >>> _ = mlp.fit([[0.0], [1.0]], [0, 1], epochs=2, callbacks=[Epochs()])
    0 ['loss']
    1 ['loss']
    """

    model: Any = None

    def set_model(self, model: Any) -> None:
        """Set the network that is trained, before all other hooks."""
        self.model = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Handle the start of training, before `restore` and before any step.

        `logs` has the keys "epochs", "samples" (None for batches, as their number is unknown) and
        "greater_is_better", a dict whose keys are the names that each epoch will record. An error
        raised before the first step, here or elsewhere, leaves the model unchanged.
        """

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Handle the end of training without an exception; `logs` is from the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Handle the start of an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Handle the end of an epoch; `logs` has its loss and scores."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Handle the end of a run of minibatches, about ten times a second.

        `batch` counts the runs of the epoch from 0; `logs` has "samples", the number of samples
        trained on in this epoch so far, and "loss", their mean loss.
        """

    def close(self) -> None:
        """Release resources: called last, also if training has failed."""

    def state(self) -> dict[str, Any]:
        """Return the state that a checkpoint saves.

        Numbers, strings, arrays, and lists and dicts of them; keys are strings.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned."""


class TerminateOnNaN(Callback):
    """Stop when a loss is NaN or infinite; training itself stops as well, with a warning."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss of the epoch so far."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss of the epoch."""
        self.on_train_batch_end(0, logs)


class Progress(Callback):
    """A progress bar with the loss of the epoch so far; ``verbose=True`` adds one.

    If there are validation data with metrics, it also shows the first of them after each epoch.

    Parameters
    ----------
    stream : file object opened for text, optional
        None is `sys.stderr`, looked up when training begins.
    """

    def __init__(self, stream: Any = None):
        if stream is not None and not hasattr(stream, "write"):
            raise TypeError(must("stream", "be None or a file open for text", shown(stream)))
        self.stream = stream
        self._bar: Any = None
        self._opened = contextlib.ExitStack()
        self._samples: int | None = None
        self._before = 0  # samples of the epochs before this one
        self._shown: dict[str, str] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar, without a total if the number of samples is unknown."""
        self.close()
        logs = logs or {}
        self._samples, self._before = logs.get("samples"), 0
        self._shown = {}
        total = None if self._samples is None else self._samples * logs.get("epochs", 1)
        stream = sys.stderr if self.stream is None else self.stream
        bar = bar_class()(total=total, unit=" samples", unit_scale=True, file=stream)
        self._bar = self._opened.enter_context(bar)
        self._opened.enter_context(shown_on(stream))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Move to the start of the epoch, which is not 0 after a resume."""
        self._before = self._bar.n
        if self._samples is not None and self._before != epoch * self._samples:
            self._before = self._bar.n = self._bar.initial = epoch * self._samples

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Update the bar."""
        logs = logs or {}
        self._shown["loss"] = f"{logs['loss']:.4f}"
        self._bar.set_postfix(self._shown, refresh=False)
        self._bar.update(self._before + logs["samples"] - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the first metric of the validation data."""
        for name, value in (logs or {}).items():
            if name.startswith("validation_") and name != "validation_loss":
                self._shown[name] = f"{value:.4f}"
                self._bar.set_postfix(self._shown, refresh=False)
                break

    def close(self) -> None:
        """Close the bar, so that the next output starts on a new line."""
        self._opened.close()
        self._bar = None
