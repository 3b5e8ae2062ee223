"""Compare the default number of threads with the best fixed one, also under load.

    tox -e contention                                          # all of it, half an hour
    python asv_benches/contention.py --scenarios one,two --cases 64-32-10@32 --rounds 3

A case is layers@batch_size for a fit, or layers:rows for a call of predict_proba. It is timed with
`n_threads` of 1, 2, ... and None, which is the default, in interleaved turns, each of a new
network. A fit takes about `--seconds` with the best fixed number. The tables have the medians over
the rounds, and the median, the lowest and the highest ratio of the default's time to that of the
best fixed number in the same round.

The scenarios: nothing else runs (alone); one or two other processes are busy (one, two); another
process takes the same turns at the same time (itself); a control group has a quota of one
processor, on Linux and as root (quota).
"""

import contextlib
import functools
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import make_data
from benchmarks.threads import busy
from benchmarks.timed import interleave, seconds_of
from tooling import at_least, case_of, heading, invalid, list_of, make_parser, one_of, save

import fastmlp

CASES = (
    "784-64-10@1,784-64-10@32,784-64-10@128,784-512-512-10@128,64-32-10@32,28-64-64-2@256,"
    "784-64-10:60000,784-512-512-10:12800"
)
NEIGHBOURS = {"alone": 0, "one": 1, "two": 2, "itself": 0, "quota": 0}
N_SAMPLES = 12800  # of an epoch, or fewer if it would take longer than half a fit
# For version 2 and version 1 of control groups: the folder, and what is written to its files.
GROUPS = {
    Path("/sys/fs/cgroup/fastmlp-contention"): {"cpu.max": "100000 100000"},
    Path("/sys/fs/cgroup/cpu/fastmlp-contention"): {
        "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"
    },
}  # fmt: skip


class Case(NamedTuple):
    """Fits with minibatches of `batch_size`, or predictions of `n_rows`."""

    layers: tuple
    batch_size: int = 0
    n_rows: int = 0

    def __str__(self):
        what = f"batch {self.batch_size}" if self.batch_size else f"predict {self.n_rows}"
        return f"{list(self.layers)}, {what}"


# In the measured processes --------------------------------------------------------------------


def turn(case, n_threads, n_samples, epochs):
    """Return the seconds of a fit, or of a call of predict_proba, of a new network."""
    X, y = make_data(case.n_rows or N_SAMPLES, case.layers[0], case.layers[-1])
    net = fastmlp.NeuralNet(
        list(case.layers),
        learning_rate=1e-8,
        output_activation="identity",
        dtype="float32",
        random_state=0,
        n_threads=n_threads,
    )
    if case.n_rows:
        return seconds_of(lambda: net.predict_proba(X))
    rows = X[:n_samples], y[:n_samples]
    return seconds_of(lambda: net.fit(*rows, epochs=epochs, batch_size=case.batch_size))


def serve(pipe, group):
    """Answer each message, the arguments of `turn`, with its seconds.

    Before them it says whether to repeat the turn until the next message.
    """
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    while True:
        repeats, *arguments = pipe.recv()
        seconds = turn(*arguments)
        while repeats and not pipe.poll():
            turn(*arguments)
        pipe.send(seconds)


# In the measuring process ---------------------------------------------------------------------


@contextlib.contextmanager
def started(context, target, *arguments):
    """Run a function in another process."""
    process = context.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def with_quota():
    """Make the control group, and remove it."""
    folder = next((path for path in GROUPS if (path.parent / "cgroup.procs").exists()), None)
    if folder is None:
        sys.exit("the scenario quota needs control groups, which are not here")
    folder.mkdir()
    try:
        for name, value in GROUPS[folder].items():
            (folder / name).write_text(value)
        yield folder
    finally:
        time.sleep(0.1)  # until the processes in it have ended
        folder.rmdir()


@contextlib.contextmanager
def processes(scenario):
    """Start the processes of a scenario; yield a function that takes a turn in them."""
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(with_quota()) if scenario == "quota" else None
        (mine, *others), theirs = zip(
            *(context.Pipe() for _ in range(2 if scenario == "itself" else 1)), strict=True
        )
        for pipe in theirs:
            stack.enter_context(started(context, serve, pipe, group))

        def take(*arguments):
            for other in others:
                other.send((True, *arguments))
            mine.send((False, *arguments))
            seconds = mine.recv()
            for other in others:
                other.send((False, Case((2, 2), n_rows=1), 1, 0, 0))  # ends the repetition
                other.recv(), other.recv()
            return seconds

        for case in (Case((2, 2), 1), Case((2, 2), 2), Case((2, 2), n_rows=2)):
            take(case, 1, 2, 1)  # compiles
        for _ in range(NEIGHBOURS[scenario]):
            stack.enter_context(busy())
        yield take


def plan(take, case, numbers, seconds):
    """Return the samples and epochs of fits that take about `seconds` with the best number."""
    if case.n_rows:
        return 0, 0
    some = max(2560, case.batch_size)
    of_a_sample = min(take(case, n, some, 1) for n in (*numbers, *numbers)) / some
    minibatches = min(N_SAMPLES, round(seconds / 2 / of_a_sample)) // case.batch_size
    n_samples = max(1, minibatches) * case.batch_size
    return n_samples, max(1, round(seconds / (n_samples * of_a_sample)))


def measure(take, case, numbers, seconds, rounds):
    """Return the seconds of each round by number of threads, None included."""
    numbers = (*numbers, None)
    n_samples, epochs = plan(take, case, numbers[:-1], seconds)
    turns = [functools.partial(take, case, n, n_samples, epochs) for n in numbers]
    return dict(zip(numbers, interleave(turns, rounds, alternate=True), strict=True))


def ratios(seconds):
    """Return the best fixed number, and the default's time over its time in every round."""
    best = min((n for n in seconds if n), key=lambda n: statistics.median(seconds[n]))
    return best, [a / b for a, b in zip(seconds[None], seconds[best], strict=True)]


def row(case, seconds):
    """Return a row of a table."""
    best, found = ratios(seconds)
    cells = [f"{statistics.median(turns):.3f}" for turns in seconds.values()]
    spread = f"{min(found):.2f} - {max(found):.2f}"
    return f"| {case} | {' | '.join(cells)} | {best} | {statistics.median(found):.2f} | {spread} |"


def parse_seconds(text):
    """Parse a number of seconds above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise invalid("a number of seconds above 0", text)
    return seconds


def main():
    """Measure, print the tables, and write the files that were asked for."""
    parser = make_parser("contention.py", __doc__, 5)
    names = ",".join(NEIGHBOURS)
    for option, parse, default in (
        ("--scenarios", one_of(NEIGHBOURS), names),
        ("--cases", case_of(Case), CASES),
        ("--seconds", parse_seconds, "1,0.1"),
        ("--threads", at_least(1), "1,2"),
    ):
        parser.add_argument(
            option, type=list_of(parse), default=default, help="default: %(default)s"
        )
    arguments = parser.parse_args()
    numbers, seconds, text = arguments.threads, {}, heading("seconds", arguments.rounds)
    header = "| | " + " | ".join(map(str, numbers)) + " | None | best | None / best | |"
    for scenario in arguments.scenarios:
        with processes(scenario) as take:
            for length in arguments.seconds:
                text += ["", f"{scenario}, fits of {length:g} s:", "", header]
                text.append("|---|" + "---:|" * (len(numbers) + 4))
                for case in arguments.cases:
                    found = measure(take, case, numbers, length, arguments.rounds)
                    text.append(row(case, found))
                    print(scenario, length, text[-1], file=sys.stderr, flush=True)
                    turns = {str(n): turns for n, turns in found.items()}
                    seconds[f"{scenario}, {length:g} s, {case}"] = turns
    text = "\n".join(text) + "\n"
    print(text)
    save(arguments, text, seconds)


if __name__ == "__main__":
    main()
