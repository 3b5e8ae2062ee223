"""The two-phase step for a run of minibatches, and prediction for a range of rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.equations.losses import (
    Loss,
    Targets,
    means_and_losses,
    of_rows,
    outputs_together,
    predict_means,
)
from fastmlp.core.equations.norms import measure_penalty, penalizes_per_batch, penalty
from fastmlp.core.equations.product import share
from fastmlp.core.equations.update_rules import ROWS, STEPS
from fastmlp.core.inputs.gather import Sparse, gather
from fastmlp.core.inputs.nonzeros import UNKNOWN, inputs_of_row
from fastmlp.core.machine.barrier import begin, decide_to_end, ends, wait_for_all, worker_slice
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import smaller
from fastmlp.core.machine.structure import by_address
from fastmlp.core.rows_phase import forward_rows, rows_phase
from fastmlp.core.weights_phase import weights_phase

ROWS_TOGETHER = 256  # of a worker's share: their activations stay in the cache between layers


@by_address
class RandomDraws(NamedTuple):
    """What the random numbers of training depend on, besides layer, sample and unit."""

    key: int  # 64 random bits
    row: int  # the number of rows trained on before this epoch
    input_noise: float  # the standard deviation of the noise added to X; 0 for none


@by_address
class Samples(NamedTuple):
    """What is trained on, and in which order."""

    X: np.ndarray | None  # (n_samples * n_in,), or None if sparse; see `gather.rows_of`
    sparse: Sparse | None  # None if X is not
    scaling: np.ndarray  # (2 * n_in,) or empty: how X is scaled, see `gather.gather`
    targets: Targets
    loss: Loss | None  # None for softmax, where everything else is basic; see `losses`
    draws: RandomDraws | None  # None if nothing is drawn and everything else is basic
    order: np.ndarray  # (n,), int64: rows of X, minibatch after minibatch
    batch_size: int
    inputs: int  # how the first layer reads X: a code of `nonzeros`
    # With several epochs in `order`: the rows of each, and where the loss of each is stored.
    epoch_rows: int = 0  # 0 for all rows
    epoch_losses: np.ndarray = np.empty(0)  # float64

    @property
    def n_steps(self) -> int:
        """The number of minibatches in all epochs."""
        rows = self.epoch_rows or len(self.order)
        return -(-rows // self.batch_size) * (len(self.order) // rows)


class Minibatch(NamedTuple):
    """Which rows make a step."""

    start: int  # where in `Samples.order` they begin
    n_rows: int
    scale: float  # of their losses: 1 / n_rows, or 1 / the sum of their weights


@kernel(entry=True)
def train_steps(worker, parameters, optimizer, samples, work, first_step, last_step, loss):
    """Train on the minibatches first_step to last_step, as one of the workers of a team.

    Every step has two phases. **Rows**: each worker takes a share of the minibatch's rows, and
    computes their activations, losses and deltas through all layers, from the old weights.
    **Weights**: each worker takes a share of every layer's weights, and changes it by the gradient
    summed over all rows. No element is written by two workers and every sum has one order, so the
    result has the same bits for any number of workers.

    Parameters
    ----------
    worker : barrier.Worker
        Its team is changed.
    parameters : flat array
        Every layer's weights and biases; changed.
    optimizer : update_rules.Optimizer
        Its moments are changed, and its counts advance with every step.
    samples : Samples
        Read, except for `epoch_losses`.
    work : Workspace
        Overwritten. ``work.status``, 0 at first, becomes 1 + a row of X with NaN or infinity, or
        `DIVERGED` if a loss is not finite: then this step and later ones change no parameter. If
        the team was told to stop it becomes `HALTED`, and the parameters are undefined.
    first_step, last_step : int
        It ends earlier if ``worker.team[DEADLINE]`` has passed and workers wait for each other.
    loss : float
        The sum of the losses before the first step.

    Returns
    -------
    float
        For worker 0, `loss` plus the losses of the samples, times their weights, each with the
        parameters of its step; with `l2_per_batch` instead plus the minibatches' mean losses,
        including penalties, times their numbers of rows. The losses of epochs that have ended are
        in ``samples.epoch_losses`` instead, if there are several. For the others, `loss`.
    """
    if not begin(worker):
        return loss
    waits = 0
    start, epoch_end = _place(samples, first_step)
    for step in range(first_step, last_step):
        n_rows = smaller(samples.batch_size, epoch_end - start)
        minibatch = Minibatch(start, n_rows, _scale(samples, start, n_rows))
        first, last = share(n_rows, worker)
        for block in range(first, last, ROWS_TOGETHER):
            end = smaller(block + ROWS_TOGETHER, last)
            if work.status[worker.number] == 0:
                rows_phase(worker, parameters, samples, work, minibatch, block, end)
        sums = worker_slice(work.sums, worker)
        measure_penalty(optimizer.options, work.forward.layers, parameters, sums, worker)
        waits += 1
        decide_to_end(worker)
        wait_for_all(worker, waits)
        is_last = ends(worker)
        for w in range(worker.n_workers):
            if work.status[w] != 0:
                return loss
        if worker.number == 0:
            loss = _add_losses(optimizer.options, work, minibatch, loss)
            if start + n_rows == epoch_end and len(samples.epoch_losses) > 0:
                samples.epoch_losses[epoch_end // samples.epoch_rows - 1] = loss
                loss = 0.0
        start += n_rows
        if start == epoch_end:
            epoch_end += samples.epoch_rows
        waits = weights_phase(
            worker, parameters, optimizer, samples, work, minibatch, step - first_step, waits
        )
        if worker.number == 0:  # not in Python, where an interrupt could come in between
            optimizer.counts[STEPS] += 1
            optimizer.counts[ROWS] += n_rows
        waits += 1
        wait_for_all(worker, waits)
        if is_last:
            break
    return loss


@kernel
def _place(samples, step):
    """Return where in the order the rows of a step begin, and where those of its epoch end."""
    rows = samples.epoch_rows
    if rows == 0:
        return step * samples.batch_size, len(samples.order)
    steps = (rows + samples.batch_size - 1) // samples.batch_size  # of an epoch
    epoch = step // steps
    return epoch * rows + (step - epoch * steps) * samples.batch_size, (epoch + 1) * rows


@kernel
def _add_losses(options, work, minibatch, loss):
    """Return `loss` plus that of the minibatch, which worker 0 adds up."""
    if not penalizes_per_batch(options):
        for i in range(minibatch.n_rows):
            loss += work.losses[i]
        return loss
    total = 0.0
    for i in range(minibatch.n_rows):
        total += work.losses[i]
    return loss + minibatch.n_rows * minibatch.scale * (total + penalty(options))


@kernel
def _scale(samples, start, n_rows):
    """Return 1 / n_rows or, if samples have weights, 1 / their sum, or 0 if that is 0."""
    total = 1.0 * n_rows
    if len(samples.targets.weights) > 0:
        total = 0.0
        for i in range(start, start + n_rows):
            total += samples.targets.weights[samples.order[i]]
    return 1 / total if total > 0 else 0.0


@kernel(entry=True)
def predict_rows(team, parameters, samples, space, predictions, losses, first, last):
    """Store the mean that the last activation predicts, for the rows first to last.

    Parameters
    ----------
    team : int64 array
        Of `barrier.new_team`; only read: if its ``team[STOPPED]`` is set, the result is undefined.
    parameters : flat array
        Read.
    samples : Samples
        Read; the order is 0, 1, 2, ..., and there may be no targets.
    space : ForwardSpace
        Overwritten; for minibatches of ``samples.batch_size`` rows.
    predictions : array (n_samples, n_out)
        Rows first to last are overwritten; see `losses.predict_means`.
    losses : float64 array
        Likewise, with the loss of each row; empty if there are no targets.
    first, last : int

    Returns
    -------
    int
        1 + a row of X with NaN or infinity, 0 if there is none.
    """
    output = space.layers[len(space.layers) - 1]
    row = np.int64(0)  # with a literal, all that is called would be compiled again
    for start in range(first, last, samples.batch_size):
        n_rows = smaller(samples.batch_size, last - start)
        minibatch, inputs = Minibatch(start, n_rows, 0.0), samples.inputs
        if inputs == UNKNOWN and n_rows > 1:
            gather(
                space.layers[0], samples.X, samples.scaling, samples.order, start,
                space.activations, row, row + 1,
            )  # fmt: skip
            inputs = inputs_of_row(space.layers[0], space, row)
        bad_row = forward_rows(
            team, parameters, samples, space, space.activations[:0], minibatch, inputs, row, n_rows
        )
        if bad_row != 0:
            return bad_row
        for i in range(0, n_rows, output.rows_together):
            end = smaller(i + output.rows_together, n_rows)
            z = outputs_together(output, space.activations, i, end)
            if len(losses) > 0:
                rows = samples.order[start + i : start + end]
                means_and_losses(
                    samples.loss, z, output.n_out, samples.targets, rows,
                    losses[start + i : start + end],
                )  # fmt: skip
            else:
                partitions = of_rows(losses)
                predict_means(samples.loss, z, output.n_out, partitions[: end - i])
            at = (start + i) * output.n_out
            for e in range((end - i) * output.n_out):
                predictions[at + e] = z[e]
    return 0
