"""Rounds of `local_steps` on clusters: the bits of one process, also after kills."""

import pytest

pytest.importorskip("distributed")

import dask.array as da

import fastmlp.dask
from fastmlp.dask import MLPClassifier
from fastmlp.dask.connection import ClusterLost
from helpers.callbacks import At
from helpers.dask_clusters import (
    KillsIn,
    commands,
    digest,
    kill,
    load,
    loaded,
    local_cluster,
    network,
    pids,
    wait_until,
)
from helpers.same_bits import digest_of

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
]

N_SHARDS = 8
#: An epoch of a shard has three minibatches, or up to three of those of `load`.
OPTIONS = {"n_shards": N_SHARDS, "rounds": 4, "local_steps": 4, "batch_size": 16}
X, Y = loaded(N_SHARDS)


def fit(client, data, folder=None, **options):
    mlp = network(folder, 0.05 if folder else 0.0, dropout=0.1)
    return fastmlp.dask.fit(mlp, *data, client=client, **OPTIONS | options)


def in_round(number, action):
    """Return a callback that calls a function as a round begins."""
    return At("on_epoch_begin", lambda model, epoch, logs: action() if epoch == number else None)


def test_workers_die(tmp_path):
    with local_cluster(2) as client:
        for name, data in {
            "function": (load,),
            "dask": (da.from_array(X, chunks=(70, 3)), da.from_array(Y, chunks=50)),
        }.items():
            (files := tmp_path / name).mkdir()
            kills = KillsIn([1, 2], files)
            found = fit(client, data, files, callbacks=[kills])
            expected = fit(False, (load,) if name == "function" else (X, Y))
            assert digest(found) == digest(expected), name
            assert len(kills.killed) == 2


def estimator(client, *callbacks, **options):
    return MLPClassifier(
        8, client=client, local_steps=7, batch_size=20, max_iter=5, n_iter_no_change=99,
        callbacks=list(callbacks), random_state=0, dropout=0.1, **options,
    ).fit(X, Y)  # fmt: skip


def test_workers_of_the_only_shard_and_of_estimators_die(tmp_path):
    with commands(tmp_path, 4) as (_, client):
        (files := tmp_path / "files").mkdir()
        kills = KillsIn([2], files)
        options = {"n_shards": 1, "local_steps": 5}  # of 23 in an epoch
        found = fit(client, (X, Y), files, callbacks=[kills], **options)
        assert digest(found) == digest(fit(False, (X, Y), **options)) and kills.killed
        for n_shards in (1, 4):
            dies = in_round(2, lambda: kill(next(iter(pids(client).values()))))
            found = estimator(client, dies, n_shards=n_shards)
            expected = estimator(False, n_shards=n_shards)
            assert digest_of(found.coefs_) == digest_of(expected.coefs_)
            assert found.loss_curve_ == expected.loss_curve_ and found.t_ == expected.t_
        wait_until(lambda: len(client.nthreads()) == 1)


def test_a_scheduler_dies_within_an_epoch(tmp_path):
    path = tmp_path / "rounds.npz"
    with commands(tmp_path, 1) as (cluster, client):
        dies = in_round(2, cluster.scheduler.kill)
        with pytest.raises(ClusterLost, match="2 of 4 rounds are done and kept"):
            fit(client, (X, Y), checkpoint=path, callbacks=[dies])
    goes_on = in_round(9, None)
    found = fit(False, (X, Y), checkpoint=path, resume=True, callbacks=[goes_on])
    assert digest(found) == digest(fit(False, (X, Y)))
