"""How long one epoch of training takes."""

import statistics
from functools import partial

import numpy as np

import fastmlp

from .data import DENSITY, layers_of, make_data, make_sparse
from .timed import Timed, interleave, median_ratio, seconds_of

# The number of samples for each net: an epoch takes tens of milliseconds.
N_SAMPLES = {
    "784-64-10": 6400,
    "784-512-512-10": 640,
    "64-32-10": 25600,
    "28-64-64-2": 12800,
}


class _Epoch(Timed):
    """Times one epoch from the same initial weights, in the same order of samples."""

    def prepare(
        self,
        net,
        batch_size,
        dtype="float32",
        n_threads=1,
        *,
        X_dtype=None,
        density=DENSITY,
        n_samples=None,
    ):
        layers = layers_of(net)
        n_samples = n_samples or N_SAMPLES[net]
        self.X, self.y = make_data(n_samples, layers[0], layers[-1], X_dtype or dtype, density)
        self.batch_size = batch_size
        self.net = fastmlp.NeuralNet(
            layers,
            # So small that the weights hardly change, even with inputs up to 255.
            learning_rate=1e-8,
            output_activation="identity",
            dtype=np.dtype(dtype),
            random_state=0,
            n_threads=n_threads,
        )
        # Compile, or load compiled code, and allocate outside the timing.
        self.net.fit(self.X[:batch_size], self.y[:batch_size], epochs=1, batch_size=batch_size)

    def epoch(self):
        self.net.fit(self.X, self.y, epochs=1, batch_size=self.batch_size)


class Epoch(_Epoch):
    """Guards the training step across nets and batch sizes."""

    params = [list(N_SAMPLES), [1, 32, 128]]
    param_names = ["net", "batch_size"]

    def setup(self, net, batch_size):
        self.prepare(net, batch_size)

    def time_epoch(self, net, batch_size):
        self.epoch()

    time_epoch.pretty_name = "One epoch of SGD in float32 on one thread, by net and batch size"


class EpochByDtype(_Epoch):
    """Guards the same in the other dtype."""

    params = [["784-64-10", "64-32-10"], [1, 32], ["float64"]]
    param_names = ["net", "batch_size", "dtype"]

    def setup(self, net, batch_size, dtype):
        self.prepare(net, batch_size, dtype)

    def time_epoch(self, net, batch_size, dtype):
        self.epoch()

    time_epoch.pretty_name = "One epoch of SGD on one thread, by net, batch size and dtype"


class EpochByThreads(_Epoch):
    """Guards what threads cost and gain: barriers in a small net, shares in a large one."""

    params = [["784-64-10", "784-512-512-10", "64-32-10"], [32, 128], [2]]
    param_names = ["net", "batch_size", "n_threads"]

    def setup(self, net, batch_size, n_threads):
        self.prepare(net, batch_size, n_threads=n_threads)

    def time_epoch(self, net, batch_size, n_threads):
        self.epoch()

    time_epoch.pretty_name = "One epoch of SGD in float32, by net, batch size and threads"


class EpochOfFewRows(_Epoch):
    """Guards minibatches that fill no tile, and a last one that is smaller."""

    params = [["784-64-10", "64-32-10"], [2, 7]]
    param_names = ["net", "batch_size"]

    def setup(self, net, batch_size):
        self.prepare(net, batch_size, n_samples=N_SAMPLES[net] // 4 + 1)

    def time_epoch(self, net, batch_size):
        self.epoch()

    time_epoch.pretty_name = "A quarter of an epoch in minibatches of few rows"


class FewRowsOverOne(_Epoch):
    """Guards the same as a ratio: the largest of 2 to 7 rows."""

    params = [["784-64-10", "64-32-10"]]
    param_names = ["net"]
    unit = "times as long as in minibatches of one row"

    def setup(self, net):
        self.epochs = []
        for batch_size in range(1, 8):
            self.prepare(net, batch_size, n_samples=N_SAMPLES[net] // 8)
            fit = partial(self.net.fit, self.X, self.y, epochs=1, batch_size=batch_size)
            self.epochs.append(partial(seconds_of, fit))

    def track_most(self, net):
        one, *others = interleave(self.epochs, 9)
        return max(median_ratio(seconds, one) for seconds in others)

    track_most.pretty_name = "A sample's time in minibatches of 2 to 7 rows over that alone"


class EpochByInput(_Epoch):
    """Guards the reading of X: the cost of its dtype in an epoch."""

    params = [["uint8", "float16", "float64", "sparse float32"], [1, 32]]
    param_names = ["dtype of X", "batch_size"]

    def setup(self, X_type, batch_size):
        sparse, _, X_dtype = X_type.rpartition(" ")
        self.prepare("784-64-10", batch_size, X_dtype=X_dtype)
        if sparse:
            self.X = make_sparse(self.X)
            self.epoch()  # compiles

    def time_epoch(self, X_type, batch_size):
        self.epoch()

    time_epoch.pretty_name = "One epoch of 784-64-10 in float32, by the dtype of X and batch size"


class EpochByDensity(_Epoch):
    """Guards the skipping of zeros: it makes sparse inputs faster, and dense ones no slower."""

    params = [[0.02, 1.0], [1, 32]]
    param_names = ["share of X not zero", "batch_size"]

    def setup(self, density, batch_size):
        self.prepare("784-64-10", batch_size, density=density)

    def time_epoch(self, density, batch_size):
        self.epoch()

    time_epoch.pretty_name = "One epoch of 784-64-10 in float32, by the share of X that is not zero"


class EpochSkippingZeros(_Epoch):
    """Guards the threshold: the share of nonzero inputs from which skipping zeros is slower."""

    params = [["784-64-10", "784-512-512-10"], [32, 128]]
    param_names = ["net", "batch_size"]
    shares = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

    def setup(self, net, batch_size):
        pass

    def track_crossover(self, net, batch_size):
        """Return where the interpolated ratio of times crosses 1."""
        ratios = [self.ratio(net, batch_size, share) for share in self.shares]
        below = next((i for i, ratio in enumerate(ratios) if ratio > 1), len(ratios)) - 1
        if below in (-1, len(ratios) - 1):
            return self.shares[max(below, 0)]
        part = (1 - ratios[below]) / (ratios[below + 1] - ratios[below])
        return self.shares[below] + part * (self.shares[below + 1] - self.shares[below])

    def ratio(self, net, batch_size, share):
        """Return the quickest epoch that skips zeros over the quickest that does not."""
        from fastmlp.core import run

        self.prepare(net, batch_size, density=share)
        default = run.DENSE_ENOUGH

        def turn(dense_enough):
            run.DENSE_ENOUGH = dense_enough
            return seconds_of(self.epoch)

        try:
            never, always = interleave([partial(turn, 0.0), partial(turn, 4.0)], 5)
        finally:
            run.DENSE_ENOUGH = default
        return min(always) / min(never)

    track_crossover.unit = "share of X not zero"
    track_crossover.pretty_name = "Share of nonzero inputs from which skipping zeros is slower"


class Call(_Epoch):
    """Guards the Python overhead of a call of fit, which dominates with one sample."""

    params = [[1, 1000]]
    param_names = ["n_samples"]

    def setup(self, n_samples):
        self.prepare("64-32-10", min(n_samples, 32), n_samples=n_samples)

    def time_20_calls(self, n_samples):
        for _ in range(20):
            self.epoch()

    time_20_calls.pretty_name = "Twenty calls of fit on 64-32-10, by the number of samples"


class CallOverSteps(_Epoch):
    """Guards the same as a ratio: a call's time over that of its steps."""

    unit = "times as long as its share of a call with 16 times the samples"

    def setup(self):
        self.turns = []
        for n_samples in (16_000, 1_000):
            self.prepare("64-32-10", 32, n_samples=n_samples)
            fit = partial(self.net.fit, self.X, self.y, epochs=1, batch_size=32)
            self.turns.append(partial(seconds_of, fit))

    def track_ratio(self):
        steps, call = interleave(self.turns, 50)
        return 16 * median_ratio(call, steps)

    track_ratio.pretty_name = "Time of fit on 1,000 samples of 64-32-10 over that of its steps"


class PartialFit(Timed):
    """Guards the Python overhead of a call of partial_fit, which takes one step."""

    params = [["sgd", "adam"]]
    param_names = ["optimizer"]

    def setup(self, optimizer):
        self.X, self.y = make_data(32, 64, 10, "float32", DENSITY)
        self.mlp = fastmlp.MLP(
            [64, 32, 10], optimizer=optimizer, learning_rate=1e-8, random_state=0, n_threads=1
        )
        self.mlp.partial_fit(self.X, self.y)

    def time_100_calls(self, optimizer):
        for _ in range(100):
            self.mlp.partial_fit(self.X, self.y)

    def track_over_step(self, optimizer):
        """Return the microseconds of a call less those of a step in a long call of fit."""
        X, y = np.tile(self.X, (200, 1)), np.tile(self.y, 200)
        fit = partial(self.mlp.fit, X, y, epochs=1, batch_size=32, shuffle=False)
        fit()
        step, call = interleave(
            [
                partial(seconds_of, fit),
                partial(seconds_of, partial(self.time_100_calls, optimizer)),
            ],
            15,
        )
        return 1e6 * (statistics.median(call) / 100 - statistics.median(step) / 200)

    track_over_step.unit = "microseconds over a step"
    track_over_step.pretty_name = "Time of partial_fit on 32 samples of 64-32-10, less its step"
    time_100_calls.pretty_name = "A hundred calls of partial_fit on 64-32-10, each on 32 samples"
