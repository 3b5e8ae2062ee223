"""The loop of epochs, its history, and restoring the state after errors."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastmlp import random_sources
from fastmlp.core.machine.shares import running
from fastmlp.core.run import Diverged, NotFinite
from fastmlp.messages import must, shown, warn
from fastmlp.metrics import METRICS, Metric
from fastmlp.serialization import files
from fastmlp.training import checkpoint
from fastmlp.training.data import FitData
from fastmlp.training.epoch import DivergenceWarning, Trainer, evaluate
from fastmlp.training.samples import Data
from fastmlp.training.state import State
from fastmlp.training.state_dict import restore
from fastmlp.validation import checks

#: What epochs in one call take: much longer than to call it, but not so long that an interrupt or
#: going back is noticed.
TOGETHER_SECONDS, MOST_TOGETHER = 0.004, 64
DEAD = (  # the first epoch or round
    "after the first {} all units of a hidden layer are 0 for every row that was checked, so the "
    "network cannot learn: scale the inputs (input_scale=1/255 for bytes) or choose a smaller "
    "learning_rate, and train a new network"
)


class Plan(NamedTuple):
    """The options of a call of fit apart from its data."""

    epochs: int  # in total, including those before a checkpoint
    callbacks: Any = ()  # a CallbackList, or none
    metrics: Sequence[Metric] = ()
    scores_training: bool = False  # if there is no validation data
    continues: bool = False  # with the present history and weights, see `partial_fit`
    #: Called after each epoch with what it has recorded; returns whether training stops.
    after_epoch: Callable[[dict[str, float]], bool] | None = None
    #: Whether `after_epoch` depends on nothing that the epoch has changed, so that several epochs
    #: may be trained on before it is called for each. The data must have `FitData.order`.
    looks_back: bool = False
    warns: bool = True  # of divergence, which otherwise raises `Diverged`, and of dead layers


class Fit:
    """A call of fit.

    Parameters
    ----------
    state : State
        Changed.
    data : FitData
    plan : Plan
    known : Trainer, optional
        That of an earlier fit, which `run` uses if it can, or frees.

    Attributes
    ----------
    trainer : Trainer
        What `run` has trained with.
    at_epoch_end : bool
        Whether `checkpoint` may be called.
    """

    first_step: int | None = None
    _together = 1, 1.0  # the epochs of the last call, and the seconds of each
    epochs_done = 0
    at_epoch_end = False

    def __init__(self, state: State, data: FitData, plan: Plan, known: Trainer | None = None):
        self.state, self.data, self.plan, self.known = state, data, plan, known

    def run(self, resume: Any = None) -> None:
        """Train. An error before the first step leaves the state unchanged.

        Raises
        ------
        RuntimeError
            If another fit of this network is running.
        """
        state, callbacks = self.state, self.plan.callbacks
        if self.data.ends and self.plan.epochs > 1:
            requirement = "be a list of batches or a function that returns an iterator"
            got = f"an iterator, which ends after one of {self.plan.epochs} epochs"
            raise ValueError(must("X", requirement, got))
        found = self._found(resume)
        try:
            if vars(state).setdefault("fit", self) is not self:  # atomic, for several threads
                raise RuntimeError(
                    f"this {state.class_name} is already being trained: fit cannot be called by "
                    "its callbacks or by two threads at a time"
                )
            running.add(id(self))
            self.trainer = self._trainer()
            self._run_or_undo(found)
            if callbacks:
                callbacks.call("on_train_end", last_values(state.history))
        finally:
            if state.fit is self:
                try:
                    if callbacks:
                        callbacks.close()
                finally:
                    running.discard(id(self))
                    del state.fit

    def _trainer(self) -> Trainer:
        """Return a trainer: the one that is known, if it has the same batch size."""
        known, self.known = self.known, None  # freed before another one is created
        if known is not None and known.batch_size == self.data.batch_size:
            if not self.plan.continues:
                known.prepare()
            return known
        return Trainer(self.state, self.data.batch_size)

    def _run_or_undo(self, found: dict[str, Any] | None) -> None:
        """Train; undo everything after an early error, and for X that is not finite.

        The kernels check each row while reading it, at no cost; a check before the first step would
        read all of X an extra time.
        """
        state, trainer, source = self.state, self.trainer, self.state.source
        trainer.begin(undoes_all=self.data.samples is not None and not self.plan.continues)
        before = trainer.snapshot
        # Other threads draw from the global source too: only what resuming sets is set back.
        returns = found is not None or not random_sources.is_global(source)
        position = (
            random_sources.random_position(source)
            if returns and self._may_fail_after_draws(found)
            else None
        )
        try:
            self._run(found)
        except Exception as error:
            # Batches before a row that is not finite are kept.
            undoes_all = isinstance(error, NotFinite) and trainer.undoes_all
            if undoes_all or not self._has_begun:
                before.restore_all()
                if position is not None:
                    random_sources.return_to_position(source, position)
            if isinstance(error, NotFinite):
                raise checks.not_finite(error.name, error.row, state.network.dtype) from None
            raise

    def _may_fail_after_draws(self, found: dict[str, Any] | None) -> bool:
        """Whether an error is possible between the first random number and the first step.

        With finite samples only a checkpoint, held-out samples, initial weights and the user's own
        functions can raise one, and copying a random state takes longer than some steps.
        """
        data, plan = self.data, self.plan
        others = found or data.restarts or data.validates or plan.callbacks or plan.scores_training
        return bool(others) or not data.is_finite or callable(self.state.settings.learning_rate)

    @property
    def _has_begun(self) -> bool:
        """Whether there has been a step."""
        return self.first_step is not None and self.state.optimizer.taken > self.first_step

    # The epochs -------------------------------------------------------------------------------

    def _run(self, found: dict[str, Any] | None) -> None:
        state, data, source = self.state, self.data, self.state.source
        epochs, callbacks = self.plan.epochs, self.plan.callbacks
        if data.restarts:
            state.draw_parameters()
        state.draw_key()  # dropout may have been assigned since
        if found is not None:
            random_sources.return_to_position(source, found["began_at"])
        if callbacks:  # only they write checkpoints, and this takes as long as several steps
            self.began_at = random_sources.random_position(source)
            self.began_with = checkpoint.assignable(state)
        data.split(source)
        if not self.plan.continues:
            state.history = {name: [] for name in self._recorded}
        state.stop_training, state.is_fitted = False, True
        state.feature_names = data.reader.feature_names
        if callbacks:
            samples, recorded = data.n_trained_on, self._recorded
            callbacks.begin({"epochs": epochs, "samples": samples, "greater_is_better": recorded})
        if found is not None:
            self._resume(found)
        if data.restarts or found is not None:
            self.trainer.renew()
        if self.epochs_done < epochs and self.plan.metrics:
            self._try_metrics()
        self.first_step = state.optimizer.taken
        while self.epochs_done < epochs and not state.stop_training:
            n = self._n_together
            began = time.perf_counter()
            if n > 1:
                self._several_epochs(n)
            else:
                self._one_epoch(source)
            self._together = n, (time.perf_counter() - began) / n

    @property
    def _n_together(self) -> int:
        """How many epochs are next in one call: as many as take `TOGETHER_SECONDS`."""
        if not self.plan.looks_back or self.epochs_done == 0:
            return 1
        n, seconds = self._together
        most = min(self.plan.epochs - self.epochs_done, MOST_TOGETHER, 2 * n)
        return max(1, min(most, int(TOGETHER_SECONDS / seconds)))

    def _several_epochs(self, n: int) -> None:
        """Train for n epochs, and judge each; go back if the training stops before the last."""
        state, trainer = self.state, self.trainer
        orders: Any = self.data.order
        assert self.data.weighted is not None
        ahead = orders.ahead(n)
        try:
            losses = trainer.epochs(self.data.weighted, ahead)
        except Diverged:  # in one of them: the last finite epoch is found one by one
            self.plan = self.plan._replace(looks_back=False)
            return
        for i, loss in enumerate(losses):
            orders()
            self.epochs_done += 1
            state.history.setdefault("loss", []).append(loss)
            assert self.plan.after_epoch is not None
            if self.plan.after_epoch({"loss": loss}):
                state.stop_training = True
                if i < n - 1:
                    trainer.snapshot.restore()
                    trainer.epochs(self.data.weighted, ahead[: i + 1])
                return

    def _one_epoch(self, source: Any) -> None:
        state, callbacks, epoch, self.runs = self.state, self.plan.callbacks, self.epochs_done, 0
        if callbacks:
            callbacks.call("on_epoch_begin", epoch, {})
        self.epochs_done += 1
        try:
            loss = self.trainer.epoch(self.data.epoch(source), self._report if callbacks else None)
            recorded = self._scores(loss)
        except Diverged as error:
            if not self.plan.warns:
                raise
            state.stop_training = True
            warn(
                f"training has stopped because {error} was NaN or infinity: a smaller "
                "learning_rate, scaled inputs or clip_norm may help; the weights are the last "
                "finite ones",
                DivergenceWarning,
            )
            return
        finally:
            state.feature_names = self.data.reader.feature_names  # known after the first batch
        if self.trainer.is_dead and self.plan.warns:
            warn(DEAD.format("epoch"), RuntimeWarning)
        for name, value in recorded.items():
            state.history.setdefault(name, []).append(value)
        if self.plan.after_epoch is not None and self.plan.after_epoch(recorded):
            state.stop_training = True
        if callbacks:
            self.at_epoch_end = True
            callbacks.call("on_epoch_end", epoch, last_values(state.history))
            self.at_epoch_end = False

    def _report(self, done: int, loss: float) -> None:
        logs = {"samples": done, "loss": loss / done}
        self.plan.callbacks.call("on_train_batch_end", self.runs, logs)
        self.runs += 1

    # Scores -------------------------------------------------------------------------------------

    @property
    def _recorded(self) -> dict[str, bool]:
        """The names that each epoch records, and whether greater is better."""
        scores = {metric.name: metric.greater_is_better for metric in self.plan.metrics}
        if self.data.validates:
            found = {f"validation_{name}": greater for name, greater in scores.items()}
            return {"loss": False, "validation_loss": False} | found
        return {"loss": False} | (scores if self.plan.scores_training else {})

    @property
    def _scored(self) -> Data | None:
        """The data scored after each epoch: the validation data, or the training data."""
        if self.data.validation is not None:
            return self.data.validation
        return self.data.samples if self.plan.scores_training else None

    def _try_metrics(self) -> None:
        """Call custom metrics once before training, so that errors are found early."""
        if self._scored is not None:
            own = [metric for metric in self.plan.metrics if metric not in METRICS.values()]
            if own:
                evaluate(self.state, self._scored, own)

    def _scores(self, training_loss: float) -> dict[str, float]:
        """Return what the epoch records."""
        recorded, scored = {"loss": training_loss}, self._scored
        if scored is None:
            return recorded
        loss, scores = evaluate(self.state, scored, self.plan.metrics)
        if self.data.validation is None:
            return recorded | scores
        if not math.isfinite(loss):
            raise Diverged("the validation loss")
        found = {f"validation_{name}": score for name, score in scores.items()}
        return recorded | {"validation_loss": loss} | found

    # Checkpoints --------------------------------------------------------------------------------

    def _same(self) -> dict[str, Any]:
        """Return what must be equal to resume a fit, in addition to the network's arguments."""
        return {
            "batch_size": self.data.batch_size,
            "n_samples": None if self.data.samples is None else len(self.data.samples.X),
            "validation_fraction": self.data.fraction,
            "history": list(self._recorded),
            "callbacks": self.plan.callbacks.kept_names,
            "random_state": random_sources.random_kind(self.state.source),
        }

    def checkpoint(self) -> dict[str, Any]:
        """Return what the rest of this fit depends on, except arguments and the state."""
        return self._same() | {
            "epochs_done": self.epochs_done,
            "stopped": self.state.stop_training,
            "began_at": self.began_at,
            "began_with": self.began_with,
            "random_position": random_sources.random_position(self.state.source),
            "callback_states": self.plan.callbacks.states(),
        }

    def _found(self, resume: Any) -> dict[str, Any] | None:
        """Return the checkpoint to resume from, if there is one."""
        if resume is None or resume is False:
            return None
        if resume is True:
            path = self.plan.callbacks.latest_checkpoint()
            if path is None:
                return None
        elif not isinstance(resume, (str, os.PathLike)):
            raise TypeError(must("resume", "be None, True, False or a path", shown(resume)))
        else:
            path = files.file_name(resume, "resume")
        found, reader = checkpoint.read(path, self.state, self._same()), self.data.reader
        given = reader.feature_names
        reader.feature_names = found["model"].get("feature_names", given)
        reader.check_names("X", given)
        return found

    def _resume(self, found: dict[str, Any]) -> None:
        """Restore the state of the checkpoint."""
        state = self.state
        restore(state, found["model"])
        state.stop_training = found["stopped"]
        self.plan.callbacks.restore(found["callback_states"])
        random_sources.return_to_position(state.source, found["random_position"])
        checkpoint.assign(state, found.get("began_with", {}), found["model"]["arguments"])
        self.epochs_done = found["epochs_done"]


def last_values(history: dict[str, list[float]]) -> dict[str, float]:
    """Return what the last epoch recorded."""
    return {name: values[-1] for name, values in history.items() if values}
