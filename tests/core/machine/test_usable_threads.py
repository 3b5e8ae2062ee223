"""Limits of the number of threads, and processors that threads are bound to."""

import os
import threading

import numpy as np
import pytest

from fastmlp.core import run, storage
from fastmlp.core.machine import processor, workers


def test_none_tries_what_the_process_may_use_and_no_more_than_may_gain(monkeypatch):
    tiny, small, large = (
        storage.Network(sizes, 0, np.dtype(np.float32))
        for sizes in ([3, 2], [784, 64, 10], [784, 512, 512, 10])
    )
    assert run.workers_for(None, small, 1, 60000) == 1
    assert run.workers_for(None, tiny, 32, 60000) == 1
    assert run.workers_for(None, small, 8, 60000) == 1
    assert run.workers_for(None, large, 128, 128) <= processor.usable_threads()
    monkeypatch.setattr(processor, "usable_threads", lambda: 2)
    assert run.workers_for(7, small, 32, 60000) == 2
    monkeypatch.setattr(processor, "usable_threads", lambda: 64)
    assert run.workers_for(7, small, 32, 60000) == 7
    narrow = storage.Network([64, 10], 0, np.dtype(np.float32))
    assert run.workers_for(7, small, 1, 60000) == 1
    assert run.workers_for(None, narrow, 32, 10**6) == 1  # too little in a step
    assert run.workers_for(None, small, 32, 200) == 1  # too little in the call
    few = run.workers_for(None, small, 32, 60000)
    assert 1 < few < run.workers_for(None, large, 512, 60000) <= 64
    assert run.numbers_to_try(7, 2) == [2]
    assert run.numbers_to_try(None, 1) == [1]
    assert run.numbers_to_try(None, 6) == [1, 2, 4, 6]
    assert run.numbers_to_try(None, 8) == [1, 2, 4, 8]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_usable_threads_respects_affinity():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processor.usable_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


CGROUPS = {
    "version 1": {
        "/proc/self/cgroup": "4:cpu,cpuacct:/group/mine\n1:name=systemd:/\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/cpu/group/cpu.cfs_quota_us": "350000",
        "/sys/fs/cgroup/cpu/group/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/cpu/group/mine/cpu.cfs_quota_us": "-1",
        "/sys/fs/cgroup/cpu/group/mine/cpu.cfs_period_us": "100000",
    },
    "version 2": {
        "/proc/self/cgroup": "0::/group/mine\n",
        "/sys/fs/cgroup/group/cpu.max": "max 100000",
        "/sys/fs/cgroup/group/mine/cpu.max": "350000 100000",
    },
    "in a container": {
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/cpu.max": "350000 100000",
    },
}


@pytest.mark.parametrize("groups", CGROUPS)
def test_usable_threads_respects_the_quota_of_every_parent_control_group(groups, monkeypatch):
    files = dict(CGROUPS[groups])

    def read_text(path):
        if path.as_posix() not in files:
            raise FileNotFoundError(path)
        return files[path.as_posix()]

    monkeypatch.setattr(processor.Path, "read_text", read_text)
    monkeypatch.setattr(processor.config, "NUMBA_NUM_THREADS", 64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name in ("_numba_threads", "_library_threads"):
        monkeypatch.setattr(processor, name, lambda: float("inf"))
    for name in ("process_cpu_count", "cpu_count"):
        monkeypatch.setattr(os, name, lambda: 64, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    processor._quota.cache_clear()
    assert processor.usable_threads() == 3
    monkeypatch.setattr(processor.config, "NUMBA_NUM_THREADS", 2)
    assert processor.usable_threads() == 2
    monkeypatch.setattr(processor.config, "NUMBA_NUM_THREADS", 64)
    for name in files:
        files[name] = files[name].replace("350000", "50000")
    processor._quota.cache_clear()
    assert processor.usable_threads() == 1
    files.clear()
    processor._quota.cache_clear()
    assert processor.usable_threads() == 64
    processor._quota.cache_clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_workers_start_apart_and_no_thread_stays_bound(monkeypatch):
    allowed, places = os.sched_getaffinity(0), []
    set_affinity = os.sched_setaffinity

    def watched(process, processors):
        places.append((threading.get_ident(), set(processors)))
        set_affinity(process, processors)

    monkeypatch.setattr(os, "sched_setaffinity", watched)
    bound = workers.run_concurrently(len(allowed), lambda worker: os.sched_getaffinity(0))
    assert bound == [allowed] * len(allowed)
    moved = [processors for _, processors in places if processors != allowed]
    assert len(places) == 2 * (len(allowed) - 1)
    assert len(set.union(set(), *moved)) == len(moved) == len(allowed) - 1
    assert threading.get_ident() not in {thread for thread, _ in places}
    monkeypatch.setattr(processor, "CURRENT", None)
    assert processor.here() == -1
    places.clear()
    workers.run_concurrently(2, lambda worker: 0)
    assert not places


def test_a_thread_that_may_not_be_moved_stays(monkeypatch):
    def refused(*_):
        asked.append(1)
        raise PermissionError

    asked: list[int] = []
    monkeypatch.setattr(os, "sched_setaffinity", refused, raising=False)
    processor.place({0, 1}, 0, 1)
    assert len(asked) == 1
    processor.place({0, 1}, -1, 1)  # the home processor is unknown
    assert len(asked) == 1
    monkeypatch.delattr(os, "sched_setaffinity")
    assert processor.allowed() == set()
