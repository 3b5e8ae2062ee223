"""Networks as modules of PyTorch, and back."""

import io
import pickle

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.mlp_cases import ACTIVATIONS, LOSSES

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn
DTYPES = ["float32", "float64"]


def network(sizes=(5, 16, 9, 3), seed=0, **given):
    mlp = MLP(list(sizes), **{"random_state": 0} | given)
    source = np.random.default_rng(seed)
    for w, b in zip(mlp.weights, mlp.biases, strict=True):
        w[...] = source.normal(size=w.shape) / np.sqrt(w.shape[1])
        b[...] = source.normal(size=b.shape)
    return mlp


def rows(n, n_in, dtype="float32"):
    return np.random.default_rng(1).normal(size=(n, n_in)).astype(dtype)


def outputs(module, X):
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


def predicted(mlp, X):
    """Return probabilities, or values as (n, n_out)."""
    if mlp.loss.task == "values":
        return mlp.predict(X).reshape(len(X), -1)
    return mlp.predict_proba(X)


def assert_same_bits(found, expected):
    for name in ("weights", "biases"):
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True):
            assert a.dtype == b.dtype and np.array(a).tobytes() == np.array(b).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ["identity", "same"])
def test_round_trips(output, activation, loss, dtype):
    output = activation if output == "same" else output
    mlp = network(activation=activation, output_activation=output, loss=loss, dtype=dtype,
                  dropout=[0.0, 0.25])  # fmt: skip
    X = rows(30, 5, dtype)
    module = mlp.to_torch()
    assert not module.training
    tolerance = 1e-5 if dtype == "float32" else 1e-8  # of softplus above its threshold
    found = outputs(module, X)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, predicted(mlp, X), rtol=tolerance, atol=tolerance)
    again = MLP.from_torch(module, loss=mlp.loss)
    assert_same_bits(again, mlp)
    assert repr(again) == repr(mlp)
    assert predicted(again, X).tobytes() == predicted(mlp, X).tobytes()
    likely = MLP.from_torch(module)
    assert_same_bits(likely, mlp)
    np.testing.assert_allclose(predicted(likely, X), predicted(mlp, X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scaled_inputs(dtype):
    mlp = network((3, 8, 2), dtype=dtype, input_shift=[1, 2, 3], input_scale=[0.1, -2, 7])
    X = rows(30, 3, dtype)
    module = mlp.to_torch()
    np.testing.assert_allclose(outputs(module, X), mlp.predict_proba(X), rtol=1e-5, atol=1e-6)
    again = MLP.from_torch(module)
    assert_same_bits(again, mlp)
    assert repr(again) == repr(mlp)
    assert {name for name, _ in module.named_parameters()} == {
        "1.weight", "1.bias", "3.weight", "3.bias"
    }  # fmt: skip


@pytest.mark.parametrize("loss, theirs", [
    ("softmax", nn.CrossEntropyLoss()), ("logistic", nn.BCEWithLogitsLoss()),
    ("poisson", nn.PoissonNLLLoss()),
])  # fmt: skip
def test_logits_are_for_the_losses_of_pytorch(loss, theirs):
    mlp = network((4, 6, 3), loss=loss)
    X = rows(20, 4)
    y = np.arange(20) % 3 if loss == "softmax" else np.eye(3, dtype=np.float32)[np.arange(20) % 3]
    module = mlp.to_torch(logits=True)
    expected = theirs(module(torch.from_numpy(X)), torch.from_numpy(y)).item()
    mlp.learning_rate = 0.0
    assert mlp.fit(X, y, epochs=1).history_["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert_same_bits(MLP.from_torch(module, loss=loss), mlp)
    with pytest.raises(TypeError, match="`logits`"):
        mlp.to_torch(logits=None)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dropout": 0.5},
        {"input_scale": 2.0},
        {"dropout": [0.1, 0.0]},
        {"activation": "identity", "dropout": [0.1, 0.2], "input_shift": 1},
    ],
)
def test_the_keys_of_safetensors_are_those_of_the_module(given):
    import safetensors.torch

    mlp = network(**given)
    file = io.BytesIO()
    mlp.to_safetensors(file)
    tensors = safetensors.torch.load(file.getvalue())
    expected = mlp.to_torch().state_dict()
    assert list(sorted(tensors)) == sorted(expected)
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    other = network(seed=9, **given).to_torch()
    other.load_state_dict(tensors)
    X = rows(5, 5)
    np.testing.assert_array_equal(outputs(other, X), outputs(mlp.to_torch(), X))


def test_what_is_in_a_module():
    module = network((5, 4, 3), dropout=0.5).to_torch()
    assert [type(each).__name__ for each in module] == [
        "Linear",
        "ReLU",
        "Dropout",
        "Linear",
        "Softmax",
    ]
    assert [type(each).__name__ for each in network((5, 3), loss="poisson").to_torch()] == [
        "Linear",
        "Exp",
    ]


def test_tensors_are_copies_and_nothing_is_drawn():
    mlp = network((5, 4, 3))
    before = torch.get_rng_state()
    module = mlp.to_torch()
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        module[0].weight += 1
    again = MLP.from_torch(module)
    with torch.no_grad():
        module[0].weight += 1
    assert np.allclose(again.weights[0], mlp.weights[0] + 1)
    mlp = network((5, 4, 3), input_scale=2.0, input_shift=1.0)
    module = mlp.to_torch()
    module[0].scale += 1
    module[0].shift += 1
    assert set(mlp.input_scale) == {2.0} and set(mlp.input_shift) == {1.0}


def test_modules_can_be_pickled_and_trained():
    module = pickle.loads(
        pickle.dumps(network((3, 4, 1), loss="poisson", input_scale=2.0).to_torch())
    )
    module.train()
    before = module[1].weight.clone()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    module(torch.ones(8, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, module[1].weight)
    assert module[0].scale.tolist() == [2.0] * 3


# From PyTorch -------------------------------------------------------------------------------------


def test_a_usual_module():
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Dropout(0.2),
        nn.Sequential(nn.Linear(8, 6, bias=False), nn.Dropout(0.1), nn.LeakyReLU()),
        nn.Identity(), nn.Linear(6, 3), nn.Softmax(dim=-1),
    ).eval()  # fmt: skip
    mlp = MLP.from_torch(module, optimizer="sgd", random_state=0)
    assert (mlp.layers, mlp.activation, mlp.dropout) == (
        [12, 8, 6, 3],
        ["relu", "leaky_relu"],
        [0.2, 0.1],
    )
    X = rows(10, 12)
    images = torch.from_numpy(X).reshape(10, 3, 4)
    np.testing.assert_allclose(mlp.predict_proba(X), module(images).detach(), rtol=1e-5, atol=1e-6)
    assert not mlp.biases[1].any()
    mlp.fit(X, np.arange(10) % 3, epochs=2)


@pytest.mark.parametrize("last, given, loss", [
    ([], {}, "SquaredError"), ([], {"loss": "softmax"}, "Softmax"),
    ([], {"loss": "huber"}, "Huber"),
    ([nn.Sigmoid()], {}, "Logistic"), ([nn.Sigmoid()], {"loss": "squared_error"}, "SquaredError"),
    ([nn.Softmax(1)], {}, "Softmax"), ([nn.ReLU()], {}, "SquaredError"),
    ([nn.ReLU(), nn.Softmax(1)], {}, "Softmax"),
])  # fmt: skip
def test_losses(last, given, loss):
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), *last)
    mlp = MLP.from_torch(module, **given)
    assert type(mlp.loss).__name__ == loss
    X = rows(10, 4)
    if given.get("loss") != "softmax":
        np.testing.assert_allclose(predicted(mlp, X), outputs(module, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype):
    module = nn.Linear(4, 3).to(dtype)
    mlp = MLP.from_torch(module)
    assert mlp.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert np.array_equal(mlp.weights[0], module.weight.detach().double().numpy())


def test_a_module_that_repeats_is_read_each_time():
    relu, linear = nn.ReLU(), nn.Linear(6, 6)
    inner = nn.Sequential(linear, relu)
    for module in (
        nn.Sequential(nn.Linear(4, 6), relu, nn.Linear(6, 5), relu, nn.Linear(5, 3)),
        nn.Sequential(nn.Linear(4, 6), relu, linear, relu, linear, nn.Linear(6, 3)),
        nn.Sequential(nn.Linear(4, 6), inner, inner, nn.Linear(6, 3)),
    ):
        mlp, X = MLP.from_torch(module), rows(10, 4)
        np.testing.assert_allclose(mlp.predict(X), outputs(module, X), rtol=1e-5, atol=1e-6)
    assert mlp.activation == ["identity", "relu", "relu"]


def with_hook(module, register):
    getattr(module[1], register)(lambda *given: None)
    return module


class Custom(nn.Module):
    def forward(self, x):
        return x


class OtherForward(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * 2


class OtherDropout(nn.Dropout):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize("module, error", [
    (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), "BatchNorm1d at 1"),
    (nn.Sequential(nn.Conv1d(4, 3, 1)), "Conv1d at 0"),
    (nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Mish())), "Mish at 1.1"),
    (nn.Sequential(nn.Linear(4, 3), nn.ELU(2.0)), "ELU at 1 with alpha=2.0"),
    (nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.2)), "LeakyReLU at 1 with negative_slope=0.2"),
    (nn.Sequential(nn.Linear(4, 3), nn.GELU("tanh")), "GELU at 1 with approximate=tanh"),
    (nn.Sequential(nn.Linear(4, 3), nn.Softplus(beta=2)), "Softplus at 1 with beta=2"),
    (nn.Sequential(nn.Linear(4, 3), nn.Softplus(threshold=1)), "Softplus at 1 with threshold=1"),
    (nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=0)), "Softmax at 1 over dimension 0"),
    (nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1), nn.Linear(3, 3)),
     "Linear at 2, after softmax"),
    (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Tanh(), nn.Linear(3, 3)), "Tanh at 2"),
    (nn.Sequential(nn.ReLU(), nn.Linear(4, 3)), "ReLU at 0"),
    (nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)), "Dropout at 0"),
    (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.5)), "Dropout of the outputs"),
    (nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), "Dropout of the outputs"),
    (nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Sigmoid(), nn.Linear(3, 2)),
     "Sigmoid at 2"),
    (nn.Sequential(nn.Linear(4, 3), nn.Flatten()), "Flatten at 1"),
    (nn.Sequential(nn.Flatten(2), nn.Linear(4, 3)), "Flatten at 0 of other"),
    (nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 3)), "have 3 inputs in layer 1.* got 4"),
    (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3).double()),
     "float32 in all layers, got float64 at 1"),
    (nn.Sequential(), "have a Linear"),
    (nn.Sequential(OtherForward(nn.Linear(4, 3))),
     "OtherForward at 0, which has a forward of its own"),
    (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), OtherDropout(), nn.Linear(3, 2)),
     "OtherDropout at 2, which has a forward of its own"),
    (with_hook(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), "register_forward_hook"),
     "ReLU at 1, which has hooks"),
    (with_hook(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), "register_forward_pre_hook"),
     "Linear at 1, which has hooks"),
    (nn.Sequential(nn.Linear(4, 3, device="meta")), "real numbers, got none, on meta"),
    (nn.Sequential(nn.LazyLinear(3)), "LazyLinear at 0, which has hooks"),
    (nn.Sequential(nn.Linear(4, 3, dtype=torch.complex64)), "real numbers, got torch.complex64"),
    (nn.Sequential(nn.Linear(4, 3), Custom()), "Custom at 1"),
    (Custom(), "be an nn.Sequential, got Custom"),
    (nn.ReLU(), "be an nn.Sequential, got ReLU"),
    ({"0.weight": 1}, "be an nn.Sequential, got dict"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_other_modules_are_refused_by_name(module, error):
    with pytest.raises((TypeError, ValueError), match=rf"^`module` must .*{error}"):
        MLP.from_torch(module)


def test_parameters_that_are_not_finite_are_refused():
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.bias[1] = float("nan")
    with pytest.raises(ValueError, match=r"`biases\[0\]` must be finite"):
        MLP.from_torch(module)


@pytest.mark.parametrize("given, error", [
    ({"loss": "softmax"}, "`loss` must be 'logistic' for a module that ends with sigmoid"),
    ({"loss": "hinge"}, "`loss` must be one of"),
    ({"layers": [1]}, "`layers` cannot be passed: the module says what it is"),
    ({"speed": 1}, "`speed` cannot be passed: MLP has no such argument"),
])  # fmt: skip
def test_other_arguments_are_refused(given, error):
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Sigmoid())
    with pytest.raises((TypeError, ValueError), match=f"^{error}"):
        MLP.from_torch(module, **given)


def test_a_neural_net():
    net = NeuralNet([4, 6, 3], random_state=0)
    again = NeuralNet.from_torch(net.to_torch(), learning_rate=0.5)
    assert_same_bits(again, net)
    assert type(again) is NeuralNet and repr(again) == "NeuralNet([4, 6, 3], learning_rate=0.5)"
    for module, name in (
        (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), nn.Softmax(1)), "activation"),
        (nn.Sequential(nn.Linear(4, 6), nn.Sigmoid()), "loss"),
        (
            nn.Sequential(
                nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3), nn.Softmax(1)
            ),
            "dropout",
        ),
    ):
        with pytest.raises(ValueError, match=f"^`module` must have the {name} .*; use MLP.$"):
            NeuralNet.from_torch(module)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_estimators(n_classes):
    X = rows(60, 4)
    y = np.arange(60) % n_classes
    classifier = MLPClassifier((8, 6), max_iter=3, random_state=0, activation="silu").fit(X, y)
    p = outputs(classifier.to_torch(), X)
    expected = classifier.predict_proba(X)[:, -p.shape[1] :]
    np.testing.assert_allclose(p, expected, rtol=1e-5, atol=1e-6)
    regressor = MLPRegressor(hidden_layer_sizes=5, max_iter=3, random_state=0, loss="poisson").fit(
        X, y
    )
    found = outputs(regressor.to_torch(), X)[:, 0]
    np.testing.assert_allclose(found, regressor.predict(X), rtol=1e-5)
    logs = outputs(regressor.to_torch(logits=True), X)[:, 0]
    np.testing.assert_allclose(np.exp(logs), regressor.predict(X), rtol=1e-5)
