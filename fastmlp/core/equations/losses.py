"""The losses and their derivatives by the last activation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.equations.activations import RELU
from fastmlp.core.equations.update_rules import is_basic
from fastmlp.core.machine.kernel import by_type, kernel
from fastmlp.core.maths.functions import exp, log1p, sigmoids

# The first three are log-likelihoods of the exponential family, the others functions of z - t.
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


class Loss(NamedTuple):
    """Which loss, and its one number."""

    kind: int
    parameter: float  # softmax: label smoothing; Huber: delta; pinball: the quantile


class Targets(NamedTuple):
    """What the network ought to give for every sample."""

    labels: np.ndarray  # int64: the class of each, for softmax; or empty
    values: np.ndarray  # of the network's dtype, flat: a number for each output; or empty
    weights: np.ndarray  # float64: what each sample counts; empty where all count 1


@kernel
def softmax(z, n_out):
    """Do ``z[j] = exp(z[j]) / sum over k of exp(z[k])``, without overflow for any finite z.

    The largest z is subtracted first, which changes nothing in the quotient.

    Parameters
    ----------
    z : array of at least `n_out`
        Overwritten, past `n_out` with values of no meaning. One array for both: of two that
        might be the same, LLVM computes number by number.
    n_out : int

    Returns
    -------
    float
        log(sum over k of exp(z[k])), of which z[j] is subtracted for ``-log p[j]``.
    """
    top = z[0]
    for j in range(1, n_out):
        top = max(top, z[j])
    for j in range(len(z)):  # to the end of the padding: whole vectors
        z[j] = exp(z[j] - top)
    total = z[0]
    for j in range(1, n_out):
        total += z[j]
    share = 1 / total
    for j in range(len(z)):
        z[j] *= share
    return np.log(np.float64(total)) + top


def _predict_probabilities(loss, z, n_out):
    return softmax(z, n_out)


def _predict_mean(loss, z, n_out):
    """Turn z into the mean that it predicts, in place; return the log-partition function A(z).

    The mean is A'(z): softmax(z), of ``A = log(sum over j of exp(z[j]))``; ``1 / (1 + exp(-z))``,
    of ``A = sum over j of log(1 + exp(z[j]))``; exp(z), of ``A = sum over j of exp(z[j])``
    (McCullagh and Nelder, Generalized linear models, 1989, section 2.2). For losses of z - t it
    is z itself, and 0 is returned.
    """
    partition = 0.0
    if loss.kind == SOFTMAX:
        partition = softmax(z, n_out)
    elif loss.kind == LOGISTIC:
        for j in range(n_out):
            mean, _, small = sigmoids(z[j])  # small is exp(-|z|): nothing overflows
            partition += log1p(small) + max(z[j], z.dtype.type(0))
            z[j] = mean
    elif loss.kind == POISSON:
        for j in range(n_out):
            z[j] = exp(z[j])
            partition += z[j]
    return partition


#: `_predict_mean`; `loss` None is softmax's.
predict_mean = by_type(is_basic, _predict_probabilities, _predict_mean)


@kernel(inline=True)
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


@kernel(inline=True)
def _sign(r):
    return 1.0 if r > 0 else (-1.0 if r < 0 else 0.0)


@kernel
def _of_residual(loss, r):
    """Return a loss of ``r = z - t`` and its derivative; where that has a jump, 0.

    Squared error ``r**2``; absolute error ``|r|``; Huber's, ``r**2 / 2`` up to delta and beyond
    ``delta * (|r| - delta / 2)`` (Huber, Robust estimation of a location parameter, 1964);
    pinball of the quantile q, ``q * -r`` below the target and ``(1 - q) * r`` above it (Koenker
    and Bassett, Regression quantiles, 1978).
    """
    if loss.kind == SQUARED:
        return r * r, 2 * r
    if loss.kind == HUBER:
        edge = loss.parameter
        if abs(r) <= edge:
            return r * r / 2, r
        return edge * (abs(r) - edge / 2), edge * _sign(r)
    share = 1.0
    if loss.kind == PINBALL:
        share = 1 - loss.parameter if r > 0 else loss.parameter
    return share * abs(r), share * _sign(r)


@kernel(inline=True)
def _derive(loss, means, n_out, targets, row):
    """Do ``means -= t``, the derivative of ``A(z) - t z``, or put a residual's loss's in place."""
    if loss.kind > POISSON:
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


def _probabilities_and_loss(loss, z, n_out, targets, row):
    z_of_label = z[targets.labels[row]]
    return softmax(z, n_out) - z_of_label


def _mean_and_loss(loss, z, n_out, targets, row):
    """Do `predict_mean`; return the loss of this row of X.

    It is ``A(z) - t z``, which for softmax is ``-sum over j of t[j] log p[j]``, or a loss of the
    residual ``z - t``; but for softmax the mean over the outputs.
    """
    value = 0.0
    if loss.kind <= POISSON:
        inner = _inner_product(loss, z, n_out, targets, row)
        value = predict_mean(loss, z, n_out) - inner
    else:
        for j in range(n_out):
            r = np.float64(z[j]) - np.float64(targets.values[row * n_out + j])
            value += _of_residual(loss, r)[0]
    return value if loss.kind == SOFTMAX else value / n_out


#: `_mean_and_loss`; `loss` None is softmax's.
mean_and_loss = by_type(is_basic, _probabilities_and_loss, _mean_and_loss)


def _of_class(loss, z, n_out, targets, row):
    value = mean_and_loss(loss, z, n_out, targets, row)
    z[targets.labels[row]] -= 1
    return value


def _of_any(loss, z, n_out, targets, row):
    value = mean_and_loss(loss, z, n_out, targets, row)
    _derive(loss, z, n_out, targets, row)
    if loss.kind != SOFTMAX and n_out > 1:
        for j in range(n_out):
            z[j] /= n_out
    return value


#: Returns the loss of a row of X, and puts its derivative by each z in z's place. ``A(z) - t z``
#: has the derivative ``A'(z) - t``: the mean that is predicted, less the target (Bishop, Pattern
#: recognition and machine learning, 2006, section 4.3.6). `loss` None is softmax's.
loss_and_derivative = by_type(is_basic, _of_class, _of_any)


@kernel
def output_delta(
    layer, loss, activations, deltas, targets, order, start, losses, first, last, scale
):
    """``delta = scale * weight * dloss/da * f'(z)`` of the rows first to last.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The last layer.
    loss : Loss
    activations, deltas : flat arrays
        The layer's activations are overwritten. So are its deltas, the padding with zeros; where
        the activation is neither identity nor relu they hold f'(z) before.
    targets : Targets
    order : int64 array
        Rows of X, and of the targets.
    start : int
        Where in `order` this minibatch begins.
    losses : float64 array
        Overwritten with each row's loss, times its weight.
    first, last : int
    scale : float
        1 / batch_size, or 1 over the sum of the minibatch's weights: the one place where it enters.

    Returns
    -------
    bool
        Whether some loss is not finite.
    """
    n, n_out = layer.padded_out, layer.n_out
    diverged = False
    for i in range(first, last):
        a_at = layer.output_at + i * layer.stride_out
        delta_at = layer.delta_at + i * layer.stride_out
        a, delta = activations[a_at : a_at + n], deltas[delta_at : delta_at + n]
        row, share = order[start + i], scale
        if layer.activation == RELU:
            for j in range(n_out):
                delta[j] = 1 if a[j] > 0 else 0
        losses[i] = loss_and_derivative(loss, a, n_out, targets, row)
        if len(targets.weights) > 0:
            weight = targets.weights[row]
            share *= weight
            losses[i] *= weight
            if weight == 0:  # as if it were not there, whatever its loss is
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
