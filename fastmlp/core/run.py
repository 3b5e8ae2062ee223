"""From Python into the kernels and back: threads, and runs short enough to interrupt (floor 3)."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from fastmlp.core import processor
from fastmlp.core.barrier import ABANDONED, BEGUN, STOPPED, new_team
from fastmlp.core.descent import Descent
from fastmlp.core.gather import SparseRows, rows_of
from fastmlp.core.lists import DENSE, SPARSE, ZERO_RICH
from fastmlp.core.losses import Loss, Targets
from fastmlp.core.product import MOST_ROWS, ROW
from fastmlp.core.step import Draws, Samples, predict_rows, train_steps
from fastmlp.core.storage import ForwardSpace, Network, Workspace

LOOK_UP_SECONDS = 0.05  # a longer wait for a thread cannot be interrupted on every system
RUN_SECONDS = 0.1  # how long Ctrl-C, the progress bar and callbacks wait at the most
STEP_SECONDS = 0.3  # a longer step is stopped by Ctrl-C, and so copies what it changes before
# The guess for the first run, of a slow core: what a multiply-add takes, what a row takes besides
# in each layer, and a step. Runs grow from there.
MULTIPLY_ADD, PER_ROW, PER_STEP = 1e-10, 2e-7, 2e-6  # seconds
# A second worker gains from where its share of a step takes a few microseconds, for two meetings
# take one, and its share of the whole call half a millisecond, for a thread's start takes a tenth.
STEP_SHARE = 1e5  # multiply-adds
CALL_SHARE = 2e7
# Passing over zeros gains where less of X than this is not zero, half of it in minibatches of less
# than so many rows, and where minibatches and the first layer fill a tile: the benchmark
# `fit.EpochSkippingZeros` measures it. The share is estimated from so many rows.
DENSE_ENOUGH, FEW_ROWS, LOOKED_AT = 0.45, 32, 64
MOST_STEPS = 2**16  # of a run: each has its rate in memory
NOTHING_DRAWN = Draws(0, 0, 0.0)
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
    """Return how the first layer reads X, a code of `lists`: as its zeros make it quickest.

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


def _together(
    n_workers: int, task: Callable[[int], float], team: np.ndarray | None = None
) -> list[float]:
    """Return ``[task(0), task(1), ...]``, called at once: the first here, the others in threads.

    Workers of a team wait for the one that is called here. Where it will not be, because a
    thread could not start or an interrupt came first, the team is abandoned.
    """
    results, errors = [0.0] * n_workers, []
    running: list[threading.Event] = []
    home, allowed = processor.here(), processor.allowed()

    def work(worker: int, finished: threading.Event) -> None:
        try:
            processor.bind(allowed, home, worker)
            results[worker] = task(worker)
        except BaseException as error:
            errors.append(error)
        finally:
            finished.set()

    def settle() -> None:
        if running:
            processor.unbind(allowed)
        if team is not None and team[BEGUN] == 0:
            team[BEGUN] = ABANDONED
        _wait(running)

    try:
        try:
            for worker in range(1, n_workers):
                finished = threading.Event()
                threading.Thread(target=work, args=(worker, finished), daemon=True).start()
                running.append(finished)
            if running:
                processor.bind(allowed, home, 0)
            results[0] = task(0)
        finally:
            settle()
    finally:
        settle()  # should an interrupt have come on the way into the first
    if errors:
        raise errors[0]
    return results


def _wait(running: list[threading.Event], stop: np.ndarray | None = None) -> None:
    """Wait until all have finished, and only then let an interrupt through.

    For events and not for threads: until Python 3.12, one whose join was interrupted counts as
    ended. An interrupt tells the team `stop` to stop.
    """
    interrupt = None
    for finished in running:
        while not finished.is_set():
            try:
                finished.wait(LOOK_UP_SECONDS)
            except BaseException as error:
                interrupt = error
                if stop is not None:
                    stop[STOPPED] = 1
    if interrupt is not None:
        raise interrupt


def _stoppable(call: Callable[[], list[float]], team: np.ndarray) -> list[float]:
    """Return ``call()``, made in a thread, while this one waits: an interrupt stops the team."""
    results: list[list[float]] = []
    errors: list[BaseException] = []
    go, finished = threading.Event(), threading.Event()
    running: list[threading.Event] = []

    def work() -> None:
        go.wait()
        try:
            if running:
                results.append(call())
        except BaseException as error:
            errors.append(error)
        finally:
            finished.set()

    try:
        try:
            threading.Thread(target=work, daemon=True).start()
            running.append(finished)  # from here on it will be waited for, and so may begin
        finally:
            go.set()
            _wait(running, team)
    finally:
        go.set()
        _wait(running, team)
    if errors:
        raise errors[0]
    return results[0]


class Pace:
    """How long a step takes, by guess and then by measurement.

    Parameters
    ----------
    network : Network
    batch_size : int
    """

    def __init__(self, network: Network, batch_size: int):
        of_a_row = network.multiply_adds * MULTIPLY_ADD + len(network.weights) * PER_ROW
        self.step_seconds = batch_size * of_a_row + PER_STEP
        self.is_measured = False

    @property
    def steps(self) -> int:
        """How many steps make a run of `RUN_SECONDS`; at least 1."""
        return max(1, min(int(RUN_SECONDS / self.step_seconds), MOST_STEPS))

    @property
    def is_long(self) -> bool:
        """Whether a single step takes so long that an interrupt must stop it."""
        return self.step_seconds > STEP_SECONDS

    def measured(self, steps: int, seconds: float) -> None:
        """Heed what a run took; one that was fast by chance makes the next not much longer."""
        self.step_seconds = max(seconds / steps, self.step_seconds / 8)
        self.is_measured = True


def train_run(
    network: Network,
    descent: Descent,
    samples: Samples,
    work: Workspace,
    pace: Pace,
    first: int = 0,
    loss: float = 0.0,
) -> tuple[int, float]:
    """Train on minibatches of ``samples.order``, from number `first` on, for about `RUN_SECONDS`.

    Parameters
    ----------
    network : Network
        Its parameters are changed.
    descent : Descent
        Its moments are changed, and its counts advance with every finished step.
    samples : Samples
    work : Workspace
        Overwritten. It has room for one minibatch and as many workers as train.
    pace : Pace
        Changed by what is measured.
    first : int, default 0
        Below the number of minibatches.
    loss : float, default 0.0
        The sum of the losses of samples before these.

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
        After the run in which it came, whose steps are finished. Where ``pace.is_long``, within
        the step: then parameters, moments and counts must be restored by the caller.
    """
    n_workers = len(work.refused)
    last = min(first + pace.steps, -(-len(samples.order) // samples.batch_size))
    optimizer = descent.steps(last - first, samples.draws is None)
    team = new_team()

    def task(worker: int, last: int = last) -> float:
        return train_steps(
            worker, n_workers, team, network.parameters, optimizer, samples, work, first, last, loss
        )

    if not pace.is_measured:  # compile now, before threads wait for one another
        task(0, first)
        team = new_team()
    began = time.perf_counter()
    together = partial(_together, n_workers, task, team)
    total = (_stoppable(together, team) if pace.is_long else together())[0]
    if work.refused.any():
        row = int(work.refused.max()) - 1
        raise NotFinite(row) if row >= 0 else Diverged("the loss")
    pace.measured(last - first, time.perf_counter() - began)
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
        rows_of(X),
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
    at_once = n_workers * max(1, int(RUN_SECONDS / MULTIPLY_ADD / network.multiply_adds))
    try:
        for start in range(0, n, at_once):
            stop = min(start + at_once, n)
            shares = [start + (stop - start) * w // n_workers for w in range(n_workers + 1)]

            def task(worker: int, shares: list[int] = shares) -> float:
                return predict_rows(
                    ALONE, network.parameters, samples, spaces[worker], predictions, losses,
                    shares[worker], shares[worker + 1],
                )  # fmt: skip

            refused = max(_together(n_workers, task)) if n_workers > 1 else task(0)
            if refused:
                raise NotFinite(int(refused) - 1)
    finally:
        if inputs != SPARSE:
            network.give_back(spaces, inputs)
    return predictions, losses


def _forward_space(network: Network, X: np.ndarray | SparseRows, inputs: int) -> ForwardSpace:
    if isinstance(X, SparseRows):
        return network.workspace(PREDICTED_TOGETHER, 1, SPARSE, X.most_listed).forward
    return network.borrow(PREDICTED_TOGETHER, inputs)
