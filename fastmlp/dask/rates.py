"""How learning rates grow with the number of shards."""

from __future__ import annotations

from typing import Any

from fastmlp.messages import must, shown
from fastmlp.optimizers import Adam, AdamW
from fastmlp.validation import checks

#: Of the factor: with more, networks diverge that do not with one shard. Adam bounds its steps.
MOST, MOST_OF_ADAM = 4.0, 8.0
WARM_UP = 5  # rounds until the factor is reached


def rate_factor(scale_rate: Any, optimizer: Any, n_shards: int) -> float:
    """Return the factor of all learning rates for the argument `scale_rate`."""
    if not isinstance(scale_rate, str):
        return checks.above_zero("scale_rate", scale_rate)
    if scale_rate != "auto":
        raise ValueError(must("scale_rate", "be 'auto' or a number above 0", shown(scale_rate)))
    most = MOST_OF_ADAM if isinstance(optimizer, (Adam, AdamW)) else MOST
    return min(float(n_shards), most)


def factor_of_round(factor: float, number: int) -> float:
    """Return the factor of a round, counted from 0: linear from 1 to the factor."""
    return 1 + (factor - 1) * min(1.0, (number + 1) / WARM_UP)
