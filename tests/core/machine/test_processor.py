"""The number of threads that a process may run, and their processors."""

import os
import subprocess
import sys

import pytest

from fastmlp.core.machine import processor


@pytest.fixture
def sixteen(monkeypatch):
    """Pretend to have 16 processors and no limit on threads."""
    monkeypatch.setattr(processor.config, "NUMBA_NUM_THREADS", 16)
    monkeypatch.setattr(processor, "_quota", lambda: float("inf"))
    monkeypatch.setattr(os, "process_cpu_count", lambda: 16, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processor, "_numba_threads", lambda: float("inf"))
    monkeypatch.setattr(processor, "_library_threads", lambda: float("inf"))


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize(
    "value, threads",
    [("4", 4), (" 4 ", 4), ("4,2", 4), ("1", 1), ("64", 16), ("", 16), ("0", 16), ("-2", 16),
     ("many", 16), (",2", 16), ("4.5", 16), ("9" * 5000, 16)],
)  # fmt: skip
def test_usable_threads_are_at_most_omp_num_threads(value, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert processor.usable_threads() == threads


@pytest.mark.usefixtures("sixteen")
def test_usable_threads_are_at_most_every_limit(monkeypatch):
    for name in ("_numba_threads", "_library_threads"):
        with monkeypatch.context() as patch:
            patch.setattr(processor, name, lambda: 3)
            assert processor.usable_threads() == 3
    assert processor.usable_threads() == 16


def run(code, **settings):
    environment = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    result = subprocess.run(
        [sys.executable, "-c", code], env={**environment, **settings},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return result.stdout.split()


def test_numba_s_setting_is_read_without_starting_its_threads():
    code = (
        "import threading, numba\n"
        "from fastmlp.core.machine import processor\n"
        "print(processor._numba_threads())\n"
        "try: print(numba.threading_layer())\n"
        "except ValueError: print('not started')\n"
        "numba.set_num_threads(3)\n"
        "print(processor._numba_threads())\n"
        "numba.set_num_threads(2)\n"
        "print(processor._numba_threads())\n"
    )
    assert run(code, NUMBA_NUM_THREADS="4") == ["inf", "not", "started", "3", "2"]


def test_limits_of_threadpoolctl(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if not threadpoolctl.ThreadpoolController().lib_controllers:
        pytest.skip("no library with a thread pool is loaded")
    for name in ("OPENBLAS", "MKL", "BLIS"):
        monkeypatch.delenv(f"{name}_NUM_THREADS", raising=False)
    before = processor._library_threads()
    for limit in (1, 2):
        with threadpoolctl.threadpool_limits(limit):
            assert processor._library_threads() == limit
            with threadpoolctl.threadpool_limits(1):
                assert processor._library_threads() == 1
    assert processor._library_threads() == before
    monkeypatch.delitem(sys.modules, "threadpoolctl")
    assert processor._library_threads() == float("inf")


class Library:
    def __init__(self, internal_api, threads):
        self.internal_api, self.threads = internal_api, threads

    def get_num_threads(self):
        return self.threads


@pytest.mark.parametrize(
    "libraries, threads",
    [([], "inf"), ([("mkl", 3), ("openmp", 5)], "5"), ([("openblas", 1)], "inf"),
     ([("openblas", 1), ("openmp", 4)], "4"), ([("blis", None)], "inf")],
)  # fmt: skip
def test_a_library_with_its_own_variable_is_ignored(libraries, threads, monkeypatch):
    class Module:
        class ThreadpoolController:
            lib_controllers = [Library(*library) for library in libraries]

    monkeypatch.setitem(sys.modules, "threadpoolctl", Module)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert str(processor._library_threads()) == threads


def test_an_older_threadpoolctl_is_not_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", type("Module", (), {}))
    assert processor._library_threads() == float("inf")


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])
def test_a_variable_reaches_the_workers_of_a_fit(variable):
    """With two threads requested and four processors pretended."""
    code = (
        "import os, threading, numpy as np\n"
        "os.process_cpu_count = lambda: 4\n"
        "os.sched_getaffinity = lambda _: range(4)\n"
        "import fastmlp\n"
        "from fastmlp.core import run\n"
        "from fastmlp.core.machine import processor\n"
        "processor._quota = lambda: float('inf')\n"
        "net = fastmlp.NeuralNet([3, 2], n_threads=2)\n"
        "print(run.workers_for(2, net._state.network, 64, 64))\n"
    )
    assert run(code, **{variable: "1"}) == ["1"]
    assert run(code, NUMBA_NUM_THREADS="4") == ["2"]


@pytest.fixture
def moved(monkeypatch):
    """Record where threads would be moved, instead of moving them."""
    places = []

    def record(_, processors):
        if len(processors) == 1:  # otherwise they are free again
            places.append(*processors)

    monkeypatch.setattr(os, "sched_setaffinity", record, raising=False)
    return places


@pytest.mark.parametrize("n", [8, 64])
def test_workers_start_on_from_home(n, moved):
    allowed = set(range(0, 2 * n, 2))
    for home in allowed:
        for worker in range(n + 1):
            processor.place(allowed, home, worker)
        expected = [(home + 2 * worker) % (2 * n) for worker in range(n + 1)]
        assert moved == expected
        moved.clear()


def test_second_workers_of_processes_do_not_share_processors(moved):
    for home in range(8):
        processor.place(set(range(8)), home, 1)
    assert sorted(moved) == list(range(8))


def test_a_home_that_is_not_allowed_moves_no_thread(moved):
    for home in (-1, 5):
        processor.place({0, 1, 2}, home, 1)
    assert not moved
