"""How much memory a prediction of 10 million rows takes, which Dask makes and reduces lazily.

``python asv_benches/dask_predict.py`` runs each case in a process of its own, and prints the peak
of its resident memory: of this process for the threads of Dask, of the largest worker for a
cluster. X has 64 columns of float32, 2.56 GB. ``--rows`` takes fewer.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time

import numpy as np

COLUMNS, ROWS_OF_BLOCK = 64, 100_000
MEGABYTE = 1e6


def block(block_info=None):
    """Return a block of X, which no process keeps."""
    (number, _), shape = block_info[None]["chunk-location"], block_info[None]["chunk-shape"]
    return np.random.default_rng(number).random(shape, dtype=np.float32)


def peak():
    """Return the largest resident memory of this process so far, in megabytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024) / MEGABYTE


def run(n_rows, stores, on_cluster, results):
    """Predict, and put the seconds, the peak before, and the peak of all into `results`."""
    import dask.array as da

    import fastmlp.dask
    from fastmlp import MLP

    mlp = MLP([COLUMNS, 128, 10], random_state=0)
    blocks = (ROWS_OF_BLOCK,) * (n_rows // ROWS_OF_BLOCK)
    meta = np.empty((0, 0), np.float32)
    X = da.map_blocks(block, chunks=(blocks, (COLUMNS,)), dtype=np.float32, meta=meta)
    client = cluster = None
    if on_cluster:
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        client = Client(cluster)
    mlp.predict(np.zeros((1000, COLUMNS), np.float32))
    before, began = peak(), time.perf_counter()
    if stores:
        with tempfile.TemporaryDirectory() as folder:
            labels = fastmlp.dask.predict(mlp, X)
            path = os.path.join(folder, "labels.npy")
            target = np.lib.format.open_memmap(path, "w+", labels.dtype, labels.shape)
            da.store(labels, target)
    else:
        fastmlp.dask.predict_proba(mlp, X).mean(axis=0).compute()
    seconds = time.perf_counter() - began
    found = peak() if client is None else max(client.run(peak).values())
    results.put((seconds, before, found))
    if client is not None:
        client.close()
        cluster.close()


def main():
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    n_rows = parser.parse_args().rows
    context = multiprocessing.get_context("spawn")
    print(f"{n_rows} rows of {COLUMNS} float32, in blocks of {ROWS_OF_BLOCK} rows", flush=True)
    for on_cluster in (False, True):
        for stores in (False, True):
            if on_cluster and stores:
                continue  # workers cannot write to the memory map of another process
            results = context.SimpleQueue()
            process = context.Process(target=run, args=(n_rows, stores, on_cluster, results))
            process.start()
            seconds, before, found = results.get()
            process.join()
            where = "2 workers" if on_cluster else "threads"
            what = "labels stored" if stores else "mean of probabilities"
            print(
                f"{where:10} {what:22} {seconds:6.1f} s  peak {found:5.0f} MB "
                f"({before:.0f} MB before)",
                flush=True,
            )


if __name__ == "__main__":
    main()
