"""Rounds on the workers of a Dask cluster."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from fastmlp.dask.collections import Blocks
from fastmlp.dask.in_process import samples_of
from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged, Trained, merge, train
from fastmlp.dask.shards import Arrays, Format, Size, loaded, read, size_of
from fastmlp.messages import must, shown
from fastmlp.training.samples import Data


class Placed(NamedTuple):
    """The result of a shard, and the address of its worker."""

    trained: Trained
    worker: str


class OnCluster:
    """Submits each round as a small graph of its own.

    The graph has the point itself, not where it is: a worker that dies costs no more than what it
    has computed of this round and the shards that it kept, which are read again.
    """

    n_bytes_moved = n_at_once = 0

    def __init__(self, client: Any):
        self._client = client_of(client)
        self._token = uuid.uuid4().hex[:8]
        self._shards: list[Any] = []

    def load(
        self, form: Format, source: Arrays | Blocks | Callable[[int], Any], validation: Data | None
    ) -> list[Size]:
        """Submit the reading of all shards; return what is known of each."""
        client = self._client
        if isinstance(source, Blocks):
            delayed = [source.of_shard(shard, form.n_shards) for shard in range(form.n_shards)]
            samples = client.compute(delayed)
        else:
            samples = [None] * form.n_shards
        for shard in range(form.n_shards):
            key = self._key("load", shard)
            if isinstance(source, Blocks):
                future = client.submit(read, form, shard, samples[shard], key=key)
            elif isinstance(source, Arrays):
                rows = samples_of(source, shard, form.n_shards)
                future = client.submit(read, form, shard, rows, key=key)
            else:
                future = client.submit(read_loaded, form, shard, source, key=key)
            self._shards.append(future)
        sizes = [
            client.submit(size_of, form, data, key=self._key("size", shard))
            for shard, data in enumerate(self._shards)
        ]
        self._validation = None
        if validation is not None:
            self._validation = client.submit(itself, validation, key=self._key("validation"))
        return list(client.gather(sizes))

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""
        client = self._client
        self.n_at_once = sum(client.nthreads().values()) or 1
        start = client.submit(itself, point, key=self._key("point", number))
        trained = [
            client.submit(
                train_here, job, start, data, number, shard, key=self._key("train", number, shard)
            )
            for shard, data in enumerate(self._shards)
        ]
        merged = client.submit(
            merge_here, job, start, trained, self._validation, key=self._key("mean", number)
        )
        found, self.n_bytes_moved = merged.result()
        return found

    def close(self) -> None:
        """Release the shards."""
        self._shards, self._validation = [], None

    def _key(self, task: str, *numbers: int) -> str:
        return "-".join([f"fastmlp_{task}", self._token, *map(str, numbers)])


def client_of(client: Any) -> Any:
    """Return the client, or for None the current one."""
    from distributed import Client, default_client

    if client is None:
        try:
            return default_client()
        except ValueError:
            requirement = "be a dask.distributed.Client, or False for this process, without one"
            raise ValueError(must("client", requirement, "None")) from None
    if not isinstance(client, Client):
        raise TypeError(must("client", "be a dask.distributed.Client or False", shown(client)))
    return client


# On workers --------------------------------------------------------------------------------------


def itself(value: Any) -> Any:
    """Return the argument, as a task whose result is known to the scheduler."""
    return value


def read_loaded(form: Format, shard: int, load: Callable[[int], Any]) -> Data:
    """Return the samples of a shard that a function loads."""
    return read(form, shard, loaded(load, shard))


def train_here(job: Job, point: Point, data: Data, number: int, shard: int) -> Placed:
    """Train on a shard, and say where."""
    from distributed import get_worker

    return Placed(train(job, point, data, number, shard), get_worker().address)


def merge_here(
    job: Job, before: Point, placed: list[Placed], validation: Data | None
) -> tuple[Merged, int]:
    """Return the result of a round, and the bytes of points that it has moved."""
    from distributed import get_worker

    here = get_worker().address
    merged = merge(job, before, [each.trained for each in placed], validation)
    to_workers = len({each.worker for each in placed})
    from_workers = sum(each.worker != here for each in placed)
    return merged, (1 + to_workers + from_workers) * before.n_bytes
