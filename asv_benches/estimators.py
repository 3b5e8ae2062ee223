"""Compare the estimators of fastmlp with those of scikit-learn, at their shared defaults.

    tox -e estimators                                          # all of it, two minutes
    python asv_benches/estimators.py --rounds 3 --cases digits,predict-1

Both classes have the same parameters, the same initial weights and the same minibatches: Adam,
batches of 200, one hidden layer of 100 units, without early stopping. They take interleaved turns
in one process, on one thread each. A fit case is a dataset: the time of some epochs. The calls are
`partial_fit` of 32 rows of digits and `predict_proba` of 1 and of 100,000 rows. "checks" is the
time of `sklearn.utils.validation.validate_data` for the same rows, which both calls contain.
"""

import importlib.metadata
import sys
import warnings

import numpy as np
from benchmarks.timed import interleave, median_ratio, seconds_of
from sklearn import datasets, neural_network
from sklearn.utils.validation import validate_data
from threadpoolctl import threadpool_limits
from tooling import heading, list_of, make_parser, one_of, save

import fastmlp.sklearn

EPOCHS = {"iris": 200, "breast-cancer": 50, "digits": 20, "20000x50": 3}
CALLS = {"partial_fit-32": 50, "predict-1": 500, "predict-100000": 1}


def make_data(name, dtype):
    """Return X, standardized, and the labels."""
    if name == "20000x50":
        X, y = datasets.make_classification(20_000, 50, n_informative=20, random_state=0)
    else:
        load = {"iris": datasets.load_iris, "breast-cancer": datasets.load_breast_cancer}
        X, y = load.get(name, datasets.load_digits)(return_X_y=True)
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)
    return np.ascontiguousarray(X, dtype), y


def turns_of(name, dtype):
    """Return functions that take a turn of scikit-learn, of fastmlp, and of the checks alone."""
    X, y = make_data(name, dtype)
    epochs = EPOCHS.get(name, 2)
    options = {
        "max_iter": epochs, "n_iter_no_change": epochs + 1, "tol": 0.0, "random_state": 0
    }  # fmt: skip
    pair = (
        neural_network.MLPClassifier(**options),
        fastmlp.sklearn.MLPClassifier(**options, n_threads=1),
    )
    for estimator in pair:  # compile as well
        estimator.fit(X, y)
    if name in EPOCHS:
        calls = [lambda e=estimator: e.fit(X, y) for estimator in pair]
        return [*calls, lambda: validate_data(pair[0], X, y)]
    method, _, n = name.partition("-")
    rows = np.resize(X, (int(n), X.shape[1]))
    if method == "partial_fit":
        labels = np.resize(y, int(n))
        calls = [lambda e=estimator: e.partial_fit(rows, labels) for estimator in pair]
    else:
        calls = [lambda e=estimator: e.predict_proba(rows) for estimator in pair]
    return [*calls, lambda: validate_data(pair[0], rows, reset=False)]


def repeated(call, n):
    """Return a turn: the seconds of one of n calls."""

    def turn():
        return seconds_of(lambda: [call() for _ in range(n)]) / n

    return turn


def main():
    """Measure, print the table, and write what is asked for."""
    names = [*EPOCHS, *CALLS]
    parser = make_parser("estimators.py", __doc__, 15)
    parser.add_argument(
        "--cases",
        type=list_of(one_of(names)),
        default=names,
        metavar="NAMES",
        help=f"some of {','.join(names)}; default: all",
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # fits end before they converge
    version = importlib.metadata.version("scikit-learn")
    text = [*heading(f"scikit-learn {version}, one thread", arguments.rounds), ""]
    text += ["| | dtype | scikit-learn, ms | fastmlp, ms | ratio | checks, ms |"]
    text += ["|---|---|---:|---:|---:|---:|"]
    seconds = {}
    for name in arguments.cases:
        for dtype in ("float64", "float32"):
            turns = [repeated(call, CALLS.get(name, 1)) for call in turns_of(name, dtype)]
            with threadpool_limits(1):
                for turn in turns:
                    turn()
                found = interleave(turns, arguments.rounds, alternate=True)
            seconds[f"{name}, {dtype}"] = found
            theirs, ours, checks = (1e3 * np.median(each) for each in found)
            ratio = median_ratio(found[0], found[1])
            text += [
                f"| {name} | {dtype} | {theirs:.3g} | {ours:.3g} | {ratio:.1f} | {checks:.2g} |"
            ]
    table = "\n".join(text) + "\n"
    print(table)
    save(arguments, table, seconds)


if __name__ == "__main__":
    sys.exit(main())
