"""One call of `fit`: its data, its callbacks, and where it goes on from (floor 4)."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

from fastmlp import random_sources
from fastmlp.callbacks import Callback, ModelCheckpoint, Progress
from fastmlp.core.run import Diverged, NotFinite
from fastmlp.messages import shown
from fastmlp.metrics import METRICS, chosen_metrics
from fastmlp.serialization import files, model_files
from fastmlp.training.epoch import DivergenceWarning, Training, evaluate
from fastmlp.training.fit_data import FitData
from fastmlp.training.reading import Reader
from fastmlp.training.sources import Data
from fastmlp.validation import checks

DEAD = (
    "after the first epoch all units of a hidden layer are 0 for every row that was checked, so "
    "the network cannot learn: scale the inputs (input_scale=1/255 for bytes) or choose a smaller "
    "learning_rate, and train a new network"
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
        self.callbacks = _in_order(callbacks, checks.flag("verbose", verbose))
        self.starts_anew = model._fitted and not (model.warm_start or goes_on)
        # The columns of an earlier frame must match, unless the weights are drawn again.
        self.reader = Reader(model._state, None if self.starts_anew else model._feature_names)
        self.data = FitData(self.reader, self.batch_size, checks.flag("shuffle", shuffle, "blocks"))
        self.first_step: int | None = None
        self.at_epoch_end = False  # where a checkpoint can be gone on from

    # The epochs -------------------------------------------------------------------------------

    def run(self, epochs: int, resume: Any = None) -> Any:
        """Train for so many epochs, those before a checkpoint included; return the model."""
        model = self.model
        if self.data.ends and epochs > 1:
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
                    with contextlib.ExitStack() as all_of_them:  # also after one that fails
                        for callback in reversed(self.callbacks):
                            all_of_them.callback(callback.close)
                finally:
                    del model._fit
        return model

    def _training(self) -> Training:
        """Return what trains; `partial_fit` finds the one of the call before."""
        model, known = self.model, self.model._partial
        if self.goes_on and known is not None:
            if known.batch_size == self.batch_size:
                return known
        model._partial = None  # before there is another, for both have a snapshot
        report = self._report if self.callbacks else None
        training = Training(model._state, self.batch_size, report)
        model._partial = training if self.goes_on else None
        return training

    def _run(self, epochs: int, found: dict[str, Any] | None) -> None:
        model, source, training = self.model, self.model._source, self.training
        if self.starts_anew:
            model._draw_weights()
        model._draw_key()  # for dropout that was assigned since
        if found is not None:
            random_sources.return_to_position(source, found["began_at"])
        if self.callbacks:  # only they write checkpoints, and this takes as long as some steps
            self.began_at = random_sources.random_position(source)
            self.began_with = model_files.assignable(model)
        self.data.split(source)
        model.history_ = model.history_ if self.goes_on else {name: [] for name in self._recorded}
        model.stop_training, model._fitted = False, True
        model._feature_names = self.reader.feature_names
        self._tell("set_model", model)
        if self.callbacks:
            samples = self.data.n_trained_on
            logs = {"epochs": epochs, "samples": samples, "greater_is_better": self._recorded}
            self._tell("on_train_begin", logs)
        self.epochs_done = 0 if found is None else self._restore(found, source)
        if self.starts_anew or found is not None:
            training.renew()
        if self.epochs_done < epochs:
            self._try_metrics()
        self.first_step = model._state.descent.taken
        while self.epochs_done < epochs and not model.stop_training:
            self._one_epoch()

    @property
    def _recorded(self) -> dict[str, bool]:
        """What each epoch records, and whether greater is better."""
        scores = {metric.name: metric.greater_is_better for metric in self.metrics}
        if self.data.validates:
            found = {f"validation_{name}": greater for name, greater in scores.items()}
            return {"loss": False, "validation_loss": False} | found
        return {"loss": False} | (scores if self.scores_training else {})

    @property
    def _has_begun(self) -> bool:
        """Whether there has been a step."""
        return self.first_step is not None and self.model._state.descent.taken > self.first_step

    def _one_epoch(self) -> None:
        model, epoch, self.runs = self.model, self.epochs_done, 0
        self._tell("on_epoch_begin", epoch, {})
        self.epochs_done += 1
        try:
            blocks = self.data.epoch(model._source)
            recorded = {"loss": self.training.epoch(blocks)} | self._scores()
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
        if self._scored is not None:
            own = [metric for metric in self.metrics if metric not in METRICS.values()]
            if own:
                evaluate(self.model._state, self._scored, own)

    @property
    def _scored(self) -> Data | None:
        """What is scored after each epoch: the held-out samples, or those that are trained on."""
        if self.data.validation is not None:
            return self.data.validation
        return self.data.samples if self.scores_training else None

    def _scores(self) -> dict[str, float]:
        """Return what the epoch records besides the loss."""
        if self._scored is None:
            return {}
        loss, scores = evaluate(self.model._state, self._scored, self.metrics)
        if self.data.validation is None:
            return scores
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
        is_looked_at = self.goes_on and self.data.samples is not None
        return not is_looked_at or callable(self.model.learning_rate)

    def _run_or_undo(self, epochs: int, found: dict[str, Any] | None) -> None:
        """Put everything back after an error before the first step, and for X that is not finite.

        The kernels look at each row as they read it, which costs nothing, where a look before
        would cost a pass over X.
        """
        model, training, source = self.model, self.training, self.model._source
        training.begin(refuses=self.data.samples is not None and not self.goes_on)
        before, history = training.snapshot, model.history_
        kept = (history, model._fitted, model._feature_names, model.stop_training)
        lengths = {name: len(values) for name, values in history.items()}
        position = random_sources.random_position(source) if self._may_fail_after_draws else None
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
                    random_sources.return_to_position(source, position)
            if isinstance(error, NotFinite):
                raise checks.not_finite(error.name, error.row, model.dtype) from None
            raise

    # Going on ---------------------------------------------------------------------------------

    def _shape(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on."""
        return {
            "batch_size": self.batch_size,
            "n_samples": None if self.data.samples is None else len(self.data.samples.X),
            "validation_fraction": self.data.fraction,
            "history": list(self._recorded),
            "callbacks": [type(callback).__name__ for callback in self._kept_callbacks],
            "random_state": random_sources.random_kind(self.model._source),
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
            "began_with": self.began_with,
            "random_position": random_sources.random_position(self.model._source),
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
        found = model_files.checkpoint(self.model, path, self._shape())
        names, self.reader.feature_names = (
            self.reader.feature_names,
            found["model"].get("feature_names", self.reader.feature_names),
        )
        self.reader.check_names("X", names)
        return found

    def _restore(self, found: dict[str, Any], source: Any) -> int:
        """Go back to where the checkpoint was written; return the epochs that were done."""
        model = self.model
        model_files.restore(model, found["model"])
        model.stop_training = found["stopped"]
        for callback, state in zip(self._kept_callbacks, found["callback_states"], strict=True):
            callback.restore(state)
        random_sources.return_to_position(source, found["random_position"])
        model_files.assign(model, found.get("began_with", {}), found["model"]["arguments"])
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
