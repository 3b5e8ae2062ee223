"""Rounds on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, cast

from fastmlp.dask import tasks
from fastmlp.dask.collections import Blocks
from fastmlp.dask.connection import Connection
from fastmlp.dask.placement import Placement
from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged
from fastmlp.dask.shards import Arrays, Format, Size
from fastmlp.training.samples import Data


class OnCluster:
    """Submits each round as tasks of its own.

    The tasks have the point itself, not where it is: a worker that dies costs no more than what it
    has computed of this round and the shards that it kept, which are read again.

    Parameters
    ----------
    client : dask.distributed.Client or None
        None is the current one.
    """

    n_bytes_moved = 0
    n_at_once: int | None = 0

    def __init__(self, client: Any):
        self._cluster = Connection(client)
        self._shards: list[Any] = []
        self._validation: Any = None

    def load(
        self, form: Format, source: Arrays | Blocks | Callable[[int], Any], validation: Data | None
    ) -> list[Size]:
        """Read all shards; return what is known of each."""
        n_shards, fit = form.n_shards, self._cluster.fit
        places = Placement([1] * n_shards).place(self._cluster.workers())
        if isinstance(source, Blocks):
            self._shards = self._cluster.compute(source.of_shards(form, self._cluster.key))
        sizes: list[Any] = []
        task: tuple[Any, ...]
        try:
            for shard, place in enumerate(places):
                if isinstance(source, Arrays):
                    task = tasks.read_rows, fit, form, shard, source.of_shard(shard, n_shards)
                    self._shards.append(self._submit(place, "load", [shard], *task))
                elif not isinstance(source, Blocks):
                    task = tasks.read_loaded, fit, form, shard, source
                    self._shards.append(self._submit(place, "load", [shard], *task))
                task = tasks.size_here, fit, form, self._shards[shard]
                sizes.append(self._submit(place, "size", [shard], *task))
            if validation is not None:
                self._validation = self._submit(
                    places[-1], "validation", [], tasks.itself, validation
                )
            found: list[Size] = self._cluster.results(sizes)
        finally:
            _release(sizes)
        self._placement = Placement([size.n_samples for size in found], places)
        return found

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""
        self._cluster.check(self._shards)
        threads = self._cluster.workers()
        self.n_at_once = sum(threads.values())
        places = self._placement.place(threads)
        futures: list[Any] = []
        try:
            self._submit_round(futures, job, point, number, places)
            [(found, workers, self.n_bytes_moved)] = self._cluster.results(futures[-1:])
        finally:
            _release(futures)
        self._placement.measured(workers, found.seconds, threads)
        return cast(Merged, found)

    def close(self) -> None:
        """Release the shards."""
        _release([*self._shards, self._validation])
        self._shards, self._validation = [], None

    def _submit_round(
        self, futures: list[Any], job: Job, point: Point, number: int, places: Sequence[str]
    ) -> None:
        """Submit the tasks of a round, and append their futures; the last one is the result."""
        fit = self._cluster.fit
        start = self._submit(places[0], "point", [number], tasks.itself, point)
        futures.append(start)
        trained: list[Any] = []
        task: tuple[Any, ...]
        for shard, place in enumerate(places):
            task = tasks.train_here, fit, job, start, self._shards[shard], number, shard
            trained.append(self._submit(place, "train", [number, shard], *task))
            futures.append(trained[-1])
        before = None
        for place, run in groupby(range(len(places)), places.__getitem__):
            shards = list(run)
            task = tasks.add_here, fit, before, [trained[shard] for shard in shards]
            before = self._submit(place, "add", [number, shards[0]], *task)
            futures.append(before)
        task = tasks.merge_here, fit, job, start, before, self._validation
        futures.append(self._submit(places[-1], "mean", [number], *task))

    def _submit(self, place: str, name: str, numbers: Sequence[int], *task: Any) -> Any:
        return self._cluster.submit(self._cluster.key(name, *numbers), *task, worker=place)


def _release(futures: Iterable[Any]) -> None:
    """Let the scheduler forget tasks, finished or not."""
    for future in futures:
        if future is not None:
            future.release()
