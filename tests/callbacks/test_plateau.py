"""Learning rates that are lowered on a plateau."""

import math

import pytest

from fastmlp import MLP
from fastmlp.callbacks import ReduceLROnPlateau
from helpers.callbacks import At
from helpers.same_bits import assert_same_bits, bits_of


def factors(values, **options):
    """Return the model's rate factor after each of these losses."""
    plateau = ReduceLROnPlateau("loss", **{"factor": 0.5, "min_delta": 0.0} | options)
    mlp = MLP([1, 1], loss="squared_error", learning_rate=1.0, random_state=0)
    plateau.set_model(mlp)
    plateau.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        plateau.on_epoch_end(epoch, {"loss": value})
        found.append(mlp.rate_factor)
    return found


def test_plateaus_lower_the_rate_by_hand():
    flat = [1.0] * 8
    assert factors(flat, patience=1) == [2.0**-k for k in range(8)]
    assert factors(flat, patience=3) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert factors(range(8, 0, -1), patience=1) == [1.0] * 8
    assert factors(range(8), patience=1, mode="max") == [1.0] * 8
    assert factors([3, 2.5, 2, 1, 0.5], patience=1, min_delta=0.75) == [1, 0.5, 0.5, 0.5, 0.25]
    assert factors([1.0, math.nan, 0.5], patience=1) == [1, 0.5, 0.5]
    # Epochs of the cooldown are not counted.
    assert factors(flat, patience=1, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert factors(flat, patience=1, min_rate=0.2) == [1, 0.5, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert factors(flat, patience=1, min_rate=2.0) == [1.0] * 8  # a rate is never raised


def test_a_plateau_trains_as_with_a_schedule_by_hand(make_mlp, data):
    X, y = data
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    lowered = make_mlp(learning_rate=0.125, optimizer="momentum")
    lowered.fit(X, y, epochs=5, batch_size=20, callbacks=[plateau])  # 3 steps an epoch

    def schedule(step):
        return 0.125 * 0.5 ** max(0, step // 3 - 1)

    by_hand = make_mlp(learning_rate=schedule, optimizer="momentum").fit(
        X, y, epochs=5, batch_size=20
    )
    assert_same_bits(lowered, by_hand)
    constant = make_mlp(learning_rate=0.125, optimizer="momentum").fit(X, y, 5, 20)
    assert bits_of(lowered) != bits_of(constant)
    assert lowered.rate_factor == 0.5**4


def test_a_plateau_lowers_the_rates_of_a_schedule(make_mlp, data):
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, min_rate=0.03125)
    mlp = make_mlp(learning_rate=lambda step: 0.125 if step < 9 else 0.0)
    rates = []
    look = At("on_epoch_begin", lambda model, *_: rates.append(model._state.optimizer.next_rate))
    mlp.fit(*data, epochs=5, batch_size=20, callbacks=[plateau, look])
    assert rates == [0.125, 0.125, 0.0625, 0, 0]  # and nothing is divided by 0


def test_a_plateau_is_restored_from_its_state():
    for cut in range(8):
        first, second = (ReduceLROnPlateau("loss", 0.5, patience=2, cooldown=1) for _ in range(2))
        mlp = MLP([1, 1], random_state=0)
        for plateau, epochs in ((first, range(cut)), (second, range(cut, 8))):
            plateau.set_model(mlp)
            plateau.on_train_begin()
            if plateau is second:
                plateau.restore(first.state())
            for epoch in epochs:
                plateau.on_epoch_end(epoch, {"loss": 1.0})
        assert mlp.rate_factor == 0.25  # after epochs 2 and 5, 8 would be the next


def test_the_rate_factor_is_kept_and_checked(make_mlp, tmp_path):
    mlp = make_mlp()
    assert mlp.rate_factor == 1.0
    mlp.rate_factor = 0.5
    mlp.save(tmp_path / "m.npz")
    assert MLP.load(tmp_path / "m.npz").rate_factor == 0.5
    with pytest.raises(ValueError, match="^`rate_factor` must be finite and at least 0, got -1"):
        mlp.rate_factor = -1
