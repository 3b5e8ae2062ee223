"""Numbers of rows around each at which the compiled code changes its behavior."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastmlp.core import pace, run, step
from fastmlp.core.equations import losses, product, update
from fastmlp.core.inputs import gather, nonzeros
from fastmlp.core.inputs.nonzeros import DENSE, ZERO_RICH
from fastmlp.core.machine import processor
from fastmlp.core.storage import Network
from fastmlp.training import sources
from fastmlp.training.epoch import Trainer
from helpers import mlp_cases
from helpers.mlp_cases import ACTIVATIONS
from helpers.reference_mlp import ReferenceMLP
from helpers.same_bits import assert_same_bits
from helpers.sized_cases import (
    LOSSES,
    OPTIMIZERS,
    assert_all_met,
    assert_trained,
    case,
    mean,
    targets,
)

CONSTANTS = {
    product.MOST_ROWS,
    gather.AHEAD,
    run.FEW_ROWS,
    nonzeros.ROWS_IN_A_WORD,
    losses.ROWS_TOGETHER,
    step.ROWS_TOGETHER,
    product.TERMS,
    product.PREFETCHED_TERMS,
}
#: With 768 rows, each of three workers has `ROWS_TOGETHER`; with 776, one has more.
BATCHES = [
    *(1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257),
    *(511, 512, 513, 768, 776),
]

pytestmark = pytest.mark.usefixtures("eight_processors")


def of_batch(batch_size, i):
    """Return a case with two whole minibatches and a partial one, or with 10 rows."""
    n = 10 if batch_size < 3 else 2 * batch_size + batch_size // 3
    return case([40, 70, 6], i, BATCHES.index(batch_size), n, batch_size)


@pytest.mark.parametrize("i", range(9))
@pytest.mark.parametrize("batch_size", BATCHES)
def test_every_batch_size_with_every_option(batch_size, i):
    assert_trained(of_batch(batch_size, i))


@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-3), ("float64", 1e-9)])
@pytest.mark.parametrize("batch_size", [64, 65, 511, 512, 513, 1100])
def test_plain_sgd_with_copied_deltas(batch_size, dtype, tolerance):
    """Copied where there are more than `FEW_DELTAS`, and in blocks of at most `TERMS` rows."""
    sizes = [40, 60, 6]
    weights, biases = mlp_cases.parameters(sizes)
    X, y = mlp_cases.samples("softmax", sizes, batch_size)
    net = mlp_cases.mlp(weights, biases, {}, dtype=dtype, n_threads=1)
    stride = net._state.network._table["stride_out"][0]
    assert (batch_size * stride > update.FEW_DELTAS) == (batch_size > 64)
    net.fit(X, y, 1, batch_size, shuffle=False)
    slow = ReferenceMLP(weights, biases, loss="softmax", learning_rate=0.1)
    slow.fit(X, y, 1, batch_size)
    for old, found, exact in zip(weights, net.weights, slow.weights, strict=True):
        assert np.abs(found - exact).max() <= tolerance * np.abs(exact - old).max()


def test_the_cases_above_are_complete():
    for constant in CONSTANTS:
        assert {constant - 1, constant, constant + 1} <= set(BATCHES)
    for batch_size in BATCHES:
        assert_all_met([of_batch(batch_size, i) for i in range(9)])


@pytest.mark.parametrize("i", range(9))
@pytest.mark.parametrize("batch_size", [1, 17])
def test_plain_training_of_wide_layers(batch_size, i):
    """SGD without options, or with l2 only, has its own kernels."""
    width = [129, 200, 256, 257, 300, 512, 520, 1000, 1100][i]
    plain = case([width, 300, width, 5], i, i % 4, 2 * batch_size + 1, batch_size)
    l2 = 0.02 * (i % 2)
    given = {"loss": "softmax", "optimizer": "sgd", "learning_rate": 0.1, "l2": l2}
    assert_trained(plain._replace(given=given))


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("n_in, batch_size", [(127, 63), (128, 64), (129, 65), (257, 130)])
def test_zeros_where_both_inputs_and_rows_are_many(n_in, batch_size, optimizer, l2):
    """Nonzeros are marked in words of 64 rows, for 128 inputs at a time."""
    given = mlp_cases.settings(optimizer, activation="tanh", loss="softmax", l2=l2)
    given |= {"optimizer_options": {"epsilon": 1e-3}} if optimizer in OPTIMIZERS[3:] else {}
    zeros = case([n_in, 80, 5], 0, 0, batch_size + 1, batch_size)
    assert_trained(zeros._replace(given=given, kind="zeros"))
    assert_trained(zeros._replace(given=given, kind="sparse"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize("optimizer, l2", [("sgd", 0.0), ("sgd", 0.02), ("adam", 0.0)])
@pytest.mark.parametrize("size", [511, 512, 513, 1023, 1024, 1025])
def test_sums_around_whole_blocks_of_terms(size, optimizer, l2, activation, dtype):
    """Of rows in a minibatch and of units in a layer; 70 and 100 columns end in half a vector."""
    given = mlp_cases.settings(optimizer, activation=activation, loss="softmax", l2=l2)
    given |= {"optimizer_options": {"epsilon": 1e-3}} if optimizer == "adam" else {}
    rows = case([20, 100, 70, 10], 0, 0, size + 5, size)
    units = case([20, 100, size, 10], 0, 0, 40, 35)
    assert_trained(rows._replace(given=given, kind="dense", dtype=dtype))
    assert_trained(units._replace(given=given, kind="dense", dtype=dtype))


@pytest.mark.parametrize("loss", LOSSES[1:])
@pytest.mark.parametrize("batch_size", [1, 63, 64, 65, 300])
def test_losses_of_a_single_output(batch_size, loss):
    """Up to 64 rows of them are together in a few vectors; three workers share 300 rows."""
    one = case([20, 12, 1], 0, 0, 2 * batch_size + 1, batch_size)
    for i, dtype in enumerate(("float32", "float64")):
        given = mlp_cases.settings(activation="tanh", loss=loss, learning_rate=0.02)
        given["output_activation"] = ("identity", "softplus")[i]
        assert_trained(
            one._replace(given=given, kind="dense", dtype=dtype, weighted=batch_size > 1)
        )


@pytest.mark.parametrize("loss", ["softmax", "poisson", "squared_error"])
@pytest.mark.parametrize("n_out", [1, 6, 600, 1100])
def test_rows_without_weight_change_no_other(n_out, loss):
    """Even if their losses are infinite: all that is together is computed in one loop."""
    sizes = [20, max(n_out, 2) if loss == "softmax" else n_out]
    weights, biases = mlp_cases.parameters(sizes)
    random = np.random.default_rng(n_out)
    X = random.standard_normal((150, 20)).astype(np.float32)
    y, w = targets(loss, 150, sizes[-1], random), random.integers(0, 3, 150) * 1.0
    nets = []
    for scale in (1, 1e30):
        given = {"loss": loss, "learning_rate": 1e-3}
        net = mlp_cases.mlp(weights, biases, given, dtype="float32", n_threads=1)
        rows = np.where(w[:, np.newaxis] == 0, X * np.float32(scale), X)
        nets.append(net.fit(rows, y, 2, 70, shuffle=False, sample_weight=w))
    assert_same_bits(*nets)
    assert nets[0].history_ == nets[1].history_


# How X is read -----------------------------------------------------------------------------------


def network(width=64):
    return Network([100, width, 10], 0, np.dtype("float32"))


def with_others(n, n_others):
    """Return n rows with `n_others` nonzero elements."""
    X = np.zeros(n * 100, np.float32)
    X[:n_others] = 1
    return X.reshape(n, 100)


def test_the_share_of_zeros_at_which_they_are_skipped():
    enough = round(run.DENSE_ENOUGH * 6400)
    assert run.inputs_of(network(), with_others(64, enough - 1), run.FEW_ROWS) == ZERO_RICH
    assert run.inputs_of(network(), with_others(64, enough), run.FEW_ROWS) == DENSE
    assert run.inputs_of(network(), with_others(64, enough // 2 - 1), run.FEW_ROWS - 1) == ZERO_RICH
    assert run.inputs_of(network(), with_others(64, enough // 2), run.FEW_ROWS - 1) == DENSE


def test_the_rows_that_are_looked_at():
    """At most 64 rows are looked at, evenly spaced."""
    for n, each in ((1, 1), (63, 1), (64, 1), (65, 2), (128, 2), (129, 3), (6400, 100)):
        X = np.ones((n, 100), np.float32)
        X[::each] = 0
        assert run.inputs_of(network(), X, 32) == ZERO_RICH
        X[0:1] = 1  # one row of at least 33 makes no difference
        assert run.inputs_of(network(), X, 32) == (DENSE if n == 1 else ZERO_RICH)
        assert run.inputs_of(network(), 1 - X, 32) == (ZERO_RICH if n == 1 else DENSE)


def test_what_is_too_small_for_a_tile_is_read_whole():
    X, width = with_others(64, 10), product.ROW.vectors * processor.LANES
    assert run.inputs_of(network(width), X, 2) == ZERO_RICH
    assert run.inputs_of(network(width), X, 1) == DENSE  # but its zeros are always skipped
    assert run.inputs_of(network(width - 1), X, 2) == DENSE


# Predictions -------------------------------------------------------------------------------------

ROWS = [1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200]  # 64 are predicted together


def assert_predicted(sizes, loss, activation, dtype, n, n_threads=(1, 3)):
    """Compare predictions and mean loss for dense, mostly zero and sparse rows."""
    given = {"loss": loss, "activation": activation, "learning_rate": 0.0}
    weights, biases = mlp_cases.parameters(sizes)
    slow = ReferenceMLP(weights, biases, **given)
    nets = [mlp_cases.mlp(weights, biases, given, dtype=dtype, n_threads=t) for t in n_threads]
    random = np.random.default_rng(n)
    dense = random.standard_normal((n, sizes[0])).astype(dtype)
    y = targets(loss, n, sizes[-1], random)
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    for X in (dense, dense * (random.random(dense.shape) < 0.2)):
        exact, exact_loss = mean(loss, slow.output(X)), slow.loss(X, y)
        first = nets[0]._outputs(X)
        assert np.abs(first - exact).max() <= tolerance * np.abs(exact).max()
        for net in nets:
            for form in (X, csr_array(X)):
                assert_same_bits(net._outputs(form), first)
                net.fit(X[:1], y[:1], 1, validation_data=(form, y))
                found = net.history_["validation_loss"][-1]
                assert np.isclose(found, exact_loss, rtol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", ROWS)
def test_predictions_for_any_number_of_rows(n, dtype):
    assert {c + d for c in (run.PREDICTED_TOGETHER, run.LOOKED_AT) for d in (-1, 0, 1)} <= set(ROWS)
    for i, activation in enumerate(ACTIVATIONS):
        loss = LOSSES[(i + ROWS.index(n)) % 7]
        assert_predicted([30, 70, 6], loss, activation, dtype, n)


@pytest.mark.parametrize("i", range(9))
@pytest.mark.parametrize("width", [128, 129, 256, 257, 512, 513, 1100])
def test_predictions_of_wide_layers(width, i):
    sizes = [[width, 70, 5], [20, width, 5], [20, 70, width]][i % 3]
    dtype = ("float32", "float64")[(i + width) % 2]
    assert_predicted(sizes, LOSSES[(i + width) % 7], ACTIVATIONS[i], dtype, 66)


@pytest.mark.parametrize("n_out", [1, 3, 10, 17, 600, 1100])
@pytest.mark.parametrize("n", [1, 2, 63, 65, 130])
def test_predictions_overwrite_nothing_after_the_last(n, n_out, monkeypatch):
    """Outputs of rows that are together end in the middle of a vector."""
    predict_rows = run.predict_rows

    def watched(team, parameters, samples, space, predictions, losses, first, last):
        after = np.full(64, 7)
        long = [np.append(a, after.astype(a.dtype)) for a in (predictions, losses) if len(a) > 0]
        long += [losses] * (2 - len(long))
        found = predict_rows(team, parameters, samples, space, *long, first, last)
        assert (long[0][n * n_out :] == 7).all() and (long[1][n:] == 7).all()
        predictions[...], losses[...] = long[0][: n * n_out], long[1][: len(losses)]
        return found

    monkeypatch.setattr(run, "predict_rows", watched)
    sizes, loss = [20, 12, n_out], "squared_error"
    for dtype in ("float32", "float64"):
        assert_predicted(sizes, loss, "relu", dtype, n, n_threads=(1,))


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_predictions_of_as_many_rows_as_a_run_has(n_threads, more):
    sizes = [1100, 1100, 6]
    network = mlp_cases.mlp(*mlp_cases.parameters(sizes), {})._state.network
    a_run = int(pace.RUN_SECONDS / run.MULTIPLY_ADD / network.multiply_adds)
    assert 100 < a_run < 1000
    assert_predicted(sizes, "softmax", "tanh", "float32", n_threads * a_run + more, (n_threads,))


# Runs of many steps ------------------------------------------------------------------------------


def adam(w, b, X, y, rate):
    """Return w, b and the loss of one linear unit after one step of Adam per sample."""
    m, v, total = [0.0, 0.0], [0.0, 0.0], 0.0
    for s, (x, t) in enumerate(zip(X, y, strict=True)):
        r = w * x + b - t
        total += r * r
        moves = []
        for p, g in enumerate((2 * r * x, 2 * r)):
            m[p] = 0.9 * m[p] + 0.1 * g
            v[p] = 0.999 * v[p] + 0.001 * g * g
            mean, square = m[p] / (1 - 0.9 ** (s + 1)), v[p] / (1 - 0.999 ** (s + 1))
            moves.append(rate(s) * mean / (square**0.5 + 1e-8))
        w, b = w - moves[0], b - moves[1]
    return w, b, total / len(X)


def rate(step):
    return 0.01 / (1 + step / 1000)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_as_many_steps_as_a_run_may_have(more, monkeypatch):
    n, runs, steps = 2**16 + more, [], run.OptimizerState.steps
    random = np.random.default_rng(0)
    X, y = random.standard_normal((2, n))

    def count(descent, n, plain):
        runs.append(n)
        return steps(descent, n, plain)

    monkeypatch.setattr(run.OptimizerState, "steps", count)
    monkeypatch.setattr(pace, "FIRST_RUN_SECONDS", 1e9)
    monkeypatch.setattr(pace, "RUN_SECONDS", 1e9)  # otherwise a run ends after a tenth of a second
    given = {"loss": "squared_error", "optimizer": "adam", "learning_rate": rate}
    net = mlp_cases.mlp([np.array([[0.5]])], [np.array([[0.25]])], given)
    net.fit(X[:, np.newaxis], y, 1, 1, shuffle=False)
    assert runs == ([2**16, 1] if more == 1 else [n])
    found = net.weights[0][0, 0], net.biases[0][0, 0], net.history_["loss"][0]
    assert found == pytest.approx(adam(0.5, 0.25, X, y, rate), rel=1e-9)


# Blocks of rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "batches"])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_as_many_rows_as_a_block_of_64_megabytes_has(kind, more, monkeypatch):
    size, blocks, train = 2**14, [], Trainer._train
    assert sources.block_rows(32, 4096) == size == 2**26 // 4096

    def watched(training, data, order, *others):
        blocks.append(np.rint(data.X[order, 0] * 2**14).astype(int))
        return train(training, data, order, *others)

    monkeypatch.setattr(Trainer, "_train", watched)
    n = size + more
    X = np.random.default_rng(0).random((n, 1024), np.float32) - np.float32(0.5)
    X[:, 0] = np.arange(n) / 2**14  # the row's number
    y = np.arange(n) % 3
    weights, biases = mlp_cases.parameters([1024, 3])
    net = mlp_cases.mlp(weights, biases, {"learning_rate": 0.01}, dtype="float32", random_state=0)
    if kind == "array":
        net.fit(X, y, 1, 32, shuffle="blocks")
    else:
        net.fit([(X[:10_000], y[:10_000]), (X[10_000:], y[10_000:])], None, 1, 32)
    assert [len(rows) for rows in blocks] == ([size, 1] if more == 1 else [n])
    order = np.concatenate(blocks)
    assert sorted(order) == list(range(n))
    slow = ReferenceMLP(weights, biases, learning_rate=0.01).fit(X[order], y[order], 1, 32)
    mlp_cases.assert_close(net, slow, 1e-4)
    assert net.history_["loss"] == pytest.approx(slow.losses, rel=1e-4)


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129])
def test_blocks_of_about_as_many_rows_as_pieces(size):
    for n in (size - 1, size, size + 1, 3 * size + 1):
        blocks = list(sources._orders_by_blocks(n, size, np.random.RandomState(0)))
        assert sorted(np.concatenate(blocks)) == list(range(n))
        assert [len(block) for block in blocks[:-1]] == [size] * ((n - 1) // size)
