"""Rounds in this process, without Dask: one shard after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.dask.collections import Blocks
from fastmlp.dask.points import Point
from fastmlp.dask.rounds import Job, Merged, Sum, added, merged, train
from fastmlp.dask.shards import Arrays, Format, Size, loaded, read, size_of
from fastmlp.training.samples import Data


class InProcess:
    """Keeps all shards in memory, and trains on them in order."""

    n_bytes_moved = 0
    n_at_once: int | None = None

    def load(
        self, form: Format, source: Arrays | Blocks | Callable[[int], Any], validation: Data | None
    ) -> list[Size]:
        """Read all shards; return what is known of each."""
        self._validation = validation
        if isinstance(source, Blocks):
            self._shards = source.computed(form)
        else:
            self._shards = [
                read(form, shard, samples_of(source, shard, form.n_shards))
                for shard in range(form.n_shards)
            ]
        return [size_of(form, shard) for shard in self._shards]

    def round(self, job: Job, point: Point, number: int) -> Merged:
        """Return the result of a round."""
        total: Sum | None = None
        for shard, data in enumerate(self._shards):
            trained = train(job, point, data, number, shard)
            total = added(total, [trained])
            if trained.diverged:
                break
        assert total is not None
        return merged(job, point, total, self._validation)

    def close(self) -> None:
        """Release the shards."""
        self._shards = []


def samples_of(source: Arrays | Callable[[int], Any], shard: int, n_shards: int) -> Any:
    """Return X, y and the weights of a shard."""
    if isinstance(source, Arrays):
        return source.of_shard(shard, n_shards)
    return loaded(source, shard)
