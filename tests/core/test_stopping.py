"""Ctrl-C: steps are finished or undone, in a short time.

Times are the processor's, which do not depend on what else the machine does.
"""

import signal
import threading
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import NeuralNet
from fastmlp.callbacks import Callback
from fastmlp.core import pace, rows_phase, run, step, storage
from fastmlp.core.equations.update import Sink, update
from fastmlp.core.machine import barrier, workers
from fastmlp.core.machine.kernel import kernel
from helpers.same_bits import assert_same_bits


@pytest.fixture(autouse=True)
def interrupts_are_heard():
    """Set Python's default handler, which processes started in the background lack."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupts:
    """A context that SIGINT ends, some seconds after n calls of `begin`.

    ``took`` is the processor time from then to the end.
    """

    def __init__(self, seconds, n=1):
        self.seconds, self.begins = seconds, threading.Semaphore(0)
        self.thread = threading.Thread(target=self._interrupt, args=(n,), daemon=True)

    def begin(self):
        self.begins.release()

    def _interrupt(self, n):
        if all([self.begins.acquire(timeout=100) for _ in range(n)]):
            time.sleep(self.seconds)
            self.fired = time.process_time()
            signal.raise_signal(signal.SIGINT)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind is not KeyboardInterrupt:
            assert kind is not None, "no interrupt"
            return False
        self.took = time.process_time() - self.fired
        self.thread.join()
        return True


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_leaves_the_net_as_after_finished_steps(n_threads):
    random = np.random.default_rng(0)
    X, y = random.random((60000, 100), np.float32), random.integers(0, 10, 60000)

    class Begins(Callback):
        def on_train_batch_end(self, batch, logs=None):
            interrupts.begin()

    fastmlp.warmup("float32")
    options = {"dtype": "float32", "random_state": 0, "n_threads": n_threads}
    net = NeuralNet([100, 256, 10], **options)
    with Interrupts(0.25) as interrupts:
        net.fit(X, y, epochs=10000, batch_size=50, shuffle=False, callbacks=[Begins()])
    assert interrupts.took < 0.5 * n_threads
    epochs, again = len(net.history_["loss"]), NeuralNet([100, 256, 10], **options)
    again.fit(X, y, epochs=epochs, batch_size=50, shuffle=False)
    for start in range(0, len(X), 50):
        if np.array_equal(again.weights[0], net.weights[0]):
            break
        again.fit(
            X[start : start + 50], y[start : start + 50], epochs=1, batch_size=50, shuffle=False
        )
    assert_same_bits(again, net)
    assert np.isfinite(net.weights[0]).all()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_within_a_long_step_undoes_it(n_threads):
    """Half a second holds even if one step takes seconds."""
    random = np.random.default_rng(0)
    X, y = random.random((300_000, 100), np.float32), random.integers(0, 10, 300_000)
    fastmlp.warmup("float32")
    net = NeuralNet([100, 512, 10], dtype="float32", random_state=0, n_threads=n_threads)
    before = net.weights[0].copy()

    class Begins(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            interrupts.begin()

    with Interrupts(0.4) as interrupts:
        net.fit(X, y, epochs=1000, batch_size=len(X), shuffle=False, callbacks=[Begins()])
    assert interrupts.took < 0.5 * n_threads
    epochs = len(net.history_["loss"])
    again = NeuralNet([100, 512, 10], dtype="float32", random_state=0)
    again.fit(X, y, epochs=epochs, batch_size=len(X), shuffle=False)
    assert np.array_equal(again.weights[0], net.weights[0])
    assert epochs > 0 or np.array_equal(before, net.weights[0])


@kernel(entry=True)
def until_stopped(worker, team, parameters, most):
    """Change a parameter, wait for a signal, and change it again; return whether it came."""
    parameters[worker] += 1
    waited = 0
    while not barrier.stopped(team) and waited < most:
        waited += 1
    parameters[worker] += 1
    return waited < most


@pytest.fixture
def endless(monkeypatch):
    """Replace steps by ones that wait to be stopped.

    Returns a list of whether each was, and one of functions that are called when one begins.
    """
    stopped, begins = [], []

    def endless(worker, parameters, *rest):
        if rest[-2] > 0:  # not the call that compiles
            begins[0]()
            # In one expression of C code, after which the interrupt is raised.
            stopped.extend(map(until_stopped, [worker.number], [worker.team], [parameters], [MOST]))
        return 0.0

    until_stopped(0, barrier.new_team(), np.zeros(1), 10)  # compiles
    monkeypatch.setattr(run, "train_steps", endless)
    monkeypatch.setattr(pace, "RUN_SECONDS", 0)  # shorter than any step
    return stopped, begins


MOST = 10**11  # many seconds


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_long_step_is_stopped_and_undone(n_threads, endless, make_data):
    X, y = make_data([10, 5], 100)
    net = NeuralNet([10, 5], n_threads=n_threads, random_state=0)
    before, (stopped, begins) = net.weights[0].copy(), endless
    with Interrupts(0.1, n_threads) as interrupts:
        begins.append(interrupts.begin)
        net.fit(X, y)
    assert stopped == [True] * n_threads
    assert np.array_equal(net.weights[0], before)


def test_an_interrupt_on_the_way_to_the_wait_does_not_shorten_it(monkeypatch):
    wait, calls, done = workers.wait_for, [], []

    def interrupted_at_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        wait(*arguments)

    def task(worker):
        time.sleep(0.2 * worker)
        done.append(worker)
        return 0.0

    monkeypatch.setattr(workers, "wait_for", interrupted_at_first)
    with pytest.raises(KeyboardInterrupt):
        workers.run_concurrently(2, task)
    assert sorted(done) == [0, 1]


@kernel(entry=True)
def update_the_first_layer(work, sink, worker):
    update(work.forward.layers[0], worker, work, 8, sink, 0, 8)


def test_a_stopped_team_changes_no_weight(one_call):
    network = storage.Network([8, 8], 0, np.dtype(np.float64))
    descent, samples = one_call(network, np.ones((8, 8)), np.zeros(8, np.int64), 8)
    optimizer = descent.steps(1, True)
    sink = Sink(True, 0.1, 0.0, network.parameters, 0)
    for stop in (1, 0):
        work, team = network.workspace(8, 1), run.new_team()
        team[barrier.STOPPED] = stop
        worker = barrier.Worker(0, 1, team)
        step.train_steps(worker, network.parameters, optimizer, samples, work, 0, 1, 0.0)
        assert work.status[0] == (rows_phase.HALTED if stop else 0)
        assert network.parameters.any() == (not stop)
        network.parameters[...] = 0
        work.forward.activations[...] = work.deltas[...] = 1
        update_the_first_layer(work, sink, worker)
        assert network.parameters.any() == (not stop)
        network.parameters[...] = 0
