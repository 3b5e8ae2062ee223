"""The same bits on any number of threads; interrupts, forks and several fits at once."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import NeuralNet, neural_net
from fastmlp.core import processor, run, storage


def trained(n_threads, X, y, sizes, dtype, batch_size):
    net = NeuralNet(
        sizes, output_activation="identity", dtype=dtype, random_state=0, n_threads=n_threads
    )
    net.fit(X, y, epochs=2, batch_size=batch_size)
    return [*net.weights, *net.biases, net.predict_proba(X), np.array(net.history_["loss"])]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 2, 8, 16, 33, 200])
def test_same_bits_on_any_number_of_threads(dtype, batch_size, make_data):
    for sizes in ([20, 33, 17, 5], [100, 64, 10], [3, 1, 2]):
        X, y = make_data(sizes, 203)
        alone = trained(1, X, y, sizes, dtype, batch_size)
        for n_threads in (2, 3, 5):
            together = trained(n_threads, X, y, sizes, dtype, batch_size)
            for one, many in zip(alone, together, strict=True):
                assert one.tobytes() == many.tobytes()


def test_as_many_threads_as_asked_for_really_train(make_data, monkeypatch):
    seen = set()
    train_steps = run.train_steps

    def watched(worker, n_workers, *rest):
        seen.add((worker, n_workers, threading.get_ident()))
        return train_steps(worker, n_workers, *rest)

    monkeypatch.setattr(run, "train_steps", watched)
    X, y = make_data([50, 20, 3], 500)
    NeuralNet([50, 20, 3], n_threads=3).fit(X, y, epochs=1, batch_size=100)
    working = {(worker, thread) for worker, n_workers, thread in seen if n_workers == 3}
    assert {worker for worker, _ in working} == {0, 1, 2}
    assert len({thread for _, thread in working}) == 3


def test_none_takes_what_the_process_may_use_and_no_more_than_gains(monkeypatch):
    tiny, small, large = (
        storage.Network(sizes, 0, np.dtype(np.float32))
        for sizes in ([3, 2], [784, 64, 10], [784, 512, 512, 10])
    )
    assert run.workers_for(None, small, 1, 60000) == 1
    assert run.workers_for(None, tiny, 32, 60000) == 1
    assert run.workers_for(None, small, 8, 60000) == 1
    assert run.workers_for(None, large, 128, 128) <= processor.usable_threads()
    assert run.workers_for(7, small, 32, 60000) == 7
    monkeypatch.setattr(processor, "usable_threads", lambda: 64)
    few = run.workers_for(None, small, 32, 60000)
    assert 1 < few < run.workers_for(None, large, 512, 60000) <= 64


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_usable_threads_heeds_affinity():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processor.usable_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("content", "threads"), [("max 100000", 64), ("150000 100000", 1), ("350000 100000", 3)]
)
def test_usable_threads_heeds_the_quota(monkeypatch, content, threads):
    monkeypatch.setattr(processor.Path, "read_text", lambda self: content)
    monkeypatch.setattr(processor.config, "NUMBA_NUM_THREADS", 64)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    assert processor.usable_threads() == threads
    monkeypatch.setattr(processor.config, "NUMBA_NUM_THREADS", 2)
    assert processor.usable_threads() == min(threads, 2)


def test_several_fits_at_once(digits):
    X, y = digits

    def weights(seed, n_threads):
        net = NeuralNet([64, 20, 10], random_state=seed, n_threads=n_threads)
        return net.fit(X, y, epochs=3).weights[0].copy()

    expected = [weights(seed, 1) for seed in range(4)]
    found = [None] * 4

    def work(seed):
        found[seed] = weights(seed, 1 + seed % 2)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one, other)


def fit_in_child(queue, X, y):
    net = NeuralNet([64, 20, 10], random_state=0, n_threads=2).fit(X, y, epochs=2)
    queue.put(net.weights[0].copy())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_before_and_after_a_fit(digits):
    X, y = digits
    context = multiprocessing.get_context("fork")
    results = []
    for _ in range(2):  # the first child forks before this process has trained here
        queue = context.Queue()
        child = context.Process(target=fit_in_child, args=(queue, X, y))
        child.start()
        results.append(queue.get(timeout=60))
        child.join(60)
        assert child.exitcode == 0
        net = NeuralNet([64, 20, 10], random_state=0, n_threads=2).fit(X, y, epochs=2)
        results.append(net.weights[0].copy())
    assert all(np.array_equal(results[0], other) for other in results)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_leaves_the_net_as_after_finished_steps(n_threads, monkeypatch):
    random = np.random.default_rng(0)
    X, y = random.random((60000, 100), np.float32), random.integers(0, 10, 60000)
    done = []

    def watched(*_):
        class Reports:
            def __enter__(self):
                return lambda samples, loss: done.append(samples)

            def __exit__(self, *_):
                return False

        return Reports()

    monkeypatch.setattr(neural_net, "progress", watched)
    fastmlp.warmup("float32")
    options = {"dtype": "float32", "random_state": 0, "n_threads": n_threads}
    net = NeuralNet([100, 256, 10], **options)
    fired = []

    def interrupt():
        fired.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.35, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10000, batch_size=50, shuffle=False)
    assert time.perf_counter() - fired[0] < 0.5
    timer.join()
    monkeypatch.undo()
    epochs, again = len(net.history_["loss"]), NeuralNet([100, 256, 10], **options)
    again.fit(X, y, epochs=epochs, batch_size=50, shuffle=False)
    for start in range(0, len(X), 50):
        if np.array_equal(again.weights[0], net.weights[0]):
            break
        again.fit(
            X[start : start + 50], y[start : start + 50], epochs=1, batch_size=50, shuffle=False
        )
    assert all(np.array_equal(a, b) for a, b in zip(again.weights, net.weights, strict=True))
    assert done and np.isfinite(net.weights[0]).all()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_within_a_long_step_undoes_it(n_threads):
    """One step over the whole set takes seconds; half a second holds there too."""
    random = np.random.default_rng(0)
    X, y = random.random((300_000, 100), np.float32), random.integers(0, 10, 300_000)
    fastmlp.warmup("float32")
    net = NeuralNet([100, 512, 10], dtype="float32", random_state=0, n_threads=n_threads)
    before, fired = net.weights[0].copy(), []

    def interrupt():
        fired.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.4, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=1000, batch_size=len(X), shuffle=False)
    assert time.perf_counter() - fired[0] < 0.5
    timer.join()
    epochs = len(net.history_["loss"])
    again = NeuralNet([100, 512, 10], dtype="float32", random_state=0)
    again.fit(X, y, epochs=epochs, batch_size=len(X), shuffle=False)
    assert np.array_equal(again.weights[0], net.weights[0])
    assert epochs > 0 or np.array_equal(before, net.weights[0])


def test_a_thread_that_cannot_start_leaves_nobody_waiting(monkeypatch, make_data):
    X, y = make_data([10, 5], 100)
    net = NeuralNet([10, 5], n_threads=3, random_state=0)
    before, others = net.weights[0].copy(), set(threading.enumerate())
    start, started = threading.Thread.start, []

    def refuse_the_second(thread):
        if len(started) == 1:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
    with pytest.raises(RuntimeError, match="can't start"):
        net.fit(X, y)
    assert len(started) == 1 and set(threading.enumerate()) <= others
    assert np.array_equal(net.weights[0], before)


def test_an_error_in_a_thread_is_raised(monkeypatch, make_data):
    def broken(*_):
        raise MemoryError("no room")

    X, _ = make_data([10, 5], 1000)
    monkeypatch.setattr(run, "predict_rows", broken)
    with pytest.raises(MemoryError, match="no room"):
        NeuralNet([10, 5], n_threads=3).predict(X)
