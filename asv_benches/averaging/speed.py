"""The time of a round on k workers: a formula, and a simulation event by event.

A round does this, in order:

1. The client sends the graph, with the point in it, to the scheduler, which sends it to one worker.
2. Every other worker that trains a shard copies the point from a worker that has it.
3. The scheduler assigns shards, one after the other, to the workers that are free; each trains
   its shard and tells the scheduler.
4. One worker copies the points of all shards that it does not have itself, and takes their mean.
5. The mean goes through the scheduler to the client.
"""

import heapq
import math
from typing import NamedTuple

import numpy as np


class Round(NamedTuple):
    """What a round computes and moves."""

    shards: int
    shard_seconds: float  # a shard's training on one worker
    point_bytes: float  # weights, biases and moments


class Cluster(NamedTuple):
    """What a cluster costs besides; the defaults are those that the page states."""

    client_seconds: float = 0.01  # a round, in the client: the graph, callbacks, history
    task_seconds: float = 0.001  # a task, in the scheduler, which does one thing at a time
    bandwidth: float = 1.25e9  # bytes a second of each machine's link, in and out: 10 Gbit/s
    mean_bandwidth: float = 2e9  # bytes of points a second that one worker adds up in float64
    slowness: float = 0.0  # standard deviation of the logarithm of a shard's time


def seconds(round_, workers, cluster):
    """Return the seconds of a round by the formula.

    ``ceil(V / k) t + (client + V task) + (4 + ceil(log2 k) + V - ceil(V / k)) b / B + V b / M``
    for V shards of t seconds on k workers and a point of b bytes: the largest part of a worker, the
    overhead, the copies, and the mean. A point is moved twice at the start and twice at the end,
    because the scheduler is between. Its copies double with each step.
    """
    V, t, b = round_
    k = min(workers, V)
    part = math.ceil(V / k)
    copies = 4 + math.ceil(math.log2(k)) + V - part
    overhead = cluster.client_seconds + V * cluster.task_seconds
    return part * t + overhead + copies * b / cluster.bandwidth + V * b / cluster.mean_bandwidth


def simulate(round_, workers, cluster, random):
    """Return the seconds of a round, simulated; `random` is a Generator."""
    V, t, b = round_
    copy = b / cluster.bandwidth
    start = cluster.client_seconds + 2 * copy
    slow = np.exp(cluster.slowness * random.standard_normal(V))
    free = [(start, worker) for worker in range(min(workers, V))]
    sources = [start]  # when the links of the workers that have the point are free
    scheduler, ends, trained = start, [], [0] * len(free)
    has_point = {0}
    for shard in range(V):
        at, worker = heapq.heappop(free)
        at = scheduler = max(at, scheduler) + cluster.task_seconds
        if worker not in has_point:
            at = max(at, heapq.heappop(sources)) + copy
            heapq.heappush(sources, at)  # of the worker that gave it
            heapq.heappush(sources, at)  # and of this one
            has_point.add(worker)
        at += t * slow[shard]
        trained[worker] += 1
        heapq.heappush(free, (at, worker))
        ends.append(at)
    fetched = (V - max(trained)) * copy
    return max(ends) + fetched + V * b / cluster.mean_bandwidth + 2 * copy


def speed_up(round_, workers, cluster, rounds=25):
    """Return how much faster the workers are than one without a cluster, by the simulation."""
    random = np.random.default_rng(0)
    alone = round_.shards * round_.shard_seconds
    return alone / np.mean([simulate(round_, workers, cluster, random) for _ in range(rounds)])
