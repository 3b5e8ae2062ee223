"""Workers of real processes are killed: no bit changes, and nothing hangs."""

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask
import dask.array as da

import fastmlp.dask
from fastmlp.callbacks import Callback
from fastmlp.dask.connection import ClusterLost, Connection
from helpers.dask_clusters import (
    KillsIn,
    Load,
    Score,
    commands,
    digest,
    emptied,
    kill,
    load,
    load_fatal,
    loaded,
    local_cluster,
    network,
    pids,
    wait_until,
    written,
)

N_SHARDS = 8
OPTIONS = {"n_shards": N_SHARDS, "rounds": 4, "local_epochs": 2, "batch_size": 16}
X_Y = loaded(N_SHARDS)
VALIDATION = {"validation_data": (X_Y[0][:50], X_Y[1][:50])}


def block(start):
    return X_Y[0][start : start + 30]


def source(name):
    """Return the arguments X and y."""
    X, y = X_Y
    if name == "function":
        return (load,)
    if name == "arrays":
        return X, y
    if name == "dask from arrays":
        return da.from_array(X, chunks=(70, 3)), da.from_array(y, chunks=50)
    if name == "dask from functions":
        starts = da.from_array(np.arange(0, len(X), 30), chunks=1)
        made = starts.map_blocks(
            lambda starts: block(int(starts[0])), new_axis=1, chunks=((30,) * 12, (8,)),
            dtype=X.dtype,
        )  # fmt: skip
        return made, y
    raise ValueError(name)


def fit(client, data, folder=None, seconds=0.0, **options):
    options = OPTIONS | VALIDATION | options
    metric = Score(options.pop("score_folder", None), seconds)
    return fastmlp.dask.fit(
        network(folder, seconds if folder else 0.0), *data, client=client, metrics=metric, **options
    )


_expected = {}


def expected(name):
    """Return the digest without Dask."""
    name = "function" if name == "function" else "arrays"
    if name not in _expected:
        _expected[name] = digest(fit(False, source(name)))
    return _expected[name]


class KillsAfter(Callback):
    """Kills workers between two rounds, and waits until the scheduler knows."""

    def __init__(self, client, number, choose):
        self.client, self.number, self.choose = client, number, choose
        self.killed = []

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.number:
            here = pids(self.client)
            self.killed = self.choose(list(here.values()))
            for pid in self.killed:
                kill(pid)
            gone = [address for address, pid in here.items() if pid in self.killed]
            wait_until(lambda: not set(gone) & set(self.client.nthreads()))


@pytest.mark.parametrize("n_workers", [1, 2, 3, 4])
def test_the_same_bits_on_any_number_of_workers_and_with_a_kill(tmp_path, n_workers):
    with local_cluster(n_workers) as client:
        for name in ("function", "arrays", "dask from arrays", "dask from functions"):
            assert digest(fit(client, source(name))) == expected(name), name
        kills = KillsIn([1, 3], tmp_path)
        found = fit(client, source("function"), tmp_path, 0.05, callbacks=[kills])
        assert digest(found) == expected("function") and len(kills.killed) == 2


@pytest.mark.parametrize("name", ["arrays", "dask from arrays", "dask from functions"])
def test_shards_of_any_source_are_read_again(tmp_path, name):
    with commands(tmp_path, 3) as (_, client):
        (files := tmp_path / "files").mkdir()
        kills = KillsIn([1], files)
        between = KillsAfter(client, 2, lambda pids: pids[:1])
        found = fit(client, source(name), files, 0.05, callbacks=[kills, between])
        assert digest(found) == expected(name)
        assert len(kills.killed) == 1 and len(between.killed) == 1
        assert len(client.nthreads()) == 1


@pytest.mark.parametrize("when", ["in a round", "between rounds"])
def test_all_workers_die_but_one(tmp_path, when):
    with commands(tmp_path, 3) as (_, client):
        (files := tmp_path / "files").mkdir()
        both = list(pids(client).values())[:2]
        kills = (
            KillsIn([1], files, lambda running: both)
            if when == "in a round"
            else KillsAfter(client, 1, lambda running: both)
        )
        found = fit(client, source("function"), files, 0.05, callbacks=[kills])
        assert digest(found) == expected("function")
        assert len(client.nthreads()) == 1 and kills.killed


@pytest.mark.parametrize("when", ["in a round", "between rounds"])
def test_all_workers_die_and_others_come(tmp_path, when):
    with commands(tmp_path, 2) as (cluster, client):
        (files := tmp_path / "files").mkdir()
        every = list(pids(client).values())

        def all_die(running):
            cluster.start_worker()
            cluster.start_worker()
            return every

        kills = (
            KillsIn([1], files, all_die) if when == "in a round" else KillsAfter(client, 1, all_die)
        )
        found = fit(client, source("arrays"), files, 0.05, callbacks=[kills])
        assert digest(found) == expected("arrays")
        assert not set(every) & set(pids(client).values())


def test_the_worker_that_computes_the_mean_dies(tmp_path):
    with commands(tmp_path, 2) as (_, client):
        (files := tmp_path / "files").mkdir()
        kills = KillsIn([1], files)
        found = fit(client, source("function"), None, 0.3, score_folder=files, callbacks=[kills])
        assert digest(found) == expected("function")
        assert len(client.nthreads()) == 1 and kills.killed


def test_several_die_one_after_the_other(tmp_path):
    with local_cluster(2) as client:
        kills = KillsIn([0, 1, 2, 3], tmp_path)
        found = fit(client, source("function"), tmp_path, 0.03, callbacks=[kills])
        assert digest(found) == expected("function") and len(kills.killed) == 4


def test_the_worker_of_a_mean_dies_before_the_client_has_it(monkeypatch, tmp_path):
    killed, gathered = [], Connection._gathered

    def kill_before(self, futures, *needed):
        if "_mean-" in futures[0].key and not killed:
            (worker,) = client.who_has(futures)[futures[0].key]
            killed.append(worker)
            kill(pids(client)[worker])
            wait_until(lambda: worker not in client.nthreads())
        return gathered(self, futures, *needed)

    monkeypatch.setattr(Connection, "_gathered", kill_before)
    with commands(tmp_path, 2) as (_, client):
        assert digest(fit(client, source("function"))) == expected("function")
        assert len(client.nthreads()) == 1 and killed


class KillsTwice(KillsIn):
    """Kills the only worker twice in each round: as it trains, and as it reads the shard again.

    Until then, what it does waits at the gate.
    """

    def __init__(self, trains, reads, gate):
        super().__init__(range(99), trains, self.kill_both)
        self.reads, self.gate = reads, gate

    def on_epoch_begin(self, epoch, logs=None):
        emptied(self.reads)
        self.gate.touch()
        super().on_epoch_begin(epoch)

    def kill_both(self, trains):
        kill(*trains)
        kill(*written(self.reads))
        self.gate.unlink()
        return []


def read_block(read):
    return read(0)[0]


@pytest.mark.filterwarnings("ignore:the cluster at .* has no workers")
@pytest.mark.parametrize("name", ["function", "dask array"])
def test_deaths_count_until_a_round_is_done(tmp_path, monkeypatch, name):
    """Two workers die in each round; three may not, nor may one more read a chunk as it dies."""
    monkeypatch.setattr("fastmlp.dask.connection.MOST_ATTEMPTS", 3)
    for folder in ("trains", "reads"):
        (tmp_path / folder).mkdir()
    gate = tmp_path / "gate"
    read = Load(tmp_path / "reads", gate)
    X, y = load(0)
    if name == "function":
        data = (read,)
    else:
        chunk = dask.delayed(read_block, pure=False)(read)
        data = da.from_delayed(chunk, X.shape, X.dtype), y
    kills = KillsTwice(tmp_path / "trains", tmp_path / "reads", gate)
    options = {"n_shards": 1, "rounds": 2}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        local_cluster(1) as client,
    ):
        mlp = network(tmp_path / "trains", 0.0, gate)
        found = fastmlp.dask.fit(mlp, *data, client=client, callbacks=[kills], **options)
    assert len(kills.killed) == 2
    assert digest(found) == digest(fastmlp.dask.fit(network(), X, y, client=False, **options))


@pytest.mark.filterwarnings("ignore:the cluster at .* has no workers")
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_shard_that_kills_workers(n_workers, monkeypatch):
    monkeypatch.setattr("fastmlp.dask.connection.MOST_ATTEMPTS", 2)
    with local_cluster(n_workers) as client:
        with pytest.raises(ClusterLost, match="^2 workers died while they had shard 0: perhaps"):
            fastmlp.dask.fit(network(), load_fatal, client=client, n_shards=1)


@pytest.mark.filterwarnings("ignore:the cluster at .* has no workers")
def test_a_chunk_that_kills_workers(monkeypatch):
    """Dask counts these deaths, too: it may let several workers read the chunk at one attempt."""
    monkeypatch.setattr("fastmlp.dask.connection.MOST_ATTEMPTS", 2)
    X = da.from_delayed(dask.delayed(load_fatal)(0), (40, 8), np.float32)
    died = "2 workers died while they (had shard 0|computed 'load_fatal-.*'): perhaps"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        local_cluster(2) as client,
    ):
        with pytest.raises(ClusterLost, match=f"^{died}"):
            fastmlp.dask.fit(network(), X, load(0)[1], client=client, n_shards=1)


@pytest.mark.parametrize("when", ["in a round", "between rounds"])
def test_scattered_data_that_are_lost(tmp_path, when):
    path = tmp_path / "rounds.npz"
    with commands(tmp_path, 2) as (cluster, client):
        (files := tmp_path / "files").mkdir()
        X, y = X_Y
        every = list(pids(client).values())
        futures = client.scatter([X[:100], X[100:]])
        scattered = da.concatenate(
            [
                da.from_delayed(future, (n, 8), X.dtype)
                for future, n in zip(futures, (100, len(X) - 100), strict=True)
            ]
        )

        def all_die(running):
            cluster.start_worker()
            return every

        kills = (
            KillsIn([2], files, all_die) if when == "in a round" else KillsAfter(client, 1, all_die)
        )
        # Of the same class, as resuming requires.
        kills_no_more = KillsIn([], files) if when == "in a round" else KillsAfter(client, 9, None)
        mlp = network(files, 0.05)
        options = OPTIONS | VALIDATION | {"checkpoint": path, "callbacks": [kills]}
        with pytest.raises(ClusterLost, match="scattered.*2 of 4 rounds are done and kept") as info:
            fastmlp.dask.fit(mlp, scattered, y, client=client, metrics=Score(), **options)
        assert "\n" not in str(info.value) and f"{str(path)!r} and resume=True" in str(info.value)
        assert len(mlp.history_["loss"]) == 2
        assert digest(fastmlp.load(path)) == digest(mlp)
        fastmlp.dask.fit(
            mlp, X, y, client=client, metrics=Score(), **OPTIONS, **VALIDATION,
            callbacks=[kills_no_more], checkpoint=path, resume=True,
        )  # fmt: skip
        assert digest(mlp) == expected("arrays")


def test_persisted_data_are_made_again(tmp_path):
    with commands(tmp_path, 2) as (_, client):
        (files := tmp_path / "files").mkdir()
        X, y = source("dask from functions")
        X = client.persist(X)
        kills = KillsIn([1], files)
        found = fit(client, (X, y), files, 0.05, callbacks=[kills])
        assert digest(found) == expected("arrays") and kills.killed
