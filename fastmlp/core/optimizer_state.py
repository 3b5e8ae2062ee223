"""The state of an optimizer: the update rule, its moments, its rates."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.core.equations.update_rules import (
    FIRST_MOMENT,
    PER_STEP,
    ROWS,
    SECOND_MOMENT,
    SGD,
    STEPS,
    Optimizer,
    OptimizerOptions,
)
from fastmlp.core.storage import Network
from fastmlp.messages import must, shown

NONE = np.inf  # a norm that is never exceeded
STEPS_AHEAD = 64  # computed together: one would take as long


def moments_of(kind: int) -> list[str]:
    """Return the names of the moments that a rule has."""
    both = {"first": FIRST_MOMENT, "second": SECOND_MOMENT}
    return [name for name, kinds in both.items() if kind in kinds]


class OptimizerState:
    """An update rule for the parameters of a network, and its state.

    Parameters
    ----------
    network : Network
        With the `moments` that `moments_of` names.
    kind : int
        A code of `update_rules`.
    momentum, decay, epsilon : float
        See `update_rules.OptimizerOptions`.
    rate_in_velocity : bool, default False
        Likewise.
    corrects_epsilon : bool, default True
        Whether epsilon is added after the bias correction of the mean of squares. If not, it is the
        "epsilon hat" of Kingma and Ba, Adam, 2015, section 2.

    Attributes
    ----------
    rate : float or callable
        The learning rate, or a function that returns it for a step: 0 for the first step.
    rate_factor : float
        All rates are multiplied by it.
    first, second : arrays
        The moments, with the layout of the network's parameters; empty if the rule has none.
    moments : dict of arrays
        The moments that the rule has, by name.
    counts : int64 array
        The steps taken and the rows trained on, see `update_rules.Optimizer`. Kernels advance them.
    """

    START: Any = {"taken": 0, "powers": [1.0, 1.0], "rate_factor": 1.0}

    def __init__(
        self,
        network: Network,
        kind: int,
        momentum: float = 0.0,
        decay: float = 0.0,
        epsilon: float = 0.0,
        rate_in_velocity: bool = False,
        corrects_epsilon: bool = True,
    ):
        self.network, self.kind = network, kind
        self.momentum, self.decay, self.epsilon = momentum, decay, epsilon
        self.rate_in_velocity, self._corrects_epsilon = rate_in_velocity, corrects_epsilon
        self._betas = np.array([[momentum], [decay]])
        self._corrects = kind in FIRST_MOMENT & SECOND_MOMENT  # as Adam and AdamW do
        none = np.empty(0, network.dtype)
        self.moments = dict(zip(moments_of(kind), network.moments, strict=True))
        self.first, self.second = self.moments.get("first", none), self.moments.get("second", none)
        self.counts = np.zeros(2, np.int64)
        self._table, self._ahead = np.empty((0, PER_STEP)), np.empty((2, 0))
        self.state = self.START
        self.rate: float | Callable[[int], Any] = 0.0
        self.clip_norm = NONE
        self._gradients, self._squares, self._penalties = none, np.zeros(0), np.zeros(0)

    def clip(self, norm: float) -> None:
        """Set the maximum norm of the gradients, infinity for none."""
        clips, none = norm < NONE, np.empty(0, self.network.dtype)
        if clips != (self.clip_norm < NONE):
            self._gradients = self.network.like_parameters(1)[0] if clips else none
            self._squares = np.zeros(self.network.n_squares if clips else 0)
        self.clip_norm = norm

    def penalize_per_batch(self, wanted: bool) -> None:
        """Set whether l2 is divided by the weight of a minibatch and counted in its loss."""
        self._penalties = np.zeros(self.network.n_squares if wanted else 0)

    @property
    def gradients(self) -> np.ndarray:
        """The gradients of the last step, with penalties, if they are clipped; otherwise empty."""
        return self._gradients

    @property
    def counts_penalty(self) -> bool:
        """Whether l2 is divided by the weight of a minibatch and counted in its loss."""
        return len(self._penalties) > 0

    @property
    def taken(self) -> int:
        """The number of steps so far."""
        return self.counts.item(STEPS)

    @property
    def rows_seen(self) -> int:
        """The number of rows trained on so far."""
        return self.counts.item(ROWS)

    @property
    def is_basic(self) -> bool:
        """Whether this is SGD with no option but l2."""
        options = self.clip_norm < NONE or self.counts_penalty
        return self.kind == SGD and not options and self.network.is_basic

    def steps(self, n: int, basic: bool) -> Optimizer:
        """Return what kernels need for the next n steps; valid until the next call."""
        since = self.taken - self._known_at
        if since + n > len(self._table):
            self._look_ahead(max(n, STEPS_AHEAD))
            since = 0
        table = self._table[since : since + n]
        table[:, 0] = self._rates(n)
        options = None
        if not basic:
            options = OptimizerOptions(
                self.kind, self.momentum, self.decay, self.epsilon, self.rate_in_velocity,
                self.counts_penalty, self.clip_norm, self.network.is_constrained,
                self.first, self.second, self._squares, self._penalties,
            )  # fmt: skip
        return Optimizer(table.reshape(-1), self.counts, self._gradients, options)

    def _look_ahead(self, n: int) -> None:
        """Compute what the next n steps need besides their rates.

        The powers of both betas take one multiplication per step. So they do not depend on how many
        steps are computed together, nor, as NumPy's power does in the last bit, on the processor.
        """
        self._powers_known, self._known_at = self._powers, self.taken
        self._table = np.ones((n, PER_STEP))
        if self._corrects:
            factors = self._betas.repeat(n, axis=1)
            factors[:, 0] *= self._powers_known
            self._ahead = np.multiply.accumulate(factors, axis=1)
            self._table[:, 1] = 1 / (1 - self._ahead[0])
            self._table[:, 2] = 1 / np.sqrt(1 - self._ahead[1])
            if not self._corrects_epsilon:
                self._table[:, 1] /= self._table[:, 2]
                self._table[:, 2] = 1

    def _rates(self, n: int) -> Any:
        if not callable(self.rate):
            return self.rate * self.rate_factor
        rates = np.empty(n)
        for i, step in enumerate(range(self.taken, self.taken + n)):
            rates[i] = returned_rate("learning_rate", self.rate(step), step)
        return rates * self.rate_factor

    @property
    def next_rate(self) -> float:
        """The learning rate of the next step."""
        return float(np.ravel(self._rates(1))[0])

    @property
    def _powers(self) -> list[float]:
        """``[beta1**taken, beta2**taken]``; for rules without betas, the values that were set."""
        since = self.taken - self._known_at
        if since == 0 or not self._corrects:
            return self._powers_known
        return self._ahead[:, since - 1].tolist()

    @property
    def state(self) -> dict[str, Any]:
        """Everything that the next steps depend on besides the moments, as plain values."""
        return {
            "taken": self.taken, "powers": list(self._powers), "rate_factor": self.rate_factor
        }  # fmt: skip

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.counts[STEPS] = self._known_at = state["taken"]
        self._powers_known, self._table = state["powers"], self._table[:0]
        self.rate_factor = state["rate_factor"]

    @property
    def position(self) -> tuple[Any, ...]:
        """What the next steps depend on besides moments and counts; for snapshots, not files."""
        return self._known_at, self._powers_known, self._table, self._ahead, self.rate_factor

    @position.setter
    def position(self, position: tuple[Any, ...]) -> None:
        self._known_at, self._powers_known, self._table, self._ahead, self.rate_factor = position

    def reset(self) -> None:
        """Return to the state before the first step."""
        self.network.moments[...] = 0
        self.state, self.counts[ROWS] = self.START, 0


def returned_rate(name: str, rate: Any, step: int) -> float:
    """Return the rate that a function returned for a step as a float; ValueError if invalid."""
    try:
        number = float(rate) if isinstance(rate, numbers.Real) else np.nan
    except Exception:  # an int that is too large, or a user-defined number
        number = np.nan
    if not 0 <= number < np.inf:
        requirement = "return a finite number of at least 0"
        raise ValueError(must(name, requirement, f"{shown(rate)} for step {step}"))
    return number
