"""Compare `fit_many` with fits one after the other, JAX's vmap, and scikit-learn under joblib.

    tox -e many                                                # all of it, a few minutes
    python asv_benches/many.py --systems fastmlp --rounds 3

The networks are [64, 32, 10] on the 1,797 digits, 20 epochs of Adam in batches of 32, float32, with
different seeds. "serial" is a loop of fits on one thread each, and "fit_many" the same fits on two
threads. JAX trains all networks at once by `vmap`, with all epochs in one jitted function, whose
compilation is not timed, on as many threads as it likes. scikit-learn's `MLPClassifier` runs in
processes of joblib that are kept between rounds. Before and after, the multiply-add peak of one
thread and of two at once shows what the second processor is worth.
"""

import functools
import threading
import warnings

import numpy as np
from benchmarks.kernels import repeat_multiply_add
from benchmarks.timed import interleave, median_ratio, seconds_of
from tooling import at_least, heading, list_of, make_parser, one_of, save

from fastmlp import MLP, datasets, fit_many

LAYERS, EPOCHS, BATCH_SIZE = [64, 32, 10], 20, 32
SYSTEMS = ("fastmlp", "jax", "sklearn")


def make_data():
    """Return digits between 0 and 1, in float32, and their labels."""
    X, y = datasets.digits()
    return np.ascontiguousarray(X / 16, np.float32), y


def networks(n):
    """Return n networks of fastmlp."""
    return [MLP(LAYERS, random_state=seed) for seed in range(n)]


def fastmlp_turns(n):
    """Return functions that train one network after the other, and all at once."""
    X, y = make_data()
    options = {"epochs": EPOCHS, "batch_size": BATCH_SIZE}
    return {
        "serial": lambda: fit_many(networks(n), X, y, n_threads=1, **options),
        "fit_many": lambda: fit_many(networks(n), X, y, n_threads=2, **options),
    }


def jax_turns(n):
    """Return a function that trains all networks in one jitted call."""
    import jax
    import jax.numpy as jnp

    X, y = map(jnp.asarray, make_data())
    steps = len(X) // BATCH_SIZE  # whole batches: a ragged one would need a second program
    parts = list(zip(LAYERS[:-1], LAYERS[1:], strict=True))

    def initial(key):
        keys = jax.random.split(key, len(parts))
        return [
            (jax.random.normal(k, (a, b)) * np.sqrt(2 / (a + b)), jnp.zeros(b))
            for k, (a, b) in zip(keys, parts, strict=True)
        ]

    def loss(parameters, rows, labels):
        (W1, b1), (W2, b2) = parameters
        z = jax.nn.relu(rows @ W1 + b1) @ W2 + b2
        return -jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], 1).mean()

    def step(state, index):
        parameters, m, v, t = state
        gradients = jax.grad(loss)(parameters, X[index], y[index])
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), parameters, m, v
        )
        return (parameters, m, v, t), None

    def train(key):
        first, *keys = jax.random.split(key, EPOCHS + 1)
        orders = jnp.stack([jax.random.permutation(k, len(X)) for k in keys])
        index = orders[:, : steps * BATCH_SIZE].reshape(-1, BATCH_SIZE)
        parameters = initial(first)
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        return jax.lax.scan(step, (parameters, zeros, zeros, 0.0), index)[0][0]

    keys = jax.random.split(jax.random.key(0), n)
    compiled = jax.jit(jax.vmap(train)).lower(keys).compile()
    return {"jax": lambda: jax.block_until_ready(compiled(keys))}


def fit_sklearn(seed, X, y):
    """Train a network of scikit-learn; its epochs never end early."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are wanted
    options = {"max_iter": EPOCHS, "n_iter_no_change": EPOCHS + 1, "tol": 0.0, "alpha": 0.0}
    net = MLPClassifier(LAYERS[1:-1], batch_size=BATCH_SIZE, random_state=seed, **options)
    return net.fit(X, y)


def sklearn_turns(n):
    """Return a function that trains the networks in two processes."""
    from joblib import Parallel, delayed

    X, y = make_data()
    run = Parallel(n_jobs=2, pre_dispatch="all")
    return {"sklearn": lambda: run(delayed(fit_sklearn)(seed, X, y) for seed in range(n))}


def peaks():
    """Return the multiply-add rates of one thread and of two at once, relative to the first."""
    x, result = np.ones(64, np.float32), np.zeros(1024, np.float32)
    call = functools.partial(repeat_multiply_add, 3_000_000, x, result)

    def both():
        others = [
            threading.Thread(
                target=repeat_multiply_add, args=(3_000_000, x, np.zeros(1024, np.float32))
            )
        ]
        for thread in others:
            thread.start()
        call()
        for thread in others:
            thread.join()

    call(), both()
    one, two = interleave([lambda: seconds_of(call), lambda: seconds_of(both)], 9)
    return 2 * median_ratio(one, two)


def main():
    """Measure, print the table, and write the files that were asked for."""
    parser = make_parser("many.py", __doc__, 5)
    parser.add_argument(
        "--systems", type=list_of(one_of(SYSTEMS)), default=",".join(SYSTEMS),
        help="default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--networks", type=at_least(1), default=64, help="default: %(default)s")
    arguments = parser.parse_args()
    worth = peaks()
    turns = {}
    for system in arguments.systems:
        makes = {"fastmlp": fastmlp_turns, "jax": jax_turns, "sklearn": sklearn_turns}[system]
        turns |= makes(arguments.networks)
    for turn in turns.values():
        turn()  # compiles
    timed = [functools.partial(seconds_of, turn) for turn in turns.values()]
    seconds = dict(zip(turns, interleave(timed, arguments.rounds), strict=True))
    worth = [worth, peaks()]
    text = [*heading("seconds", arguments.rounds), "", "| | seconds | relative to fit_many |"]
    text.append("|---|---:|---:|")
    for name, found in seconds.items():
        ratio = median_ratio(found, seconds["fit_many"]) if "fit_many" in seconds else float("nan")
        text.append(f"| {name} | {np.median(found):.3f} | {ratio:.2f} |")
    text += ["", f"Two threads together have {min(worth):.2f} - {max(worth):.2f} times one's peak."]
    text = "\n".join(text) + "\n"
    print(text)
    save(arguments, text, seconds)


if __name__ == "__main__":
    main()
