"""Training in rounds: the loop, its history, its checkpoints, and going back after errors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastmlp import random_sources
from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.core.run import Diverged
from fastmlp.dask import rates
from fastmlp.dask.connection import ClusterLost
from fastmlp.dask.points import Point, point_of, put
from fastmlp.dask.rounds import Job, Merged, job_settings
from fastmlp.dask.shards import Size
from fastmlp.messages import warn
from fastmlp.metrics import Metric
from fastmlp.serialization import model_files
from fastmlp.training import checkpoint, state_dict
from fastmlp.training.epoch import DivergenceWarning
from fastmlp.training.fit import DEAD
from fastmlp.training.state import Snapshot, State
from fastmlp.validation import sample_weights

LEAST_SECONDS = 1.0  # that a round should compute


class ShortRoundsWarning(UserWarning):
    """Rounds compute for so short a time that passing the weights on takes as long."""

    __module__ = "fastmlp.dask"  # its public name, also in pickles


class Runner(Protocol):
    """Where rounds are computed: in this process, or on a cluster."""

    n_bytes_moved: int  # by the last round
    n_at_once: int | None  # shards that are trained on at the same time; None without a cluster

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""


class Options(NamedTuple):
    """The options of a call of fit, checked."""

    n_shards: int
    local_epochs: int
    local_steps: int | None  # in place of epochs
    rounds: int
    batch_size: int
    shuffle: bool | str
    rate_factor: float
    class_weight: Any
    metrics: Sequence[Metric]
    validates: bool
    checkpoint: str | None
    feature_names: list[str] | None  # of the columns of X, if they have names
    classes: Sequence[str] = ()  # of an estimator


class Rounds:
    """A call of `fastmlp.dask.fit`, after its data have been read.

    Parameters
    ----------
    state : State
        Changed, after each round.
    options : Options
    sizes : list of Size
        Of all shards.
    runner : Runner
    callbacks : CallbackList
    after_round : callable, optional
        Called after each round with what it has recorded; returns whether training stops. With it,
        divergence raises `Diverged`.
    order : array of int, optional
        The rows of the only shard, in the order that the first epoch shuffles; each of the others
        shuffles that of the one before. By default each epoch draws a new order.
    """

    at_epoch_end = False  # callbacks save networks, not checkpoints of `MLP.fit`
    rounds_done = 0
    _rounds_here = 0  # in this call, without those of a checkpoint
    _written: str | None = None  # the file with the rounds that are done

    def __init__(
        self,
        state: State,
        options: Options,
        sizes: Sequence[Size],
        runner: Runner,
        callbacks: CallbackList,
        after_round: Callable[[dict[str, float]], bool] | None = None,
        order: np.ndarray | None = None,
    ):
        self.state, self.options, self.runner = state, options, runner
        self.callbacks, self.after_round, self.order = callbacks, after_round, order
        self._chains_orders = order is not None
        self.n_samples = sum(size.n_samples for size in sizes)
        self._class_weights = _class_weights(options.class_weight, sizes)
        _check_weights(self._class_weights, sizes)

    def run(self, resumes_from: str | None) -> None:
        """Train. An error before a round is done, also one of the checkpoint, changes nothing."""
        state = self.state
        found = None
        if resumes_from is not None:
            found = checkpoint.read(resumes_from, state, self._same(), "rounds")
            self._written = resumes_from
        try:
            if vars(state).setdefault("fit", self) is not self:  # atomic, for several threads
                raise RuntimeError(f"this {state.class_name} is already being trained")
            self._run_or_undo(found)
            self.callbacks.call("on_train_end", _last(state.history))
        finally:
            if state.fit is self:
                try:
                    self.callbacks.close()
                finally:
                    del state.fit

    def _run_or_undo(self, found: dict[str, Any] | None) -> None:
        source, before = self.state.source, Snapshot(self.state)
        before.take_all()
        position = random_sources.random_position(source)
        try:
            self._run(found)
        except BaseException:
            if self.rounds_done == 0:
                _finished(before.restore_all)
                if not random_sources.is_global(source):  # which others draw from
                    random_sources.return_to_position(source, position)
            raise

    def _run(self, found: dict[str, Any] | None) -> None:
        state, options = self.state, self.options
        if state.is_fitted and not state.settings.warm_start:
            state.draw_parameters()
        # Of one shard, the source goes along with the point.
        words = state.source.bytes(8) if options.n_shards > 1 else bytes(8)
        self.seed = int.from_bytes(words[:4], "little"), int.from_bytes(words[4:], "little")
        self._began_with = checkpoint.assignable(state)
        state.history = {name: [] for name in self._recorded}
        state.stop_training, state.is_fitted = False, True
        state.feature_names = options.feature_names
        epochs, samples = options.rounds, self.n_samples
        self.callbacks.begin(
            {"epochs": epochs, "samples": samples, "greater_is_better": self._recorded}
        )
        if found is not None:
            self._resume(found)
            state.feature_names = options.feature_names
        while self.rounds_done < options.rounds and not state.stop_training:
            self._one_round()

    def _one_round(self) -> None:
        state, number = self.state, self.rounds_done
        self.callbacks.call("on_epoch_begin", number, {})
        point = point_of(state, with_source=self.options.n_shards == 1)._replace(order=self.order)
        began = time.perf_counter()
        try:
            merged = self.runner.round(self._job(number), point, number)
        except ClusterLost as error:
            raise ClusterLost(f"{error}; {self._kept()}") from error.__cause__
        seconds = time.perf_counter() - began
        if merged.diverged and self.after_round is not None:
            raise Diverged(merged.diverged)
        if merged.diverged:
            state.stop_training = True
            warn(
                f"training has stopped because {merged.diverged} was NaN or infinity in round "
                f"{number}: a smaller learning_rate or scale_rate, scaled inputs or clip_norm may "
                "help; the weights are those of the round before",
                DivergenceWarning,
            )
            return
        _finished(lambda: self._take(merged, number))
        if merged.is_dead:
            first = "epoch" if self.options.local_steps is None else "round"
            warn(DEAD.replace("the first epoch", f"the first {first}"), RuntimeWarning)
        self._rounds_here += 1
        if self._rounds_here == 2:  # the first may have compiled
            self._warn_if_short(seconds, merged.seconds)
        if self.after_round is not None and self.after_round(merged.recorded):
            state.stop_training = True
        self.callbacks.call("on_epoch_end", number, _last(state.history))
        if self.options.checkpoint is not None:
            model_files.save(self.checkpoint(), self.options.checkpoint)
            self._written = self.options.checkpoint

    def _take(self, merged: Merged, number: int) -> None:
        """Make the result of a round the state; doing it again changes nothing."""
        put(merged.point, self.state)
        if merged.point.source is not None:
            position = merged.point.source["state"]
            random_sources.return_to_position(self.state.source, position)
        self.order = merged.point.order
        for name, value in merged.recorded.items():
            self.state.history[name][number:] = [value]
        self.rounds_done = number + 1

    def _warn_if_short(self, seconds: float, of_shards: Sequence[float]) -> None:
        """Say how many epochs or steps a round would need to compute for a second."""
        if self.runner.n_at_once is None:
            return
        computed = max(sum(of_shards) / self.runner.n_at_once, *of_shards)
        if computed < LEAST_SECONDS:
            name = "local_epochs" if self.options.local_steps is None else "local_steps"
            needed = math.ceil(getattr(self.options, name) * LEAST_SECONDS / computed)
            warn(
                f"a round took {seconds:.2g} s, of which {computed:.2g} s were training: with "
                f"{name}={needed} it would train for {LEAST_SECONDS:.0f} s",
                ShortRoundsWarning,
            )

    def _kept(self) -> str:
        """Say what is left after the loss of a cluster, and how to go on."""
        done = f"{self.rounds_done} of {self.options.rounds} rounds are done and kept"
        path = self.options.checkpoint
        if path is None:
            return f"{done}; with a `checkpoint`, another call could resume"
        if self._written is None:
            return done
        resume = True if self._written == path else self._written
        return f"{done}; to go on, call fit with checkpoint={path!r} and resume={resume!r}"

    def _job(self, number: int) -> Job:
        options = self.options
        return Job(
            job_settings(self.state.settings),
            self.state.class_name,
            options.n_shards,
            options.local_epochs,
            options.local_steps,
            options.batch_size,
            options.shuffle,
            self.seed,
            self._class_weights,
            options.metrics,
            rates.factor_of_round(options.rate_factor, number),
            self._chains_orders,
        )

    @property
    def _recorded(self) -> dict[str, bool]:
        """The names that each round records, and whether greater is better."""
        if not self.options.validates:
            return {"loss": False}
        scores = {f"validation_{m.name}": m.greater_is_better for m in self.options.metrics}
        return {"loss": False, "validation_loss": False} | scores

    # Checkpoints --------------------------------------------------------------------------------

    def _same(self) -> dict[str, Any]:
        """Return what must be equal to resume, in addition to the network's arguments."""
        return {
            "batch_size": self.options.batch_size,
            "n_samples": self.n_samples,
            "n_shards": self.options.n_shards,
            "local_epochs": self.options.local_epochs,
            "local_steps": self.options.local_steps,
            "rate_factor": self.options.rate_factor,
            "classes": list(self.options.classes),
            "history": list(self._recorded),
            "callbacks": self.callbacks.kept_names,
            "random_state": random_sources.random_kind(self.state.source),
        }

    def checkpoint(self) -> dict[str, Any]:
        """Return the network, and what the next rounds depend on besides."""
        return state_dict.to_dict(self.state) | {
            "rounds": self._same()
            | {
                "rounds_done": self.rounds_done,
                "seed": list(self.seed),
                "stopped": self.state.stop_training,
                "began_with": self._began_with,
                "random_position": random_sources.random_position(self.state.source),
                "callback_states": self.callbacks.states(),
                "order": self.order,
            }
        }

    def _resume(self, found: dict[str, Any]) -> None:
        """Restore the state of the checkpoint."""
        state = self.state
        state_dict.restore(state, found["model"])
        state.stop_training = found["stopped"]
        self.callbacks.restore(found["callback_states"])
        random_sources.return_to_position(state.source, found["random_position"])
        checkpoint.assign(state, found["began_with"], found["model"]["arguments"])
        self.rounds_done, self.seed = found["rounds_done"], tuple(found["seed"])
        self.order = found["order"]


def _class_weights(class_weight: Any, sizes: Sequence[Size]) -> Any:
    """Return the weight of each class, which "balanced" counts in all shards."""
    if class_weight is None:
        return None
    counts = [size.of_classes for size in sizes]
    return sample_weights.weights_of_classes(class_weight, sum(counts))  # type: ignore[arg-type]


def _check_weights(class_weights: np.ndarray | None, sizes: Sequence[Size]) -> None:
    """Raise ValueError if the weights of all samples together are 0 or infinite."""
    weights = np.array([size.weight for size in sizes])
    if class_weights is None:
        name = "sample_weight"
    else:
        is_given = (weights != [size.n_samples for size in sizes]).any()
        name = "sample_weight times class_weight" if is_given else "class_weight"
        weights = np.array([size.weight_of_classes for size in sizes]) @ class_weights
    sample_weights.check_sum(name, weights, require_positive=True)


def _finished(action: Callable[[], None]) -> None:
    """Call what may be called twice, and again if Ctrl-C interrupts it."""
    try:
        action()
    except KeyboardInterrupt:
        action()
        raise


def _last(history: dict[str, list[float]]) -> dict[str, float]:
    return {name: values[-1] for name, values in history.items() if values}
