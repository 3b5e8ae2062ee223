"""What the options of `MLP` add to an epoch of plain SGD."""

from functools import partial

import numpy as np

import fastmlp

from .data import layers_of, make_data, make_sparse
from .timed import Timed, interleave, median_ratio, seconds_of

# Batch size and number of samples of each net: an epoch takes tens of milliseconds.
NETS = {"784-512-512-10": (128, 640), "64-32-10": (32, 25600)}
OPTIONS = {
    "sgd": {},
    "sgd with l2": {"l2": 1e-8},
    "sgd with l1": {"l1": 1e-8},
    **{name: {"optimizer": name} for name in ("momentum", "nesterov", "rmsprop")},
    **{name: {"optimizer": name} for name in ("adagrad", "adam", "adamw")},
    **{name: {"activation": name} for name in ("leaky_relu", "elu", "sigmoid", "tanh")},
    **{name: {"activation": name} for name in ("softplus", "gelu", "silu")},
    "dropout": {"dropout": 0.5},
    "input noise": {"input_noise": 0.1},
    "clip_norm": {"clip_norm": 1.0},
    "max_norm": {"max_norm": 3.0},
    "squared error": {"loss": "squared_error"},
    "logistic": {"loss": "logistic"},
}


class _Options:
    def prepare(self, net, option):
        layers, (batch_size, n_samples) = layers_of(net), NETS[net]
        X, y = make_data(n_samples, layers[0], layers[-1], "float32", 1.0)
        mlp = fastmlp.MLP(
            layers,
            **{"optimizer": "sgd", **OPTIONS[option]},
            learning_rate=1e-8,  # so small that the weights hardly change
            random_state=0,
            n_threads=1,
        )
        targets = y if mlp.loss.task == "classes" else np.eye(layers[-1], dtype=np.float32)[y]
        # Compile, or load compiled code, and allocate outside the timing.
        mlp.fit(X[:batch_size], targets[:batch_size], epochs=1, batch_size=batch_size)
        return lambda: mlp.fit(X, targets, epochs=1, batch_size=batch_size)


class EpochByOption(_Options, Timed):
    """Guards the step with options as a whole; `branches` guards each option's own code."""

    params = [list(NETS), ["sgd with l2", "momentum", "adam", "tanh", "dropout", "clip_norm"]]
    param_names = ["net", "option"]

    def setup(self, net, option):
        self.epoch = self.prepare(net, option)

    def time_epoch(self, net, option):
        self.epoch()

    time_epoch.pretty_name = "One epoch in float32 on one thread, by net and option"


class OptionOverSGD(_Options):
    """Guards the same as a ratio, which is independent of the machine's drift."""

    params = [list(NETS), [option for option in OPTIONS if option != "sgd"]]
    param_names = ["net", "option"]
    unit = "times an epoch of SGD with relu"

    def track_ratio(self, net, option):
        """Return the median of the ratios of interleaved epochs."""
        epochs = [self.prepare(net, name) for name in (option, "sgd")]
        return median_ratio(*interleave([partial(seconds_of, epoch) for epoch in epochs], 9))

    track_ratio.pretty_name = "Time of an epoch with an option over one of SGD with relu"


class OneRowOverSGD(Timed):
    """Guards the update rules with minibatches of one row, whose inputs are mostly zero."""

    params = [["momentum", "adam"], ["dense", "sparse"]]
    param_names = ["optimizer", "X"]
    unit = "times an epoch of SGD"

    def setup(self, optimizer, kind):
        X, y = make_data(300, 784, 10, "float32")
        X = make_sparse(X) if kind == "sparse" else X
        self.epochs = []
        for name in (optimizer, "sgd"):
            mlp = fastmlp.MLP(
                [784, 64, 10], optimizer=name, learning_rate=1e-8, random_state=0, n_threads=1
            )
            epoch = partial(mlp.fit, X, y, epochs=1, batch_size=1)
            epoch()
            self.epochs.append(partial(seconds_of, epoch))

    def track_ratio(self, optimizer, kind):
        return median_ratio(*interleave(self.epochs, 9))

    track_ratio.pretty_name = "Time of an epoch of 784-64-10 in minibatches of one over one of SGD"
