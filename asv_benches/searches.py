"""Compare a grid search in threads with one in processes, and with one fit after the other.

    tox -e searches                                            # four minutes
    python asv_benches/searches.py --cases 10ms,100ms --rounds 3

The search is scikit-learn's `GridSearchCV` over learning rates, with two folds and without a last
fit, of `fastmlp.sklearn.MLPClassifier` with adam on digits in float32. A case is named after what a
fit of one network takes, more or less; "wide" is a network that uses two threads itself. "one by
one" is without joblib, "threads" with `parallel_config(backend="threading")`, "processes" with its
default, loky, whose processes are kept between searches, and "new processes" has to start them, as
a program's first search does. The last two columns are with `n_threads=None`, the others with 1.
Everything was compiled before, and new processes load it from disk.
"""

import functools
import warnings

import joblib
import numpy as np
from benchmarks.timed import interleave, median_ratio, seconds_of
from joblib.externals.loky import get_reusable_executor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from tooling import at_least, heading, list_of, make_parser, one_of, save

from fastmlp import datasets
from fastmlp.sklearn import MLPClassifier

#: Units of the hidden layers, epochs, learning rates: each is fitted with two folds.
CASES = {
    "10ms": ((32,), 20, 24),
    "100ms": ((64,), 280, 6),
    "1s": ((256, 128), 280, 2),
    "wide": ((1024, 1024), 10, 2),
}


def make_search(case, n_threads):
    """Return a search of one case."""
    hidden, epochs, n = CASES[case]
    options = {"max_iter": epochs, "n_iter_no_change": epochs + 1, "random_state": 0}
    clf = MLPClassifier(hidden, batch_size=64, n_threads=n_threads, **options)
    grid = {"learning_rate_init": list(np.geomspace(1e-4, 1e-2, n))}
    return GridSearchCV(clf, grid, cv=2, refit=False)


def turns_of(case, n_jobs):
    """Return functions that search in each way."""
    X, y = datasets.digits()
    X = np.ascontiguousarray(X / 16, np.float32)

    def search(n_threads=1, **how):
        with warnings.catch_warnings(), joblib.parallel_config(**how):
            warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are wanted
            make_search(case, n_threads).fit(X, y)

    def start_anew():
        get_reusable_executor().shutdown(wait=True)

    threads = {"backend": "threading", "n_jobs": n_jobs}
    processes = {"backend": "loky", "n_jobs": n_jobs}
    new_processes = functools.partial(search, **processes)
    turns = {
        "one by one": functools.partial(search, backend="sequential"),
        "threads": functools.partial(search, **threads),
        "new processes": new_processes,
        "processes": functools.partial(search, **processes),  # those of the turn before
        "one by one, None": functools.partial(search, None, backend="sequential"),
        "threads, None": functools.partial(search, None, **threads),
    }
    for turn in turns.values():
        turn()  # compiles

    def timed(turn):
        if turn is new_processes:
            start_anew()
        return seconds_of(turn)

    return {name: functools.partial(timed, turn) for name, turn in turns.items()}


def main():
    """Measure, print the table, and write the files that were asked for."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    parser = make_parser("searches.py", __doc__, 3)
    parser.add_argument(
        "--cases", type=list_of(one_of(tuple(CASES))), default=",".join(CASES),
        help="default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--jobs", type=at_least(1), default=2, help="default: %(default)s")
    arguments = parser.parse_args()
    seconds = {}
    for case in arguments.cases:
        turns = turns_of(case, arguments.jobs)
        taken = interleave(list(turns.values()), arguments.rounds)
        seconds[case] = dict(zip(turns, taken, strict=True))
    text = [*heading(f"{arguments.jobs} jobs, seconds", arguments.rounds), ""]
    names = list(turns)
    text += [f"| | fits | {' | '.join(names)} |", "|---|---:" + "|---:" * len(names) + "|"]
    for case, found in seconds.items():
        cells = [
            f"{np.median(took):.3f} ({median_ratio(took, found['threads']):.2f})"
            for took in found.values()
        ]
        text.append(f"| {case} | {2 * CASES[case][2]} | {' | '.join(cells)} |")
    text = "\n".join([*text, "", "In brackets: relative to threads."]) + "\n"
    print(text)
    save(arguments, text, seconds)


if __name__ == "__main__":
    main()
