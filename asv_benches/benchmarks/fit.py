"""How long one epoch of training takes."""

import random

import numpy as np

import fastmlp
from fastmlp import numpy_version

from .data import DENSITY, make_data

# Samples for each net, so that an epoch takes some hundredths of a second.
N_SAMPLES = {
    "784-64-10": 12800,
    "784-512-512-10": 2560,
    "64-32-10": 51200,
    "28-64-64-2": 51200,
}


def layers_of(net):
    return [int(size) for size in net.split("-")]


class _Epoch:
    """Times one epoch of plain SGD from the same first weights, in the same order of samples."""

    repeat = (5, 20, 2.0)
    number = 1
    warmup_time = 0.0

    def prepare(self, net, batch_size, dtype="float32", n_threads=1, X_dtype=None, density=DENSITY):
        layers = layers_of(net)
        self.X, self.y = make_data(N_SAMPLES[net], layers[0], layers[-1], X_dtype or dtype, density)
        self.batch_size = batch_size
        self.net = fastmlp.NeuralNet(
            layers,
            # So small that the first weights stay, whatever the inputs: bytes go up to 255.
            learning_rate=1e-8,
            output_activation="identity",
            dtype=np.dtype(dtype),
            random_state=0,
            n_threads=n_threads,
        )
        # Compiles, or loads what is compiled, and allocates: none of it is an epoch's own.
        self.net.fit(self.X[:batch_size], self.y[:batch_size], epochs=1, batch_size=batch_size)

    def epoch(self):
        self.net.fit(self.X, self.y, epochs=1, batch_size=self.batch_size)


class EpochByNetAndBatch(_Epoch):
    """Guards the step's speed over shapes: wide, deep, small and narrow nets, batches from one."""

    params = [list(N_SAMPLES), [1, 32, 128]]
    param_names = ["net", "batch_size"]

    def setup(self, net, batch_size):
        self.prepare(net, batch_size)

    def time_epoch(self, net, batch_size):
        self.epoch()

    time_epoch.pretty_name = "One epoch in float32 on one thread, by net and batch size"


class EpochByDtypeAndThreads(_Epoch):
    """Guards what the second thread gains, and what float64 costs, on a small and a large net."""

    params = [["784-64-10", "784-512-512-10"], ["float32", "float64"], [1, 2]]
    param_names = ["net", "dtype", "n_threads"]

    def setup(self, net, dtype, n_threads):
        self.prepare(net, 128, dtype, n_threads)

    def time_epoch(self, net, dtype, n_threads):
        self.epoch()

    time_epoch.pretty_name = "One epoch with batches of 128, by net, dtype and number of threads"


class EpochByInput(_Epoch):
    """Guards the way in: what the type that X is stored in adds to an epoch."""

    params = [["uint8", "float16", "float32", "float64"]]
    param_names = ["dtype of X"]

    def setup(self, X_dtype):
        self.prepare("784-64-10", 32, X_dtype=X_dtype)

    def time_epoch(self, X_dtype):
        self.epoch()

    time_epoch.pretty_name = "One epoch of 784-64-10 in float32, by the dtype of X"


class EpochByDensity(_Epoch):
    """Guards the skipping of zeros: sparse inputs gain by it, dense ones do not pay for it."""

    params = [[DENSITY, 1.0], [1, 32]]
    param_names = ["share of X not zero", "batch_size"]

    def setup(self, density, batch_size):
        self.prepare("784-64-10", batch_size, density=density)

    def time_epoch(self, density, batch_size):
        self.epoch()

    time_epoch.pretty_name = "One epoch of 784-64-10 in float32, by how much of X is not zero"


class DropIn:
    """Guards the promise of the drop-in: `train`, beside the NumPy version on the same digits."""

    params = [["fastmlp", "NumPy"]]
    param_names = ["version"]
    repeat = (3, 10, 2.0)
    number = 1
    warmup_time = 0.0

    def setup(self, version):
        X, y = fastmlp.datasets.digits()
        columns = (X / 16)[:, :, np.newaxis]
        one_hots = np.eye(10)[y][:, :, np.newaxis]
        self.pairs = list(zip(columns, one_hots, strict=True))
        np.random.seed(0)
        random.seed(0)
        make_net = {"fastmlp": fastmlp.NeuralNet, "NumPy": numpy_version.NeuralNet}[version]
        self.net = make_net([64, 32, 10])
        self.net.train(self.pairs[:10], epochs=1)

    def time_train(self, version):
        self.net.train(self.pairs, epochs=1)

    time_train.pretty_name = "One epoch of train on digits, one sample at a time in float64"
