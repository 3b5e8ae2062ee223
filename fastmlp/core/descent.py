"""What a fit remembers of its steps: the rule, its moments, its rates (floor 3)."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.core.rules import (
    FIRST_MOMENT,
    PER_STEP,
    SECOND_MOMENT,
    SGD,
    Optimizer,
    PlainOptimizer,
)
from fastmlp.core.storage import Network
from fastmlp.messages import shown

NONE = np.inf  # a norm that is never reached


class Descent:
    """How the parameters of a network go down: an update rule, and where it stands.

    Parameters
    ----------
    network : Network
    kind : int
        A code of `rules`.
    momentum, decay, epsilon : float
        See `rules.Optimizer`.

    Attributes
    ----------
    taken : int
        How many steps there have been.
    rate_factor : float
        What every rate is multiplied by.
    first, second : arrays
        The moments, laid out as the network's parameters; empty where the rule has none.
    """

    START: Any = {"taken": 0, "powers": [1.0, 1.0], "rate_factor": 1.0}

    def __init__(
        self,
        network: Network,
        kind: int,
        momentum: float = 0.0,
        decay: float = 0.0,
        epsilon: float = 0.0,
    ):
        self.network, self.kind = network, kind
        self.momentum, self.decay, self.epsilon = momentum, decay, epsilon
        none = np.empty(0, network.dtype)
        self.first = network.like_parameters() if kind in FIRST_MOMENT else none
        self.second = network.like_parameters() if kind in SECOND_MOMENT else none
        self.state = self.START
        self.begin(0.0)

    def begin(self, rate: float | Callable[[int], Any], clip_norm: float = NONE) -> None:
        """Set what holds for the steps to come: the learning rate, and the gradients' largest norm.

        Parameters
        ----------
        rate : float or callable
            Of every step, or what returns it for one: 0 for the first that this object sees.
        clip_norm : float
            Infinity for none.
        """
        self.rate, self.clip_norm = rate, clip_norm
        clips = clip_norm < NONE
        none = np.empty(0, self.network.dtype)
        self._gradients = self.network.like_parameters() if clips else none
        self._squares = np.zeros(self.network.n_squares if clips else 0)

    @property
    def is_plain(self) -> bool:
        """Whether this is SGD, with l2 at most."""
        return self.kind == SGD and self.clip_norm == NONE and self.network.is_plain

    @property
    def _corrects(self) -> bool:
        """Whether the rule makes up for what its moments have not yet seen: Adam, AdamW."""
        return self.kind in FIRST_MOMENT & SECOND_MOMENT

    def steps(self, n: int, plain: bool) -> Optimizer | PlainOptimizer:
        """Return what kernels need for the next n steps, which only `taken_steps` counts."""
        table = np.ones((n, PER_STEP))
        table[:, 0] = self._rates(n)
        if self._corrects:
            table[:, 1] = 1 / (1 - self._next_powers(0, n))
            table[:, 2] = 1 / np.sqrt(1 - self._next_powers(1, n))
        if plain:
            return PlainOptimizer(table.reshape(-1), self._gradients)
        return Optimizer(
            self.kind, self.momentum, self.decay, self.epsilon, self.clip_norm,
            self.network.is_constrained,
            table.reshape(-1), self.first, self.second, self._gradients, self._squares,
        )  # fmt: skip

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

    def _next_powers(self, which: int, n: int) -> np.ndarray:
        """Return beta**t of the next n steps, by one multiplication a step, however many at once.

        NumPy's power differs in the last bit from processor to processor.
        """
        factors = np.full(n, (self.momentum, self.decay)[which])
        factors[:1] *= self._powers[which]
        return np.multiply.accumulate(factors)

    def taken_steps(self, n: int) -> None:
        """Count n more steps."""
        if self._corrects:
            self._powers = [float(self._next_powers(which, n)[-1]) for which in (0, 1)]
        self.taken += n

    @property
    def state(self) -> dict[str, Any]:
        """All that the next steps depend on besides the moments, in numbers."""
        return {
            "taken": self.taken, "powers": list(self._powers), "rate_factor": self.rate_factor
        }  # fmt: skip

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.taken, self._powers = state["taken"], list(state["powers"])
        self.rate_factor = state["rate_factor"]


def returned_rate(name: str, rate: Any, step: int) -> float:
    """Return what a function of the step has returned, as a float; ValueError for no rate."""
    try:
        number = float(rate) if isinstance(rate, numbers.Real) else np.nan
    except Exception:  # an int that is too large, a number of the user's own
        number = np.nan
    if not 0 <= number < np.inf:
        raise ValueError(
            f"{name} returned {shown(rate)} for step {step}; "
            "accepted is a finite number of at least 0"
        )
    return number
