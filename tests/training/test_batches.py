"""Batches from iterables train as the arrays that they are made of."""

import numpy as np
import pytest
import scipy.sparse

from fastmlp import MLP
from helpers.batches import KINDS, parts
from helpers.same_bits import assert_same_bits, file_of


@pytest.mark.parametrize("as_kind", KINDS)
def test_batches_in_order_train_as_the_arrays(make_mlp, data, tmp_path, small_blocks, as_kind):
    X, y = data
    whole = make_mlp(dropout=0.2).fit(X, y, epochs=3, batch_size=8, shuffle=False)
    batches = as_kind(parts(X, y))
    cut = make_mlp(dropout=0.2).fit(batches, epochs=3, batch_size=8, shuffle=False)
    assert file_of(cut) == file_of(whole)


@pytest.mark.parametrize("batch_size", [1, 7, 40, 64, 1000])
def test_minibatches_do_not_depend_on_the_batches(
    make_mlp, data, tmp_path, small_blocks, batch_size
):
    X, y = data
    expected = file_of(make_mlp().fit(X, y, 2, batch_size, shuffle=False))
    for sizes in ((200,), (40,) * 5, (1,) * 200, (39, 41, 120)):
        cut = make_mlp().fit(parts(X, y, sizes), None, 2, batch_size, shuffle=False)
        assert file_of(cut) == expected


@pytest.mark.parametrize("dtype", ["float64", "uint8", "bool", "float16", "int32"])
def test_batches_of_other_types(make_mlp, data, tmp_path, small_blocks, dtype):
    X, y = (data[0] * 3 + 5).astype(dtype), data[1]
    whole = make_mlp().fit(X, y, 2, 8, shuffle=False)
    assert file_of(make_mlp().fit(parts(X, y), None, 2, 8, shuffle=False)) == file_of(whole)


def test_batches_of_several_types(make_mlp, data, tmp_path, small_blocks):
    X, y = (data[0] * 3 + 5).astype(np.uint8), data[1]
    types = ("uint8", "float32", "float16", "float64", "uint8")
    batches = [(X.astype(t), y) for t, (X, y) in zip(types, parts(X, y), strict=True)]
    whole = make_mlp().fit(X.astype(np.float32), y, 2, 8, shuffle=False)
    assert file_of(make_mlp().fit(batches, None, 2, 8, shuffle=False)) == file_of(whole)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_batches(make_mlp, data, tmp_path, small_blocks, form):
    X, y = data
    X = X * (np.random.default_rng(1).random(X.shape) < 0.3)
    X[60] = 0  # an empty row
    whole = make_mlp().fit(form(X), y, 3, 8, shuffle=False)
    batches = [(form(rows), labels) for rows, labels in parts(X, y)]
    for as_kind in KINDS:
        cut = make_mlp().fit(as_kind(batches), None, 3, 8, shuffle=False)
        assert file_of(cut) == file_of(whole)
    assert make_mlp().fit(batches, epochs=3).history_["loss"][0] > 0
    with pytest.raises(
        TypeError, match="^`X` must have batches that are all dense or all sparse, got both"
    ):
        make_mlp().fit([(X[:10], y[:10]), (form(X[10:]), y[10:])])


def test_batches_with_weights(make_mlp, data, tmp_path, small_blocks):
    X, y = data
    weights = np.random.default_rng(2).random(200)
    whole = make_mlp().fit(X, y, 2, 8, shuffle=False, sample_weight=weights)
    cut = make_mlp().fit(parts(X, y, weights=weights), None, 2, 8, shuffle=False)
    assert file_of(cut) == file_of(whole)
    # Batches without weights have weights of 1.
    weights[50:150] = 1
    batches = parts(X, y, (50, 100, 50), weights)
    batches[1] = batches[1][:2]
    whole = make_mlp().fit(X, y, 2, 8, shuffle=False, sample_weight=weights)
    cut = make_mlp().fit(batches, None, 2, 8, shuffle=False)
    assert file_of(cut) == file_of(whole)
    with pytest.raises(
        ValueError,
        match="^`sample_weight` must be None if `X` is an iterable of batches, got .*; pass the",
    ):
        make_mlp().fit(parts(X, y), sample_weight=weights)


def test_batches_with_class_weights(make_mlp, data, tmp_path, small_blocks):
    X, y = data
    whole = make_mlp().fit(X, y, 2, 8, shuffle=False, class_weight={1: 3.0})
    cut = make_mlp().fit(parts(X, y), None, 2, 8, shuffle=False, class_weight={1: 3.0})
    assert file_of(cut) == file_of(whole)
    with pytest.raises(
        ValueError, match="^`class_weight` must be .* iterable of batches, got 'balanced'"
    ):
        make_mlp().fit(parts(X, y), class_weight="balanced")


def test_a_batch_with_zero_weights(make_mlp, data, tmp_path, small_blocks):
    X, y = data
    y = np.sort(y)  # so that whole batches have a class with weight 0
    batches = parts(X, y, (20,) * 10)
    assert set(batches[0][1]) == {0}
    whole = make_mlp().fit(X, y, 2, 8, shuffle=False, class_weight={0: 0.0})
    cut = make_mlp().fit(batches, None, 2, 8, shuffle=False, class_weight={0: 0.0})
    assert file_of(cut) == file_of(whole)


def test_one_array_for_all_batches(make_mlp, data, tmp_path, small_blocks):
    X, y = data

    def batches(form):
        room, labels = np.empty((50, 8), np.float32), np.empty(50, np.int64)
        weights = np.empty(50)
        for start in range(0, 200, 50):
            room[...], labels[...] = X[start : start + 50], y[start : start + 50]
            weights[...] = start + 1
            yield form(room), labels, weights

    weights = np.repeat([1.0, 51.0, 101.0, 151.0], 50)

    def sparse(room):  # a copy of the dense rows in buffers that the next batch reuses
        rows = scipy.sparse.csr_array(room)
        shared.data[: rows.nnz], shared.indices[: rows.nnz] = rows.data, rows.indices
        return scipy.sparse.csr_array(
            (shared.data[: rows.nnz], shared.indices[: rows.nnz], rows.indptr), rows.shape
        )

    shared = scipy.sparse.csr_array(np.ones((50, 8), np.float32))
    for form in (np.asarray, sparse):
        for batch_size in (8, 200):
            whole = make_mlp().fit(
                form(X) if form is np.asarray else scipy.sparse.csr_array(X),
                y, 2, batch_size, shuffle=False, sample_weight=weights,
            )  # fmt: skip
            cut = make_mlp().fit(
                lambda form=form: batches(form), None, 2, batch_size, shuffle=False
            )
            assert file_of(cut) == file_of(whole)


def test_one_array_for_the_targets_of_all_batches(data, tmp_path, small_blocks):
    X, y = data[0], np.random.default_rng(0).random(200, np.float32)

    def batches():
        room = np.empty(50, np.float32)
        for start in range(0, 200, 50):
            room[...] = y[start : start + 50]
            yield X[start : start + 50], room

    trained = [
        MLP([8, 1], loss="squared_error", random_state=0).fit(*each, 2, 8, shuffle=False)
        for each in ((X, y), (batches, None))
    ]
    assert file_of(trained[0]) == file_of(trained[1])


def test_iterators_last_for_one_epoch(make_mlp, data, tmp_path):
    X, y = data
    once = make_mlp().fit(iter(parts(X, y)), epochs=1, shuffle=False)
    assert file_of(once) == file_of(make_mlp().fit(X, y, epochs=1, shuffle=False))
    mlp, iterator = make_mlp(), iter(parts(X, y))
    before = file_of(mlp)
    message = (
        "^`X` must be a list of batches or .*, got an iterator, which ends after one of 2 epochs"
    )
    with pytest.raises(ValueError, match=message):
        mlp.fit(iterator, epochs=2)
    assert file_of(mlp) == before and len(list(iterator)) == 5


def test_a_function_is_called_once_an_epoch(make_mlp, data):
    calls = []

    def batches():
        calls.append(1)
        return iter(parts(*data))

    make_mlp().fit(batches, epochs=3)
    assert len(calls) == 3


@pytest.mark.parametrize("X", [[], iter([]), lambda: [], lambda: iter(())])
def test_no_batches_are_refused(make_mlp, data, tmp_path, X):
    mlp = make_mlp(warm_start=False).fit(*data, epochs=1)
    before = file_of(mlp)
    with pytest.raises(
        ValueError, match="^`X` must have at least one batch in every epoch, got none"
    ):
        mlp.fit(X, epochs=1)
    assert file_of(mlp) == before


def test_batches_that_end_are_refused_when_they_do(make_mlp, data):
    iterator = iter(parts(*data))
    mlp = make_mlp()
    with pytest.raises(
        ValueError, match="^`X` must have at least one batch in every epoch, got none"
    ):
        mlp.fit(lambda: iterator, epochs=3)
    assert len(mlp.history_["loss"]) == 1


@pytest.mark.parametrize(
    "batch, error, message",
    [
        (
            3,
            TypeError,
            r"^`X\[i\]` must be a tuple \(X, y\) or \(X, y, sample_weight\), got 3",
        ),
        ((np.zeros((2, 8)),), TypeError, r"^`X\[i\]` must be a tuple .*, got"),
        (
            (np.zeros((2, 8)), [0, 1], None, None),
            TypeError,
            r"^`X\[i\]` must be a tuple .*, got",
        ),
        (
            (np.zeros((2, 9)), [0, 1]),
            ValueError,
            r"^`X\[i\]\[0\]` must have shape \(n_samples, 8\), got \(2, 9\)",
        ),
        (
            (np.zeros(8), [0]),
            ValueError,
            r"^`X\[i\]\[0\]` must have shape \(n_samples, 8\), got \(8,\)",
        ),
        (
            (np.zeros((2, 8)), [0]),
            ValueError,
            r"^`X\[i\]\[1\]` must have as many samples as `X`, 2, got 1",
        ),
        (
            (np.zeros((2, 8)), [0, 3]),
            ValueError,
            r"^`X\[i\]\[1\]` must be labels from 0 to \d, got 3",
        ),
        ((np.zeros((0, 8)), []), ValueError, r"^`X\[i\]\[0\]` "),
        (
            (np.zeros((2, 8)), [0, 1], [1.0]),
            ValueError,
            r"^`X\[i\]\[2\]` must have shape \(2,\), got \(1,\)",
        ),
        (
            (np.zeros((2, 8)), [0, 1], [1, -1]),
            ValueError,
            r"^`X\[i\]\[2\]` must be finite and at least 0, got -1.0",
        ),
        (
            (np.full((2, 8), np.nan), [0, 1]),
            ValueError,
            r"^`X\[i\]\[0\]` must be finite, got NaN or .* in row 0",
        ),
        ((np.array([["a"] * 8]), [0]), TypeError, r"^`X\[i\]\[0\]`"),
    ],
)
def test_bad_batches(make_mlp, data, tmp_path, batch, error, message):
    good = parts(*data)
    mlp = make_mlp(warm_start=False, dropout=0.1).fit(*data, epochs=2)
    before, history = file_of(mlp), dict(mlp.history_)
    for batches in ([batch], [*good, batch]):  # before the first step, everything is restored
        with pytest.raises(error, match=message) as caught:
            mlp.fit(batches)
        assert "\n" not in str(caught.value)
        assert file_of(mlp) == before and mlp.history_ == history


def test_a_bad_batch_after_good_steps_leaves_the_steps(make_mlp, data, tmp_path, small_blocks):
    X, y = data
    mlp = make_mlp()
    with pytest.raises(TypeError, match=r"^`X\[i\]` must be a tuple .*, got 3"):
        mlp.fit([(X[:80], y[:80]), 3], epochs=1, batch_size=8, shuffle=False)
    trained = make_mlp().fit(X[:80], y[:80], epochs=1, batch_size=8, shuffle=False)
    assert_same_bits(mlp, trained)


@pytest.mark.usefixtures("x_not_finite")
def test_a_row_with_nan(make_mlp, data, tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr("fastmlp.core.pace.MOST_STEPS", 2)  # found after some valid steps
    X, y = data[0].copy(), data[1]
    X[190] = np.nan
    mlp = make_mlp(dropout=0.1).fit(*data, epochs=2)
    before, history = file_of(mlp), {"loss": list(mlp.history_["loss"])}
    with pytest.raises(ValueError, match="^`X` must be finite, got NaN or infinity in row 190 "):
        mlp.fit(X, y, batch_size=8, shuffle=False)
    assert file_of(mlp) == before and mlp.history_ == history
    with pytest.raises(
        ValueError, match=r"^`X\[i\]\[0\]` must be finite, got NaN or infinity in row 40 "
    ):
        mlp.fit(parts(X, y), batch_size=8, shuffle=False)
    # The batches before it have been trained on.
    assert file_of(mlp) != before and mlp._state.rows_seen > 400


@pytest.mark.parametrize("X", [np.zeros((3, 8)), 3, "X", {"X": 1}, scipy.sparse.csr_array((3, 8))])
def test_what_is_neither_arrays_nor_batches(make_mlp, X):
    with pytest.raises(
        TypeError, match=r"^`X` must be an iterable of \(X, y\) batches if `y` is None, got"
    ):
        make_mlp().fit(X)


def test_batches_have_no_fraction(make_mlp, data):
    with pytest.raises(
        ValueError,
        match="^`validation_fraction` must be 0 if .* batches, got 0.2; use `validation_d",
    ):
        make_mlp().fit(parts(*data), validation_fraction=0.2)
    mlp = make_mlp().fit(parts(*data), epochs=2, validation_data=data)
    assert len(mlp.history_["validation_accuracy"]) == 2


def test_an_error_of_the_batches_own_comes_through(make_mlp, data):
    def batches():
        yield parts(*data)[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        make_mlp().fit(batches)
