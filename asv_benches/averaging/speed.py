"""The time of a round on k workers: a formula, and a simulation event by event.

A round does this, in order:

1. The client sends the point to the scheduler, in a task, and the scheduler sends it to a worker.
2. Every other worker copies the point from one that has it.
3. The scheduler assigns the shards, one after the other. Each worker has a run of neighbours, as
   equal as can be, and trains on one shard at a time.
4. The first worker adds up the points of its shards in float64 and sends the sum to the second,
   which adds its own, and so on: the sums are in the order of the shards on any number of workers.
5. The mean goes from the last worker through the scheduler to the client.
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
    """What else takes time.

    The seconds of the client, and the bandwidth of sums, were measured with client, scheduler and a
    worker on one processor (Zen 4): a round of V = 1 to 16 shards that trained on one minibatch
    took 45 ms + 5 ms V more than without Dask for 2.7 MB, 75 ms + 10 ms V for 8 MB. The others are
    assumptions.
    """

    client_seconds: float = 0.04  # for each round: the graph, the history
    task_seconds: float = 0.002  # for each task, in the scheduler, which runs one at a time
    bandwidth: float = 1.25e9  # of each link, in bytes a second: 10 Gbit/s
    sum_bandwidth: float = 1e9  # bytes of points that a worker adds up in a second
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
    of the scheduler for each task, B bytes a second of a link, M of a sum::

        ceil(V / k) t + c + (V + k) s + (4 + ceil(log2 k) + 2 (k - 1)) b / B + V b / M

    A point is sent twice before the training, and twice after it. The number of workers that
    have it doubles with each copy. Sums have twice the bytes of a point.
    """
    V, t, b = round_
    k = min(workers, V)
    training = math.ceil(V / k) * t * max(1.0, k / cluster.at_once)
    overhead = cluster.client_seconds + (V + k) * cluster.task_seconds
    copies = 4 + math.ceil(math.log2(k)) + 2 * (k - 1)
    return training + overhead + copies * b / cluster.bandwidth + V * b / cluster.sum_bandwidth


def simulate(round_, workers, cluster, random):
    """Return the seconds of a round, simulated with the spread; `random` is a Generator."""
    V, t, b = round_
    k, copy = min(workers, V), b / cluster.bandwidth
    logarithms = cluster.spread * random.standard_normal(V) - cluster.spread**2 / 2
    times = t * max(1.0, k / cluster.at_once) * np.exp(logarithms)  # t on average
    begin = assigned = cluster.client_seconds + 2 * copy
    links = [begin]  # a heap: when each worker that has the point can send it
    added = 0.0  # when the sum of all workers before is done
    for worker in range(k):
        free, shards = 0.0, range(V * worker // k, V * (worker + 1) // k)
        for shard in shards:
            assigned += cluster.task_seconds
            if shard == shards[0]:
                free = assigned if worker == 0 else max(assigned, heapq.heappop(links)) + copy
                for _ in range(min(worker, 1) * 2):  # of the sender, and of this worker
                    heapq.heappush(links, free)
            free = max(free, assigned) + times[shard]
        moved = added + 2 * copy if worker > 0 else 0.0
        added = max(free, moved) + cluster.task_seconds + len(shards) * b / cluster.sum_bandwidth
    return added + 2 * copy


def simulated_speed_up(round_, workers, cluster, rounds=100):
    """Return by what factor the workers are faster than all shards one after the other."""
    random = np.random.default_rng(0)
    mean = np.mean([simulate(round_, workers, cluster, random) for _ in range(rounds)])
    return round_.seconds_alone / mean


#: What is drawn: rounds of many shards by their seconds, and of the same work by shards.
WORKERS = [2**i for i in range(9)]
SPREAD = 0.3
POINT_BYTES = 3 * 4 * 669_706  # [784, 512, 512, 10] in float32, with two moments
BY_SECONDS = [Round(256, t, POINT_BYTES) for t in (0.1, 1.0, 10.0)]
BY_SHARDS = [Round(shards, 256 / shards, POINT_BYTES) for shards in (16, 64, 256)]
