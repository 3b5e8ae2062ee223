"""Any argument is either accepted, or refused by name and without any change.

Every argument of every public entry point is given values that no one should pass: alone, in
lists, and in the place of one number of a good value."""

import copy
import dataclasses
import functools
import inspect
import re
import warnings

import hypothesis.strategies as st
import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings

import fastmlp
from fastmlp import MLP, NeuralNet, callbacks, datasets, losses, metrics, optimizers, schedules
from fastmlp.training.epoch import DivergenceWarning
from helpers.hostile_values import VALUES, X, Y
from helpers.messages import assert_form
from helpers.same_bits import bits_of

PAIRS = [(x, np.eye(3)[[y]].T) for x, y in zip(X, Y, strict=True)]


# The entry points --------------------------------------------------------------------------------


#: Errors that a path may cause, and those raised by the user's iterables, functions
#: and paths; the values above raise RuntimeError.
OF_FILES = (OSError, RuntimeError)


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of an entry point."""

    entry: str  # with the argument's name
    named: str  # a pattern that a refusal has
    good: object
    call: object  # (network, value) -> result of the entry point
    passes: tuple = ()  # errors of other kinds
    kind: type | None = MLP
    changes: bool = True  # whether an accepted value changes the network


def all_arguments():
    yield from of_constructors()
    yield from of_fitting()
    yield from of_prediction()
    yield from of_assignment()
    yield from of_files()


def of_constructors():
    """Yield each argument of the public classes and functions."""

    def of(make, goods, **others):
        for name, parameter in inspect.signature(make).parameters.items():
            good = goods.get(name, parameter.default)
            call = functools.partial(
                lambda make, name, net, v: make(**others | {name: v}), make, name
            )
            yield Argument(
                f"{make.__name__}({name})",
                rf"\b{name}\b",
                good,
                call,
                OF_FILES if name == "path" else (),
                None,
            )

    goods = {"layers": [4, 5, 3], "init": [np.ones((5, 4)), np.ones((3, 5))]}
    for kind in (MLP, NeuralNet):
        yield from of(kind, goods, layers=[4, 5, 3], random_state=0)
    goods = {"rate": 0.1, "peak": 0.1, "factor": 0.5, "every": 2, "steps": 3}
    for family in (losses.LOSSES, optimizers.OPTIMIZERS, schedules.SCHEDULES):
        for kind in family.values():
            fields = [field.name for field in dataclasses.fields(kind)]
            others = {name: goods[name] for name in fields if name in goods}
            if kind is schedules.WarmUp:
                others["schedule"] = schedules.Constant(0.1)
            yield from of(kind, others, **others)
    yield from of(callbacks.EarlyStopping, {})
    yield from of(callbacks.ReduceLROnPlateau, {})
    yield from of(callbacks.OptunaPruning, {}, trial=optuna.trial.FixedTrial({}))
    yield from of(callbacks.Progress, {})
    yield from of(callbacks.ModelCheckpoint, {}, path="path")
    yield from of(callbacks.CSVLogger, {}, path="path")
    yield from of(metrics.Metric, {}, name="own", function=np.mean)
    yield from of(metrics.top_k, {})
    yield Argument("warmup(dtype)", "dtype", "float32", lambda net, v: fastmlp.warmup(v), (), None)


def of_fitting():
    goods = {
        "X": X, "y": Y, "epochs": 1, "sample_weight": np.ones(6), "class_weight": {0: 1.0, 1: 2.0},
        "validation_data": (X, Y), "metrics": ["f1"], "callbacks": [callbacks.Callback()],
    }  # fmt: skip
    for method in (MLP.fit, MLP.partial_fit):
        for name, parameter in list(inspect.signature(method).parameters.items())[1:]:
            yield Argument(
                f"{method.__name__}({name})",
                rf"\b{'metric' if name == 'metrics' else name}",
                goods.get(name, parameter.default),
                functools.partial(
                    lambda method, name, net, v: method(net, **{"X": X, "y": Y, name: v}),
                    method,
                    name,
                ),
                {"metrics": (RuntimeError,), "resume": OF_FILES}.get(name, ()),
            )
    yield Argument("batches", r"\bX\b", [(X, Y)], lambda net, v: net.fit(v), (RuntimeError,))
    batch = [X, Y, np.ones(6)]
    for place in (0, 1, 2):
        yield Argument(
            f"batches[{place}]",
            r"X\[i\]|sample_weight",
            batch[place],
            lambda net, v, place=place: net.fit([(*batch[:place], v, *batch[place + 1 :])]),
        )
        yield Argument(
            f"validation_data[{place}]",
            r"validation_data|sample_weight",
            batch[place],
            lambda net, v, place=place: net.fit(
                X, Y, validation_data=(*batch[:place], v, *batch[place + 1 :])
            ),
        )
    for name in ("training_data", "validation_data"):
        yield Argument(
            f"train({name})",
            name,
            PAIRS,
            lambda net, v, name=name: net.train(**{"training_data": PAIRS, "epochs": 1, name: v}),
            (RuntimeError,),
            kind=NeuralNet,
        )
    yield Argument(
        "train(epochs)", "epochs", 1, lambda net, v: net.train(PAIRS, epochs=v), kind=NeuralNet
    )


def of_prediction():
    calls = {
        "predict(X)": lambda net, v: net.predict(v),
        "predict_proba(X)": lambda net, v: net.predict_proba(v),
        "score(X)": lambda net, v: net.score(v, Y),
        "score(y)": lambda net, v: net.score(X, v),
        "score(sample_weight)": lambda net, v: net.score(X, Y, v),
        "test(test_data)": lambda net, v: net.test(v),
    }
    goods = {"X": X, "y": Y, "sample_weight": np.ones(6), "test_data": PAIRS}
    for entry, call in calls.items():
        name = entry[entry.index("(") + 1 : -1]
        kind = NeuralNet if name == "test_data" else MLP
        passes = (RuntimeError,) * (name == "test_data")
        yield Argument(entry, rf"\b{name}\b", goods[name], call, passes, kind, changes=False)


def of_assignment():
    """Yield the assignable attributes, each restored after a fit that refuses it."""

    def assign(name, net, v):
        before = getattr(net, name)
        try:
            setattr(net, name, v)
            net.fit(X, Y, epochs=1)
        except Exception:
            setattr(net, name, before)
            raise

    names = (
        "learning_rate", "l2", "l1", "max_norm", "dropout", "input_noise", "clip_norm",
        "n_threads", "rate_factor",
    )  # fmt: skip
    net = network(MLP)
    for name in names:
        passes = (RuntimeError,) * (name == "learning_rate")
        yield Argument(
            f"net.{name}", name, getattr(net, name), functools.partial(assign, name), passes
        )
    for name in ("weights", "biases"):
        yield Argument(
            f"net.{name}",
            name,
            [view.copy() for view in getattr(net, name)],
            lambda net, v, name=name: setattr(net, name, v),
        )
        yield Argument(
            f"net.{name}[1]",
            name,
            getattr(net, name)[1].copy(),
            lambda net, v, name=name: getattr(net, name).__setitem__(1, v),
        )


def of_files():
    for name, call in {
        "save": lambda net, v: net.save(v),
        "load": lambda net, v: type(net).load(v),
        "dump": lambda net, v: net.dump(v),
    }.items():
        yield Argument(f"{name}(path)", "path|file", "no", call, OF_FILES, NeuralNet, changes=False)
    for read in (datasets.read_idx,):
        yield Argument(
            read.__name__, "path", "no", lambda net, v, read=read: read(v), OF_FILES, None
        )


@functools.cache
def trained(kind):
    options = {"dropout": 0.2, "input_noise": 0.1} if kind is MLP else {}
    return kind([4, 5, 3], random_state=np.random.RandomState(3), **options).fit(X, Y, epochs=1)


def network(kind):
    """Return a slightly trained network, always the same; None if `kind` is None."""
    return None if kind is None else copy.deepcopy(trained(kind))


def views(net):
    return () if net is None else (*net.weights, *net.biases)


def state(net):
    """Return the visible state of a network."""
    if net is None:
        return None
    history = {name: list(values) for name, values in net.history_.items()}
    return history, net.rate_factor, net.stop_training, bits_of(net)


def next_bits(net):
    """Return the parameters after some more steps, which depend on the hidden state."""
    return None if net is None else state(net.partial_fit(X, Y, 4))


@functools.cache
def expected_bits(kind):
    return next_bits(network(kind))


ARGUMENTS = {argument.entry: argument for argument in all_arguments()}


# The property ------------------------------------------------------------------------------------


class Trial:
    """A network that gets one value after another; a refusal must not change it."""

    def __init__(self, argument):
        self.argument = argument
        self.net = network(argument.kind)

    def check(self, value):
        argument, net = self.argument, self.net
        position, seen = np.random.get_state()[1].copy(), state(net)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DivergenceWarning)
                result = argument.call(net, value)
        except (TypeError, ValueError, *argument.passes) as error:
            text = "\n".join([str(error), *getattr(error, "__notes__", ())])
            if not isinstance(error, argument.passes or ()):
                assert re.search(argument.named, text), f"{type(error).__name__}: {text}"
                if hasattr(error, "__notes__"):  # an error of the user's own metric
                    assert len(text) < 400 and "\n" not in str(error), text
                else:
                    assert_form(str(error), 400)
            assert state(net) == seen, f"changed by {text}"
            assert np.array_equal(position, np.random.get_state()[1])
        else:
            if isinstance(result, (float, np.ndarray)):
                assert np.isfinite(result).all()
            assert all(np.isfinite(view).all() for view in views(net))
            if argument.changes:
                self.net = network(argument.kind)

    def end(self):
        """Check the hidden state by the steps that follow."""
        assert next_bits(self.net) == expected_bits(self.argument.kind)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("entry", ARGUMENTS)
def test_every_value_alone_and_in_a_list(entry):
    trial = Trial(ARGUMENTS[entry])
    for name, make in VALUES.items():
        for form in (make, lambda make=make: [make()], lambda make=make: [make(), make()]):
            try:
                trial.check(form())
            except BaseException as error:
                error.add_note(f"{entry} of {name}")
                raise
    trial.end()


def in_place(good, leaf, draw):
    """Return a copy of `good` with one of its parts replaced by `leaf`."""
    if isinstance(good, np.ndarray):
        array = good.astype(object)
        array.flat[draw(st.integers(0, good.size - 1))] = leaf
        return array if draw(st.booleans()) else array.tolist()
    if isinstance(good, dict) and good:
        key = draw(st.sampled_from(sorted(good)))
        return good | {key: leaf}
    if isinstance(good, (list, tuple)) and good:
        at = draw(st.integers(0, len(good) - 1))
        parts = [in_place(part, leaf, draw) if i == at else part for i, part in enumerate(good)]
        return type(good)(parts)
    return leaf


@st.composite
def trials(draw):
    """Return an argument and a few values for it."""
    argument = ARGUMENTS[draw(st.sampled_from(sorted(ARGUMENTS)))]
    leaves = (
        st.sampled_from(sorted(VALUES)).map(lambda name: VALUES[name]())
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=5)
        | st.complex_numbers()
        | st.decimals()
    )
    values = [in_place(argument.good, draw(leaves), draw) for _ in range(draw(st.integers(1, 4)))]
    return argument, values


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(trials())
def test_one_hostile_part_of_a_good_value(drawn):
    argument, values = drawn
    trial = Trial(argument)
    for value in values:
        trial.check(value)
    trial.end()
