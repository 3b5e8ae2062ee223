"""Zeros in X are skipped where that is faster, without changing any bit."""

import numpy as np
import pytest

from fastmlp import NeuralNet
from fastmlp.core import run
from fastmlp.core.inputs.nonzeros import (
    DENSE,
    DENSE_ENOUGH,
    INPUTS_TOGETHER,
    LISTED_TOGETHER,
    ROWS_IN_A_WORD,
    UNKNOWN,
    ZERO_RICH,
    find_rows,
    inputs_of_row,
    list_at,
    list_found,
    list_inputs,
    lowest_bit,
    mark_inputs,
)
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.vector import vector
from fastmlp.core.storage import Network
from fastmlp.training import epoch
from helpers.same_bits import bits_of

ALWAYS, NEVER = 4.0, 0.0  # shares of nonzeros that X never, or always, reaches


def zero_rich(sizes, n, density, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, sizes[0])) * (rng.random((n, sizes[0])) < density)
    return X.astype(dtype), rng.integers(0, sizes[-1], n)


def trained(X, y, sizes, batch_size, n_threads=1, reg_lambda=0.0):
    net = NeuralNet(
        sizes,
        0.1,
        reg_lambda,
        output_activation="identity",
        dtype=X.dtype,
        random_state=0,
        n_threads=n_threads,
    )
    net.fit(X, y, epochs=2, batch_size=batch_size)
    return bits_of(net), net.history_["loss"]


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 8, 31, 32, 64, 130, 203])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.2, 1.0])
def test_the_same_bits_with_zeros_and_without(dtype, batch_size, density, monkeypatch):
    for sizes in ([300, 64, 10], [20, 100, 5], [30, 70]):
        X, y = zero_rich(sizes, 203, density, dtype)
        for reg_lambda in (0.0, 0.01):
            monkeypatch.setattr(run, "DENSE_ENOUGH", NEVER)
            dense = trained(X, y, sizes, batch_size, 1, reg_lambda)
            monkeypatch.setattr(run, "DENSE_ENOUGH", ALWAYS)
            for n_threads in (1, 2, 3):
                assert trained(X, y, sizes, batch_size, n_threads, reg_lambda) == dense


def test_skipping_zeros_depends_on_x_alone():
    network = Network([100, 64, 10], 0, np.dtype("float32"))
    sparse, _ = zero_rich([100], 5000, 0.1, "float32")
    dense, _ = zero_rich([100], 5000, 0.9, "float32")
    narrow = Network([100, 5], 0, np.dtype("float32"))
    assert run.inputs_of(network, sparse, 32) == ZERO_RICH
    assert run.inputs_of(network, dense, 32) == DENSE
    assert run.inputs_of(network, sparse[:1], 32) == ZERO_RICH
    assert run.inputs_of(network, sparse[:0], 32) == DENSE
    assert run.inputs_of(network, sparse, 2) == ZERO_RICH
    assert run.inputs_of(network, sparse, 1) == DENSE
    assert run.inputs_of(narrow, sparse, 32) == DENSE


def test_zeros_are_those_after_scaling():
    scaling = np.repeat(np.float32([0.5, 2]), 100)
    network = Network([100, 64, 10], 0, np.dtype("float32"), scaling)
    zeros, halves = np.zeros((50, 100), np.float32), np.full((50, 100), 0.5, np.float32)
    assert run.inputs_of(network, zeros, 32) == DENSE
    assert run.inputs_of(network, halves, 32) == ZERO_RICH


def test_only_the_first_row_has_a_list_if_no_zeros_are_skipped():
    network = Network([1000, 64, 10], 0, np.dtype("float32"))
    with_lists, without = (network.workspace(500, 2, inputs) for inputs in (ZERO_RICH, DENSE))
    assert with_lists.forward.listed.size > 500_000 > 2000 > without.forward.listed.size
    assert without.forward.marks.size == 0 < with_lists.forward.marks.size


def test_passing_over_zeros_was_really_tried(monkeypatch):
    """Otherwise the comparison above would be vacuous."""
    X, y = zero_rich([300], 203, 0.1, "float32")
    seen = []
    inputs_of = epoch.inputs_of
    monkeypatch.setattr(
        epoch, "inputs_of", lambda *given: seen.append(inputs_of(*given)) or seen[-1]
    )
    monkeypatch.setattr(run, "DENSE_ENOUGH", ALWAYS)
    trained(X, y % 10, [300, 64, 10], 64)
    monkeypatch.setattr(run, "DENSE_ENOUGH", NEVER)
    trained(X, y % 10, [300, 64, 10], 64)
    assert seen == [ZERO_RICH, DENSE]


@kernel(entry=True)
def lowest(bits):
    return lowest_bit(bits)


@kernel(entry=True)
def listed_at(layers, l, i, block):
    return list_at(layers[l], i, block)


@kernel(entry=True)
def list_and_mark(work, n_rows):
    list_inputs(work.forward.layers[0], work.forward, 0, n_rows)
    mark_inputs(work.forward.layers[0], work.forward, 0, n_rows)


@kernel(entry=True)
def find(work, n_rows, first, last):
    find_rows(work.forward.layers[0], work.forward, work.words, n_rows, first, last)


@kernel(entry=True)
def list_words(words, n):
    return list_found(vector(words), n)


def test_the_inputs_that_a_few_rows_have():
    for n_found in (0, 1, 60, INPUTS_TOGETHER):
        words, n = np.zeros(2 * INPUTS_TOGETHER, np.int64), max(n_found, 100)
        found = np.sort(np.random.default_rng(0).permutation(n)[:n_found])
        words[found] = [1, -(2**63), 5, *range(1, 200)][:n_found]
        words[n:INPUTS_TOGETHER] = 1  # not asked for
        assert list_words(words, n) == n_found
        assert words[INPUTS_TOGETHER:][:n_found].tolist() == found.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_in", [1, 8, 15, 100, 256, 600])
def test_lists_and_marks_say_what_is_not_zero(n_in, dtype):
    n_rows = 70
    network = Network([n_in, 40, 3], 0, np.dtype(dtype))
    work = network.workspace(n_rows, 1, ZERO_RICH)
    layer = work.forward.layers[0]
    X, _ = zero_rich([n_in], n_rows, 0.3, dtype)
    X[0], X[1], X[2, 0], X[3, -1] = 0, 1, -0.0, np.nan
    rows = work.forward.activations[: n_rows * layer["stride_in"]].reshape(n_rows, -1)
    rows[:, :n_in] = X
    work.forward.marks[:] = 2**16 - 1  # left over from other minibatches
    list_and_mark(work, n_rows)
    for i in range(n_rows):
        found, values = [], []
        for block in range(-(-n_in // LISTED_TOGETHER)):
            at = listed_at(work.forward.layers, 0, i, block)
            entries = slice(at + 1, at + 1 + work.forward.listed[at])
            found += work.forward.listed[entries].tolist()
            values += work.forward.values[entries].tolist()
        assert found == np.flatnonzero(X[i]).tolist()
        np.testing.assert_array_equal(values, X[i][X[i] != 0])
    for first in range(0, n_in, INPUTS_TOGETHER):
        last = min(first + INPUTS_TOGETHER, n_in)
        find(work, n_rows, first, last)
        for k in range(first, last):
            words = work.words.reshape(-1, INPUTS_TOGETHER)[:, k - first].tolist()
            marked = [i for w, word in enumerate(words) for i in rows_in(word, w)]
            assert marked == np.flatnonzero(X[:, k]).tolist()


def rows_in(word, w):
    return [w * ROWS_IN_A_WORD + i for i in range(ROWS_IN_A_WORD) if word >> i & 1]


def test_the_lowest_bit():
    assert [lowest(1), lowest(12), lowest(-(2**63))] == [0, 2, 63]


@kernel(entry=True)
def look_at(space, i):
    return inputs_of_row(space.layers[0], space, i)


def test_predictions_skip_zeros_if_the_first_row_has_many():
    network = Network([600, 64, 10], 0, np.dtype("float32"))
    (space,) = network.borrow(1, 8, UNKNOWN)
    rows = space.activations[: 8 * int(space.layers["stride_in"][0])].reshape(8, -1)
    enough = round(DENSE_ENOUGH * 600)
    rows[1, 1:enough], rows[2, :enough], rows[3, 601 - enough : 600] = 1, 1, 1
    assert [look_at(space, i) for i in range(4)] == [ZERO_RICH, ZERO_RICH, DENSE, ZERO_RICH]


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 10, 64, 203])
def test_predictions_have_the_same_bits_with_zeros_skipped(n, dtype, monkeypatch):
    X, y = zero_rich([300, 64, 10], n, 0.2, dtype)
    X[70:] += 1  # some minibatches have few zeros
    seen, predict_rows = [], run.predict_rows

    def watched(team, parameters, samples, *rest):
        seen.append(samples.inputs)
        return predict_rows(team, parameters, samples, *rest)

    monkeypatch.setattr(run, "predict_rows", watched)
    net = NeuralNet([300, 64, 10], dtype=dtype, random_state=0, n_threads=3)
    quick = net.predict_proba(X), net.score(X, y)
    n_seen = len(seen)
    net._state.network.can_skip_zeros = False
    dense = net.predict_proba(X), net.score(X, y)
    assert np.array_equal(quick[0], dense[0]) and quick[1] == dense[1]
    assert set(seen[:n_seen]) == {UNKNOWN} and set(seen[n_seen:]) == {DENSE}
