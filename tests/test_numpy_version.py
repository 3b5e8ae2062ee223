"""The NumPy version, compared with arithmetic by hand and with finite differences."""

import ast
import io
import pickle
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from fastmlp import numpy_version
from fastmlp.numpy_version import NeuralNet


def column(*numbers):
    return np.array(numbers, dtype=np.float64)[:, np.newaxis]


def make_data(n_samples, n_in, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal((n_in, 1)), np.eye(n_classes)[:, [rng.integers(n_classes)]])
        for _ in range(n_samples)
    ]


def make_net(layers, seed=0, **options):
    np.random.seed(seed)
    random.seed(seed)
    return NeuralNet(layers, **options)


def step(net, x, y):
    z, activations = net.forward(x)
    net.update(activations, net.propagate(y, z, activations))


def test_one_step_by_hand():
    net = NeuralNet([2, 2, 2], learning_rate=0.5)
    net.weights = [np.array([[0.5, 0.25], [-1.0, 0.25]]), np.array([[2.0, 2.0], [1.0, -1.0]])]
    net.biases = [column(0, 0), column(-1, 0)]

    # Layer 0: z = (0.5 + 0.5, -1 + 0.5) = (1, -0.5), a = (1, 0).
    # Layer 1: z = (2 - 1, 1 + 0) = (1, 1) = a, so the softmax is (1/2, 1/2).
    z, activations = net.forward(column(1, 2))
    np.testing.assert_array_equal(z[0], column(1, -0.5))
    np.testing.assert_array_equal(activations[1], column(1, 0))
    np.testing.assert_array_equal(activations[2], column(1, 1))
    np.testing.assert_array_equal(net.predict_proba(column(1, 2)), column(0.5, 0.5))

    # Output: delta = (1/2 - 1, 1/2 - 0) = (-0.5, 0.5).
    # Inward: W.T delta = (2 * -0.5 + 1 * 0.5, 2 * -0.5 - 1 * 0.5) = (-0.5, -1.5); z[0][1] < 0
    # masks the second.
    deltas = net.propagate(column(1, 0), z, activations)
    np.testing.assert_array_equal(deltas[1], column(-0.5, 0.5))
    np.testing.assert_array_equal(deltas[0], column(-0.5, 0))

    # dW[1] = delta (1, 0) = [[-0.5, 0], [0.5, 0]]; dW[0] = delta (1, 2) = [[-0.5, -1], [0, 0]].
    # Half of each is subtracted, and half of each delta from the biases.
    net.update(activations, deltas)
    np.testing.assert_array_equal(net.weights[0], [[0.75, 0.75], [-1.0, 0.25]])
    np.testing.assert_array_equal(net.biases[0], column(0.25, 0))
    np.testing.assert_array_equal(net.weights[1], [[2.25, 2.0], [0.75, -1.0]])
    np.testing.assert_array_equal(net.biases[1], column(-0.75, -0.25))


@pytest.mark.parametrize(
    ("output_activation", "probabilities", "delta"),
    [
        # z = (log 3, -log 3). ReLU: a = (log 3, 0), softmax = (3, 1) / 4. The label is the second
        # class, so the difference is (3/4, -3/4), and z < 0 masks its second entry.
        ("relu", (0.75, 0.25), (0.75, 0)),
        # Identity: a = z, softmax = (3, 1/3) / (10/3) = (0.9, 0.1); no mask.
        ("identity", (0.9, 0.1), (0.9, -0.9)),
    ],
)
def test_output_activation_by_hand(output_activation, probabilities, delta):
    net = NeuralNet([1, 2], output_activation=output_activation)
    net.weights = [column(np.log(3), -np.log(3))]
    z, activations = net.forward(column(1))
    np.testing.assert_allclose(net.predict_proba(column(1)), column(*probabilities), rtol=1e-15)
    deltas = net.propagate(column(0, 1), z, activations)
    np.testing.assert_allclose(deltas[0], column(*delta), rtol=1e-15)


def test_relu_passes_no_gradient_at_zero():
    net = NeuralNet([1, 2])
    net.weights = [column(0, 1)]
    z, activations = net.forward(column(1))
    assert net.propagate(column(1, 0), z, activations)[0][0, 0] == 0


def test_reg_lambda_shrinks_weights_and_no_biases():
    # Without an input, dW is reg_lambda * W alone: W becomes W - 0.5 * 0.25 * W = 0.875 W.
    net = make_net([2, 3], learning_rate=0.5, reg_lambda=0.25, output_activation="identity")
    plain = make_net([2, 3], learning_rate=0.5, output_activation="identity")
    before = net.weights[0].copy()
    for each in (net, plain):
        step(each, column(0, 0), column(1, 0, 0))
    np.testing.assert_allclose(net.weights[0], 0.875 * before, rtol=1e-15)
    np.testing.assert_array_equal(net.biases[0], plain.biases[0])
    assert net.biases[0].any()


@pytest.mark.parametrize("output_activation", ["relu", "identity"])
def test_gradient_is_the_slope_of_the_loss(output_activation):
    net = make_net(
        [5, 7, 6, 3], learning_rate=1.0, reg_lambda=0.1, output_activation=output_activation
    )
    rng = np.random.default_rng(1)
    # Biases away from 0, so that the relu output is active and not all at its kink.
    net.biases = [rng.uniform(0.1, 0.5, b.shape) for b in net.biases]
    x, y = make_data(1, 5, 3)[0]
    parameters = net.weights + net.biases
    start = [p.copy() for p in parameters]

    def loss_at(distance):
        for p, p0, d in zip(parameters, start, direction, strict=True):
            p[...] = p0 + distance * d
        penalty = 0.1 / 2 * sum((W**2).sum() for W in net.weights)
        return penalty - np.log(net.predict_proba(x)[y == 1]).item()

    direction = [rng.standard_normal(p.shape) for p in parameters]
    slope = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
    loss_at(0)
    step(net, x, y)  # with learning_rate 1 the step is minus the gradient
    gradient = [p0 - p for p, p0 in zip(parameters, start, strict=True)]
    assert all(g.any() for g in gradient)
    dot = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
    assert dot == pytest.approx(slope, rel=1e-7)


def test_weights_are_drawn_layer_by_layer_and_nothing_else():
    net = make_net([6, 4, 3], seed=5)
    np.random.seed(5)
    np.testing.assert_array_equal(net.weights[0], np.random.randn(4, 6) * np.sqrt(2 / 10))
    np.testing.assert_array_equal(net.weights[1], np.random.randn(3, 4) * np.sqrt(2 / 7))
    state = np.random.get_state()
    make_net([6, 4, 3], seed=5)
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    assert np.random.get_state()[2] == state[2]
    assert [b.shape for b in net.biases] == [(4, 1), (3, 1)]
    assert not any(b.any() for b in net.biases)
    assert net.layers == [6, 4, 3]
    assert net.num_layers == 3
    assert (net.learning_rate, net.reg_lambda) == (0.05, 0.0)


def test_train_takes_one_step_a_sample_in_an_order_shuffled_on():
    data = make_data(7, 4, 3)
    net = make_net([4, 5, 3], seed=3)
    net.train(data, epochs=3)

    expected = make_net([4, 5, 3], seed=3)
    order = list(range(7))
    for _ in range(3):
        random.shuffle(order)  # of the order before it, not of 0..6 again
        for i in order:
            step(expected, *data[i])
    for a, b in zip(net.weights + net.biases, expected.weights + expected.biases, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_call_of_train_starts_from_the_given_order():
    data = make_data(7, 4, 3)
    nets = [make_net([4, 5, 3]), make_net([4, 5, 3])]
    nets[0].train(data, epochs=1)
    random.seed(1)
    nets[0].train(data, epochs=1)
    random.seed(0)
    nets[1].train(data, epochs=1)
    random.seed(1)
    order = list(range(7))
    random.shuffle(order)
    for i in order:
        step(nets[1], *data[i])
    np.testing.assert_array_equal(nets[0].weights[0], nets[1].weights[0])


def test_same_seed_same_numbers():
    data = make_data(20, 4, 3)
    nets = [make_net([4, 5, 3], seed=seed) for seed in (0, 0, 1)]
    for seed, net in zip((0, 0, 1), nets, strict=True):
        random.seed(seed)
        net.train(data, epochs=2)
    np.testing.assert_array_equal(nets[0].weights[0], nets[1].weights[0])
    assert (nets[0].weights[0] != nets[2].weights[0]).any()


def test_train_leaves_the_data_alone():
    data = make_data(20, 4, 3)
    pairs = list(data)
    copies = [(x.copy(), y.copy()) for x, y in data]
    make_net([4, 5, 3]).train(data, validation_data=data, epochs=2)
    assert all(pair is before for pair, before in zip(data, pairs, strict=True))
    for (x, y), (x0, y0) in zip(data, copies, strict=True):
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(y, y0)


def test_validation_data_is_reported_and_not_trained_on(capsys):
    data, held_out = make_data(20, 4, 3), make_data(8, 4, 3, seed=1)
    silent = make_net([4, 5, 3])
    silent.train(data, epochs=2)
    assert capsys.readouterr().out == ""

    net = make_net([4, 5, 3])
    net.train(data, held_out, epochs=1)
    one_epoch = net.test(held_out)
    net = make_net([4, 5, 3])
    capsys.readouterr()
    net.train(data, held_out, epochs=2)
    assert capsys.readouterr().out == (
        f"epoch 1: {one_epoch:.2f} % correct\nepoch 2: {net.test(held_out):.2f} % correct\n"
    )
    for a, b in zip(net.weights + net.biases, silent.weights + silent.biases, strict=True):
        np.testing.assert_array_equal(a, b)


def test_test_is_the_percentage_correct():
    net = NeuralNet([2, 2], output_activation="identity")
    net.weights = [np.eye(2)]  # the likeliest class is where the larger input is
    data = [
        (column(2, 1), column(1, 0)),
        (column(1, 2), column(0, 1)),
        (column(5, 1), column(0, 1)),
    ]
    percent = net.test(data)
    assert type(percent) is float
    assert percent == pytest.approx(200 / 3)


def test_softmax_does_not_overflow():
    net = NeuralNet([1, 2])
    net.weights = [column(1e6, 0)]
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(net.predict_proba(column(1)), column(1, 0))


def test_it_learns():
    rng = np.random.default_rng(0)
    data = []
    for _ in range(200):
        x = rng.standard_normal((2, 1))
        label = int(x[0, 0] * x[1, 0] > 0)  # which no network without a hidden layer can learn
        data.append((x, np.eye(2)[:, [label]]))
    net = make_net([2, 16, 2], output_activation="identity")
    net.train(data, epochs=30)
    assert net.test(data) > 90


@pytest.mark.parametrize("kind", ["path", "str", "file"])
def test_dump(tmp_path, kind):
    net = make_net([4, 5, 3], reg_lambda=0.5)
    path = tmp_path / "net.pickle"
    if kind == "file":
        buffer = io.BytesIO()
        net.dump(buffer)
        assert not buffer.closed
        loaded = pickle.loads(buffer.getvalue())
    else:
        net.dump(path if kind == "path" else str(path))
        loaded = pickle.loads(path.read_bytes())
    assert loaded.reg_lambda == 0.5
    x = make_data(1, 4, 3)[0][0]
    np.testing.assert_array_equal(loaded.predict_proba(x), net.predict_proba(x))


def test_unknown_output_activation():
    with pytest.raises(ValueError, match="output_activation"):
        NeuralNet([2, 2], output_activation="tanh")


def test_it_imports_numpy_and_the_standard_library_alone():
    imported = set()
    for node in ast.walk(ast.parse(Path(numpy_version.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or "").split(".")[0])
    assert "numpy" in imported
    assert imported - {"numpy"} <= sys.stdlib_module_names
