"""Losses, optimizers and schedules given by name, as instances, and as JSON."""

import dataclasses
import json
import pickle
import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.callbacks import EarlyStopping
from fastmlp.losses import LOSSES, Huber, Logistic, Pinball, Softmax
from fastmlp.optimizers import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSprop
from fastmlp.options import chosen, from_dict, to_dict
from fastmlp.schedules import SCHEDULES, Constant, Cosine, Exponential, OneCycle, Step, WarmUp
from helpers.messages import assert_form
from helpers.same_bits import bits_of


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
def test_a_refusal_names_what_it_must_be(value, error, given):
    with pytest.raises(
        error, match=f"^`loss` must be one of 'absolute_error', .*, got .*{given}"
    ) as e:
        chosen("loss", value, LOSSES)
    assert all(repr(name) in str(e.value) for name in LOSSES)
    assert (
        str(e.value).partition(", got")[0].endswith("or an instance of a class in fastmlp.losses")
    )


@pytest.mark.parametrize(
    ("instance", "kinds", "plain"),
    [
        (Huber(2.5), LOSSES, {"name": "huber", "delta": 2.5}),
        (Logistic(), LOSSES, {"name": "logistic"}),
        (SGD(), OPTIMIZERS, {"name": "sgd"}),
        (Nesterov(0.5), OPTIMIZERS, {"name": "nesterov", "momentum": 0.5}),
        (
            Momentum(1, rate_in_velocity=True),
            OPTIMIZERS,
            {"name": "momentum", "momentum": 1.0, "rate_in_velocity": True},
        ),
        (Logistic("sum"), LOSSES, {"name": "logistic", "reduction": "sum"}),
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
    assert to_dict(instance, kinds) == plain
    assert from_dict(json.loads(json.dumps(plain)), kinds) == instance


@pytest.mark.parametrize("kinds", [LOSSES, OPTIMIZERS])
def test_every_one_comes_back_from_json_and_from_pickle(kinds):
    for name, kind in kinds.items():
        text = json.dumps(to_dict(kind(), kinds))
        assert json.loads(text)["name"] == name
        assert from_dict(json.loads(text), kinds) == pickle.loads(pickle.dumps(kind())) == kind()


def test_a_user_function_is_not_serialized():
    for schedule in (abs, WarmUp(abs, 3)):
        with pytest.raises(
            TypeError, match="class in fastmlp.schedules .*, got <built-in function abs>"
        ):
            to_dict(schedule, SCHEDULES)


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
        from_dict(plain, LOSSES)


@pytest.mark.parametrize(
    ("kind", "field", "wrong"),
    [
        (Softmax, "label_smoothing", (-0.1, 1)),
        (Huber, "delta", (0, -1, 10**400)),
        (Pinball, "quantile", (0, 1)),
        (Momentum, "momentum", (-0.1, 1.1)),
        (Nesterov, "momentum", (-0.1, 1.1)),
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
        with pytest.raises(
            ValueError, match=rf"^`{field}` must be (finite and )?(at least|above) 0"
        ):
            kind(**{field: value})
    for value in (None, "0.5", True, np.True_, [0.5], 0.5j):
        with pytest.raises(TypeError, match=rf"^`{field}` must be a number that is .* 0.*, got "):
            kind(**{field: value})


def test_the_sentence_of_a_field():
    with pytest.raises(ValueError) as error:
        Huber(delta=-1)
    assert str(error.value) == "`delta` must be finite and above 0, got -1.0."


@pytest.mark.parametrize("number", [1, np.float32(0.5), np.int64(2), Fraction(1, 2)])
def test_numbers_of_every_type_are_kept_as_floats(number):
    delta = Huber(number).delta
    assert type(delta) is float
    assert delta == number
    assert json.dumps(to_dict(Huber(number), LOSSES))


def test_an_instance_never_changes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Huber().delta = -1.0


def test_the_ends_of_intervals_that_include_them():
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


# Checks shared by several arguments --------------------------------------------------------------


def refusal(error, call, *arguments, **options):
    with pytest.raises(error) as raised:
        call(*arguments, **options)
    return assert_form(str(raised.value))


def assigned_and_used(net, name, value):
    setattr(net, name, value)
    net.fit(np.eye(net.layers[0]), [0, 1] * (net.layers[0] // 2))


@pytest.mark.parametrize("name", ["l2", "l1", "max_norm", "dropout"])
@pytest.mark.parametrize(
    ("value", "error", "place", "got"),
    [
        ([1, [2]], (TypeError, ValueError), "", ""),
        ([0.5, [0.5]], TypeError, "[1]", "[0.5]"),
        ([[0.5], 0.5], TypeError, "[0]", "[0.5]"),
        ([0.5, "0.5"], TypeError, "[1]", "'0.5'"),
        ([0.5, 10**400], ValueError, "[1]", "an int of 401 digits"),
        ([0.5] * 3, ValueError, "", "a list of 3"),
        ([], ValueError, "", "a list of 0"),
        (np.array(0.5), TypeError, "", "array(0.5)"),
        (np.array([0.5, "x"], object), TypeError, "[1]", "'x'"),
        ({0.5}, TypeError, "", "{0.5}"),
        ({0: 0.5}, TypeError, "", "{0: 0.5}"),
        ("0.5", TypeError, "", "'0.5'"),
        (iter([0.5, 0.5]), TypeError, "", "<list_iterator"),
        (np.timedelta64(1, "D"), TypeError, "", f"{np.timedelta64(1, 'D')!r}"),
        (True, TypeError, "", "True"),
    ],
)
def test_one_value_or_a_list_of_them(name, value, error, place, got):
    said = re.compile(re.escape(f"`{name}{place}") + ".* must .*, got " + re.escape(got))
    layers = [4, 3, 2] if name != "dropout" else [4, 3, 3, 2]
    assert said.match(refusal(error, MLP, layers, **{name: value}))
    net = MLP(layers, random_state=0)
    before = bits_of(net)
    value = value if not isinstance(value, Iterator) else iter([0.5, 0.5])
    assert said.match(refusal(error, assigned_and_used, net, name, value))
    assert bits_of(net) == before


def test_a_list_of_values_may_be_an_array_or_a_tuple():
    for l2 in ([0.5, 0.25], (0.5, 0.25), np.array([0.5, 0.25]), [Fraction(1, 2), np.float32(0.25)]):
        net = MLP([4, 3, 2], l2=l2, random_state=0)
        assert net._state.network._table["l2"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize("layers", [np.array(5), {4, 2}, {4: 1, 2: 1}, "42", b"42", 5, None, MLP])
def test_invalid_layers(layers):
    assert refusal(TypeError, MLP, layers).startswith(
        "`layers` must be a list of two or more sizes, got "
    )


@pytest.mark.parametrize("layers", [(4, 2), np.array([4, 2]), range(4, 1, -2), iter([4, 2])])
def test_layers_of_any_order(layers):
    assert MLP(layers, random_state=0).layers == [4, 2]


@pytest.mark.parametrize(
    "layers", [[2**31 - 1] * 2, [2**23, 2**23], [5] + [2**22] * 3, [10, 2**31 - 1, 2**20]]
)
def test_more_weights_than_a_process_can_address(layers):
    message = refusal(ValueError, MLP, layers)
    assert (
        message.startswith("`layers` must have at most ") and "which a process can add" in message
    )
    assert re.search(r", got \d\.\de\+1\d weights for the sizes \[", message)


@pytest.mark.parametrize("function", [MLP, type, float, Cosine])
def test_a_class_is_refused_as_learning_rate(function):
    net = MLP([2, 2], random_state=0)
    start = "`learning_rate` must be a schedule or a function of the step, got <class "
    assert refusal(TypeError, MLP, [2, 2], learning_rate=function).startswith(start)
    message = refusal(TypeError, assigned_and_used, net, "learning_rate", function)
    assert message.startswith(start)


@pytest.mark.parametrize("returned", [10**400, [10**5000], -1, None, "0.1", np.nan, [0.1], 1j])
@pytest.mark.parametrize("steps", [0, 3])
def test_what_a_function_of_the_step_returns(returned, steps):
    def rate(step):
        return 0.1 if step < steps else returned

    net = MLP([2, 2], learning_rate=rate, random_state=0)
    message = refusal(ValueError, net.fit, np.eye(2), [0, 1], batch_size=1)
    assert message.startswith("`learning_rate` must return ") and f"for step {steps}" in message
    net.learning_rate = WarmUp(rate, 1)
    message = refusal(ValueError, net.fit, np.eye(2), [0, 1], batch_size=1)
    assert message.startswith("`schedule` must return ") and f"for step {steps}" in message


def test_an_error_in_a_user_schedule_passes_through():
    mine = KeyError("mine")

    def rate(step):
        raise mine

    for learning_rate in (rate, WarmUp(rate, 3)):
        net = MLP([2, 2], learning_rate=learning_rate, random_state=0)
        with pytest.raises(KeyError) as raised:
            net.fit(np.eye(2), [0, 1])
        assert raised.value is mine


class Odd:
    """Raises in every method."""

    def fails(self, *arguments):
        raise RuntimeError("of the user's own")

    __repr__ = __float__ = __index__ = __len__ = __iter__ = __bool__ = __array__ = fails


LONG = [10**400, -(10**400), 10**5000, ["x" * 10**4], "x\ny" * 10**3, b"\n" * 500]
ODD = [Odd(), [Odd()], np.array([10**5000], object), *LONG]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize(
    "name",
    [
        "layers", "activation", "output_activation", "loss", "optimizer", "learning_rate", "init",
        "l2", "l1", "max_norm", "dropout", "input_noise", "clip_norm", "dtype", "input_shift",
        "input_scale", "warm_start", "random_state", "n_threads",
    ],
)  # fmt: skip
def test_every_argument_of_mlp_is_named_in_a_short_line(name, value):
    given = {"layers": [4, 3, 2], "random_state": 0, name: value}
    if name == "warm_start" and isinstance(value, int):  # every int is accepted as a bool
        return
    message = refusal((TypeError, ValueError), MLP, **given)
    assert message.startswith(f"`{name}") and "0" * 100 not in message


@pytest.mark.parametrize("name", ["epochs", "batch_size", "n_threads", "random_state", "layers"])
def test_ints_that_are_too_long(name):
    for value, said in ((2**63, str(2**63)), (10**400, "an int of 401 digits")):
        if name in ("epochs", "batch_size"):
            call, given = MLP([2, 2], random_state=0).fit, (np.eye(2), [0, 1])
        else:
            call, given = MLP, ([2, value],) if name == "layers" else ([2, 2],)
        options = {} if name == "layers" else {name: value}
        message = refusal(ValueError, call, *given, **options)
        assert message.startswith(f"`{name}") and "must be an int from " in message
        assert message.endswith(f", got {said}.")


@pytest.mark.parametrize("name", ["shuffle", "verbose", "warm_start", "restore_best_weights"])
def test_flags(name):
    def call(value):
        if name == "restore_best_weights":
            return EarlyStopping(restore_best_weights=value)
        if name == "warm_start":
            return MLP([2, 2], random_state=0, warm_start=value)
        return MLP([2, 2], random_state=0).fit(np.eye(2), [0, 1], epochs=0, **{name: value})

    for value in (True, False, np.True_, 1, 0):
        call(value)
    for value in (None, "no", b"", [], np.ones(2), 0.0, Odd(), {}):
        message = refusal((TypeError, ValueError), call, value)
        assert message.startswith(f"`{name}` must be True")
        assert ("'blocks'" in message) == (name == "shuffle")
