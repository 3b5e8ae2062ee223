"""`class_weight` with labels and with probabilities."""

import numpy as np
import pandas
import pytest
from sklearn.utils.class_weight import compute_class_weight

from fastmlp import MLP
from fastmlp.core.equations.losses import LOSS_CODES, Loss
from fastmlp.losses import Softmax
from fastmlp.validation.sample_weights import class_sums, class_weighted, weighted
from fastmlp.validation.targets import targets
from helpers import mlp_cases
from helpers.reference_mlp import ReferenceMLP
from helpers.same_bits import assert_same_bits, bits_of

N = 60


def data(n_classes, soft, seed=0):
    """Return X and y for softmax; the classes differ in size, and the last is empty."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, 4))
    if soft:
        y = rng.dirichlet(np.linspace(0.3, 2, n_classes), N)
        y[::4] = np.eye(n_classes)[rng.integers(0, n_classes, len(y[::4]))]
        return X, y
    return X, np.minimum(rng.geometric(0.5, N) - 1, n_classes - 1)


def one_hot(y, n_classes):
    return np.eye(n_classes)[y] if y.ndim == 1 else y


def slow_training(probabilities, of_class, sample_weight, X, sizes, options, batch_size=7):
    """Train the slow reference on one sample of each class, with its probability as weight."""
    n_classes = probabilities.shape[1]
    shares = sample_weight[:, None] * probabilities * of_class
    labels = np.tile(np.arange(n_classes), N)
    if options["loss"] == "logistic":
        labels = labels[:, None]
    slow = ReferenceMLP(*mlp_cases.parameters(sizes), **options)
    each = np.repeat(X, n_classes, axis=0)
    return slow.fit(each, labels, 2, n_classes * batch_size, shares.reshape(-1))


def assert_same(y, class_weight, slow, X, sizes, options, sample_weight):
    fast = mlp_cases.mlp(*mlp_cases.parameters(sizes), options)
    fast.fit(X, y, 2, 7, shuffle=False, sample_weight=sample_weight, class_weight=class_weight)
    mlp_cases.assert_close(fast, slow, 1e-11)
    assert fast.history_["loss"] == pytest.approx(slow.losses, rel=1e-11)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("both", [False, True])
def test_softmax(soft, smoothing, both):
    sizes, of_class = [4, 6, 3], np.array([0.5, 3.0, 1.25])
    options = mlp_cases.settings(
        "adam", activation="tanh", loss="softmax", loss_options={"label_smoothing": smoothing}
    )
    X, y = data(3, soft)
    of_sample = np.random.default_rng(1).uniform(0.5, 2, N) if both else None
    slow = slow_training(
        one_hot(y, 3), of_class, np.ones(N) if of_sample is None else of_sample, X, sizes, options
    )
    for class_weight in (of_class, dict(enumerate(of_class)), of_class.tolist()):
        assert_same(y, class_weight, slow, X, sizes, options, of_sample)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_logistic_of_one_output(soft, both):
    sizes, of_class = [4, 6, 1], np.array([0.5, 3.0])
    options = mlp_cases.settings("adam", activation="tanh", loss="logistic")
    X, y = data(2, soft)
    of_sample = np.random.default_rng(1).uniform(0.5, 2, N) if both else None
    slow = slow_training(
        one_hot(y, 2), of_class, np.ones(N) if of_sample is None else of_sample, X, sizes, options
    )
    target = y[:, 1] if soft else y
    for class_weight in (of_class, {0: 0.5, 1: 3.0}, pandas.Series({1: 3.0, 0: 0.5})):
        assert_same(target, class_weight, slow, X, sizes, options, of_sample)
    assert_same(target[:, None], of_class, slow, X, sizes, options, of_sample)


@pytest.mark.parametrize("loss, n_classes", [("softmax", 4), ("softmax", 2), ("logistic", 2)])
@pytest.mark.parametrize("soft", [False, True])
def test_balanced(loss, n_classes, soft):
    """n_samples / (n_classes * counts), as scikit-learn; counts are sums of probabilities."""
    sizes = [4, 6, n_classes if loss == "softmax" else 1]
    options = mlp_cases.settings("adam", activation="tanh", loss=loss)
    X, y = data(n_classes, soft)
    of_class = N / (n_classes * one_hot(y, n_classes).sum(axis=0))
    if not soft:
        expected = compute_class_weight("balanced", classes=np.arange(n_classes), y=y)
        np.testing.assert_allclose(of_class, expected, rtol=1e-15)
    slow = slow_training(one_hot(y, n_classes), of_class, np.ones(N), X, sizes, options)
    target = y[:, 1] if soft and loss == "logistic" else y
    assert_same(target, "balanced", slow, X, sizes, options, None)


@pytest.mark.parametrize("soft", [False, True])
def test_balanced_leaves_out_classes_that_do_not_occur(soft):
    y = np.array([0, 0, 0, 2])
    if soft:
        y = np.array([[0.75, 0, 0.25], [1, 0, 0], [1, 0, 0], [0.25, 0, 0.75]])
    loss = Loss(LOSS_CODES["softmax"], 0.0)
    found = class_weighted(targets("y", y, 4, loss, 3, "f8"), "balanced", loss, 3)
    of_class = np.array([4 / (2 * 3), 0, 4 / (2 * 1)])
    np.testing.assert_allclose(found.weights, one_hot(y, 3) @ of_class, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_of_a_logistic_loss_have_the_bits_of_sample_weights(dtype):
    X, y = data(2, False)
    of_class = np.array([0.3, 1.7])
    nets = [MLP([4, 5, 1], loss="logistic", dtype=dtype, random_state=0) for _ in range(2)]
    nets[0].fit(X, y, 2, 8, class_weight=of_class)
    nets[1].fit(X, y, 2, 8, sample_weight=of_class[y])
    assert nets[0].history_ == nets[1].history_
    assert_same_bits(*nets)


def test_pytorchs_formula_of_weighted_probabilities():
    """``-sum_j w_j t_j log p_j`` of each sample; divided by the sum of the weights, not by n."""
    X, y = data(3, True)
    of_class = np.array([0.5, 3.0, 1.25])
    net = MLP([4, 3], learning_rate=0.0, dtype="float64", random_state=0)
    net.fit(X, y, 1, N, class_weight=of_class)
    p = net.predict_proba(X)
    expected = -(of_class * y * np.log(p)).sum() / (of_class * y).sum()
    assert net.history_["loss"][0] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_class_of_weight_0_is_not_there(smoothing):
    X, y = data(3, True)
    net = MLP([4, 3], loss=Softmax(smoothing), dtype="float64", random_state=0)
    without = MLP([4, 3], loss=Softmax(smoothing), dtype="float64", random_state=0)
    y[5] = [0, 1, 0]  # a sample with a total weight of 0
    rest = y * [1, 0, 1]
    share = rest.sum(axis=1)
    rest[share == 0] = [1, 0, 0]
    net.fit(X, y, 2, 8, shuffle=False, class_weight={1: 0.0})
    rows = rest / rest.sum(axis=1, keepdims=True)
    without.fit(X, rows, 2, 8, shuffle=False, sample_weight=share)
    mlp_cases.assert_close(net, without, 1e-12)


@pytest.mark.parametrize("loss, soft", [("softmax", False), ("softmax", True), ("logistic", True)])
def test_rows_that_are_not_trained_on_are_not_counted(loss, soft):
    X, y = data(2, soft)
    rng = np.random.default_rng(2)
    rows, of_sample = np.sort(rng.permutation(N)[:40]), rng.uniform(0.5, 2, N)
    target = y[:, 1] if loss == "logistic" else y
    n_out, kernel_loss = (1, 2)[loss == "softmax"], Loss(LOSS_CODES[loss], 0.0)
    all_rows = weighted(targets("y", target, N, kernel_loss, n_out, "f8"), of_sample, N)
    found = class_weighted(all_rows, "balanced", kernel_loss, n_out, rows)
    some = weighted(targets("y", target[rows], 40, kernel_loss, n_out, "f8"), of_sample[rows], 40)
    expected = class_weighted(some, "balanced", kernel_loss, n_out)
    assert np.array_equal(found.weights[rows], expected.weights)
    if soft:
        values = found.values.reshape(N, -1)[rows].reshape(-1)
        assert np.array_equal(values, expected.values)
    counted = class_weighted(all_rows, "balanced", kernel_loss, n_out)
    assert not np.array_equal(counted.weights[rows], expected.weights)


@pytest.mark.parametrize("loss, soft", [("softmax", False), ("softmax", True), ("logistic", True)])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_sums_of_classes(loss, soft, is_weighted):
    """Their product with the weights of classes is the sum of the weights that samples get."""
    _, y = data(2, soft)
    target = y[:, 1] if loss == "logistic" else y
    n_out, kernel_loss = (1, 2)[loss == "softmax"], Loss(LOSS_CODES[loss], 0.0)
    found = targets("y", target, N, kernel_loss, n_out, "f8")
    if is_weighted:
        found = weighted(found, np.random.default_rng(2).uniform(0.5, 2, N), N)
    sums, of_class = class_sums(found, kernel_loss, n_out), np.array([0.5, 3.0])
    expected = class_weighted(found, of_class, kernel_loss, n_out).weights.sum()
    np.testing.assert_allclose(sums @ of_class, expected, rtol=1e-13)


def test_given_targets_and_weights_stay_as_they_are():
    X, y = data(2, True)
    weight, before = np.ones(N), y.copy()
    MLP([4, 2]).fit(X, y, 1, sample_weight=weight, class_weight="balanced")
    MLP([4, 1], loss="logistic", dtype="f8").fit(X, y[:, 1], 1, class_weight="balanced")
    assert np.array_equal(y, before) and (weight == 1).all()


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_batches(loss):
    X, y = data(2, True)
    y = y[:, 1] if loss == "logistic" else y
    sizes = [4, 5, 2 if loss == "softmax" else 1]
    whole, cut = (MLP(sizes, loss=loss, random_state=0) for _ in range(2))
    whole.fit(X, y, 2, 8, shuffle=False, class_weight={1: 3.0})
    batches = [(X[i : i + 9], y[i : i + 9]) for i in range(0, N, 9)]
    cut.fit(batches, None, 2, 8, shuffle=False, class_weight={1: 3.0})
    assert whole.history_ == cut.history_
    assert np.array_equal(whole.weights[0], cut.weights[0])


@pytest.mark.parametrize("loss, n_out, class_weight, message", [
    ("logistic", 1, {2: 1.0}, "^`class_weight` must have only classes from 0 to 1, got 2"),
    ("logistic", 1, [1.0], r"^`class_weight` must have shape \(2,\), got \(1,\)"),
    ("logistic", 1, [1.0, -1.0], "^`class_weight` must be finite and at least 0, got -1.0"),
    ("logistic", 1, {0: np.nan}, r"^`class_weight\[0\]` must be .*, got nan"),
    ("logistic", 1, {1: 0.0, 0: 0}, "^`class_weight` must be above 0 for .*, got only zer"),
    ("logistic", 1, "even", "^`class_weight` must be 'balanced', .*, got 'even'"),
    ("logistic", 2, "balanced", "^`class_weight` must be None .*, got 'bal.*; use sample"),
    ("squared_error", 1, {0: 1.0}, "^`class_weight` must be None .* is softmax, .*, got {0: 1.0}"),
    ("poisson", 1, "balanced", "^`class_weight` must be None unless"),
    ("softmax", 3, {-1: 1.0}, "^`class_weight` must have only classes from 0 to 2, got -1"),
    ("softmax", 3, [[1.0, 2.0, 3.0]], r"^`class_weight` must have shape \(3,\), got \(1, 3\)"),
    ("softmax", 3, [1.0, np.inf, 3.0], "^`class_weight` must be finite and at least 0, got inf"),
])  # fmt: skip
def test_what_is_refused(loss, n_out, class_weight, message):
    net = MLP([4, n_out], loss=loss, random_state=0)
    X, before = np.ones((6, 4)), bits_of(net)
    y = np.array([0, 1, 0, 1, 0, 1])
    y = np.eye(2)[y] if n_out == 2 else y
    for fit in (
        lambda: net.fit(X, y, class_weight=class_weight),
        lambda: net.fit(X, y, class_weight=class_weight, validation_fraction=0.5),
        lambda: net.partial_fit(X, y, class_weight=class_weight),
    ):
        with pytest.raises(ValueError, match=message):
            fit()
    assert bits_of(net) == before and not net.history_
