"""A round: every shard trains from one point, and the mean of theirs is the next.

Nothing here knows of Dask. `train`, `added` and `merged` are pure functions, so that a round has
the same bits wherever, and however often, its parts are computed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp import random_sources
from fastmlp.core.run import Diverged
from fastmlp.dask.points import Point, divided, point_of, put, summed
from fastmlp.dask.shards import Shard
from fastmlp.dask.steps import Drawn, Epochs, Steps
from fastmlp.metrics import Metric
from fastmlp.settings import Settings
from fastmlp.training.data import FitData
from fastmlp.training.epoch import evaluate
from fastmlp.training.fit import Fit, Plan
from fastmlp.training.samples import Data
from fastmlp.training.state import State
from fastmlp.validation import sample_weights


class Job(NamedTuple):
    """What all shards of a round have in common, apart from the point."""

    settings: Settings
    class_name: str
    n_shards: int
    local_epochs: int  # 1 with `local_steps`
    local_steps: int | None
    batch_size: int
    shuffle: bool | str
    seed: tuple[int, ...]  # words of 32 bits
    class_weights: np.ndarray | None  # (n_classes,)
    metrics: Sequence[Metric]
    rate_factor: float = 1.0  # of this round
    chains_orders: bool = False  # whether each epoch shuffles the order of the one before

    def stream(self, number: int, shard: int) -> np.random.RandomState:
        """Return the random numbers of a shard in the round, or the epoch, of this number."""
        return np.random.RandomState(np.array([*self.seed, number, shard], np.uint32))

    def state(self, point: Point, source: Any = None) -> State:
        """Return a state at a point."""
        state = State(self.settings, source, self.class_name)
        put(point, state)
        return state


def job_settings(settings: Settings) -> Settings:
    """Return settings without initial weights, which no round needs."""
    return dataclasses.replace(settings, init="xavier_normal")


class Trained(NamedTuple):
    """What the training of a shard returns."""

    point: Point
    loss: float  # of the last epoch, or of all steps
    weight: float  # of its samples, that the loss was divided by
    seconds: float
    is_dead: bool = False  # see `Trainer.is_dead`
    diverged: str = ""  # what was not finite


class Merged(NamedTuple):
    """What a round returns."""

    point: Point
    recorded: dict[str, float]  # the loss and the scores
    seconds: list[float]  # of the training of each shard
    is_dead: bool = False
    diverged: str = ""  # what was not finite, and where


def train(job: Job, point: Point, data: Data, number: int, shard: int) -> Trained:
    """Train on a shard for `local_epochs` or `local_steps`, in the round of this number.

    With several shards, shuffling, dropout and noise are drawn from the stream of ``[seed, number,
    shard]``. With one, the source of the network goes along with the point, as in `MLP.fit`.

    With `local_steps`, the orders of epochs are drawn from streams with their number in place of
    that of the round: those of the rounds if a round is an epoch.
    """
    began = time.perf_counter()
    if job.n_shards == 1:
        state = job.state(point, random_sources.from_dict(point.source))
    else:
        state = job.state(point, job.stream(number, shard))
        state.key = 0
        state.draw_key()
    state.optimizer.rate_factor *= job.rate_factor
    given = _data_for(job, state, point, data, number, shard)
    orders: Any = None
    if job.chains_orders and point.order is not None:
        from fastmlp.sklearn.draws import Orders  # imported here: it needs scikit-learn

        orders = Orders(len(data.X), point.order, True, state.source)
    given.give(data, _weighted(job, state, data), None, orders)
    is_dead = False

    def look(_: dict[str, float]) -> bool:
        nonlocal is_dead
        # That of the last epoch. A reference to `fit` would be a cycle, which keeps the samples.
        is_dead = is_dead or state.fit.trainer.is_dead
        return False

    plan = Plan(job.local_epochs, continues=True, warns=False, after_epoch=look)
    try:
        Fit(state, given, plan).run()
    except Diverged as error:
        return Trained(point, np.nan, 0.0, time.perf_counter() - began, diverged=str(error))
    weight = given.weight if isinstance(given, Steps) else _weight_of(state, given.weighted)
    found = point_of(state, with_source=job.n_shards == 1)
    found = found._replace(descent=found.descent | {"rate_factor": point.descent["rate_factor"]})
    if orders is not None:
        found = found._replace(order=orders.last)
    elif isinstance(given, Steps) and given.drawn is not None:
        if job.n_shards == 1:
            found = found._replace(order=given.drawn.order)
        elif isinstance(data, Shard):
            data.drawn = given.drawn
    seconds = time.perf_counter() - began
    return Trained(found, state.history["loss"][-1], weight, seconds, is_dead)


def _data_for(job: Job, state: State, point: Point, data: Data, number: int, shard: int) -> FitData:
    """Return what reads the samples of a round."""
    is_map = isinstance(data, Shard) and data.is_map  # shuffled in blocks, as by `MLP.fit`
    given = state, job.batch_size, "blocks" if is_map and job.shuffle is True else job.shuffle
    if job.local_steps is None:
        return Epochs(*given, continues=True)
    first, drawn = number * job.local_steps, None
    if job.n_shards == 1:
        if point.order is not None:
            last = (first - 1) // -(-len(data.X) // job.batch_size)
            drawn = Drawn(None, last, point.order)
        return Steps(*given, first, job.local_steps, None, lambda epoch: state.source, drawn)
    draws = state.key != 0

    def source_of(epoch: int) -> np.random.RandomState:
        source = job.stream(epoch, shard)
        if draws:  # the stream of a round begins with the key
            random_sources.random_key(source)
        return source

    drawn = data.drawn if isinstance(data, Shard) else None
    return Steps(*given, first, job.local_steps, (job.seed, draws), source_of, drawn)


def _weight_of(state: State, data: Data | None) -> float:
    """Return what the sum of the losses of an epoch was divided by."""
    assert data is not None
    weights = data.targets.weights
    if state.settings.l2_per_batch or len(weights) == 0:  # the losses are means of minibatches
        return float(len(data.X))
    return float(weights.sum())


def _weighted(job: Job, state: State, data: Data) -> Data:
    n_out = state.network.sizes[-1]
    found = sample_weights.class_weighted(
        data.targets, job.class_weights, state.loss, n_out, require_positive=False
    )
    return Data(data.X, found)


class Sum(NamedTuple):
    """The sum of the points of the first shards, and what else their training returned."""

    arrays: list[np.ndarray]  # in float64
    trained: list[Trained]  # whose points have no arrays

    @property
    def n_bytes(self) -> int:
        """The bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays)


def added(before: Sum | None, trained: Sequence[Trained]) -> Sum:
    """Return the sum with the next shards; `before` is not changed."""
    arrays = summed(before and before.arrays, [each.point for each in trained])
    light = [
        each._replace(point=each.point._replace(weights=[], biases=[], moments={}))
        for each in trained
    ]
    return Sum(arrays, [*(before.trained if before else ()), *light])


def merged(job: Job, before: Point, of_all: Sum, validation: Data | None) -> Merged:
    """Return the mean point for the sum of all shards, and its scores."""
    trained = of_all.trained
    seconds = [each.seconds for each in trained]
    for shard, each in enumerate(trained):
        if each.diverged:
            return Merged(before, {}, seconds, diverged=f"{each.diverged} of shard {shard}")
    last = max((each.point for each in trained), key=lambda point: point.descent["taken"])
    first = trained[0].point  # of the only shard, if its source and order go along
    point = divided(of_all.arrays, len(trained), before)._replace(
        descent=last.descent, source=first.source, order=first.order, key=first.key
    )
    rows = sum(each.point.seen - before.seen for each in trained)
    point = point._replace(seen=before.seen + rows)
    if job.n_shards > 1:
        point = point._replace(key=before.key)
    if not point.is_finite:
        return Merged(before, {}, seconds, diverged="a mean of weights or moments")
    total = sum(each.weight for each in trained)
    loss = np.nan  # of samples without weight
    if total > 0:
        loss = sum(each.loss * (each.weight / total) for each in trained)
    recorded = {"loss": loss}
    if validation is not None:
        loss, scores = evaluate(job.state(point), validation, job.metrics)
        if not np.isfinite(loss):
            return Merged(before, {}, seconds, diverged="the validation loss")
        recorded["validation_loss"] = loss
        recorded |= {f"validation_{name}": score for name, score in scores.items()}
    return Merged(point, recorded, seconds, all(each.is_dead for each in trained))
