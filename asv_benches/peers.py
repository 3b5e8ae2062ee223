"""Time the same training with fastmlp and its peers, and print the README's table.

    python asv_benches/peers.py                     # every system that is installed, one thread
    python asv_benches/peers.py --threads 2 --rounds 9
    python asv_benches/peers.py --systems fastmlp,numpy --cases 784-64-10@32,64-32-10@32

A case is layers@batch_size. All train it alike: float32, plain SGD with a rate of 0.05, relu,
softmax cross-entropy, a new order of the samples for each epoch, on synthetic data with 19 % of
the inputs not zero, as MNIST has. Each system lives in a process of its own. A round times one
epoch of each in turn, so that a drift of the machine falls on all; printed are the medians over
the rounds, microseconds a sample, and behind them how many times as long as fastmlp. Each system
is used as its own manual advises for speed: JAX jits the whole epoch, PyTorch skips what it need
not zero. Besides fastmlp: pip install scikit-learn jax threadpoolctl, and PyTorch for the CPU.
"""

import argparse
import multiprocessing
import os
import platform
import statistics
import time

import numpy as np

RATE = 0.05
CASES = "784-64-10@1,784-64-10@32,784-64-10@128,784-512-512-10@128,64-32-10@32,28-64-64-2@256"


def make_samples(layers, n):
    """Return X, float32 of which 19 % is not zero, around a centre for each class, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, layers[-1], n)
    X = rng.random((layers[-1], layers[0]), np.float32)[labels]
    X += rng.random(X.shape, np.float32)
    X *= 0.5 * (rng.random(X.shape, np.float32) < 0.19)
    return X, labels


def make_weights(layers):
    """Return Xavier weights (n_in, n_out) and zero biases of each layer, float32."""
    rng = np.random.default_rng(1)
    pairs = list(zip(layers[:-1], layers[1:], strict=True))
    weights = [rng.standard_normal(pair, np.float32) * np.sqrt(2 / sum(pair)) for pair in pairs]
    return [w.astype(np.float32) for w in weights], [np.zeros(n, np.float32) for _, n in pairs]


def fastmlp_epoch(layers, batch_size, X, labels, n_threads):
    import fastmlp

    net = fastmlp.NeuralNet(
        layers,
        RATE,
        output_activation="identity",
        dtype=np.float32,
        random_state=0,
        n_threads=n_threads,
    )
    return lambda: net.fit(X, labels, epochs=1, batch_size=batch_size)


def numpy_epoch(layers, batch_size, X, labels, n_threads):
    weights, biases = make_weights(layers)
    one_hots = np.eye(layers[-1], dtype=np.float32)[labels]
    rng, last = np.random.default_rng(2), len(weights) - 1

    def epoch():
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            a = [X[rows]]
            for l, (w, b) in enumerate(zip(weights, biases, strict=True)):
                z = a[-1] @ w + b
                a.append(z if l == last else np.maximum(z, 0))
            p = np.exp(a[-1] - a[-1].max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            delta = (p - one_hots[rows]) / np.float32(len(rows))
            for l in range(last, -1, -1):
                weight_grads, bias_grads = a[l].T @ delta, delta.sum(axis=0)
                if l > 0:
                    delta = (delta @ weights[l].T) * (a[l] > 0)
                weights[l] -= np.float32(RATE) * weight_grads
                biases[l] -= np.float32(RATE) * bias_grads

    return epoch


def sklearn_epoch(layers, batch_size, X, labels, n_threads):
    from sklearn.neural_network import MLPClassifier

    settings = {
        "solver": "sgd",
        "momentum": 0,
        "nesterovs_momentum": False,
        "alpha": 0,
        "learning_rate_init": RATE,
        "batch_size": batch_size,
        "max_iter": 1,
    }
    return lambda: MLPClassifier(layers[1:-1], **settings).fit(X, labels)


def torch_epoch(layers, batch_size, X, labels, n_threads):
    import torch

    torch.set_num_threads(n_threads)
    modules = []
    for n_in, n_out in zip(layers[:-1], layers[1:], strict=True):
        modules += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1]).train()
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(labels)

    def epoch():
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()

    return epoch


def jax_epoch(layers, batch_size, X, labels, n_threads):
    import jax

    inputs, targets = jax.numpy.asarray(X), jax.numpy.asarray(labels)
    n_steps = len(X) // batch_size

    def loss_of(parameters, a, y):
        for l, (w, b) in enumerate(zip(*parameters, strict=True)):
            z = a @ w + b
            a = jax.nn.relu(z) if l < len(layers) - 2 else z
        return -jax.nn.log_softmax(a)[jax.numpy.arange(batch_size), y].mean()

    def step(parameters, rows):
        gradients = jax.grad(loss_of)(parameters, inputs[rows], targets[rows])
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), None

    @jax.jit
    def whole_epoch(parameters, key):
        order = jax.random.permutation(key, len(X))[: n_steps * batch_size]
        return jax.lax.scan(step, parameters, order.reshape(n_steps, batch_size))[0]

    state = {"parameters": jax.tree.map(jax.numpy.asarray, make_weights(layers)), "epoch": 0}

    def epoch():
        key = jax.random.key(state["epoch"])
        state["epoch"] += 1
        state["parameters"] = jax.block_until_ready(whole_epoch(state["parameters"], key))

    return epoch


SYSTEMS = {
    "fastmlp": fastmlp_epoch,
    "numpy": numpy_epoch,
    "sklearn": sklearn_epoch,
    "torch": torch_epoch,
    "jax": jax_epoch,
}
SLOW_AT_ONE = {"numpy", "sklearn", "torch"}  # a call, or many, for each sample


def samples_of(system, layers, batch_size):
    """Return how many samples make an epoch of some tenths of a second, whole minibatches."""
    if batch_size == 1:
        return 2_000 if system in SLOW_AT_ONE else 10_000
    n = 12_800 if sum(layers) > 1_500 else 60_000
    return n // batch_size * batch_size


def serve(system, n_threads, pipe):
    """Answer each case with "ready" or what is wrong, and each "go" with an epoch's seconds."""
    if n_threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import warnings

    warnings.simplefilter("ignore")
    epoch, limits = None, None
    while (message := pipe.recv()) is not None:
        try:
            if message == "go":
                began = time.perf_counter()
                epoch()
                pipe.send(time.perf_counter() - began)
                continue
            layers, batch_size, n = message
            epoch = SYSTEMS[system](layers, batch_size, *make_samples(layers, n), n_threads)
            if system in ("numpy", "sklearn"):
                from threadpoolctl import threadpool_limits

                limits = threadpool_limits(n_threads)
            epoch()  # compiles, and warms the caches
            pipe.send("ready")
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
    del limits


def measure(systems, cases, n_threads, rounds):
    """Yield each case with a dict of each system's seconds a sample, round by round."""
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    if n_threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for system in systems:
        pipes[system], end = context.Pipe()
        context.Process(target=serve, args=(system, n_threads, end), daemon=True).start()
    for layers, batch_size in cases:
        seconds = {}
        for system, pipe in pipes.items():
            pipe.send((layers, batch_size, samples_of(system, layers, batch_size)))
            answer = pipe.recv()
            if answer == "ready":
                seconds[system] = []
            else:
                print(f"{system} is not measured: {answer}")
        for _ in range(rounds):
            for system, times in seconds.items():
                pipes[system].send("go")
                times.append(pipes[system].recv() / samples_of(system, layers, batch_size))
        yield layers, batch_size, seconds
    for pipe in pipes.values():
        pipe.send(None)


def cell(times, base):
    """Return the median in microseconds, and the median ratio to the base of the same round."""
    ratio = statistics.median(t / b for t, b in zip(times, base, strict=True))
    text = f"{1e6 * statistics.median(times):.3g}"
    return text if times is base else f"{text} ({ratio:.1f}x)"


def parse_case(text):
    """Return ``([784, 64, 10], 32)`` for ``"784-64-10@32"``."""
    layers, batch_size = text.split("@")
    return [int(size) for size in layers.split("-")], int(batch_size)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    systems = arguments.systems.split(",")
    cases = [parse_case(text) for text in arguments.cases.split(",")]

    print(f"{platform.machine()}, {arguments.threads} thread(s), {arguments.rounds} rounds\n")
    print("| layers | batch | " + " | ".join(systems) + " |")
    print("|---|---:|" + "---:|" * len(systems))
    for layers, batch_size, seconds in measure(systems, cases, arguments.threads, arguments.rounds):
        base = next(iter(seconds.values()), [])
        cells = [cell(seconds[s], base) if s in seconds else "" for s in systems]
        print(f"| {layers} | {batch_size} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
