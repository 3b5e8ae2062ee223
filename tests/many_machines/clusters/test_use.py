"""What users of a cluster see: names, threads, memory, errors, and that nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask
import scipy.sparse
from dask.sizeof import sizeof
from distributed import Client
from distributed.utils import key_split

import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.dask.connection import ClusterLost, client_of
from fastmlp.dask.shards import Format, read
from fastmlp.dask.tasks import know_sizes
from helpers.dask_clusters import (
    PACKAGE,
    SECONDS,
    TESTS,
    CountsThreads,
    Kills,
    commands,
    digest,
    load,
    load_large,
    load_wrong,
    local_cluster,
    network,
    pids,
    wait_until,
)

OPTIONS = {"n_shards": 8, "rounds": 3, "batch_size": 16}


@pytest.fixture(scope="module")
def client():
    with local_cluster(2) as client:
        yield client


def keys(client):
    """Return the keys of all tasks that the scheduler knows."""
    return client.run_on_scheduler(lambda dask_scheduler: list(map(str, dask_scheduler.tasks)))


class Looks(Callback):
    """Calls a function after each round, and keeps what it returns."""

    def __init__(self, function):
        self.function, self.found = function, []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.function())


def settled(client):
    """Return the groups of tasks on the scheduler, once those of the round have gone."""
    wait_until(lambda: not any("train" in key for key in keys(client)))
    return sorted(map(key_split, keys(client)))


def test_tasks_have_names_and_are_forgotten(client):
    looks = Looks(lambda: settled(client))
    X, y = load(0)
    fastmlp.dask.fit(
        network(), load, client=client, validation_data=(X, y), callbacks=[looks], **OPTIONS
    )
    assert looks.found == [["fastmlp_load"] * 8 + ["fastmlp_validation"]] * 3
    wait_until(lambda: not keys(client))


def seen(client):
    """Return the keys of all tasks that the scheduler has known."""
    return client.run_on_scheduler(
        lambda dask_scheduler: {str(key) for key, *_ in dask_scheduler.transition_log}
    )


def test_names_of_a_round(client):
    before = seen(client)
    fastmlp.dask.fit(network(), load, client=client, **OPTIONS)
    names = {key_split(key) for key in seen(client) - before}
    assert names == {
        f"fastmlp_{name}" for name in ("load", "size", "point", "train", "add", "mean")
    }


def test_nothing_is_left_after_errors(client):
    # The errors are kept, and so are the frames of fit.
    with pytest.raises(ValueError, match=r"^shard 1: .*X.* row 7") as first:
        fastmlp.dask.fit(network(), load_wrong, client=client, **OPTIONS)
    wait_until(lambda: not keys(client))

    def fail():
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="^the disk is full") as second:
        fastmlp.dask.fit(network(), load, client=client, callbacks=[Looks(fail)], **OPTIONS)
    wait_until(lambda: not keys(client))
    assert first.tb and second.tb


def test_large_points_and_arrays_cause_no_warning(client):
    random = np.random.RandomState(0)
    X, y = random.rand(4000, 784), random.randint(0, 10, 4000)  # 25 MB

    def fit(client):
        mlp = MLP([784, 300, 300, 10], dtype=np.float64, random_state=0)  # points of 8 MB
        return fastmlp.dask.fit(mlp, X, y, client=client, n_shards=2, rounds=2, batch_size=500)

    limit = dask.config.get("distributed.admin.large-graph-warning-threshold")
    assert digest(fit(client)) == digest(fit(False))
    assert dask.config.get("distributed.admin.large-graph-warning-threshold") == limit


def test_several_fits_at_once(client):
    found, limit = {}, dask.config.get("distributed.admin.large-graph-warning-threshold")

    def fit(seed):
        mlp = MLP([8, 16, 3], random_state=seed)
        found[seed] = digest(fastmlp.dask.fit(mlp, load, client=client, **OPTIONS))

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed in range(4):
        mlp = MLP([8, 16, 3], random_state=seed)
        assert found[seed] == digest(fastmlp.dask.fit(mlp, load, client=False, **OPTIONS))
    assert dask.config.get("distributed.admin.large-graph-warning-threshold") == limit


def test_bytes_moved(client):
    from fastmlp.dask.cluster import OnCluster

    moved, round_of = [], OnCluster.round

    class Counts(OnCluster):
        def round(self, *arguments):
            found = round_of(self, *arguments)
            moved.append((self.n_bytes_moved, arguments[1].n_bytes))
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastmlp.dask.fitting.OnCluster", Counts)
        fastmlp.dask.fit(MLP([8, 16, 3], random_state=0), load, client=client, **OPTIONS)
    # The point to two workers, through the scheduler; a sum in float64 from one to the other; back.
    for n_bytes, point in moved:
        assert n_bytes == (2 + 1 + 2 + 2) * point


def test_clients_that_are_refused(client):
    with pytest.raises(ValueError, match=r"^`client` must be a dask.distributed.Client, or False"):
        fastmlp.dask.fit(network(), load)
    with pytest.raises(TypeError, match=r"^`client` must be .*, got 'tcp://a:1'\.$"):
        fastmlp.dask.fit(network(), load, client="tcp://a:1")
    closed = Client(client.scheduler.address, set_as_default=False)
    closed.close()
    with pytest.raises(ValueError, match=r"^`client` must be connected, got one that is closed\.$"):
        fastmlp.dask.fit(network(), load, client=closed)

    async def main():
        async with Client(client.scheduler.address, asynchronous=True) as other:
            fastmlp.dask.fit(network(), load, client=other)

    with pytest.raises(TypeError, match=r"^`client` must be synchronous"):
        asyncio.run(main())


def test_the_current_client_is_used(client):
    with client.as_current():
        assert client_of(None) is client


def test_an_interrupt_cancels_what_waits_and_stops_what_trains(tmp_path):
    (files := tmp_path / "files").mkdir()
    with commands(tmp_path, 2) as (cluster, client):
        path = os.pathsep.join([*map(str, (PACKAGE.parent, TESTS, TESTS.parent))])
        process = subprocess.Popen(
            [sys.executable, TESTS / "helpers" / "interrupted_rounds.py", cluster.address, files],
            env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wait_until(lambda: any(files.iterdir()))
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
            process.wait()
        assert out == "interrupted {}\n" and process.returncode == 0
        wait_until(lambda: not keys(client))
        wait_until(lambda: not any(client.run(has_tasks).values()))  # they would take hours


def has_tasks(dask_worker):
    """Whether a worker has tasks, also of which the scheduler knows no more."""
    return bool(dask_worker.state.tasks)


# Speed, threads and memory --------------------------------------------------------------------


def test_the_shards_of_a_slow_worker_move(tmp_path):
    (files := tmp_path / "files").mkdir()
    script = tmp_path / "slow.py"
    # Dask imports a preload script twice.
    script.write_text(
        "import time\nfrom fastmlp.dask import rounds, tasks\n"
        "def train(*arguments):\n    began = time.perf_counter()\n"
        "    found = rounds.train(*arguments)\n    time.sleep(3)\n"
        "    return found._replace(seconds=time.perf_counter() - began)\n"
        "tasks.train = train\n"
    )
    with commands(tmp_path, 2) as (cluster, client):
        slow = cluster.start_worker("--preload", script)
        client.wait_for_workers(3, timeout=SECONDS)
        ran = []

        class Watches(Callback):
            def on_epoch_end(self, epoch, logs=None):
                ran.append({int(file.name) for file in files.iterdir()})
                for file in files.iterdir():
                    file.unlink()

        found = fastmlp.dask.fit(
            network(files, 0.05), load, client=client, callbacks=[Watches()], n_shards=6, rounds=4,
            batch_size=16,
        )  # fmt: skip
        assert slow.pid in ran[0] and all(slow.pid not in pids for pids in ran[1:])
    options = {"n_shards": 6, "rounds": 4, "batch_size": 16}
    assert digest(found) == digest(fastmlp.dask.fit(network(), load, client=False, **options))


@pytest.mark.filterwarnings("ignore:the cluster at .* has no workers")
def test_a_round_that_kills_workers(tmp_path, monkeypatch):
    monkeypatch.setattr("fastmlp.dask.connection.MOST_ATTEMPTS", 2)
    with local_cluster(2) as client:
        mlp = MLP([8, 16, 3], learning_rate=Kills(), random_state=0)
        with pytest.raises(
            ClusterLost, match="^2 workers died while they had shard [01]: .*0 of 3"
        ):
            fastmlp.dask.fit(mlp, load, client=client, n_shards=2, rounds=3)


def test_a_worker_that_joins_gets_shards(tmp_path):
    (files := tmp_path / "files").mkdir()
    with commands(tmp_path, 1) as (cluster, client):

        class Joins(Callback):
            def on_epoch_end(self, epoch, logs=None):
                if epoch == 0:
                    cluster.start_worker()
                    client.wait_for_workers(2, timeout=SECONDS)
                for file in files.iterdir():
                    if epoch == 0:
                        file.unlink()

        fastmlp.dask.fit(network(files, 0.1), load, client=client, callbacks=[Joins()], **OPTIONS)
        assert {int(file.name) for file in files.iterdir()} == set(pids(client).values())


@pytest.mark.parametrize(
    "openmp, n_threads, n_shards, expected",
    [(None, 2, 1, "2"), (None, 1, 1, "1"), ("1", 2, 1, "1"), (None, 2, 2, "1")],
)
def test_tasks_use_the_threads_of_their_worker(tmp_path, openmp, n_threads, n_shards, expected):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two processors are needed")
    (files := tmp_path / "files").mkdir()
    environment = {} if openmp is None else {"OMP_NUM_THREADS": openmp}
    with commands(tmp_path, 1, n_threads=n_threads, **environment) as (_, client):
        mlp = MLP([8, 16, 3], learning_rate=CountsThreads(files), random_state=0)
        fastmlp.dask.fit(mlp, load, client=client, n_shards=n_shards, rounds=1, local_epochs=5)
        found = {file.name for file in files.iterdir()}
        assert expected in found and max(found) <= str(1 if openmp else n_threads)


def test_nannies_limit_workers_to_one_thread_a_task(tmp_path):
    with local_cluster(1, threads_per_worker=2) as client:
        mlp = MLP([8, 16, 3], learning_rate=CountsThreads(tmp_path), random_state=0)
        fastmlp.dask.fit(mlp, load, client=client, n_shards=1, rounds=1)
        assert {file.name for file in tmp_path.iterdir()} == {"1"}


def test_shards_are_spilled_within_the_limit_of_memory():
    # 1,200 MB, of which Dask keeps 900. With a lower limit shards would not be kept at all.
    options = {"n_shards": 24, "rounds": 2, "batch_size": 1000}

    def make():
        return MLP([784, 8, 3], random_state=0)

    with local_cluster(1, memory_limit=1500e6) as client:
        before = pids(client)

        def has_spilled():
            workers = client.scheduler_info()["workers"].values()  # none at first
            return any(each["metrics"]["spilled_bytes"]["disk"] > 100e6 for each in workers)

        looks = Looks(lambda: wait_until(has_spilled))
        found = fastmlp.dask.fit(make(), load_large, client=client, callbacks=[looks], **options)
        assert pids(client) == before  # the nanny did not start another
    assert digest(found) == digest(fastmlp.dask.fit(make(), load_large, client=False, **options))


@pytest.mark.parametrize("kind", ["dense", "sparse", "uint8"])
def test_dask_knows_the_size_of_shards(kind):
    random = np.random.RandomState(0)
    X, y = random.rand(1000, 300).astype(np.float32), random.randint(0, 3, 1000)
    X = {
        "dense": lambda: X,
        "sparse": lambda: scipy.sparse.csr_matrix(X * (X > 0.8)),
        "uint8": lambda: (X * 255).astype(np.uint8),
    }[kind]()
    state = MLP([300, 8, 3], random_state=0)._state
    know_sizes()
    data = read(Format(state.settings, "MLP", None, 1), 0, (X, y, random.rand(1000)))
    parts = "numbers", "inputs", "starts"
    arrays = [getattr(data.X, part) for part in parts] if kind == "sparse" else [data.X]
    n_bytes = sum(array.nbytes for array in [*arrays, *data.targets])
    assert n_bytes <= sizeof(data) <= 1.01 * n_bytes + 2000
