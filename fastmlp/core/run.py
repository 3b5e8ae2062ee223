"""Run the kernels from Python, in calls that are short enough to interrupt."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fastmlp.core import step
from fastmlp.core.equations.losses import Loss, Targets
from fastmlp.core.equations.product import MOST_ROWS
from fastmlp.core.inputs.gather import SparseRows, rows_of
from fastmlp.core.inputs.nonzeros import DENSE, DENSE_ENOUGH, SPARSE, UNKNOWN, ZERO_RICH
from fastmlp.core.machine import processor, shares
from fastmlp.core.machine.barrier import DEADLINE, Worker, new_team
from fastmlp.core.machine.interrupts import Halted, stopped_by_signals
from fastmlp.core.machine.kernel import DirectCalls
from fastmlp.core.machine.workers import run_independently, run_team
from fastmlp.core.optimizer_state import OptimizerState
from fastmlp.core.pace import Pace
from fastmlp.core.step import RandomDraws, Samples
from fastmlp.core.storage import Network, Workspace

# The estimate for the first run, for a slow core and float32: the time of a multiply-add; what a
# row adds per layer, per unit, and per unit with activations other than relu; what a step adds, and
# per parameter.
MULTIPLY_ADD, PER_ROW, PER_UNIT, PER_ACTIVATION = 1e-10, 2e-7, 1e-9, 2e-8  # seconds
PER_STEP, PER_PARAMETER = 2e-6, 1e-9
# A second worker may pay off if its share of a step takes a few microseconds, because two barriers
# take one, and its share of the call half a millisecond, because starting a thread takes a tenth.
STEP_SHARE = 5e4  # multiply-adds
CALL_SHARE = 2e7
# In training, skipping zeros pays off if a smaller share of X is nonzero than `DENSE_ENOUGH`, or
# half of it for minibatches of fewer than `FEW_ROWS`, provided that minibatches and the first layer
# fill a tile: see the benchmark `fit.EpochSkippingZeros`. It is estimated from `LOOKED_AT` rows.
FEW_ROWS, LOOKED_AT = 32, 64
NOTHING_DRAWN = RandomDraws(0, 0, 0.0)
ALONE = new_team()  # for predictions, which are not stopped
PREDICTED_TOGETHER = 64  # rows: enough for whole tiles, few enough for the L1 cache
ROWS, NO_LOSSES = np.arange(PREDICTED_TOGETHER), np.empty(0)  # of so many predictions, unscored


class NotFinite(Exception):
    """Row `row` of the array `name` has NaN or infinity."""

    def __init__(self, row: int, name: str = "X"):
        super().__init__(row)
        self.row, self.name = row, name


class Diverged(Exception):
    """Training has diverged: what the message names is not finite."""


def _types_to_predict(
    team: np.ndarray, parameters: np.ndarray, samples: Samples, *others: Any
) -> tuple[Any, ...]:
    """Return what the types of all arguments of a kernel depend on."""
    X, values = samples.X, samples.targets.values
    return (
        parameters.dtype.num,
        -1 if X is None else X.dtype.num,
        values.dtype.num,
        samples.loss is None,
        samples.draws is None,
    )


def _types_to_train(
    worker: Worker, parameters: np.ndarray, optimizer: Any, samples: Samples, *others: Any
) -> tuple[Any, ...]:
    return _types_to_predict(worker.team, parameters, samples)


train_steps = DirectCalls(step.train_steps, _types_to_train)
predict_rows = DirectCalls(step.predict_rows, _types_to_predict)


@functools.cache
def no_targets(dtype: str) -> Targets:
    """Return the targets for predictions that are not scored."""
    return Targets(np.empty(0, np.int64), np.empty(0, dtype), np.empty(0))


def workers_for(n_threads: int | None, network: Network, batch_size: int, n_samples: int) -> int:
    """Return the largest number of workers: `workers_wanted`, or what this process may run.

    More than it may run concurrently would wait for each other in every step.
    """
    return usable_of(workers_wanted(n_threads, network, batch_size, n_samples))


def usable_of(wanted: int) -> int:
    """Return how many of the workers that are wanted may run concurrently."""
    if wanted <= 1 or shares.threads_of_this() == 1:
        return 1
    return min(wanted, shares.threads_of_this(processor.usable_threads()))


def workers_wanted(n_threads: int | None, network: Network, batch_size: int, n_samples: int) -> int:
    """Return n_threads or, if it is None, how many workers may pay off; at least 1."""
    if batch_size == 1:  # one row cannot be divided, and its update is short
        return 1
    if n_threads is not None:
        return n_threads
    work = network.multiply_adds
    useful = min(
        batch_size // MOST_ROWS,  # each needs rows
        work * batch_size // STEP_SHARE,
        work * n_samples // CALL_SHARE,
    )
    return max(1, int(useful))


def numbers_to_try(n_threads: int | None, most: int) -> list[int]:
    """Return the numbers of workers for `Pace`: only `most` if n_threads is given."""
    if n_threads is not None:
        return [most]
    return [*itertools.takewhile(lambda n: n < most, (2**i for i in itertools.count())), most]


def inputs_of(network: Network, X: np.ndarray | SparseRows, batch_size: int) -> int:
    """Return how the first layer reads X fastest, given its zeros: a code of `nonzeros`.

    The results have the same bits in any case.
    """
    if isinstance(X, SparseRows):
        return SPARSE
    if batch_size == 1 or not network.can_skip_zeros:
        return DENSE
    looked_at = X[:: max(1, -(-len(X) // LOOKED_AT))]
    if len(network.scaling) > 0:
        looked_at = looked_at - network.scaling[: network.sizes[0]]
    n_nonzero = np.count_nonzero(looked_at)
    enough = DENSE_ENOUGH if batch_size >= FEW_ROWS else DENSE_ENOUGH / 2
    return ZERO_RICH if n_nonzero < enough * looked_at.size else DENSE


def pace_of_training(
    network: Network, samples: Samples, X_dtype: np.dtype, numbers: list[int]
) -> Pace:
    """Return the pace of earlier fits of the same kind, or a new one."""
    key = (samples.batch_size, samples.inputs, X_dtype, samples.draws is None)
    known, pace = network.paces.get("train", (None, None))
    if pace is None or known != key:
        pace = Pace(estimate_step(network, samples.batch_size))
        network.paces["train"] = key, pace
    pace.allow(numbers)
    return pace


def estimate_step(network: Network, batch_size: int) -> float:
    """Return about how many seconds a step takes with one worker on a slow core."""
    of_a_row = (
        network.multiply_adds * MULTIPLY_ADD * network.dtype.itemsize / 4
        + len(network.weights) * PER_ROW
        + sum(network.sizes) * (PER_UNIT if network.is_simple else PER_ACTIVATION)
    )
    n_parameters = sum((a + 1) * b for a, b in itertools.pairwise(network.sizes))
    return batch_size * of_a_row + PER_STEP + n_parameters * PER_PARAMETER


def train_run(
    network: Network,
    optimizer_state: OptimizerState,
    samples: Samples,
    work: Workspace,
    pace: Pace,
    first: int = 0,
    loss: float = 0.0,
    stops_within: bool = False,
) -> tuple[int, float]:
    """Train on minibatches of ``samples.order``, from number `first` on, for one run.

    Parameters
    ----------
    network : Network
        Its parameters are changed.
    optimizer_state : OptimizerState
        Its moments are changed, and its counts advance with every completed step.
    samples : Samples
    work : Workspace
        Overwritten. It has room for one minibatch, and for as many workers as are to train.
    pace : Pace
        Gives the numbers of steps and workers, at most those of `work`; receives the measured time.
    first : int, default 0
        Below the number of minibatches.
    loss : float, default 0.0
        The sum of the losses of earlier samples.
    stops_within : bool, default False
        Whether a signal can stop the run within a step.

    Returns
    -------
    last : int
        The number of the minibatch where the next run begins.
    loss : float
        `loss` plus the losses of the samples, times their weights, each with the parameters of
        its step.

    Raises
    ------
    NotFinite
        If a row of X has NaN or infinity; the steps before it have changed the parameters.
    Diverged
        If a loss is not finite; likewise.
    KeyboardInterrupt
        After the run in which it came, or in which all fits that share threads were stopped, whose
        steps are completed; or within a step if `stops_within`, in which case the caller must
        restore parameters, moments and counts.
    Halted
        If a signal whose handler raised nothing stopped it within a step. Likewise.
    """
    n_workers = pace.n_workers
    last = min(first + pace.steps, samples.n_steps)
    optimizer = optimizer_state.steps(last - first, samples.draws is None)
    given = (network.parameters, optimizer, samples, work, first)

    def task(worker: Worker) -> float:
        if worker.number == 0 and worker.n_workers > 1:
            worker.team[DEADLINE] = processor.deadline(pace.most_seconds)
        return train_steps(worker, *given, last, loss)

    work.status[...] = 0
    if pace.is_estimate:  # compile now, before threads wait for each other
        train_steps(Worker(0, 1, new_team()), *given, first, loss)
    taken, seen = optimizer_state.taken, optimizer_state.rows_seen
    began = time.perf_counter()
    if stops_within:
        total = stopped_by_signals(partial(run_team, n_workers, task))
    else:
        total = run_team(n_workers, task, new_team())
    refused = work.status.tolist()
    if any(refused):
        rows = [row - 1 for row in refused if row > 0]
        raise NotFinite(rows[0]) if rows else Diverged("the loss")
    last = first + optimizer_state.taken - taken  # fewer if it was late
    seconds = time.perf_counter() - began
    pace.measured((optimizer_state.rows_seen - seen) / samples.batch_size, seconds)
    shares.raise_if_stopped()
    return last, total


def predict(
    network: Network,
    X: np.ndarray | SparseRows,
    loss: Loss | None,
    n_threads: int | None,
    targets: Targets | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean that the network predicts for each row of X, and the losses of the rows.

    The means are an array (n_samples, n_out), see `losses.predict_means`; the losses are empty if
    there are no targets.

    Raises
    ------
    NotFinite
        If a row of X has NaN or infinity.
    """
    n, (dense, sparse) = len(X), rows_of(X)
    predictions = np.empty((n, network.sizes[-1]), network.dtype)
    losses = NO_LOSSES if targets is None else np.empty(n)
    inputs = SPARSE if dense is None else UNKNOWN if network.can_skip_zeros else DENSE
    samples = Samples(
        dense,
        sparse,
        network.scaling,
        no_targets(network.dtype.char) if targets is None else targets,
        loss,
        None if loss is None else NOTHING_DRAWN,
        ROWS[:n] if n <= PREDICTED_TOGETHER else np.arange(n, dtype=np.int64),
        PREDICTED_TOGETHER,
        inputs,
    )
    most, blocks = 1, -(-n // PREDICTED_TOGETHER)
    if blocks > 1:
        most = min(workers_for(n_threads, network, n, n), blocks)
    most_listed = X.most_listed if isinstance(X, SparseRows) else 0
    spaces = network.borrow(most, PREDICTED_TOGETHER, inputs, most_listed)
    flat = predictions.reshape(-1)

    def rows(first: int, last: int, worker: int = 0, team: np.ndarray = ALONE) -> float:
        return predict_rows(
            team, network.parameters, samples, spaces[worker], flat, losses, first, last
        )

    try:
        if blocks == 1:
            refused = rows(0, n)
        else:
            key = (X.dtype, inputs, loss is None, targets is None)
            with _pace_of_predictions(network, key, numbers_to_try(n_threads, most)) as pace:
                refused = _predict_in_runs(pace, n, rows)
    finally:
        network.give_back(spaces, inputs)
    if refused:
        raise NotFinite(int(refused) - 1)
    return predictions, losses


@contextlib.contextmanager
def _pace_of_predictions(
    network: Network, key: tuple[Any, ...], numbers: list[int]
) -> Iterator[Pace]:
    """Yield the pace of earlier calls, which no other thread gets meanwhile, or a new one."""
    known, pace = network.paces.pop("predict", (None, None))
    if pace is None or known != key:
        pace = Pace(estimate_step(network, PREDICTED_TOGETHER))
    pace.allow(numbers)
    try:
        yield pace
    finally:
        network.paces["predict"] = key, pace


def _predict_in_runs(
    pace: Pace, n: int, rows: Callable[[int, int, int, np.ndarray], float]
) -> float:
    """Call ``rows(first, last, worker, team)`` for shares of n rows, until one returns nonzero.

    Returns that: 1 + the first row with NaN or infinity, or 0.
    """
    if pace.is_estimate:
        rows(0, 0, 0, ALONE)  # compiles
    start = 0
    while start < n:
        n_workers, began = pace.n_workers, time.perf_counter()
        stop = min(start + max(pace.steps, n_workers) * PREDICTED_TOGETHER, n)
        bounds = [start + (stop - start) * w // n_workers for w in range(n_workers + 1)]

        def share(worker: int, team: np.ndarray, bounds: list[int] = bounds) -> float:
            return rows(bounds[worker], bounds[worker + 1], worker, team)

        call = partial(run_independently, n_workers, share)
        try:
            refused = stopped_by_signals(call) if pace.is_long else call(ALONE)
        except Halted:  # the handler raised nothing: run again, to completion
            refused = call(ALONE)
        if any(refused):
            return next(row for row in refused if row > 0)
        pace.measured((stop - start) / PREDICTED_TOGETHER, time.perf_counter() - began)
        start = stop
    return 0
