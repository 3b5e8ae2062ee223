"""What may watch a training, and change its course (floor 4).

The hooks and most of the classes have Keras's names. `MLP.fit` calls them in the order in which
they are given, those of `ModelCheckpoint` last, for it writes what the others have become.
"""

from __future__ import annotations

import csv
import io
import math
import os
from typing import Any

import numpy as np

from fastmlp import checks, files
from fastmlp.metrics import METRICS


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


# Watching a number ------------------------------------------------------------------------------


class _Monitor(Callback):
    """One who looks at a number of each epoch, and knows which way is better."""

    def __init__(self, monitor: str, mode: str):
        if not isinstance(monitor, str):
            raise TypeError(f"monitor is {monitor!r}; accepted is the name of a loss or metric")
        self.monitor, self.mode = monitor, checks.choice("mode", mode, ("auto", "max", "min"))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._sign = 1.0 if self._greater_is_better(logs or {}) else -1.0

    def _greater_is_better(self, logs: dict[str, Any]) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        if "greater_is_better" in logs:
            return self._of(logs["greater_is_better"])
        name = self.monitor.removeprefix("validation_")
        if name != "loss" and name not in METRICS:
            raise ValueError(f"mode is 'auto' for {self.monitor!r}; accepted are 'max' and 'min'")
        return name != "loss" and METRICS[name].greater_is_better

    def _of(self, recorded: dict[str, Any] | None) -> Any:
        """Return what is recorded of the monitor; ValueError if nothing is."""
        if not recorded or self.monitor not in recorded:
            raise ValueError(
                f"monitor is {self.monitor!r}; accepted is what this fit records: "
                f"{', '.join(map(repr, recorded or ())) or 'nothing'}"
            )
        return recorded[self.monitor]

    def _gain(self, value: float, best: float) -> float:
        """Return by how much a value is better."""
        return self._sign * (value - best)


class _Patience(_Monitor):
    """One who waits for that number to become better, for so many epochs."""

    def __init__(self, monitor: str, mode: str, patience: int, min_delta: float):
        super().__init__(monitor, mode)
        self.patience = checks.whole_number("patience", patience, 1)
        self.min_delta = checks.real_number("min_delta", min_delta)
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self._wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._forget()

    def _improved(self, logs: dict[str, Any] | None) -> bool:
        """Whether the epoch is the best so far, by more than min_delta; NaN never is."""
        value = float(self._of(logs))
        first = self.best is None and not math.isnan(value)
        if first or self.best is not None and self._gain(value, self.best) > self.min_delta:
            self.best, self._wait = value, 0
            return True
        self._wait += 1
        return False

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self._wait}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self._wait = state["best"], state["wait"]


class EarlyStopping(_Patience):
    """Stop when nothing has become better for a while, and go back to the best epoch's parameters.

    Parameters
    ----------
    monitor : str, default "validation_loss"
        A name in `MLP.history_`.
    patience : int, default 10
        Of at least 1: training stops after so many epochs in a row that are not better.
    min_delta : float, default 0.0
        Of at least 0; better is better than the best so far by more than this.
    restore_best_weights : bool, default True
        Whether weights and biases are, at the end of training, those after the best epoch: also
        when all epochs were trained, but not after an interrupt.
    mode : {"auto", "max", "min"}, default "auto"
        Whether better is greater or smaller; "auto" knows of losses and of the fit's metrics.

    Attributes
    ----------
    best, best_epoch : float and int, or None
        The best so far, and the epoch, from 0 on, that had it.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, what was given and what is accepted. So do all
        callbacks. With mode "auto", a monitor that the fit will not record is refused before it
        begins; otherwise after the first epoch.

    Examples
    --------
    >>> from fastmlp import MLP, datasets
    >>> from fastmlp.callbacks import EarlyStopping
    >>> X, y = datasets.digits()
    >>> stopping = EarlyStopping(patience=5)
    >>> mlp = MLP([64, 32, 10], input_scale=1 / 16, learning_rate=0.01, random_state=0)
    >>> _ = mlp.fit(X, y, epochs=200, validation_fraction=0.2, callbacks=[stopping])
    >>> len(mlp.history_["loss"]) == stopping.best_epoch + 1 + 5
    True
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        mode: str = "auto",
    ):
        super().__init__(monitor, mode, patience, min_delta)
        self.restore_best_weights = bool(restore_best_weights)

    def _forget(self) -> None:
        super()._forget()
        self.best_epoch: int | None = None
        self._weights: list[np.ndarray] = []
        self._biases: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the parameters if this was the best epoch; otherwise lose patience."""
        if not self._improved(logs):
            self.model.stop_training |= self._wait >= self.patience
            return
        self.best_epoch = epoch
        if self.restore_best_weights:
            self._weights = [view.copy() for view in self.model.weights]
            self._biases = [view.copy() for view in self.model.biases]

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the best parameters back."""
        if self._weights:
            self.model.weights, self.model.biases = self._weights, self._biases

    def state(self) -> dict[str, Any]:
        """Return the best so far, with its parameters."""
        kept = {"best_epoch": self.best_epoch, "weights": self._weights, "biases": self._biases}
        return super().state() | kept

    def restore(self, state: dict[str, Any]) -> None:
        """Become again what `state` returned."""
        super().restore(state)
        self.best_epoch = state["best_epoch"]
        self._weights, self._biases = state["weights"], state["biases"]


class ReduceLROnPlateau(_Patience):
    """Multiply the learning rate by a factor when nothing has become better for a while.

    What is multiplied is `MLP.rate_factor`, and so the rate of any schedule too. It stays for
    the fits that follow, and in files.

    Parameters
    ----------
    monitor, mode
        As in `EarlyStopping`.
    factor : float, default 0.1
        Above 0 and below 1.
    patience : int, default 5
        Of at least 1: so many epochs in a row that are not better lower the rate.
    min_delta : float, default 1e-4
        Of at least 0; better is better than the best so far by more than this.
    cooldown : int, default 0
        Of at least 0: for so many epochs after that, none counts against patience.
    min_rate : float, default 0.0
        Of at least 0; the rate of the next step is never lowered below this.

    Examples
    --------
    >>> from fastmlp import MLP
    >>> from fastmlp.callbacks import ReduceLROnPlateau
    >>> mlp = MLP([1, 2], random_state=0)
    >>> plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    >>> _ = mlp.fit([[0.0], [1.0]], [0, 1], epochs=3, callbacks=[plateau])
    >>> mlp.rate_factor
    0.25
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        factor: float = 0.1,
        patience: int = 5,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_rate: float = 0.0,
        mode: str = "auto",
    ):
        super().__init__(monitor, mode, patience, min_delta)
        self.factor = checks.between_zero_and_one("factor", factor)
        self.cooldown = checks.whole_number("cooldown", cooldown, 0)
        self.min_rate = checks.real_number("min_rate", min_rate)

    def _forget(self) -> None:
        super()._forget()
        self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Lower the rate if this epoch was one too many."""
        self._improved(logs)
        if self._cooling > 0:
            self._cooling, self._wait = self._cooling - 1, 0
        if self._wait >= self.patience:
            self._cooling, self._wait = self.cooldown, 0
            self._reduce()

    def _reduce(self) -> None:
        model, rate = self.model, self.model._state.descent.next_rate
        lower = model.rate_factor * self.factor
        if rate > 0:  # at a schedule's 0 no factor makes it min_rate
            lower = max(lower, self.min_rate / rate * model.rate_factor)
        model.rate_factor = min(lower, model.rate_factor)

    def state(self) -> dict[str, Any]:
        """Return the best so far, and how long ago it was."""
        return super().state() | {"cooling": self._cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Become again what `state` returned."""
        super().restore(state)
        self._cooling = state["cooling"]


class TerminateOnNaN(Callback):
    """Stop when a loss is NaN or infinity; training itself does so too, with a warning."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of the epoch so far."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of the epoch."""
        self.on_train_batch_end(0, logs)


# Writing files ----------------------------------------------------------------------------------


def _file_name(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is {path!r}; accepted is a str or os.PathLike")
    return os.fspath(path)


def _can_be_written(path: str) -> None:
    """Raise for a path that a training would find impossible to write to only after an epoch."""
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise ValueError(f"path is {path!r}; accepted is a file in a folder that exists")


class ModelCheckpoint(_Monitor):
    """Write the model to a file while it trains: for `MLP.load`, and for ``fit(resume=...)``.

    Files are written whole or not at all. Beside the network a checkpoint has all that the rest
    of the training depends on, so that one that is killed at any moment and gone on with
    (``resume=True``) ends with the bits of one that never was.

    Parameters
    ----------
    path : str or os.PathLike
        Overwritten each time.
    every : int, default 1
        Of at least 1: after how many epochs each.
    monitor : str, optional
        A name in `MLP.history_`: write only where it is better than after all epochs at which
        `every` looked before. Of several checkpoints, ``resume=True`` is the last without one.
    mode : {"auto", "max", "min"}, default "auto"
        As in `EarlyStopping`.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastmlp import MLP
    >>> from fastmlp.callbacks import ModelCheckpoint
    >>> X, y = [[0.0], [1.0]], [0, 1]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = ModelCheckpoint(os.path.join(folder, "model.npz"))
    ...     mlp = MLP([1, 2], random_state=0)
    ...     for _ in range(2):  # the second time nothing is left to do
    ...         _ = mlp.fit(X, y, epochs=3, callbacks=[checkpoint], resume=True)
    ...     MLP.load(checkpoint.path).history_ == mlp.history_
    True
    """

    def __init__(
        self,
        path: str | os.PathLike,
        every: int = 1,
        monitor: str | None = None,
        mode: str = "auto",
    ):
        super().__init__("loss" if monitor is None else monitor, mode)
        self.path, self.every = _file_name(path), checks.whole_number("every", every, 1)
        self.only_better = monitor is not None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse what could not be written."""
        super().on_train_begin(logs)
        _can_be_written(self.path)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the model, if it is time."""
        if (epoch + 1) % self.every == 0 and (not self.only_better or self._is_best()):
            self.model.save(self.path)

    def _is_best(self) -> bool:
        """Whether the last of the epochs at which `every` looks is the best.

        Found in the history, which a checkpoint has anyway: a best value kept here would be an
        epoch old in the file of another checkpoint that is written first.
        """
        *before, last = self._of(self.model.history_)[self.every - 1 :: self.every]
        return not math.isnan(last) and all(
            math.isnan(value) or self._gain(last, value) > 0 for value in before
        )


class CSVLogger(Callback):
    """Write the history to a file of comma-separated values, a line for each epoch.

    The file is written anew, and whole, after every epoch, and so is right after ``resume`` too.

    Parameters
    ----------
    path : str or os.PathLike
        Overwritten. The first line names the columns: "epoch", from 0 on, and the keys of
        `MLP.history_`. Numbers are read back to the same bits.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastmlp import MLP
    >>> from fastmlp.callbacks import CSVLogger
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "log.csv")
    ...     _ = MLP([1, 2], random_state=0).fit([[0.0]], [0], epochs=2, callbacks=[CSVLogger(path)])
    ...     [line.split(",")[0] for line in path.read_text().splitlines()]
    ['epoch', '0', '1']
    """

    def __init__(self, path: str | os.PathLike):
        self.path = _file_name(path)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse what could not be written."""
        _can_be_written(self.path)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epochs so far."""
        history, text = self.model.history_, io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history])
        writer.writerows([i, *row] for i, row in enumerate(zip(*history.values(), strict=True)))
        with files.written_whole(self.path) as file:
            file.write(text.getvalue().encode())


# Showing ----------------------------------------------------------------------------------------


class Progress(Callback):
    """A progress bar of samples, with the loss of the epoch so far; ``verbose=True`` is this.

    Parameters
    ----------
    stream : file object opened for text, optional
        None is `sys.stderr`, as it is when training begins.
    """

    def __init__(self, stream: Any = None):
        if stream is not None and not hasattr(stream, "write"):
            raise TypeError(f"stream is {stream!r}; accepted are None and an open text file")
        self.stream = stream
        self._bar: Any = None
        self._samples: int | None = None
        self._before = 0  # samples of the epochs before this one

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar: of all epochs, or without an end where the samples' number is unknown."""
        from tqdm import tqdm  # here, because most imports of fastmlp never show a bar

        self.close()
        logs = logs or {}
        self._samples, self._before = logs.get("samples"), 0
        total = None if self._samples is None else self._samples * logs.get("epochs", 1)
        self._bar = tqdm(total=total, unit=" samples", unit_scale=True, file=self.stream)

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
