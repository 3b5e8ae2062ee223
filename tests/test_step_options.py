"""Options of the step that scikit-learn's networks need, against their formulas in NumPy."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastmlp import MLP, losses, optimizers
from helpers.same_bits import arrays_of, assert_same_bits

SIZES, N, BATCH = [5, 7, 3], 23, 10  # the last minibatch has 3 rows
RATES = [0.1, 0.02, 0.3, 0.05, 0.2, 0.1]  # of the steps of two epochs
L2 = 0.4


def sample():
    random = np.random.default_rng(0)
    X = random.standard_normal((N, SIZES[0])) * (random.random((N, SIZES[0])) < 0.6)
    return X, random.integers(0, 3, N), random.random(N) + 0.2


def rate(step):
    return RATES[step]


def make(optimizer, loss="softmax", **others):
    return MLP(
        SIZES, optimizer=optimizer, loss=loss, learning_rate=rate, dtype=np.float64,
        random_state=1, **others,
    )  # fmt: skip


def naive(mlp, X, targets, weights, derive, change, epochs=2):
    """Train as `l2_per_batch` says with SGD-like `change`; return parameters and epoch losses."""
    W, b = [w.T.copy() for w in mlp.weights], [v[:, 0].copy() for v in mlp.biases]
    memory, history, step = [{} for _ in range(4)], [], 0
    for _ in range(epochs):
        total = 0.0
        for start in range(0, N, BATCH):
            x, t, w = (array[start : start + BATCH] for array in (X, targets, weights))
            hidden = np.maximum(x @ W[0] + b[0], 0)
            row_losses, delta = derive(hidden @ W[1] + b[1], t)
            penalty = L2 / 2 * sum((each**2).sum() for each in W)
            total += len(x) * ((w * row_losses).sum() + penalty) / w.sum()
            delta = delta * w[:, None] / w.sum()
            inner = (delta @ W[1].T) * (hidden > 0)
            grads = [
                x.T @ inner + L2 * W[0] / w.sum(),
                hidden.T @ delta + L2 * W[1] / w.sum(),
                inner.sum(axis=0),
                delta.sum(axis=0),
            ]
            step += 1
            for p, g, known in zip([*W, *b], grads, memory, strict=True):
                p -= change(g, known, RATES[step - 1], step)
        history.append(total / N)
    return W, b, history


def cross_entropy(z, labels):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    one_hot = np.eye(3)[labels]
    return -np.log(p[np.arange(len(z)), labels]), p - one_hot


def sgd(g, known, rate, step):
    return rate * g


def velocity(g, known, rate, step, ahead=False, momentum=1.0):
    v = known["v"] = momentum * known.get("v", 0) + rate * g
    return rate * g + momentum * v if ahead else v


def nesterov(g, known, rate, step):
    return velocity(g, known, rate, step, True, 0.9)


def epsilon_hat(g, known, rate, step):
    m = known["m"] = 0.9 * known.get("m", 0) + 0.1 * g
    v = known["v"] = 0.99 * known.get("v", 0) + 0.01 * g**2
    return rate * np.sqrt(1 - 0.99**step) / (1 - 0.9**step) * m / (np.sqrt(v) + 0.01)


RULES = {
    "sgd": (optimizers.SGD(), sgd),
    "momentum": (optimizers.Momentum(1.0, rate_in_velocity=True), velocity),
    "nesterov": (optimizers.Nesterov(0.9, rate_in_velocity=True), nesterov),
    "adam": (optimizers.Adam(0.9, 0.99, 0.01, epsilon_hat=True), epsilon_hat),
}


def assert_trained(mlp, expected):
    W, b, history = expected
    for l in range(2):
        np.testing.assert_allclose(mlp.weights[l].T, W[l], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(mlp.biases[l][:, 0], b[l], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(mlp.history_["loss"], history, rtol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_steps_by_hand(rule, weighted):
    X, y, weights = sample()
    if not weighted:
        weights = np.ones(N)
    optimizer, change = RULES[rule]
    mlp = make(optimizer, l2=L2, l2_per_batch=True)
    expected = naive(mlp, X, y, weights, cross_entropy, change)
    given = weights if weighted else None
    mlp.fit(X, y, epochs=2, batch_size=BATCH, shuffle=False, sample_weight=given)
    assert_trained(mlp, expected)


def squared(z, t):
    return (z - t) ** 2 / 2, z - t


def poisson_deviance(z, t):
    return np.exp(z) - t + t * (np.log(np.where(t > 0, t, 1)) - z), np.exp(z) - t


def logistic(z, t):
    return np.logaddexp(z, 0) - t * z, 1 / (1 + np.exp(-z)) - t


@pytest.mark.parametrize("reduction", ["mean", "sum", "mixed"])
@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        (lambda **r: losses.SquaredError(half=True, **r), squared),
        (lambda **r: losses.Poisson(deviance=True, **r), poisson_deviance),
        (losses.Logistic, logistic),
    ],
)
def test_losses_by_hand(kind, formula, reduction):
    X, labels, weights = sample()
    targets = np.eye(3)[labels]

    def derive(z, t):
        values, derivatives = formula(z, t)
        return (
            values.sum(axis=1) / (1 if reduction == "sum" else 3),
            derivatives / (3 if reduction == "mean" else 1),
        )

    mlp = make("sgd", kind(reduction=reduction), l2=L2, l2_per_batch=True)
    expected = naive(mlp, X, targets, weights, derive, sgd)
    mlp.fit(X, targets, epochs=2, batch_size=BATCH, shuffle=False, sample_weight=weights)
    assert_trained(mlp, expected)


@pytest.mark.parametrize("others", [{}, {"clip_norm": 0.5}, {"optimizer": "adam"}])
def test_the_penalty_of_any_number_of_threads_and_of_sparse_rows_has_the_same_bits(
    others, eight_processors
):
    X, y, weights = sample()
    trained = []
    for n_threads, rows in ((1, X), (3, X), (1, csr_array(X))):
        options = {"optimizer": "sgd", **others}
        mlp = make(l2=L2, l2_per_batch=True, n_threads=n_threads, **options)
        mlp.fit(rows, y, epochs=2, batch_size=BATCH, sample_weight=weights)
        trained.append(mlp)
    for mlp in trained[1:]:
        assert_same_bits(arrays_of(mlp), arrays_of(trained[0]))
        assert mlp.history_ == trained[0].history_


def test_an_unchanged_rate_makes_no_difference_to_where_it_is():
    X, y, _ = sample()
    found = []
    for inside in (False, True):
        mlp = MLP(
            SIZES, optimizer=optimizers.Nesterov(0.8, rate_in_velocity=inside),
            learning_rate=0.0625, dtype=np.float64, random_state=0,
        )  # fmt: skip
        found.append(mlp.fit(X, y, epochs=3).weights[0].copy())
    np.testing.assert_array_equal(*found)  # a power of two: not even the bits


def test_files_keep_the_options(tmp_path):
    X, y, _ = sample()
    mlp = make(RULES["adam"][0], l2=L2, l2_per_batch=True).fit(X, y, epochs=1)
    mlp.save(tmp_path / "mlp.npz")
    loaded = MLP.load(tmp_path / "mlp.npz")
    assert loaded.l2_per_batch is True and loaded.optimizer == mlp.optimizer
    loaded.learning_rate = mlp.learning_rate = 0.1
    for each in (mlp, loaded):
        each.fit(X, y, epochs=1)
    assert_same_bits(arrays_of(loaded), arrays_of(mlp))
