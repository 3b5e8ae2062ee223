"""Shards go to the workers that are fastest, and stay where they are otherwise."""

import numpy as np
import pytest

from fastmlp.dask.placement import Placement, in_runs


def rounds(placement, threads, pace, work, n, noise=0.0, random=None):
    """Simulate rounds on workers that take `pace[worker] * work[shard]`; return their times."""
    times, placed = [], []
    for _ in range(n):
        workers = list(placement.place(threads))
        seconds = np.array([pace[w] * c for w, c in zip(workers, work, strict=True)])
        if random is not None:
            seconds *= 1 + noise * random.uniform(-1, 1, len(seconds))
        k = {w: workers.count(w) for w in threads}
        # Threads that have no shard help with the others.
        seconds /= [max(1, threads[w] / k[w]) for w in workers]
        totals = dict.fromkeys(threads, 0.0)
        for worker, s in zip(workers, seconds, strict=True):
            totals[worker] += s / min(threads[worker], k[worker])
        times.append(max(totals.values()))
        placed.append(workers)
        placement.measured(workers, list(seconds), threads)
    return times, placed


def names(n):
    return [f"w{i:03}" for i in range(n)]


@pytest.mark.parametrize("n_shards, n_workers", [(1, 3), (4, 4), (16, 3), (7, 2), (256, 64)])
def test_the_first_round_is_in_equal_runs(n_shards, n_workers):
    threads = dict.fromkeys(names(n_workers), 1)
    found = in_runs(n_shards, threads)
    assert len(found) == n_shards and found == sorted(found)
    counts = [found.count(w) for w in threads]
    assert max(counts) - min(counts) <= 1


def test_the_first_round_counts_threads():
    assert in_runs(12, {"a": 1, "b": 3, "c": 2}) == ["a"] * 2 + ["b"] * 6 + ["c"] * 4


@pytest.mark.parametrize("n_workers", [2, 5, 64])
def test_equal_workers_keep_their_shards_in_spite_of_noise(n_workers):
    threads = dict.fromkeys(names(n_workers), 1)
    work = [1.0] * (4 * n_workers)
    _, placed = rounds(
        Placement([100] * len(work)), threads, dict.fromkeys(threads, 1.0), work, 30, 0.08,
        np.random.RandomState(0),
    )  # fmt: skip
    assert all(workers == placed[0] for workers in placed)


@pytest.mark.parametrize("n_workers, slower", [(2, 10), (4, 3), (32, 5), (256, 20)])
def test_a_slow_worker_is_waited_for_once(n_workers, slower):
    threads = dict.fromkeys(names(n_workers), 1)
    pace = dict.fromkeys(threads, 1.0) | {"w001": float(slower)}
    work = [1.0] * (8 * n_workers)
    times, placed = rounds(Placement([100] * len(work)), threads, pace, work, 10)
    rate = n_workers - 1 + 1 / slower
    assert times[0] == 8 * slower
    assert max(times[1:]) <= np.ceil(len(work) / rate) + 1, times
    assert placed[1].count("w001") < 8
    moved = sum(a != b for a, b in zip(placed[0], placed[1], strict=True))
    assert moved <= 16  # its own, and some that made room for neighbours
    assert placed[2] == placed[1]


def test_a_worker_that_is_fast_again_gets_shards_again():
    threads = dict.fromkeys(names(4), 1)
    placement, work = Placement([100] * 4), [1.0] * 4
    pace = dict.fromkeys(threads, 1.0)
    rounds(placement, threads, pace, work, 2)
    rounds(placement, threads, pace | {"w002": 8.0}, work, 1)
    times, placed = rounds(placement, threads, pace, work, 60)
    assert times[0] == 2 and "w002" not in placed[0]
    assert times[-1] == 1 and len(set(placed[-1])) == 4


def test_workers_that_join_get_shards_and_those_of_dead_ones_are_shared():
    placement, work = Placement([100] * 12), [1.0] * 12
    pace = dict.fromkeys(names(6), 1.0)
    rounds(placement, dict.fromkeys(names(2), 1), pace, work, 2)
    times, placed = rounds(placement, dict.fromkeys(names(4), 1), pace, work, 2)
    assert times == [3, 3] and placed[0] == placed[1]
    left = {"w001": 1, "w002": 1, "w003": 1}
    times, after = rounds(placement, left, pace, work, 2)
    assert times == [4, 4]
    assert sum(a != b for a, b in zip(placed[1], after[0], strict=True)) == 3


def test_all_workers_are_new():
    placement, work = Placement([100] * 6), [1.0] * 6
    pace = dict.fromkeys(names(9), 1.0)
    rounds(placement, {"w000": 1, "w001": 1}, pace, work, 2)
    times, _ = rounds(placement, {"w006": 1, "w007": 1, "w008": 1}, pace, work, 2)
    assert times == [2, 2]


def test_threads_and_unequal_shards():
    random = np.random.RandomState(1)
    threads = {"a": 4, "b": 2, "c": 1}
    work = random.uniform(0.2, 3, 40)  # not as their rows say
    times, _ = rounds(Placement([100] * 40), threads, dict.fromkeys(threads, 1.0), work, 30)
    assert times[-1] <= 1.15 * max(sum(work) / 7, max(work))


def test_short_rounds_move_nothing():
    threads = dict.fromkeys(names(2), 1)
    pace = {"w000": 0.001, "w001": 0.004}
    _, placed = rounds(Placement([100] * 8), threads, pace, [1.0] * 8, 5)
    assert all(workers == placed[0] for workers in placed)


@pytest.mark.parametrize("seconds", [0.0, 1e-12])
def test_no_time_at_all(seconds):
    placement = Placement([0, 0, 5])
    threads = {"a": 1, "b": 1}
    for _ in range(3):
        placement.measured(placement.place(threads), [seconds] * 3, threads)


def test_many_shards_are_placed_in_a_moment():
    import time

    threads = dict.fromkeys(names(256), 1)
    random = np.random.RandomState(0)
    placement = Placement([100] * 1024)
    placement.measured(placement.place(threads), list(random.uniform(0.2, 5, 1024)), threads)
    began = time.process_time()
    placement.place(threads)
    assert time.process_time() - began < 5
