"""The losses, and their derivatives with respect to the last activation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.equations.activations import RELU
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.scalars import larger
from fastmlp.core.machine.structure import by_address
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


@kernel
def softmax(z, n_out):
    """Compute ``exp(z[j]) / sum over k of exp(z[k])`` in place, without overflow for finite z.

    The largest z is subtracted first, which does not change the quotient.

    Parameters
    ----------
    z : array of at least `n_out`
        Overwritten; elements from `n_out` on have no meaning. In place, because with two arrays,
        which could overlap, LLVM would not vectorize.
    n_out : int

    Returns
    -------
    float
        log(sum over k of exp(z[k])); subtract z[j] for ``-log p[j]``.
    """
    top = z[0]
    for j in range(1, n_out):
        top = larger(top, z[j])
    for j in range(len(z)):  # including the padding: whole vectors
        z[j] = exp(z[j] - top)
    total = z[0]
    for j in range(1, n_out):
        total += z[j]
    share = 1 / total
    for j in range(len(z)):
        z[j] *= share
    return np.log(np.float64(total)) + top


@kernel
def predict_mean(loss, z, n_out):
    """Replace z by the mean that it predicts; return the log-partition function A(z).

    The mean is A'(z): softmax(z), of ``A = log(sum over j of exp(z[j]))``; ``1 / (1 + exp(-z))``,
    of ``A = sum over j of log(1 + exp(z[j]))``; exp(z), of ``A = sum over j of exp(z[j])``
    (McCullagh and Nelder, Generalized linear models, 1989, section 2.2). For losses of the residual
    z - t the mean is z, and 0 is returned. `loss` None is softmax.
    """
    if loss is None:
        return softmax(z, n_out)
    partition = 0.0
    if loss.kind == SOFTMAX:
        partition = softmax(z, n_out)
    elif loss.kind == LOGISTIC:
        for j in range(n_out):
            mean, _, small = sigmoids(z[j])  # small is exp(-|z|), which does not overflow
            partition += log1p(small) + larger(z[j], z.dtype.type(0))
            z[j] = mean
    elif loss.kind == POISSON:
        for j in range(n_out):
            z[j] = exp(z[j])
            partition += z[j]
    return partition


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
def mean_and_loss(loss, z, n_out, targets, row):
    """Call `predict_mean`, and return the loss of this row of X.

    It is ``A(z) - t z``, which for softmax is ``-sum over j of t[j] log p[j]``, or the loss of the
    residual ``z - t``; except for softmax, it is the mean or the sum over the outputs. `loss` None
    is softmax without label smoothing, with a label for each row.
    """
    if loss is None:
        z_of_label = z[targets.labels[row]]
        return softmax(z, n_out) - z_of_label
    value = 0.0
    if loss.kind in LIKELIHOODS:
        inner = _inner_product(loss, z, n_out, targets, row)
        value = predict_mean(loss, z, n_out) - inner
        if loss.kind == POISSON and loss.parameter == 1:
            value -= _saturated(n_out, targets, row)
    else:
        for j in range(n_out):
            r = np.float64(z[j]) - np.float64(targets.values[row * n_out + j])
            value += _of_residual(loss, r)[0]
    return value if loss.kind == SOFTMAX or loss.reduction == SUM else value / n_out


@kernel
def loss_and_derivative(loss, z, n_out, targets, row):
    """Return the loss of a row of X, and replace each z by the derivative with respect to it.

    ``A(z) - t z`` has the derivative ``A'(z) - t``: the predicted mean minus the target (Bishop,
    Pattern recognition and machine learning, 2006, section 4.3.6). `loss` None as in
    `mean_and_loss`.
    """
    value = mean_and_loss(loss, z, n_out, targets, row)
    if loss is None:
        z[targets.labels[row]] -= 1
        return value
    _derive(loss, z, n_out, targets, row)
    if loss.kind != SOFTMAX and loss.reduction == MEAN and n_out > 1:
        for j in range(n_out):
            z[j] /= n_out
    return value


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
        The layer's activations are overwritten, and so are its deltas, the padding with zeros;
        where `stores_derivative` they hold f'(z) before. Each row's loss, times its weight, is
        written to `losses`.
    minibatch : step.Minibatch
        Its `scale` is used nowhere else.
    first, last : int

    Returns
    -------
    bool
        Whether a loss is not finite.
    """
    activations, deltas, losses = work.forward.activations, work.deltas, work.losses
    targets, n, n_out = samples.targets, layer.padded_out, layer.n_out
    diverged = False
    for i in range(first, last):
        a_at = layer.output_at + i * layer.stride_out
        delta_at = layer.delta_at + i * layer.stride_out
        a = activations[a_at : a_at + n]  # (padded_out,)
        delta = deltas[delta_at : delta_at + n]  # (padded_out,)
        row, share = samples.order[minibatch.start + i], minibatch.scale
        if layer.activation == RELU:
            for j in range(n_out):
                delta[j] = 1 if a[j] > 0 else 0
        losses[i] = loss_and_derivative(samples.loss, a, n_out, targets, row)
        if len(targets.weights) > 0:
            weight = targets.weights[row]
            share *= weight
            losses[i] *= weight
            if weight == 0:  # ignored, even if its loss is not finite
                losses[i] = 0
                for j in range(n_out):
                    a[j] = 0
        diverged |= losses[i] - losses[i] != 0
        if layer.activation == RELU or layer.stores_derivative:
            for j in range(n_out):
                delta[j] *= share * a[j]
        else:
            for j in range(n_out):
                delta[j] = share * a[j]
        for j in range(n_out, n):
            delta[j] = 0
    return diverged
