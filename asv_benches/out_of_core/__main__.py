"""Measure the memory of Dask workers that train on more than they may keep.

    tox -e out-of-core                                        # all cases: some minutes
    python asv_benches/out_of_core --cases float32,arrays --gigabytes 1
    python asv_benches/out_of_core --write asv_benches/out_of_core

Two workers of one thread train [784, 32, 10] in two rounds on the data of each case, in files of a
temporary folder, which needs room for them. The table has the largest resident memory of the
workers that are left, and how many Dask has ended, of both. The result is compared with that of
one process without Dask, where the rows of memory maps are in memory, to the bit.
"""

import contextlib
import datetime
import functools
import logging
import os
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from tooling import at_least, list_of, make_parser, one_of, processor

import fastmlp.dask
from fastmlp import MLP
from fastmlp.dask.points import point_of

COLUMNS, MEGABYTE, ROUNDS = 784, 10**6, 2


class Case(NamedTuple):
    """Data, and the memory that a worker may have."""

    title: str
    dtype: str  # in the file
    how: str  # how shards are made from it
    shard_megabytes: int
    limit_megabytes: int
    n_threads: int = 1


CASES = {
    "float32": Case("mapped files, float32", "f4", "mapped", 375, 600),
    "float64": Case("mapped files, float64", "f8", "mapped", 375, 600),
    "uint8": Case("mapped files, uint8", "u1", "mapped", 375, 600),
    "strided": Case("every eighth row of one mapped file, float32", "f4", "strided", 375, 600),
    "threads": Case("mapped files, float32, 4 threads", "f4", "mapped", 94, 600, n_threads=4),
    "arrays": Case("arrays", "f4", "loaded", 94, 600),
    "large": Case("arrays", "f4", "loaded", 300, 600),
    "converted": Case("arrays, float64", "f8", "loaded", 188, 600),
    "spilled": Case("arrays", "f4", "loaded", 94, 2000),
    "large_spilled": Case("arrays", "f4", "loaded", 375, 2000),
    "blocks": Case("dask array", "f4", "dask", 56, 600),
    "blocks_2000": Case("dask array", "f4", "dask", 200, 2000),
}


def rows_of(case):
    """Return the rows of a shard."""
    return case.shard_megabytes * MEGABYTE // (COLUMNS * np.dtype(case.dtype).itemsize)


def some(case, shard, n):
    """Return rows of X of a shard."""
    random = np.random.default_rng(shard)
    if case.dtype == "u1":
        return random.integers(0, 255, (n, COLUMNS), np.uint8)
    return random.random((n, COLUMNS), np.dtype(case.dtype))


def labels(case, shard):
    """Return y of a shard."""
    return np.random.default_rng(shard).integers(0, 10, rows_of(case))


def write(case, folder, n_shards):
    """Write the files, a little at a time."""
    rows = rows_of(case)
    if case.how == "strided":
        shape = (n_shards * rows, COLUMNS)
        whole = np.lib.format.open_memmap(folder / "X.npy", "w+", case.dtype, shape)
        for start in range(0, len(whole), 10_000):
            part = whole[start : start + 10_000]
            part[:] = some(case, start, len(part))
        return
    if case.how == "dask":
        return
    for shard in range(n_shards):
        file = folder / f"X-{shard}.npy"
        whole = np.lib.format.open_memmap(file, "w+", case.dtype, (rows, COLUMNS))
        for start in range(0, rows, 10_000):
            part = whole[start : start + 10_000]
            part[:] = some(case, shard + start, len(part))


def load(case, folder, n_shards, in_memory, shard):
    """Return the samples of a shard."""
    if case.how == "loaded":
        return np.load(folder / f"X-{shard}.npy"), labels(case, shard)
    if case.how == "strided":
        X = np.load(folder / "X.npy", mmap_mode="r")[shard::n_shards]
    else:
        X = np.load(folder / f"X-{shard}.npy", mmap_mode="r")
    return np.array(X) if in_memory else X, labels(case, shard)


def dask_arrays(case, n_shards):
    """Return X and y of chunks of 8 MB, which workers make."""
    import dask.array as da

    rows = 8 * MEGABYTE // (COLUMNS * np.dtype(case.dtype).itemsize)
    n = n_shards * case.shard_megabytes // 8

    def block(block_info=None):
        return some(case, block_info[None]["chunk-location"][0], rows)

    def targets(block_info=None):
        return np.random.default_rng(block_info[None]["chunk-location"]).integers(0, 10, rows)

    X = da.map_blocks(
        block, chunks=((rows,) * n, (COLUMNS,)), dtype=case.dtype, meta=np.empty((0, 0), case.dtype)
    )
    y = da.map_blocks(targets, chunks=((rows,) * n,), dtype=int, meta=np.empty(0, int))
    return X, y


def peak():
    """Return the largest resident memory of this process so far, in bytes."""
    import resource

    with contextlib.suppress(OSError):  # of Linux, where the other one begins with the parent's
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)


def run(case, n_shards):
    """Return the peak in megabytes, how many workers were ended, and whether the bits agree."""
    from distributed import Client, LocalCluster

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(case, folder, n_shards)
        is_mapped = case.how in ("mapped", "strided")
        options = {"n_shards": n_shards, "rounds": ROUNDS, "batch_size": 256}

        def fit(client, in_memory):
            if case.how == "dask":
                data = dask_arrays(case, n_shards)
            else:
                data = [functools.partial(load, case, folder, n_shards, in_memory)]
            mlp = MLP([COLUMNS, 32, 10], random_state=0)
            shuffle = "blocks" if in_memory and is_mapped else True  # as memory maps are
            fastmlp.dask.fit(mlp, *data, client=client, shuffle=shuffle, **options)
            return [array.tobytes() for array in point_of(mlp._state).arrays]

        with (
            LocalCluster(
                n_workers=2, threads_per_worker=case.n_threads, dashboard_address=":0",
                memory_limit=case.limit_megabytes * MEGABYTE, silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):  # fmt: skip
            began = set(client.run(os.getpid).values())
            try:
                found = fit(client, False)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                found = None
            largest = max(client.run(peak).values())
            left = began & set(client.run(os.getpid).values())
        same = found is not None and found == fit(False, True)
        return largest / MEGABYTE, len(began) - len(left), same


def main():
    """Measure each case, print the table, and write it if that was asked for."""
    parser = make_parser("out_of_core", __doc__, 1)
    parser.add_argument("--cases", type=list_of(one_of(CASES)), default=list(CASES))
    parser.add_argument("--gigabytes", type=at_least(1), default=2, help="of data, default: 2")
    arguments = parser.parse_args()
    lines = [
        "| shards | all, GB | each, MB | `memory_limit`, MB | largest worker, MB | ended |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in arguments.cases:
        case = CASES[name]
        n_shards = max(2, arguments.gigabytes * 1000 // case.shard_megabytes)
        peak, deaths, same = run(case, n_shards)
        total = n_shards * case.shard_megabytes / 1000
        cells = [
            case.title, f"{total:.1f}", case.shard_megabytes, case.limit_megabytes,
            f"{peak:.0f}", deaths if same else f"{deaths}, failed",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
        print(lines[-1], flush=True)
    lines[:0] = [
        f"{processor()}, {platform.system()}, Python {platform.python_version()}, "
        f"{datetime.date.today():%d %B %Y}; two workers of one thread, which take 0.16 GB each "
        "without data; two rounds.",
        "",
    ]
    if arguments.write:
        (arguments.write / "tables.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
