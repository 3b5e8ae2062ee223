"""Workers whose shards are larger than their memory_limit: none is ended, and no bit changes."""

import functools
import os
import types

import numpy as np
import pytest

pytest.importorskip("distributed")

from distributed import get_worker

import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.dask import MLPClassifier, keeping
from fastmlp.dask.points import point_of
from fastmlp.dask.shards import Format, read
from helpers.dask_clusters import local_cluster, pids
from helpers.same_bits import digest_of

MEGABYTE, COLUMNS = 10**6, 8192
LIMIT = 600 * MEGABYTE  # the process takes 160 MB of them, or 200; more if it compiles


def rows_of(megabytes):
    return megabytes * MEGABYTE // (COLUMNS * 4)


def load_map(path, shard):
    """Return the rows of a file of 700 MB."""
    X = np.memmap(path, np.float32, "r", shape=(rows_of(700), COLUMNS))
    return X, np.arange(len(X)) % 3


def load_arrays(megabytes, shard):
    """Return as much in memory, every page of it written."""
    random = np.random.default_rng(shard)
    n = rows_of(megabytes)
    X = np.full((n, COLUMNS), shard, np.float32)
    X[:, :8] = random.random((n, 8))
    return X, random.integers(0, 3, n)


def fit(load, client, **options):
    mlp = MLP([COLUMNS, 4, 3], learning_rate=1e-4, random_state=0)
    options = {"n_shards": 4, "rounds": 2, "batch_size": 64} | options
    mlp = fastmlp.dask.fit(mlp, load, client=client, **options)
    return digest_of(point_of(mlp._state).arrays)


def test_a_memory_map_that_is_larger_than_memory(tmp_path):
    X = np.memmap(tmp_path / "X", np.float32, "w+", shape=(rows_of(700), COLUMNS))
    X[::100, :8] = np.random.default_rng(0).random((len(X[::100]), 8))  # few pages on the disk
    load, options = functools.partial(load_map, tmp_path / "X"), {"n_shards": 1, "rounds": 1}
    expected = fit(load, False, **options)  # compiles
    with local_cluster(1, memory_limit=LIMIT) as client:
        before = pids(client)
        assert fit(load, client, **options) == expected
        assert pids(client) == before


def test_arrays_that_are_larger_than_memory():
    load, options = functools.partial(load_arrays, 150), {"n_shards": 5, "rounds": 1}
    expected = fit(load, False, **options)  # compiles
    with local_cluster(1, memory_limit=LIMIT) as client:
        before = pids(client)
        assert fit(load, client, **options) == expected
        assert pids(client) == before


# What is kept, and read again ---------------------------------------------------------------------


def load_small(folder, shard):
    """Return few rows, and note the call."""
    with (folder / f"calls-{shard}").open("a") as file:
        file.write("x")
    return load_arrays(1, shard)


def calls(folder):
    """Return how often each shard was loaded."""
    return [file.stat().st_size for file in sorted(folder.glob("calls-*"))]


def test_shards_that_are_not_kept_are_loaded_in_every_round(client, tmp_path, monkeypatch):
    load = functools.partial(load_small, tmp_path)
    expected = fit(load, False)
    assert calls(tmp_path) == [1] * 4
    assert fit(load, client) == expected
    assert calls(tmp_path) == [2] * 4
    monkeypatch.setattr(keeping, "can_keep", lambda *_: False)  # workers are in this process
    assert fit(load, client) == expected
    assert calls(tmp_path) == [2 + 1 + 2] * 4
    options = {"n_shards": 2, "max_iter": 1, "random_state": 0, "hidden_layer_sizes": (4,)}
    with pytest.warns(UserWarning):
        found = [
            MLPClassifier(client=where, **options).fit(load).coefs_ for where in (client, False)
        ]
    assert digest_of(found[0]) == digest_of(found[1])


def load_other(shard):
    """Return one row less whenever it is called."""
    LENGTHS.append(len(LENGTHS))
    X, y = load_arrays(1, shard)
    return X[len(LENGTHS) :], y[len(LENGTHS) :]


LENGTHS = []


def test_other_rows_than_before_are_refused(client, monkeypatch):
    monkeypatch.setattr(keeping, "can_keep", lambda *_: False)
    with pytest.raises(ValueError, match="^`X.shard.` must return the same whenever it is called"):
        fit(load_other, client, n_shards=1)


class Replaces(Callback):
    """Lets the files look like others in the second round, as on another machine."""

    def __init__(self, folder):
        self.folder = folder

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            for file in self.folder.glob("X-*"):
                os.utime(file, ns=(1, 1))


def load_mapped(folder, shard):
    """Return a memory map, and note the call."""
    X, y = load_small(folder, shard)
    path = folder / f"X-{shard}.npy"
    if not path.exists():
        np.save(path, X)
    return np.load(path, mmap_mode="r"), y


def test_a_map_whose_file_is_another_is_loaded_again(client, tmp_path):
    load = functools.partial(load_mapped, tmp_path)
    expected = fit(load, False, rounds=4)
    assert calls(tmp_path) == [1] * 4
    assert fit(load, client, rounds=4) == expected
    assert calls(tmp_path) == [2] * 4
    assert fit(load, client, rounds=4, callbacks=[Replaces(tmp_path)]) == expected
    assert calls(tmp_path) == [2 + 2] * 4  # and is then found in the next rounds


LARGE = 100 * MEGABYTE


@pytest.mark.parametrize(
    ("n_shards", "limit", "process", "n_threads", "is_kept"),
    [
        (4, 0, 200, 1, True),  # no limit
        (1, 600, 200, 1, True),  # 200 + 100 + 2 * 100 of 540
        (2, 600, 200, 1, False),
        (1, 600, 200, 2, False),
        (1, 600, 300, 1, False),
        (100, 2000, 200, 1, True),  # Dask keeps 1200, and writes the others to the disk
        (100, 2000, 200, 2, True),
        (100, 2000, 200, 3, False),
    ],
)
def test_what_is_kept(n_shards, limit, process, n_threads, is_kept, monkeypatch):
    X = np.zeros((LARGE // 400, 100), np.float32)
    settings = MLP([100, 4, 3], random_state=0)._state.settings
    shard = read(Format(settings, "MLP", None, 1), 0, (X, np.zeros(len(X), np.int64), None))
    counted = 50 * MEGABYTE
    used = process * MEGABYTE + LARGE + counted
    worker = types.SimpleNamespace(
        memory_manager=types.SimpleNamespace(
            memory_limit=limit * MEGABYTE * 1.05, memory_target_fraction=0.6
        ),
        data=types.SimpleNamespace(fast=types.SimpleNamespace(total_weight=counted)),
        monitor=types.SimpleNamespace(get_process_memory=lambda: used),
        state=types.SimpleNamespace(nthreads=n_threads),
    )
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    assert keeping.can_keep(shard, n_shards) == is_kept


def test_a_worker_has_what_is_asked_of_it(client):
    def ask():
        worker = get_worker()
        return (
            worker.memory_manager.memory_target_fraction,
            worker.data.fast.total_weight,
            worker.monitor.get_process_memory() > 10 * MEGABYTE,
        )

    assert client.submit(ask).result() == (0.6, 0, True)
