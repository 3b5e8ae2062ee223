"""X in its own type, scaled when read, or sparse: without a converted or dense copy."""

import numpy as np
import pytest
import scipy.sparse

from fastmlp import NeuralNet
from fastmlp.core.inputs.nonzeros import SPARSE
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.maths.float_bits import number
from fastmlp.core.storage import Network
from fastmlp.training import epoch
from fastmlp.validation import checks
from helpers.same_bits import bits_of

NETS = ([50, 70, 4], [50, 5], [50, 64, 33, 4])


def images(n=203, density=0.2):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, 50)) * (rng.random((n, 50)) < density)
    X[5] = 0
    return X.astype(np.uint8), rng.integers(0, 4, n)


def trained(X, y, sizes, batch_size, reg_lambda=0.0, dtype="float32", n_threads=1, **options):
    net = NeuralNet(
        sizes, 0.1, reg_lambda, dtype=dtype, random_state=0, n_threads=n_threads, **options
    )  # fmt: skip
    net.fit(X, y, epochs=2, batch_size=batch_size)
    return bits_of(net), net.history_["loss"], bits_of(net.predict_proba(X))


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 3, 32, 101])
@pytest.mark.parametrize("reg_lambda", [0.0, 0.01])
def test_the_same_bits_in_every_form(dtype, batch_size, reg_lambda):
    X, y = images()
    dense = X.astype(dtype) * np.dtype(dtype).type(1 / 255)
    scaled = {"input_scale": 1 / 255}
    for sizes in NETS:
        arguments = (y, sizes, batch_size, reg_lambda, dtype)
        expected = trained(dense, *arguments)
        assert trained(X, *arguments, **scaled) == expected
        assert trained(X.astype(np.float16), *arguments, 2, **scaled) == expected
        assert trained(X.astype(np.int32), *arguments, **scaled) == expected
        for n_threads in (1, 2, 3):
            assert trained(scipy.sparse.csr_matrix(dense), *arguments, n_threads) == expected
        assert trained(scipy.sparse.csc_array(X), *arguments, **scaled) == expected


def test_bool_is_zeros_and_ones():
    X, y = images()
    arguments = (y, [50, 70, 4], 32)
    assert trained(X > 0, *arguments) == trained((X > 0).astype(np.float32), *arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shift_and_scale_for_every_input(dtype):
    X, y = images(density=1.0)
    shift, scale = X.mean(axis=0), 1 / X.std(axis=0)
    by_hand = (X.astype(dtype) - shift.astype(dtype)) * scale.astype(dtype)
    for batch_size in (1, 32):
        arguments = (y, [50, 64, 4], batch_size, 0.0, dtype)
        options = {"input_shift": shift, "input_scale": scale}
        assert trained(X, *arguments, **options) == trained(by_hand, *arguments)


@kernel(entry=True)
def convert(bits, result):
    for k in range(len(bits)):
        result[k] = number(bits[k], result[k])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_half_is_converted_exactly(dtype):
    bits = np.arange(2**16).astype(np.uint16)
    found, expected = np.empty(2**16, dtype), bits.view(np.float16).astype(dtype)
    convert(bits, found)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(expected))


def test_what_is_kept_is_not_copied_and_what_is_sparse_takes_no_dense_minibatch():
    X, _ = images()
    for kept in (X, X.astype(np.float16), X > 0):
        rows = checks.feature_rows("X", kept, 50, np.dtype(np.float32))
        assert np.shares_memory(rows, kept) and rows.dtype == kept.dtype
    swapped = X.astype(np.float16).astype(">f2")
    assert checks.feature_rows("X", swapped, 50, np.dtype(np.float32)).dtype == np.float32
    matrix = scipy.sparse.csr_matrix(X.astype(np.float32))
    rows = checks.feature_rows("X", matrix, 50, np.dtype(np.float32))
    assert np.shares_memory(rows.numbers, matrix.data)
    assert np.shares_memory(rows.inputs, matrix.indices)
    network = Network([10**6, 4, 2], 0, np.dtype(np.float32))
    work = network.workspace(1000, 2, SPARSE, 20)
    assert (
        sum(array.size for array in (work.forward.activations, work.deltas, work.forward.listed))
        < 10**5
    )


def test_a_matrix_with_its_inputs_in_disorder_and_twice():
    X, y = images()
    matrix = scipy.sparse.coo_matrix(X.astype(np.float32))
    order = np.random.default_rng(1).permutation(matrix.nnz)
    halves = np.concatenate([matrix.data[order] / 2] * 2)
    doubled = np.argsort(np.concatenate([matrix.row[order]] * 2), kind="stable")
    starts = np.concatenate([[0], np.cumsum(2 * (X != 0).sum(axis=1))])
    inputs = np.concatenate([matrix.col[order]] * 2)[doubled]
    messy = scipy.sparse.csr_matrix((halves[doubled], inputs, starts), X.shape)
    assert not messy.has_canonical_format
    arguments = (y, [50, 70, 4], 32)
    assert trained(messy, *arguments) == trained(X.astype(np.float32), *arguments)
    assert messy.nnz == 2 * matrix.nnz  # as it was given


def test_empty_rows_and_a_matrix_without_a_number():
    y = np.arange(20) % 4
    for matrix in (scipy.sparse.csr_matrix((20, 50)), scipy.sparse.eye(20, 50, format="csr")):
        for batch_size in (1, 8):
            arguments = (y, [50, 70, 4], batch_size)
            dense = matrix.toarray().astype(np.float32)
            assert trained(matrix, *arguments) == trained(dense, *arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_nonfinite_rows_are_refused_without_any_change(bad, batch_size):
    X, y = images()
    broken = X.astype(np.float16)
    broken[77, 3] = bad
    for form in (broken, scipy.sparse.csr_matrix(broken.astype(np.float32))):
        net = NeuralNet([50, 70, 4], dtype="float32", random_state=0)
        before = net.weights[0].copy()
        with pytest.raises(ValueError, match="^`X` must be finite, got NaN or infinity in row 77"):
            net.fit(form, y, batch_size=batch_size)
        with pytest.raises(ValueError, match="^`X` must be finite, got NaN or infinity in row 77"):
            net.predict(form)
        with pytest.raises(
            ValueError, match=r"^`validation_data\[0\]` must be finite, got .* in row 77"
        ):
            net.fit(X, y, validation_data=(form, y))
        assert np.array_equal(net.weights[0], before)


def test_what_scaling_makes_infinite_is_refused():
    X, y = np.full((3, 2), 200, np.uint8), [0, 1, 0]
    net = NeuralNet([2, 3, 2], dtype="float32", input_scale=[1, 3e38], random_state=0)
    for form in (X, scipy.sparse.csr_matrix(X)):
        with pytest.raises(ValueError, match="^`X` must be finite, got NaN or infinity in row"):
            net.fit(form, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"input_scale": [1.0, 2.0]},
            r"^`input_scale` must be a number or have shape \(50,\), got shape \(2,\)",
        ),
        ({"input_shift": np.nan}, "^`input_shift` must be finite, got NaN or infinity"),
        (
            {"input_scale": 1e300},
            r"^`input_scale` must be finite, got NaN or infinity \(as float32\)",
        ),
        ({"input_shift": [[0.0] * 50]}, r"^`input_shift` must be .*, got shape \(1, 50\)"),
    ],
)
def test_scaling_that_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NeuralNet([50, 4], dtype="float32", **options)
    with pytest.raises(TypeError, match="^`input_scale` must be .*, got '255'"):
        NeuralNet([50, 4], input_scale="255")


def test_sparse_matrices_that_are_refused():
    net = NeuralNet([50, 4], input_shift=0.5)
    with pytest.raises(
        ValueError, match="^`X` must be dense if `input_shift` is not 0, got a sparse"
    ):
        net.predict(scipy.sparse.csr_matrix((3, 50)))
    with pytest.raises(ValueError, match=r"^`X` must have shape \(n_samples, 50\), got \(3, 49\)"):
        net.predict(scipy.sparse.csr_matrix((3, 49)))
    with pytest.raises(ValueError, match="^`X` must have at least one sample, got shape"):
        net.predict(scipy.sparse.csr_matrix((0, 50)))
    with pytest.raises(
        TypeError, match="^`X` must be a sparse matrix of real numbers, got one of comp"
    ):
        net.predict(scipy.sparse.csr_matrix((3, 50), dtype=complex))


@pytest.mark.parametrize(
    ("part", "place", "value", "message"),
    [
        ("indices", 3, 50, "^`X` must have column indices from 0 to 49, got 50"),
        ("indices", 3, -1, "^`X` must have column indices from 0 to 49, got -1"),
        (
            "indptr",
            3,
            10**6,
            "^`X` must be a valid sparse matrix, got rows that overlap or end after its values",
        ),
        (
            "indptr",
            -1,
            10**6,
            "^`X` must be a valid sparse matrix, got rows that overlap or end after its values",
        ),
        (
            "indptr",
            0,
            -1,
            "^`X` must be a valid sparse matrix, got rows that overlap or end after its values",
        ),
    ],
)
def test_a_matrix_that_points_outside_itself_is_refused(part, place, value, message):
    X, y = images()
    matrix = scipy.sparse.csr_matrix(X)
    getattr(matrix, part)[place] = value
    net = NeuralNet([50, 4], random_state=0)
    for call in (lambda: net.fit(matrix, y), lambda: net.predict(matrix)):
        with pytest.raises(ValueError, match=message):
            call()


def test_each_network_has_its_own_scaling():
    shift = np.arange(3.0)
    net = NeuralNet([3, 2], input_shift=shift, input_scale=0.5, random_state=0)
    shift += 1
    assert net.input_shift.tolist() == [0, 1, 2] and net.input_scale.tolist() == [0.5] * 3
    with pytest.raises(AttributeError):
        net.input_scale = 2.0  # different from the scale of the rows read so far


def test_scaling_comes_back_from_disk(tmp_path):
    X, y = images()
    net = NeuralNet([50, 4], input_shift=X.mean(axis=0), input_scale=1 / 255, random_state=0)
    net.fit(X, y)
    net.save(tmp_path / "net.npz")
    loaded = NeuralNet.load(tmp_path / "net.npz")
    assert np.array_equal(loaded.predict_proba(X), net.predict_proba(X))


def test_validation_and_score_take_sparse_rows():
    X, y = images()
    matrix = scipy.sparse.csr_matrix(X)
    histories = []
    for form in (X, matrix):
        net = NeuralNet([50, 70, 4], input_scale=1 / 255, random_state=0)
        net.fit(X, y, epochs=2, validation_data=(form, y))
        histories.append((net.history_, net.score(form, y)))
    assert histories[0] == histories[1]


def test_sparse_rows_were_really_read_as_such(monkeypatch):
    X, y = images()
    seen = []
    inputs_of = epoch.inputs_of
    monkeypatch.setattr(
        epoch, "inputs_of", lambda *given: seen.append(inputs_of(*given)) or seen[-1]
    )
    trained(scipy.sparse.csr_matrix(X), y, [50, 70, 4], 32)
    assert seen == [SPARSE]
