"""Callbacks that write files during training, atomically."""

from __future__ import annotations

import csv
import io
import math
import os
from typing import Any

from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitors import Monitor
from fastmlp.callbacks.name_pattern import NamePattern
from fastmlp.messages import must, short
from fastmlp.serialization import files, model_files
from fastmlp.validation import checks


def _can_be_written(path: str) -> None:
    """Raise an error now for a path that cannot be written to after an epoch."""
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise ValueError(must("path", "be a file in an existing folder", short(repr(path), 200)))
    files.check_writable(path)


class ModelCheckpoint(Monitor):
    """Save the model during training, for `MLP.load` and for ``fit(resume=...)``.

    Files are written atomically. A checkpoint contains the network and everything else that the
    rest of the training depends on: a training that is killed at any moment and resumed
    (``resume=True``) ends with the same bits as one without an interruption.

    Parameters
    ----------
    path : str or os.PathLike
        Overwritten each time. The file name may have fields in braces, as in Keras:
        ``"net-{epoch:02d}-{validation_loss:.3f}.npz"`` writes a file for each epoch. Fields are
        "epoch", counted from 1, and the keys of `MLP.history_`; braces are escaped by doubling
        them. ``resume=True`` then resumes from the newest of these files.
    every : int, default 1
        At least 1: save after every `every` epochs.
    monitor : str, optional
        A name in `MLP.history_`: save only if it has improved on all epochs at which the model
        could have been saved before. With several checkpoints, ``resume=True`` uses the last one
        without a monitor.
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
        path: str | os.PathLike[str],
        every: int = 1,
        monitor: str | None = None,
        mode: str = "auto",
    ):
        super().__init__("loss" if monitor is None else monitor, mode)
        self.path, self.every = files.file_name(path), checks.whole_number("every", every, 1)
        self.only_better = monitor is not None
        self._name = NamePattern(self.path)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the file can be written."""
        super().on_train_begin(logs)
        if logs is not None and "greater_is_better" in logs:
            self._name.check_fields(logs["greater_is_better"])
        _can_be_written(self._name.example())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the model, depending on `every` and `monitor`."""
        if (epoch + 1) % self.every == 0 and (not self.only_better or self._is_best()):
            self.model.save(self._name.of(epoch, logs or {}))

    def latest(self) -> str | None:
        """Return the path of the newest file written by this callback, or None.

        If the name has fields, files that are not checkpoints of this pattern are ignored.
        """
        if not self._name.fields:
            path = self._name.example()
            return path if os.path.exists(path) else None
        found: list[tuple[int, int, str]] = []
        for written, path in self._name.existing():
            if found and written < found[0][0]:
                break
            try:
                state = model_files.read(path)
            except (OSError, ValueError):
                continue
            n_epochs = state["fit"]["epochs_done"] if "fit" in state else 0
            logs = {name: values[-1] for name, values in state["history_"].items() if values}
            if n_epochs > 0 and self._name.is_of(path, n_epochs - 1, logs):
                found.append((written, n_epochs, path))
        return max(found)[-1] if found else None

    def _is_best(self) -> bool:
        """Whether the last of every `every` epochs is the best.

        This uses the history, which checkpoints contain anyway: a best value stored here would be
        one epoch old in the file of another checkpoint that is written first.
        """
        *before, last = self._of(self.model.history_)[self.every - 1 :: self.every]
        return not math.isnan(last) and all(
            math.isnan(value) or self._gain(last, value) > 0 for value in before
        )


class CSVLogger(Callback):
    """Write the history to a CSV file, with one line for each epoch.

    The whole file is rewritten after every epoch, so that it is also complete after ``resume``.

    Parameters
    ----------
    path : str or os.PathLike
        Overwritten. The first line has the names of the columns: "epoch", counted from 0, and the
        keys of `MLP.history_`. Numbers have all their digits.

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

    def __init__(self, path: str | os.PathLike[str]):
        self.path = files.file_name(path)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the file can be written."""
        _can_be_written(self.path)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the history of all epochs so far."""
        history, text = self.model.history_, io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history])
        writer.writerows([i, *row] for i, row in enumerate(zip(*history.values(), strict=True)))
        with files.atomic_write(self.path) as file:
            file.write(text.getvalue().encode())
