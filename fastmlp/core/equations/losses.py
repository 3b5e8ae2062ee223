"""The losses, and their derivatives with respect to the last activation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.equations.activations import RELU, STRIP, on_strip
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import larger, smaller
from fastmlp.core.machine.structure import by_address
from fastmlp.core.machine.tile import lanes_of
from fastmlp.core.machine.vector import on_stack
from fastmlp.core.maths.functions import exp, log1p, sigmoids

SOFTMAX, LOGISTIC, POISSON, SQUARED, ABSOLUTE, HUBER, PINBALL = range(7)

#: The names that users may pass, and the codes that kernels use.
LOSS_CODES = {
    "softmax": SOFTMAX,
    "logistic": LOGISTIC,
    "poisson": POISSON,
    "squared_error": SQUARED,
    "absolute_error": ABSOLUTE,
    "huber": HUBER,
    "pinball": PINBALL,
}


#: How a loss combines its outputs; `MIXED` is the mean, with the derivative of the sum.
MEAN, SUM, MIXED = range(3)
REDUCTIONS = {"mean": MEAN, "sum": SUM, "mixed": MIXED}

#: The losses that are negative log-likelihoods of an exponential family; the others are functions
#: of the residual z - t.
LIKELIHOODS = (SOFTMAX, LOGISTIC, POISSON)


@by_address
class Loss(NamedTuple):
    """Which loss, and its parameter."""

    kind: int
    # Softmax: label smoothing; Huber: delta; pinball: the quantile; squared error: 1 for its half;
    # Poisson: 1 for half its deviance.
    parameter: float
    reduction: int = MEAN  # over the outputs, except for softmax: a code of `REDUCTIONS`


@by_address
class Targets(NamedTuple):
    """The targets of all samples, and the samples' weights."""

    labels: np.ndarray  # (n_samples,), int64: classes, for softmax; or empty
    values: np.ndarray  # (n_samples * n_out,), of the network's dtype; or empty
    weights: np.ndarray  # (n_samples,), float64; empty if all are 1


# Of several rows: one after the other, without gaps, so that what is done with each element is done
# in whole vectors even with a single output.
ROWS_TOGETHER, OUTPUTS_TOGETHER = 64, 1024  # at most: they stay in the L1 cache
of_rows = on_stack(ROWS_TOGETHER)


@kernel
def softmax(z, n_out, partitions):
    """Compute ``exp(z[j]) / sum over k of exp(z[k])`` in place, without overflow for finite z.

    The largest z is subtracted first, which does not change the quotient.

    Parameters
    ----------
    z : array
        Of `outputs_together`; overwritten. In place, because with two arrays, which could overlap,
        LLVM would not vectorize.
    n_out : int
    partitions : float64 array
        For each row, at most `ROWS_TOGETHER`; overwritten with log(sum over k of exp(z[k])).
        Subtract z[j] for ``-log p[j]``.
    """
    totals = of_rows(partitions)
    for r in range(len(partitions)):
        row = z[r * n_out : (r + 1) * n_out]
        top = row[0]
        for j in range(1, n_out):
            top = larger(top, row[j])
        for j in range(n_out):
            row[j] -= top
        partitions[r] = top
    for e in range(len(z)):  # including what follows the rows: whole vectors
        z[e] = exp(z[e])
    for r in range(len(partitions)):
        row = z[r * n_out : (r + 1) * n_out]
        total = row[0]
        for j in range(1, n_out):
            total += row[j]
        share = 1 / total
        for j in range(n_out):
            row[j] *= share
        totals[r] = total
    for r in range(len(partitions)):
        partitions[r] += np.log(totals[r])


@kernel
def predict_means(loss, z, n_out, partitions):
    """Replace z by the mean that it predicts, and `partitions` by the log-partition function A(z).

    The mean is A'(z): softmax(z), of ``A = log(sum over j of exp(z[j]))``; ``1 / (1 + exp(-z))``,
    of ``A = sum over j of log(1 + exp(z[j]))``; exp(z), of ``A = sum over j of exp(z[j])``
    (McCullagh and Nelder, Generalized linear models, 1989, section 2.2). For losses of the residual
    z - t the mean is z, and A is not computed. `loss` None is softmax. Arrays as for `softmax`.
    """
    if loss is None:
        softmax(z, n_out, partitions)
        return
    if loss.kind == SOFTMAX:
        softmax(z, n_out, partitions)
    elif loss.kind == LOGISTIC:
        _logistic(z, n_out, partitions)
    elif loss.kind == POISSON:
        for e in range(len(z)):
            z[e] = exp(z[e])
        for r in range(len(partitions)):
            partitions[r] = 0
            for j in range(r * n_out, (r + 1) * n_out):
                partitions[r] += z[j]


@kernel
def _logistic(z, n_out, partitions):
    terms = on_strip(z)
    total, r, j = 0.0, 0, 0
    for start in range(0, len(z), STRIP):
        part = z[start : start + STRIP]
        for e in range(len(part)):
            mean, _, small = sigmoids(part[e])  # small is exp(-|z|), which does not overflow
            terms[e] = log1p(small) + larger(part[e], z.dtype.type(0))
            part[e] = mean
        for e in range(smaller(len(part), n_out * len(partitions) - start)):
            total += terms[e]
            j += 1
            if j == n_out:
                partitions[r] = total
                total, r, j = 0.0, r + 1, 0


@kernel
def _inner_product(loss, z, n_out, targets, row):
    """Return ``sum over j of t[j] z[j]`` for the targets t of this row of X."""
    total = 0.0
    if len(targets.labels) > 0:
        total = np.float64(z[targets.labels[row]])
    else:
        for j in range(n_out):
            total += np.float64(targets.values[row * n_out + j]) * z[j]
    if loss.kind == SOFTMAX and loss.parameter != 0:  # of (1 - smoothing) t + smoothing / n_out
        mean = 0.0
        for j in range(n_out):
            mean += z[j]
        total += loss.parameter * (mean / n_out - total)
    return total


@kernel
def _sign(r):
    return 1.0 if r > 0 else (-1.0 if r < 0 else 0.0)


@kernel
def _of_residual(loss, r):
    """Return the loss of the residual ``r = z - t`` and its derivative, 0 where that has a jump.

    Squared error: ``r**2``, or its half if the parameter is 1. Absolute error: ``|r|``. Huber:
    ``r**2 / 2`` if ``|r| <= delta``, else ``delta * (|r| - delta / 2)`` (Huber, Robust estimation
    of a location parameter, 1964). Pinball for the quantile q: ``q * -r`` if ``r <= 0``, else
    ``(1 - q) * r`` (Koenker and Bassett, Regression quantiles, 1978).
    """
    if loss.kind == SQUARED:
        derivative = (2 - loss.parameter) * r
        return derivative * r / 2, derivative
    if loss.kind == HUBER:
        edge = loss.parameter
        if abs(r) <= edge:
            return r * r / 2, r
        return edge * (abs(r) - edge / 2), edge * _sign(r)
    share = 1.0
    if loss.kind == PINBALL:
        share = 1 - loss.parameter if r > 0 else loss.parameter
    return share * abs(r), share * _sign(r)


@kernel
def _saturated(n_out, targets, row):
    """Return ``sum over j of t[j] - t[j] log t[j]``, by which half the Poisson deviance is less."""
    total = 0.0
    for j in range(n_out):
        t = np.float64(targets.values[row * n_out + j])
        total += t - t * np.log(t) if t > 0 else 0.0
    return total


@kernel
def _derive(loss, means, n_out, targets, row):
    """Replace means by the derivative: ``means - t`` of ``A(z) - t z``, or that of a residual."""
    if loss.kind not in LIKELIHOODS:
        for j in range(n_out):
            r = np.float64(means[j]) - np.float64(targets.values[row * n_out + j])
            means[j] = _of_residual(loss, r)[1]
        return
    share = means.dtype.type(1)
    if loss.kind == SOFTMAX and loss.parameter != 0:
        share = means.dtype.type(1 - loss.parameter)
        for j in range(n_out):
            means[j] -= means.dtype.type(loss.parameter / n_out)
    if len(targets.labels) > 0:
        means[targets.labels[row]] -= share
    else:
        for j in range(n_out):
            means[j] -= share * targets.values[row * n_out + j]


@kernel
def means_and_losses(loss, z, n_out, targets, rows, losses):
    """Call `predict_means`, and store the loss of each row of X.

    It is ``A(z) - t z``, which for softmax is ``-sum over j of t[j] log p[j]``, or the loss of the
    residual ``z - t``; except for softmax, it is the mean or the sum over the outputs. `loss` None
    is softmax without label smoothing, with a label for each row.

    Parameters
    ----------
    z, n_out
        As for `softmax`.
    rows : int64 array
        The rows of X.
    losses : float64 array
        As long, overwritten.
    """
    partitions = of_rows(losses)[: len(rows)]
    if loss is None:
        for r in range(len(rows)):
            losses[r] = z[r * n_out + targets.labels[rows[r]]]
        softmax(z, n_out, partitions)
        for r in range(len(rows)):
            losses[r] = partitions[r] - losses[r]
        return
    if loss.kind in LIKELIHOODS:
        for r in range(len(rows)):
            row = z[r * n_out : (r + 1) * n_out]
            losses[r] = _inner_product(loss, row, n_out, targets, rows[r])
        predict_means(loss, z, n_out, partitions)
        for r in range(len(rows)):
            losses[r] = partitions[r] - losses[r]
        if loss.kind == POISSON and loss.parameter == 1:
            for r in range(len(rows)):
                losses[r] -= _saturated(n_out, targets, rows[r])
    else:
        for r in range(len(rows)):
            losses[r] = 0
            for j in range(n_out):
                t = np.float64(targets.values[rows[r] * n_out + j])
                losses[r] += _of_residual(loss, np.float64(z[r * n_out + j]) - t)[0]
    if loss.kind != SOFTMAX and loss.reduction != SUM:
        for r in range(len(rows)):
            losses[r] /= n_out


@kernel
def losses_and_derivatives(loss, z, n_out, targets, rows, losses):
    """Store the loss of each row of X, and replace each z by the derivative with respect to it.

    ``A(z) - t z`` has the derivative ``A'(z) - t``: the predicted mean minus the target (Bishop,
    Pattern recognition and machine learning, 2006, section 4.3.6). Parameters as for
    `means_and_losses`.
    """
    means_and_losses(loss, z, n_out, targets, rows, losses)
    for r in range(len(rows)):
        row = z[r * n_out : (r + 1) * n_out]
        if loss is None:
            row[targets.labels[rows[r]]] -= 1
        else:
            _derive(loss, row, n_out, targets, rows[r])
    if loss is None:
        return
    if loss.kind != SOFTMAX and loss.reduction == MEAN and n_out > 1:
        for e in range(len(z)):
            z[e] /= n_out


@kernel
def outputs_together(layer, activations, first, last):
    """Move the outputs of the rows first to last together, to where those of `first` are.

    Returns them and what follows, up to a whole vector.
    """
    at, n, lanes = layer.output_at + first * layer.stride_out, layer.n_out, lanes_of(activations)
    for i in range(1, last - first):
        for j in range(n):
            activations[at + i * n + j] = activations[at + i * layer.stride_out + j]
    return activations[at : at + ((last - first) * n + lanes - 1) // lanes * lanes]


@kernel
def output_delta(layer, samples, work, minibatch, first, last):
    """``delta = scale * weight * dloss/da * f'(z)`` of the rows first to last.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The last layer.
    samples : step.Samples
        Read.
    work : storage.Workspace
        The layer's activations are overwritten, and so are its deltas; where `stores_derivative`
        they hold f'(z) before. Each row's loss, times its weight, is written to `losses`.
    minibatch : step.Minibatch
        Its `scale` is used nowhere else.
    first, last : int

    Returns
    -------
    bool
        Whether a loss is not finite.
    """
    activations, deltas, targets = work.forward.activations, work.deltas, samples.targets
    n_out, stride, diverged = layer.n_out, layer.stride_out, False
    for start in range(first, last, layer.rows_together):
        end = smaller(start + layer.rows_together, last)
        at, delta_at = layer.output_at + start * stride, layer.delta_at + start * stride
        begin, n_rows = minibatch.start + start, end - start
        rows, losses = samples.order[begin : begin + n_rows], work.losses[start:end]
        if layer.activation == RELU:
            for r in range(n_rows):
                a, slope = activations[at + r * stride :], deltas[delta_at + r * stride :]
                for j in range(n_out):
                    slope[j] = 1 if a[j] > 0 else 0
        z = outputs_together(layer, activations, start, end)
        losses_and_derivatives(samples.loss, z, n_out, targets, rows, losses)
        for r in range(n_rows):
            slopes, share = z[r * n_out : (r + 1) * n_out], minibatch.scale
            if len(targets.weights) > 0:
                weight = targets.weights[rows[r]]
                share *= weight
                losses[r] *= weight
                if weight == 0:  # ignored, even if its loss is not finite
                    losses[r] = 0
                    for j in range(n_out):
                        slopes[j] = 0
            diverged |= losses[r] - losses[r] != 0
            delta = deltas[delta_at + r * stride : delta_at + r * stride + n_out]
            if layer.activation == RELU or layer.stores_derivative:
                for j in range(n_out):
                    delta[j] *= share * slopes[j]
            else:
                for j in range(n_out):
                    delta[j] = share * slopes[j]
    return diverged
