"""Fits that begin and end independently share the threads that their process was given."""

import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastmlp import MLP, callbacks, fit_many
from fastmlp.core import run
from fastmlp.core.machine import shares
from helpers.same_bits import assert_same_bits


class Tasks:
    """Threads that enter a context and leave it on request, as tasks of a worker do."""

    def __init__(self):
        self._all = {}

    def begin(self, name, *limit):
        asked, answers = queue.SimpleQueue(), queue.SimpleQueue()

        def task():
            with shares.limited_to(*limit):
                answers.put("begun")
                while asked.get():
                    answers.put(run.usable_of(64))

        thread = threading.Thread(target=task)
        self._all[name] = thread, asked, answers
        thread.start()
        assert answers.get(timeout=200) == "begun"

    def end(self, name):
        thread, asked, _ = self._all.pop(name)
        asked.put(False)
        thread.join()

    def end_all(self):
        for name in list(self._all):
            self.end(name)

    @property
    def threads(self):
        """The number of threads that each may use now."""
        for _, asked, _ in self._all.values():
            asked.put(True)
        return {name: answers.get(timeout=200) for name, (_, _, answers) in self._all.items()}


@pytest.fixture
def tasks():
    tasks = Tasks()
    yield tasks
    tasks.end_all()


@pytest.mark.usefixtures("eight_processors")
def test_tasks_share_what_their_worker_was_given(tasks):
    tasks.begin("a", 4)
    assert tasks.threads == {"a": 4}
    tasks.begin("b", 4)
    assert tasks.threads == {"a": 2, "b": 2}
    tasks.begin("c", 4)
    assert tasks.threads == {"a": 1, "b": 1, "c": 1}
    for name in "defg":
        tasks.begin(name, 4)
    assert set(tasks.threads.values()) == {1}
    for name in "adefg":
        tasks.end(name)
    assert tasks.threads == {"b": 2, "c": 2}
    tasks.end("b")
    assert tasks.threads == {"c": 4}
    assert run.usable_of(64) == 8  # of what is in no such context


@pytest.mark.usefixtures("eight_processors")
def test_workers_of_one_process_do_not_share_their_threads(tasks):
    tasks.begin("a", 3, "worker 1")
    tasks.begin("b", 3, "worker 2")
    tasks.begin("c", 4, "worker 3")
    tasks.begin("d", 4, "worker 3")
    assert tasks.threads == {"a": 3, "b": 3, "c": 2, "d": 2}


@pytest.mark.usefixtures("eight_processors")
def test_no_more_than_the_process_may_use(tasks):
    """Predictions too, which are not among the fits that run in this process."""
    tasks.begin("a", 16)
    assert tasks.threads == {"a": 8}
    tasks.begin("b", 16)
    tasks.begin("c", 16)
    assert tasks.threads == {"a": 2, "b": 2, "c": 2}


def test_environment_and_limit_both_count(monkeypatch):
    with shares.limited_to(4):
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert run.usable_of(64) == 1
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert run.usable_of(3) <= 3
    with shares.limited_to(1):
        assert run.usable_of(64) == 1


@pytest.mark.usefixtures("eight_processors")
def test_an_error_leaves_the_group():
    for _ in range(3):
        with pytest.raises(ValueError, match="of a task"), shares.limited_to(4):
            raise ValueError("of a task")
    with shares.limited_to(4):
        assert run.usable_of(64) == 4


@pytest.mark.usefixtures("eight_processors")
def test_several_fits_within_a_task():
    found = []

    class Inner:
        def fit(self, X, y):
            found.append(run.usable_of(64))

    with shares.limited_to(4):
        fit_many([Inner()], 0, 0, n_threads=8)
        with shares.limited_to(4, "of another"), shares.limited_to(2, "of a third"):
            fit_many([Inner()], 0, 0, n_threads=8)
            fit_many([Inner(), Inner()], 0, 0, n_threads=8)
    assert found[:3] == [4, 2, 1]


def test_stopping_reaches_every_fit_below():
    outer, inner = shares.Share(2, 1), shares.Share(2, 1)
    with outer.taken(), inner.taken():
        outer.stop()
        with pytest.raises(KeyboardInterrupt):
            shares.raise_if_stopped()
    shares.raise_if_stopped()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.usefixtures("eight_processors")
def test_a_child_does_not_count_the_tasks_of_its_parent(tasks):
    tasks.begin("a", 4)
    pid = os.fork()
    if pid == 0:
        with shares.limited_to(4):
            os._exit(run.usable_of(64))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert tasks.threads == {"a": 4}


@pytest.mark.usefixtures("eight_processors")
def test_fits_in_tasks_use_their_part_and_have_the_same_bits(monkeypatch, make_data):
    """Two tasks at once, then one alone: in a worker of four threads, two each and then four."""
    sizes = [100, 64, 10]
    X, y = make_data(sizes, 640)
    arguments = {"epochs": 3, "batch_size": 128}
    singles = [MLP(sizes, random_state=seed, n_threads=1).fit(X, y, **arguments) for seed in (0, 1)]
    for name in ("CALL_SHARE", "STEP_SHARE"):
        monkeypatch.setattr(run, name, 1)
    both, ended, of_task = threading.Barrier(2), threading.Event(), {0: [], 1: []}

    class Look(callbacks.Callback):
        """Task 1 goes on after its second epoch when task 0 has ended."""

        def __init__(self, task):
            self.task = task

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                both.wait(200)
            elif self.task == 1:
                assert ended.wait(200)

    usable = run.usable_of

    def watched(wanted):
        found = usable(wanted)
        of_task[task_of[threading.get_ident()]].append(found)
        return found

    monkeypatch.setattr("fastmlp.training.epoch.usable_of", watched)
    task_of = {}

    def task(seed):
        task_of[threading.get_ident()] = seed
        with shares.limited_to(4):
            both.wait(200)
            net = MLP(sizes, random_state=seed).fit(X, y, callbacks=[Look(seed)], **arguments)
        if seed == 0:
            ended.set()
        return net

    with ThreadPoolExecutor(2) as pool:
        nets = list(pool.map(task, (0, 1)))
    assert set(of_task[0]) == {2} and of_task[1][0] == 2 and of_task[1][-1] == 4
    for single, net in zip(singles, nets, strict=True):
        assert_same_bits(single, net)
        np.testing.assert_array_equal(single.history_["loss"], net.history_["loss"])
