"""The learning-rate schedules compared with those in torch.optim.lr_scheduler."""

import pytest

from helpers import mlp_cases
from helpers.mlp_cases import BATCH_SIZE, EPOCHS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from fastmlp import schedules  # noqa: E402
from helpers.torch_mlp import TorchMLP  # noqa: E402

lr_scheduler = torch.optim.lr_scheduler
STEPS = 20


def cosine_after_warm_up(optimizer):
    """Return four steps of warm-up, followed by a cosine."""
    ramp = lr_scheduler.LinearLR(optimizer, 1 / 4, total_iters=3)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, 16)
    return lr_scheduler.SequentialLR(optimizer, [ramp, cosine], [4])


#: Ours of 20 steps; and theirs of an optimizer, whose rate is 0.1.
PAIRS = {
    "constant": (schedules.Constant(0.1), lr_scheduler.ConstantLR, {"factor": 1.0}),
    "step": (schedules.Step(0.1, 6, 0.3), lr_scheduler.StepLR, {"step_size": 6, "gamma": 0.3}),
    "exponential": (schedules.Exponential(0.1, 0.9), lr_scheduler.ExponentialLR, {"gamma": 0.9}),
    "growing": (schedules.Exponential(0.1, 1.1), lr_scheduler.ExponentialLR, {"gamma": 1.1}),
    "inverse square root": (
        schedules.InverseScaling(0.1),
        lr_scheduler.LambdaLR,
        {"lr_lambda": lambda step: (step + 1) ** -0.5},
    ),
    "cosine": (schedules.Cosine(0.1, STEPS), lr_scheduler.CosineAnnealingLR, {"T_max": STEPS}),
    "cosine to 0.02": (
        schedules.Cosine(0.1, STEPS, final=0.02),
        lr_scheduler.CosineAnnealingLR,
        {"T_max": STEPS, "eta_min": 0.02},
    ),
    "one cycle": (
        schedules.OneCycle(0.1, STEPS),
        lr_scheduler.OneCycleLR,
        {"max_lr": 0.1, "total_steps": STEPS, "cycle_momentum": False},
    ),
    "another cycle": (
        schedules.OneCycle(0.1, STEPS, warm_up=0.45, initial_factor=0.1, final_factor=0.01),
        lr_scheduler.OneCycleLR,
        {
            "max_lr": 0.1,
            "total_steps": STEPS,
            "pct_start": 0.45,
            "div_factor": 10,
            "final_div_factor": 100,
            "cycle_momentum": False,
        },
    ),
    "warm-up": (schedules.WarmUp(schedules.Cosine(0.1, 16), 4), cosine_after_warm_up, {}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_schedules(name):
    schedule, scheduler, options = PAIRS[name]
    rates = []
    given = mlp_cases.settings(activation="tanh", learning_rate=0.1)
    weights, biases = mlp_cases.parameters([3, 5, 3])
    theirs = TorchMLP(weights, biases, **given, scheduler=lambda o: scheduler(o, **options))
    X, y = mlp_cases.samples("softmax", [3, 5, 3])
    step, groups = theirs.step, theirs.optimizer.param_groups

    def watched(*batch):
        rates.append(groups[0]["lr"])
        return step(*batch)

    theirs.step = watched
    theirs.fit(X, y, EPOCHS, BATCH_SIZE)
    assert [schedule(step) for step in range(STEPS)] == pytest.approx(rates, rel=1e-12)
    ours = mlp_cases.mlp(weights, biases, {**given, "learning_rate": schedule})
    for _ in range(EPOCHS):  # the schedule continues from one call to the next
        ours.fit(X, y, epochs=1, batch_size=BATCH_SIZE, shuffle=False)
    mlp_cases.assert_close(ours, theirs, 1e-9)
