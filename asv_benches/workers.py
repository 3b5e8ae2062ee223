"""Time rounds of `fastmlp.dask.fit` on one and two workers, and plain fits in as many processes.

    tox -e workers                                    # some minutes
    python asv_benches/workers.py --workers 1,2,4 --rounds 3
    python asv_benches/workers.py --measured asv_benches/averaging/measured.json

The network is [784, 512, 512, 10] in batches of 128, float32, SGD; there are four shards, made by a
function. Workers are processes of one thread. "fit" trains on as many rows without Dask: in one
process, and half of them in each of two at once, which is what the machine gives. All turns are
interleaved. --measured writes the medians for the chart of `averaging`.
"""

import functools
import json
import multiprocessing
import time

import numpy as np
from benchmarks.timed import interleave, median_ratio, seconds_of
from tooling import at_least, heading, list_of, make_parser, new_file, save

import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.dask.points import point_of

LAYERS, BATCH_SIZE, SHARDS, ROUNDS = [784, 512, 512, 10], 128, 4, 3


def load(rows, shard):
    """Return the samples of a shard."""
    random = np.random.default_rng(shard)
    return random.random((rows, LAYERS[0]), np.float32), random.integers(0, LAYERS[-1], rows)


def network():
    """Return a new network of one thread."""
    return MLP(LAYERS, optimizer="sgd", learning_rate=0.01, random_state=0, n_threads=1)


class Ends(Callback):
    """Notes when each round ends."""

    def __init__(self):
        self.times = []

    def on_epoch_end(self, epoch, logs=None):
        """Note the time."""
        self.times.append(time.perf_counter())


def seconds_a_round(client, rows):
    """Return the median seconds of the rounds of a fit, but the first one, which reads the data."""
    ends = Ends()
    fastmlp.dask.fit(
        network(), functools.partial(load, rows), client=client, n_shards=SHARDS,
        rounds=ROUNDS + 1, batch_size=BATCH_SIZE, scale_rate=1.0, callbacks=[ends],
    )  # fmt: skip
    return float(np.median(np.diff(ends.times)))


@functools.cache
def samples(rows, shards):
    """Return the samples of some shards, kept in the process."""
    X, y = zip(*(load(rows, shard) for shard in shards), strict=True)
    return np.concatenate(X), np.concatenate(y)


def fit_plainly(rows, shards):
    """Train for one epoch on some shards; return the seconds."""
    X, y = samples(rows, shards)
    net = network().fit(X[:BATCH_SIZE], y[:BATCH_SIZE], epochs=1)
    return seconds_of(lambda: net.fit(X, y, epochs=1, batch_size=BATCH_SIZE))


def plain_turn(pool, rows, n):
    """Return the seconds of an epoch that n processes share."""
    parts = [tuple(range(SHARDS))[i::n] for i in range(n)]
    return max(pool.starmap(fit_plainly, [(rows, part) for part in parts], chunksize=1))


def measured(seconds, workers):
    """Return what `averaging` draws: the medians of rounds, and what the processors are worth."""
    alone = np.median(seconds["fit 1"])
    rounds = [
        {
            "workers": n,
            "shards": SHARDS,
            "seconds": float(np.median(seconds[f"workers {n}"])),
            "shard_seconds": float(alone) / SHARDS,
            "point_bytes": point_of(network()._state).n_bytes,
        }
        for n in workers
    ]
    worth = max(1 / median_ratio(seconds[f"fit {n}"], seconds["fit 1"]) for n in workers)
    return {"processors": round(worth, 2), "rounds": rounds}


def main():
    """Measure, print the table, and write the files that were asked for."""
    from distributed import Client, LocalCluster

    parser = make_parser("workers.py", __doc__, 5)
    parser.add_argument("--workers", type=list_of(at_least(1)), default="1,2")
    parser.add_argument("--rows", type=at_least(BATCH_SIZE), default=16_000, help="of a shard")
    parser.add_argument("--measured", type=new_file, metavar="FILE", help="see above")
    arguments = parser.parse_args()
    rows, turns = arguments.rows, {}
    spawn = multiprocessing.get_context("spawn")
    pools = {n: spawn.Pool(n) for n in arguments.workers}
    clusters = [
        LocalCluster(
            n_workers=n, threads_per_worker=1, dashboard_address=":0", silence_logs="ERROR"
        )
        for n in arguments.workers
    ]
    for n, cluster in zip(arguments.workers, clusters, strict=True):
        client = Client(cluster, set_as_default=False)
        turns[f"workers {n}"] = functools.partial(seconds_a_round, client, rows)
        turns[f"fit {n}"] = functools.partial(plain_turn, pools[n], rows, n)
    for turn in turns.values():
        turn()  # compiles, and makes the data
    found = interleave(list(turns.values()), arguments.rounds, alternate=True)
    seconds = dict(zip(turns, found, strict=True))
    text = [*heading("seconds of a round", arguments.rounds), ""]
    text += ["| processes | a round | relative to one | plain fits | relative to one |"]
    text += ["|---:|---:|---:|---:|---:|"]
    for n in arguments.workers:
        cells = [str(n)]
        for kind in ("workers", "fit"):
            each, one = seconds[f"{kind} {n}"], seconds[f"{kind} {arguments.workers[0]}"]
            cells += [f"{np.median(each):.3f}", f"{median_ratio(each, one):.3f}"]
        text.append(f"| {' | '.join(cells)} |")
    text = "\n".join(text) + "\n"
    print(text)
    save(arguments, text, seconds)
    if arguments.measured:
        found = measured(seconds, arguments.workers)
        arguments.measured.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for pool, cluster in zip(pools.values(), clusters, strict=True):
        pool.terminate()
        cluster.close()


if __name__ == "__main__":
    main()
