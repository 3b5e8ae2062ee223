"""ONNX models of `MLP` and `NeuralNet` predict what the networks do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmlp import MLP, NeuralNet, losses
from helpers import numpy_network
from helpers.mlp_cases import ACTIVATIONS, LOSSES
from helpers.onnx_models import content_of, loaded, outputs, session_of

DTYPES = ["float32", "float64"]
#: Of everything: onnxruntime against fastmlp, and both against NumPy in float64.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


def filled(mlp, seed=0):
    """Give a network weights and biases of some size."""
    source = np.random.default_rng(seed)
    for w, b in zip(mlp.weights, mlp.biases, strict=True):
        w[...] = source.normal(size=w.shape) / np.sqrt(w.shape[1])
        b[...] = source.normal(size=b.shape) / 2
    return mlp


def rows(n, n_in, dtype, seed=1):
    return np.random.default_rng(seed).normal(size=(n, n_in)).astype(dtype)


def assert_equal_predictions(mlp, X):
    found = outputs(mlp, X)
    loss = next(name for name, kind in LOSSES.items() if kind == type(mlp.loss).__name__)
    expected = numpy_network.predicted(
        X, mlp.weights, mlp.biases, [*mlp.activation, mlp.output_activation], loss,
        mlp.input_shift, mlp.input_scale,
    )  # fmt: skip
    if loss in ("softmax", "logistic"):
        p = mlp.predict_proba(X)
        assert list(found) == ["label", "probabilities"]
        assert found["label"].dtype == np.int64
        assert found["label"].shape == mlp.predict(X).shape
        edge = np.abs(np.diff(np.sort(p, axis=1)[:, -2:])) if loss == "softmax" else abs(p - 0.5)
        clear = edge[:, 0] > 1e-5 if loss == "softmax" else (edge > 1e-5).all(axis=1)
        np.testing.assert_array_equal(found["label"][clear], mlp.predict(X)[clear])
        values = found["probabilities"]
        if loss == "softmax":
            np.testing.assert_array_equal(found["label"], values.argmax(axis=1))
    else:
        assert list(found) == ["variable"]
        values, p = found["variable"], mlp.predict(X).reshape(len(X), -1)
    assert values.dtype == mlp.dtype and values.shape == p.shape
    np.testing.assert_allclose(values, p, **CLOSE)
    np.testing.assert_allclose(values, expected, **CLOSE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_loss(activation, loss, dtype):
    """As the activation of hidden layers and of the output."""
    for output in ("identity", activation):
        given = {"activation": activation, "output_activation": output, "loss": loss}
        assert_equal_predictions(
            filled(MLP([5, 16, 9, 3], dtype=dtype, **given)), rows(40, 5, dtype)
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_of_extreme_numbers(activation, dtype):
    """From 0 and tiny numbers to where exp overflows, by a network whose weight is 1."""
    mlp = MLP([1, 1], output_activation=activation, loss="squared_error", dtype=dtype)
    mlp.weights[0], mlp.biases[0] = [[1.0]], [[0.0]]
    sizes = np.concatenate(
        [[0, 1e-30, 1e-8, 1e-3], np.linspace(0.01, 20, 200), [88, 104, 710, 1e4, 1e30]]
    )
    x = np.concatenate([sizes, -sizes]).astype(dtype)[:, None]
    found = outputs(mlp, x)["variable"]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, mlp.predict(x)[:, None], **CLOSE)
    tight = 2e-7 if dtype == "float32" or activation == "gelu" else 1e-14
    expected = numpy_network.FUNCTIONS[activation](x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=tight, atol=tight)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("given", [
    {"input_scale": 1 / 255},
    {"input_shift": 3.5},
    {"input_shift": [1.0, -2.0, 0.5], "input_scale": [0.1, 2.0, -3.0]},
    {"input_shift": 1e3, "input_scale": [1e-3, 1.0, 1e3]},
])  # fmt: skip
def test_scaled_inputs(given, dtype):
    X = rows(30, 3, dtype) + np.asarray(given.get("input_shift", 0), dtype)
    assert_equal_predictions(filled(MLP([3, 8, 2], dtype=dtype, **given)), X.astype(dtype))


@pytest.mark.parametrize("loss", [
    losses.Softmax(0.2), losses.Huber(0.3), losses.Pinball(0.9), losses.Poisson(True, "sum"),
    losses.SquaredError(True, "mixed"), losses.Logistic("sum"),
])  # fmt: skip
def test_options_of_losses_change_no_prediction(loss):
    assert_equal_predictions(filled(MLP([4, 6, 2], loss=loss)), rows(20, 4, "float32"))


@pytest.mark.parametrize("given", [
    {"dropout": 0.5}, {"input_noise": 1.0}, {"l2": 0.1, "l1": 0.1}, {"max_norm": 1.0},
    {"clip_norm": 1.0},
])  # fmt: skip
def test_options_of_training_change_no_prediction(given):
    assert_equal_predictions(filled(MLP([4, 6, 3], **given)), rows(20, 4, "float32"))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    names=st.lists(st.sampled_from(ACTIVATIONS), min_size=6, max_size=6),
    loss=st.sampled_from([*LOSSES]),
    dtype=st.sampled_from(DTYPES),
    scale=st.none() | st.floats(-4, 4).filter(bool),
    n=st.integers(1, 70),
    seed=st.integers(0, 1000),
)
def test_any_network(sizes, names, loss, dtype, scale, n, seed):
    given = {} if scale is None else {"input_scale": scale, "input_shift": seed / 1000}
    mlp = MLP(sizes, activation=names[: len(sizes) - 2], output_activation=names[-1], loss=loss,
              dtype=dtype, **given)  # fmt: skip
    filled(mlp, seed)
    X = rows(n, sizes[0], dtype, seed)
    found = outputs(mlp, X)
    if loss in ("softmax", "logistic"):
        np.testing.assert_allclose(found["probabilities"], mlp.predict_proba(X), **CLOSE)
    else:
        expected = mlp.predict(X).reshape(n, -1)
        scale = 1 + np.abs(expected).max()
        np.testing.assert_allclose(found["variable"] / scale, expected / scale, **CLOSE)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wide_network_and_many_rows(dtype):
    """More units than fit a block of the kernels, and more rows than any chunk."""
    mlp = filled(MLP([1100, 1030, 3], activation="tanh", optimizer="sgd", dtype=dtype))
    assert_equal_predictions(mlp, rows(2100, 1100, dtype))


def test_the_number_of_rows_is_open():
    mlp = filled(MLP([4, 5, 3]))
    session = session_of(content_of(mlp))
    for n in (1, 2, 64, 1000):
        X = rows(n, 4, "float32")
        label, p = session.run(None, {"X": X})
        assert label.shape == (n,)
        np.testing.assert_allclose(p, mlp.predict_proba(X), **CLOSE)
    label, p = session.run(None, {"X": rows(0, 4, "float32")})
    assert label.shape == (0,) and p.shape == (0, 3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output_activation", ["relu", "identity"])
def test_a_neural_net(digits, output_activation, dtype):
    X, y = digits
    net = NeuralNet([64, 16, 10], output_activation=output_activation, dtype=dtype, random_state=0)
    net.fit(X, y, epochs=2)
    X = X.astype(dtype)
    found = outputs(net, X)
    np.testing.assert_allclose(found["probabilities"], net.predict_proba(X), **CLOSE)
    assert (found["label"] == net.predict(X)).mean() > 0.999


def test_ties_are_of_the_first_class():
    mlp = MLP([2, 3], init="zeros")
    assert outputs(mlp, np.ones((4, 2), np.float32))["label"].tolist() == [0] * 4
    one = MLP([2, 1], init="zeros", loss="logistic")
    assert outputs(one, np.ones((4, 2), np.float32))["label"].tolist() == [1] * 4
    assert one.predict(np.ones((4, 2))).tolist() == [1] * 4


def test_versions_names_and_types():
    model = loaded(content_of(MLP([4, 3], dtype="float64")))
    assert model.ir_version == 8
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    assert model.producer_name == "fastmlp" and "MLP([4, 3]" in model.doc_string
    (x,) = model.graph.input
    first, second = x.type.tensor_type.shape.dim
    assert x.name == "X" and not first.HasField("dim_value") and second.dim_value == 4
    assert x.type.tensor_type.elem_type == 11  # double
    weights = next(each for each in model.graph.initializer if each.name == "weights_0")
    assert [*weights.dims] == [4, 3]
