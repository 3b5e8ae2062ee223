"""Rounds on the workers of a Dask cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, cast

from fastmlp.dask import tasks
from fastmlp.dask.collections import Blocks
from fastmlp.dask.connection import Connection, Stuck, WorkersDied
from fastmlp.dask.placement import Placement
from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged
from fastmlp.dask.shards import Arrays, Format, Size
from fastmlp.training.samples import Data

Placed = tuple[Any, str]  # the future of a task, and the only worker that may compute it


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
        self._attempts = 0

    def load(
        self, form: Format, source: Arrays | Blocks | Callable[[int], Any], validation: Data | None
    ) -> list[Size]:
        """Read all shards; return what is known of each."""
        self._form, self._source, self._scored = form, source, validation
        places, found = self._until_done(Placement([1] * form.n_shards), self._submit_sizes)
        self._placement = Placement([size.n_samples for size in found], places)
        return cast(list[Size], found)

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""
        self._cluster.check(self._shards)

        def submit(places: Sequence[str]) -> tuple[list[Placed], list[Any]]:
            return self._submit_round(places, job, point, number)

        _, [(found, workers, self.n_bytes_moved)] = self._until_done(self._placement, submit)
        self._placement.measured(workers, found.seconds, self._threads)
        return cast(Merged, found)

    def _until_done(
        self,
        placement: Placement,
        submit: Callable[[Sequence[str]], tuple[list[Placed], list[Any]]],
    ) -> tuple[list[str], list[Any]]:
        """Submit tasks for the present workers; return where, and the results.

        `submit` returns all tasks, and the futures of the results. They are submitted again without
        the workers that died. If all did, Dask may leave the reading of shards, too.
        """
        died: Counter[int] = Counter()  # of each shard: its workers
        while True:
            self._threads = self._cluster.workers()
            self.n_at_once = sum(self._threads.values())
            places = placement.place(self._threads)
            if not self._shards:
                self._submit_shards(places)
            placed, results = submit(places)
            try:
                return places, self._cluster.results(results, placed)
            except WorkersDied as error:
                died.update(i for i, place in enumerate(places) if place in error.workers)
                self._cluster.check_deaths(died)
                self._attempts += 1
            except Stuck:
                self.close()
                self._attempts += 1
            finally:
                _release(future for future, _ in placed)

    def close(self) -> None:
        """Release the shards."""
        _release([*self._shards, self._validation])
        self._shards, self._validation = [], None

    def _submit_shards(self, places: Sequence[str]) -> None:
        """Submit the tasks that read shards, and the validation data."""
        form, source, fit = self._form, self._source, self._cluster.fit
        task: tuple[Any, ...]
        if isinstance(source, Blocks):
            self._shards = self._cluster.compute(source.of_shards(form, self._key))
        else:
            for shard, place in enumerate(places):
                if isinstance(source, Arrays):
                    task = tasks.read_rows, fit, form, shard, source.of_shard(shard, form.n_shards)
                else:
                    task = tasks.read_loaded, fit, form, shard, source
                self._shards.append(self._submit(place, "load", [shard], *task, only=False))
        if self._scored is not None:
            self._validation = self._submit(
                places[-1], "validation", [], tasks.itself, self._scored, only=False
            )

    def _submit_sizes(self, places: Sequence[str]) -> tuple[list[Placed], list[Any]]:
        task = tasks.size_here, self._cluster.fit, self._form
        sizes = [
            self._submit(place, "size", [shard], *task, self._shards[shard])
            for shard, place in enumerate(places)
        ]
        return list(zip(sizes, places, strict=True)), sizes

    def _submit_round(
        self, places: Sequence[str], job: Job, point: Point, number: int
    ) -> tuple[list[Placed], list[Any]]:
        """Submit the tasks of a round. Runs of neighbours on one worker are added up there."""
        fit, placed = self._cluster.fit, []

        def submit(place: str, name: str, numbers: Sequence[int], *task: Any) -> Any:
            future = self._submit(place, name, [number, *numbers], *task)
            placed.append((future, place))
            return future

        start = submit(places[0], "point", [], tasks.itself, point)
        trained: list[Any] = []
        task: tuple[Any, ...]
        for shard, place in enumerate(places):
            task = tasks.train_here, fit, job, start, self._shards[shard], number, shard
            trained.append(submit(place, "train", [shard], *task))
        total = None
        for place, run in groupby(range(len(places)), places.__getitem__):
            shards = list(run)
            task = tasks.add_here, fit, total, [trained[shard] for shard in shards]
            total = submit(place, "add", shards[:1], *task)
        task = tasks.merge_here, fit, job, start, total, self._validation
        mean = submit(places[-1], "mean", [], *task)
        return placed, [mean]

    def _submit(
        self, place: str, name: str, numbers: Sequence[int], *task: Any, only: bool = True
    ) -> Any:
        """Submit a task to a worker, only there or also to others if it is gone or behind."""
        key = self._key(name, *numbers)
        return self._cluster.submit(key, *task, worker=place, only=only)

    def _key(self, name: str, *numbers: int) -> str:
        return self._cluster.key(name, *numbers, self._attempts)


def _release(futures: Iterable[Any]) -> None:
    """Let the scheduler forget tasks, finished or not."""
    for future in futures:
        if future is not None:
            future.release()
