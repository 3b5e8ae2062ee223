"""How learning rates grow with the number of shards."""

from __future__ import annotations

import math
from typing import Any

from fastmlp.optimizers import SGD, Momentum, Nesterov
from fastmlp.validation import checks

MOST = 4.0  # of the factor of plain gradients
WARM_UP = 5  # rounds until the factor is reached


def rate_factor(scale_rate: Any, optimizer: Any, n_shards: int) -> float:
    """Return the factor of all learning rates for the argument `scale_rate`."""
    if not isinstance(scale_rate, str):
        return checks.above_zero("scale_rate", scale_rate)
    checks.choice("scale_rate", scale_rate, ("auto",))
    if isinstance(optimizer, (SGD, Momentum, Nesterov)):
        return min(float(n_shards), MOST)
    return math.sqrt(n_shards)


def factor_of_round(factor: float, number: int) -> float:
    """Return the factor of a round, counted from 0: linear from 1 to the factor."""
    return 1 + (factor - 1) * min(1.0, (number + 1) / WARM_UP)
