"""Epochs of training, and the evaluation after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fastmlp.core.inputs.gather import SparseRows, rows_of
from fastmlp.core.inputs.nonzeros import DENSE, SPARSE
from fastmlp.core.machine.interrupts import Halted
from fastmlp.core.pace import Pace
from fastmlp.core.run import (
    Diverged,
    NotFinite,
    inputs_of,
    numbers_to_try,
    pace_of_training,
    train_run,
    usable_of,
    workers_wanted,
)
from fastmlp.core.step import RandomDraws, Samples
from fastmlp.core.storage import Workspace
from fastmlp.metrics import Metric
from fastmlp.training.reading import sparse_with_noise
from fastmlp.training.samples import Data, first_not_finite
from fastmlp.training.sources import Epoch
from fastmlp.training.state import Snapshot, State
from fastmlp.validation.targets import as_scored


class DivergenceWarning(RuntimeWarning):
    """Training stopped because a loss, a parameter or a moment was NaN or infinite."""

    __module__ = "fastmlp"  # its public name, also in pickles


class SizedWorkspace(NamedTuple):
    """A workspace, and the sizes of the minibatches that fit in it."""

    work: Workspace
    numbers: list[int]  # of workers, which may be tried
    inputs: int  # how the first layer reads X: a code of `nonzeros`
    batch_size: int
    most_listed: int  # nonzeros in a row of sparse X
    version: int  # of the `State`
    n_samples: int  # of the last dense block, if one worker trains on it; else 0
    n_bytes: int


_Result = TypeVar("_Result")
#: Called after every run with the samples of the epoch so far and the sum of their losses.
Report = Callable[[int, float], None]


class Trainer:
    """Epochs of one or several calls of fit.

    Parameters
    ----------
    state : State
        Changed.
    batch_size : int

    Attributes
    ----------
    snapshot : Snapshot
        The state at the last `begin`, at the start of the epoch, or before a long step.
    undoes_all : bool
        Whether a row of X that is not finite must restore the state of `begin`, however
        many steps came before it. Possible until another snapshot is taken.
    is_dead : bool
        Whether the first epoch of the network ended with unscaled inputs and all units of a hidden
        layer at 0.
    """

    def __init__(self, state: State, batch_size: int):
        self.state, self.batch_size = state, batch_size
        self.snapshot = Snapshot(state)
        self.undoes_all = self.is_dead = False
        self._is_fresh = False  # whether the snapshot equals the state
        self._sized: SizedWorkspace | None = None
        self.prepare()

    def prepare(self) -> None:
        """Prepare for a call of fit, whose X may be of another kind."""
        self.state.network.clear_padding()  # and every epoch keeps it zero
        self._pace: Pace | None = None
        self._has_looked = False  # whether `_sized.inputs` was chosen for X of this kind

    @property
    def n_bytes(self) -> int:
        """The size of the snapshot and the workspace."""
        sized = self._sized
        return self.state.network.trained.nbytes + (0 if sized is None else sized.n_bytes)

    def begin(self, undoes_all: bool) -> None:
        """Take a snapshot before any row is trained on."""
        self.snapshot.take_all()
        self.undoes_all, self._is_fresh = undoes_all, True

    def renew(self) -> None:
        """Begin from another state, keeping the snapshot of `begin` unchanged."""
        self.snapshot, self._is_fresh = Snapshot(self.state), False

    def epoch(self, blocks: Epoch, report: Report | None = None) -> float:
        """Train on all blocks of samples once; return the mean loss.

        After any error, parameters and moments are finite.

        Parameters
        ----------
        blocks : iterator of (Data, rows)
        report : callable, optional
            See `Report`.

        Raises
        ------
        NotFinite
            If a row of X is not finite.
        Diverged
            If a loss, a parameter or a moment is not finite.
        """
        is_first, data = self.state.rows_seen == 0, None

        def train() -> float:
            nonlocal data
            loss, total, done = 0.0, 0.0, 0
            for data, order in blocks:
                loss = self._train(data, order, done, loss, report)
                total = self._weight_of(data, order, total)
                done += len(order)
            return _mean(loss, total)

        mean = self._restored(train)
        self.undoes_all = False  # every row was read
        self.is_dead = is_first and data is not None and self.state.is_dead(data.X)
        return mean

    def epochs(self, data: Data, orders: list[np.ndarray]) -> list[float]:
        """Train on the samples once in each of the orders; return the mean losses.

        The parameters have the bits of as many calls of `epoch`; but after `Diverged` they are
        those before the first, not the last, order.
        """
        totals = [self._weight_of(data, order, 0.0) for order in orders]

        def train() -> list[float]:
            losses = np.zeros(len(orders))
            self._train(data, np.concatenate(orders), 0, 0.0, None, losses)
            return [*map(_mean, losses.tolist(), totals)]

        return self._restored(train)

    def _weight_of(self, data: Data, order: np.ndarray, before: float) -> float:
        """Return `before` plus what the sum of the losses of these samples is divided by."""
        if self.state.settings.l2_per_batch:  # the losses are means of minibatches
            return before + len(order)
        return data.weight_of(order, before)

    def _restored(self, train: Callable[[], _Result]) -> _Result:
        """Train after taking a snapshot, and restore it if the state is not finite.

        A context manager would take a microsecond longer, a fortieth of a call of `partial_fit`.
        """
        if not self._is_fresh:
            self.snapshot.take()
        self._is_fresh = False
        try:
            result = train()
        except Diverged:
            self.snapshot.restore()
            raise
        except BaseException:
            self._restore_if_not_finite()
            raise
        if self._restore_if_not_finite():
            raise Diverged("a weight or a moment of the optimizer")
        return result

    def _restore_if_not_finite(self) -> bool:
        if self.state.is_finite:
            return False
        self.snapshot.restore()
        return True

    def _train(
        self,
        data: Data,
        order: np.ndarray,
        done: int,
        loss: float,
        report: Report | None,
        losses: np.ndarray | None = None,
    ) -> float:
        """Train on one block; return `loss` plus the losses of its samples.

        With `losses` the order has so many epochs, whose losses are written there.
        """
        rows, seen = np.asarray(order, np.int64), self.state.rows_seen
        n_rows = len(rows) // (1 if losses is None else len(losses))
        batch_size, step = min(self.batch_size, n_rows), 0
        sized = self._sized_for(data)
        samples = self._samples(data, rows, batch_size, seen, sized.inputs, losses)
        while True:
            step, loss = self._run(data, samples, step, loss)
            if report is not None:
                report(done + min(step * batch_size, len(rows)), loss)
            if step >= samples.n_steps:
                return loss
            if sized.version != self.state.version:  # a callback has assigned something
                sized = self._sized_for(data)
                samples = self._samples(data, rows, batch_size, seen, sized.inputs, losses)

    def _samples(
        self,
        data: Data,
        rows: np.ndarray,
        batch_size: int,
        seen: int,
        inputs: int,
        losses: np.ndarray | None,
    ) -> Samples:
        state, plain = self.state, self.state.can_train_basic(data.targets)
        return Samples(
            *rows_of(data.X),
            state.network.scaling,
            data.targets,
            None if plain else state.loss,
            None if plain else RandomDraws(state.key, seen, state.settings.input_noise),
            rows,
            batch_size,
            inputs,
            *(() if losses is None else (len(rows) // len(losses), losses)),
        )

    def _run(self, data: Data, samples: Samples, step: int, loss: float) -> tuple[int, float]:
        """Train for one run; after an interrupt, only finished steps have changed the state."""
        state = self.state
        assert self._sized is not None
        numbers = self._sized.numbers
        if self._pace is None:
            self._pace = pace_of_training(state.network, samples, data.X.dtype, numbers)
        pace = self._pace
        pace.allow(numbers)
        arguments = (
            state.network,
            state.optimizer,
            samples,
            self._sized.work,
            pace,
            step,
            loss,
        )
        if not pace.is_long or samples.epoch_rows > 0:  # several epochs keep the first snapshot
            return train_run(*arguments)
        self._prepare_to_stop_within(data)
        try:
            return train_run(*arguments, stops_within=True)
        except BaseException as error:
            self.snapshot.restore()
            if not isinstance(error, Halted):
                raise
        return train_run(*arguments)  # the signal handler did not raise: continue training

    def _prepare_to_stop_within(self, data: Data) -> None:
        """Take the snapshot before the step, after checking that all rows are finite."""
        if self.undoes_all:
            row = first_not_finite(self.state.network, data.X)
            if row is not None:
                raise NotFinite(row)
            self.undoes_all = False
        if self.state.is_finite:
            self.snapshot.take()

    def _sized_for(self, data: Data) -> SizedWorkspace:
        """Return a workspace for minibatches of `data`, reusing the last one if possible."""
        state, X, old = self.state, data.X, self._sized
        sparse, most_listed = isinstance(X, SparseRows), 0
        known = old if self._has_looked and old and old.version == state.version else None
        if isinstance(X, SparseRows):
            most_listed = X.most_listed
        elif known is not None and len(X) == known.n_samples:
            return known  # as in calls of `partial_fit`
        batch_size = min(self.batch_size, len(X))
        noisy = state.settings.input_noise > 0  # noise makes X dense
        if sparse and noisy:
            raise sparse_with_noise("X")
        if known is not None and (known.inputs == SPARSE) == sparse:
            inputs = known.inputs
        else:
            inputs = DENSE if noisy else inputs_of(state.network, X, batch_size)
        wanted = workers_wanted(state.settings.n_threads, state.network, batch_size, len(X))
        n_workers = usable_of(wanted)
        if (
            old is None
            or old.version != state.version
            or old.inputs != inputs
            or old.batch_size < batch_size
            or old.most_listed < most_listed
            or len(old.work.status) < n_workers
        ):
            work = state.network.workspace(batch_size, n_workers, inputs, most_listed)
            self._sized = old = SizedWorkspace(
                work, [], inputs, batch_size, most_listed, state.version, 0, _n_bytes(work)
            )
        self._has_looked = True
        # The number of workers depends on how many threads may run now, unless one is wanted.
        n_samples = len(X) if not sparse and wanted == 1 else 0
        numbers = numbers_to_try(state.settings.n_threads, n_workers)
        self._sized = old = old._replace(numbers=numbers, n_samples=n_samples)
        return old


def _mean(loss: float, total: float) -> float:
    """Return the mean loss, 0 if all weights are; raise Diverged if it is not finite."""
    if not (math.isfinite(loss) and math.isfinite(total)):
        raise Diverged("the loss")
    return loss / total if total > 0 else 0.0


def _n_bytes(structure: Any) -> int:
    """Return the size of the arrays in a structure."""
    if isinstance(structure, np.ndarray):
        return structure.nbytes
    return sum(map(_n_bytes, structure))


def evaluate(state: State, data: Data, metrics: Sequence[Metric]) -> tuple[float, dict[str, float]]:
    """Return the mean loss, weighted by the samples' weights, and the value of each metric."""
    outputs, losses = state.outputs(data.X, data.targets)
    scored = as_scored(data.targets, outputs, state.loss)
    scores = {metric.name: metric(*scored) for metric in metrics}
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite loss ends training
        return float(np.average(losses, weights=scored[-1])), scores
