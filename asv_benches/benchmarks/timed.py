"""The timer: asv's settings for most benchmarks, and interleaved turns for ratios and tools."""

import statistics
import time


class Timed:
    """A timing is a single call, which takes milliseconds; ``setup`` does the warm-up."""

    repeat = (5, 30, 1.0)  # fewest and most timings, and the seconds after which no more start
    number = 1
    warmup_time = 0.0


def seconds_of(call):
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def interleave(turns, rounds, *, alternate=False):
    """Take one turn of each in every round, so that drift of the machine affects all of them.

    Parameters
    ----------
    turns : list of callable
        Functions without arguments that return seconds.
    rounds : int
    alternate : bool, default=False
        Whether every other round goes from last to first, so that no turn always goes first.

    Returns
    -------
    list of list of float
        The seconds of each turn, by round.
    """
    seconds = [[] for _ in turns]
    for i in range(rounds):
        pairs = list(zip(turns, seconds, strict=True))
        for turn, so_far in reversed(pairs) if alternate and i % 2 == 0 else pairs:
            so_far.append(turn())
    return seconds


def median_ratio(seconds, base):
    """Return the median of the ratios to `base` in the same round."""
    return statistics.median(a / b for a, b in zip(seconds, base, strict=True))
