"""Learning rate schedules: functions from the step to the rate.

Steps count the updates of a network, one for each minibatch, starting at 0. Any function of the
step can be used as a schedule; only those of this module are saved with a network. They use the
`math` module only, so that rates have the same bits on every processor.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from fastmlp.core.optimizer_state import returned_rate
from fastmlp.options import check_fields, count, function_of_step
from fastmlp.validation.checks import (
    above_zero,
    from_zero_below_one,
    non_negative,
    whole_number,
)


class Schedule(ABC):
    """Base class of the schedules: frozen dataclasses, each known by a name in `SCHEDULES`.

    Examples
    --------
    >>> from fastmlp.schedules import Constant, Schedule
    >>> isinstance(Constant(0.1), Schedule)
    True
    """

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    rate : float
        At least 0, as the rates of all schedules.

    Raises
    ------
    ValueError, TypeError
        If a parameter is invalid, as for all schedules.

    Examples
    --------
    >>> from fastmlp.schedules import Constant
    >>> Constant(0.1)(step=1000)
    0.1
    """

    rate: float

    def __post_init__(self) -> None:
        check_fields(self, rate=non_negative)

    def __call__(self, step: int) -> float:
        """Return ``rate``."""
        return self.rate


@final
@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied by `factor` after every `every` steps.

    Parameters
    ----------
    rate : float
    every : int
        At least 1: ``10 * math.ceil(n_samples / batch_size)`` is ten epochs.
    factor : float, default 0.5
        Above 0.

    Examples
    --------
    >>> from fastmlp.schedules import Step
    >>> schedule = Step(0.1, every=100)
    >>> schedule(0), schedule(99), schedule(100), schedule(250)
    (0.1, 0.1, 0.05, 0.025)
    """

    rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, rate=non_negative, every=count, factor=above_zero)

    def __call__(self, step: int) -> float:
        """Return ``rate * factor**(step // every)``."""
        return self.rate * _power(self.factor, step // self.every)


@final
@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate is multiplied by `factor` after each step.

    Parameters
    ----------
    rate : float
    factor : float
        Above 0. Above 1 the rate grows, as in a learning rate range test.

    Examples
    --------
    >>> from fastmlp.schedules import Exponential
    >>> schedule = Exponential(1.0, factor=0.5)
    >>> schedule(0), schedule(1), schedule(3)
    (1.0, 0.5, 0.125)
    """

    rate: float
    factor: float

    def __post_init__(self) -> None:
        check_fields(self, rate=non_negative, factor=above_zero)

    def __call__(self, step: int) -> float:
        """Return ``rate * factor**step``."""
        return self.rate * _power(self.factor, step)


@final
@dataclass(frozen=True)
class InverseScaling(Schedule):
    """The rate decays as a power of the step.

    For a `power` above 0.5 and at most 1, stochastic approximation converges (Robbins and Monro, A
    Stochastic Approximation Method, 1951).

    Parameters
    ----------
    rate : float
    power : float, default 0.5
        At least 0.

    Examples
    --------
    >>> from fastmlp.schedules import InverseScaling
    >>> schedule = InverseScaling(1.0)
    >>> schedule(0), schedule(3), schedule(99)
    (1.0, 0.5, 0.1)
    """

    rate: float
    power: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, rate=non_negative, power=non_negative)

    def __call__(self, step: int) -> float:
        """Return ``rate / (step + 1)**power``."""
        return self.rate / _power(step + 1.0, self.power)


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """Cosine annealing from `rate` to `final`, where the rate stays.

    (Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, equation 5,
    without restarts.)

    Parameters
    ----------
    rate : float
    steps : int
        At least 1; `final` is reached after as many steps.
    final : float, default 0.0

    Examples
    --------
    >>> from fastmlp.schedules import Cosine
    >>> schedule = Cosine(0.1, steps=1000)
    >>> [round(schedule(step), 6) for step in (0, 250, 500, 1000, 2000)]
    [0.1, 0.085355, 0.05, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, rate=non_negative, steps=count, final=non_negative)

    def __call__(self, step: int) -> float:
        """Return ``final + (rate - final) * (1 + cos(pi * step / steps)) / 2``."""
        return _along_cosine(self.rate, self.final, step / self.steps)


@final
@dataclass(frozen=True)
class CyclicCosine(Schedule):
    """Cycles between 0 and `rate` along cosines, each about twice as long as the one before.

    (Holzmueller, Grinsztajn and Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted
    Trees on Tabular Data, 2024, section 3, there coslog4.)

    Parameters
    ----------
    rate : float
        The highest rate of each cycle; the first is 0, and so are those between two cycles.
    steps : int
        At least 1: all steps of the training, after which the rate is 0.
    cycles : int, default 4
        At least 1.

    Examples
    --------
    >>> from fastmlp.schedules import CyclicCosine
    >>> schedule = CyclicCosine(0.1, steps=1500)
    >>> [round(schedule(step), 6) for step in (0, 50, 100, 300, 700, 900, 1500)]
    [0.0, 0.093043, 0.0, 0.0, 0.0, 0.071835, 0.0]
    """

    rate: float
    steps: int
    cycles: int = 4

    def __post_init__(self) -> None:
        check_fields(self, rate=non_negative, steps=count, cycles=_few)

    def __call__(self, step: int) -> float:
        """Return ``rate * (1 - cos(2 pi log2(1 + (2**cycles - 1) * step / steps))) / 2``."""
        share = min(step / self.steps, 1.0)
        turns = math.log2(1 + (2**self.cycles - 1) * share)
        return self.rate * (1 - math.cos(2 * math.pi * turns)) / 2


@final
@dataclass(frozen=True)
class WarmUp(Schedule):
    """Linear warm-up to the first rate of another schedule, which follows.

    The other schedule counts its steps from the end of the warm-up: ``WarmUp(Cosine(0.1, 1000),
    50)`` is 0.1 at the steps 49 and 50, and 0 from step 1050 on.

    Parameters
    ----------
    schedule : callable
        From step to rate; saved if it is one of this module.
    steps : int
        At least 1: the steps of the warm-up.

    Examples
    --------
    >>> from fastmlp.schedules import Constant, WarmUp
    >>> schedule = WarmUp(Constant(0.5), steps=5)
    >>> [schedule(step) for step in range(7)]
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5]
    """

    schedule: Callable[[int], float]
    steps: int

    def __post_init__(self) -> None:
        check_fields(self, schedule=function_of_step, steps=count)

    def __call__(self, step: int) -> float:
        """Return ``schedule(0) * (step + 1) / steps``, and then ``schedule(step - steps)``."""
        if step < self.steps:
            return self._rate(0) * ((step + 1) / self.steps)
        return self._rate(step - self.steps)

    def _rate(self, step: int) -> float:
        return returned_rate("schedule", self.schedule(step), step)


@final
@dataclass(frozen=True)
class OneCycle(Schedule):
    """The 1cycle policy: up to `peak` and far down again, both along a cosine.

    (Smith, A disciplined approach to neural network hyper-parameters: Part 1, 2018, section 4.2,
    with cosines and the defaults of PyTorch's OneCycleLR.)

    Parameters
    ----------
    peak : float
    steps : int
        At least 1: all steps of the training; the rate of the last one stays.
    warm_up : float, default 0.3
        The fraction of the steps with a rising rate, at least 0 and below 1; step
        ``warm_up * steps - 1`` has the peak.
    initial_factor : float, default 1 / 25
        At least 0; the first rate is ``peak * initial_factor``.
    final_factor : float, default 1e-4
        At least 0; the last rate is ``peak * initial_factor * final_factor``.

    Examples
    --------
    >>> from fastmlp.schedules import OneCycle
    >>> schedule = OneCycle(1.0, steps=10)
    >>> [round(schedule(step), 6) for step in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 4e-06]
    """

    peak: float
    steps: int
    warm_up: float = 0.3
    initial_factor: float = 1 / 25
    final_factor: float = 1e-4

    def __post_init__(self) -> None:
        check_fields(
            self,
            peak=non_negative,
            steps=count,
            warm_up=from_zero_below_one,
            initial_factor=non_negative,
            final_factor=non_negative,
        )

    def __call__(self, step: int) -> float:
        """Return the rate of the step."""
        initial = self.peak * self.initial_factor
        top, last = self.warm_up * self.steps - 1, self.steps - 1
        if step < top:
            return _along_cosine(initial, self.peak, step / top)
        # A peak before step 0 has passed: the rate is already falling at step 0.
        return _along_cosine(self.peak, initial * self.final_factor, (step - top) / (last - top))


#: The names that users may pass, and what they stand for.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "inverse_scaling": InverseScaling,
    "cosine": Cosine,
    "cyclic_cosine": CyclicCosine,
    "warm_up": WarmUp,
    "one_cycle": OneCycle,
}


def _along_cosine(first: float, last: float, share: float) -> float:
    """Return a rate between two others, after a fraction of the way; exact at both ends."""
    to_go = (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return first * to_go + last * (1 - to_go)


def _few(name: str, value: Any) -> int:
    """Return a number of cycles, which `2**cycles` limits."""
    return whole_number(name, value, 1, 64)


def _power(base: float, exponent: float) -> float:
    """Return ``base**exponent``, infinity where it is too large for a float."""
    try:
        return base**exponent
    except OverflowError:
        return math.inf
