"""Compute digests with other vector widths and for other processors, in subprocesses.

``python -m helpers.processors PART ...``, in the folder `tests`, prints digests of `PARTS`.
"""

import json
import os
import subprocess
import sys

from helpers import TESTS

AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2,+bmi,+bmi2",
}
WITHOUT_FMA = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2"}
LANES = {f"{lanes} lanes": {"FASTMLP_LANES": str(lanes)} for lanes in (4, 8, 16)}


def run(arguments, settings):
    """Run Python with these arguments, compiling for the processor of the settings."""
    result = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "FASTMLP_LANES": "", **settings},
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def digests(settings, parts):
    """Return the processor and the digests of the parts, computed with these settings."""
    return json.loads(run(["-m", "helpers.processors", *parts], settings))


# The parts ---------------------------------------------------------------------------------------


def activations():
    """Yield every activation and its derivative."""
    for dtype in ("float32", "float64"):
        z = (8 * np.random.default_rng(0).standard_normal(1003)).astype(dtype)
        for name in ACTIVATIONS:
            yield from activated(name, z)


def random_bits():
    """Yield rows with dropout and rows with noise."""
    drop_key, noise_key = (np.uint32([first, 2]) for first in (1, 3))
    for dtype in ("float32", "float64"):
        for n in (1, 2, 3, 31, 32, 100, 257):
            a, b, x = (np.linspace(-1, 1, n).astype(dtype) for _ in range(3))
            for row in (0, 1, 2**32 + 1):
                drop_row(drop_key, row, 0.4, a, b)
                add_noise_to_row(noise_key, row, 0.1, x)
            yield from (a, b, x)


def state_of(net):
    """Yield parameters and losses, and check that the padding between parameters is zero."""
    parameters = [*net.weights, *net.biases]
    yield from parameters
    yield np.array(net.history_["loss"])
    n_used = sum(np.count_nonzero(each) for each in parameters)
    assert np.count_nonzero(net._state.network.parameters) == n_used


def basic_trainings(dtype):
    """Yield the results of SGD for the shapes in `core/test_step.py` and for wide layers."""
    X, y = digits_with_zeros()
    shapes = [([n, n, n + 1], rows) for n in WIDTHS for rows in (1, 2, 5, 16, 33, 37)]
    shapes += [([*np.resize([17, 64, 3, 100], depth), 10], 33) for depth in range(1, 6)]
    shapes += [([40, 512, 256, 70], 10), ([64, 100, 17, 10], 33), ([64, 10], 1797)]
    shapes += [([64, 100, 1020, 70, 10], 1024)]  # sums of whole blocks, half vectors at the end
    for i, (sizes, batch_size) in enumerate(shapes):
        for output_activation in ("relu", "identity"):
            net = NeuralNet(
                sizes, 0.1, 0.01 * (i % 2), output_activation=output_activation, dtype=dtype,
                input_scale=1 / 16, random_state=0,
            )  # fmt: skip
            n = min(2 * batch_size + 1, len(X))
            inputs = np.tile(X[:n], 2)[:, : sizes[0]]
            net.fit(inputs, y[:n] % sizes[-1], epochs=1, batch_size=batch_size)
            yield from state_of(net)
            yield net.predict_proba(inputs)
    yield from wide_trainings(dtype, np.asarray)


def trainings_on(form):
    """Yield the results of SGD on X in another form."""
    X, y = digits_with_zeros()
    net = NeuralNet([64, 100, 10], 0.1, dtype="float32", input_scale=1 / 16, random_state=0)
    net.fit(form(X), y, epochs=1)
    yield from state_of(net)
    yield net.predict_proba(form(X))
    yield from wide_trainings("float32", form)


def wide_trainings(dtype, form):
    X, y = digits_with_zeros()
    for width in WIDE:
        net = NeuralNet(
            [width, 257, width, 10], 0.1, dtype=dtype, input_scale=1 / 16, random_state=0
        )
        net.fit(form(np.tile(X[:100], 18)[:, :width]), y[:100], epochs=1)
        yield from state_of(net)


def all_trainings(dtype):
    """Yield the results of every loss, optimizer, activation and option."""
    X, y = digits_with_zeros()
    hidden = [name for name in ACTIVATIONS if name != "identity"]
    for loss, optimizer in zip(LOSSES, OPTIMIZERS, strict=True):
        mlp = MLP(
            [64, 24, 20, 17, 16, 15, 9, 8, 12, 10], activation=hidden, loss=loss,
            optimizer=optimizer, learning_rate=1e-3, l2=1e-4, l1=1e-5, dropout=0.1,
            input_noise=0.1, max_norm=2.0, clip_norm=1.0 if optimizer != "adam" else None,
            input_scale=1 / 16, dtype=dtype, random_state=0,
        )  # fmt: skip
        mlp.fit(X, y if loss == "softmax" else np.eye(10)[y], epochs=2, batch_size=33)
        assert np.isfinite(mlp.history_["loss"]).all()
        yield from state_of(mlp)
        yield mlp._outputs(X)
    wide = np.tile(X[:100], 18)
    for i, width in enumerate(WIDE):
        places = ([64, width, 17, 10], [width, 70, 10], [64, 40, width, 10])
        mlp = MLP(
            places[i % 3], activation=hidden[i], optimizer=list(OPTIMIZERS)[i % 7],
            learning_rate=1e-2, l2=1e-4, dropout=0.1 * (i % 2), clip_norm=0.5,
            max_norm=None if i % 4 else 1.0, input_scale=1 / 16, dtype=dtype, random_state=0,
        )  # fmt: skip
        inputs = wide[:, : mlp.layers[0]]
        mlp.fit(inputs, y[:100], epochs=1, batch_size=33)
        yield from state_of(mlp)
        yield mlp._outputs(inputs)
        # The order of these sums rarely affects the float32 weights.
        squares = mlp._state.optimizer._squares
        yield squares[squares != 0]


def digits_with_zeros():
    """Return the digits; most of every second image is zero, which training skips."""
    X, y = datasets.digits()
    X[::2] *= X[::2] > 14
    return X, y


#: The function that yields the arrays of each part. No two parts share their training kernels.
PARTS = {
    "activations": activations,
    "random bits": random_bits,
    "basic float32": lambda: basic_trainings("float32"),
    "basic float64": lambda: basic_trainings("float64"),
    "all float32": lambda: all_trainings("float32"),
    "all float64": lambda: all_trainings("float64"),
    "uint8": lambda: trainings_on(lambda X: X.astype(np.uint8)),
    "float16": lambda: trainings_on(lambda X: X.astype(np.float16)),
    "sparse": lambda: trainings_on(csr_matrix),
}
if __name__ == "__main__":
    import numpy as np
    from scipy.sparse import csr_matrix

    from fastmlp import MLP, NeuralNet, datasets
    from fastmlp.core.equations.activations import ACTIVATIONS
    from fastmlp.core.machine import processor
    from fastmlp.losses import LOSSES
    from fastmlp.optimizers import OPTIMIZERS
    from helpers.entry_points import activated, add_noise_to_row, drop_row
    from helpers.same_bits import digest_of

    WIDTHS = [1, 3, 10, 16, 17, 64, 100]
    WIDE = [121, 129, 200, 256, 257, 300, 520, 1100]  # around the widths at which kernels change
    found = {"processor": [processor.LANES, processor.REGISTERS, processor.FUSED]}
    for part in sys.argv[1:]:
        found[part] = digest_of(PARTS[part]())
    print(json.dumps(found))
