"""One call of `fit`: its data, its callbacks, and where it goes on from (floor 4)."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fastmlp import checks, files, saving, sources, targets
from fastmlp.callbacks import Callback, ModelCheckpoint, Progress
from fastmlp.core.run import Diverged, NotFinite
from fastmlp.messages import shown
from fastmlp.metrics import METRICS, chosen_metrics
from fastmlp.reading import Reader
from fastmlp.sources import Data, Epoch
from fastmlp.training import DivergenceWarning, Training, evaluate

DEAD = (
    "after the first epoch all units of a hidden layer are 0 for every row of X, so that nothing "
    "more is learnt: scale the inputs, by input_scale=1/255 where they are bytes, or choose a "
    "smaller learning_rate, and train a new network"
)


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
        self.shuffle = checks.flag("shuffle", shuffle, "blocks")
        self.callbacks = _in_order(callbacks, checks.flag("verbose", verbose))
        self.starts_anew = model._fitted and not (model.warm_start or goes_on)
        # The columns of an earlier frame bind this one, unless the weights are drawn again.
        self.reader = Reader(model._state, None if self.starts_anew else model._feature_names)
        self.validation: Data | None = None
        self.scored: Data | None = None  # besides validation data
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
        self.class_weight = class_weight
        if y is not None:
            if isinstance(X, np.memmap) and self.shuffle is True:
                self.shuffle = "blocks"
            self.data = self.reader.samples("X", X, "y", y, sample_weight, to_train_on=True)
            self._weighted_by_class(self.data)  # refused before anything is drawn
            if self.goes_on:
                self.reader.look_at("X", self.data.X)
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
        self.ends = isinstance(X, Iterator)
        self.batches = X if callable(X) else lambda: X

    def _batch_to_train_on(self, batch: Any) -> Data:
        data = self.reader.batch("a batch of X", batch, to_train_on=True)
        return self._weighted_by_class(data, require_positive=False)

    def _weighted_by_class(
        self, data: Data, rows: np.ndarray | None = None, require_positive: bool = True
    ) -> Data:
        """Return the data with each weight times that of its class, "balanced" over `rows`."""
        if self.class_weight is None and len(data.targets.weights) == 0:
            return data
        loss, n_out = self.model._state.loss, self.model._network.sizes[-1]
        found = targets.class_weighted(
            data.targets, self.class_weight, loss, n_out, rows, require_positive
        )
        return Data(data.X, found)

    def validate_on(self, pair: Any, fraction: float) -> None:
        """Check what is to be scored."""
        self.fraction = checks.from_zero_below_one("validation_fraction", fraction)
        if pair is not None and self.fraction > 0:
            raise ValueError("validation_data and validation_fraction are given; accepted is one")
        if pair is not None:
            self.validation = self.reader.batch("validation_data", pair)
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

    def _split(self, source: Any) -> np.ndarray | None:
        """Hold out what is to be scored; return the rows to train on, None for all."""
        rows = None
        if self.fraction > 0:
            assert self.data is not None
            drawn = source.permutation(len(self.data.X))
            n = round(self.fraction * len(drawn))
            self.validation, rows = sources.part(self.data, np.sort(drawn[:n])), np.sort(drawn[n:])
        if self.scores_training and self.validation is None:
            self.scored = self.data
        if self.data is not None:
            self.data = self._weighted_by_class(self.data, rows)
        return rows

    def _epoch(self, rows: np.ndarray | None) -> Epoch:
        source = self.model._source
        if self.data is not None and self.order is not None:
            return iter([(self.data, self.order())])
        if self.data is not None:
            return sources.epoch_of_arrays(self.data, rows, self.shuffle, source, self.batch_size)
        assert self.batches is not None
        batches = self.batches()
        if not isinstance(batches, Iterable):
            raise TypeError(
                f"X returned {shown(batches)}; accepted is an iterator over (X, y) batches"
            )
        row_bytes = self.model._network.sizes[0] * self.model.dtype.itemsize
        return sources.epoch_of_batches(
            batches,
            self._batch_to_train_on,
            sources.block_rows(self.batch_size, row_bytes),
            bool(self.shuffle),
            source,
        )

    # The epochs -------------------------------------------------------------------------------

    def run(self, epochs: int, resume: Any = None) -> Any:
        """Train for so many epochs, those before a checkpoint included; return the model."""
        model = self.model
        if self.ends and epochs > 1:
            raise ValueError(
                f"X is an iterator, which ends after one epoch, and epochs is {epochs}; "
                "accepted are a list of batches and a function that returns an iterator"
            )
        found = self._found(resume)
        try:
            if vars(model).setdefault("_fit", self) is not self:  # in one step, among threads
                raise RuntimeError(
                    f"this {type(model).__name__} is being trained already; accepted is one fit "
                    "at a time, and none inside a callback"
                )
            self.training = self._training()
            self._run_or_undo(epochs, found)
            if self.callbacks:
                self._tell("on_train_end", _last(model.history_))
        finally:
            if model._fit is self:
                try:
                    self._tell("close")
                finally:
                    del model._fit
        return model

    def _training(self) -> Training:
        """Return what trains; `partial_fit` finds the one of the call before."""
        model, known = self.model, self.model._partial
        if self.goes_on and known is not None:
            if (known.batch_size, known.n_threads) == (self.batch_size, model.n_threads):
                return known
        report = self._report if self.callbacks else None
        training = Training(model._state, self.batch_size, model.n_threads, report)
        model._partial = training if self.goes_on else None
        return training

    def _run(self, epochs: int, found: dict[str, Any] | None) -> None:
        model, source, training = self.model, self.model._source, self.training
        if self.starts_anew:
            model._draw_weights()
        model._draw_key()  # for dropout that was assigned since
        if found is not None:
            checks.return_to_position(source, found["began_at"])
        if self.callbacks:  # who alone can write a checkpoint; it takes as long as some steps
            self.began_at = checks.random_position(source)
        rows = self._split(source)
        model.history_ = model.history_ if self.goes_on else {name: [] for name in self._recorded}
        model.stop_training, model._fitted = False, True
        model._feature_names = self.reader.feature_names
        n_samples = None if self.data is None else len(self.data.X if rows is None else rows)
        self._tell("set_model", model)
        if self.callbacks:
            logs = {"epochs": epochs, "samples": n_samples, "greater_is_better": self._recorded}
            self._tell("on_train_begin", logs)
        self.epochs_done = 0 if found is None else self._restore(found, source)
        if self.starts_anew or found is not None:
            training.renew()
        if self.epochs_done < epochs:
            self._try_metrics()
        self.first_step = model._state.descent.taken
        while self.epochs_done < epochs and not model.stop_training:
            self._one_epoch(rows)

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

    def _one_epoch(self, rows: np.ndarray | None) -> None:
        model, epoch, self.runs = self.model, self.epochs_done, 0
        self._tell("on_epoch_begin", epoch, {})
        self.epochs_done += 1
        try:
            recorded = {"loss": self.training.epoch(self._epoch(rows))} | self._scores()
        except Diverged as error:
            model.stop_training = True
            warnings.warn(
                f"training has stopped because {error} was NaN or infinity: a smaller "
                "learning_rate, scaled inputs or clip_norm may help; the weights are the last "
                "finite ones",
                DivergenceWarning,
                stacklevel=6,
            )
            return
        finally:
            model._feature_names = self.reader.feature_names  # which the first batch may have
        if self.training.is_dead:
            warnings.warn(DEAD, RuntimeWarning, stacklevel=6)
        for name, value in recorded.items():
            model.history_.setdefault(name, []).append(value)
        if self.callbacks:
            self.at_epoch_end = True
            self._tell("on_epoch_end", epoch, _last(model.history_))
            self.at_epoch_end = False

    def _try_metrics(self) -> None:
        """Call the user's own metrics on what will be scored: one that fails costs no epoch."""
        own = [metric for metric in self.metrics if metric not in METRICS.values()]
        data = self.scored if self.validation is None else self.validation
        if own and data is not None:
            evaluate(self.model._state, data, own, self.model.n_threads)

    def _scores(self) -> dict[str, float]:
        """Return what the epoch records besides the loss."""
        state, n_threads = self.model._state, self.model.n_threads
        if self.validation is None:
            if self.scored is None:
                return {}
            return evaluate(state, self.scored, self.metrics, n_threads)[1]
        loss, scores = evaluate(state, self.validation, self.metrics, n_threads)
        if not math.isfinite(loss):
            raise Diverged("the validation loss")
        found = {f"validation_{name}": score for name, score in scores.items()}
        return {"validation_loss": loss} | found

    def _report(self, done: int, loss: float) -> None:
        self._tell("on_train_batch_end", self.runs, {"samples": done, "loss": loss / done})
        self.runs += 1

    def _tell(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    @property
    def _may_fail_after_draws(self) -> bool:
        """Whether an error is possible between the first random number and the first step.

        In `partial_fit` of arrays only the user's own learning rate can raise one, and copying a
        random state takes longer than its step.
        """
        return not self.goes_on or self.data is None or callable(self.model.learning_rate)

    def _run_or_undo(self, epochs: int, found: dict[str, Any] | None) -> None:
        """Put everything back after an error before the first step, and for X that is not finite.

        The kernels look at each row as they read it, which costs nothing, where a look before
        would cost a pass over X.
        """
        model, training, source = self.model, self.training, self.model._source
        training.begin(refuses=self.data is not None and not self.goes_on)
        before, history = training.snapshot, model.history_
        kept = (history, model._fitted, model._feature_names, model.stop_training)
        lengths = {name: len(values) for name, values in history.items()}
        position = checks.random_position(source) if self._may_fail_after_draws else None
        try:
            self._run(epochs, found)
        except Exception as error:
            # Of batches, those before a row that is not finite were good.
            refused = isinstance(error, NotFinite) and training.refuses
            if refused or not self._has_begun:
                before.restore()
                model.history_, model._fitted, model._feature_names, model.stop_training = kept
                for name in list(history):
                    del history[name][lengths.get(name, 0) :]
                    if name not in lengths:
                        del history[name]
                if position is not None:
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
            raise TypeError(f"resume is {shown(resume)}; accepted are True and a path")
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
    accepted = "a list of instances of callbacks.Callback"
    found = checks.listed("callbacks", callbacks, accepted)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks has {shown(callback)}; accepted is {accepted}")
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
