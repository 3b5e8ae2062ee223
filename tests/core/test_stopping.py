"""Ctrl-C: steps are finished or undone, in a short time."""

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


def interrupted_after(seconds):
    """Raise SIGINT after some seconds; return a list that will hold the time, and the timer.

    It is the processor's time of this process, which other processes do not lengthen.
    """
    fired = []

    def interrupt():
        fired.append(time.process_time())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(seconds, interrupt)
    timer.start()
    return fired, timer


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_leaves_the_net_as_after_finished_steps(n_threads):
    random = np.random.default_rng(0)
    X, y = random.random((60000, 100), np.float32), random.integers(0, 10, 60000)
    done = []

    class Reports(Callback):
        def on_train_batch_end(self, batch, logs=None):
            done.append(logs["samples"])

    fastmlp.warmup("float32")
    options = {"dtype": "float32", "random_state": 0, "n_threads": n_threads}
    net = NeuralNet([100, 256, 10], **options)
    fired, timer = interrupted_after(0.35)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10000, batch_size=50, shuffle=False, callbacks=[Reports()])
    assert time.process_time() - fired[0] < 0.5 * n_threads
    timer.join()
    epochs, again = len(net.history_["loss"]), NeuralNet([100, 256, 10], **options)
    again.fit(X, y, epochs=epochs, batch_size=50, shuffle=False)
    for start in range(0, len(X), 50):
        if np.array_equal(again.weights[0], net.weights[0]):
            break
        again.fit(
            X[start : start + 50], y[start : start + 50], epochs=1, batch_size=50, shuffle=False
        )
    assert_same_bits(again, net)
    assert done and np.isfinite(net.weights[0]).all()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_within_a_long_step_undoes_it(n_threads):
    """Half a second holds even if one step takes seconds."""
    random = np.random.default_rng(0)
    X, y = random.random((300_000, 100), np.float32), random.integers(0, 10, 300_000)
    fastmlp.warmup("float32")
    net = NeuralNet([100, 512, 10], dtype="float32", random_state=0, n_threads=n_threads)
    before = net.weights[0].copy()
    fired, timer = interrupted_after(0.4)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=1000, batch_size=len(X), shuffle=False)
    assert time.process_time() - fired[0] < 0.5 * n_threads
    timer.join()
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
    """Replace steps by ones that wait to be stopped; return a list of whether each was."""
    stopped = []

    def endless(worker, parameters, *rest):
        if rest[-2] > 0:  # not the call that compiles
            # In one expression of C code, after which the interrupt is raised.
            stopped.extend(map(until_stopped, [worker.number], [worker.team], [parameters], [MOST]))
        return 0.0

    until_stopped(0, barrier.new_team(), np.zeros(1), 10)  # compiles
    monkeypatch.setattr(run, "train_steps", endless)
    monkeypatch.setattr(pace, "RUN_SECONDS", 0)  # shorter than any step
    return stopped


MOST = 10**10  # some seconds


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_long_step_is_stopped_and_undone(n_threads, endless, make_data):
    X, y = make_data([10, 5], 100)
    net = NeuralNet([10, 5], n_threads=n_threads, random_state=0)
    before = net.weights[0].copy()
    fired, timer = interrupted_after(0.2)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert time.process_time() - fired[0] < 0.5 * n_threads
    timer.join()
    assert endless == [True] * n_threads
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
    assert done == [0, 1]


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
