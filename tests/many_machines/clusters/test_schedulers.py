"""The scheduler dies, or workers have other versions: one sentence, and the last round is kept."""

import os

import pytest

pytest.importorskip("distributed")

import fastmlp
import fastmlp.dask
from fastmlp.callbacks import Callback
from fastmlp.dask import versions
from fastmlp.dask.connection import ClusterLost
from helpers.dask_clusters import (
    SECONDS,
    KillsIn,
    commands,
    digest,
    kill,
    load,
    network,
    wait_until,
)

OPTIONS = {"n_shards": 4, "rounds": 4, "batch_size": 16}


class Does(Callback):
    """Calls a function after a round."""

    def __init__(self, number, function):
        self.number, self.function = number, function

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.number:
            self.function()


@pytest.mark.parametrize("when", ["in a round", "between rounds"])
def test_the_scheduler_dies(tmp_path, when):
    path = tmp_path / "rounds.npz"
    (files := tmp_path / "files").mkdir()
    mlp = network(files, 0.05)
    with commands(tmp_path, 2) as (cluster, client):
        address = cluster.address

        def die(running=None):
            kill(cluster.scheduler.pid)
            if when == "between rounds":
                cluster.scheduler.wait(SECONDS)
            return []

        kills = KillsIn([2], files, die) if when == "in a round" else Does(1, die)
        with pytest.raises(ClusterLost) as info:
            fastmlp.dask.fit(
                mlp, load, client=client, callbacks=[kills], checkpoint=path, **OPTIONS
            )
    assert str(info.value) == (
        f"the connection to the scheduler at {address} was lost; 2 of 4 rounds are done and kept; "
        f"to go on, call fit with checkpoint={str(path)!r} and resume=True"
    )
    assert len(mlp.history_["loss"]) == 2 and digest(fastmlp.load(path)) == digest(mlp)
    (second := tmp_path / "second").mkdir()
    with commands(second, 1) as (_, client):
        again = network()
        fastmlp.dask.fit(
            again, load, client=client, callbacks=[KillsIn([], files)] if when == "in a round"
            else [Does(9, None)], checkpoint=path, resume=True, **OPTIONS,
        )  # fmt: skip
    assert digest(again) == digest(fastmlp.dask.fit(network(), load, client=False, **OPTIONS))


def test_a_scheduler_that_is_started_again_at_the_same_address(tmp_path):
    with commands(tmp_path, 1) as (cluster, client):
        host, port = cluster.address.removeprefix("tcp://").split(":")

        def restart():
            cluster.scheduler.kill()
            cluster.scheduler.wait(SECONDS)
            cluster.start_scheduler("--host", host, "--port", port)
            cluster.start_worker()
            wait_until(lambda: client.status == "running" and client.nthreads())

        with pytest.raises(ClusterLost, match=f"{cluster.address} was lost; 1 of 4 rounds"):
            fastmlp.dask.fit(
                network(), load, client=client, callbacks=[Does(0, restart)], **OPTIONS
            )


def test_a_cluster_that_is_restarted(tmp_path):
    from helpers.dask_clusters import local_cluster

    with local_cluster(1) as client:
        with pytest.raises(ClusterLost, match="was restarted; 1 of 4 rounds"):
            fastmlp.dask.fit(
                network(), load, client=client, callbacks=[Does(0, client.restart)], **OPTIONS
            )


# Versions -------------------------------------------------------------------------------------


def preload(folder, package, version="'9.9'"):
    """Write a script that changes a version on a worker."""
    script = folder / f"preload_{package}.py"
    if version is None:
        script.write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    else:
        script.write_text(f"import {package}\n{package}.__version__ = {version}\n")
    return "--preload", str(script)


@pytest.mark.parametrize(
    "package, version, found",
    [("fastmlp", "'9.9'", "fastmlp 9.9"), ("numba", "'9.9'", "numba 9.9"),
     ("fastmlp", None, "no fastmlp")],
)  # fmt: skip
def test_other_versions_are_refused_before_anything_is_changed(tmp_path, package, version, found):
    ours = versions.here()[package]
    with commands(tmp_path, 1) as (cluster, client):
        first = next(iter(client.nthreads()))
        cluster.start_worker(*preload(tmp_path, package, version))
        client.wait_for_workers(2, timeout=SECONDS)
        (other,) = set(client.nthreads()) - {first}
        mlp = network()
        before = digest(mlp), mlp.random_state.get_state()[2]
        with pytest.raises(versions.OtherVersion) as info:
            fastmlp.dask.fit(mlp, load, client=client, **OPTIONS)
        assert str(info.value) == (
            f"worker {other} has {found}, and this process has {package} {ours}: the same version "
            "must be installed everywhere"
        )
        assert (digest(mlp), mlp.random_state.get_state()[2]) == before


def test_a_worker_of_another_version_that_joins_later(tmp_path):
    with commands(tmp_path, 1) as (cluster, client):

        def join():
            cluster.start_worker(*preload(tmp_path, "fastmlp"))
            client.wait_for_workers(2, timeout=SECONDS)

        mlp = network()
        with pytest.raises(versions.OtherVersion, match=r"has fastmlp 9\.9, and this process"):
            fastmlp.dask.fit(mlp, load, client=client, callbacks=[Does(1, join)], **OPTIONS)
        assert len(mlp.history_["loss"]) == 2


def test_a_worker_of_another_version_that_takes_over_in_a_round(tmp_path):
    (files := tmp_path / "files").mkdir()
    gate = tmp_path / "gate"
    with commands(tmp_path, 1) as (cluster, client):
        first = client.run(os.getpid)

        def replace(running):
            cluster.start_worker(*preload(tmp_path, "fastmlp"))
            client.wait_for_workers(2, timeout=SECONDS)
            return list(first.values())

        class Kills(KillsIn):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    gate.touch()  # the round does not end before
                super().on_epoch_begin(epoch)

        mlp = network(files, 0.0, gate)
        with pytest.raises(versions.OtherVersion, match=r"has fastmlp 9\.9, and this process"):
            fastmlp.dask.fit(
                mlp, load, client=client, callbacks=[Kills([1], files, replace)], **OPTIONS
            )
        assert len(mlp.history_["loss"]) == 1


def test_a_processor_that_rounds_otherwise_is_refused():
    ours = versions.here()
    versions.check("worker w", ours, ours)
    theirs = ours | {versions.FUSED: str(ours[versions.FUSED] == "False")}
    with pytest.raises(versions.OtherVersion, match="^the processor of worker w .* last bits$"):
        versions.check("worker w", theirs, ours)
