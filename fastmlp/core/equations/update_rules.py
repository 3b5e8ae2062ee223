"""Update rules: how a gradient changes weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.structure import by_address

SGD, MOMENTUM, NESTEROV, RMSPROP, ADAGRAD, ADAM, ADAMW = range(7)

#: The names that users may pass, and the codes that kernels use.
RULES = {
    "sgd": SGD,
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "rmsprop": RMSPROP,
    "adagrad": ADAGRAD,
    "adam": ADAM,
    "adamw": ADAMW,
}
#: Which of them keep a mean of gradients, and which a mean (or sum) of their squares.
MOMENTUM_RULES, SQUARES_RULES, ADAM_RULES = (MOMENTUM, NESTEROV), (RMSPROP, ADAGRAD), (ADAM, ADAMW)
FIRST_MOMENT = {*MOMENTUM_RULES, *ADAM_RULES}
SECOND_MOMENT = {*SQUARES_RULES, *ADAM_RULES}

#: The number of elements of `Optimizer.steps` per step.
PER_STEP = 3
#: Indices in `Optimizer.counts`: of the steps taken, and of the rows trained on.
STEPS, ROWS = 0, 1


@by_address
class OptimizerOptions(NamedTuple):
    """What an update rule other than plain SGD needs, and options that plain SGD does not have."""

    kind: int  # a code of `RULES`
    momentum: float  # of the mean of gradients: mu or beta1 in the papers
    decay: float  # of the mean of their squares: alpha or beta2
    epsilon: float
    rate_in_velocity: bool  # whether momentum rules multiply gradients, not velocities, by the rate
    l2_per_batch: bool  # whether l2 is divided by the batch's weight and counted in the loss
    clip_norm: float  # infinity for none
    constrained: bool  # whether the units of some layer have a maximum norm
    first: np.ndarray  # the mean of gradients, with the layout of the parameters; or empty
    second: np.ndarray  # the mean of their squares; or empty
    squares: np.ndarray  # float64: partial sums of the squared gradients, if clipped; or empty
    penalties: np.ndarray  # float64: likewise of l2 times squared weights, if `l2_per_batch`


@by_address
class Optimizer(NamedTuple):
    """What all layers share in a run of steps."""

    # (n_steps * PER_STEP,), float64; per step the rate and both factors of `Rule`
    steps: np.ndarray
    counts: np.ndarray  # int64: `STEPS` and `ROWS` so far
    gradients: np.ndarray  # with the layout of the parameters, if clipped by norm; or empty
    options: OptimizerOptions | None  # None for SGD with at most l2: half the compile time


class Rule(NamedTuple):
    """How a gradient changes weights in one step."""

    kind: int
    rate: float
    l2: float
    l1: float
    momentum: float
    decay: float
    epsilon: float
    rate_in_velocity: bool
    # The bias corrections of the mean of gradients, 1 / (1 - beta1**t), and of the square root of
    # the mean of squares, 1 / sqrt(1 - beta2**t). For an epsilon that is not corrected, the first
    # is their quotient and the second 1.
    first_share: float
    second_share: float
    first: np.ndarray
    second: np.ndarray


@kernel
def rule_of(optimizer, step, l2, l1):
    """Return the `Rule` for weights with these penalties in step number `step` of this run."""
    options, steps = optimizer.options, optimizer.steps
    return Rule(
        options.kind, steps[PER_STEP * step], l2, l1,
        options.momentum, options.decay, options.epsilon, options.rate_in_velocity,
        steps[PER_STEP * step + 1], steps[PER_STEP * step + 2],
        options.first, options.second,
    )  # fmt: skip


@kernel
def change_rows(rule, gradients, weights, at, stride, n_rows, n):
    """Call `change_row` for rows of n weights, `stride` apart; gradients begin at 0.

    Rows without a gap between them are one row: with one call there is one loop.
    """
    if stride == n:
        n, n_rows = n * n_rows, 1
    for r in range(n_rows):
        change_row(rule, gradients, r * stride, weights, at + r * stride, n)


@kernel
def change_row(rule, gradients, gradient_at, weights, at, n):
    """Change ``weights[at : at + n]`` by their gradients, as `rule` says.

    With the gradient g, the weights w and the penalties l1 and l2, first
    ``g += l2 * w + l1 * sign(w)`` (AdamW: ``w -= rate * l2 * w`` instead of the l2 term). Then

    - SGD: ``w -= rate * g``
    - momentum: ``m = momentum * m + g``, ``w -= rate * m`` (Polyak, Some methods of speeding up
      the convergence of iteration methods, 1964), or with `rate_in_velocity` ``m = momentum * m +
      rate * g``, ``w -= m``
    - Nesterov: m as above, ``w -= rate * (g + momentum * m)`` (Sutskever et al., On the
      importance of initialization and momentum in deep learning, 2013, section 2)
    - RMSprop: ``v = decay * v + (1 - decay) * g**2``, ``w -= rate * g / (sqrt(v) + epsilon)``
      (Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012)
    - Adagrad: ``v += g**2``, w as for RMSprop (Duchi, Hazan and Singer, Adaptive subgradient
      methods, 2011, section 1)
    - Adam, AdamW: ``m = momentum * m + (1 - momentum) * g``, v as for RMSprop,
      ``w -= rate * first_share * m / (second_share * sqrt(v) + epsilon)`` (Kingma and Ba, Adam,
      2015, algorithm 1; Loshchilov and Hutter, Decoupled weight decay regularization, 2019)

    Parameters
    ----------
    rule : Rule
        The moments m (`first`) and v (`second`) are changed at the positions of the weights.
    gradients : flat array
        Read and overwritten, from `gradient_at` on.
    weights : flat array
    at, n : int
    """
    w, g = weights[at : at + n], gradients[gradient_at : gradient_at + n]
    _penalize(rule, w, g)
    if rule.kind == SGD:
        rate = w.dtype.type(rule.rate)
        for j in range(n):
            w[j] -= rate * g[j]
    elif rule.kind in MOMENTUM_RULES:
        _change_by_momentum(rule, w, g, rule.first[at : at + n])
    elif rule.kind in SQUARES_RULES:
        _change_by_squares(rule, w, g, rule.second[at : at + n])
    else:
        _change_by_moments(rule, w, g, rule.first[at : at + n], rule.second[at : at + n])


@kernel
def _penalize(rule, w, g):
    l2, l1, zero = w.dtype.type(rule.l2), w.dtype.type(rule.l1), w.dtype.type(0)
    if l2 != 0:
        if rule.kind == ADAMW:
            kept = w.dtype.type(1 - rule.rate * rule.l2)
            for j in range(len(w)):
                w[j] *= kept
        else:
            for j in range(len(w)):
                g[j] += l2 * w[j]
    if l1 != 0:
        for j in range(len(w)):
            g[j] += l1 if w[j] > 0 else (-l1 if w[j] < 0 else zero)


@kernel
def _change_by_momentum(rule, w, g, m):
    momentum, one = w.dtype.type(rule.momentum), w.dtype.type(1)
    before, after = one, w.dtype.type(rule.rate)
    if rule.rate_in_velocity:
        before, after = after, before
    of_m = momentum if rule.kind == NESTEROV else one
    of_g = w.dtype.type(1 if rule.kind == NESTEROV else 0)
    for j in range(len(w)):
        change = before * g[j]
        m[j] = momentum * m[j] + change
        w[j] -= after * (of_g * change + of_m * m[j])


@kernel
def _change_by_squares(rule, w, g, v):
    rate, epsilon = w.dtype.type(rule.rate), w.dtype.type(rule.epsilon)
    kept = w.dtype.type(1 if rule.kind == ADAGRAD else rule.decay)
    new = w.dtype.type(1 if rule.kind == ADAGRAD else 1 - rule.decay)
    for j in range(len(w)):
        v[j] = kept * v[j] + new * (g[j] * g[j])
        w[j] -= rate * g[j] / (np.sqrt(v[j]) + epsilon)


@kernel
def _change_by_moments(rule, w, g, m, v):
    rate = w.dtype.type(rule.rate * rule.first_share)
    share, epsilon = w.dtype.type(rule.second_share), w.dtype.type(rule.epsilon)
    momentum, decay = w.dtype.type(rule.momentum), w.dtype.type(rule.decay)
    new_first, new_second = w.dtype.type(1 - rule.momentum), w.dtype.type(1 - rule.decay)
    for j in range(len(w)):
        m[j] = momentum * m[j] + new_first * g[j]
        v[j] = decay * v[j] + new_second * (g[j] * g[j])
        w[j] -= rate * m[j] / (np.sqrt(v[j]) * share + epsilon)
