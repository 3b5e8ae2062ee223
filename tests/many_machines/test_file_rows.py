"""Shards that are memory maps: the same bits as arrays, of which few rows are in memory."""

import gc
import os
import pickle
import tempfile
import tracemalloc
import weakref

import numpy as np
import pytest

import fastmlp.dask
from fastmlp import MLP
from fastmlp.dask import MLPClassifier, file_rows, shards
from fastmlp.dask.file_rows import FileRows
from fastmlp.dask.points import point_of
from fastmlp.dask.rounds import Job, job_settings, train
from fastmlp.dask.shards import Format, read
from fastmlp.sklearn import MLPClassifier as PlainClassifier
from fastmlp.training import sources
from helpers.same_bits import digest_of

VIEWS = {
    "whole": lambda X: X,
    "every third": lambda X: X[1::3],
    "backwards": lambda X: X[::-2],
    "columns": lambda X: X[:, 1::2],
    "transposed": lambda X: X[:12].T,
    "another shape": lambda X: X.reshape(len(X) // 2, -1),
}


def saved(X, folder, mode="r"):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode=mode)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2", "u1", "?", "i2", "i8"])
def test_any_view_of_a_map_is_found_in_its_file(dtype, view, tmp_path, monkeypatch):
    monkeypatch.setattr(file_rows, "PIECE_BYTES", 3000)
    X = (np.random.default_rng(0).random((600, 12)) * 100).astype(dtype)
    mapped = VIEWS[view](saved(X, tmp_path))
    for wanted in (np.dtype("f4"), np.dtype("f8")):
        expected = np.asarray(mapped).astype(wanted)
        found = FileRows.of(mapped, wanted)
        assert len(found) == len(expected) and found.nbytes == expected.size * wanted.itemsize
        assert found[:].dtype == wanted and np.array_equal(found[:], expected)
        rows = [5, 2, 2, len(expected) - 1]
        assert np.array_equal(found[rows], expected[rows])
        assert np.array_equal(found[3:9:2], expected[3:9:2])
        assert np.array_equal(pickle.loads(pickle.dumps(found))[:], found[:])
        assert len(pickle.dumps(found)) < 1000


def test_a_header_and_an_offset_are_skipped(tmp_path):
    X = np.arange(200, dtype=np.float32).reshape(20, 10)
    (tmp_path / "raw").write_bytes(b"0123" + X.tobytes())
    raw = np.memmap(tmp_path / "raw", np.float32, "r", 4, (20, 10))
    assert np.array_equal(FileRows.of(raw[3:], np.dtype("f4"))[:], X[3:])


def test_changes_that_are_shared_are_in_the_file(tmp_path):
    mapped = saved(np.zeros((20, 10)), tmp_path, "r+")
    mapped[7] = 5
    assert FileRows.of(mapped, np.dtype("f4"))[[7]][0, 0] == 5


def replaced(folder):
    mapped = saved(np.ones((20, 10)), folder)
    os.remove(folder / "X.npy")
    np.save(folder / "X.npy", np.zeros((20, 10)))
    return mapped


def removed(folder):
    mapped = saved(np.ones((20, 10)), folder)
    os.remove(folder / "X.npy")
    return mapped


def without_a_name(folder):
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=(20, 10))


NOT_IN_A_FILE = {
    "private": lambda folder: saved(np.ones((20, 10)), folder, "c"),
    "pickled": lambda folder: pickle.loads(pickle.dumps(saved(np.ones((20, 10)), folder))),
    "computed": lambda folder: saved(np.ones((20, 10)), folder) + 1,
    "replaced": replaced, "removed": removed, "without a name": without_a_name,
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_IN_A_FILE)
@pytest.mark.skipif(os.name == "nt", reason="files that are mapped cannot be removed")
def test_a_map_that_its_file_does_not_have_stays_an_array(kind, tmp_path):
    X = NOT_IN_A_FILE[kind](tmp_path)
    assert not isinstance(X, np.memmap) or FileRows.of(X, np.dtype("f4")) is None


def test_a_file_that_was_replaced_is_noticed(tmp_path):
    found = FileRows.of(saved(np.ones((20, 10)), tmp_path), np.dtype("f4"))
    assert found.is_there() and pickle.loads(pickle.dumps(found)).is_there()
    os.utime(tmp_path / "X.npy", ns=(1, 1))
    assert not found.is_there()
    found.move(FileRows.of(np.load(tmp_path / "X.npy", mmap_mode="r"), np.dtype("f4")))
    assert found.is_there()
    os.remove(tmp_path / "X.npy")
    assert not found.is_there()


# Training ---------------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 0.25 MB, of which maps here have many."""
    monkeypatch.setattr(sources, "BLOCK_BYTES", 2**18)


def data(dtype, n=24_000):
    random = np.random.default_rng(0)
    X = (random.random((n, 50)) * 10).astype(dtype)
    return X, random.integers(0, 3, n)


def fit(X, y=None, shuffle=True, layers=(50, 8, 3), **options):
    mlp = MLP(list(layers), random_state=0, **options.pop("network", {}))
    options = {"client": False, "batch_size": 48, "shuffle": shuffle, "rounds": 2} | options
    mlp = fastmlp.dask.fit(mlp, X, y, **options)
    return digest_of(point_of(mlp._state).arrays), mlp.history_


CASES = {
    "plain": {},
    "in order": {"shuffle": False},
    "one shard": {"n_shards": 1, "local_epochs": 2},
    "noise": {"network": {"dropout": 0.3, "input_noise": 0.1}},
    "scaled": {"network": {"input_shift": 5.0, "input_scale": 0.1}},
    "float64": {"network": {"dtype": np.float64}},
    "ragged": {"batch_size": 101, "n_shards": 3},
    "steps": {"local_steps": 170, "rounds": 4},
    "steps of one shard": {"local_steps": 330, "rounds": 3, "n_shards": 1},
    "steps in order": {"local_steps": 170, "rounds": 4, "shuffle": False},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_maps_have_the_bits_of_arrays_in_blocks(dtype, case, small_blocks, tmp_path):
    X, y = data(dtype)
    mapped, options = saved(X, tmp_path), {"n_shards": 2} | CASES[case]
    n = options["n_shards"]
    expected = fit(X, y, **{"shuffle": "blocks"} | options)
    assert fit(mapped, y, **options) == expected
    assert fit(lambda shard: (mapped[shard::n], y[shard::n]), **options) == expected


def test_one_mapped_shard_is_fit(small_blocks, tmp_path):
    X, y = data("f4")
    mapped = saved(X, tmp_path)
    plain = MLP([50, 8, 3], random_state=0).fit(mapped, y, epochs=4, batch_size=48)
    options = {"n_shards": 1, "local_epochs": 2}
    expected = digest_of(point_of(plain._state).arrays)
    assert fit(lambda _: (mapped, y), **options)[0] == expected
    private = np.load(tmp_path / "X.npy", mmap_mode="c")  # shuffled alike, though in memory
    assert fit(lambda _: (private, y), **options)[0] == expected


@pytest.mark.parametrize("n", [24_000, 600])
def test_estimators_train_on_maps(n, small_blocks, tmp_path):
    X, y = data("f4", n)
    mapped, names = saved(X, tmp_path), np.array(["one", "two", "three"])[y]
    options = {"max_iter": 2, "tol": 0.0, "random_state": 0, "hidden_layer_sizes": (8,)}
    with pytest.warns(UserWarning):
        plain = PlainClassifier(**options).fit(mapped, names)
        found = MLPClassifier(client=False, n_shards=1, **options).fit(lambda _: (mapped, names))
    assert digest_of(found.coefs_) == digest_of(plain.coefs_)
    with pytest.warns(UserWarning):
        two = [
            MLPClassifier(client=False, n_shards=2, shuffle="blocks", **options).fit(
                lambda shard, X=X: (X[shard::2], names[shard::2])
            )
            for X in (X, mapped)
        ]
    assert digest_of(two[0].coefs_) == digest_of(two[1].coefs_)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_of_a_map_few_blocks_are_in_memory(dtype, small_blocks, tmp_path, monkeypatch):
    monkeypatch.setattr(file_rows, "PIECE_BYTES", 2**16)
    monkeypatch.setattr(shards, "CHECKED_AT_ONCE", 2**16)
    X, y = data(dtype, 80_000)
    mapped, y = saved(X, tmp_path), y.astype(np.int32)
    fit(mapped[:100], y[:100])  # compiles
    tracemalloc.start()
    try:
        fit(lambda shard: (mapped[shard::2], y[shard::2]), n_shards=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5e6 < X.size * 4 / 2  # a block is 0.25 MB; the targets and orders are the rest


@pytest.mark.parametrize("kind", ["mapped", "arrays"])
def test_what_is_wrong_with_a_map_is_said_as_of_arrays(kind, tmp_path):
    def load(X):
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r" if kind == "mapped" else None)
        return lambda shard: (X, np.zeros(len(X), int))

    X = np.zeros((300_000, 4))
    X[280_001, 2] = 1e300  # beyond what is checked at once, and infinite as float32
    with pytest.raises(ValueError, match="^shard 0: .* infinity in row 280001 .as float32"):
        fit(load(X), layers=(4, 3))
    with pytest.raises(
        ValueError, match=r"^shard 0: `X` must have shape .n_samples, 4., got .5, 3"
    ):
        fit(load(np.zeros((5, 3))), layers=(4, 3))
    with pytest.raises(ValueError, match=r"^shard 0: `X` must have at least one sample"):
        fit(load(np.zeros((0, 4))), layers=(4, 3))
    with pytest.raises(TypeError, match=r"^shard 0: `X` must contain only real numbers"):
        fit(load(np.zeros((5, 4), "U1")), layers=(4, 3))


def test_training_leaves_no_samples_behind():
    X, y = data("f4", 3000)
    state = MLP([50, 8, 3], random_state=0)._state
    settings = job_settings(state.settings)
    shard = read(Format(settings, "MLP", None, 2), 0, (X, y, None))
    job = Job(
        settings, "MLP", n_shards=2, local_epochs=1, local_steps=None, batch_size=32,
        shuffle=True, seed=(1, 2), class_weights=None, metrics=(),
    )  # fmt: skip
    gc.disable()
    try:
        train(job, point_of(state), shard, 0, 0)
        samples = weakref.ref(X)
        del X, shard
        assert samples() is None
    finally:
        gc.enable()
