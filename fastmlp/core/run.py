"""From Python into the kernels and back: threads, and runs short enough to interrupt."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from fastmlp.core.equations.losses import Loss, Targets
from fastmlp.core.equations.product import MOST_ROWS, ROW
from fastmlp.core.inputs.gather import SparseRows, rows_of
from fastmlp.core.inputs.nonzeros import DENSE, SPARSE, ZERO_RICH
from fastmlp.core.machine import processor
from fastmlp.core.machine.barrier import new_team
from fastmlp.core.machine.interrupts import Halted, stopped_by_signals
from fastmlp.core.machine.workers import as_a_team, shared_out
from fastmlp.core.optimizer_state import OptimizerState
from fastmlp.core.step import RandomDraws, Samples, predict_rows, train_steps
from fastmlp.core.storage import ForwardSpace, Network, Workspace

RUN_SECONDS = 0.1  # how long Ctrl-C, the progress bar and callbacks wait at the most
STEP_SECONDS = 0.3  # a longer step is stopped by Ctrl-C, and so copies what it changes before
# The guess for the first run, of a slow core in float32: what a multiply-add takes; what a row adds
# for each layer, for each unit, and for activations other than relu; what a step adds, and for each
# parameter. The first run is short, in case the guess is too low.
MULTIPLY_ADD, PER_ROW, PER_UNIT, PER_ACTIVATION = 1e-10, 2e-7, 1e-9, 2e-8  # seconds
PER_STEP, PER_PARAMETER = 2e-6, 1e-9
FIRST_RUN_SECONDS = 0.01
# A second worker gains from where its share of a step takes a few microseconds, for two meetings
# take one, and its share of the whole call half a millisecond, for a thread's start takes a tenth.
STEP_SHARE = 1e5  # multiply-adds
CALL_SHARE = 2e7
# Passing over zeros gains where less of X than this is not zero, half of it in minibatches of less
# than so many rows, and where minibatches and the first layer fill a tile: the benchmark
# `fit.EpochSkippingZeros` measures it. The share is estimated from so many rows.
DENSE_ENOUGH, FEW_ROWS, LOOKED_AT = 0.45, 32, 64
MOST_STEPS = 2**16  # of a run: each has its rate in memory
NOTHING_DRAWN = RandomDraws(0, 0, 0.0)
ALONE = new_team()  # of one who predicts, whom nobody stops
PREDICTED_TOGETHER = 64  # rows: enough for whole tiles, few enough for the nearest cache


class NotFinite(Exception):
    """A row of X holds NaN or infinity; `row` tells which, and `name` of what."""

    def __init__(self, row: int, name: str = "X"):
        super().__init__(row)
        self.row, self.name = row, name


class Diverged(Exception):
    """Something is not finite, and training ends; the message names it."""


@functools.cache
def no_targets(dtype: np.dtype) -> Targets:
    """Return the targets of predictions that nobody scores."""
    return Targets(np.empty(0, np.int64), np.empty(0, dtype), np.empty(0))


def workers_for(n_threads: int | None, network: Network, batch_size: int, n_samples: int) -> int:
    """Return how many workers train: n_threads, or as many as gain where it is None.

    Never more than this process may run at once, for they wait for one another at every step.
    """
    if batch_size == 1:  # one row, and its few weights, are one worker's share
        return 1
    if n_threads is not None:
        return min(n_threads, processor.usable_threads()) if n_threads > 1 else 1
    work = network.multiply_adds
    gaining = min(
        batch_size // MOST_ROWS,  # each has rows of its own
        work * batch_size // STEP_SHARE,
        work * n_samples // CALL_SHARE,
    )
    return int(min(gaining, processor.usable_threads())) if gaining > 1 else 1


def inputs_of(network: Network, X: np.ndarray | SparseRows, batch_size: int) -> int:
    """Return how the first layer reads X, a code of `nonzeros`: as its zeros make it quickest.

    Whatever the answer, the results are the same, to the last bit.
    """
    if isinstance(X, SparseRows):
        return SPARSE
    tile_columns = ROW.vectors * processor.LANES * 4 // network.dtype.itemsize
    if batch_size < MOST_ROWS or network.sizes[1] < tile_columns:
        return DENSE
    looked_at = X[:: max(1, -(-len(X) // LOOKED_AT))]
    shift = network.scaling[: network.sizes[0]]
    n_others = np.count_nonzero(looked_at - shift if shift.any() else looked_at)
    enough = DENSE_ENOUGH if batch_size >= FEW_ROWS else DENSE_ENOUGH / 2
    return ZERO_RICH if n_others < enough * looked_at.size else DENSE


class RunLength:
    """How long a step takes, by guess and then by measurement.

    Parameters
    ----------
    network : Network
    batch_size : int
    """

    def __init__(self, network: Network, batch_size: int):
        of_a_row = (
            network.multiply_adds * MULTIPLY_ADD * network.dtype.itemsize / 4
            + len(network.weights) * PER_ROW
            + sum(network.sizes) * (PER_UNIT if network.is_simple else PER_ACTIVATION)
        )
        n_parameters = sum((a + 1) * b for a, b in itertools.pairwise(network.sizes))
        of_a_step = PER_STEP + n_parameters * PER_PARAMETER
        self.step_seconds = batch_size * of_a_row + of_a_step
        self.is_guess = True

    @property
    def steps(self) -> int:
        """How many steps make a run of `RUN_SECONDS`, a short one at first; at least 1."""
        seconds = min(RUN_SECONDS, FIRST_RUN_SECONDS) if self.is_guess else RUN_SECONDS
        return max(1, min(int(seconds / self.step_seconds), MOST_STEPS))

    @property
    def is_long(self) -> bool:
        """Whether a single step takes so long that a signal must stop it, or may do so."""
        return self.step_seconds > (RUN_SECONDS / 2 if self.is_guess else STEP_SECONDS)

    def measured(self, steps: int, seconds: float) -> None:
        """Take over what a run took; one that was fast by chance makes the next not much longer."""
        self.step_seconds = max(seconds / steps, self.step_seconds / 8)
        self.is_guess = False


def train_run(
    network: Network,
    optimizer_state: OptimizerState,
    samples: Samples,
    work: Workspace,
    run_length: RunLength,
    first: int = 0,
    loss: float = 0.0,
    stops_within: bool = False,
) -> tuple[int, float]:
    """Train on minibatches of ``samples.order``, from number `first` on, for about `RUN_SECONDS`.

    Parameters
    ----------
    network : Network
        Its parameters are changed.
    optimizer_state : OptimizerState
        Its moments are changed, and its counts advance with every finished step.
    samples : Samples
    work : Workspace
        Overwritten. It has room for one minibatch and as many workers as train.
    run_length : RunLength
        Changed by what is measured.
    first : int, default 0
        Below the number of minibatches.
    loss : float, default 0.0
        The sum of the losses of samples before these.
    stops_within : bool, default False
        Whether a signal stops the run within a step.

    Returns
    -------
    last : int
        The number of the minibatch where the next run begins.
    loss : float
        `loss` plus the samples' losses, times their weights, each by the parameters of its step.

    Raises
    ------
    NotFinite
        Where a row of X holds NaN or infinity; the steps before it have changed the parameters.
    Diverged
        Where a loss is not finite; likewise.
    KeyboardInterrupt
        After the run in which it came, whose steps are finished; or within a step, if it stops
        there. Then the caller must restore parameters, moments and counts.
    Halted
        If it stops within a step, by a signal whose handler raised nothing. Likewise.
    """
    n_workers = len(work.status)
    last = min(first + run_length.steps, -(-len(samples.order) // samples.batch_size))
    optimizer = optimizer_state.steps(last - first, samples.draws is None)
    given = (network.parameters, optimizer, samples, work, first)

    def task(worker: int, n_workers: int, team: np.ndarray) -> float:
        return train_steps(worker, n_workers, team, *given, last, loss)

    work.status[...] = 0  # of a run before
    if run_length.is_guess:  # compile now, before threads wait for one another
        train_steps(0, 1, new_team(), *given, first, loss)
    began = time.perf_counter()
    if stops_within:
        total = stopped_by_signals(partial(as_a_team, n_workers, task))
    else:
        total = as_a_team(n_workers, task, new_team())
    refused = work.status.tolist()
    if any(refused):
        rows = [row - 1 for row in refused if row > 0]
        raise NotFinite(rows[0]) if rows else Diverged("the loss")
    run_length.measured(last - first, time.perf_counter() - began)
    return last, total


def predict(
    network: Network,
    X: np.ndarray | SparseRows,
    loss: Loss | None,
    n_threads: int | None,
    targets: Targets | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean that the network predicts for every row of X, and the rows' losses.

    The first is an array (n_samples, n_out), see `losses.predict_mean`; the second is empty
    without targets.

    Raises
    ------
    NotFinite
        Where a row of X holds NaN or infinity.
    """
    n = len(X)
    predictions = np.empty((n, network.sizes[-1]), network.dtype)
    losses = np.empty(0 if targets is None else n)
    inputs = inputs_of(network, X, PREDICTED_TOGETHER if n >= LOOKED_AT else 1)
    samples = Samples(
        *rows_of(X),
        network.scaling,
        no_targets(network.dtype) if targets is None else targets,
        loss,
        None if loss is None else NOTHING_DRAWN,
        np.arange(n, dtype=np.int64),
        PREDICTED_TOGETHER,
        inputs,
    )
    n_workers, blocks = 1, -(-n // PREDICTED_TOGETHER)
    if blocks > 1:
        n_workers = min(workers_for(n_threads, network, n, n), blocks)
    spaces = [_forward_space(network, X, inputs) for _ in range(n_workers)]

    def rows(first: int, last: int, worker: int = 0, team: np.ndarray = ALONE) -> float:
        return predict_rows(
            team, network.parameters, samples, spaces[worker], predictions, losses, first, last
        )

    try:
        refused = rows(0, n) if blocks == 1 else _predict_in_runs(network, n, n_workers, rows)
    finally:
        if inputs != SPARSE:
            network.give_back(spaces, inputs)
    if refused:
        raise NotFinite(int(refused) - 1)
    return predictions, losses


def _predict_in_runs(
    network: Network, n: int, n_workers: int, rows: Callable[[int, int, int, np.ndarray], float]
) -> float:
    """Call ``rows(first, last, worker, team)`` for shares of n rows, until one refuses a row.

    Returns what it returned: 1 + the first such row, or 0.
    """
    run_length, start = RunLength(network, PREDICTED_TOGETHER), 0
    while start < n:
        steps, began = run_length.steps, time.perf_counter()
        stop = min(start + n_workers * steps * PREDICTED_TOGETHER, n)
        shares = [start + (stop - start) * w // n_workers for w in range(n_workers + 1)]

        def share(worker: int, team: np.ndarray, shares: list[int] = shares) -> float:
            return rows(shares[worker], shares[worker + 1], worker, team)

        call = partial(shared_out, n_workers, share)
        try:
            refused = stopped_by_signals(call) if run_length.is_long else call(ALONE)
        except Halted:  # the handler raised nothing: run again, to the end
            refused = call(ALONE)
        if any(refused):
            return next(row for row in refused if row > 0)
        run_length.measured(steps, time.perf_counter() - began)
        start = stop
    return 0


def _forward_space(network: Network, X: np.ndarray | SparseRows, inputs: int) -> ForwardSpace:
    if isinstance(X, SparseRows):
        return network.workspace(PREDICTED_TOGETHER, 1, SPARSE, X.most_listed).forward
    return network.borrow(PREDICTED_TOGETHER, inputs)
