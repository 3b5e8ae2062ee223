"""Valid and invalid y: labels of any type, rows of probabilities, sparse matrices."""

import random

import numpy as np
import pandas
import pytest
import scipy.sparse

from fastmlp import MLP, NeuralNet, metrics, numpy_version
from fastmlp.callbacks import Callback, ModelCheckpoint
from fastmlp.losses import Softmax
from helpers import mlp_cases
from helpers.messages import assert_form
from helpers.reference_mlp import ReferenceMLP
from helpers.same_bits import bits_of

SIZES = [4, 7, 3]
N = 66


def data(n_out=3, n=N, seed=0):
    """Return X and rows of probabilities, some of which are one-hot."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, 4)), rng.dirichlet(np.ones(n_out), n)
    y[::5] = np.eye(n_out)[rng.integers(0, n_out, len(y[::5]))]
    y[1, 0], y[1, 1] = 0, y[1, 0] + y[1, 1]  # a 0 among numbers
    return X, y


def make(sizes=SIZES, **options):
    given = {"optimizer": "sgd", "learning_rate": 0.2, "dtype": "float64", "random_state": 0}
    return MLP(sizes, **{**given, **options})


def bits(net):
    return bits_of(net), net.history_


def fitted(y, X=None, **options):
    fit = {name: options.pop(name) for name in ("sample_weight", "shuffle") if name in options}
    return bits(make(**options).fit(data()[0] if X is None else X, y, 2, 8, **fit))


# Rows of probabilities ---------------------------------------------------------------------------


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


# Other uses of y ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MLP, NeuralNet])
def test_scores_are_of_the_most_probable_class(kind):
    X, y = data()
    labels = y.argmax(axis=1)
    names = ["accuracy", "balanced_accuracy", "f1", "log_loss", metrics.top_k(2)]
    nets = [kind(SIZES, random_state=0) for _ in range(3)]
    given = {"metrics": names, "shuffle": False}
    validated = nets[0].fit(X, y, 2, validation_data=(X, y), **given).history_
    scored = nets[1].fit(X, y, 2, **given).history_
    nets[2].fit(X, y, 2, shuffle=False, validation_data=(X, labels), metrics=names)
    for name in ("accuracy", "balanced_accuracy", "f1", "log_loss", "top_2_accuracy"):
        assert validated[f"validation_{name}"] == nets[2].history_[f"validation_{name}"]
        assert scored[name] == nets[2].history_[f"validation_{name}"]
    assert bits(nets[1])[0] == bits(nets[0])[0]
    weight = np.arange(N)
    assert nets[0].score(X, y) == nets[0].score(X, labels) == np.mean(nets[0].predict(X) == labels)
    assert nets[0].score(X, y, weight) == nets[0].score(X, labels, weight)


@pytest.mark.parametrize("n_out", [1, 3])
def test_scores_of_probabilities_of_labels(n_out):
    """A label is true if its probability is at least a half, as in predictions."""
    X, _ = data()
    y = np.random.default_rng(1).uniform(size=(N, n_out)).round(1)  # 0.0, 0.5 and 1.0 occur, too
    labels = np.int64(y >= 0.5)
    names = ["accuracy", "balanced_accuracy", "f1", "log_loss"]
    nets = [make([4, n_out], loss="logistic", learning_rate=0.0) for _ in range(2)]
    for net, expected in zip(nets, (y, labels), strict=True):
        net.fit(X, expected, 1, metrics=names)
    for name in names:
        assert nets[0].history_[name] == nets[1].history_[name]
    assert nets[0].score(X, y) == nets[0].score(X, labels)
    right = (nets[0].predict(X).reshape(N, -1) == labels).all(axis=1)
    assert nets[0].score(X, y) == right.mean()


def test_a_metric_of_the_users_own_gets_labels():
    X, y = data()
    seen = []

    def look(targets, outputs):
        seen.append(targets)
        return 0.0

    make().fit(X, y, 1, metrics=look)
    assert all(np.array_equal(targets, y.argmax(axis=1)) for targets in seen)
    assert seen[0].dtype == np.int64


def test_a_held_out_share_of_probabilities():
    X, y = data()
    net = make()
    held = []

    class Held(Callback):
        def on_train_begin(self, logs=None):
            held.append(net._state.fit.data.validation)

    net.fit(X, y, 1, validation_fraction=0.25, callbacks=[Held()])
    assert len(held[0].X) == 16
    rows = [int(np.flatnonzero((X == x).all(axis=1))[0]) for x in held[0].X]
    np.testing.assert_allclose(held[0].targets.values.reshape(-1, 3), y[rows], rtol=1e-15)
    p = net.predict_proba(X[rows])
    expected = -(y[rows] * np.log(p)).sum(axis=1).mean()
    assert net.history_["validation_loss"][0] == pytest.approx(expected, rel=1e-12)


def test_probabilities_beside_sparse_rows():
    X, y = data()
    X[X < 0] = 0
    assert fitted(y, scipy.sparse.csr_array(X)) == fitted(y, X)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resumed_with_probabilities(optimizer, tmp_path):
    X, y = data()
    given = {"optimizer": optimizer, "dropout": 0.2}

    class Interrupt(Callback):
        def __init__(self, epoch):
            self.epoch = epoch

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == self.epoch:
                raise KeyboardInterrupt

    def run(epoch, resume):
        callbacks = [ModelCheckpoint(tmp_path / "net.npz"), Interrupt(epoch)]
        return make(**given).fit(X, y, 4, 8, callbacks=callbacks, resume=resume)

    whole = bits(run(None, None))
    with pytest.raises(KeyboardInterrupt):
        run(2, None)
    assert bits(run(None, True)) == whole


def test_partial_fit():
    X, y = data()
    net, slow = make(), make()
    net.partial_fit(X, y, 8, shuffle=False).partial_fit(X, y, 8, shuffle=False)
    slow.fit(X, y, 2, 8, shuffle=False)
    assert bits(net) == bits(slow)


@pytest.mark.parametrize("output_activation", ["relu", "identity"])
def test_the_drop_in_trains_on_pairs_as_the_numpy_version_does(output_activation):
    X, y = data(3, 40)
    pairs = [(x.reshape(-1, 1), p.reshape(-1, 1)) for x, p in zip(X, y, strict=True)]
    nets = []
    for module in (numpy_version.NeuralNet, NeuralNet):
        np.random.seed(5)
        random.seed(5)
        net = module(SIZES, 0.1, 0.01, output_activation=output_activation)
        net.train(pairs, epochs=3)
        nets.append(net)
    mlp_cases.assert_close(nets[1], nets[0], 1e-12)
    assert nets[1].test(pairs) == nets[0].test(pairs)


def test_pairs_of_labels_one_hots_and_probabilities():
    X, y = data(3, 6)
    ys = [2, np.eye(3)[1], y[2], [[0.0], [1.0], [0.0]], np.int8(0), True]
    rows = np.array([np.eye(3)[2], np.eye(3)[1], y[2], np.eye(3)[1], np.eye(3)[0], np.eye(3)[1]])
    nets = [NeuralNet(SIZES, random_state=0) for _ in range(3)]
    for net, targets in zip(nets, (ys, rows, ys), strict=True):
        random.seed(0)
        net.train(list(zip(X, targets, strict=True)), list(zip(X, targets, strict=True)), 2)
    assert bits(nets[0]) == bits(nets[1])
    labels = [2, 0, 1]
    assert NeuralNet(SIZES).test(list(zip(X[:3], labels, strict=True))) in (
        0,
        *np.r_[1:4] * 100 / 3,
    )
    with pytest.raises(ValueError, match="^`test_data` must be labels from 0 to 2, got 3"):
        nets[0].test([(X[0], y[0]), (X[1], 3)])
    with pytest.raises(TypeError, match="^`test_data` .*numpy.unique"):
        nets[0].test([(X[0], y[0]), (X[1], "a")])


# Labels ------------------------------------------------------------------------------------------

LABELS = np.random.default_rng(3).integers(0, 3, N)


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "<i2", ">i2", ">i4", "u4", "i8", "u8", ">u8", "f2", "f4", ">f8", object]
)
def test_labels_of_every_type(dtype):
    y = LABELS.astype(dtype)
    assert fitted(y) == fitted(LABELS)
    assert fitted(y.reshape(-1, 1)) == fitted(LABELS)
    if dtype is not object:
        assert fitted(np.eye(3, dtype=dtype)[LABELS]) == fitted(LABELS)
        assert fitted(pandas.Series(y.astype(y.dtype.newbyteorder("=")))) == fitted(LABELS)


def test_labels_from_pandas_and_bools():
    for dtype in ("Int64", "category", "UInt8"):
        assert fitted(pandas.Series(LABELS).astype(dtype)) == fitted(LABELS)
    assert fitted(pandas.DataFrame({"y": LABELS})) == fitted(LABELS)
    assert fitted(pandas.get_dummies(LABELS)) == fitted(LABELS)
    assert fitted(pandas.get_dummies(LABELS, sparse=True)) == fitted(LABELS)
    assert fitted(LABELS > 0) == fitted(np.int64(LABELS > 0))
    assert fitted((LABELS > 0)[:, None], sizes=[4, 7, 2]) == fitted(LABELS > 0, sizes=[4, 7, 2])
    assert fitted(np.where(LABELS == 0, -0.0, LABELS)) == fitted(LABELS)
    assert fitted(np.eye(3)[LABELS] - 0.0 * -1) == fitted(LABELS)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32, bool])
@pytest.mark.parametrize(
    "form", ["csr_array", "csc_array", "coo_array", "lil_array", "csr_matrix", "csc_matrix"]
)
def test_sparse_one_hots(form, dtype):
    rows = getattr(scipy.sparse, form)(np.eye(3)[LABELS].astype(dtype))
    assert fitted(rows) == fitted(LABELS)
    assert fitted(getattr(scipy.sparse, form)(LABELS[:, None])) == fitted(LABELS)


def test_sparse_one_hots_with_zeros_written_out_and_parts():
    """Duplicate entries are summed, as in SciPy, and explicit zeros are ignored."""
    i = np.arange(N)
    zeros = scipy.sparse.coo_array(
        (np.r_[np.ones(N), np.zeros(N)], (np.r_[i, i], np.r_[LABELS, (LABELS + 1) % 3])), (N, 3)
    )
    parts = scipy.sparse.coo_array(
        (np.full(2 * N, 0.5), (np.r_[i, i], np.r_[LABELS, LABELS])), (N, 3)
    )
    for matrix in (zeros, zeros.tocsr(), zeros.tocsc(), parts, parts.tocsr()):
        assert fitted(matrix) == fitted(LABELS)
    believed = scipy.sparse.csr_array(
        (np.full(2 * N, 0.5), np.repeat(LABELS, 2), 2 * np.arange(N + 1)), (N, 3)
    )
    believed.has_canonical_format = True  # which is not true
    assert fitted(believed) == fitted(LABELS)
    shifted = scipy.sparse.csr_array(np.eye(3)[LABELS])
    longer = scipy.sparse.csr_array(
        (np.r_[shifted.data, 7.0], np.r_[shifted.indices, 2], shifted.indptr), (N, 3)
    )  # an entry after the end of the last row
    assert fitted(longer) == fitted(LABELS)
    assert fitted(scipy.sparse.coo_array(LABELS)) == fitted(LABELS)


def test_sparse_one_hots_are_never_made_dense():
    """200,000 rows of 2,000,000 columns would be 3.2 TB."""
    from fastmlp.core.equations.losses import SOFTMAX, Loss
    from fastmlp.validation.targets import targets

    n, n_out = 200_000, 2_000_000
    labels = np.random.default_rng(0).integers(0, n_out, n)
    ones = scipy.sparse.csr_array((np.ones(n), labels, np.arange(n + 1)), (n, n_out))
    zeros = np.stack([labels, (labels + 1) % n_out], axis=1).reshape(-1)
    written = scipy.sparse.csr_array((np.tile([1, 0], n), zeros, 2 * np.arange(n + 1)), (n, n_out))
    for y in (ones, written):
        found = targets("y", y, n, Loss(SOFTMAX, 0.0), n_out, np.float32)
        assert np.array_equal(found.labels, labels) and len(found.values) == 0


@pytest.mark.parametrize("loss, sizes", [
    ("logistic", [4, 3]), ("logistic", [4, 1]), ("squared_error", [4, 3]), ("poisson", [4, 3]),
])  # fmt: skip
def test_sparse_numbers(loss, sizes):
    y = np.random.default_rng(4).integers(0, 2, (N, sizes[-1]))
    expected = fitted(y, loss=loss, sizes=sizes)
    for form in ("csr_array", "csc_matrix", "coo_array"):
        assert fitted(getattr(scipy.sparse, form)(y), loss=loss, sizes=sizes) == expected


def test_read_only_targets_compile_nothing():
    from numba.core import event

    X, y = data()
    frozen = np.random.default_rng(0).standard_normal((N, 3))
    fitted(frozen, loss="squared_error")
    frozen.flags.writeable = False
    with event.install_recorder("numba:compile") as compiled:
        fitted(frozen, loss="squared_error")
        fitted(y, loss="softmax", optimizer="adam")
    assert not compiled.buffer


# Refusals ----------------------------------------------------------------------------------------


def broken(**parts):
    """Return one-hot rows in CSR form with some element replaced."""
    matrix = scipy.sparse.csr_array(np.eye(3)[LABELS])
    for name, (at, value) in parts.items():
        getattr(matrix, name)[at] = value
    return matrix


def with_row(row, at=4):
    y = np.eye(3)[LABELS]
    y[at] = row
    return y


PROBABILITIES = "`y` must be labels, one-hot rows or rows of probabilities .* with sum 1, got "
NAMES = np.array(["cat", "dog", "emu"])[LABELS]
REFUSED = [
    (with_row([0.5, 0.6, 0.0]), ValueError, f"{PROBABILITIES}the sum 1.1 in row 4"),
    (with_row([0.0, 0.0, 0.0]), ValueError, f"{PROBABILITIES}the sum 0.0 in row 4"),
    (with_row([1.5, -0.5, 0.0]), ValueError, f"{PROBABILITIES}the number -0.5 in row 4"),
    (with_row([np.nan, 0.5, 0.5]), ValueError, r"`y` must be finite, .* row 4 \(as float64\)"),
    (with_row([np.inf, 0.0, 0.0]), ValueError, "`y` must be finite, got NaN or infinity in row 4"),
    (with_row([1e308, 1e308, 0.0]), ValueError, f"{PROBABILITIES}the sum inf in row 4"),
    (100 * np.eye(3)[LABELS], ValueError, f"{PROBABILITIES}the sum 100.0 in row 0"),
    (np.eye(4)[LABELS], ValueError, "`y` must have rows of length 3, one .*, got length 4"),
    (np.eye(3)[LABELS][:, :2], ValueError, "`y` must have rows of length 3, .*, got length 2"),
    (np.eye(3)[LABELS][:, :, None], ValueError, r"`y` must be labels .*, got .* \(66, 3, 1\)"),
    (np.eye(3)[LABELS][:-1], ValueError, "`y` must have as many samples as `X`, 66, got 65"),
    (LABELS[None], ValueError, "`y` must have as many samples as `X`, 66, got 1"),
    (LABELS[:-1, None], ValueError, "`y` must have as many samples as `X`, 66, got 65"),
    (0, ValueError, r"`y` must be labels .*, got an array of shape \(\)"),
    ([*LABELS[1:], None], (TypeError, ValueError), "`y` "),
    ([*LABELS[1:], [0, 1]], ValueError, "`y` must have rows of equal length, got"),
    ([*LABELS[1:], 3], ValueError, "`y` must be labels from 0 to 2, got 3"),
    (np.uint64([*LABELS[1:], 2**63]), ValueError, "`y` must be labels .*, got 9223372036854775808"),
    (np.uint64([*LABELS[1:], 2**64 - 1]), ValueError, "`y` must be labels .*, got 184467440737095"),
    (np.int8([*LABELS[1:], -1])[:, None], ValueError, "`y` must be labels from 0 to 2, got -1"),
    ([*LABELS[1:], 0.5], ValueError, "`y` must be integer labels from 0 to 2, got 0.5"),
    ([*LABELS[1:], np.nan], ValueError, "`y` must be integer labels from 0 to 2, got nan"),
    ([*LABELS[1:], 1e300], ValueError, r"`y` must be integer labels from 0 to 2, got 1e\+300"),
    (LABELS + 1j, TypeError, "`y` "),
    (NAMES, TypeError, "`y` must contain only integers, .*; encode class names as integers with "),
    (NAMES.tolist(), TypeError, "`y` .*numpy.unique"),
    (NAMES.astype(object), TypeError, "`y` .*numpy.unique"),
    (NAMES.astype("S"), TypeError, "`y` .*numpy.unique"),
    (NAMES[:, None], TypeError, "`y` .*numpy.unique"),
    (pandas.Series(NAMES), TypeError, "`y` .*numpy.unique"),
    (pandas.Series(NAMES, dtype="category"), TypeError, "`y` .*numpy.unique"),
    (pandas.Categorical(NAMES), TypeError, "`y` .*numpy.unique"),
    (pandas.DataFrame({"y": NAMES}), TypeError, "`y` .*numpy.unique"),
    ([0, "x" * 1000] * (N // 2), TypeError, "`y` .*numpy.unique"),
    (scipy.sparse.csr_array(with_row([0.5, 0.6, 0.0])), ValueError, f"{PROBABILITIES}the sum 1.1"),
    (scipy.sparse.coo_array(with_row([0, 0, 0])), ValueError, f"{PROBABILITIES}the sum 0.0 in row"),
    (scipy.sparse.csc_array(with_row([1, 1, 0])), ValueError, f"{PROBABILITIES}the sum 2.0 in row"),
    (scipy.sparse.csr_array(with_row([np.nan, 1, 0])), ValueError, "`y` must be finite, got NaN"),
    (scipy.sparse.csr_array(np.eye(4)[LABELS]), ValueError, "`y` must have rows of length 3, .* 4"),
    (scipy.sparse.csr_array(np.eye(3)[LABELS][1:]), ValueError, "`y` must have as many .*, got 65"),
    (scipy.sparse.csr_array(np.eye(3)[LABELS] * 1j), TypeError, "`y` must be a .* complex128"),
    (broken(indices=(5, 3)), ValueError, "`y` must have column indices from 0 to 2, got 3"),
    (broken(indices=(5, -1)), ValueError, "`y` must have column indices from 0 to 2, got -1"),
    (broken(indptr=(5, 60)), ValueError, "`y` must be a valid sparse matrix, got rows"),
    (broken(indptr=(-1, 67)), ValueError, "`y` must be a valid sparse matrix, got .* end after"),
    (broken(data=(5, 2.0)), ValueError, f"{PROBABILITIES}the sum 2.0 in row 5"),
]  # fmt: skip


def assert_refused(net, call, error, message):
    before = bits_of(net), dict(net.history_)
    with pytest.raises(error, match=f"^{message}") as raised:
        call()
    assert_form(str(raised.value))
    assert (bits_of(net), net.history_) == before


@pytest.mark.parametrize("y, error, message", REFUSED)
def test_invalid_targets_of_classes(y, error, message):
    X, net = data()[0], make()
    assert_refused(net, lambda: net.fit(X, y), error, message)
    assert_refused(net, lambda: net.partial_fit(X, y), error, message)
    assert_refused(net, lambda: net.score(X, y), error, message)
    batches = [(X, y)]
    assert_refused(net, lambda: net.fit(batches, epochs=1), error, f"`X.i..1.`{message[3:]}")
    held = {"validation_data": (X, y)}
    assert_refused(
        net, lambda: net.fit(X, LABELS, **held), error, f"`validation_data.1.`{message[3:]}"
    )


ONE = "must be 0 for softmax with one output, got"
ADVICE = "; use layers that end in 2 .*MLP.loss='logistic'"


@pytest.mark.parametrize("y, label", [
    (LABELS % 2, "1"), (LABELS % 2 > 0, "True"), ((LABELS % 2)[:, None], "1"),
    (LABELS * 0.5, "0.5"), (-LABELS, "-[12]"),
    (scipy.sparse.csr_array((LABELS % 2)[:, None]), "1.0"),
])  # fmt: skip
def test_softmax_with_one_output_says_what_it_needs(y, label):
    X, net = data()[0], make([4, 7, 1])
    assert_refused(net, lambda: net.fit(X, y), ValueError, f"`y` {ONE} {label}{ADVICE}")
    pairs = list(zip(X, LABELS % 2, strict=True))
    one = NeuralNet([4, 1])
    assert_refused(one, lambda: one.train(pairs), ValueError, f"`training_data` {ONE} 1{ADVICE}")


@pytest.mark.parametrize("loss", ["logistic", "squared_error"])
def test_invalid_numeric_targets(loss):
    X, y = data()
    net = make(loss=loss)
    for wrong, error, message in [
        (scipy.sparse.csr_array(y[:, :2]), ValueError, r"`y` must have shape .*, got \(66, 2\)"),
        (scipy.sparse.csr_array(y[1:]), ValueError, "`y` must have as many samples as .*, got 65"),
        (scipy.sparse.csr_array(np.where(y > 0.9, np.nan, y)), ValueError, "`y` must be finite, "),
        (broken(indices=(5, 3)), ValueError, "`y` must have column indices from 0 to 2, got 3"),
        (y[:, 0], ValueError, r"`y` must have shape \(n_samples, 3\), got \(66,\)"),
        (y[:, :, None], ValueError, r"`y` must have shape \(n_samples, 3\), got \(66, 3, 1\)"),
        (0.0, ValueError, r"`y` must have shape \(n_samples, 3\), got \(\)"),
    ]:
        assert_refused(net, lambda y=wrong: net.fit(X, y), error, message)
    one = make([4, 1], loss=loss)
    hint = "`y` .*numpy.unique" if loss == "logistic" else "`y` "
    assert_refused(one, lambda: one.fit(X, NAMES), TypeError, hint)
