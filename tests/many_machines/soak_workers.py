"""Disturb the workers of Dask clusters at random moments, and compare every bit of what they train.

    python tests/many_machines/soak_workers.py [--seconds 600] [--seed 0] [--rounds N] [--first N]

A round starts a cluster, with nannies or without, and some trainings on it. While they run, workers
are killed (one, several or all), stopped for a while, retired, and started. What a training leaves
must be what it leaves in one process without Dask. If workers die so often that `fit` gives up, it
is resumed from its checkpoint.

A round is known by the seed and its number, which are printed: `--seed 3 --first 17 --rounds 1`
draws the trainings again, though not the moments. POSIX only.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # helpers

import dask
import dask.array as da

import fastmlp
import fastmlp.dask
from fastmlp import MLP
from fastmlp.dask.connection import ClusterLost
from helpers.dask_clusters import Rate, commands, digest, load, loaded, local_cluster

TRAININGS = 3  # in a round
LONGEST = 150  # seconds that a training may take
MOST_WORKERS = 4
ATTEMPTS = 20  # of a training


class Training(NamedTuple):
    """The arguments of a training."""

    source: str
    hidden: list
    seconds: float  # that a step takes
    options: dict

    def run(self, client, **options):
        """Train, or resume; return the network."""
        seconds = self.seconds if client else 0.0
        n_shards = self.options["n_shards"]
        X, y = loaded(n_shards)
        if self.source == "dask arrays" and client:
            X, y = da.from_array(X, chunks=(37, 5)), da.from_array(y, chunks=50)
        data = (load,) if self.source == "function" else (X, y)
        mlp = MLP([8, *self.hidden, 3], learning_rate=Rate(None, seconds), random_state=5)
        options = self.options | options
        if n_shards % 2:
            options["validation_data"] = loaded(1)
        return fastmlp.dask.fit(mlp, *data, client=client, **options)


def drawn(seed, number):
    """Return the kind of cluster of a round, and its trainings."""
    draws = random.Random(f"{seed} {number}")
    kind = draws.choice(["nannies", "nannies", "adaptive", "commands", "commands"])
    n_workers, n_threads = draws.randint(1, MOST_WORKERS), draws.choice([1, 1, 2])
    trainings = []
    for _ in range(TRAININGS):
        n_shards, steps = draws.choice([1, 2, 3, 4, 8, 16]), draws.randint(2, 20)
        options = {
            "n_shards": n_shards,
            "rounds": draws.randint(3, 8),
            draws.choice(["local_epochs", "local_steps"]): draws.randint(1, 3),
            "batch_size": draws.choice([8, 16, 64]),
        }
        source = draws.choice(["function", "arrays", "dask arrays"])
        trainings.append(
            Training(source, [16] * draws.randint(1, 2), draws.choice([0, 0.3]) / steps, options)
        )
    return kind, n_workers, n_threads, trainings


# Clusters -----------------------------------------------------------------------------------------


class WithNannies:
    """A `LocalCluster`, whose nannies start a worker in place of one that died."""

    events = "kill", "kill", "kill", "stop", "scale"

    def __init__(self, client):
        self.client = client

    def pids(self):
        """Return the processes of workers."""
        found = [nanny.pid for nanny in list(self.client.cluster.workers.values())]
        return [pid for pid in found if pid is not None]

    def scale(self):
        """Start workers, or retire some."""
        self.client.cluster.scale(random.randint(1, MOST_WORKERS))


class Adaptive(WithNannies):
    """A `LocalCluster` that starts and retires workers by itself, down to none."""

    events = "kill", "stop", "wait"

    def __init__(self, client):
        super().__init__(client)
        client.cluster.adapt(minimum=0, maximum=MOST_WORKERS, interval="300ms", wait_count=2)

    def wait(self):
        """Leave the workers alone."""


class OfCommands:
    """Workers without nannies: as many as die are started elsewhere, at some time."""

    events = "kill", "kill", "start", "start", "stop", "retire"

    def __init__(self, client, cluster):
        self.client, self.cluster = client, cluster

    def pids(self):
        """Return the processes of workers."""
        _, *workers = self.cluster.processes  # the first is the scheduler
        return [process.pid for process in workers if process.poll() is None]

    def start(self):
        """Start a worker, unless there are many."""
        if len(self.pids()) < MOST_WORKERS:
            self.cluster.start_worker()

    def retire(self):
        """Retire a worker, unless it is the only one."""
        workers = list(self.client.nthreads())
        if len(workers) > 1:
            self.client.retire_workers([random.choice(workers)])


@contextlib.contextmanager
def started(kind, n_workers, n_threads, folder):
    """Start a cluster of a kind."""
    if kind == "commands":
        with commands(folder, n_workers, n_threads=n_threads) as (cluster, client):
            yield OfCommands(client, cluster)
    else:
        with local_cluster(n_workers, threads_per_worker=n_threads) as client:
            yield (Adaptive if kind == "adaptive" else WithNannies)(client)


def disturb(cluster, counts):
    """Do something to the workers of a cluster."""
    event = random.choice(cluster.events)
    if event not in ("kill", "stop"):
        getattr(cluster, event)()
        counts[event] += 1
        return
    pids = cluster.pids()
    random.shuffle(pids)
    if event == "stop":
        with contextlib.suppress(ProcessLookupError):
            for pid in pids[:1]:
                os.kill(pid, signal.SIGSTOP)
                counts["stop"] += 1
                time.sleep(random.expovariate(1))
                os.kill(pid, signal.SIGCONT)
        return
    n = random.choice([1, 1, 1, 2, len(pids)])
    for pid in pids[:n]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            counts["kill"] += 1
    if cluster.events == OfCommands.events and n >= len(pids):
        cluster.start()


# Rounds -------------------------------------------------------------------------------------------


def until_done(training, client, path, counts, found):
    """Train, and resume if `fit` gives up; put the digest, or what went wrong, into `found`."""
    try:
        for _ in range(ATTEMPTS):
            try:
                mlp = training.run(client, checkpoint=path, resume=True)
            except ClusterLost as error:
                counts["gave up"] += 1
                print(f"  {error}", flush=True)
                continue
            found.append(digest(mlp))
            if digest(fastmlp.load(path)) != found[0]:
                found[:] = ["the checkpoint is another network"]
            return
        found.append(f"no end after {ATTEMPTS} calls")
    except BaseException:
        found.append(traceback.format_exc())


def one_training(training, cluster, path, counts):
    """Run a training under disturbances; return what is wrong."""
    expected, found = digest(training.run(False)), []
    thread = threading.Thread(
        target=until_done, args=(training, cluster.client, path, counts, found), daemon=True
    )
    thread.start()
    ends, pause = time.monotonic() + LONGEST, random.uniform(1, 6)
    while thread.is_alive() and time.monotonic() < ends:
        thread.join(random.expovariate(1 / pause))
        if thread.is_alive() and time.monotonic() < ends - LONGEST / 3:  # then in peace
            disturb(cluster, counts)
    if thread.is_alive():
        faulthandler.dump_traceback(all_threads=True)
        return [f"no end after {LONGEST} s"]
    counts["trainings"] += 1
    if found == [expected]:
        return []
    return found if isinstance(found[0], str) else ["other bits"]


def one_round(seed, number, base, counts):
    """Run a round; return what is wrong."""
    kind, n_workers, n_threads, trainings = drawn(seed, number)
    counts[kind] += 1
    with started(kind, n_workers, n_threads, base) as cluster:
        for i, training in enumerate(trainings):
            found = one_training(training, cluster, base / f"{i}.npz", counts)
            if found:
                return [str(training), *found]
    return []


def main():
    """Run rounds until the time is up; return 1 if any bit differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="begin no round later")
    parser.add_argument("--rounds", type=int, default=10**9, help="run no more than these")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all trainings")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    args = parser.parse_args()
    dask.config.set({"logging.distributed": "critical"})  # which says that workers die
    warnings.simplefilter("ignore")  # rounds are short, and at times there are no workers
    ends, counts, failed = time.monotonic() + args.seconds, Counter(), []
    number = args.first
    while number < args.first + args.rounds and time.monotonic() < ends:
        base = Path(tempfile.mkdtemp(prefix=f"soak-workers-{args.seed}-{number}-"))
        before, began = Counter(counts), time.monotonic()
        try:
            found = one_round(args.seed, number, base, counts)
        except Exception:
            found = [traceback.format_exc()]
        done = ", ".join(f"{n} {kind}" for kind, n in (counts - before).items())
        seconds = time.monotonic() - began
        print(f"seed {args.seed} round {number}, {seconds:.0f} s: {done}", flush=True)
        if found:
            failed.append(number)
            print(*found, f"see {base}", sep="\n  ", flush=True)
        else:
            shutil.rmtree(base)
        number += 1
    print(json.dumps({"seed": args.seed, "rounds": number - args.first, **counts}))
    for each in failed:
        print(f"FAILED: again with --seed {args.seed} --first {each} --rounds 1")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
