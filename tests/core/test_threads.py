"""Same bits on any number of threads; errors, forks and concurrent fits."""

import _thread
import multiprocessing
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet
from fastmlp.core import pace, run
from fastmlp.core.machine import processor, workers
from helpers.same_bits import assert_same_bits


def trained(n_threads, X, y, sizes, dtype, batch_size):
    net = NeuralNet(
        sizes, output_activation="identity", dtype=dtype, random_state=0, n_threads=n_threads
    )
    net.fit(X, y, epochs=2, batch_size=batch_size)
    return [*net.weights, *net.biases, net.predict_proba(X), np.array(net.history_["loss"])]


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 2, 8, 16, 33, 200])
def test_same_bits_on_any_number_of_threads(dtype, batch_size, make_data):
    for sizes in ([20, 33, 17, 5], [100, 64, 10], [3, 1, 2]):
        X, y = make_data(sizes, 203)
        alone = trained(1, X, y, sizes, dtype, batch_size)
        for n_threads in (2, 3, 5):
            together = trained(n_threads, X, y, sizes, dtype, batch_size)
            assert_same_bits(alone, together)


@pytest.mark.usefixtures("eight_processors")
def test_as_many_threads_as_asked_for_really_train(make_data, monkeypatch):
    seen = set()
    train_steps = run.train_steps

    def watched(worker, *rest):
        seen.add((worker.number, worker.n_workers, threading.get_ident()))
        return train_steps(worker, *rest)

    monkeypatch.setattr(run, "train_steps", watched)
    X, y = make_data([50, 20, 3], 500)
    NeuralNet([50, 20, 3], n_threads=3).fit(X, y, epochs=1, batch_size=100)
    working = {(worker, thread) for worker, n_workers, thread in seen if n_workers == 3}
    assert {worker for worker, _ in working} == {0, 1, 2}
    assert len({thread for _, thread in working}) == 3


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
    assert_same_bits(expected, found)


def fit_in_child(queue, X, y):
    net = NeuralNet([64, 20, 10], random_state=0, n_threads=2).fit(X, y, epochs=2)
    queue.put(net.weights[0].copy())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_before_and_after_a_fit(digits):
    X, y = digits
    context = multiprocessing.get_context("fork")
    results = []
    for _ in range(2):  # the first child forks before this process has trained
        queue = context.Queue()
        child = context.Process(target=fit_in_child, args=(queue, X, y))
        child.start()
        results.append(queue.get(timeout=200))
        child.join(200)
        assert child.exitcode == 0
        net = NeuralNet([64, 20, 10], random_state=0, n_threads=2).fit(X, y, epochs=2)
        results.append(net.weights[0].copy())
    assert_same_bits(*results)


@pytest.fixture
def threads_that_start(monkeypatch):
    """Return a function that limits how many more threads start, and records those."""
    start, started = workers.start_new_thread, []

    def only(n):
        def limited(function, arguments):
            if len(started) >= n:
                raise RuntimeError("can't start new thread")
            started.append(arguments)
            return start(function, arguments)

        monkeypatch.setattr(workers, "start_new_thread", limited)
        return started

    return only


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("run_seconds", [0.1, 0])  # 0: shorter than any step
@pytest.mark.parametrize("n_started", [0, 1])
def test_a_thread_that_cannot_start_leaves_the_work_to_one(
    n_started, run_seconds, monkeypatch, make_data, threads_that_start
):
    monkeypatch.setattr(pace, "RUN_SECONDS", run_seconds)
    sizes = [20, 33, 5]
    X, y = make_data(sizes, 203)
    alone = trained(1, X, y, sizes, "float64", 16)
    others = _thread._count()
    started = threads_that_start(n_started)
    without = trained(3, X, y, sizes, "float64", 16)
    assert len(started) == n_started
    assert_same_bits(alone, without)
    while _thread._count() > others:  # they end soon, or the test never does
        time.sleep(0.01)


@pytest.mark.parametrize("run_seconds", [0.1, 0])
def test_one_thread_starts_none(run_seconds, monkeypatch, make_data, threads_that_start):
    monkeypatch.setattr(pace, "RUN_SECONDS", run_seconds)
    started = threads_that_start(10)
    X, y = make_data([20, 33, 5], 640)
    options = {"n_threads": 1, "random_state": 0}
    for net in (NeuralNet([20, 33, 5], **options), MLP([20, 33, 5], **options)):
        net.fit(X, y, epochs=2, batch_size=128, verbose=True)
        net.predict(X)
        net.score(X, y)
    assert not started


WITHOUT_THREADS = """
import numpy as np, os, resource, threading
from fastmlp import MLP, NeuralNet
from fastmlp.core.machine import processor
from fastmlp.core import pace
processor.usable_threads = lambda: 2
X, y = np.random.default_rng(0).random((600, 20)), np.arange(600) % 5
nets = [NeuralNet([20, 64, 5], n_threads=n, random_state=0) for n in (2, 2, 1)]
nets[0].fit(X, y, epochs=2, batch_size=600).predict(X)  # nobody may read what compiling imports
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)  # root has no limit
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=int).start()
    print("started")
except RuntimeError:
    print("refused")
for seconds, net in zip((0.1, 0), nets[1:]):
    pace.RUN_SECONDS = seconds
    net.fit(X, y, epochs=2, batch_size=600)
    assert np.array_equal(net.weights[0], nets[0].weights[0])
    assert np.array_equal(net.predict(X), nets[0].predict(X))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_fit_where_the_system_lets_no_thread_start():
    run_it = subprocess.run(
        [sys.executable, "-c", WITHOUT_THREADS], capture_output=True, text=True, check=True
    )
    assert run_it.stdout == "refused\n"


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_first_row_with_nan_is_named(sparse, n_threads, make_data):
    """The result depends neither on the workers' shares nor on the length of runs."""
    X, y = make_data([30, 16, 5], 2000)
    X[[1300, 70, 66, 1999], 3] = np.nan
    if sparse:
        X = pytest.importorskip("scipy.sparse").csr_array(X)
    net = NeuralNet([30, 16, 5], n_threads=n_threads, random_state=0)
    with pytest.raises(ValueError, match="row 66 "):
        net.predict(X)


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("worker", [0, 2])
def test_an_error_in_any_thread_is_raised(worker, monkeypatch, make_data):
    def broken(*arguments):
        if arguments[-2] == 1000 * worker // 3:
            raise MemoryError("no room")
        return 0

    X, _ = make_data([10, 5], 1000)
    monkeypatch.setattr(run, "predict_rows", broken)
    with pytest.raises(MemoryError, match="no room"):
        NeuralNet([10, 5], n_threads=3).predict(X)


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_run_for_every_step_gives_the_same_bits(n_threads, monkeypatch, make_data):
    sizes = [20, 33, 5]
    X, y = make_data(sizes, 203)
    at_once = trained(n_threads, X, y, sizes, "float64", 16)
    monkeypatch.setattr(pace, "RUN_SECONDS", 0)
    assert_same_bits(at_once, trained(n_threads, X, y, sizes, "float64", 16))


def test_runs_begin_short_and_keep_their_pace_from_epoch_to_epoch(monkeypatch, make_data):
    lengths, train_steps = [], run.train_steps

    def watched(*arguments):
        lengths.append(arguments[-2] - arguments[-3])
        return train_steps(*arguments)

    monkeypatch.setattr(run, "train_steps", watched)
    X, y = make_data([2, 4, 2], 200_000)
    NeuralNet([2, 4, 2], n_threads=1).fit(X, y, epochs=2, batch_size=1)
    assert 1000 < lengths[1] < 100_000  # a microsecond each, and ten on a slow machine


@pytest.mark.skipif(processor.CLOCK is None, reason="kernels read no clock on this system")
@pytest.mark.usefixtures("eight_processors")
def test_a_run_that_is_late_ends_after_a_step_with_the_same_bits(monkeypatch, make_data):
    """Worker 1 starts after the deadline of worker 0, which notices while it waits."""
    sizes, ends, train_steps = [20, 33, 5], [], run.train_steps
    X, y = make_data(sizes, 2000)
    alone, begun = trained(1, X, y, sizes, "float64", 16), threading.Semaphore(0)

    def late(worker, *rest):
        if worker.number == 1:
            assert begun.acquire(timeout=100)
            time.sleep(0.01)
        elif worker.n_workers > 1:
            ends.append(rest[-2] - rest[-3])
            begun.release()
        return train_steps(worker, *rest)

    monkeypatch.setattr(run, "train_steps", late)
    monkeypatch.setattr(pace, "RUN_SECONDS", 1e9)
    monkeypatch.setattr(pace, "FIRST_RUN_SECONDS", 1e9)
    monkeypatch.setattr(pace.Pace, "most_seconds", 1e9)
    assert_same_bits(alone, trained(2, X, y, sizes, "float64", 16))
    assert ends == [125, 125]  # the whole epoch in one run
    ends.clear()
    monkeypatch.setattr(pace.Pace, "most_seconds", 1e-3)
    assert_same_bits(alone, trained(2, X, y, sizes, "float64", 16))
    assert ends[:3] == [125, 123, 121]  # it is late in the first step, and decides in the second


@pytest.mark.usefixtures("eight_processors")
def test_as_many_threads_as_asked_for_really_predict(make_data, monkeypatch):
    shares, predict_rows = [], run.predict_rows

    def watched(*arguments):
        if arguments[-1] > 0:  # otherwise it only compiles
            shares.append(arguments[-2:])
        return predict_rows(*arguments)

    monkeypatch.setattr(run, "predict_rows", watched)
    X, _ = make_data([50, 20, 3], 500)
    NeuralNet([50, 20, 3], n_threads=3).predict(X)
    assert sorted(shares) == [(0, 166), (166, 333), (333, 500)]


def test_several_predictions_at_once_of_one_network(make_data):
    X, _ = make_data([200, 64, 10], 640)
    net = NeuralNet([200, 64, 10], output_activation="identity", random_state=0)
    shares = np.split(X, 16)
    expected = [net.predict_proba(share) for share in shares]
    wrong = []

    def work(share, rows):
        for _ in range(100):
            if not np.array_equal(net.predict_proba(share), rows):
                wrong.append(share)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(shares, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
