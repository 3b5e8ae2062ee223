"""What could not be loaded is not saved."""

import io
import json

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, NeuralNet
from fastmlp.callbacks import ModelCheckpoint
from helpers.hostile_files import DATA

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda net: net.weights[0].fill(NAN),
            r"^`weights\[0\]` must be finite, got NaN or infinity",
        ),
        (
            lambda net: setattr(net, "history_", {"loss": ["a"]}),
            r"^`history_.loss\[0\]` must be a number, got a value of type str",
        ),
        (
            lambda net: setattr(net, "history_", {3: [1.0]}),
            "^`history_` must have keys of type str, got a value of type int",
        ),
    ],
)
def test_what_would_not_load_is_not_saved(change, message, tmp_path):
    net, path = NeuralNet([3, 2], random_state=0), tmp_path / "net.npz"
    net.save(path)
    before = path.read_bytes()
    change(net)
    with pytest.raises((TypeError, ValueError), match=message):
        net.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "state, message",
    [
        (
            {"a": {1}},
            "^`fit_callback_states_0_a` must be a number, a string, .*, got a value of type set",
        ),
        ({"a": b"text"}, "_a` must be a number, .*, got a value of type bytes"),
        ({"a": {1: 2}}, "^`fit_callback_states_0_a` must have keys that are str"),
        ({"array in this file": "weights_0"}, "'array in this file', which is reserved"),
        (
            {"a": np.array([{}])},
            "_a` must be an array of numbers, bools or text, got one of object",
        ),
        ({"a": 10**50}, "_a` must have at most 40 digits, got a longer int"),
        (
            {"a": json.loads("[" * 200 + "]" * 200)},
            "must have at most 100 levels of lists and dicts, got more",
        ),
    ],
)
def test_states_of_callbacks_that_no_file_can_hold(state, message, tmp_path):
    class Own(fastmlp.callbacks.Callback):
        def state(self):
            return state

    callbacks = [Own(), ModelCheckpoint(tmp_path / "net.npz")]
    with pytest.raises((TypeError, ValueError), match=message):
        MLP([5, 3], random_state=0).fit(*DATA, epochs=1, callbacks=callbacks)
    assert list(tmp_path.iterdir()) == []


def test_states_of_callbacks_with_odd_names_come_back(tmp_path):
    state = {name: np.array([float(i)]) for i, name in enumerate(
        ["", "a/b", "../c", "a\0b", "a\0c", "file", "network", "\ud800", "é", "x" * 1000, "A", "a"]
    )}  # fmt: skip

    class Own(fastmlp.callbacks.Callback):
        def state(self):
            return state

        def restore(self, found):
            self.found = found

    own = Own()
    callbacks = [own, ModelCheckpoint(tmp_path / "net.npz")]
    for _ in range(2):
        MLP([5, 3], random_state=0).fit(*DATA, epochs=1, callbacks=callbacks, resume=True)
    assert repr(own.found) == repr(state)


def test_a_generator_that_no_file_can_hold_is_not_saved():
    class Own(np.random.MT19937):
        @property
        def state(self):
            return super().state | {"bit_generator": "Own"}

    mlp = MLP([2, 2], random_state=np.random.Generator(Own(0)))
    with pytest.raises(
        TypeError, match="^`random_state` must be a Generator of MT19937, .*, got one of Own"
    ):
        mlp.save(io.BytesIO())
