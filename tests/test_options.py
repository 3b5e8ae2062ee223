"""Losses, optimizers and schedules: by name, by instance, and as JSON."""

import dataclasses
import json
import pickle
from fractions import Fraction

import numpy as np
import pytest

from fastmlp.losses import LOSSES, Huber, Logistic, Pinball, Softmax
from fastmlp.optimizers import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSprop
from fastmlp.options import as_plain, chosen, from_plain
from fastmlp.schedules import SCHEDULES, Constant, Cosine, Exponential, OneCycle, Step, WarmUp


@pytest.mark.parametrize("kinds", [LOSSES, OPTIMIZERS])
def test_a_name_is_the_default_instance(kinds):
    for name, kind in kinds.items():
        assert type(chosen("option", name, kinds)) is kind
        assert chosen("option", name, kinds) == kind()


def test_an_instance_is_itself():
    loss = Huber(2.0)
    assert chosen("loss", loss, LOSSES) is loss


class MyHuber(Huber):
    pass


@pytest.mark.parametrize(
    ("value", "error", "given"),
    [
        ("hinge", ValueError, "'hinge'"),
        ("", ValueError, "''"),
        (None, TypeError, "None"),
        (["huber"], TypeError, r"\['huber'\]"),
        (Huber, TypeError, "<class"),
        (MyHuber(), TypeError, "MyHuber"),
        (Adam(), TypeError, "Adam"),
    ],
)
def test_a_refusal_names_what_is_accepted(value, error, given):
    with pytest.raises(error, match=f"^loss is {given}.*; accepted are 'absolute_error', ") as e:
        chosen("loss", value, LOSSES)
    assert all(repr(name) in str(e.value) for name in LOSSES)
    assert str(e.value).endswith("and instances of the classes in fastmlp.losses")


@pytest.mark.parametrize(
    ("instance", "kinds", "plain"),
    [
        (Huber(2.5), LOSSES, {"name": "huber", "delta": 2.5}),
        (Logistic(), LOSSES, {"name": "logistic"}),
        (SGD(), OPTIMIZERS, {"name": "sgd"}),
        (Nesterov(0.5), OPTIMIZERS, {"name": "nesterov", "momentum": 0.5}),
        (Cosine(1, 20), SCHEDULES, {"name": "cosine", "rate": 1.0, "steps": 20, "final": 0.0}),
        (
            WarmUp(WarmUp(Constant(0.5), 3), 2),
            SCHEDULES,
            {
                "name": "warm_up",
                "schedule": {
                    "name": "warm_up",
                    "schedule": {"name": "constant", "rate": 0.5},
                    "steps": 3,
                },
                "steps": 2,
            },
        ),
    ],
)
def test_to_json_and_back(instance, kinds, plain):
    assert as_plain(instance, kinds) == plain
    assert from_plain(json.loads(json.dumps(plain)), kinds) == instance


@pytest.mark.parametrize("kinds", [LOSSES, OPTIMIZERS])
def test_every_one_comes_back_from_json_and_from_pickle(kinds):
    for name, kind in kinds.items():
        text = json.dumps(as_plain(kind(), kinds))
        assert json.loads(text)["name"] == name
        assert from_plain(json.loads(text), kinds) == pickle.loads(pickle.dumps(kind())) == kind()


def test_a_function_of_one_s_own_is_not_kept():
    for schedule in (abs, WarmUp(abs, 3)):
        with pytest.raises(TypeError, match="^<built-in function abs> cannot .*fastmlp.schedules$"):
            as_plain(schedule, SCHEDULES)


@pytest.mark.parametrize(
    "plain",
    [
        {"name": "hinge"},
        {"delta": 1.0},
        {"name": "huber", "delta": -1.0},
        {"name": "huber", "width": 1.0},
        {"name": ["huber"]},
    ],
)
def test_wrong_json_is_refused(plain):
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_plain(plain, LOSSES)


@pytest.mark.parametrize(
    ("kind", "field", "wrong"),
    [
        (Softmax, "label_smoothing", (-0.1, 1)),
        (Huber, "delta", (0, -1, 10**400)),
        (Pinball, "quantile", (0, 1)),
        (Momentum, "momentum", (-0.1, 1)),
        (Nesterov, "momentum", (-0.1, 1)),
        (RMSprop, "decay", (-0.1, 1)),
        (RMSprop, "epsilon", (0, -1e-8)),
        (Adagrad, "epsilon", (0, -1e-8)),
        *[(kind, beta, (-0.1, 1)) for kind in (Adam, AdamW) for beta in ("beta1", "beta2")],
        *[(kind, "epsilon", (0, -1e-8)) for kind in (Adam, AdamW)],
        (lambda **field: Step(**{"rate": 0.1, "every": 2, **field}), "rate", (-1,)),
        (lambda **field: Step(**{"rate": 0.1, "every": 2, **field}), "factor", (0, -1)),
        (lambda **field: Exponential(**{"rate": 0.1, "factor": 1, **field}), "factor", (0,)),
        (lambda **field: OneCycle(0.1, 10, **field), "warm_up", (-0.1, 1)),
    ],
)
def test_fields_are_checked(kind, field, wrong):
    for value in (*wrong, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"^{field} is .*; accepted is a (finite )?number"):
            kind(**{field: value})
    for value in (None, "0.5", True, np.True_, [0.5], 0.5j):
        with pytest.raises(TypeError, match=rf"^{field} is .*; accepted is a (finite )?number"):
            kind(**{field: value})


def test_the_sentence_of_a_field():
    with pytest.raises(ValueError) as error:
        Huber(delta=-1)
    assert str(error.value) == "delta is -1.0; accepted is a finite number above 0"


@pytest.mark.parametrize("number", [1, np.float32(0.5), np.int64(2), Fraction(1, 2)])
def test_numbers_of_every_type_are_kept_as_floats(number):
    delta = Huber(number).delta
    assert type(delta) is float
    assert delta == number
    assert json.dumps(as_plain(Huber(number), LOSSES))


def test_an_instance_never_changes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Huber().delta = -1.0


def test_the_ends_that_are_accepted():
    Softmax(0), Momentum(0), Nesterov(0), RMSprop(decay=0), Adam(0, 0), AdamW(0, 0)


def test_what_else_an_optimizer_and_a_loss_say():
    assert {name: kind.default_rate for name, kind in OPTIMIZERS.items()} == {
        "sgd": 0.05, "momentum": 0.01, "nesterov": 0.01, "rmsprop": 0.001, "adagrad": 0.01,
        "adam": 0.001, "adamw": 0.001,
    }  # fmt: skip
    assert {name: kind.task for name, kind in LOSSES.items()} == {
        "softmax": "classes", "logistic": "labels", "squared_error": "values",
        "absolute_error": "values", "huber": "values", "poisson": "values", "pinball": "values",
    }  # fmt: skip
