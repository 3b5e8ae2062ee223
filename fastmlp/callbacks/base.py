"""The hooks of a training, and who needs nothing else (floor 4)."""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

from fastmlp.messages import must, shown


class Callback:
    """One who is told of a training; every hook does nothing until a subclass says what.

    Attributes
    ----------
    model : MLP
        Whose training it is; set ``model.stop_training = True`` to end it after the epoch.

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
        """Take note of whose training it is."""
        self.model = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Heed the beginning, before a checkpoint's `restore` and before any step.

        `logs` has "epochs", "samples" (None for batches, whose number is unknown), and
        "greater_is_better", whose keys are what each epoch will record. An error raised here, as
        anywhere before the first step, leaves the model as it was.
        """

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Heed the end, unless it came by an exception; `logs` is of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Heed the beginning of an epoch, from 0 on."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Heed the end of an epoch, with its loss and scores."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Heed the end of a run of minibatches, about ten times a second.

        `batch` numbers the runs of the epoch, from 0 on; `logs` has "samples", how many of the
        epoch are done, and their mean "loss".
        """

    def close(self) -> None:
        """Let go of what is held open: called last, whether training ended or failed."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: numbers, strings, arrays, lists and dicts.

        Keys are strings.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Become again what `state` returned."""


class TerminateOnNaN(Callback):
    """Stop when a loss is NaN or infinity; training itself does so too, with a warning."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of the epoch so far."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of the epoch."""
        self.on_train_batch_end(0, logs)


class Progress(Callback):
    """A progress bar of samples, with the loss of the epoch so far; ``verbose=True`` is this.

    Parameters
    ----------
    stream : file object opened for text, optional
        None is `sys.stderr`, as it is when training begins.
    """

    def __init__(self, stream: Any = None):
        if stream is not None and not hasattr(stream, "write"):
            raise TypeError(must("stream", "be None or a file open for text", shown(stream)))
        self.stream = stream
        self._bar: Any = None
        self._samples: int | None = None
        self._before = 0  # samples of the epochs before this one

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar: of all epochs, or without an end where the samples' number is unknown."""
        self.close()
        logs = logs or {}
        self._samples, self._before = logs.get("samples"), 0
        total = None if self._samples is None else self._samples * logs.get("epochs", 1)
        self._bar = bar_class()(total=total, unit=" samples", unit_scale=True, file=self.stream)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin where the epoch does, which after a resume is not at 0."""
        self._before = self._bar.n
        if self._samples is not None and self._before != epoch * self._samples:
            self._before = self._bar.n = self._bar.initial = epoch * self._samples

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar."""
        logs = logs or {}
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)
        self._bar.update(self._before + logs["samples"] - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is; what is printed next begins on a line of its own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@functools.cache
def bar_class() -> Any:
    """Return a tqdm class without a monitor thread, whose lock is not shared with forked processes.

    If one of those is killed while drawing, the others would wait forever for tqdm's own lock.
    """
    from tqdm import tqdm  # here, because most imports of fastmlp never show a bar

    return type("Bar", (tqdm,), {"_lock": threading.RLock(), "monitor_interval": 0})
