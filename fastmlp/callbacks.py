"""What may watch a training, and change its course (floor 4)."""

from __future__ import annotations

from typing import Any


class Callback:
    """One who is told of a training; every hook does nothing until a subclass says what.

    Attributes
    ----------
    model : MLP
        Whose training it is; set ``model.stop_training = True`` to end it after the epoch.
    """

    model: Any = None

    def set_model(self, model: Any) -> None:
        """Take note of whose training it is."""
        self.model = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Heed the beginning; `logs` has "epochs" and "samples", None for batches."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Heed the end; `logs` is of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Heed the beginning of an epoch, from 0 on."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Heed the end of an epoch, with its loss and scores."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Heed the end of a run of minibatches, about ten times a second."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: numbers, strings, arrays, lists and dicts."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Become again what `state` returned."""


class Progress(Callback):
    """Show a bar of the samples that were trained on, with the loss and samples per second."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show the bar; `logs` has the epochs, and the samples of each if they are known."""
        from tqdm import tqdm  # here, because most imports of fastmlp never show a bar

        assert logs is not None
        self._samples = logs["samples"]
        total = self._samples and self._samples * logs["epochs"]
        self._bar, self._before = tqdm(total=total, unit=" samples", unit_scale=True), 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar to the samples of this epoch that are done."""
        assert logs is not None
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)
        self._bar.update(self._before + logs["samples"] - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the epoch's samples."""
        self._before = self._bar.n

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class ModelCheckpoint(Callback):
    """Write the network after every epoch (to come)."""

    path = ""
