"""Data larger than memory: memory-mapped files, and batches from iterables."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from fastmlp import MLP
from fastmlp.training import sources
from helpers.same_bits import assert_same_bits, file_of

SIZES = [8, 12, 3]


@pytest.fixture
def data(make_data):
    X, y = make_data(SIZES, 200)
    return X.astype(np.float32), y


@pytest.fixture
def make():
    def make(**options):
        return MLP(SIZES, **{"random_state": 0} | options)

    return make


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks of X small, 40 rows for these networks, so that there are many."""
    monkeypatch.setattr(sources, "BLOCK_BYTES", 40 * 8 * 4)


def parts(X, y, sizes=(50, 1, 3, 96, 50), weights=None):
    """Cut samples into batches of these sizes."""
    edges = np.cumsum([0, *sizes])
    arrays = (X, y) if weights is None else (X, y, weights)
    return [tuple(a[i:j] for a in arrays) for i, j in zip(edges[:-1], edges[1:], strict=True)]


def as_list(batches):
    return batches


def as_function(batches):
    return lambda: (batch for batch in batches)


def as_object(batches):
    class Batches:
        def __iter__(self):
            yield from batches

    return Batches()


def as_iterators(batches):
    return lambda: iter(batches)


KINDS = [as_list, as_function, as_object, as_iterators]


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_file_trains_as_the_array(make, data, tmp_path, small_blocks, dtype):
    X = (data[0] * 50 + 100).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    for shuffle in (False, "blocks"):
        trained = [
            make(input_scale=0.01).fit(each, data[1], 3, 8, shuffle=shuffle) for each in (mapped, X)
        ]
        assert file_of(trained[0]) == file_of(trained[1])
    by_default = make(input_scale=0.01).fit(mapped, data[1], 3, 8)
    assert file_of(by_default) == file_of(trained[0])  # shuffled in blocks
    assert by_default.predict(mapped).tolist() == by_default.predict(X).tolist()


def test_a_file_can_be_validated_on_and_split(make, data, tmp_path):
    X, y = data
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for options in ({"validation_fraction": 0.3}, {"validation_data": (mapped, y)}):
        trained = [make().fit(each, y, shuffle="blocks", **options) for each in (mapped, X)]
        assert trained[0].history_ == trained[1].history_
        assert file_of(trained[0]) == file_of(trained[1])


# Shuffling in blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("n, size", [(1, 1), (7, 3), (1000, 1000), (1000, 200), (999, 70), (5, 64)])
def test_blocks_have_every_row_once(n, size):
    for seed in range(5):
        blocks = list(sources._orders_by_blocks(n, size, np.random.RandomState(seed)))
        assert sorted(np.concatenate(blocks)) == list(range(n))
        assert [len(block) for block in blocks[:-1]] == [size] * ((n - 1) // size)
        assert 0 < len(blocks[-1]) <= size


def test_the_rows_of_a_block_come_from_many_pieces():
    n, size = 100_000, 6400
    blocks = list(sources._orders_by_blocks(n, size, np.random.RandomState(0)))
    for block in blocks[:-1]:
        # Pieces have 100 rows: a block has rows from the whole array.
        assert len(set(block // 100)) >= sources.PIECES
        assert block.min() < n // 10 and block.max() > n - n // 10
        first, second = block[: size // 2], block[size // 2 :]
        assert abs(first.mean() - second.mean()) < n / 50  # and is mixed
        assert np.count_nonzero(np.diff(block) == 1) < size // 50
    again = list(sources._orders_by_blocks(n, size, np.random.RandomState(1)))
    assert (again[0] != blocks[0]).any()


class Rows:
    """Records the rows trained on, by their targets, which are the row numbers."""

    def __init__(self, monkeypatch):
        self.epochs = []
        from fastmlp.training.epoch import Trainer

        original_train, original_epoch = Trainer._train, Trainer.epoch

        def epoch(training, blocks):
            self.epochs.append([])
            return original_epoch(training, blocks)

        def train(training, data, order, done, loss):
            self.epochs[-1].append(data.targets.values[order].astype(int))
            return original_train(training, data, order, done, loss)

        monkeypatch.setattr(Trainer, "epoch", epoch)
        monkeypatch.setattr(Trainer, "_train", train)


@pytest.fixture
def numbers():
    """Return a network, and samples whose targets are their row numbers."""
    X = np.random.default_rng(0).random((300, 8), np.float32)
    mlp = MLP([8, 1], loss="squared_error", learning_rate=1e-7, random_state=0)
    return mlp, X, np.arange(300)


@pytest.mark.parametrize("kind", ["whole", "array", "list", "sparse"])
def test_every_row_is_seen_once_an_epoch(numbers, monkeypatch, small_blocks, kind):
    mlp, X, y = numbers
    rows = Rows(monkeypatch)
    sizes = (7, 100, 1, 150, 42)
    if kind == "whole":
        mlp.fit(X, y, epochs=3, batch_size=8)
    elif kind == "array":
        mlp.fit(X, y, epochs=3, batch_size=8, shuffle="blocks")
    else:
        X = scipy.sparse.csr_array(X) if kind == "sparse" else X
        mlp.fit(parts(X, y, sizes), epochs=3, batch_size=8)
    for blocks in rows.epochs:
        assert [len(block) for block in blocks] == ([300] if kind == "whole" else [40] * 7 + [20])
        assert sorted(np.concatenate(blocks)) == y.tolist()
        assert all((np.sort(block) != block).any() for block in blocks)
        if kind in ("list", "sparse"):  # shuffled within blocks, which keep their order
            assert [block.min() for block in blocks] == list(range(0, 300, 40))
    orders = [np.concatenate(blocks).tolist() for blocks in rows.epochs]
    assert orders[0] != orders[1] != orders[2]


def test_blocks_leave_out_what_is_validated_on(numbers, monkeypatch, small_blocks):
    mlp, X, y = numbers
    rows, held = Rows(monkeypatch), []

    def keep(targets, outputs):
        held.append(targets.ravel().astype(int).tolist())
        return 0.0  # also in the trial before training

    mlp.fit(X, y, 2, 8, shuffle="blocks", validation_fraction=0.2, metrics=keep)
    for blocks, others in zip(rows.epochs, held[1:], strict=True):
        assert len(others) == 60
        assert sorted([*np.concatenate(blocks).tolist(), *others]) == y.tolist()


# Batches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_kind", KINDS)
def test_batches_in_order_train_as_the_arrays(make, data, tmp_path, small_blocks, as_kind):
    X, y = data
    whole = make(dropout=0.2).fit(X, y, epochs=3, batch_size=8, shuffle=False)
    batches = as_kind(parts(X, y))
    cut = make(dropout=0.2).fit(batches, epochs=3, batch_size=8, shuffle=False)
    assert file_of(cut) == file_of(whole)


@pytest.mark.parametrize("batch_size", [1, 7, 40, 64, 1000])
def test_minibatches_do_not_depend_on_the_batches(make, data, tmp_path, small_blocks, batch_size):
    X, y = data
    expected = file_of(make().fit(X, y, 2, batch_size, shuffle=False))
    for sizes in ((200,), (40,) * 5, (1,) * 200, (39, 41, 120)):
        cut = make().fit(parts(X, y, sizes), None, 2, batch_size, shuffle=False)
        assert file_of(cut) == expected


@pytest.mark.parametrize("dtype", ["float64", "uint8", "bool", "float16", "int32"])
def test_batches_of_other_types(make, data, tmp_path, small_blocks, dtype):
    X, y = (data[0] * 3 + 5).astype(dtype), data[1]
    whole = make().fit(X, y, 2, 8, shuffle=False)
    assert file_of(make().fit(parts(X, y), None, 2, 8, shuffle=False)) == file_of(whole)


def test_batches_of_several_types(make, data, tmp_path, small_blocks):
    X, y = (data[0] * 3 + 5).astype(np.uint8), data[1]
    types = ("uint8", "float32", "float16", "float64", "uint8")
    batches = [(X.astype(t), y) for t, (X, y) in zip(types, parts(X, y), strict=True)]
    whole = make().fit(X.astype(np.float32), y, 2, 8, shuffle=False)
    assert file_of(make().fit(batches, None, 2, 8, shuffle=False)) == file_of(whole)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_batches(make, data, tmp_path, small_blocks, form):
    X, y = data
    X = X * (np.random.default_rng(1).random(X.shape) < 0.3)
    X[60] = 0  # an empty row
    whole = make().fit(form(X), y, 3, 8, shuffle=False)
    batches = [(form(rows), labels) for rows, labels in parts(X, y)]
    for as_kind in KINDS:
        cut = make().fit(as_kind(batches), None, 3, 8, shuffle=False)
        assert file_of(cut) == file_of(whole)
    assert make().fit(batches, epochs=3).history_["loss"][0] > 0
    with pytest.raises(
        TypeError, match="^`X` must have batches that are all dense or all sparse, got both"
    ):
        make().fit([(X[:10], y[:10]), (form(X[10:]), y[10:])])


def test_batches_with_weights(make, data, tmp_path, small_blocks):
    X, y = data
    weights = np.random.default_rng(2).random(200)
    whole = make().fit(X, y, 2, 8, shuffle=False, sample_weight=weights)
    cut = make().fit(parts(X, y, weights=weights), None, 2, 8, shuffle=False)
    assert file_of(cut) == file_of(whole)
    # Batches without weights have weights of 1.
    weights[50:150] = 1
    batches = parts(X, y, (50, 100, 50), weights)
    batches[1] = batches[1][:2]
    whole = make().fit(X, y, 2, 8, shuffle=False, sample_weight=weights)
    cut = make().fit(batches, None, 2, 8, shuffle=False)
    assert file_of(cut) == file_of(whole)
    with pytest.raises(
        ValueError,
        match="^`sample_weight` must be None if `X` is an iterable of batches, got .*; pass the",
    ):
        make().fit(parts(X, y), sample_weight=weights)


def test_batches_with_class_weights(make, data, tmp_path, small_blocks):
    X, y = data
    whole = make().fit(X, y, 2, 8, shuffle=False, class_weight={1: 3.0})
    cut = make().fit(parts(X, y), None, 2, 8, shuffle=False, class_weight={1: 3.0})
    assert file_of(cut) == file_of(whole)
    with pytest.raises(
        ValueError, match="^`class_weight` must be .* iterable of batches, got 'balanced'"
    ):
        make().fit(parts(X, y), class_weight="balanced")


def test_a_batch_with_zero_weights(make, data, tmp_path, small_blocks):
    X, y = data
    y = np.sort(y)  # so that whole batches have a class with weight 0
    batches = parts(X, y, (20,) * 10)
    assert set(batches[0][1]) == {0}
    whole = make().fit(X, y, 2, 8, shuffle=False, class_weight={0: 0.0})
    cut = make().fit(batches, None, 2, 8, shuffle=False, class_weight={0: 0.0})
    assert file_of(cut) == file_of(whole)


def test_one_array_for_all_batches(make, data, tmp_path, small_blocks):
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
            whole = make().fit(
                form(X) if form is np.asarray else scipy.sparse.csr_array(X),
                y, 2, batch_size, shuffle=False, sample_weight=weights,
            )  # fmt: skip
            cut = make().fit(lambda form=form: batches(form), None, 2, batch_size, shuffle=False)
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


def test_iterators_last_for_one_epoch(make, data, tmp_path):
    X, y = data
    once = make().fit(iter(parts(X, y)), epochs=1, shuffle=False)
    assert file_of(once) == file_of(make().fit(X, y, epochs=1, shuffle=False))
    mlp, iterator = make(), iter(parts(X, y))
    before = file_of(mlp)
    message = (
        "^`X` must be a list of batches or .*, got an iterator, which ends after one of 2 epochs"
    )
    with pytest.raises(ValueError, match=message):
        mlp.fit(iterator, epochs=2)
    assert file_of(mlp) == before and len(list(iterator)) == 5


def test_a_function_is_called_once_an_epoch(make, data):
    calls = []

    def batches():
        calls.append(1)
        return iter(parts(*data))

    make().fit(batches, epochs=3)
    assert len(calls) == 3


@pytest.mark.parametrize("X", [[], iter([]), lambda: [], lambda: iter(())])
def test_no_batches_are_refused(make, data, tmp_path, X):
    mlp = make(warm_start=False).fit(*data, epochs=1)
    before = file_of(mlp)
    with pytest.raises(
        ValueError, match="^`X` must have at least one batch in every epoch, got none"
    ):
        mlp.fit(X, epochs=1)
    assert file_of(mlp) == before


def test_batches_that_end_are_refused_when_they_do(make, data):
    iterator = iter(parts(*data))
    mlp = make()
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
def test_bad_batches(make, data, tmp_path, batch, error, message):
    good = parts(*data)
    mlp = make(warm_start=False, dropout=0.1).fit(*data, epochs=2)
    before, history = file_of(mlp), dict(mlp.history_)
    for batches in ([batch], [*good, batch]):  # before the first step, everything is restored
        with pytest.raises(error, match=message) as caught:
            mlp.fit(batches)
        assert "\n" not in str(caught.value)
        assert file_of(mlp) == before and mlp.history_ == history


def test_a_bad_batch_after_good_steps_leaves_the_steps(make, data, tmp_path, small_blocks):
    X, y = data
    mlp = make()
    with pytest.raises(TypeError, match=r"^`X\[i\]` must be a tuple .*, got 3"):
        mlp.fit([(X[:80], y[:80]), 3], epochs=1, batch_size=8, shuffle=False)
    trained = make().fit(X[:80], y[:80], epochs=1, batch_size=8, shuffle=False)
    assert_same_bits(mlp, trained)


def test_a_row_with_nan(make, data, tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr("fastmlp.core.run.MOST_STEPS", 2)  # found after some valid steps
    X, y = data[0].copy(), data[1]
    X[190] = np.nan
    mlp = make(dropout=0.1).fit(*data, epochs=2)
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
def test_what_is_neither_arrays_nor_batches(make, X):
    with pytest.raises(
        TypeError, match=r"^`X` must be an iterable of \(X, y\) batches if `y` is None, got"
    ):
        make().fit(X)


def test_batches_have_no_fraction(make, data):
    with pytest.raises(
        ValueError,
        match="^`validation_fraction` must be 0 if .* batches, got 0.2; use `validation_d",
    ):
        make().fit(parts(*data), validation_fraction=0.2)
    mlp = make().fit(parts(*data), epochs=2, validation_data=data)
    assert len(mlp.history_["validation_accuracy"]) == 2


def test_an_error_of_the_batches_own_comes_through(make, data):
    def batches():
        yield parts(*data)[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        make().fit(batches)


# partial_fit -------------------------------------------------------------------------------------


def test_partial_fits_are_epochs_of_one_training(make, data, tmp_path):
    X, y = data
    for warm_start in (True, False):
        for optimizer in ("adam", "momentum"):
            arguments = {"warm_start": warm_start, "optimizer": optimizer, "dropout": 0.1}
            whole, partial = make(**arguments), make(**arguments)
            whole.fit(X, y, epochs=3, batch_size=16)
            for _ in range(3):
                assert partial.partial_fit(X, y, batch_size=16) is partial
            assert file_of(partial) == file_of(whole)
            assert len(partial.history_["loss"]) == 3


def test_partial_fits_of_pieces_and_batches(make, data, tmp_path):
    X, y = data
    weights = np.linspace(0.5, 2, 200)
    options = {"batch_size": 20, "shuffle": False}
    whole = make().fit(X, y, epochs=1, sample_weight=weights, **options)
    pieces, batches = make(), make()
    for part_X, part_y, weight in parts(X, y, (60, 40, 100), weights):
        pieces.partial_fit(part_X, part_y, sample_weight=weight, **options)
        batches.partial_fit(iter([(part_X, part_y, weight)]), **options)
    assert_same_bits(pieces, whole)
    assert file_of(batches) == file_of(pieces)
    assert len(pieces.history_["loss"]) == 3


def test_a_refused_partial_fit_changes_nothing(make, data, tmp_path):
    mlp = make(dropout=0.2).fit(*data, epochs=2)
    before, history = file_of(mlp), {"loss": list(mlp.history_["loss"])}
    X = data[0].copy()
    X[150] = np.inf
    for arguments in ((X, data[1]), ([(X, data[1])],), (data[0], data[1][1:]), ([3],)):
        with pytest.raises((TypeError, ValueError)):
            mlp.partial_fit(*arguments)
        assert file_of(mlp) == before and mlp.history_ == history


def test_fits_continue_or_start_over(make, data, tmp_path):
    X, y = data
    # Two fits in a row are one fit, except that the history is that of the last.
    warm, whole = make(), make().fit(X, y, epochs=5)
    warm.fit(X, y, epochs=2).fit(X, y, epochs=3)
    assert warm.history_["loss"] == whole.history_["loss"][2:]
    whole.history_ = warm.history_
    assert file_of(warm) == file_of(whole)
    # Without warm_start: like a new network made with the current random state.
    source = np.random.RandomState(0)
    cold = make(warm_start=False, dropout=0.1, random_state=source)
    drawn = [w.copy() for w in cold.weights]
    cold.fit(X, y, epochs=2)
    other = np.random.RandomState()
    other.set_state(source.get_state())
    cold.fit(X, y, epochs=3)
    new = make(warm_start=False, dropout=0.1, random_state=other).fit(X, y, epochs=3)
    assert file_of(cold) == file_of(new)
    first = make(warm_start=False, dropout=0.1)  # the first fit uses the initial weights
    assert all((a == b).all() for a, b in zip(first.weights, drawn, strict=True))


# Memory ------------------------------------------------------------------------------------------

MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from fastmlp import MLP
from fastmlp.callbacks import Callback

def now():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

class Look(Callback):
    def on_train_batch_end(self, batch, logs=None):
        peaks.append(now())

def batches():
    for i in range(N):
        peaks.append(now())
        X = made.random((4096, 512), np.float32)  # 8 MB
        yield X, np.zeros(len(X), int)

kind, folder = sys.argv[1:]
N, made, mlp = 120, np.random.default_rng(0), MLP([512, 4, 2], random_state=0)
mlp.fit(np.zeros((2, 512), np.float32), [0, 1], epochs=1)  # compiles
if kind == "file":
    path = Path(folder, "X.npy")
    X = np.lib.format.open_memmap(path, "w+", np.float32, (4096 * 40, 512))
    for i in range(40):
        X[4096 * i : 4096 * (i + 1)] = made.random((4096, 512), np.float32)
    del X
    X = np.load(path, mmap_mode="r")
    peaks = [now()]
    mlp.fit(X, np.zeros(len(X), int), epochs=1, batch_size=256, callbacks=[Look()])
else:
    peaks = [now()]
    mlp.fit(batches, epochs=1, batch_size=256, callbacks=[Look()])
assert len(peaks) > 5
print(max(peaks) - peaks[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind, megabytes", [("batches", 300), ("file", 60)])
def test_memory_is_bounded(tmp_path, kind, megabytes):
    # 960 MB in batches, with blocks of 64 MB in memory; 320 MB in a file, which is not copied.
    script = tmp_path / "memory.py"
    script.write_text(MEMORY)
    safe = ["-P"] if sys.flags.safe_path else []
    command = [sys.executable, *safe, str(script), kind, str(tmp_path)]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert 0 <= float(grown) < megabytes


def test_a_block_is_about_64_megabytes():
    for batch_size, row_bytes in ((32, 784 * 4), (1, 10), (100_000, 10_000)):
        rows = sources.block_rows(batch_size, row_bytes)
        assert rows % batch_size == 0
        assert rows == batch_size or 2**25 < rows * row_bytes <= 2**26
