"""Whether the default number of threads is as fast as the best fixed one."""

import contextlib
import subprocess
import sys
from functools import partial

import numpy as np

import fastmlp
from fastmlp.core.machine.barrier import new_team
from fastmlp.core.machine.workers import run_independently

from .data import layers_of, make_data
from .kernels import repeat_multiply_add
from .timed import Timed, interleave, median_ratio, seconds_of

N_SAMPLES = {"784-64-10": 12800, "784-512-512-10": 2560, "64-32-10": 12800}
EPOCHS = {"784-64-10": 10, "784-512-512-10": 3, "64-32-10": 40}  # some tenths of a second


#: A program that uses a processor as long as its parent lives. It imports nothing of this package,
#: which processes that asv starts do not find.
BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"


@contextlib.contextmanager
def busy():
    """Run `BUSY` in another process."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def seconds_of_fit(net, batch_size, n_threads, X, y, epochs):
    """Return the seconds of a fit of a new network."""
    network = fastmlp.NeuralNet(
        layers_of(net),
        learning_rate=1e-8,
        output_activation="identity",
        dtype="float32",
        random_state=0,
        n_threads=n_threads,
    )
    return seconds_of(partial(network.fit, X, y, epochs=epochs, batch_size=batch_size))


class Threads(Timed):
    """Guards the choice of the number of threads, alone and beside a busy process."""

    params = [["784-64-10", "784-512-512-10", "64-32-10"], [32, 128], [0, 1]]
    param_names = ["net", "batch_size", "busy processes"]
    timeout = 300

    def setup(self, net, batch_size, n_busy):
        layers = layers_of(net)
        data = make_data(N_SAMPLES[net], layers[0], layers[-1])
        self.turns = [
            partial(seconds_of_fit, net, batch_size, n, *data, EPOCHS[net]) for n in (None, 1, 2)
        ]
        seconds_of_fit(net, batch_size, 1, *data, 1)  # compiles
        self.stack = contextlib.ExitStack()
        self.busy = [self.stack.enter_context(busy()) for _ in range(n_busy)]

    def teardown(self, net, batch_size, n_busy):
        ended = [process for process in self.busy if process.poll() is not None]
        self.stack.close()
        assert not ended, "a busy process has ended early"

    def track_default_over_best(self, net, batch_size, n_busy):
        """Return the median time of the default over that of the better of one and two threads."""
        default, *fixed = interleave(self.turns, 5, alternate=True)
        return max(median_ratio(default, seconds) for seconds in fixed)

    track_default_over_best.unit = "time of n_threads=None / time of the best number"
    track_default_over_best.pretty_name = "The default number of threads, compared with the best"


class TwoProcessors(Timed):
    """Guards the work that two threads share: what they gain, and what the processors allow."""

    def track_speedup(self):
        """Return how much faster two threads train the wide net than one."""
        net, batch_size = "784-512-512-10", 128
        data = make_data(N_SAMPLES[net], 784, 10)
        turns = [partial(seconds_of_fit, net, batch_size, n, *data, 3) for n in (1, 2)]
        for turn in turns:  # compile, and let the clock rate settle
            turn()
        return median_ratio(*interleave(turns, 9, alternate=True))

    track_speedup.unit = "time of one thread / time of two"
    track_speedup.pretty_name = "Two threads on [784, 512, 512, 10] in minibatches of 128"

    def track_peak(self):
        """Return how many multiply-adds both processors do while one does one."""
        x, n = np.ones(64, np.float32), 10**7
        results = [np.zeros(1024, np.float32) for _ in range(2)]

        def peak(n_workers):
            def task(worker, team):
                return repeat_multiply_add(n, x, results[worker])

            return seconds_of(partial(run_independently, n_workers, task, new_team()))

        turns = [partial(peak, n) for n in (1, 2)]
        for turn in turns:
            turn()
        return 2 * median_ratio(*interleave(turns, 9, alternate=True))

    track_peak.unit = "peak of both / peak of one"
    track_peak.pretty_name = "The fused multiply-add peak of two threads over that of one"
