"""safetensors files: the bits of parameters, keys, and files that others wrote."""

import io
import json
import random

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmlp import MLP, NeuralNet, losses
from fastmlp.sklearn import MLPClassifier
from helpers.mlp_cases import ACTIVATIONS, LOSSES


def content_of(net):
    file = io.BytesIO()
    net.to_safetensors(file)
    return file.getvalue()


def loaded(content, kind=MLP, **arguments):
    return kind.from_safetensors(io.BytesIO(content), **arguments)


def assert_same_bits(found, expected):
    for name in ("weights", "biases"):
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True):
            assert a.dtype == b.dtype and np.array(a).tobytes() == np.array(b).tobytes()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    names=st.lists(st.sampled_from(ACTIVATIONS), min_size=6, max_size=6),
    loss=st.sampled_from([*LOSSES, losses.Huber(0.25), losses.Softmax(0.1), losses.Poisson(True)]),
    dropout=st.lists(st.sampled_from([0.0, 0.1, 0.5]), min_size=4, max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    is_scaled=st.booleans(),
)
def test_what_is_restored(sizes, names, loss, dropout, dtype, is_scaled):
    n_hidden = len(sizes) - 2
    dropout = dropout[:n_hidden] if any(dropout[:n_hidden]) else 0.0
    scaling = {"input_shift": np.pi, "input_scale": 1 / 255} if is_scaled else {}
    mlp = MLP(sizes, activation=names[:n_hidden], output_activation=names[-1], loss=loss,
              dropout=dropout, dtype=dtype, random_state=0, **scaling)  # fmt: skip
    for b in mlp.biases:
        b[...] = np.random.default_rng(0).normal(size=b.shape)
    found = loaded(content_of(mlp))
    assert_same_bits(found, mlp)
    assert repr(found) == repr(mlp)
    np.testing.assert_array_equal(found.input_shift, mlp.input_shift)
    X = np.random.default_rng(1).normal(size=(9, sizes[0]))
    assert found.predict(X).tobytes() == mlp.predict(X).tobytes()
    assert content_of(found) == content_of(mlp)


def test_extreme_bits_of_float32():
    """Subnormal numbers, negative zero, the largest and the smallest."""
    mlp = MLP([3, 2])
    mlp.weights[0] = np.array(
        [[1e-45, -0.0, 3.4e38], [np.float32(1) / 3, -1e-38, 2**-149]], np.float32
    )
    assert_same_bits(loaded(content_of(mlp)), mlp)


def test_keys_and_shapes():
    tensors = safetensors.numpy.load(content_of(MLP([4, 6, 5, 3])))
    shapes = {name: values.shape for name, values in tensors.items()}
    assert shapes == {
        "0.weight": (6, 4), "0.bias": (6,), "2.weight": (5, 6), "2.bias": (5,),
        "4.weight": (3, 5), "4.bias": (3,),
    }  # fmt: skip
    tensors = safetensors.numpy.load(content_of(MLP([4, 6, 3], dropout=0.5, input_scale=2)))
    assert sorted(tensors) == ["0.scale", "0.shift", "1.bias", "1.weight", "4.bias", "4.weight"]


def test_arguments_of_the_reader():
    mlp = MLP([4, 6, 3], activation="silu")
    found = loaded(content_of(mlp), optimizer="sgd", learning_rate=0.5, l2=0.1, random_state=3)
    assert (found.learning_rate, found.l2, found.activation) == (0.5, 0.1, ["silu"])
    assert (
        loaded(content_of(mlp), input_scale=2).input_scale[0] == 2
    )  # of which the file says nothing
    for name in ("layers", "activation", "dtype", "dropout", "output_activation"):
        with pytest.raises(TypeError, match=f"^`{name}` cannot be passed: the file says"):
            loaded(content_of(mlp), **{name: 1})
    with pytest.raises(TypeError, match="^`speed` cannot be passed: MLP has no such argument"):
        loaded(content_of(mlp), speed=1)
    with pytest.raises(ValueError, match="`learning_rate`"):
        loaded(content_of(mlp), learning_rate=-1)


def test_no_random_numbers_are_drawn():
    content = content_of(MLP([4, 6, 3], random_state=0, dropout=0.1))
    before = np.random.get_state()[1].tobytes(), np.random.get_state()[2]
    loaded(content)
    assert before == (np.random.get_state()[1].tobytes(), np.random.get_state()[2])


def test_a_network_that_was_read_can_be_trained(digits):
    X, y = digits
    mlp = MLP([64, 16, 10], dropout=0.1, random_state=0).fit(X, y, epochs=3)
    found = loaded(content_of(mlp), random_state=0)
    loss = found.fit(X, y, epochs=3).history_["loss"]
    assert loss[-1] < mlp.history_["loss"][-1]


def test_a_neural_net(digits):
    X, y = digits
    net = NeuralNet([64, 16, 10], input_scale=0.5, random_state=0).fit(X, y, epochs=1)
    found = loaded(content_of(net), NeuralNet)
    assert_same_bits(found, net)
    assert type(found) is NeuralNet and repr(found) == repr(net)
    assert found.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    assert loaded(content_of(net)).predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    for other, name in (
        (MLP([4, 3, 3], activation="tanh"), "activation"),
        (MLP([4, 3], loss="huber"), "loss"),
    ):
        with pytest.raises(ValueError, match=f"^`file` must have the {name} .*; use MLP.$"):
            loaded(content_of(other), NeuralNet)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_is_read_as_a_network(digits, dtype):
    X, y = digits
    X = X.astype(dtype)
    estimator = MLPClassifier((16, 8), max_iter=2, random_state=0).fit(X, y)
    found = loaded(content_of(estimator))
    for w, coefs in zip(found.weights, estimator.coefs_, strict=True):
        assert w.dtype == dtype and np.array_equal(w, coefs.T)
    assert found.predict_proba(X).tobytes() == estimator.predict_proba(X).tobytes()


# Files that are not trusted -----------------------------------------------------------------------


def rewritten(content, change):
    """Return a file whose metadata `change` has changed."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["fastmlp"])
    changed = change(about)
    tensors = safetensors.numpy.load(content)
    text = json.dumps(about if changed is None else changed)
    return safetensors.numpy.save(tensors, {"fastmlp": text})


@pytest.mark.parametrize("change, reason", [
    (lambda a: a.update(version=2), "version"),
    (lambda a: a.update(activations=["relu"]), "dropout"),
    (lambda a: a.update(activations=["relu", "relu", "relu"], dropout=[0, 0, 0]), "no key"),
    (lambda a: a.update(activations=[], dropout=[]), "no layers"),
    (lambda a: a.update(activations=["swish", "identity"]), "activations"),
    (lambda a: a.update(dropout=[0.0, 0.5]), "dropout of the outputs"),
    (lambda a: a.update(dropout=[1.0, 0.0]), "dropout"),
    (lambda a: a.update(dropout=["0", 0.0]), "dropout"),
    (lambda a: a.update(loss={"name": "hinge"}), ""),
    (lambda a: a.update(loss={"name": "huber", "delta": -1}), "delta"),
    (lambda a: a.update(more=1), "more"),
    (lambda a: a.pop("loss") and None, "loss"),
    (lambda a: [], "dict"),
    (lambda a: "text", "dict"),
])  # fmt: skip
def test_other_descriptions_are_refused(change, reason):
    content = rewritten(content_of(MLP([4, 6, 3])), change)
    with pytest.raises(
        ValueError, match=rf"^`path` must be a network that to_safetensors wrote, .*{reason}"
    ):
        loaded(content)


@pytest.mark.parametrize("change, reason", [
    (lambda t: t.update({"0.bias": np.zeros(5, np.float32)}), "other shapes"),
    (lambda t: t.update({"0.weight": np.zeros((6, 4))}), "one type"),
    (lambda t: t.update({"0.weight": np.zeros(24, np.float32)}), "other shapes"),
    (lambda t: t.update({"2.weight": np.zeros((3, 5), np.float32)}), "have 6 inputs"),
    (lambda t: t.update({k: v.astype(np.float16) for k, v in t.items()}), "float32 or float64"),
    (lambda t: t.update({k: v.astype(np.int32) for k, v in t.items()}), "float32 or float64"),
    (lambda t: t.update({"9.weight": np.zeros(1, np.float32)}), "no layer"),
    (lambda t: t.update({"0.shift": np.zeros(4, np.float32)}), "no key '0.scale'"),
    (lambda t: t.pop("2.bias") is None or None, "no key '2.bias'"),
])  # fmt: skip
def test_other_tensors_are_refused(change, reason):
    content = content_of(MLP([4, 6, 3]))
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    tensors = safetensors.numpy.load(content)
    change(tensors)
    with pytest.raises(ValueError, match=rf"^`path` must be a network .*{reason}"):
        loaded(safetensors.numpy.save(tensors, metadata))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(value):
    mlp = MLP([4, 3])
    mlp.weights[0][1, 2] = value
    with pytest.raises(ValueError, match=r"`weights\[0\]` must be finite"):
        loaded(content_of(mlp))


def test_a_file_without_metadata(tmp_path):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file({"0.weight": np.zeros((3, 4), np.float32)}, path)
    with pytest.raises(ValueError, match="no key '__metadata__'"):
        MLP.from_safetensors(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="must be a network that to_safetensors wrote"):
        MLP.from_safetensors(path)
    with pytest.raises(FileNotFoundError):
        MLP.from_safetensors(tmp_path / "none")


def test_a_description_that_is_nested_deeply():
    tensors = safetensors.numpy.load(content_of(MLP([4, 3])))
    with pytest.raises(ValueError, match="must be a network that to_safetensors wrote"):
        loaded(safetensors.numpy.save(tensors, {"fastmlp": "[" * 100_000}))


def test_damaged_files_are_refused_or_read():
    content = content_of(MLP([4, 6, 3], dropout=0.5, input_scale=2.0))
    source = random.Random(0)
    n_refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        kind = source.randrange(3)
        for _ in range(source.randrange(1, 4)):
            at = source.randrange(len(damaged))
            if kind == 0:
                damaged[at] = source.randrange(256)
            elif kind == 1:
                del damaged[at : at + source.randrange(1, 9)]
            else:
                damaged[at:at] = source.randbytes(source.randrange(1, 9))
        try:
            loaded(bytes(damaged)).predict(np.ones((1, 4)))
        except ValueError as error:
            n_refused += 1
            assert "\n" not in str(error)
    assert n_refused > 1000
