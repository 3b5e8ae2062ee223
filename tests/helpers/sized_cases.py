"""Trainings of networks of given sizes with every option, compared with the slow reference."""

from typing import NamedTuple

import numpy as np
import scipy.sparse

from helpers import mlp_cases
from helpers.reference_mlp import RandomDraws, ReferenceMLP
from helpers.same_bits import assert_same_bits

LOSSES, OPTIMIZERS = list(mlp_cases.LOSSES), list(mlp_cases.OPTIMIZERS)
#: Options that change a gradient or weights. Sparse rows cannot have noise.
OPTIONS = [
    {"clip_norm": 0.3},
    {"clip_norm": 0.3, "max_norm": 0.8, "dropout": 0.3},
    {"l2": 0.02, "l1": 0.001, "input_noise": 0.2},
    {},
    {"clip_norm": 0.3, "l2": 0.02, "dropout": 0.3, "input_noise": 0.2},
    {"max_norm": 0.8, "l1": 0.001},
]
#: The form of X and the dtype of the network.
KINDS = [
    ("dense", "float64"),
    ("zeros", "float64"),
    ("dense", "float32"),
    ("sparse", "float64"),
    ("zeros", "float32"),
    ("uint8", "float32"),
    ("sparse", "float32"),
    ("float16", "float32"),
]


class Case(NamedTuple):
    """One training."""

    sizes: list[int]
    given: dict  # of `ReferenceMLP`, and dropout and input_noise
    kind: str
    dtype: str
    n: int
    batch_size: int
    weighted: bool


def case(sizes, i, shift, n, batch_size):
    """Return a case: with i from 0 to 8 come every option, optimizer, activation, loss and kind.

    Which of them come together depends on `shift`.
    """
    loss, optimizer = LOSSES[(i + shift) % 7], OPTIMIZERS[(i + 2 * shift) % 7]
    is_plain = optimizer in ("sgd", "momentum", "nesterov")
    given = mlp_cases.settings(
        optimizer,
        activation=mlp_cases.ACTIVATIONS[i],
        output_activation="identity" if (i + shift) % 5 else "softplus",
        loss=loss,
        **OPTIONS[(i + shift) % len(OPTIONS)],
    )
    if loss != "softmax" and is_plain:  # these losses are means over the outputs
        given["learning_rate"] *= sizes[-1] / 5
    if not is_plain:  # with a smaller one, rounding errors would move weights
        given["optimizer_options"] = {"epsilon": 1e-3}
    kind, dtype = KINDS[(i + 3 * shift) % len(KINDS)]
    if kind == "sparse":
        given.pop("input_noise", None)
    return Case(sizes, given, kind, dtype, n, batch_size, weighted=(i + shift) % 2 == 1)


def assert_all_met(cases):
    """Check that the cases have every optimizer, activation, loss, option and form of X."""
    for name, every in (
        ("loss", LOSSES),
        ("optimizer", OPTIMIZERS),
        ("activation", mlp_cases.ACTIVATIONS),
    ):
        assert {case.given[name] for case in cases} == set(every)
    options = {name for option in OPTIONS for name in option}
    assert options <= {name for case in cases for name in case.given}
    assert {(case.kind, case.dtype) for case in cases} == set(KINDS)
    assert {case.weighted for case in cases} == {True, False}


def rows(case, random):
    """Return X as passed to the network, and the values it represents."""
    X = random.standard_normal((case.n, case.sizes[0]))
    if case.kind == "dense":
        X = X.astype(case.dtype)
        return X, X
    X *= random.random(X.shape) < 0.2
    if case.kind == "uint8":
        X = np.clip(np.abs(X) * 100, 0, 255).astype(np.uint8)
        return X, X / 64
    X = X.astype(np.float16 if case.kind == "float16" else case.dtype)
    return scipy.sparse.csr_array(X) if case.kind == "sparse" else X, X


def targets(loss, n, n_out, random):
    if loss == "softmax":
        return random.integers(0, n_out, n)
    if loss == "logistic":
        return random.integers(0, 2, (n, n_out))
    return random.poisson(2.0, (n, n_out)) * 1.0


def mean(loss, a):
    """Return the predicted means for the outputs a."""
    if loss == "softmax":
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if loss == "logistic":
        return 1 / (1 + np.exp(-a))
    return np.exp(a) if loss == "poisson" else a


def assert_trained(case, n_threads=(1, 3), seen=0):
    """Compare parameters, losses and predictions with the reference's, for each number of threads.

    `seen` is the number of rows trained on before, which dropout and noise depend on.
    """
    given = dict(case.given)
    random = np.random.default_rng(case.sizes)
    weights, biases = mlp_cases.parameters(case.sizes)
    X, numbers = rows(case, random)
    y = targets(given["loss"], case.n, case.sizes[-1], random)
    w = random.integers(0, 3, case.n) + 0.5 * (np.arange(case.n) % 2) if case.weighted else None
    others = {"dtype": case.dtype, "random_state": 0}
    if case.kind == "uint8":
        others["input_scale"] = 1 / 64
    nets = []
    for threads in n_threads:
        net = mlp_cases.mlp(weights, biases, given, n_threads=threads, **others)
        net._state.rows_seen = seen
        net.fit(X, y, 1, case.batch_size, shuffle=False, sample_weight=w)
        nets.append(net)
    dropout, noise = given.pop("dropout", 0.0), given.pop("input_noise", 0.0)
    draws = RandomDraws(net._state.key, noise, [dropout] * (len(weights) - 1))
    slow = ReferenceMLP(weights, biases, draws=draws, **given)
    slow.n_seen = seen
    slow.fit(numbers, y, 1, case.batch_size, w)
    tolerance = 3e-3 if case.dtype == "float32" else 1e-7 if noise else 1e-9
    before, expected = [*weights, *biases], [*slow.weights, *slow.biases]
    for old, found, exact in zip(before, [*net.weights, *net.biases], expected, strict=True):
        change = np.abs(exact - old).max()
        assert change > 0
        assert np.abs(found - exact).max() <= tolerance * change
    assert np.isclose(net.history_["loss"][0], slow.losses[0], rtol=tolerance)
    exact = mean(given["loss"], slow.output(numbers))
    assert np.allclose(net._outputs(X), exact, rtol=tolerance, atol=tolerance * np.abs(exact).max())
    for net in nets[1:]:
        assert_same_bits(nets[0], net)
        assert_same_bits(nets[0]._outputs(X), net._outputs(X))
        assert nets[0].history_ == net.history_
