"""The number of workers that is chosen, by simulated timings; and real ones of forced choices."""

import itertools
import os

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.core import pace, run
from fastmlp.core.machine import workers
from fastmlp.core.pace import Pace
from helpers.same_bits import assert_same_bits

STEP = 5e-5  # seconds, of one worker
START = 1e-4  # to start a thread


def train(numbers, slowness, seconds, step=STEP, chooser=None):
    """Run until `seconds` have passed; return the runs as (number of workers, steps, seconds).

    ``slowness(n, now)`` is the time of a step with n workers over that with one alone.
    """
    chooser = chooser or Pace(3 * step, numbers)
    runs, now = [], 0.0
    while now < seconds:
        n, steps = chooser.n_workers, chooser.steps
        took = steps * step * slowness(n, now) + START * (n - 1)
        chooser.measured(steps, took)
        runs.append((n, steps, took))
        now += took
    return runs


def overhead(runs, best, step=STEP):
    """Return the time of the runs over that of the same steps with the best number."""
    return sum(took for *_, took in runs) / (sum(steps for _, steps, _ in runs) * step * best)


def constant(**slowness):
    return lambda n, now: slowness[f"n{n}"]


@pytest.mark.parametrize(
    ("slowness", "best"),
    [
        ({"n1": 1, "n2": 0.55, "n4": 0.3, "n8": 0.2}, 8),
        ({"n1": 1, "n2": 0.55, "n4": 0.4, "n8": 0.9}, 4),
        ({"n1": 1, "n2": 0.9, "n4": 2.0, "n8": 5.0}, 2),
        ({"n1": 1, "n2": 1.3, "n4": 2.0, "n8": 5.0}, 1),
        ({"n1": 1, "n2": 20.0, "n4": 20.0, "n8": 20.0}, 1),
    ],
)
@pytest.mark.parametrize("step", [1e-5, 1e-3, 0.02])
def test_the_best_number_is_found_and_kept(slowness, best, step):
    runs = train([1, 2, 4, 8], constant(**slowness), 2.0, step)
    took = dict.fromkeys((1, 2, 4, 8), 0.0)
    for n, _, seconds in runs:
        took[n] += seconds
    assert max(took, key=took.get) == best
    longest = [seconds for n, _, seconds in runs if n == best]
    assert max(longest) == pytest.approx(pace.RUN_SECONDS, rel=0.3)


@pytest.mark.parametrize("seconds, most", [(0.1, 1.15), (1.0, 1.07), (10.0, 1.03)])
@pytest.mark.parametrize("of_two", [0.5, 0.8, 1.0, 1.3, 1.6, 2.0, 5.0])
@pytest.mark.parametrize("step", [STEP, 0.002, 0.005])
def test_trials_take_little(of_two, seconds, most, step):
    runs = train([1, 2], constant(n1=1, n2=of_two), seconds, step)
    of_one_step = (of_two - 1) * step / seconds  # the shortest trial
    assert overhead(runs, min(1, of_two), step) < max(most, 1.01 + 1.1 * of_one_step)


def test_trials_that_lose_much_become_short_and_rare():
    """Threads that wait for a busy processor may take twenty times as long."""
    runs = train([1, 2], constant(n1=1, n2=20), 20.0)
    assert overhead(runs, 1) < 1.02
    assert max(took for n, _, took in runs[10:] if n == 2) < 2 * pace.WARM_UP_SECONDS
    assert any(n == 2 for n, *_ in runs[-len(runs) // 4 :])


def test_other_load_comes_and_goes():
    """From 2 s to 6 s it takes a processor: two workers are three times as slow."""

    def slowness(n, now):
        return 1 if n == 1 else 1.8 if 2 < now < 6 else 0.6

    chooser = Pace(3 * STEP, [1, 2])
    before = train([1, 2], slowness, 2.0, chooser=chooser)
    during = train([1, 2], lambda n, now: slowness(n, now + 2), 4.0, chooser=chooser)
    after = train([1, 2], lambda n, now: slowness(n, now + 6), 2.0, chooser=chooser)
    assert overhead(before, 0.6) < 1.07
    assert overhead(during, 1) < 1.07
    assert overhead(after, 0.6) < 1.25  # trials have become rare
    assert chooser.best == 2


def test_everything_becoming_slower_changes_nothing():
    chooser = Pace(3 * STEP, [1, 2])
    train([1, 2], constant(n1=1, n2=0.6), 1.0, chooser=chooser)
    runs = train([1, 2], constant(n1=2, n2=1.2), 2.0, chooser=chooser)
    assert overhead(runs, 1.2) < 1.05
    assert chooser.best == 2


def test_a_slow_run_now_and_then_costs_little():
    """Every tenth run is interrupted for 5 ms."""
    turns = itertools.count()
    chooser, taken, steps_done = Pace(3 * STEP, [1, 2]), 0.0, 0
    while taken < 3:
        n, steps = chooser.n_workers, chooser.steps
        seconds = steps * STEP * (1 if n == 1 else 0.6)
        seconds += 0.005 * (next(turns) % 10 == 0)
        chooser.measured(steps, seconds)
        taken += seconds
        steps_done += steps
    assert taken / (steps_done * STEP * 0.6) < 1.06


def test_one_number_is_never_tried_against_others():
    for n in (1, 3):
        runs = train([n], lambda *_: 1.0, 1.0)
        assert {number for number, *_ in runs} == {n}
        for *_, took in runs[2:-1]:
            assert 0.9 * pace.RUN_SECONDS < took < 1.01 * pace.RUN_SECONDS


def test_the_first_run_is_short_and_a_fast_one_lengthens_the_next_eightfold():
    chooser = Pace(2**-20)
    assert chooser.is_estimate
    assert chooser.steps == int(pace.FIRST_RUN_SECONDS * 2**20)
    chooser.measured(1, 0.0)
    assert not chooser.is_estimate
    assert chooser.step_seconds == 2**-23
    chooser.measured(1, 1.0)
    chooser.measured(1, 1.0)
    assert chooser.step_seconds == 1.0
    assert chooser.steps == 1


def test_a_step_with_fewer_workers_is_expected_to_take_longer():
    """So that Ctrl-C can stop it."""
    chooser = Pace(0.2, [2, 4])
    chooser.measured(1, 0.2)
    while chooser.n_workers == chooser.best:
        assert not chooser.is_long
        chooser.measured(chooser.steps, 0.2 * chooser.steps)
    chooser.allow([1, 2])
    assert chooser.best == 2
    while chooser.n_workers == 2:
        chooser.measured(chooser.steps, 0.2 * chooser.steps)
    assert chooser.n_workers == 1
    assert chooser.step_seconds == pytest.approx(0.4)
    assert chooser.is_long


def test_what_is_known_outlasts_other_limits():
    chooser = Pace(3 * STEP, [1, 2])
    train([1, 2], constant(n1=1, n2=0.6), 1.0, chooser=chooser)
    chooser.allow([1])
    assert chooser.n_workers == 1
    chooser.allow([1, 2])
    assert chooser.n_workers == 2
    chooser.allow([3])
    assert chooser.n_workers == 3


class EveryNumber(Pace):
    """Takes another number of workers for every run, which has a few steps."""

    seen: list = []

    @property
    def n_workers(self):
        return self.numbers[len(self.seen) % len(self.numbers)]

    @property
    def steps(self):
        return 1 + len(self.seen) % 3

    def measured(self, steps, seconds):
        self.seen.append(self.n_workers)
        self.is_estimate = False


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("options", [{}, {"optimizer": "adam", "clip_norm": 1.0, "max_norm": 0.5}])
@pytest.mark.parametrize("kind", ["dense", "zeros", "sparse"])
def test_same_bits_while_the_number_of_workers_changes(kind, options, monkeypatch, make_data):
    """All share a workspace for the largest number."""
    sizes = [100, 64, 40, 10]
    X, y = make_data(sizes, 600)
    if kind != "dense":
        X *= np.random.default_rng(1).random(X.shape) < 0.2
    if kind == "sparse":
        X = pytest.importorskip("scipy.sparse").csr_array(X)

    def trained(n_threads):
        net = MLP(sizes, random_state=0, n_threads=n_threads, **options)
        net.fit(X, y, epochs=3, batch_size=48)
        return [*net.weights, *net.biases, net.predict_proba(X), np.array(net.history_["loss"])]

    monkeypatch.setattr(run, "CALL_SHARE", 1)
    monkeypatch.setattr(run, "STEP_SHARE", 1)
    alone = trained(1)
    monkeypatch.setattr(run, "Pace", EveryNumber)
    monkeypatch.setattr(EveryNumber, "seen", [])
    changing = trained(None)
    assert set(EveryNumber.seen) >= {1, 2, 4, 6}
    assert_same_bits(alone, changing)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_with_one_processor_no_thread_starts(monkeypatch, make_data):
    allowed = os.sched_getaffinity(0)
    X, y = make_data([100, 64, 10], 640)
    monkeypatch.setattr(workers, "start_new_thread", None)  # cannot be called
    try:
        os.sched_setaffinity(0, {min(allowed)})
        for n_threads in (None, 2):
            net = MLP([100, 64, 10], random_state=0, n_threads=n_threads)
            net.fit(X, y, epochs=2, batch_size=128).predict(X)
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.usefixtures("eight_processors")
def test_later_fits_and_predictions_continue_with_what_is_known(monkeypatch, make_data):
    made = []

    class Watched(Pace):
        def __init__(self, *arguments):
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(run, "Pace", Watched)
    X, y = make_data([100, 64, 10], 640)
    net = MLP([100, 64, 10], random_state=0)
    for _ in range(3):
        net.fit(X, y, epochs=1, batch_size=128)
    assert len(made) == 1
    net.fit(X, y, epochs=1, batch_size=64)  # other steps
    assert len(made) == 2
    for _ in range(3):
        net.predict(X)
    assert len(made) == 3
    assert not any(pace.is_estimate for pace in made)


def test_interrupted_runs_are_not_measured(monkeypatch, make_data):
    """What was learned before is kept."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    X, y = make_data([100, 64, 10], 640)
    net = MLP([100, 64, 10], random_state=0, n_threads=1)
    net.fit(X, y, epochs=2, batch_size=128)
    chooser = net._state.network.paces["train"][1]
    known = dict(vars(chooser))
    monkeypatch.setattr(run, "train_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=1, batch_size=128)
    assert vars(chooser) == known
