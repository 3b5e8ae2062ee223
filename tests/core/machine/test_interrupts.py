"""Ctrl-C and other signals: how soon they take effect, and the state afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba import njit
from numba.core.registry import cpu_target

from fastmlp import MLP
from fastmlp.core import pace, run
from fastmlp.core.machine import barrier, interrupts, kernel, processor
from helpers.same_bits import assert_same_bits

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")
MOST = 10**11  # many seconds


@njit(nogil=True)
def until_stopped(team, most):
    """Wait for a signal; return whether it came."""
    waited = 0
    while not barrier.stopped(team) and waited < most:
        waited += 1
    return waited < most


@pytest.fixture(autouse=True)
def handlers():
    """Set Python's default handler for SIGINT, and one for SIGUSR1 that does nothing."""
    until_stopped(barrier.new_team(), 1)
    own = {signal.SIGINT: signal.default_int_handler, signal.SIGUSR1: lambda *_: None}
    before = {number: signal.signal(number, handler) for number, handler in own.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def pipe():
    """Return the read end of a pipe to which Python writes signals."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    before = signal.set_wakeup_fd(writes)
    yield reads
    assert signal.set_wakeup_fd(before) == writes
    os.close(reads)
    os.close(writes)


def after(seconds, *numbers):
    """Send signals to this process after some seconds, from a thread."""

    def send():
        for number in numbers:
            os.kill(os.getpid(), number)

    timer = threading.Timer(seconds, send)
    timer.start()
    return timer


def test_an_interrupt_stops_a_kernel_without_a_thread_that_waits(pipe):
    timer, stopped = after(0.1, signal.SIGINT), []

    def call(team):  # in one expression of C code, after which the interrupt is raised
        stopped.extend(map(until_stopped, [team], [MOST]))

    with pytest.raises(KeyboardInterrupt):
        interrupts.stopped_by_signals(call)
    assert stopped == [True]
    timer.join()
    assert os.read(pipe, 9) == bytes([signal.SIGINT])


def test_a_signal_whose_handler_raises_nothing(pipe):
    timer = after(0.1, signal.SIGUSR1, signal.SIGUSR1)
    with pytest.raises(interrupts.Halted):
        interrupts.stopped_by_signals(lambda team: until_stopped(team, MOST))
    timer.join()
    assert set(os.read(pipe, 9)) == {signal.SIGUSR1}


def test_without_a_signal_the_result_is_returned(pipe):
    teams = []
    assert interrupts.stopped_by_signals(lambda team: teams.append(team) or 7) == 7
    assert len(teams[0]) >= barrier.TEAM_SIZE and teams[0].dtype == np.int64
    assert not teams[0].any() and teams[0].ctypes.data % processor.CACHE_LINE == 0
    with pytest.raises(BlockingIOError):
        os.read(pipe, 1)


def test_errors_pass_and_signals_are_written_where_they_were(pipe):
    with pytest.raises(ZeroDivisionError):
        interrupts.stopped_by_signals(lambda team: 1 / 0)


def test_an_interrupt_while_the_wakeup_file_is_restored(pipe, monkeypatch):
    put_back, calls = interrupts._restore_wakeup, []

    def interrupted_at_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        put_back(*arguments)

    monkeypatch.setattr(interrupts, "_restore_wakeup", interrupted_at_first)
    with pytest.raises(KeyboardInterrupt):
        interrupts.stopped_by_signals(lambda team: 7)
    assert len(calls) == 2


def test_a_previous_wakeup_file_that_was_closed_is_not_restored():
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes)

    def call(team):
        os.close(writes)
        return 7

    assert interrupts.stopped_by_signals(call) == 7
    assert signal.set_wakeup_fd(-1) == -1
    os.close(reads)


def test_in_another_thread_the_team_is_an_ordinary_one():
    results = []
    thread = threading.Thread(
        target=lambda: results.append(interrupts.stopped_by_signals(lambda team: team.any()))
    )
    thread.start()
    thread.join()
    assert results == [False]


def test_without_files_in_memory(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    timer = after(0.1, signal.SIGUSR1)
    with pytest.raises(interrupts.Halted):  # then the file is on disk
        interrupts.stopped_by_signals(lambda team: until_stopped(team, MOST))
    timer.join()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for module, name in ((processor.mmap, "mmap"), (processor.tempfile, "TemporaryFile")):
        monkeypatch.setattr(module, name, full)
        assert processor.memory_file(4096) is None
    assert interrupts.stopped_by_signals(lambda team: (len(team), team.any())) == (
        barrier.TEAM_SIZE,
        False,
    )


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_step_that_a_signal_stopped_is_done_again(n_threads, monkeypatch, make_data):
    """The bits do not depend on when signals arrive."""
    X, y = make_data([100, 256, 5], 20_000)
    options = {"random_state": 0, "n_threads": n_threads, "dtype": "float32"}
    nets = [MLP([100, 256, 5], **options) for _ in range(2)]
    for net in nets:
        net.fit(X[:8], y[:8], epochs=1, batch_size=8)
    for name in ("RUN_SECONDS", "STEP_SECONDS"):  # shorter than any step
        monkeypatch.setattr(pace, name, 0)
    nets[0].fit(X, y, epochs=20, batch_size=len(X))
    done, halted, stopped_by_signals = threading.Event(), [], run.stopped_by_signals

    def signal_self():
        os.kill(os.getpid(), signal.SIGUSR1)

    def send():  # within steps, unless they are very short
        while not done.wait(0.005):
            signal_self()

    def at_times(call):
        """Send a signal before every third step, too; count the steps that were stopped."""

        def disturbed(team):
            if len(halted) % 3 == 0:
                signal_self()
            return call(team)

        halted.append(True)
        result = stopped_by_signals(disturbed)
        halted[-1] = False
        return result

    monkeypatch.setattr(run, "stopped_by_signals", at_times)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        nets[1].fit(X, y, epochs=20, batch_size=len(X))
        predicted = nets[1].predict_proba(X)
    finally:
        done.set()
        thread.join()
    assert sum(halted) >= len(halted) // 3 > 0
    assert nets[0].history_ == nets[1].history_
    assert_same_bits(*nets)
    assert_same_bits(predicted, nets[0].predict_proba(X))


@pytest.fixture
def kernel_seconds(monkeypatch):
    """Return the processor time of each call of a kernel that a signal cannot stop.

    Between those calls Python handles signals. The processor's time does not depend on what else
    the machine does.
    """
    seconds = []

    def watched(kernel, team_of):
        def call(*arguments):
            began = time.thread_time()
            result = kernel(*arguments)
            # A team in the memory of a file is larger: signals stop its kernels.
            if len(team_of(arguments[0])) == barrier.TEAM_SIZE:
                seconds.append(time.thread_time() - began)
            return result

        return call

    monkeypatch.setattr(run, "train_steps", watched(run.train_steps, lambda worker: worker.team))
    monkeypatch.setattr(run, "predict_rows", watched(run.predict_rows, lambda team: team))
    return seconds


FITS = {
    "gelu": ([8, 4096, 1], {"activation": "gelu", "dtype": "float64"}, 8192),
    "dropout and noise": ([1000, 1], {"dropout": 0.1, "input_noise": 0.1}, 8192),
    "narrow": ([2, 1], {}, 1_000_000),
    "Adam, many parameters": ([1000, 1000, 1], {"dtype": "float64"}, 512),
}


@pytest.mark.parametrize("batch_size", [1, 32, 512, 10**6])
@pytest.mark.parametrize("name", FITS)
def test_no_run_of_training_takes_long(name, batch_size, kernel_seconds, make_data):
    sizes, options, n = FITS[name]
    X, _ = make_data(sizes, min(n, max(1000, 32 * batch_size)))
    X, y = X.astype("float32"), X[:, 0]
    options = {"loss": "squared_error", "random_state": 0, "dtype": "float32"} | options
    warm, net = (MLP(sizes, n_threads=1, **options) for _ in range(2))
    warm.fit(X[:8], y[:8], epochs=1, batch_size=8)
    kernel_seconds.clear()
    net.fit(X, y, epochs=1, batch_size=batch_size)
    assert kernel_seconds and max(kernel_seconds) < 0.5


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float16", "float32", "sparse"])
def test_no_run_of_prediction_takes_long(dtype, n_threads, kernel_seconds):
    """The network is narrow and deep, so the time of a row is not that of its multiply-adds."""
    X = np.ones((1_000_000, 2), "float16" if dtype == "float16" else "float32")
    if dtype == "sparse":
        X = pytest.importorskip("scipy.sparse").csr_array(X)
    net = MLP([2, *[1] * 12], activation="gelu", dtype="float32", loss="squared_error",
              n_threads=n_threads)  # fmt: skip
    net.predict(X[:100])
    kernel_seconds.clear()
    net.predict(X)
    assert len(kernel_seconds) > 1 and max(kernel_seconds) < 0.5


#: Long computations: "go" is called repeatedly.
HEARD = {
    "validation": """
net = MLP([2, *[1] * 12], activation="gelu", dtype="float32", loss="squared_error", n_threads=N,
          random_state=0)
X = np.zeros((4_000_000, 2), np.float32); y = np.zeros(len(X), np.float32)
net.fit(X[:64], y[:64], epochs=1, validation_data=(X[:64], y[:64]))
def go(): net.fit(X[:64], y[:64], epochs=1000, validation_data=(X, y))
""",
    "score": """
net = MLP([2, 2], dtype="float32", n_threads=N, random_state=0)
X = np.zeros((20_000_000, 2), np.float32); y = np.zeros(len(X), np.int64)
net.score(X[:64], y[:64])
def go(): net.score(X, y)
""",
    "first run": """
net = MLP([8, 4096, 1], activation="gelu", loss="squared_error", dtype="float64", n_threads=N,
          random_state=0)
X = np.random.default_rng(0).random((8192, 8)); y = X[:, 0]
net.fit(X[:8], y[:8], epochs=1, batch_size=8)
sizes = iter([8192, 1, 32, 512] * 1000)
def go(): net.fit(X, y, epochs=1, batch_size=next(sizes))
""",
}
LATENCY = """
import os, random, signal, sys, threading, time
import numpy as np
from fastmlp import MLP
N = int(sys.argv[1])
{}
signal.signal(signal.SIGINT, signal.default_int_handler)
random.seed(0)
waits = []
for i in range(5):
    fired = []
    def interrupt():
        fired.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(random.uniform(0.1, 0.6), interrupt)
    try:
        timer.start()
        while True:
            go()
    except KeyboardInterrupt:
        waits.append(time.process_time() - fired[0])
    timer.join()
print(*waits)
"""


@pytest.mark.parametrize("what, n_threads", [("validation", 2), ("score", 1), ("first run", 1)])
def test_ctrl_c_takes_effect_within_half_a_second(what, n_threads):
    """The median of several at random moments, in processor time: other processes count less."""
    result = subprocess.run(
        [sys.executable, "-c", LATENCY.format(HEARD[what]), str(n_threads)],
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    assert np.median([float(wait) for wait in result.stdout.split()]) < 0.5 * n_threads


@pytest.mark.parametrize("called", ["_object_cache_getbuffer", "_object_cache_notify"])
def test_an_interrupt_while_machine_code_is_generated(called, tmp_path, monkeypatch):
    """LLVM calls functions of Python, where an exception would be lost."""

    def plus_one(x):
        return x + 1

    monkeypatch.setattr(kernel.config, "CACHE_DIR", str(tmp_path))
    compiled, engine = kernel.kernel(plus_one, entry=True), cpu_target.target_context.codegen()
    engine = engine._engine._ee  # of LLVM
    function = getattr(engine, called)

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return function(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(engine, called, interrupted)
        with pytest.raises(KeyboardInterrupt):
            compiled(1.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert compiled(1.0) == 2.0


#: One interrupt for each moment between task 0 and the end at which Python looks for signals.
EVERY_MOMENT = """
import dis, faulthandler, signal, sys, time
from fastmlp.core.machine.workers import run_concurrently

faulthandler.dump_traceback_later(180, exit=True)
signal.signal(signal.SIGINT, signal.default_int_handler)
LOOKS = tuple(number for name, number in dis.opmap.items()
              if name.startswith(("CALL", "JUMP_BACKWARD", "RESUME")))


def interrupted(moment):
    "Return how many moments there were, and whether the interrupt at this one was heard."
    passed, before, done = 0, {}, []

    def trace(frame, event, _):
        nonlocal passed
        frame.f_trace_opcodes = True
        if event == "opcode" and passed <= moment:
            last, before[frame] = before.get(frame), frame.f_lasti
            if last is not None and frame.f_code.co_code[last] in LOOKS:
                passed += 1
                if passed > moment:
                    sys.settrace(None)
                    signal.raise_signal(signal.SIGINT)
        elif event == "return":
            before.pop(frame, None)
        return trace

    def task(worker):
        if worker == 1:
            time.sleep(0.02)
            done.append(worker)
        return 0.0

    heard = False
    sys._getframe().f_trace_opcodes = True  # before, for Python 3.12.1
    sys.settrace(trace)
    try:
        run_concurrently(2, task)
    except KeyboardInterrupt:
        heard = True
    sys.settrace(None)
    n_done = len(done)
    time.sleep(0.04)
    assert len(done) == n_done, f"the call has ended before its worker: moment {moment}"
    return passed > moment, heard


moment = 0
while True:
    came, heard = interrupted(moment)
    assert heard == came, f"lost at moment {moment}"
    if not came:
        break
    moment += 1
print(moment)
"""


def test_an_interrupt_while_starting_or_waiting_takes_effect():
    result = subprocess.run(
        [sys.executable, "-c", EVERY_MOMENT], capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 20
