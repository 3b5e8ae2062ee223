"""`NeuralNet` compared with the NumPy version: same names, shapes and numbers."""

import copy
import os
import pickle
import random

import numpy as np
import pytest

import fastmlp
from fastmlp import numpy_version


@pytest.fixture(scope="module")
def pairs(digits):
    X, y = digits
    return [(x.reshape(-1, 1), np.eye(10)[:, [label]]) for x, label in zip(X, y, strict=True)]


def both(layers, **options):
    nets = []
    for version in (numpy_version.NeuralNet, fastmlp.NeuralNet):
        np.random.seed(7)
        nets.append(version(layers, **options))
    return nets


def test_equal_seeds_start_from_equal_weights():
    slow, fast = both([64, 30, 10])
    for l in range(2):
        assert np.array_equal(slow.weights[l], fast.weights[l])
        assert fast.weights[l].shape == slow.weights[l].shape
        assert np.array_equal(slow.biases[l], fast.biases[l])
    assert (fast.layers, fast.num_layers) == (slow.layers, slow.num_layers) == ([64, 30, 10], 3)
    assert (fast.learning_rate, fast.reg_lambda) == (slow.learning_rate, slow.reg_lambda)


@pytest.mark.parametrize("options", [{}, {"output_activation": "identity"}, {"reg_lambda": 1e-3}])
def test_three_epochs_end_where_the_numpy_version_ends(pairs, options):
    slow, fast = both([64, 30, 10], **options)
    ordered = list(pairs)
    for net in (slow, fast):
        random.seed(5)
        net.train(pairs, epochs=3)
        assert all(a is b for a, b in zip(pairs, ordered, strict=True))
    for l in range(2):
        assert np.abs(slow.weights[l] - fast.weights[l]).max() <= 1e-9
        assert np.abs(slow.biases[l] - fast.biases[l]).max() <= 1e-9
    assert fast.test(pairs[:300]) == slow.test(pairs[:300])


def test_validation_data_is_scored_and_never_trained_on(pairs, capsys):
    slow, fast = both([64, 30, 10])
    printed = []
    for net in (slow, fast):
        random.seed(5)
        net.train(pairs[:200], pairs[200:400], epochs=2)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[1].startswith("epoch 1: ")
    alone = both([64, 30, 10])[1]
    random.seed(5)
    alone.train(pairs[:200], epochs=2)
    assert np.array_equal(alone.weights[0], fast.weights[0])
    assert len(fast.history_["validation_accuracy"]) == 2


def test_train_draws_from_random_shuffle_alone(pairs):
    net = both([64, 30, 10])[1]
    random.seed(5)
    before = np.random.get_state()[1].copy()
    net.train(pairs[:50], epochs=2)
    after = random.random()
    assert np.array_equal(before, np.random.get_state()[1])
    random.seed(5)
    order = list(range(50))
    random.shuffle(order)
    random.shuffle(order)
    assert random.random() == after


def test_weights_are_live_views_and_can_be_assigned():
    net = fastmlp.NeuralNet([3, 4, 2], dtype="float32")
    x = np.ones((1, 3))
    net.biases[1][:, 0] = [3, 0]
    np.testing.assert_allclose(net.predict_proba(x).sum(), 1, rtol=1e-6)
    net.weights[1][...] = 0
    np.testing.assert_allclose(
        net.predict_proba(x), [[np.exp(3) / (1 + np.exp(3)), 1 / (1 + np.exp(3))]], rtol=1e-6
    )
    net.weights[0] -= 0.25 * np.ones((4, 3))
    net.weights = [np.zeros((4, 3)), np.ones((2, 4))]
    net.biases = [np.ones((4, 1)), np.zeros((2, 1))]
    assert net.weights[1][1, 3] == 1 and len(net.weights) == 2
    np.testing.assert_allclose(net.predict_proba(x), [[0.5, 0.5]])
    held, before = net.weights[1], net.weights[1].copy()
    net.fit(np.ones((8, 3)), np.zeros(8, int), epochs=1)
    assert held is net.weights[1] and not np.array_equal(held, before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_equal_and_independent(copied, digits):
    X, y = digits
    net = fastmlp.NeuralNet([64, 20, 10], dtype="float32", random_state=3).fit(X, y, epochs=1)
    other = copied(net)
    assert other.history_ == net.history_ and repr(other) == repr(net)
    net.fit(X, y, epochs=1)
    assert not np.array_equal(net.weights[0], other.weights[0])
    other.fit(X, y, epochs=1)
    assert np.array_equal(net.weights[0], other.weights[0])


def test_dump_pickles_to_a_path_or_a_file(tmp_path, pairs):
    net = fastmlp.NeuralNet([64, 10])
    net.dump(tmp_path / "net.pickle")
    with open(tmp_path / "other.pickle", "wb") as file:
        net.dump(file)
    for name in ("net.pickle", "other.pickle"):
        with open(tmp_path / name, "rb") as file:
            assert np.array_equal(pickle.load(file).weights[0], net.weights[0])


def test_random_state_of_every_kind():
    def weights(random_state):
        return fastmlp.NeuralNet([5, 3], random_state=random_state).weights[0].copy()

    np.random.seed(4)
    from_global = weights(None)
    assert np.array_equal(from_global, weights(4))
    assert np.array_equal(from_global, weights(np.random.RandomState(4)))
    assert np.array_equal(from_global, weights(np.int64(4)))
    generator = np.random.default_rng(4)
    assert not np.array_equal(weights(generator), weights(generator))
    assert np.array_equal(weights(np.random.default_rng(4)), weights(np.random.default_rng(4)))


def test_the_seed_decides_the_shuffling(digits):
    X, y = digits
    runs = [fastmlp.NeuralNet([64, 10], random_state=s).fit(X, y, epochs=2) for s in (1, 1, 2)]
    assert np.array_equal(runs[0].weights[0], runs[1].weights[0])
    assert not np.array_equal(runs[0].weights[0], runs[2].weights[0])
    fixed = [fastmlp.NeuralNet([64, 10], random_state=1) for _ in range(2)]
    fixed[0].fit(X, y, epochs=1, shuffle=False, batch_size=1)
    fixed[1].train(list(zip(X, y, strict=True)), epochs=0)
    for i in range(len(X)):
        fixed[1].fit(X[i : i + 1], y[i : i + 1], epochs=1, batch_size=1, shuffle=False)
    assert np.array_equal(fixed[0].weights[0], fixed[1].weights[0])


def test_weights_can_be_assigned_from_one_another_and_by_slices():
    net = fastmlp.NeuralNet([3, 3, 3], random_state=0)
    first, second = (weights.copy() for weights in net.weights)
    net.weights = [net.weights[1], net.weights[0]]
    assert np.array_equal(net.weights[0], second) and np.array_equal(net.weights[1], first)
    net.weights[:] = [first, second]
    net.weights[-1:] = [first]
    assert np.array_equal(net.weights[0], first) and np.array_equal(net.weights[1], first)
    with pytest.raises(ValueError, match=r"^`weights\[1\]` must have shape"):
        net.weights[0:2] = [second, np.ones((2, 2))]
    assert np.array_equal(net.weights[0], first)
    with pytest.raises(IndexError):
        net.weights[2] = first


def test_fit_shuffles_in_every_epoch(digits):
    X, y = digits
    net, by_hand = (fastmlp.NeuralNet([64, 10], random_state=1) for _ in range(2))
    net.fit(X, y, epochs=2)
    random_state = np.random.RandomState(1)
    random_state.standard_normal((10, 64))  # the weights
    for _ in range(2):
        order = random_state.permutation(len(X))
        by_hand.fit(X[order], y[order], epochs=1, shuffle=False)
    assert np.array_equal(net.weights[0], by_hand.weights[0])


def test_a_failed_dump_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "net.pickle"
    fastmlp.NeuralNet([3, 2]).dump(path)
    before = path.read_bytes()

    def full(net, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pickle, "dump", full)
    with pytest.raises(OSError, match="No space"):
        fastmlp.NeuralNet([3, 2]).dump(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.pickle"]


class OfOneSize(fastmlp.NeuralNet):
    def __init__(self, n):
        super().__init__([n, 2])
        self.remark = "mine"


def test_a_subclass_is_copied_and_loaded_with_what_it_added(tmp_path):
    net = OfOneSize(3)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(other) is OfOneSize and other.remark == "mine"
        assert np.array_equal(other.weights[0], net.weights[0])
    net.save(tmp_path / "net.npz")
    assert np.array_equal(OfOneSize.load(tmp_path / "net.npz").weights[0], net.weights[0])
