"""A training on a cluster that is interrupted, as a script: ADDRESS FOLDER."""

import sys

from distributed import Client

import fastmlp.dask
from helpers.dask_clusters import load, network

address, folder = sys.argv[1:]
if __name__ == "__main__":
    with Client(address, set_as_default=True):
        mlp = network(folder, 0.1)
        try:
            fastmlp.dask.fit(mlp, load, n_shards=16, rounds=2, local_epochs=100_000)
        except KeyboardInterrupt:
            print("interrupted", mlp.history_, flush=True)
