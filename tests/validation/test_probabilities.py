"""Targets that are probabilities."""

import numpy as np
import pandas
import pytest
import scipy.sparse

from fastmlp.losses import Softmax
from helpers import mlp_cases
from helpers.reference_mlp import ReferenceMLP
from helpers.target_data import N, bits, data, fitted, make


@pytest.mark.parametrize("n_out", [2, 3, 17, 130, 300])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("output_activation", ["identity", "relu", "tanh"])
def test_probabilities_against_the_slow_reference(n_out, smoothing, output_activation):
    X, y = data(n_out)
    sizes, weight = [4, 9, n_out], np.random.default_rng(1).uniform(0.2, 3, N)
    weights, biases = mlp_cases.parameters(sizes)
    given = mlp_cases.settings(
        "momentum", activation="tanh", output_activation=output_activation,
        loss_options={"label_smoothing": smoothing},
    )  # fmt: skip
    slow = ReferenceMLP(weights, biases, **given).fit(X, y, 2, 7, weight)
    fast = mlp_cases.mlp(weights, biases, given)
    fast.fit(X, y, 2, 7, shuffle=False, sample_weight=weight, validation_data=(X, y))
    mlp_cases.assert_close(fast, slow, 1e-11)
    assert fast.history_["loss"] == pytest.approx(slow.losses, rel=1e-12)
    assert fast.history_["validation_loss"][-1] == pytest.approx(slow.loss(X, y), rel=1e-11)


def test_the_loss_is_the_cross_entropy():
    X, y = data()
    net = make(learning_rate=0.0).fit(X, y, 1, N)
    expected = -(y * np.log(net.predict_proba(X))).sum(axis=1).mean()
    assert net.history_["loss"][0] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("rows", [64, 65, 256, 257, 600])
def test_probabilities_of_many_rows(rows):
    """Batches and predictions with more rows than are processed together."""
    X, y = data(5, rows)
    weights, biases = mlp_cases.parameters([4, 6, 5])
    slow = ReferenceMLP(weights, biases).fit(X, y, 1, rows)
    fast = mlp_cases.mlp(weights, biases, {}, n_threads=2)
    fast.fit(X, y, 1, rows, shuffle=False, validation_data=(X, y))
    mlp_cases.assert_close(fast, slow, 1e-12)
    assert fast.history_["validation_loss"][0] == pytest.approx(slow.loss(X, y), rel=1e-12)


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_on_any_number_of_threads(dtype):
    X, y = data(17, 300)
    given = {"sizes": [4, 70, 17], "dtype": dtype, "optimizer": "adam"}
    found = [bits(make(**given, n_threads=n).fit(X, y, 2, 32)) for n in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_one_hot_row_has_the_bits_of_its_label(dtype, smoothing):
    """Even if other rows are probabilities: here one, with weight 0."""
    X, y = data()
    labels = y.argmax(axis=1)
    rows, weight = np.eye(3)[labels], np.ones(N)
    rows[7], weight[7] = [0.2, 0.5, 0.3], 0.0
    given = {"dtype": dtype, "loss": Softmax(smoothing), "sample_weight": weight}
    assert fitted(rows, **given) == fitted(labels, **given)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_batches_of_one_hots_labels_and_probabilities(optimizer):
    X, y = data()
    rows = np.eye(3)[y.argmax(axis=1)]
    rows[20:30] = y[20:30]
    whole = make(optimizer=optimizer).fit(X, rows, 2, 8, shuffle=False)
    cut = make(optimizer=optimizer)
    labels = rows.argmax(axis=1)
    batches = [
        (X[:11], labels[:11]), (X[11:20], scipy.sparse.csr_array(rows[11:20])),
        (X[20:26], rows[20:26]), (X[26:50], rows[26:50]), (X[50:], rows[50:]),
    ]  # fmt: skip
    cut.fit(batches, None, 2, 8, shuffle=False)
    assert bits(cut) == bits(whole)
    cut.fit([(X[20:26], y[20:26]), (X[:3], labels[:3], [0.0, 0.0, 0.0])])


def test_blocks_of_labels_and_blocks_of_probabilities(monkeypatch):
    """One block uses the basic kernels, the next those with all options."""
    monkeypatch.setattr("fastmlp.training.sources.BLOCK_BYTES", 16 * 4 * 8)
    X, y = data(n=64)
    rows = np.eye(3)[y.argmax(axis=1)]
    rows[32:48] = y[32:48]
    whole = make().fit(X, rows, 2, 8, shuffle=False)
    batches = [(X[i : i + 16], rows[i : i + 16]) for i in range(0, 64, 16)]
    assert bits(make().fit(batches, None, 2, 8, shuffle=False)) == bits(whole)


def forms(y, folder):
    file = np.lib.format.open_memmap(folder / "y.npy", "w+", y.dtype, y.shape)
    file[...] = y
    frozen = y.copy()
    frozen.flags.writeable = False
    return {
        "list": y.tolist(),
        "frame": pandas.DataFrame(y, columns=list("abc")),
        "objects": y.astype(object),
        "columns": np.asfortranarray(y),
        "big-endian": y.astype(y.dtype.newbyteorder(">")),
        "memmap": np.load(folder / "y.npy", mmap_mode="r"),
        "read-only": frozen,
    }


@pytest.mark.parametrize(
    "form", ["list", "frame", "objects", "columns", "big-endian", "memmap", "read-only"]
)
def test_every_form_of_probabilities(form, tmp_path):
    y = data()[1]
    assert fitted(forms(y, tmp_path)[form]) == fitted(y)


@pytest.mark.parametrize(
    "form",
    ["csr_array", "csc_array", "coo_array", "lil_array", "dok_array", "csr_matrix", "coo_matrix"],
)
def test_sparse_probabilities(form):
    y = data()[1]
    assert fitted(getattr(scipy.sparse, form)(y)) == fitted(y)


def test_the_types_that_probabilities_may_have():
    y = np.round(data()[1] * 256) / 256
    y[:, 2] = 1 - y[:, 0] - y[:, 1]  # exact in each type
    found = [fitted(y.astype(dtype)) for dtype in ("float64", "float32", "float16")]
    assert found[0] == found[1] == found[2]


def test_sums_are_1_within_the_tolerance_and_then_1():
    y = data()[1]
    factors = np.linspace(1 - 0.99e-4, 1 + 0.99e-4, N)[:, None]
    near, exact = make().fit(data()[0], y * factors, 2), make().fit(data()[0], y, 2)
    mlp_cases.assert_close(near, exact, 1e-13)
    for factor in (1 - 1.01e-4, 1 + 1.01e-4):
        with pytest.raises(
            ValueError, match=r"^`y` must be labels.*, got the sum (0.999|1.000)\d* in row 0"
        ):
            make().fit(data()[0], y * factor)
    halves = np.float16([[0.9995, 0, 0]])  # the largest float16 below 1
    assert halves[0, 0] != 1
    make().fit(data()[0][:1], halves)


def test_a_network_learns_from_another_one():
    """The output of predict_proba is accepted, also with float32 sums over many classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 4)).astype(np.float32)
    for n_out in (3, 1000, 20000):
        teacher = make([4, n_out], dtype="float32")
        teacher.weights[0] = rng.standard_normal((n_out, 4))
        student = make([4, n_out], dtype="float32", random_state=1)
        y = teacher.predict_proba(X)
        student.fit(X, y, 3)
        assert student.history_["loss"][-1] < student.history_["loss"][0]
        with np.errstate(divide="ignore"):
            entropy = -(y * np.log(y.astype(np.float64))).sum(axis=1).mean()
        assert teacher.fit(X, y, 1, 20).history_["loss"][0] == pytest.approx(entropy, rel=1e-5)
