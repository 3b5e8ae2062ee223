"""
=============================
Train on a cluster, with Dask
=============================

One network is trained on the workers of a cluster, one of which is killed. The result has the same
bits as a training in this process alone.

Here the workers are processes of this machine. For other machines, start ``dask scheduler`` on one
and ``dask worker tcp://…:8786`` on each, and pass that address to ``Client``.

Needs ``pip install "fastmlp[dask]"``.
"""

import os
import signal
import threading
import warnings

import numpy as np
from distributed import Client, LocalCluster

import fastmlp.dask
from fastmlp import MLP, datasets
from fastmlp.callbacks import Callback

# %%
# A function that loads a shard
# -----------------------------
#
# Workers call it with the number of the shard, and another one calls it again if a worker dies.
# Usually it reads a file that all of them can reach, so that no data go through the scheduler. The
# rows of every shard should be like those of the others.

N_SHARDS = 4


def load(shard):
    """Return the images and labels of a shard: every fourth of the first 1,400 digits."""
    X, y = datasets.digits()
    return X[shard:1400:N_SHARDS], y[shard:1400:N_SHARDS]


def new_network():
    """Return a network that is not trained yet."""
    return MLP([64, 128, 10], input_scale=1 / 16, learning_rate=0.002, random_state=0)


# %%
# In this process
# ---------------
#
# ``client=False`` computes the same, one shard after the other, and needs no Dask. In each round
# every shard trains for five epochs from the same weights, and their mean is what the next round
# begins from.

TRAINING = {"n_shards": N_SHARDS, "rounds": 10, "local_epochs": 5}
X, y = datasets.digits()
held_out = X[1400:], y[1400:]


def report(name, mlp):
    """Print the accuracy by round."""
    accuracies = mlp.history_["validation_accuracy"]
    print(f"{name}: accuracy {', '.join(f'{accuracy:.3f}' for accuracy in accuracies)}")


# %%
# On a cluster, with a death
# --------------------------
#
# A callback sees a round as an epoch. This one kills a worker shortly after the fourth round has
# begun: the shards that it had are loaded again by the other one, and what it had computed of this
# round is computed again.


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has only the second


class KillAWorker(Callback):
    """Ends the process of a worker of a cluster during the fourth round."""

    def __init__(self, cluster):
        self.cluster = cluster

    def on_epoch_begin(self, epoch, logs=None):
        """Kill it 20 ms later."""
        if epoch == 3:
            process = self.cluster.workers[0].pid
            threading.Timer(0.02, os.kill, [process, KILL]).start()


def main():
    """Train in both ways, and compare every bit."""
    here = new_network()
    fastmlp.dask.fit(here, load, client=False, validation_data=held_out, **TRAINING)
    report("in this process", here)

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
        ) as cluster,
        Client(cluster) as client,
    ):
        there = new_network()
        options = {"validation_data": held_out, "callbacks": [KillAWorker(cluster)]}
        fastmlp.dask.fit(there, load, client=client, **options, **TRAINING)
    report("on two workers, one of which died", there)

    pairs = zip([*here.weights, *here.biases], [*there.weights, *there.biases], strict=True)
    print("the same bits:", all(np.array_equal(a, b) for a, b in pairs))


# Workers of a ``LocalCluster`` import this file, so what it does must be in a function. Rounds of a
# few milliseconds are for an example only: they make a cluster slower than one process.
if __name__ == "__main__":
    warnings.simplefilter("ignore", fastmlp.dask.ShortRoundsWarning)
    main()
