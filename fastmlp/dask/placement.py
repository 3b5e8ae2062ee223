"""Which worker trains on which shard, from the times that earlier rounds took.

Dask places tasks by where their data are. That leaves every shard on a worker that became slow, and
none to one that joined.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

LEAST_GAIN = 0.1  # of the time of a round, for which shards move
LEAST_SECONDS = 0.05  # that they must gain, because data that move take time
FORGETTING = 0.95  # a round, of the time of a worker that has no shard
NEIGHBOUR = 0.9  # neighbours are added up on their worker: worth 10 % of a round
NEW = 0.2  # the part of the last round in the mean over rounds of what a shard takes


class Placement:
    """Distributes shards to workers, so that all end at about the same time.

    The cost of a shard on a worker, the time for which it occupies all threads, is the work of the
    shard times what the worker took for a unit of work in the last round. Work is in rows at first,
    later a mean over rounds. A new worker counts as the median of the others.

    Parameters
    ----------
    rows : list of int
        Of each shard.
    workers : list of str, optional
        Where each shard is now.
    """

    def __init__(self, rows: Sequence[int], workers: Sequence[str] = ()):
        self._work = [float(max(1, n)) for n in rows]
        self._pace: dict[str, float] = {}  # seconds of each worker for a unit of work
        self.workers = list(workers)

    def place(self, threads: Mapping[str, int]) -> list[str]:
        """Return the worker of each shard, for the threads of the present workers."""
        if not self.workers:
            self.workers = in_runs(len(self._work), threads)
            return self.workers
        costs = _Costs(self._work, self._pace, list(threads))
        present = _with_all_placed(self.workers, costs)
        better = _balanced(present, costs)
        gain = costs.longest(present) - costs.longest(better)
        if gain >= max(LEAST_SECONDS, LEAST_GAIN * costs.longest(present)):
            present = better
        self.workers = present
        return present

    def measured(
        self, workers: Sequence[str], seconds: Sequence[float], threads: Mapping[str, int]
    ) -> None:
        """Take note of where a round was trained, and of how long each shard took."""
        at_once = {w: min(workers.count(w), threads.get(w, 1)) for w in set(workers)}
        costs = [s / at_once[w] for w, s in zip(workers, seconds, strict=True)]
        self._pace = {worker: pace * FORGETTING for worker, pace in self._pace.items()}
        for worker in at_once:
            here = [shard for shard, each in enumerate(workers) if each == worker]
            pace = sum(costs[shard] for shard in here) / sum(self._work[shard] for shard in here)
            self._pace[worker] = pace = max(pace, 1e-9)
            for shard in here:
                self._work[shard] += NEW * (costs[shard] / pace - self._work[shard])
        self.workers = list(workers)


class _Costs:
    """The time that each shard would take on each worker, and each worker for all its shards."""

    def __init__(self, work: Sequence[float], pace: Mapping[str, float], workers: Sequence[str]):
        unknown = statistics.median(pace.values()) if pace else 1.0
        self.work = work
        self._pace = {worker: pace.get(worker, unknown) for worker in workers}

    def __call__(self, shard: int, worker: str) -> float:
        return self.work[shard] * self._pace[worker]

    def totals(self, placed: Sequence[str]) -> dict[str, float]:
        """Return the time of each worker; shards that are nowhere do not count."""
        found = dict.fromkeys(self._pace, 0.0)
        for shard, worker in enumerate(placed):
            if worker in found:
                found[worker] += self(shard, worker)
        return found

    def longest(self, placed: Sequence[str]) -> float:
        """Return the time of a round."""
        return max(self.totals(placed).values())


def in_runs(n_shards: int, threads: Mapping[str, int]) -> list[str]:
    """Return a worker for each shard by threads alone: runs of neighbours, as equal as can be."""
    total, found, before = sum(threads.values()), [], 0
    for worker, n in threads.items():
        end = before + n
        found += [worker] * (end * n_shards // total - before * n_shards // total)
        before = end
    return found


def _with_all_placed(before: Sequence[str], costs: _Costs) -> list[str]:
    """Return the same, with each shard of a worker that is gone where it would end first."""
    placed, totals = list(before), costs.totals(before)
    unplaced = [shard for shard, worker in enumerate(before) if worker not in totals]
    for shard in sorted(unplaced, key=lambda shard: -costs.work[shard]):
        placed[shard] = min(totals, key=lambda worker: totals[worker] + costs(shard, worker))
        totals[placed[shard]] += costs(shard, placed[shard])
    return placed


def _balanced(before: Sequence[str], costs: _Costs) -> list[str]:
    """Move a shard of the worker that ends last, as long as both workers then end before that."""
    placed, totals = list(before), costs.totals(before)
    while True:
        last = max(totals, key=lambda worker: totals[worker])
        best, shortest = None, totals[last] * 0.999
        for shard in (i for i, worker in enumerate(placed) if worker == last):
            stays = totals[last] - costs(shard, last)
            for worker, total in totals.items():
                ends = max(stays, total + costs(shard, worker))
                if worker == last or ends >= totals[last] * 0.999:
                    continue
                if worker in placed[max(0, shard - 1) : shard + 2]:
                    ends *= NEIGHBOUR
                if ends < shortest:
                    best, shortest = (shard, worker), ends
        if best is None:
            return placed
        shard, worker = best
        totals[last] -= costs(shard, last)
        totals[worker] += costs(shard, worker)
        placed[shard] = worker
