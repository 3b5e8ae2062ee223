"""Learning rates by step, compared with values by hand and from PyTorch."""

import math
import sys

import numpy as np
import pytest

from fastmlp.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    CyclicCosine,
    Exponential,
    InverseScaling,
    OneCycle,
    Step,
    WarmUp,
)


def rates(schedule, steps):
    return [schedule(step) for step in steps]


@pytest.mark.parametrize(
    ("schedule", "steps", "expected"),
    [
        (Constant(0.3), (0, 1, 10**9), [0.3, 0.3, 0.3]),
        (Step(0.8, 3), (0, 2, 3, 5, 6, 9), [0.8, 0.8, 0.4, 0.4, 0.2, 0.1]),
        (Step(0.8, 1, factor=0.25), (0, 1, 2), [0.8, 0.2, 0.05]),
        (Exponential(0.5, 0.9), (0, 1, 2, 3), [0.5, 0.45, 0.405, 0.3645]),
        (Exponential(0.5, 2.0), (0, 1, 2, 3), [0.5, 1, 2, 4]),
        (InverseScaling(0.6), (0, 3, 8, 99), [0.6, 0.3, 0.2, 0.06]),
        (InverseScaling(0.6, power=1), (0, 1, 2, 5), [0.6, 0.3, 0.2, 0.1]),
        (Cosine(0.4, 6), (0, 2, 3, 4, 6, 7, 100), [0.4, 0.3, 0.2, 0.1, 0, 0, 0]),
        (Cosine(0.5, 6, final=0.1), (0, 2, 3, 4, 6, 7), [0.5, 0.4, 0.3, 0.2, 0.1, 0.1]),
        (Cosine(0.1, 6, final=0.5), (0, 2, 6), [0.1, 0.2, 0.5]),
        # 15 steps have 4 cycles, which end where 1 + step is a power of 2.
        (CyclicCosine(0.4, 15), (0, 1, 3, 7, 15, 16, 10**9), [0, 0, 0, 0, 0, 0, 0]),
        (CyclicCosine(0.4, 1, cycles=1), (0, 1), [0, 0]),
        (WarmUp(Constant(0.4), 4), range(6), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]),
        (WarmUp(Step(0.4, 2), 4), range(8), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.2]),
        (WarmUp(lambda step: 5 - step, 1), range(4), [5, 5, 4, 3]),
        (WarmUp(WarmUp(Constant(0.4), 2), 2), range(6), [0.1, 0.2, 0.2, 0.4, 0.4, 0.4]),
        # Up over steps 0 to 4, down to step 9.
        (OneCycle(1.0, 10, 0.5, 0.2, 0.5), (0, 2, 4, 9, 10), [0.2, 0.6, 1, 0.1, 0.1]),
        (OneCycle(1.0, 3, 0.0, 0.2, 0.0), (0, 1, 2), [0.75, 0.25, 0]),
        (OneCycle(1.0, 1), (0, 1), [4e-6, 4e-6]),
    ],
)
def test_rates_worked_by_hand(schedule, steps, expected):
    assert rates(schedule, steps) == pytest.approx(expected, rel=1e-14, abs=1e-16)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (
            OneCycle(0.7, 10),
            [
                0.028000000000000025, 0.364, 0.7, 0.6653392424094315, 0.5682219577648341,
                0.4278834153554025, 0.27211938464459756, 0.13178084223516587, 0.0346635575905684,
                2.8e-06,
            ],
        ),
        (
            OneCycle(0.7, 7, 0.25),
            [
                0.028000000000000025, 0.6960908048156382, 0.6065685288678185, 0.4278834153554025,
                0.22213255294919584, 0.0608189857236859, 2.8e-06,
            ],
        ),
        (
            Cosine(0.3, 5, 0.01),
            [
                0.3, 0.27230746418436735, 0.19980746418436734, 0.1101925358156326,
                0.03769253581563263, 0.01,
            ],
        ),
    ],
)  # fmt: skip
def test_rates_of_pytorch(schedule, expected):
    """Of torch.optim.lr_scheduler.OneCycleLR and CosineAnnealingLR, PyTorch 2.13."""
    assert rates(schedule, range(len(expected))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("schedule", "highest"),
    [(Cosine(0.01, 7, 0.001), 0.01), (OneCycle(0.1, 70), 0.1), (WarmUp(Cosine(0.1, 7), 3), 0.1)],
)
def test_the_ends_are_exact(schedule, highest):
    given = rates(schedule, range(100))
    assert max(given) == highest
    assert schedule(10**12) == schedule(200) == min(given)


def test_far_steps_end_at_zero_or_infinity():
    far = sys.maxsize
    assert Exponential(0.1, 0.5)(far) == Step(0.1, 1)(far) == 0
    assert Exponential(0.1, 1.5)(far) == math.inf
    assert InverseScaling(0.1, power=100)(far) == 0


@pytest.mark.parametrize(("steps", "cycles"), [(1000, 4), (70_000, 4), (997, 2), (50, 9)])
def test_cyclic_cosine_is_a_squared_sine_of_a_logarithm(steps, cycles):
    shares = np.arange(steps) / steps
    expected = 0.3 * np.sin(np.pi * np.log1p((2.0**cycles - 1) * shares) / np.log(2)) ** 2
    found = rates(CyclicCosine(0.3, steps, cycles), range(steps))
    np.testing.assert_allclose(found, expected, atol=1e-13)
    if steps > 900:
        assert max(found) == pytest.approx(0.3, rel=1e-2)


@pytest.mark.parametrize("wrong", [0, 65])
def test_cycles_are_limited(wrong):
    with pytest.raises(ValueError, match=r"^`cycles` must be an int .* got"):
        CyclicCosine(0.1, 10, wrong)


def test_rates_are_floats_of_python():
    schedules = [
        Constant(1), Step(1, 2), Exponential(1, 1), InverseScaling(1), Cosine(1, 2),
        CyclicCosine(1, 10), WarmUp(Constant(1), 2), OneCycle(1, 10),
    ]  # fmt: skip
    assert {type(schedule) for schedule in schedules} == set(SCHEDULES.values())
    for schedule in schedules:
        assert {type(rate) for rate in rates(schedule, range(12))} == {float}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda wrong: Step(0.1, wrong), "every"),
        (lambda wrong: Cosine(0.1, wrong), "steps"),
        (lambda wrong: CyclicCosine(0.1, wrong), "steps"),
        (lambda wrong: WarmUp(Constant(0.1), wrong), "steps"),
        (lambda wrong: OneCycle(0.1, wrong), "steps"),
    ],
)
def test_counts_are_checked(make, field):
    with pytest.raises(ValueError, match=rf"^`{field}` must be an int of at least 1, got 0\.$"):
        make(0)
    with pytest.raises(TypeError, match=rf"^`{field}` must be an int of at least 1, got 2\.5\.$"):
        make(2.5)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (Constant, "rate"),
        (lambda wrong: Step(wrong, 2), "rate"),
        (lambda wrong: Exponential(wrong, 0.5), "rate"),
        (InverseScaling, "rate"),
        (lambda wrong: InverseScaling(0.1, wrong), "power"),
        (lambda wrong: Cosine(wrong, 2), "rate"),
        (lambda wrong: Cosine(0.1, 2, wrong), "final"),
        (lambda wrong: CyclicCosine(wrong, 2), "rate"),
        (lambda wrong: OneCycle(wrong, 2), "peak"),
        (lambda wrong: OneCycle(0.1, 2, initial_factor=wrong), "initial_factor"),
        (lambda wrong: OneCycle(0.1, 2, final_factor=wrong), "final_factor"),
    ],
)
def test_rates_are_checked(make, field):
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^`{field}` must be finite and at least 0, got"):
            make(wrong)
    with pytest.raises(TypeError, match=f"^`{field}` must be a number .* at least 0, got '0.1'"):
        make("0.1")
    make(0)


@pytest.mark.parametrize("wrong", [0.1, None, "cosine", Cosine])
def test_warm_up_to_an_invalid_schedule(wrong):
    with pytest.raises(
        TypeError, match="^`schedule` must be a schedule or a function of the step, got"
    ):
        WarmUp(wrong, 10)
