"""The time of a round on k workers: a formula, and a simulation event by event.

A round does this, in order:

1. The client sends the point to the scheduler, in a task, and the scheduler sends it to a worker.
2. Every other worker that trains a shard copies the point from a worker that has it.
3. The scheduler assigns the shards, one after the other, to workers that are free. A worker trains
   on one shard at a time.
4. When all are done, one worker copies the points of the shards that were trained elsewhere, and
   takes their mean.
5. The mean goes through the scheduler to the client.
"""

import heapq
import json
import math
from typing import NamedTuple

import numpy as np


class Round(NamedTuple):
    """What a round computes and moves."""

    shards: int
    shard_seconds: float  # of the training of a shard, on one worker
    point_bytes: float  # of weights, biases and moments

    @property
    def seconds_alone(self):
        """The seconds of the training of all shards, one after the other."""
        return self.shards * self.shard_seconds


class Cluster(NamedTuple):
    """What else takes time. The defaults are assumptions, not measurements."""

    client_seconds: float = 0.02  # for each round: the graph, the history
    task_seconds: float = 0.001  # for each task, in the scheduler, which runs one at a time
    bandwidth: float = 1.25e9  # of each worker's link, in bytes a second: 10 Gbit/s
    mean_bandwidth: float = 1e9  # bytes of points that a worker adds up in a second
    spread: float = 0.0  # the standard deviation of the logarithm of the time of a shard
    at_once: float = math.inf  # workers that compute at full speed: the processors they share


class Measured(NamedTuple):
    """A measured round."""

    workers: int
    round: Round
    seconds: float


def read_measured(path):
    """Return the measured rounds in a file, and the processors that the workers shared.

    The file has ``{"processors": 2, "rounds": [{"workers": 1, "shards": 4, "seconds": 4.1,
    "shard_seconds": 1.0, "point_bytes": 8049768}, ...]}``. Without the file there are none.
    """
    if not path.exists():
        return [], math.inf
    found = json.loads(path.read_text(encoding="utf-8"))
    rounds = [
        Measured(
            each["workers"],
            Round(each["shards"], each["shard_seconds"], each["point_bytes"]),
            each["seconds"],
        )
        for each in found["rounds"]
    ]
    return rounds, found["processors"]


def seconds(round_, workers, cluster):
    """Return the seconds of a round by the formula.

    For V shards of t seconds each on k workers, a point of b bytes, and c seconds of the client, s
    of the scheduler for each task, B bytes a second of a link, M of the mean::

        ceil(V / k) t + c + V s + (4 + ceil(log2 k) + V - ceil(V / k)) b / B + V b / M

    A point is sent twice before the shards, and twice after them. The number of workers that have
    it doubles with each copy.
    """
    V, t, b = round_
    k = min(workers, V)
    part = math.ceil(V / k)
    copies = 4 + math.ceil(math.log2(k)) + V - part
    training = part * t * max(1.0, k / cluster.at_once)
    overhead = cluster.client_seconds + V * cluster.task_seconds
    return training + overhead + copies * b / cluster.bandwidth + V * b / cluster.mean_bandwidth


def simulate(round_, workers, cluster, random):
    """Return the seconds of a round, simulated with the spread; `random` is a Generator."""
    V, t, b = round_
    k, copy = min(workers, V), b / cluster.bandwidth
    times = t * max(1.0, k / cluster.at_once) * np.exp(cluster.spread * random.standard_normal(V))
    begin = scheduler = cluster.client_seconds + 2 * copy
    free = [(begin, worker) for worker in range(k)]  # a heap: when, and which
    links = [begin]  # a heap: when each worker that has the point can send it
    has_point, n_trained, end = {0}, [0] * k, begin
    for seconds_of_shard in times:
        at, worker = heapq.heappop(free)
        at = scheduler = max(at, scheduler) + cluster.task_seconds
        if worker not in has_point:
            at = max(at, heapq.heappop(links)) + copy
            heapq.heappush(links, at)  # of the worker that sent it
            heapq.heappush(links, at)  # of the one that has it now
            has_point.add(worker)
        at += seconds_of_shard
        heapq.heappush(free, (at, worker))
        n_trained[worker] += 1
        end = max(end, at)
    return end + (V - max(n_trained) + 2) * copy + V * b / cluster.mean_bandwidth


def simulated_speed_up(round_, workers, cluster, rounds=20):
    """Return by what factor the workers are faster than all shards one after the other."""
    random = np.random.default_rng(0)
    mean = np.mean([simulate(round_, workers, cluster, random) for _ in range(rounds)])
    return round_.seconds_alone / mean
