"""Choose the length and the number of workers of the next run from the times of earlier runs.

Pure logic: it reads no clock and starts no thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

RUN_SECONDS = 0.1  # the longest that Ctrl-C, the progress bar and callbacks wait
STEP_SECONDS = 0.3  # Ctrl-C stops a longer step, before which what it changes must be copied
FIRST_RUN_SECONDS = 0.005  # in case the estimate of a step is too low
MOST_STEPS = 2**16  # per run, because the rate of each is stored
# A trial of another number begins with a short run, which ends it if it takes `ABORT_RATIO` times
# as long as expected. Only the next part counts, when starting threads and cold caches no longer
# dominate: `TRIAL_STEPS`, within limits, in runs of `TRIAL_SECONDS`, the first of which that has
# lost `MOST_LOST` ends it. After a trial that lost time, `PATIENCE` times as much must pass before
# the next, twice as much after each that loses again, up to `MOST_PATIENCE`: about 1% of the time
# is spent on trials. The same holds for a number that was just found to be slower.
WARM_UP_SECONDS, ABORT_RATIO = 0.001, 3.0
TRIAL_SECONDS, TRIAL_STEPS, MOST_TRIAL_SECONDS = 0.003, 8, 0.02
MOST_LOST = 0.002
PATIENCE, MOST_PATIENCE = 20, 160
REST_SECONDS = 10 * TRIAL_SECONDS  # the least between two trials
# Runs that take this many times as long as expected, or as another number of workers did, cause a
# trial if a second, short one confirms it.
SLOWDOWN, SPEEDUP = 1.25, 1.1


class Pace:
    """How many steps make the next run, and how many workers take it.

    The numbers of workers are tried in increasing order while each is faster than the last. Later
    the neighbors of the best one are tried again, occasionally or when runs become slower.

    Parameters
    ----------
    step_seconds : float
        An estimate of the time of a step with one worker.
    numbers : sequence of int, default (1,)
        The numbers of workers that may be tried, in increasing order.

    Attributes
    ----------
    best : int
        The number of workers that was fastest so far.
    rates : dict
        The seconds per step that each number of workers took when it last ran.
    is_estimate : bool
        Whether nothing was measured yet.
    """

    def __init__(self, step_seconds: float, numbers: Sequence[int] = (1,)):
        self.numbers, self.best = list(numbers), numbers[0]
        self.rates: dict[int, float] = {}
        self.is_estimate = True
        self._estimate = step_seconds
        self._trial: int | None = None  # the number that is being tried
        self._is_warm, self._lost = False, 0.0  # in this trial
        self._steps, self._seconds = 0.0, 0.0  # of the runs that have not been judged
        self._rested, self._rest = 0.0, 0.0  # seconds since the last trial, and until the next
        self._patience, self._goes_up = PATIENCE, True
        self._is_in_doubt = False  # whether the last run of the best number was slow
        self._longest = TRIAL_SECONDS  # the length of the next run of the best number

    def allow(self, numbers: list[int]) -> None:
        """Change the numbers of workers that may be tried; what is known of each is kept."""
        if numbers == self.numbers:
            return
        self.numbers = list(numbers)
        known = [n for n in self.numbers if n in self.rates]
        if known:
            self._prefer(min(known, key=self.rates.__getitem__))
        elif self.best not in self.numbers:
            self._prefer(self.numbers[0])
        self._begin(None)

    @property
    def n_workers(self) -> int:
        """The number of workers of the next run."""
        return self.best if self._trial is None else self._trial

    @property
    def step_seconds(self) -> float:
        """The expected time of a step in the next run."""
        n = self.n_workers
        if n in self.rates:
            return self.rates[n]
        return self.rates.get(self.best, self._estimate) * max(1.0, self.best / n)

    @property
    def steps(self) -> int:
        """The number of steps in the next run; at least 1."""
        if self.is_estimate:
            seconds = FIRST_RUN_SECONDS
        elif self._trial is not None:
            seconds = min(self._part_seconds - self._seconds, TRIAL_SECONDS)
        else:
            seconds = self._longest if len(self.numbers) > 1 else RUN_SECONDS
        steps = min(seconds, RUN_SECONDS) / self.step_seconds
        steps = int(steps) if self._trial is None else math.ceil(steps)
        return max(1, min(steps, MOST_STEPS))

    @property
    def _part_seconds(self) -> float:
        """The length of this part of a trial."""
        if not self._is_warm:
            return min(WARM_UP_SECONDS, RUN_SECONDS)
        return min(self._trial_seconds, RUN_SECONDS)

    @property
    def _trial_seconds(self) -> float:
        """The length of the part of a trial that counts, and of the first run after it."""
        several = TRIAL_STEPS * self.rates.get(self.best, 0.0)
        return min(max(TRIAL_SECONDS, several), MOST_TRIAL_SECONDS)

    @property
    def is_long(self) -> bool:
        """Whether a single step takes, or might take, so long that signals must stop it."""
        return self.step_seconds > (RUN_SECONDS / 2 if self.is_estimate else STEP_SECONDS)

    @property
    def most_seconds(self) -> float:
        """How long the next run may take before it is ended after a step, if workers wait."""
        expected = self.steps * self.step_seconds
        most = min(ABORT_RATIO * expected, STEP_SECONDS)
        return most if self._trial is None else min(most, expected + MOST_LOST)

    def measured(self, steps: float, seconds: float) -> None:
        """Learn from a run of `n_workers`; a short last minibatch is a fraction of a step.

        The first run only improves the estimate, because memory and caches are cold.
        """
        if self.is_estimate:
            self._estimate = self._rate(steps, seconds)
            self.is_estimate = False
            return
        self._steps += steps
        self._seconds += seconds
        if self._trial is not None:
            self._judge_part(self._trial)
        elif 2 * self._seconds >= min(self._longest, RUN_SECONDS):
            self._judge_best()

    def _rate(self, steps: float, seconds: float) -> float:
        """Return the seconds per step; a fast run lengthens the next only eightfold."""
        return max(seconds / steps, self.step_seconds / 8)

    def _judge_part(self, n: int) -> None:
        """End the trial of n if it is hopeless; otherwise end each part that was long enough."""
        former = self.rates[self.best]
        expected, seconds = self._steps * former, self._seconds
        lost = seconds - expected
        is_over = max(seconds, expected) >= self._part_seconds or lost > MOST_LOST
        if seconds > ABORT_RATIO * expected or (self._is_warm and is_over):
            self.rates[n] = self._rate(self._steps, seconds)
            self._lost += lost
            self._judge_trial(n, former)
        elif is_over:
            self._is_warm, self._lost = True, lost
            self._steps = self._seconds = 0.0

    def _judge_trial(self, n: int, former: float) -> None:
        """Prefer n if it was faster; otherwise rest for a multiple of the time that was lost."""
        if self.rates[n] < former:
            self._goes_up = n > self.best
            self._prefer(n)
            would_lose = self._trial_seconds * (former / self.rates[n] - 1)
            self._rest = max(REST_SECONDS, PATIENCE * min(would_lose, MOST_LOST))
            further = self._neighbor()
            self._begin(further if further not in self.rates else None)
        else:
            self._rest = max(REST_SECONDS, self._patience * self._lost)
            self._patience = min(2 * self._patience, MOST_PATIENCE)
            self._goes_up = not self._goes_up
            self._begin(None)

    def _judge_best(self) -> None:
        """Update the rate of the best number, and begin a trial if it is time for one."""
        rate, former = self._rate(self._steps, self._seconds), self.rates.get(self.best)
        slower = former is not None and rate > SLOWDOWN * former
        calls = slower or any(rate > SPEEDUP * self.rates.get(n, math.inf) for n in self._around())
        self._rested += self._seconds
        if calls and not self._is_in_doubt and len(self.numbers) > 1:
            self._is_in_doubt, self._longest = True, self._trial_seconds
            self._begin(None)
            return
        self._is_in_doubt = False
        self.rates[self.best] = rate if former is None or slower else (rate + former) / 2
        self._longest = min(2 * self._longest, RUN_SECONDS)
        if calls:
            self._patience, self._rest = PATIENCE, min(self._rest, REST_SECONDS)
            self._goes_up = False
        self._begin(self._neighbor() if self._rested >= self._rest else None)

    def _prefer(self, n: int) -> None:
        self.best = n
        self._patience, self._rest = PATIENCE, REST_SECONDS
        self._longest = self._trial_seconds

    def _around(self) -> list[int]:
        """Return the numbers next to the best one, the lower first."""
        at = self.numbers.index(self.best)
        return [n for n in self.numbers[max(0, at - 1) : at + 2] if n != self.best]

    def _neighbor(self) -> int | None:
        """Return the number next to the best one on the side to be tried, if there is any."""
        around = self._around()
        return (around[-1] if self._goes_up else around[0]) if around else None

    def _begin(self, trial: int | None) -> None:
        self._trial, self._steps, self._seconds = trial, 0.0, 0.0
        self._is_warm, self._lost = False, 0.0
        if trial is not None:
            self._rested = 0.0
