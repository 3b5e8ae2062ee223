"""Targets that are labels: of every type, and sparse."""

import numpy as np
import pandas
import pytest
import scipy.sparse

from helpers.target_data import N, data, fitted

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
