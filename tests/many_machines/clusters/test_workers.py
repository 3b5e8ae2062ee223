"""Workers that come and go as Dask wants, or that take no tasks: no bit changes, nothing hangs."""

import contextlib
import inspect
import os
import queue
import signal
import threading
import time
import types
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

pytest.importorskip("distributed")

import dask
import dask.array as da
from distributed import get_client, worker_client
from distributed.core import Status

import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.dask import MLPClassifier, keeping, tasks, versions
from fastmlp.dask.connection import ClusterLost, Connection
from fastmlp.dask.shards import Format
from helpers.dask_clusters import (
    SECONDS,
    KillsIn,
    Load,
    commands,
    digest,
    kill,
    load,
    local_cluster,
    network,
    pids,
    wait_until,
    written,
)

pytestmark = pytest.mark.filterwarnings("ignore:the cluster at .* has no workers")

OPTIONS = {"n_shards": 4, "rounds": 3, "batch_size": 16}


def fit(client, folder=None, **options):
    """Train for some time if there is a folder, in which workers write files as they train."""
    mlp = network(folder, 0.2 if folder else 0.0)
    return digest(fastmlp.dask.fit(mlp, load, client=client, **OPTIONS | options))


def give_status(name, dask_worker):
    """Let a worker say that its memory is full, or that it is not any more."""
    dask_worker.status = Status[name]


def statuses(client):
    return client.run_on_scheduler(
        lambda dask_scheduler: [w.status.name for w in dask_scheduler.workers.values()]
    )


def keys(client):
    return client.run_on_scheduler(lambda dask_scheduler: list(map(str, dask_scheduler.tasks)))


@contextlib.contextmanager
def meanwhile(function):
    """Call a function in another thread."""
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(function)
        yield
    future.result()


def test_paused_workers_get_no_shards():
    with local_cluster(2) as client:
        first, second = client.nthreads()
        client.run(give_status, "paused", workers=[first])
        wait_until(lambda: "paused" in statuses(client))
        assert fit(client) == fit(False)
        # With none that takes tasks, one is waited for.
        client.run(give_status, "paused", workers=[second])
        wait_until(lambda: statuses(client) == ["paused", "paused"])

        def resume():
            wait_until(lambda: any("fastmlp_worker" in key for key in keys(client)))
            client.run(give_status, "running", workers=[second])

        with meanwhile(resume):
            assert fit(client) == fit(False)


def read_all(read):
    return read(0)[0]


@pytest.mark.parametrize("waits", ["reading", "reading chunks", "training"])
def test_a_worker_that_is_paused_in_a_round(tmp_path, monkeypatch, waits):
    """What it has begun is finished, and what waits there is given to the other one."""
    monkeypatch.setattr("fastmlp.dask.connection.PATIENCE", 1.0)
    (files := tmp_path / "files").mkdir()
    gate = tmp_path / "gate"
    gate.touch()
    read, rate = (Load(files, gate), ()) if waits != "training" else (load, (files, 0.0, gate))
    data = (read,)
    if waits == "reading chunks":
        X, y = (np.concatenate([each] * 8) for each in load(0))
        chunks = [dask.delayed(read_all, pure=False)(read) for _ in range(8)]
        chunks = [da.from_delayed(chunk, (40, 8), X.dtype) for chunk in chunks]
        data = da.concatenate(chunks), y
    with local_cluster(2) as client:
        first, second = client.nthreads()

        def pause():
            wait_until(lambda: len(list(files.iterdir())) == 2)
            client.run(give_status, "paused", workers=[first])
            wait_until(lambda: "paused" in statuses(client))
            gate.unlink()

        with (
            pytest.warns(RuntimeWarning, match=f"paused worker {first}, whose memory is full: its"),
            meanwhile(pause),
        ):
            found = fastmlp.dask.fit(network(*rate), *data, client=client, **OPTIONS)
    expected = (X, y) if waits == "reading chunks" else (load,)
    assert digest(found) == digest(fastmlp.dask.fit(network(), *expected, client=False, **OPTIONS))


def test_an_adaptive_cluster_starts_from_no_worker():
    with local_cluster(0) as client:
        client.cluster.adapt(minimum=0, maximum=2, interval="200ms")
        for _ in range(2):
            assert fit(client) == fit(False)
            wait_until(lambda: not client.nthreads())
        wait_until(lambda: not client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.tasks))


def states(client):
    """Return the state of each task on the scheduler, and the workers that have its result."""
    return client.run_on_scheduler(
        lambda dask_scheduler: {
            str(key): (task.state, [worker.address for worker in task.who_has or ()])
            for key, task in dask_scheduler.tasks.items()
        }
    )


class Uneven:
    """A learning rate that takes its time."""

    def __call__(self, step):
        time.sleep(0.05)
        return 0.02


def load_uneven(shard):
    """Return few samples, or many."""
    n = (32, 960)[shard]
    random = np.random.RandomState(shard)
    return random.rand(n, 8).astype(np.float32), random.randint(0, 3, n)


class Retires(Callback):
    """Retires the worker of the first shard in the second round, after its part."""

    def __init__(self, client):
        self.client = client

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.thread = threading.Thread(target=self.retire)
            self.thread.start()

    def retire(self):
        wait_until(lambda: self.added()[0] == "memory")
        self.client.retire_workers(self.added()[1])

    def added(self):
        """Return the state of the task that adds the first shard, and where its result is."""
        found = states(self.client).items()
        return next((state for key, state in found if key.endswith("-1-0-0") and "add" in key), [0])

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.thread.join(60)


def test_a_worker_that_is_retired_after_its_part_costs_nothing(tmp_path, monkeypatch):
    submitted, submit = [], Connection.submit

    def watched(self, key, *arguments, **options):
        submitted.append(key)
        return submit(self, key, *arguments, **options)

    monkeypatch.setattr(Connection, "submit", watched)
    with commands(tmp_path, 2) as (_, client):
        mlp = MLP([8, 16, 3], learning_rate=Uneven(), random_state=5)
        fastmlp.dask.fit(
            mlp, load_uneven, client=client, callbacks=[Retires(client)], n_shards=2, rounds=3
        )
        assert len(client.nthreads()) == 1
        assert sum("_point-" in key for key in submitted) == 3


def test_a_stopped_worker_is_given_up_when_dask_does(tmp_path):
    with (
        dask.config.set({"distributed.scheduler.worker-ttl": "3s"}),
        local_cluster(2) as client,
    ):
        first, second = pids(client).values()
        os.kill(first, signal.SIGSTOP)
        try:
            assert fit(client) == fit(False)  # stopped before
        finally:
            kill(first)

        def stop():
            written(tmp_path)
            os.kill(second, signal.SIGSTOP)

        try:
            with meanwhile(stop):
                assert fit(client, tmp_path) == fit(False)
        finally:
            kill(second)


def test_a_restart_in_a_round_is_said(tmp_path):
    def restart():
        written(tmp_path)
        client.restart()

    with local_cluster(1) as client:
        with (
            pytest.raises(ClusterLost, match="was restarted; 0 of 1 rounds are done"),
            meanwhile(restart),
        ):
            fit(client, tmp_path, rounds=1, local_epochs=100_000)
        assert fit(client) == fit(False)


# Within tasks -------------------------------------------------------------------------------------


def fit_in_task(how):
    if how == "worker_client":
        with worker_client() as client:
            return fit(client)
    return fit(get_client() if how == "get_client" else None)


async def fit_in_coroutine():
    return fit(None)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_fits_within_tasks(n_workers):
    ways = ["none", "get_client", "worker_client"]
    with local_cluster(n_workers) as client:
        for how in ways:
            assert client.submit(fit_in_task, how).result(SECONDS) == fit(False)
        several = [client.submit(fit_in_task, how, pure=False) for how in 2 * ways]
        for future in several:
            assert future.result(SECONDS) == fit(False)
        error = client.submit(fit_in_coroutine).exception(SECONDS)
        assert isinstance(error, TypeError) and str(error).startswith(
            "`client` must be synchronous, got one whose event loop makes this call"
        )
        # Results are ordinary tasks again, for which the worker has its thread.
        assert client.submit(sum, [1, 2]).result(SECONDS) == 3


def test_a_fit_in_a_callback_of_a_future():
    found = queue.Queue()
    with local_cluster(1) as client:
        client.submit(bool).add_done_callback(lambda _: found.put(fit(client)))
        assert found.get(timeout=SECONDS) == fit(False)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_search_whose_candidates_train_on_the_workers_they_run_on():
    X, y = load(0)
    estimator = MLPClassifier(8, max_iter=2, n_shards=2, random_state=0)
    grid = {"alpha": [0.0, 0.1, 1.0]}

    def search(client):
        found = GridSearchCV(clone(estimator).set_params(client=client), grid, cv=2).fit(X, y)
        scores = found.cv_results_["mean_test_score"].tolist()
        return scores, found.best_estimator_.coefs_[0].tobytes()

    expected = search(False)
    with local_cluster(2) as client, client.as_current(), parallel_config(backend="dask"):
        assert search(None) == expected


TASKS = [name for name in dir(tasks) if name.endswith("_here") or name.startswith("read_")]
LARGE = np.ones((1000, 64), np.float32)


def test_a_shard_keeps_no_larger_array_in_memory(monkeypatch):
    monkeypatch.setattr(tasks.Fit, "check", lambda self: "")
    monkeypatch.setattr(keeping, "can_keep", lambda *_: True)  # asks the worker
    y = np.arange(1000) % 3
    settings = MLP([64, 4, 3], random_state=0)._state.settings

    def shard(X, n):
        form = Format(settings, "MLP", None, 1)
        return tasks.read_loaded(tasks.Fit("", {}), form, 0, lambda _: (X[:n], y[:n]))

    small, most = shard(LARGE, 10), shard(LARGE, 900)
    assert not np.shares_memory(small.X, LARGE) and small.X.base is None
    assert np.array_equal(small.X, LARGE[:10]) and type(small) is type(most)
    assert np.shares_memory(most.X, LARGE)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_refuses_other_versions(name, monkeypatch):
    worker = types.SimpleNamespace(address="tcp://a:1")
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    task = getattr(tasks, name)
    others = [None] * (len(inspect.signature(task).parameters) - 1)
    with pytest.raises(versions.OtherVersion, match="^worker tcp://a:1 has numba "):
        task(tasks.Fit("", versions.here() | {"numba": "9.9"}), *others)


def test_only_the_shards_of_the_dead_are_read_again(tmp_path):
    for folder in ("read", "trained"):
        (tmp_path / folder).mkdir()

    def reads(shard):
        (tmp_path / "read" / f"{shard} {time.monotonic()}").touch()
        return load(shard)

    kills = KillsIn([1], tmp_path / "trained")
    with commands(tmp_path, 3) as (_, client):
        mlp = network(tmp_path / "trained", 0.1)
        fastmlp.dask.fit(
            mlp, reads, client=client, callbacks=[kills], n_shards=6, rounds=3, batch_size=16
        )
        assert len(client.nthreads()) == 2
    read = Counter(int(file.name.split()[0]) for file in (tmp_path / "read").iterdir())
    assert sorted(read.values()) == [1, 1, 1, 1, 2, 2]
