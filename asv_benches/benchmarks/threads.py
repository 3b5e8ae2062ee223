"""Whether the default number of threads is as fast as the best fixed one."""

import multiprocessing
from functools import partial

import fastmlp

from .data import layers_of, make_data
from .timed import Timed, interleave, median_ratio, seconds_of

N_SAMPLES = {"784-64-10": 12800, "784-512-512-10": 2560, "64-32-10": 12800}
EPOCHS = {"784-64-10": 10, "784-512-512-10": 3, "64-32-10": 40}  # some tenths of a second


def be_busy():
    """Use a processor for ever."""
    while True:
        pass


class Threads(Timed):
    """Guards the choice of the number of threads, alone and beside a busy process."""

    params = [["784-64-10", "784-512-512-10", "64-32-10"], [32, 128], [0, 1]]
    param_names = ["net", "batch_size", "busy processes"]
    timeout = 300

    def setup(self, net, batch_size, n_busy):
        layers = layers_of(net)
        self.X, self.y = make_data(N_SAMPLES[net], layers[0], layers[-1])
        context = multiprocessing.get_context("spawn")
        self.busy = [context.Process(target=be_busy, daemon=True) for _ in range(n_busy)]
        self.fit(net, batch_size, 1, epochs=1)  # compiles
        for process in self.busy:
            process.start()

    def teardown(self, net, batch_size, n_busy):
        for process in self.busy:
            process.kill()
            process.join()

    def fit(self, net, batch_size, n_threads, epochs=None):
        """Return the seconds of a fit of a new network."""
        net_ = fastmlp.NeuralNet(
            layers_of(net),
            learning_rate=1e-8,
            output_activation="identity",
            dtype="float32",
            random_state=0,
            n_threads=n_threads,
        )
        epochs = epochs or EPOCHS[net]
        return seconds_of(partial(net_.fit, self.X, self.y, epochs=epochs, batch_size=batch_size))

    def track_default_over_best(self, net, batch_size, n_busy):
        """Return the median time of the default over that of the better of one and two threads."""
        turns = [partial(self.fit, net, batch_size, n) for n in (None, 1, 2)]
        default, *fixed = interleave(turns, 5, alternate=True)
        return max(median_ratio(default, seconds) for seconds in fixed)

    track_default_over_best.unit = "time of n_threads=None / time of the best number"
    track_default_over_best.pretty_name = "The default number of threads, compared with the best"
