"""A model file is refused with one sentence, or holds a network that works."""

import io
import json
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, NeuralNet, initializers
from fastmlp.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from helpers import model_files
from helpers.messages import assert_form
from helpers.model_files import DELETED, VALID, Parts
from helpers.same_bits import assert_same_bits, bits_of

NAN, INF = float("nan"), float("inf")
DATA = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 3


def load(content):
    return fastmlp.load(io.BytesIO(content))


def refused(content, message=""):
    with pytest.raises(ValueError) as caught:
        load(content)
    text = str(caught.value)
    assert message in assert_form(text)
    assert text.startswith("`path` must be a network saved by fastmlp, got ")
    assert not isinstance(caught.value, UnicodeError)


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


# Random states -----------------------------------------------------------------------------------


def words(n, value=1, bits=64):
    return {"array": [value] * n, "dtype": f"uint{bits}"}


def state_of(source):
    """Return the random state in a file that `source` is saved in, as plain values."""
    file = io.BytesIO()
    MLP([2, 2], random_state=source).save(file)
    return json.loads(str(np.load(io.BytesIO(file.getvalue()))["network"]))["random_state"]


SOURCES = {
    "MT19937": lambda: np.random.RandomState(3),
    "PCG64": lambda: np.random.default_rng(3),
    "PCG64DXSM": lambda: np.random.Generator(np.random.PCG64DXSM(3)),
    "Philox": lambda: np.random.Generator(np.random.Philox(3)),
    "SFC64": lambda: np.random.Generator(np.random.SFC64(3)),
}
NUMBERS = (-1, 2**200, 1.0, NAN, True, "1", None, [], {}, DELETED)
BITS = (*NUMBERS, 2)
RANDOM = [
    *(("MT19937", "state.pos", value) for value in (*NUMBERS, 625, 5000, 10**8, 2**31, 2**63)),
    *(("MT19937", "state.key", value) for value in (
        None, [], words(624, 0, 32), words(623, 1, 32), words(624, 2**32, 32), words(624, -1, 32),
        words(624, 1, 64), words(624, 1.0, 32), words(624, True, 32),
        {"array": ["1"], "dtype": "U1000000"}, {"array": [1] * 624, "dtype": "U1000000"},
        {"array": [1] * 624, "dtype": "object"}, {"array": [1] * 624},
    )),
    *(("MT19937", "has_gauss", value) for value in BITS),
    *(("MT19937", "gauss", value) for value in (NAN, INF, 1e300, "1", None, DELETED)),
    *(("PCG64", "state.state", value) for value in (*NUMBERS, 2**128)),
    *(("PCG64", "state.inc", value) for value in (*NUMBERS, 2**128, 2, 0)),
    *(("PCG64DXSM", "state.inc", value) for value in (*NUMBERS, 2**128 + 1, 4)),
    *(("Philox", "buffer_pos", value) for value in (*NUMBERS, 5, 10**8)),
    *(("Philox", "buffer", value) for value in (words(3), words(5), words(4, 1, 32), None)),
    *(("Philox", "state.counter", value) for value in (words(3), words(4, -1), DELETED)),
    *(("Philox", "state.key", value) for value in (words(4), words(2, 2**64))),
    *(("SFC64", "state.state", value) for value in (words(3), words(4, 1, 32), 3, None)),
    *(
        (kind, name, value)
        for kind in ("PCG64", "PCG64DXSM", "Philox", "SFC64")
        for name, values in (("has_uint32", BITS), ("uinteger", (*NUMBERS, 2**32)))
        for value in values
    ),
    *((kind, "bit_generator", value) for kind in SOURCES for value in (
        "Dummy", "", None, 1, [], *(set(SOURCES) - {kind, kind + "DXSM", kind.removesuffix("DXSM")})
    )),
    *((kind, "other", 1) for kind in SOURCES),
    *((kind, "state", value) for kind in SOURCES for value in (None, [], {}, 1)),
]  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_random_states_come_back(kind):
    for source in (SOURCES[kind](), np.random.RandomState(getattr(np.random, kind)(3))):
        mlp, file = MLP([2, 2], random_state=source), io.BytesIO()
        mlp.save(file)
        loaded = load(file.getvalue())
        drawn = [each._state.random.standard_normal(1000) for each in (mlp, loaded)]
        assert_same_bits(*drawn)


@pytest.mark.parametrize("kind", SOURCES)
def test_wrong_random_states_are_refused(kind):
    parts = Parts("neural_net_3").change("random_state", state_of(SOURCES[kind]()))
    load(parts.content())
    for of, place, value in RANDOM:
        if of == kind:
            refused(parts.copy().change(f"random_state.state.{place}", value).content())
    for value in ("Random", None, 3, DELETED):
        refused(parts.copy().change("random_state.kind", value).content())


@pytest.mark.parametrize("place", ["began_at", "random_position"])
def test_wrong_positions_in_checkpoints_are_refused(place):
    for name, value in [(name, value) for of, name, value in RANDOM if of == "MT19937"]:
        refused(Parts("checkpoint_3").change(f"fit.{place}.{name}", value).content())
    parts = Parts("checkpoint_3")
    key = f"fit_{place}_state_key"
    for array in (
        np.zeros(624, np.uint32), np.ones(623, np.uint32), np.ones(624, np.uint64),
        np.ones((624, 1), np.uint32), np.ones(624, np.int32), np.array(1, np.uint32),
    ):  # fmt: skip
        other = parts.copy()
        other.arrays[key] = array
        refused(other.content())


CRASH = """
import io, sys
import numpy as np
import fastmlp
net = fastmlp.load(io.BytesIO(sys.stdin.buffer.read()))
net.fit(np.zeros((3000, 5)), np.zeros(3000, int), epochs=1)
"""


@pytest.mark.parametrize(
    "kind, place, value",
    [("MT19937", "state.pos", 10**8), ("Philox", "buffer_pos", -(10**8))],
)
def test_no_position_ends_the_process(kind, place, value):
    parts = Parts("neural_net_3").change("random_state", state_of(SOURCES[kind]()))
    content = parts.change(f"random_state.state.{place}", value).content()
    process = subprocess.run([sys.executable, "-c", CRASH], input=content, capture_output=True)
    assert process.returncode == 1, process.returncode
    assert b"ValueError: `path` must be a network" in process.stderr


# Well-formed nonsense ----------------------------------------------------------------------------

NO_COUNTS = (-1, 1.5, 2.0, NAN, INF, 2**63, 10**39, True, "3", None, [3], {}, DELETED)
NO_RATES = (-1, -0.5, NAN, INF, "1", None, True, [1.0], DELETED)
NO_LAYERS = (
    [], [5], [5, 4], [5, 4, 3, 1], [60000, 60000, 3], [5, 4.0, 3], [5, True, 3], [5, "4", 3],
    [5, 0, 3], [5, -4, 3], [4, 5, 3], [2**31, 4, 3], [10**30, 4, 3], "543", 5, None, {},
    [[5, 4, 3]], DELETED,
)  # fmt: skip
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


def arrays_like(array, kind):
    wrong = [
        np.full_like(array, NAN), np.full_like(array, INF), -np.full_like(array, INF),
        array.astype(np.float64), array.astype(np.float16), array.astype(np.complex64),
        array.astype(np.int32), array.astype("U8"), array.reshape(-1), array.T, array[:-1],
        np.float32(1), array[None],
    ]  # fmt: skip
    return [*wrong, -np.ones_like(array)] if kind == "moments_second" else wrong


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


# What cannot be loaded is not saved --------------------------------------------------------------


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


# The file itself ---------------------------------------------------------------------------------


def peak_of(content):
    """Return the peak memory in bytes while a file is refused."""
    tracemalloc.start()
    try:
        refused(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def zipped(members, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(descr, shape, content=b"", order=False):
    """Return an .npy file with an arbitrary header."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": order, "shape": shape}
    )
    return file.getvalue() + content


def members(name="checkpoint_3"):
    with zipfile.ZipFile(model_files.DATA / f"{name}.npz") as archive:
        return {each: archive.read(each) for each in archive.namelist()}


def test_no_memory_is_asked_for_that_the_file_does_not_hold():
    for layers in ([60000, 60000, 3], [5, 2**31 - 1, 3], [2**31 - 1] * 3):
        parts = Parts("checkpoint_3").change("arguments.layers", layers)
        assert peak_of(parts.content()) < 2e6
    bomb = Parts("checkpoint_3")
    bomb.arrays["weights_0"] = np.zeros((4, 10**6), np.float32)
    assert peak_of(bomb.content(np.savez_compressed)) < 2e6


@pytest.mark.parametrize(
    "member",
    [
        header("<U1000000", ()), header("<U1000000", (1000,)), header("<f4", (2**31, 2**31)),
        header("<f4", (4, 5)), header("<f4", (4, 5), bytes(79)), header("<f4", (4, 5), bytes(81)),
        header("<f4", (-4, -5), bytes(80)), header("<f4", (4, 5, 2**62), bytes(80)),
        header("<f4", (0,) * 100), header("<f4", (0, 2**62, 2**62)), header("<U0", (10**12,)),
        header("|O", (4, 5), pickle.dumps([0.0] * 20)), header("|V80", (), bytes(80)),
        header([("a", "<f4", (4, 5))], (), bytes(80)), header([("a", "<f4")], (4, 5), bytes(80)),
        header("<c8", (4, 5), bytes(160)), header("<f4", (20,), bytes(80)), header("<M8[s]", ()),
        header("<f4", (5, 4), bytes(80)), header("<i4", (4, 5), bytes(80)),
        b"", b"\x93NUMPY", b"\x93NUMPY\1\0\xff\xff", b"\x93NUMPY\2\0\xff\xff\xff\xff",
        b"\x93NUMPY\1\0\4\0((((", b"\x93NUMPY\1\0\x10\x27" + b"(" * 10000,
        b"\x93NUMPY\4\0" + header("<f4", (4, 5), bytes(80))[8:10] + b"\0\0"
        + header("<f4", (4, 5), bytes(80))[10:],
    ],
)  # fmt: skip
def test_members_that_lie_are_refused(member):
    for target in ("weights_0.npy", "network.npy"):
        content = zipped({**members(), target: member}.items())
        assert peak_of(content) < 2e6


def test_arrays_may_lie_in_another_order():
    # As user functions do, for example in `init`.
    array = np.arange(20, dtype=">f4").reshape(4, 5)
    stored = header(">f4", (4, 5), array.tobytes("F"), order=True)
    loaded = load(zipped({**members(), "weights_0.npy": stored}.items()))
    assert np.array_equal(loaded.weights[0], array)


def test_zips_that_no_one_else_writes_are_refused():
    honest = members()
    everything = list(honest.items())
    load(zipped(everything))
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(zipped(everything, compression=method), "(it is compressed")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped([*everything, everything[1]])
    refused(twice)
    refused(zipped([*everything, ("weights_0", honest["weights_0.npy"])]))
    refused(zipped([*everything, ("other.npy", npy(np.zeros(3)))]), "that nothing refers to")
    refused(zipped([*everything, ("../other.txt", b"text")]), "that nothing refers to")
    for name in honest:
        refused(zipped([(each, content) for each, content in everything if each != name]))
    whole = zipped(everything)
    start = whole.index(honest["weights_0.npy"])
    for size in (0, 10, 2**20, 2**31, 2**32 - 2):  # in the directory at the end
        for at in (20, 24):
            entry = whole.rindex(b"PK\1\2", 0, whole.rindex(b"weights_0.npy"))
            for places in ((at,), (20, 24)):
                lie = bytearray(whole)
                for place in places:
                    lie[entry + place : entry + place + 4] = size.to_bytes(4, "little")
                assert peak_of(bytes(lie)) < 2e6
    for flag in (1, 0x40):  # encrypted
        lie = bytearray(whole)
        lie[entry + 8] |= flag
        refused(bytes(lie))
    assert start > 0


def test_members_that_share_their_bytes_are_refused():
    # Each array is its own header, and all of the next member: 100 of them of 1 MB in a file of 1.
    names, content, headers = [f"m{i}" for i in range(100)], npy(np.zeros(10**6, np.uint8)), []
    for name in names:
        if headers:
            inner = headers[-1][1] + content
            content = header("|u1", (len(inner),), inner)
        info = zipfile.ZipInfo(f"{name}.npy")
        info.CRC, info.file_size, info.compress_size = zlib.crc32(content), *[len(content)] * 2
        headers.append((info, info.FileHeader()))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        parts = Parts("checkpoint_3")
        state = {name: {"array in this file": name} for name in names}
        parts.change("fit.callback_states.2", state)
        for name, member in members().items():
            if name != "network.npy":
                archive.writestr(name, member)
        archive.writestr("network.npy", npy(np.array(json.dumps(parts.plain))))
        end = file.tell() + len(headers[-1][1]) + len(content)
        file.write(headers[-1][1] + content)
        for info, own in headers[::-1]:
            info.header_offset = end - info.file_size - len(own)
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive.start_dir, archive._didModify = end, True
    assert len(file.getvalue()) < 1.2e6
    with zipfile.ZipFile(file) as archive:
        assert len(archive.infolist()) > 100 and archive.getinfo("m0.npy").file_size > 10**6
    refused(file.getvalue(), "(its members overlap")


@pytest.mark.parametrize(
    "text",
    [
        "9" * 100, "[" * 200 + "]" * 200,
        "", "{", "[]", "null", "3", '"text"', "[" * 10**5, "[" * 10**5 + "]" * 10**5,
        '{"a":' * 10**5, "1" * 10**6, "-" + "9" * 5000, "1e999", "NaN", "{" * 100, "\0", "\ufffe",
    ],
)  # fmt: skip
def test_json_of_any_kind_is_refused(text):
    honest = str(np.load(model_files.DATA / "checkpoint_3.npz")["network"])
    inside = honest.replace('"seen": ', f'"seen": {text}, "seen": ', 1)
    deep = honest.replace('"best": ', f'"own": {text}, "best": ', 1)
    for each in (text, inside, deep):
        if each is deep and text in ("[]", "null", "3", '"text"', "1e999", "NaN"):
            continue  # a callback may keep anything
        with np.errstate(all="ignore"):
            refused(zipped({**members(), "network.npy": npy(np.array(each))}.items()))


def test_a_key_that_is_there_twice_is_refused():
    honest = str(np.load(model_files.DATA / "checkpoint_3.npz")["network"])
    twice = honest.replace('"fitted": true', '"fitted": true, "fitted": true', 1)
    refused(zipped({**members(), "network.npy": npy(np.array(twice))}.items()), "a key twice")


def test_an_array_is_referred_to_once():
    place = {"array in this file": "weights_0"}
    refused(Parts("checkpoint_3").change("fit.callback_states.0.weights", [place] * 2).content())
    for name in ("network", "none", 3, None, ["weights_0"], {}):
        refused(Parts("mlp_3").change("weights.0", {"array in this file": name}).content())


@pytest.mark.parametrize("name", ["neural_net_1", "neural_net_2"])
def test_files_of_older_formats_are_not_trusted_either(name):
    parts = Parts(name)
    for place, values in {
        "layers": [*NO_LAYERS[4:-1], [5, 4, 3, 3]],
        "learning_rate": NO_RATES,
        "reg_lambda": NO_RATES,
        "dtype": ("float16", "U1000000", None),
        "history_": ([], {"loss": 3}, {"loss": ["a"]}, DELETED),
        "random_state": (3, {}, {"kind": "Generator", "state": {"bit_generator": "MT19937"}}),
        "format_version": (0, 3, 2.0, True),
    }.items():
        for value in values:
            refused(parts.copy().change(place, value).content())
    for wrong in arrays_like(parts.arrays["weights_0"].astype(np.float32), "weights"):
        if wrong.dtype == parts.arrays["weights_0"].dtype and wrong.shape == (4, 5):
            if np.isfinite(wrong).all():
                continue
        other = parts.copy()
        other.arrays["weights_0"] = wrong
        refused(other.content())


# Checkpoints -------------------------------------------------------------------------------------

STATES = [
    *(("0.best", value) for value in ("1", NAN, True, [], {}, DELETED)),
    *(("0.wait", value) for value in (*NO_COUNTS[:9], None)),
    *(("0.best_epoch", value) for value in (-1, 1.5, "3", True, [], DELETED)),
    *(("0.weights", value) for value in (None, {}, 3, [[1.0]], "w", DELETED)),
    *(("0.biases", value) for value in (None, {}, 3, [], [[1.0]] * 2, DELETED)),
    *(("1.best", value) for value in ("1", NAN, DELETED)),
    *(("1.cooling", value) for value in NO_COUNTS),
]


@pytest.mark.parametrize("place", dict.fromkeys(place for place, _ in STATES))
def test_what_callbacks_cannot_be_restored_from(place, tmp_path):
    class Stop(fastmlp.callbacks.Callback):
        pass

    path = tmp_path / "checkpoint.npz"
    for value in [value for where, value in STATES if where == place]:
        parts = Parts("checkpoint_3").change(f"fit.callback_states.{place}", value)
        unused = [
            f"fit_callback_states_0_{kind}_{l}" for kind in ("weights", "biases") for l in (0, 1)
        ]
        text = json.dumps(parts.plain)
        parts.arrays = {
            name: array
            for name, array in parts.arrays.items()
            if name not in unused or f'"{name}"' in text
        }
        path.write_bytes(parts.content())
        mlp = MLP([5, 4, 3], dropout=0.2, learning_rate=0.05, random_state=0)
        before = bits_of(mlp)
        callbacks = [
            EarlyStopping(patience=2), ReduceLROnPlateau("loss"), Stop(),
            ModelCheckpoint(tmp_path / "new.npz"),
        ]  # fmt: skip
        with pytest.raises(ValueError) as caught:
            mlp.fit(
                *DATA, epochs=5, batch_size=16, validation_fraction=0.25, callbacks=callbacks,
                resume=path,
            )  # fmt: skip
        name = ("EarlyStopping", "ReduceLROnPlateau")[int(place[0])]
        text = str(caught.value)
        assert assert_form(text).startswith(f"`{name}.state")
        assert bits_of(mlp) == before and mlp.history_ == {}


@pytest.mark.parametrize("name", ["weights", "biases"])
def test_parameters_that_are_kept_must_fit_too(name, tmp_path):
    parts, path = Parts("checkpoint_3"), tmp_path / "checkpoint.npz"
    for wrong in arrays_like(parts.arrays[f"fit_callback_states_0_{name}_1"], name):
        other = parts.copy()
        other.arrays[f"fit_callback_states_0_{name}_1"] = wrong
        path.write_bytes(other.content())

        class Stop(fastmlp.callbacks.Callback):
            pass

        callbacks = [
            EarlyStopping(patience=2), ReduceLROnPlateau("loss"), Stop(),
            ModelCheckpoint(tmp_path / "new.npz"),
        ]  # fmt: skip
        mlp = MLP([5, 4, 3], dropout=0.2, learning_rate=0.05, random_state=0)
        with pytest.raises(ValueError, match=rf"^`EarlyStopping.state.{name}\[1\]` must be "):
            mlp.fit(
                *DATA, epochs=5, batch_size=16, validation_fraction=0.25, callbacks=callbacks,
                resume=path,
            )  # fmt: skip


def test_a_refusal_of_a_checkpoint_is_short(tmp_path):
    path = tmp_path / "checkpoint.npz"
    parts = Parts("checkpoint_3")
    path.write_bytes(parts.change("fit.callbacks", ["x" * 5000] * 4).content())
    mlp = MLP([5, 4, 3], random_state=0)
    with pytest.raises(
        ValueError, match="^`resume` must be a checkpoint with this fit's callbacks, "
    ) as caught:
        mlp.fit(*DATA, batch_size=16, validation_fraction=0.25, resume=path)
    assert len(str(caught.value)) < 400
