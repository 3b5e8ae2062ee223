"""Repeat three studies of scikit-learn's example gallery with both libraries.

    python asv_benches/gallery.py                             # two of them, half a minute
    python asv_benches/gallery.py --images images.gz --labels labels.gz     # MNIST: all three

The studies are "Compare stochastic learning strategies for MLPClassifier" (four datasets, seven
settings of sgd and adam), "Varying regularization in Multi-layer Perceptron" (three datasets, five
values of alpha, lbfgs) and "Visualization of MLP weights on MNIST" (sgd). Both libraries fit the
same networks from the same seeds, in turn and on one thread each. The table has the total time of
all fits, the number of networks that took the same number of epochs, and the largest difference
between the two in the final loss and in the training score.
"""

import functools
import importlib.metadata
import statistics
import sys
import warnings

import numpy as np
from benchmarks.timed import interleave, median_ratio, seconds_of
from sklearn import datasets, neural_network
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits
from tooling import heading, make_parser, save

import fastmlp.sklearn
from fastmlp.datasets.idx import read_idx

SGD = {"solver": "sgd", "learning_rate_init": 0.2}
STRATEGIES = [
    SGD | {"learning_rate": rate, "momentum": momentum, "nesterovs_momentum": nesterov}
    for rate in ("constant", "invscaling")
    for momentum, nesterov in ((0, False), (0.9, False), (0.9, True))
] + [{"solver": "adam", "learning_rate_init": 0.01}]


def strategies():
    """Return the fits of the first study: for each the parameters, X and y."""
    data = {
        "iris": datasets.load_iris(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "circles": datasets.make_circles(noise=0.2, factor=0.5, random_state=1),
        "moons": datasets.make_moons(noise=0.3, random_state=0),
    }
    return [
        (
            setting | {"max_iter": 15 if name == "digits" else 400, "random_state": 0},
            MinMaxScaler().fit_transform(X),
            y,
        )
        for name, (X, y) in data.items()
        for setting in STRATEGIES
    ]


def regularization():
    """Return the fits of the second study."""
    X, y = datasets.make_classification(
        n_features=2, n_redundant=0, n_informative=2, random_state=0, n_clusters_per_class=1
    )
    X += 2 * np.random.RandomState(2).uniform(size=X.shape)
    data = [
        datasets.make_moons(noise=0.3, random_state=0),
        datasets.make_circles(noise=0.2, factor=0.5, random_state=1),
        (X, y),
    ]
    fixed = {"solver": "lbfgs", "max_iter": 2000, "hidden_layer_sizes": [10, 10]}
    return [
        (fixed | {"alpha": alpha, "random_state": 1}, StandardScaler().fit_transform(X), y)
        for X, y in data
        for alpha in np.logspace(-1, 1, 5)
    ]


def mnist(images, labels):
    """Return the only fit of the third study."""
    X, y = read_idx(images), read_idx(labels)
    setting = {"hidden_layer_sizes": (40,), "max_iter": 8, "solver": "sgd", "random_state": 1}
    return [(setting | {"learning_rate_init": 0.2}, X.reshape(len(X), -1) / 255.0, y)]


def fitted(module, options, fits):
    """Return all networks of a study."""
    return [module.MLPClassifier(**setting, **options).fit(X, y) for setting, X, y in fits]


def row_of(name, fits, rounds):
    """Return a row of the table, and the seconds of each round."""
    studies = [
        functools.partial(fitted, neural_network, {}, fits),
        functools.partial(fitted, fastmlp.sklearn, {"n_threads": 1}, fits),
    ]
    theirs, ours = (study() for study in studies)  # compiles
    seconds = interleave([functools.partial(seconds_of, study) for study in studies], rounds)
    same = sum(a.n_iter_ == b.n_iter_ for a, b in zip(theirs, ours, strict=True))
    losses = max(abs(a.loss_ / b.loss_ - 1) for a, b in zip(theirs, ours, strict=True))
    scores = max(
        abs(a.score(X, y) - b.score(X, y))
        for a, b, (_, X, y) in zip(theirs, ours, fits, strict=True)
    )
    cells = [f"{statistics.median(turns):.2f}" for turns in seconds]
    cells += [f"{median_ratio(*seconds):.1f}", f"{same} of {len(fits)}"]
    return f"| {name} | {' | '.join(cells)} | {losses:.1g} | {scores:.1g} |", seconds


def main():
    """Measure, print the table, and write what is asked for."""
    parser = make_parser("gallery.py", __doc__, 3)
    parser.add_argument("--images", metavar="FILE", help="images of MNIST, for the third study")
    parser.add_argument("--labels", metavar="FILE", help="their labels")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # some fits do not converge
    studies = {"learning strategies": strategies(), "regularization": regularization()}
    if arguments.images and arguments.labels:
        studies["weights on MNIST"] = mnist(arguments.images, arguments.labels)
    version = importlib.metadata.version("scikit-learn")
    text = [*heading(f"scikit-learn {version}, one thread", arguments.rounds), ""]
    text += ["| study | scikit-learn, s | fastmlp, s | ratio | same epochs | loss | score |"]
    text += ["|---|---:|---:|---:|---:|---:|---:|"]
    seconds = {}
    with threadpool_limits(1):
        for name, fits in studies.items():
            row, seconds[name] = row_of(name, fits, arguments.rounds)
            text.append(row)
    table = "\n".join(text) + "\n"
    print(table)
    save(arguments, table, seconds)


if __name__ == "__main__":
    sys.exit(main())
