"""Types for users: names, base classes, and a program that mypy checks."""

import inspect
from typing import get_args, get_type_hints

import pytest

from fastmlp import MLP, NeuralNet, argument_types
from fastmlp.core.equations.activations import ACTIVATIONS
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES, Loss
from fastmlp.metrics import METRICS, TASKS
from fastmlp.optimizers import OPTIMIZERS, Optimizer
from fastmlp.schedules import SCHEDULES, Schedule
from helpers import typed_program

NAMES = {
    "ActivationName": ACTIVATIONS, "InitializerName": INITIALIZERS, "LossName": LOSSES,
    "MetricName": METRICS, "OptimizerName": OPTIMIZERS, "ScheduleName": SCHEDULES, "Task": TASKS,
    "DtypeName": ("float32", "float64"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_at_run_time(name):
    assert set(get_args(getattr(argument_types, name))) == set(NAMES[name])


def test_every_alias_of_names_is_compared():
    assert {name for name in argument_types.__all__ if name.endswith("Name")} <= set(NAMES)


@pytest.mark.parametrize(
    ("base", "kinds"), [(Loss, LOSSES), (Optimizer, OPTIMIZERS), (Schedule, SCHEDULES)]
)
def test_base_classes_are_abstract_and_their_classes_final(base, kinds):
    assert inspect.isabstract(base)
    with pytest.raises(TypeError, match="abstract"):
        base()
    for kind in kinds.values():
        assert kind.__bases__ == (base,) and kind.__final__


@pytest.mark.parametrize("kind", [MLP, NeuralNet])
def test_annotations_can_be_resolved(kind):
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            assert "return" in get_type_hints(method), name


def test_the_program_that_mypy_checks_runs():
    typed_program.train()
