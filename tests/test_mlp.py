"""`MLP`: which arguments it accepts, and extreme values."""

import numpy as np
import pytest
import scipy.sparse

from fastmlp import MLP
from helpers.same_bits import bits_of


def test_a_rate_is_asked_for_once_a_step(make_data):
    X, y = make_data([4, 3], 66)
    asked = []
    net = MLP([4, 6, 3], learning_rate=lambda step: asked.append(step) or 0.1)
    net.fit(X, y, epochs=2, batch_size=7)
    assert asked == list(range(20))


@pytest.mark.parametrize("rate", ["a", None, float("nan"), -1.0, float("inf")])
def test_an_invalid_rate_is_refused_before_its_step(rate, make_data):
    X, y = make_data([4, 3], 66)
    net = MLP([4, 6, 3], learning_rate=lambda step: 0.1 if step < 0 else rate, random_state=0)
    before = bits_of(net)
    with pytest.raises(
        ValueError,
        match="^`learning_rate` must return a finite number of at least 0, got .* for step 0",
    ):
        net.fit(X, y)
    assert bits_of(net) == before


def test_a_sample_of_weight_zero_is_not_there_whatever_its_loss(make_data):
    X, _ = make_data([4, 3], 66)
    X[5] = 1e4  # exp of it overflows
    weight = np.ones(66)
    weight[5] = 0
    options = {"loss": "poisson", "activation": "identity", "optimizer": "sgd", "random_state": 0}
    targets = np.abs(np.rint(X[:, :3]))
    nets = [MLP([4, 6, 3], learning_rate=0.01, dtype="float64", **options) for _ in range(2)]
    nets[0].fit(X, targets, 1, 66, shuffle=False, sample_weight=weight)
    others = np.arange(66) != 5
    nets[1].fit(X[others], targets[others], 1, 66, shuffle=False)
    for one, other in zip(nets[0].weights, nets[1].weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert nets[0].history_["loss"] == pytest.approx(nets[1].history_["loss"], rel=1e-12)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"activation": "cosine"}, "^`activation` must be one of 'elu', 'gelu', .*, got 'cosine'"),
        (
            {"activation": ["relu", "tanh"]},
            "^`activation` must be one value or a list of 1, got a list of 2",
        ),
        ({"loss": "hinge"}, "^`loss` must be one of .*'huber', .*, got 'hinge'"),
        ({"optimizer": "lion"}, "^`optimizer` must be one of .*'adam', .*, got 'lion'"),
        ({"init": "best"}, "^`init` must be one of .*'he_normal', .*, got 'best'"),
        ({"init": [np.zeros((2, 2))]}, "^`init` must have 2 arrays, got 1"),
        ({"l2": [1.0]}, "^`l2` must be one value or a list of 2, got a list of 1"),
        ({"l1": -1.0}, "^`l1` must be finite and at least 0, got -1.0"),
        ({"dropout": 1.0}, "^`dropout` must be at least 0 and below 1, got 1.0"),
        ({"dropout": [0.1, 0.2]}, "^`dropout` must be one value or a list of 1, got a list of 2"),
        ({"max_norm": 0}, "^`max_norm` must be finite and above 0, got 0.0"),
        ({"clip_norm": -2}, "^`clip_norm` must be finite and above 0, got -2.0"),
        ({"input_noise": np.nan}, "^`input_noise` must be finite and at least 0, got nan"),
        (
            {"learning_rate": "fast"},
            "^`learning_rate` must be a number that is finite and at least 0, got 'fast'",
        ),
    ],
)
def test_arguments_are_refused_in_one_sentence(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MLP([4, 6, 3], **arguments)


@pytest.mark.parametrize(
    "loss, y, message",
    [
        ("logistic", [[0.0, 2.0, 1.0]], "^`y` must be at least 0 and at most 1, got 2.0"),
        ("poisson", [[0.0, -2.0, 1.0]], "^`y` must be at least 0, got -2.0"),
        ("huber", [[0.0, 1.0]], r"^`y` must have shape \(n_samples, 3\), got \(1, 2\)"),
        ("huber", [[0.0, 1.0, np.nan]], "^`y` must be finite, got NaN or infinity in row 0"),
        ("squared_error", [[0.0, 1.0, 2.0]] * 2, "^`y` must have as many samples as `X`, 1, got 2"),
        ("softmax", [3], "^`y` must be labels from 0 to 2, got 3"),
    ],
)  # fmt: skip
def test_targets_are_refused_in_one_sentence(loss, y, message):
    net = MLP([4, 6, 3], loss=loss, random_state=0)
    before = bits_of(net)
    with pytest.raises(ValueError, match=message):
        net.fit(np.ones((1, 4)), y)
    assert bits_of(net) == before and net.history_ == {}


@pytest.mark.parametrize(
    "weights, message",
    [
        ({"sample_weight": [1.0]}, r"^`sample_weight` must have shape \(2,\), got \(1,\)"),
        (
            {"sample_weight": [1.0, -1.0]},
            "^`sample_weight` must be finite and at least 0, got -1.0",
        ),
        (
            {"sample_weight": [0, 0]},
            "^`sample_weight` must be above 0 for at least one sample, got only zeros",
        ),
        ({"class_weight": {5: 1.0}}, "^`class_weight` must have only classes from 0 to 2, got 5"),
        ({"class_weight": "even"}, "^`class_weight` must be 'balanced', a dict or .*, got 'even'"),
        ({"class_weight": [1.0, 2.0]}, r"^`class_weight` must have shape \(3,\), got \(2,\)"),
    ],
)
def test_weights_are_refused_in_one_sentence(weights, message):
    with pytest.raises(ValueError, match=message):
        MLP([4, 6, 3]).fit(np.ones((2, 4)), [0, 1], **weights)


def test_balanced_classes_count_the_same():
    X, y = np.random.default_rng(0).random((20, 4)), np.array([0] * 15 + [1] * 4 + [2])
    nets = [MLP([4, 6, 3], random_state=0, dtype="float64") for _ in range(2)]
    nets[0].fit(X, y, shuffle=False, class_weight="balanced")
    nets[1].fit(X, y, shuffle=False, sample_weight=(20 / (3 * np.array([15, 4, 1])))[y])
    assert np.array_equal(nets[0].weights[0], nets[1].weights[0])


def test_another_way_to_shuffle_is_refused():
    with pytest.raises(ValueError, match="^`shuffle` must be True, False or 'blocks', got 'block'"):
        MLP([4, 3]).fit(np.eye(4), [0, 1, 2, 0], shuffle="block")


def test_what_noise_would_fill_is_refused():
    X = scipy.sparse.csr_matrix(np.eye(4))
    net = MLP([4, 3], input_noise=0.1, random_state=0)
    with pytest.raises(
        ValueError, match="^`X` must be dense if `input_noise` is not 0, got a sparse"
    ):
        net.fit(X, [0, 1, 2, 0])
    with pytest.raises(
        ValueError, match=r"^`X\[i\]\[0\]` must be dense if `input_noise` is not 0, got a sp"
    ):
        net.fit([(X, [0, 1, 2, 0])])
    # Predictions have none.
    assert np.array_equal(net.predict_proba(X), net.predict_proba(np.eye(4)))


@pytest.mark.parametrize(
    "loss, targets, shape",
    [
        ("logistic", [0, 1, 1], (3,)),
        ("poisson", [0, 3, 1], (3,)),
        ("huber", [[0.5], [1.5], [-1.0]], (3,)),
        ("logistic", [[0, 1], [1, 1], [0, 0]], (3, 2)),
        ("squared_error", [[0, 1], [1, 1], [0, 0]], (3, 2)),
    ],
)
def test_the_shapes_of_predictions(loss, targets, shape):
    X = np.random.default_rng(0).random((3, 4))
    net = MLP([4, 6, 1 if len(shape) == 1 else 2], loss=loss, random_state=0).fit(X, targets)
    found = net.predict(X)
    assert found.shape == shape and net.score(X, targets) <= 1
    if loss == "logistic":
        probabilities = net.predict_proba(X)
        assert probabilities.shape == (3, net.layers[-1])
        assert np.array_equal(found, (probabilities >= 0.5).reshape(shape))
    else:
        assert not hasattr(net, "predict_proba") or pytest.raises(
            AttributeError, net.predict_proba, X
        )


def test_validation_data_that_scaling_makes_infinite_are_named():
    net = MLP([4, 3], input_scale=1e30, random_state=0)
    before = bits_of(net)
    X = np.zeros((3, 4))
    with pytest.raises(
        ValueError, match=r"^`validation_data\[0\]` must be finite, got NaN or .* row 2"
    ):
        net.fit(X, [0, 1, 2], validation_data=(X + [[0], [0], [1e10]], [0, 1, 2]))
    assert bits_of(net) == before and net.history_ == {}


def test_an_epsilon_that_is_zero_in_float32_is_refused():
    from fastmlp.optimizers import Adam

    with pytest.raises(
        ValueError, match="^`optimizer` must have an epsilon .* 0 as float32, got 1e-60"
    ):
        MLP([4, 3], optimizer=Adam(epsilon=1e-60))
    MLP([4, 3], optimizer=Adam(epsilon=1e-60), dtype="float64")


def test_the_call_that_makes_it_is_what_is_shown():
    from fastmlp.losses import Huber

    net = MLP([4, 6, 3], activation="tanh", loss=Huber(2.0), dropout=0.5, dtype="float64")
    shown = repr(net)
    for part in ("MLP([4, 6, 3], ", "activation=['tanh']", "loss=Huber(delta=2.0)", "dropout=0.5"):
        assert part in shown
    assert "l2" not in shown and repr(MLP([4, 3])) == "MLP([4, 3])"
    assert "init=[array" in repr(MLP([4, 3], init=[np.ones((3, 4))]))
