"""Rounds on the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast

from fastmlp.dask import tasks
from fastmlp.dask.collections import Blocks
from fastmlp.dask.connection import Connection, Stuck, WorkersDied, outside_pool
from fastmlp.dask.placement import Placement
from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged
from fastmlp.dask.shards import Arrays, Format, Size
from fastmlp.training.samples import Data


class Kept(NamedTuple):
    """Data that stay on the cluster for all rounds: a shard, or the validation data."""

    future: Any
    reader: str | None  # the only worker that may read them; None for any

    @property
    def needed(self) -> set[str]:
        """The worker that has to read the data, if they are not there."""
        is_there = self.future.status == "finished" or self.reader is None
        return set() if is_there else {str(self.reader)}


class Submitted(NamedTuple):
    """A task, the only worker that may compute it, and what it reads."""

    future: Any
    worker: str
    reads: Kept | None = None

    @property
    def needed(self) -> set[str]:
        """The workers without which the task cannot be computed, unless it is done."""
        if self.future.status == "finished":
            return set()
        return {self.worker} | (set() if self.reads is None else self.reads.needed)


class OnCluster:
    """Submits each round as tasks of its own.

    The tasks have the point itself, not where it is: a worker that dies costs no more than what it
    has computed of this round and the shards that it kept, which are read again. Each task is for
    one worker and, when that is gone, submitted for another one, under another key. Dask itself
    chooses workers only for the tasks that read collections.

    Parameters
    ----------
    client : dask.distributed.Client or None
        None is the current one.
    """

    n_bytes_moved = 0
    n_at_once: int | None = 0

    def __init__(self, client: Any):
        self._cluster = Connection(client)
        self._kept: list[Kept] = []  # all shards, then the validation data
        self._attempts = 0
        self._known: set[str] = set()  # the workers when Dask last began to count deaths
        self._while_open = contextlib.ExitStack()

    def load(
        self, form: Format, source: Arrays | Blocks | Callable[[int], Any], validation: Data | None
    ) -> list[Size]:
        """Read all shards; return what is known of each."""
        self._while_open.enter_context(outside_pool())
        self._form, self._source, self._scored = form, source, validation
        places, found = self._until_done(Placement([1] * form.n_shards), self._submit_sizes)
        self._placement = Placement([size.n_samples for size in found], places)
        return cast(list[Size], found)

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""
        self._cluster.check(kept.future for kept in self._kept)

        def submit(places: Sequence[str]) -> tuple[list[Submitted], list[Any]]:
            return self._submit_round(places, job, point, number)

        _, [(found, workers, self.n_bytes_moved)] = self._until_done(self._placement, submit)
        self._placement.measured(workers, found.seconds, self._threads)
        return cast(Merged, found)

    def _until_done(
        self,
        placement: Placement,
        submit: Callable[[Sequence[str]], tuple[list[Submitted], list[Any]]],
    ) -> tuple[list[str], list[Any]]:
        """Submit tasks for the present workers; return where, and the results.

        `submit` returns all tasks, and the futures of the results. Tasks are submitted again
        without the workers that died. Their deaths count for a shard until the results are there.
        """
        died: Counter[int] = Counter()  # of each shard: its workers
        while True:
            self._threads = self._cluster.workers()
            self.n_at_once = sum(self._threads.values())
            places = placement.place(self._threads)
            self._submit_kept(places)
            submitted, results = submit(places)

            def needed(submitted: Sequence[Submitted] = submitted) -> set[str]:
                return set().union(*(task.needed for task in submitted))

            try:
                found = self._cluster.results(results, needed)
                self._forget_deaths(died)
                return places, found
            except WorkersDied as error:
                died.update(i for i, place in enumerate(places) if place in error.workers)
                self._cluster.check_deaths(died)
                self._attempts += 1
                if error.are_full and isinstance(self._source, Blocks):
                    self._release_kept()  # where their tasks are, only Dask knows
            except Stuck:
                self._release_kept()
                self._attempts += 1
            finally:
                _release(task.future for task in submitted)

    def _forget_deaths(self, died: Mapping[int, int]) -> None:
        """Let Dask begin to count deaths again, too, if it may have counted some."""
        if died or self._known != set(self._threads):
            self._cluster.forget_deaths(kept.future for kept in self._kept)
            self._known = set(self._threads)

    def close(self) -> None:
        """Release the shards."""
        self._release_kept()
        self._while_open.close()

    def _release_kept(self) -> None:
        _release(kept.future for kept in self._kept)
        self._kept = []

    # Tasks ---------------------------------------------------------------------------------------

    def _submit_kept(self, places: Sequence[str]) -> None:
        """Submit the tasks that read what no worker has, or will read."""
        form, source = self._form, self._source
        if not self._kept and isinstance(source, Blocks):
            shards = self._cluster.compute(source.of_shards(form, self._key))
            self._kept = [Kept(shard, None) for shard in shards]
        lost = {i for i, kept in enumerate(self._kept) if kept.needed - set(self._threads)}
        _release(self._kept[i].future for i in lost)
        self._attempts += len(lost) > 0
        for i in range(form.n_shards + (self._scored is not None)):
            if i in lost or i == len(self._kept):
                place = places[min(i, form.n_shards - 1)]
                self._kept[i : i + 1] = [Kept(self._submit_reading(i, place), place)]

    def _submit_reading(self, i: int, place: str) -> Any:
        """Submit the task that reads a shard or, of the number after the last, validation data."""
        form, source, fit = self._form, self._source, self._cluster.fit
        if i == form.n_shards:
            return self._submit(place, "validation", [], tasks.itself, self._scored)
        if isinstance(source, Arrays):
            rows = source.of_shard(i, form.n_shards)
            return self._submit(place, "load", [i], tasks.read_rows, fit, form, i, rows)
        return self._submit(place, "load", [i], tasks.read_loaded, fit, form, i, source)

    def _submit_sizes(self, places: Sequence[str]) -> tuple[list[Submitted], list[Any]]:
        task = tasks.size_here, self._cluster.fit, self._form
        found = []
        for shard, (place, kept) in enumerate(zip(places, self._kept, strict=False)):
            size = self._submit(place, "size", [shard], *task, kept.future)
            found.append(Submitted(size, place, kept))
        return found, [each.future for each in found]

    def _submit_round(
        self, places: Sequence[str], job: Job, point: Point, number: int
    ) -> tuple[list[Submitted], list[Any]]:
        """Submit the tasks of a round. Runs of neighbours on one worker are added up there."""
        fit, submitted = self._cluster.fit, list[Submitted]()

        def submit(
            place: str, name: str, numbers: Sequence[int], *task: Any, reads: Kept | None = None
        ) -> Any:
            future = self._submit(place, name, [number, *numbers], *task)
            submitted.append(Submitted(future, place, reads))
            return future

        start = submit(places[0], "point", [], tasks.itself, point)
        trained: list[Any] = []
        task: tuple[Any, ...]
        for shard, (place, kept) in enumerate(zip(places, self._kept, strict=False)):
            task = tasks.train_here, fit, job, start, kept.future, number, shard
            trained.append(submit(place, "train", [shard], *task, reads=kept))
        total = None
        for place, run in groupby(range(len(places)), places.__getitem__):
            shards = list(run)
            task = tasks.add_here, fit, total, [trained[shard] for shard in shards]
            total = submit(place, "add", shards[:1], *task)
        scored = None if self._scored is None else self._kept[-1]
        task = tasks.merge_here, fit, job, start, total, scored and scored.future
        return submitted, [submit(places[-1], "mean", [], *task, reads=scored)]

    def _submit(self, place: str, name: str, numbers: Sequence[int], *task: Any) -> Any:
        """Submit a task to a worker."""
        return self._cluster.submit(self._key(name, *numbers), *task, worker=place)

    def _key(self, name: str, *numbers: int) -> str:
        return self._cluster.key(name, *numbers, self._attempts)


def _release(futures: Iterable[Any]) -> None:
    """Let the scheduler forget tasks, finished or not."""
    for future in futures:
        future.release()
