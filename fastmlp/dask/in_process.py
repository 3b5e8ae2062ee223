"""Rounds in this process, without Dask: one shard after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged, Trained, merge, train
from fastmlp.dask.shards import Arrays, Format, Size, loaded, read, size_of
from fastmlp.training.samples import Data


class InProcess:
    """Keeps all shards in memory, and trains on them in order."""

    n_bytes_moved, n_at_once = 0, None

    def load(
        self, form: Format, source: Arrays | Callable[[int], Any], validation: Data | None
    ) -> list[Size]:
        """Read all shards; return what is known of each."""
        self._validation = validation
        self._shards = [
            read(form, shard, samples_of(source, shard, form.n_shards))
            for shard in range(form.n_shards)
        ]
        return [size_of(form, shard) for shard in self._shards]

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""
        trained: list[Trained] = []
        for shard, data in enumerate(self._shards):
            trained.append(train(job, point, data, number, shard))
            if trained[-1].diverged:
                break
        return merge(job, point, trained, self._validation)

    def close(self) -> None:
        """Release the shards."""
        self._shards = []


def samples_of(source: Arrays | Callable[[int], Any], shard: int, n_shards: int) -> Any:
    """Return X, y and the weights of a shard."""
    if isinstance(source, Arrays):
        return source.of_shard(shard, n_shards)
    return loaded(source, shard)
