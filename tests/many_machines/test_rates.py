"""The factor of the learning rates, and how it is reached."""

import pytest

from fastmlp.dask import rates
from fastmlp.optimizers import OPTIMIZERS


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rates_grow_with_the_shards_up_to_a_limit(name):
    optimizer = OPTIMIZERS[name]()
    most = 8.0 if name in ("adam", "adamw") else 4.0
    for shards in (1, 2, 3, 4, 5, 8, 9, 256):
        assert rates.rate_factor("auto", optimizer, shards) == min(shards, most)
        assert rates.rate_factor(1, optimizer, shards) == 1.0
        assert rates.rate_factor(20.5, optimizer, shards) == 20.5


def test_a_factor_is_reached_in_five_equal_steps():
    for factor in (4.0, 1.0, 0.5):
        found = [rates.factor_of_round(factor, number) for number in range(8)]
        steps = [b - a for a, b in zip([1.0, *found], found, strict=False)]
        assert steps == pytest.approx([(factor - 1) / 5] * 5 + [0.0] * 3)
        assert found[4:] == [factor] * 4
