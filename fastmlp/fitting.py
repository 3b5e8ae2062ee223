"""One call of `fit`: its data, its callbacks, and where it goes on from (floor 4)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fastmlp import checks, files, saving, sources, targets
from fastmlp.callbacks import Callback, ModelCheckpoint, Progress
from fastmlp.core.gather import SparseRows
from fastmlp.core.run import NotFinite
from fastmlp.metrics import chosen_metrics
from fastmlp.training import Data, Epoch, State, Training


class Fit:
    """What `MLP.fit` was asked for.

    Parameters
    ----------
    model : MLP
    batch_size, callbacks, metrics, verbose, shuffle
        As in `MLP.fit`.
    goes_on : bool
        Whether the model's history goes on, and a fit never begins anew.
    """

    def __init__(
        self,
        model: Any,
        batch_size: int,
        callbacks: Sequence[Callback],
        metrics: Any,
        verbose: bool,
        shuffle: bool | str,
        goes_on: bool = False,
    ):
        self.model, self.goes_on = model, goes_on
        self.batch_size = checks.whole_number("batch_size", batch_size, 1)
        self.metrics = chosen_metrics(metrics, model.loss.task)
        self.scores_training = metrics is not None
        if isinstance(shuffle, str) and shuffle != "blocks":
            raise ValueError(f"shuffle is {shuffle!r}; accepted are True, False and 'blocks'")
        self.shuffle = shuffle if shuffle == "blocks" else bool(shuffle)
        self.callbacks = _in_order(callbacks, verbose)
        self.validation: Data | None = None
        self.data: Data | None = None
        self.batches: Callable[[], Iterable[Any]] | None = None
        self.ends = False  # whether they can be iterated over only once
        self.fraction = 0.0
        self.class_weight: Any = None
        self.first_step: int | None = None
        self.at_epoch_end = False  # where a checkpoint can be gone on from
        self.order: Callable[[], np.ndarray] | None = None  # instead of what `shuffle` says

    # The data ---------------------------------------------------------------------------------

    def take(self, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> None:
        """Check what is to be trained on."""
        if y is not None:
            if isinstance(X, np.memmap) and self.shuffle is True:
                self.shuffle = "blocks"
            data = self._checked("X", X, "y", y, sample_weight, class_weight)
            self.data = self._to_train_on("X", data)
            return
        if isinstance(X, np.ndarray) or hasattr(X, "tocsr") or not _is_source(X):
            raise TypeError(
                f"y is missing, and X is {type(X).__name__}; accepted are X and y, "
                "or an iterable of (X, y) batches"
            )
        if sample_weight is not None or isinstance(class_weight, str):
            raise ValueError(
                "X is an iterable of batches; accepted are weights as the third of each batch, "
                "and a class_weight that is not 'balanced'"
            )
        self.class_weight = class_weight
        self.ends = isinstance(X, Iterator)
        self.batches = X if callable(X) else lambda: X

    def _batch_to_train_on(self, batch: Any) -> Data:
        name = "a batch of X"
        return self._to_train_on(f"{name}[0]", self._batch(name, batch, self.class_weight, False))

    def _to_train_on(self, name: str, data: Data) -> Data:
        """Return `data`, unless noise would be added to sparse rows of it."""
        if isinstance(data.X, SparseRows) and self.model.input_noise:
            raise ValueError(f"{name} is sparse, which an input_noise other than 0 would fill")
        return data

    def validate_on(self, pair: Any, fraction: float) -> None:
        """Check what is to be scored."""
        self.fraction = checks.from_zero_below_one("validation_fraction", fraction)
        if pair is not None and self.fraction > 0:
            raise ValueError("validation_data and validation_fraction are given; accepted is one")
        if pair is not None:
            self.validation = self._batch("validation_data", pair)
            checks.finite_rows("validation_data[0]", self.validation.X)
        if self.fraction > 0:
            if self.data is None:
                raise ValueError(
                    "validation_fraction is for arrays; accepted beside batches is validation_data"
                )
            n = len(self.data.X)
            if not 0 < round(self.fraction * n) < n:
                raise ValueError(
                    f"validation_fraction is {self.fraction}, of {n} samples; "
                    "accepted is one that leaves some to train on and some to score"
                )

    def _checked(
        self,
        X_name: str,
        X: Any,
        y_name: str,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        some: bool = True,
    ) -> Data:
        rows = self.model._rows(X_name, X)
        found = self.model._targets(y_name, y, len(rows))
        n_out = self.model._network.sizes[-1]
        weights = (sample_weight, class_weight, len(rows), n_out, some)
        return Data(rows, targets.weighted(found, *weights))

    def _batch(self, name: str, batch: Any, class_weight: Any = None, some: bool = True) -> Data:
        try:
            X, y, *weight = batch
            if len(weight) > 1:
                raise ValueError
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} is not a tuple (X, y) or (X, y, sample_weight), which is accepted"
            ) from None
        return self._checked(
            f"{name}[0]", X, f"{name}[1]", y, weight[0] if weight else None, class_weight, some
        )

    def _epoch(self, rows: np.ndarray | None) -> Epoch:
        source = self.model._source
        if self.data is not None and self.order is not None:
            return iter([(self.data, self.order())])
        if self.data is not None:
            return sources.epoch_of_arrays(self.data, rows, self.shuffle, source, self.batch_size)
        assert self.batches is not None
        row_bytes = self.model._network.sizes[0] * self.model.dtype.itemsize
        return sources.epoch_of_batches(
            self.batches(),
            self._batch_to_train_on,
            sources.block_rows(self.batch_size, row_bytes),
            bool(self.shuffle),
            source,
        )

    # The epochs -------------------------------------------------------------------------------

    def run(self, epochs: int, resume: Any = None) -> Any:
        """Train for so many epochs, those before a checkpoint included; return the model."""
        model, source = self.model, self.model._source
        if self.ends and epochs > 1:
            raise ValueError(
                f"X is an iterator, which ends after one epoch, and epochs is {epochs}; "
                "accepted are a list of batches and a function that returns an iterator"
            )
        found = self._found(resume)
        state, n_threads = model._prepare(), model._threads()
        model._fit = self
        try:
            with self._unchanged_if_refused(source):
                self._run(state, n_threads, epochs, found)
            self._tell("on_train_end", _last(model.history_))
        finally:
            model._fit = None
            self._tell("close")
        return model

    def _run(
        self, state: State, n_threads: int | None, epochs: int, found: dict[str, Any] | None
    ) -> None:
        model, source = self.model, self.model._source
        if model._fitted and not (model.warm_start or self.goes_on):
            model._draw_weights()
        model._draw_key()  # for dropout that was assigned since
        if found is not None:
            checks.return_to_position(source, found["began_at"])
        if self.callbacks:  # who alone can write a checkpoint; it takes as long as some steps
            self.began_at = checks.random_position(source)
        rows, scored = self._split(source)
        model.history_ = model.history_ if self.goes_on else {name: [] for name in self._recorded}
        model.stop_training, model._fitted = False, True
        n_samples = None if self.data is None else len(self.data.X if rows is None else rows)
        self._tell("set_model", model)
        logs = {"epochs": epochs, "samples": n_samples, "greater_is_better": self._recorded}
        self._tell("on_train_begin", logs)
        self.epochs_done = 0 if found is None else self._restore(found, source)
        training = Training(
            state,
            min(self.batch_size, n_samples or self.batch_size),
            n_threads,
            model.history_,
            self.validation,
            scored,
            self.metrics,
            self._report if self.callbacks else None,
        )
        self.first_step = state.descent.taken
        while self.epochs_done < epochs and not model.stop_training:
            self._one_epoch(training, rows)

    @property
    def _recorded(self) -> dict[str, bool]:
        """What each epoch records, and whether greater is better."""
        scores = {metric.name: metric.greater_is_better for metric in self.metrics}
        if self.validation is not None or self.fraction > 0:
            found = {f"validation_{name}": greater for name, greater in scores.items()}
            return {"loss": False, "validation_loss": False} | found
        return {"loss": False} | (scores if self.scores_training else {})

    @property
    def _has_begun(self) -> bool:
        """Whether there has been a step."""
        return self.first_step is not None and self.model._state.descent.taken > self.first_step

    def _one_epoch(self, training: Training, rows: np.ndarray | None) -> None:
        epoch, self.runs = self.epochs_done, 0
        self._tell("on_epoch_begin", epoch, {})
        goes_on = training.epoch(self._epoch(rows))
        self.model.stop_training |= not goes_on
        self.epochs_done += 1
        if goes_on:
            self.at_epoch_end = True
            self._tell("on_epoch_end", epoch, _last(self.model.history_))
            self.at_epoch_end = False

    def _report(self, done: int, loss: float) -> None:
        self._tell("on_train_batch_end", self.runs, {"samples": done, "loss": loss / done})
        self.runs += 1

    def _tell(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def _split(self, source: Any) -> tuple[np.ndarray | None, Data | None]:
        """Return the rows to train on, None for all, and what to score besides validation data."""
        if self.fraction > 0:
            assert self.data is not None
            rows = source.permutation(len(self.data.X))
            n = round(self.fraction * len(rows))
            self.validation = sources.part(self.data, np.sort(rows[:n]))
            return np.sort(rows[n:]), None
        return None, self.data if self.scores_training and self.validation is None else None

    @contextlib.contextmanager
    def _unchanged_if_refused(self, source: Any) -> Iterator[None]:
        """Put everything back after an error before the first step, and for X that is not finite.

        The kernels look at each row as they read it, which costs nothing, where a look beforehand
        would cost a pass over X.
        """
        model = self.model
        restore, history, fitted = model._state.copy(), model.history_, model._fitted
        history_before = {name: list(values) for name, values in history.items()}
        position = checks.random_position(source)
        try:
            yield
        except Exception as error:
            # Of batches, those before a row that is not finite were good.
            refused = isinstance(error, NotFinite) and self.data is not None
            if refused or not self._has_begun:
                restore()
                model.history_, model._fitted = history_before, fitted
                checks.return_to_position(source, position)
            if isinstance(error, NotFinite):
                raise checks.not_finite(error.name, error.row, model.dtype) from None
            raise

    # Going on ---------------------------------------------------------------------------------

    def _shape(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on."""
        return {
            "batch_size": self.batch_size,
            "n_samples": None if self.data is None else len(self.data.X),
            "validation_fraction": self.fraction,
            "history": list(self._recorded),
            "callbacks": [type(callback).__name__ for callback in self._kept_callbacks],
            "random_state": checks.random_kind(self.model._source),
        }

    @property
    def _kept_callbacks(self) -> list[Callback]:
        """The callbacks that a checkpoint has: a bar may be shown or not."""
        return [callback for callback in self.callbacks if not isinstance(callback, Progress)]

    def checkpoint(self) -> dict[str, Any]:
        """Return all that the rest of this fit depends on, besides the arguments."""
        return self._shape() | {
            "epochs_done": self.epochs_done,
            "stopped": self.model.stop_training,
            "began_at": self.began_at,
            "random_position": checks.random_position(self.model._source),
            "callback_states": [callback.state() for callback in self._kept_callbacks],
        }

    def _found(self, resume: Any) -> dict[str, Any] | None:
        """Return the checkpoint to go on from, if there is one."""
        if resume is None or resume is False:
            return None
        path = resume
        if resume is True:
            writers = [c for c in self.callbacks if isinstance(c, ModelCheckpoint)]
            if not writers:
                raise ValueError(
                    "resume is True without a ModelCheckpoint among the callbacks; "
                    "accepted is one beside it, and a path"
                )
            path = writers[-1].latest()
            if path is None:
                return None
        elif not isinstance(resume, (str, os.PathLike)):
            raise TypeError(f"resume is {resume!r}; accepted are True and a path")
        else:
            path = files.file_name(resume, "resume")
        return saving.checkpoint(self.model, path, self._shape())

    def _restore(self, found: dict[str, Any], source: Any) -> int:
        """Go back to where the checkpoint was written; return the epochs that were done."""
        model = self.model
        saving.restore(model, found["model"])
        model.stop_training = found["stopped"]
        for callback, state in zip(self._kept_callbacks, found["callback_states"], strict=True):
            callback.restore(state)
        checks.return_to_position(source, found["random_position"])
        return found["epochs_done"]


def _in_order(callbacks: Any, verbose: bool) -> list[Callback]:
    """Return the callbacks, those last that write what the others have become."""
    accepted = "accepted is a list of instances of callbacks.Callback"
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks is {callbacks!r}; {accepted}")
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks has {callback!r}; {accepted}")
    if verbose and not any(isinstance(callback, Progress) for callback in found):
        found.append(Progress())
    return sorted(found, key=_rank)


def _rank(callback: Callback) -> int:
    """Return 0, but more for checkpoints, and most for those that are always written.

    What is gone on from comes last: the epoch in which others are newer is trained once more.
    """
    return 2 - callback.only_better if isinstance(callback, ModelCheckpoint) else 0


def _last(history: dict[str, list[float]]) -> dict[str, float]:
    return {name: values[-1] for name, values in history.items() if values}


def _is_source(X: Any) -> bool:
    return callable(X) or isinstance(X, Iterable) and not isinstance(X, (str, bytes, dict))
