"""A model file is refused with one sentence, or holds a network that works."""

import io
import json
import pickle

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, NeuralNet, initializers
from fastmlp.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from helpers import model_files
from helpers.hostile_files import DATA, NO_COUNTS, NO_LAYERS, NO_RATES, arrays_like, load, refused
from helpers.model_files import DELETED, VALID, Parts
from helpers.same_bits import assert_same_bits, bits_of

NAN, INF = float("nan"), float("inf")


# Valid files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALID)
def test_files_of_earlier_releases_load_to_the_same_bits(name):
    parts, path = Parts(name), model_files.DATA / f"{name}.npz"
    net = fastmlp.load(path)
    assert type(net) is (NeuralNet if name.startswith("neural") else MLP)
    for kind in ("weights", "biases"):
        for l, view in enumerate(getattr(net, kind)):
            stored = parts.arrays[f"{kind}_{l}"]
            assert_same_bits(view, stored)
    assert net.history_ == parts.plain["history_"]
    arguments = parts.plain.get("arguments", parts.plain)
    assert net.learning_rate == arguments["learning_rate"] or callable(net.learning_rate)
    assert np.all(net.input_scale == parts.plain.get("input_scale", net.input_scale))
    file = io.BytesIO()
    net.save(file)
    written = np.load(io.BytesIO(file.getvalue()))
    again = json.loads(str(written["network"]))
    expected = parts.plain | {"format_version": 3}
    for key in set(parts.plain) & set(again) - {"arguments", "fit"}:
        assert again[key] == expected[key], key
    assert again["arguments"]["layers"] == arguments["layers"]
    for key in [key for key in parts.arrays if not key.startswith("fit")]:
        assert written[key].tobytes() == parts.arrays[key].tobytes(), key


def test_a_checkpoint_of_an_earlier_release_can_be_resumed():
    X, y = DATA
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5)), rng.integers(0, 3, 40)

    class Stop(fastmlp.callbacks.Callback):
        pass

    def fit(**options):
        mlp = MLP([5, 4, 3], dropout=0.2, learning_rate=0.05, random_state=0)
        callbacks = [
            EarlyStopping(patience=2), ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.5), Stop(),
        ]  # fmt: skip
        callbacks.append(ModelCheckpoint("unwritten.npz", every=1000))
        return mlp.fit(
            X, y, epochs=5, batch_size=16, validation_fraction=0.25, callbacks=callbacks, **options
        )

    whole, resumed = fit(), fit(resume=model_files.DATA / "checkpoint_3.npz")
    assert whole.history_ == resumed.history_ and len(whole.history_["loss"]) > 3
    assert_same_bits(whole, resumed)


def test_loading_draws_nothing(monkeypatch):
    def drawn(*_):
        raise AssertionError("weights were drawn")

    for name in initializers.INITIALIZERS:
        monkeypatch.setitem(initializers.INITIALIZERS, name, drawn)
    before = np.random.get_state()[1].tobytes()
    for name in VALID:
        net = fastmlp.load(model_files.DATA / f"{name}.npz")
        assert_same_bits(pickle.loads(pickle.dumps(net)), net)
    assert np.random.get_state()[1].tobytes() == before
    with pytest.raises(AssertionError, match="weights were drawn"):
        MLP([2, 2], random_state=0)


# Well-formed nonsense ----------------------------------------------------------------------------


NONSENSE = [
    *(("arguments.layers", value) for value in NO_LAYERS),
    *(("arguments.dtype", value) for value in (
        "float16", "float64", "complex64", "U1000000", "object", "<f4", None, 4, ["float32"],
    )),
    *(("descent.taken", value) for value in NO_COUNTS),
    *(("seen", value) for value in NO_COUNTS),
    *(("key", value) for value in (*NO_COUNTS[1:], -(2**63) - 1)),
    *(("descent.powers", value) for value in (
        [], [1.0], [1.0] * 3, [2.0, 1.0], [-0.1, 1.0], [NAN, 1.0], [1.0, INF], ["1", 1.0],
        [[1.0, 1.0]], 1.0, "11", None, DELETED,
    )),
    *(("descent.rate_factor", value) for value in NO_RATES),
    *(("history_", value) for value in (
        [], "loss", None, 3, {"loss": 3}, {"loss": ["a"]}, {"loss": [True]}, {"loss": [None]},
        {"loss": [[1.0]]}, {"loss": {"0": 1.0}}, {"loss": "12"}, DELETED,
    )),
    *(("fitted", value) for value in (0, 1, "yes", None, [], DELETED)),
    *(("feature_names", value) for value in (
        [], ["a"] * 4, ["a"] * 6, "abcde", [1] * 5, [None] * 5, {"a": 1}, 5,
    )),
    *(("class", value) for value in ("Other", "NeuralNet", "", None, 3, ["MLP"], DELETED)),
    *(("weights", value) for value in (None, [], {}, 3, [[1.0]], DELETED)),
    *(("biases.0", value) for value in (None, [], {}, 3, [[1.0]] * 4, DELETED)),
    *(("moments", value) for value in (None, [], {}, 3, DELETED)),
    *(("moments.second", value) for value in (None, [], {}, 3, DELETED)),
    *(("moments.third", value) for value in (None, [])),
    *(("arguments.init", value) for value in (
        "zeroes", None, 3, [], [[[1.0] * 5] * 4], [[[1.0] * 5] * 4, [[NAN] * 4] * 3],
        [[[1.0] * 5] * 4, [["1"] * 4] * 3], [[[1.0] * 5] * 4, [[1.0] * 3] * 4], DELETED,
    )),
    *(("arguments.warm_start", value) for value in (1, "no", None, [], DELETED)),
    *(("arguments.n_threads", value) for value in (0, -1, 1.0, True, 10**6, "2", [1])),
    *(("arguments.activation", value) for value in (
        "sigmoyd", ["relu"] * 2, [], [3], [["relu"]], [["relu"], "tanh"], None, {}, DELETED,
    )),
    *(("arguments.output_activation", value) for value in ("", None, [], 3, {"name": "relu"})),
    *(("arguments.loss", value) for value in (
        "none", None, 3, [], {}, {"name": "none"}, {"name": ["softmax"]}, {"name": {}},
        {"name": "softmax", "label_smoothing": 2}, {"name": "softmax", "other": 2},
        {"name": "softmax", "label_smoothing": NAN},
    )),
    *(("arguments.optimizer", value) for value in (
        "sgd", "none", None, 3, [], {}, {"name": "sgd"}, {"name": "none"}, {"name": []},
        {"name": "adam", "beta1": 1.0}, {"name": "adam", "beta1": "0"}, {"name": "adam", "x": 0},
        {"name": "adam", "epsilon": 1e-300},
    )),
    *(("arguments.learning_rate", value) for value in (
        *NO_RATES[:5], [], {}, {"name": "none"}, {"name": "constant"}, {"name": "step", "rate": 1},
        {"name": "warm_up", "schedule": 1.0, "steps": 1}, {"name": "constant", "rate": -1.0},
        {"name": "warm_up", "schedule": {"name": "cosine"}, "steps": 1},
    )),
    *((f"arguments.{name}", value) for name in ("l1", "l2", "dropout", "max_norm") for value in (
        -1, NAN, INF, "1", [], [-1] * 2, [0.1] * 5, {}, [[0.1]], True, DELETED,
    )),
    *((f"arguments.{name}", value) for name in ("input_noise", "clip_norm") for value in (
        -1, NAN, INF, "1", [], {}, True, [0.1], DELETED,
    )),
    *((f"arguments.{name}", value) for name in ("input_shift", "input_scale") for value in (
        NAN, INF, 1e300, "1", [], {}, None, [1.0] * 4, [NAN] * 5, [[1.0] * 5], ["1"] * 5, DELETED,
    )),
    ("arguments.other", 1), ("arguments", []), ("arguments", None), ("other", 1),
    ("arguments.random_state", 1), ("descent.other", 1), ("descent", []),
    ("format_version", 0), ("format_version", -1), ("format_version", 2.5), ("format_version", "3"),
    ("format_version", True), ("format_version", 1), ("format", "other"), ("format", None),
    ("random_state", 3), ("random_state", []), ("random_state", {}), ("random_state", DELETED),
    ("fit", None), ("fit", []), ("fit", {}),
    *(("fit.epochs_done", value) for value in (*NO_COUNTS, 2, 4)),
    *(("fit.batch_size", value) for value in (*NO_COUNTS, 0)),
    *(("fit.n_samples", value) for value in (*NO_COUNTS[:9], 0)),
    *(("fit.validation_fraction", value) for value in (*NO_RATES, 1.0)),
    *(("fit.stopped", value) for value in (0, 1, None, "no", DELETED)),
    *(("fit.history", value) for value in (["other"], "loss", [1], None, {}, DELETED)),
    *(("fit.callbacks", value) for value in (["a"], "loss", [1] * 4, None, {}, DELETED)),
    *(("fit.callback_states", value) for value in ([], {}, None, [1] * 4, [[]] * 4, DELETED)),
    *(("fit.random_state", value) for value in (
        "", "Generator of MT19937", "RandomState of PCG64", "RandomState", None, 3, DELETED,
    )),
    ("fit.other", 1),
]  # fmt: skip


@pytest.mark.parametrize("place", dict.fromkeys(place for place, _ in NONSENSE))
def test_nonsense_is_refused(place):
    parts = Parts("checkpoint_3")
    for value in [value for where, value in NONSENSE if where == place]:
        if place == "arguments.max_norm" and value == []:  # equivalent
            continue
        refused(parts.copy().change(place, value).content())


@pytest.mark.parametrize("names", [None, list("abcde")])
def test_names_of_features_have_a_place(names):
    load(Parts("checkpoint_3").change("feature_names", names).content())


def test_history_may_hold_any_number():
    # A user's metric may be NaN although the network is fine.
    loaded = load(Parts("mlp_3").change("history_", {"own": [1, 0.5, NAN, -INF]}).content())
    assert repr(loaded.history_) == "{'own': [1, 0.5, nan, -inf]}"


@pytest.mark.parametrize("kind", ["weights", "biases", "moments_first", "moments_second"])
def test_wrong_arrays_are_refused(kind):
    parts = Parts("checkpoint_3")
    for name in [name for name in parts.arrays if name.startswith(kind)]:
        for wrong in arrays_like(parts.arrays[name], kind):
            other = parts.copy()
            other.arrays[name] = wrong
            refused(other.content(), f"(`{kind.replace('_', '.')}[")


def test_the_reason_is_named():
    message = "(`seen` must be an int from 0 to 4611686018427387904, got -1)"
    refused(Parts("mlp_3").change("seen", -1).content(), message)
    parts = Parts("mlp_3")
    parts.arrays["weights_1"][1, 2] = NAN
    refused(parts.content(), "(`weights[1]` must be finite, got NaN or infinity)")


@pytest.mark.parametrize("values", [NAN, [[NAN] * 3] * 2, np.full((2, 3), INF), [[1e300] * 3] * 2])
def test_parameters_that_are_not_finite_are_refused(values):
    mlp = MLP([3, 2], random_state=0)
    before = bits_of(mlp)
    with pytest.raises(ValueError, match=r"^`weights\[0\]` must (be finite|have shape)"):
        mlp.weights[0] = values
    with pytest.raises(ValueError, match=r"^`weights\[0\]` must (be finite|have shape)"):
        mlp.weights = [values]
    if np.ndim(values):
        with pytest.raises(
            ValueError, match=r"^`init\[0\]` must be finite, got NaN or infinity \(as float32\)"
        ):
            MLP([3, 2], init=[values])
    assert bits_of(mlp) == before
    with pytest.raises(
        ValueError, match=r"^`biases\[0\]` must be finite, got NaN or infinity \(as float32"
    ):
        mlp.biases[0] = [[1.0], [NAN]]
