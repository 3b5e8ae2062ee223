"""The comparison that the promise of equal bits rests on sees every bit."""

import numpy as np
import pytest

from fastmlp import MLP
from helpers.same_bits import assert_same_bits, bits_of, digest_of, file_of


@pytest.mark.parametrize(
    "other",
    [
        np.array([-0.0, 1.0]),
        np.array([0.0, np.nextafter(1.0, 2.0)]),
        np.array([0.0, 1.0], np.float32),
        np.array([[0.0, 1.0]]),
        np.array([0.0]),
    ],
)
def test_any_difference_is_seen(other):
    array = np.array([0.0, 1.0])
    assert_same_bits(array, array.copy())
    with pytest.raises(AssertionError):
        assert_same_bits(array, array.copy(), other)
    assert digest_of([array]) != digest_of([other])


def test_every_parameter_and_the_random_state_are_seen():
    def made():
        return MLP([3, 2], random_state=0)

    assert_same_bits(made(), made())
    assert file_of(made()) == file_of(made())
    for change in ("weights", "biases"):
        changed = made()
        getattr(changed, change)[0][1, 0] += 1
        assert bits_of(changed) != bits_of(made())
        assert file_of(changed) != file_of(made())
    drawn = made()
    drawn.random_state.random_sample()
    assert file_of(drawn) != file_of(made())
