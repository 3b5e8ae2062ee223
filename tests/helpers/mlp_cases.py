"""Data for every loss, parameters and settings for the tests of `MLP`.

Settings are the keyword arguments of `ReferenceMLP`, which `TorchMLP` takes as well; `mlp`
turns them into an `MLP`.
"""

import dataclasses
import itertools

import numpy as np

ACTIVATIONS = [
    "identity", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu",
]  # fmt: skip
#: The class in fastmlp.losses for each loss.
LOSSES = {
    "softmax": "Softmax",
    "logistic": "Logistic",
    "squared_error": "SquaredError",
    "absolute_error": "AbsoluteError",
    "huber": "Huber",
    "poisson": "Poisson",
    "pinball": "Pinball",
}
#: For each optimizer, the class in fastmlp.optimizers and a rate that learns in 20 steps.
OPTIMIZERS = {
    "sgd": ("SGD", 0.1),
    "momentum": ("Momentum", 0.05),
    "nesterov": ("Nesterov", 0.05),
    "rmsprop": ("RMSprop", 0.01),
    "adagrad": ("Adagrad", 0.1),
    "adam": ("Adam", 0.02),
    "adamw": ("AdamW", 0.02),
}
#: Losses and optimizers with other options than the defaults.
LOSS_OPTIONS = [
    ("softmax", {"label_smoothing": 0.1}),
    ("huber", {"delta": 0.4}),
    ("huber", {"delta": 2.5}),
    ("pinball", {"quantile": 0.8}),
]
OPTIMIZER_OPTIONS = [
    ("momentum", {"momentum": 0.5}),
    ("nesterov", {"momentum": 0.5}),
    ("rmsprop", {"decay": 0.9, "epsilon": 1e-4}),
    ("adagrad", {"epsilon": 1e-4}),
    ("adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4}),
    ("adamw", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4}),
]
PENALTIES = [
    {"l2": 0.1},
    {"l2": [0.0, 0.2, 0.05]},
    {"l1": [0.01, 0.0, 0.03]},
    {"clip_norm": 0.2},
    {"max_norm": [0.9, 1.1, 0.7]},
    {"l2": 0.1, "l1": 0.01, "clip_norm": 0.3, "max_norm": 1.0},
]
# Twenty steps in two epochs; the last of each is smaller. The batch size is odd: with an even one
# signs of an absolute error may cancel up to rounding, and Adagrad scales up rounding errors.
SAMPLES, BATCH_SIZE, EPOCHS = 66, 7, 2


@dataclasses.dataclass
class NetOptions:
    """The options of `ReferenceMLP` and `TorchMLP`; those of losses and optimizers are dicts."""

    activation: str | list = "relu"
    output_activation: str = "identity"
    loss: str = "softmax"
    loss_options: dict | None = None
    optimizer: str = "sgd"
    optimizer_options: dict | None = None
    learning_rate: object = 0.1
    l2: object = 0.0
    l1: object = 0.0
    max_norm: object = None
    clip_norm: float | None = None

    def of_layers(self, n):
        """Return the activations of n layers, their l2, l1 and max_norm, which may be None."""
        hidden = self.activation
        hidden = [hidden] * (n - 1) if isinstance(hidden, str) else list(hidden)
        norms = None if self.max_norm is None else np.broadcast_to(self.max_norm, n)
        l2, l1 = np.broadcast_to(self.l2, n), np.broadcast_to(self.l1, n)
        return [*hidden, self.output_activation], l2, l1, norms


def settings(optimizer="sgd", **others):
    """Return keyword arguments of `ReferenceMLP`, with a learning rate for the optimizer."""
    return {"optimizer": optimizer, "learning_rate": OPTIMIZERS[optimizer][1], **others}


def parameters(sizes, seed=0):
    """Return weights and biases, all nonzero."""
    random = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(sizes))
    weights = [random.standard_normal((n_out, n_in)) / np.sqrt(n_in) for n_in, n_out in pairs]
    return weights, [0.3 * random.standard_normal((n_out, 1)) for _, n_out in pairs]


def samples(loss, sizes, n=SAMPLES, seed=0):
    """Return X and the targets that the loss takes."""
    random = np.random.default_rng(1000 + seed)
    X, shape = random.standard_normal((n, sizes[0])), (n, sizes[-1])
    if loss == "softmax":
        return X, random.integers(0, sizes[-1], n)
    if loss == "logistic":
        return X, random.integers(0, 2, shape)
    if loss == "poisson":
        return X, random.poisson(2.0, shape)
    return X, random.standard_normal(shape)


def mlp(weights, biases, settings, **others):
    """Return an `MLP` with these parameters and settings."""
    from fastmlp import MLP, losses, optimizers

    given = {"loss": "softmax", "optimizer": "sgd", "learning_rate": 0.1, **settings, **others}
    loss_options = given.pop("loss_options", None)
    optimizer_options = given.pop("optimizer_options", None)
    if loss_options:
        given["loss"] = getattr(losses, LOSSES[given["loss"]])(**loss_options)
    if optimizer_options:
        name = OPTIMIZERS[given["optimizer"]][0]
        given["optimizer"] = getattr(optimizers, name)(**optimizer_options)
    given = {"dtype": np.float64, **given}
    sizes = [weights[0].shape[1], *(len(w) for w in weights)]
    net = MLP(sizes, init=weights, **given)
    for view, b in zip(net.biases, biases, strict=True):
        view[...] = b
    return net


def assert_close(found, expected, tolerance):
    """Compare parameters, relative to the largest magnitude in each array, or to 1."""
    pairs = zip([*found.weights, *found.biases], [*expected.weights, *expected.biases], strict=True)
    for one, other in pairs:
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.isfinite(other).all()
        assert np.abs(one - other).max() <= tolerance * max(1.0, np.abs(other).max())
