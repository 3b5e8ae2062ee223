"""Trainings with random data, options and callbacks, drawn from a seed and a number.

`drawn` returns one; its `run` trains in a folder, from the beginning or from the checkpoint there.
"""

import json
import os
from dataclasses import dataclass, field

import numpy as np

from fastmlp import MLP, NeuralNet, losses, optimizers, schedules
from fastmlp.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    Progress,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastmlp.core.machine import processor
from helpers.mlp_cases import ACTIVATIONS, LOSSES, OPTIMIZERS, samples

# Around the sizes at which kernels change.
WIDTHS = [1, 3, 8, 17, 64, 127, 128, 129, 200, 255, 256, 257, 300]
BATCH_SIZES = [1, 5, 16, 32, 64, 65, 128, 300]
INITS = ["xavier_normal", "he_uniform", "lecun_normal", "orthogonal"]
SOURCES = {
    "int": int,
    "global": lambda seed: np.random.seed(seed),
    "RandomState": np.random.RandomState,
    "PCG64": np.random.default_rng,
    "MT19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
    "Philox": lambda seed: np.random.Generator(np.random.Philox(seed)),
    "SFC64": lambda seed: np.random.Generator(np.random.SFC64(seed)),
}
#: Forms of X that `validation_fraction` can split, and forms that it cannot.
ARRAYS = ["float32", "float64", "uint8", "float16", "bool", "strided", "memmap", "sparse"]
BATCHES = ["list of batches", "function of batches"]
METRICS = {
    "classes": ["accuracy", "balanced_accuracy", "f1", "log_loss"],
    "labels": ["accuracy", "log_loss"],
    "values": ["r2", "mae", "rmse"],
}


class Remembers(Callback):
    """A callback whose own state decides when training ends."""

    def on_train_begin(self, logs=None):
        self.sums = np.zeros(2)

    def on_epoch_end(self, epoch, logs=None):
        self.sums += [logs["loss"], epoch]
        if self.sums[1] > 40:
            self.model.stop_training = True

    def state(self):
        return {"sums": self.sums}

    def restore(self, state):
        self.sums = state["sums"].copy()


@dataclass
class RandomTraining:
    """One training; `random` draws whatever is not given."""

    random: np.random.Generator
    cls: type = MLP
    layers: list = field(default_factory=list)
    arguments: dict = field(default_factory=dict)
    source: str = "int"
    data: str = "float32"
    fit: dict = field(default_factory=dict)
    validation: str = "none"
    callbacks: list = field(default_factory=list)
    seed: int = 0

    def __post_init__(self):
        self.seed = int(self.random.integers(2**31))
        self.cls = NeuralNet if self.maybe(0.15) else MLP
        self.loss = "softmax" if self.cls is NeuralNet else self.one_of(list(LOSSES))
        self.layers = self._layers()
        self.source = self.one_of(list(SOURCES))
        self.data = self.one_of([*ARRAYS, *BATCHES])
        self.validation = self.one_of(["none", "data", "fraction"])
        if self.data in BATCHES and self.validation == "fraction":
            self.validation = "data"
        self.arguments = self._arguments()
        self.n_samples = int(self.random.integers(30, 300))
        self.fit = self._fit()
        self.callbacks = self._callbacks()

    # Drawing ------------------------------------------------------------------------------------

    def maybe(self, share=0.5):
        return bool(self.random.random() < share)

    def one_of(self, values):
        return values[self.random.integers(len(values))]

    def some_of(self, values):
        return [value for value in values if self.maybe()]

    def _layers(self):
        n_out = self.one_of([2, 3, 10, 130] if self.loss == "softmax" else [1, 2, 5])
        hidden = [self.one_of(WIDTHS) for _ in range(self.random.integers(4))]
        return [self.one_of(WIDTHS), *hidden, n_out]

    def _arguments(self):
        n_hidden = len(self.layers) - 2
        arguments = {
            "dtype": self.one_of(["float32", "float64"]),
            "input_scale": 1 / 128 if self.data == "uint8" else self.one_of([1.0, 0.5]),
            "n_threads": self.one_of([None, 1, 2, 3]),
            "output_activation": "relu" if self.maybe(0.1) else "identity",
        }
        if self.data != "sparse" and self.maybe(0.3):
            arguments["input_shift"] = 0.25
        if self.cls is NeuralNet:
            return arguments | {"learning_rate": 0.05, "reg_lambda": self.one_of([0.0, 0.01])}
        optimizer = self.one_of(list(OPTIMIZERS))
        drawn = {
            "loss": self._loss,
            "activation": lambda: [self.one_of(ACTIVATIONS) for _ in range(n_hidden)],
            "init": lambda: self.one_of(INITS),
            "l2": lambda: [self.one_of([0.0, 0.01]) for _ in range(n_hidden + 1)],
            "l1": lambda: 0.001,
            "max_norm": lambda: self.one_of([0.5, 2.0]),
            "dropout": lambda: [self.one_of([0.0, 0.2, 0.5]) for _ in range(n_hidden)],
            "input_noise": lambda: 0.0 if self.data == "sparse" else 0.1,
            "clip_norm": lambda: self.one_of([0.1, 1.0]),
            "warm_start": lambda: False,
        }
        arguments |= {name: drawn[name]() for name in self.some_of(list(drawn))}
        return {"loss": self.loss} | arguments | self._descent(optimizer)

    def _loss(self):
        options = {"softmax": {"label_smoothing": 0.1}, "huber": {"delta": 0.5}}
        options["pinball"] = {"quantile": 0.8}
        return getattr(losses, LOSSES[self.loss])(**options.get(self.loss, {}))

    def _descent(self, optimizer):
        """Return an optimizer and a suitable learning rate: a number, a schedule or a function."""
        name, rate = OPTIMIZERS[optimizer]
        rate *= self.one_of([0.1, 0.3, 1.0])
        steps = int(self.random.integers(5, 200))
        rule = getattr(optimizers, name)
        options = {"momentum": {"momentum": 0.5}, "adam": {"beta1": 0.5}, "rmsprop": {"decay": 0.5}}
        made = rule(**options.get(optimizer, {})) if self.maybe(0.3) else rule()
        learning_rate = self.one_of([
            rate, rate, None, schedules.Constant(rate), schedules.Step(rate, every=10),
            schedules.Exponential(rate, 0.99), schedules.InverseScaling(rate),
            schedules.Cosine(rate, steps), schedules.OneCycle(rate, steps),
            schedules.WarmUp(schedules.Cosine(rate, steps), 7),
            lambda step: rate / (1 + 0.01 * step),
        ])  # fmt: skip
        return {"optimizer": made, "learning_rate": learning_rate}

    def _fit(self):
        fit = {
            "epochs": int(self.random.integers(5, 30)),
            "batch_size": self.one_of(BATCH_SIZES),
            "shuffle": self.one_of([True, True, False, "blocks"]),
        }
        if self.loss == "softmax" and self.maybe(0.4):
            n_out = self.layers[-1]
            weights = [{0: 2.0, 1: 0.5}, np.linspace(0.5, 2, n_out), "balanced"]
            fit["class_weight"] = self.one_of(weights[:2] if self.data in BATCHES else weights)
        if self.maybe(0.4):
            task = getattr(losses, LOSSES[self.loss])().task
            fit["metrics"] = self.some_of(METRICS[task])
        return fit

    def _callbacks(self):
        """Draw functions that make callbacks for a folder; one checkpoint is always among them."""
        seen = "loss" if self.validation == "none" else "validation_loss"
        patience, factor = int(self.random.integers(1, 8)), self.one_of([0.3, 0.9])
        every, restores = int(self.random.integers(1, 4)), self.maybe()
        found = self.some_of([
            lambda folder: EarlyStopping(seen, patience, restore_best_weights=restores),
            lambda folder: ReduceLROnPlateau(seen, factor, patience=2, min_delta=0.01, cooldown=1),
            lambda folder: CSVLogger(folder / "log.csv"),
            lambda folder: ModelCheckpoint(folder / "best.npz", monitor=seen),
            lambda folder: Remembers(),
            lambda folder: TerminateOnNaN(),
            lambda folder: Progress(open(os.devnull, "w")),
        ])  # fmt: skip
        found.append(lambda folder: ModelCheckpoint(folder / "model.npz", every=every))
        self.random.shuffle(found)
        return found

    # The data -----------------------------------------------------------------------------------

    def made_data(self, base):
        """Return X, y and the other arguments that hold data."""
        X, y = samples(self.loss, self.layers, self.n_samples, self.seed)
        random = np.random.default_rng(self.seed)
        weights = random.random(self.n_samples) + 0.1 if self.seed % 2 else None
        validation = {"fraction": {"validation_fraction": 0.3}, "none": {}}.get(self.validation)
        if validation is None:
            validation = {"validation_data": samples(self.loss, self.layers, 40, self.seed + 1)}
        if self.data in BATCHES:
            return (self._batches(X, y, weights, random), None, validation)
        if weights is not None:
            validation["sample_weight"] = weights
        return self._as(X, base), y, validation

    def _as(self, X, base):
        """Return X as `data` says."""
        if self.data == "uint8":
            return np.clip(np.rint(40 * X + 128), 0, 255).astype(np.uint8)
        if self.data == "bool":
            return X > 0
        if self.data == "strided":
            return np.asfortranarray(X)
        if self.data == "memmap":
            path = base / f"X-{os.getpid()}.npy"
            np.save(path, X.astype(self.arguments["dtype"]))
            return np.load(path, mmap_mode="r")
        if self.data == "sparse":
            from scipy import sparse

            return sparse.csr_matrix(X * (X > 1))
        return X.astype(self.data)

    def _batches(self, X, y, weights, random):
        cuts = np.unique(random.integers(1, len(X), 4))
        whole = (X, y) if weights is None else (X, y, weights)
        batches = list(zip(*(np.split(array, cuts) for array in whole), strict=True))
        return batches if self.data == BATCHES[0] else lambda: iter(batches)

    # The training -------------------------------------------------------------------------------

    def run(self, folder, n_threads, others=()):
        """Train in a folder on at most `n_threads` threads, from the start or from a checkpoint.

        What is left of it, in files, must not depend on `n_threads`, nor on how often it went on.
        """
        processor.usable_threads = lambda: n_threads
        # Only the first process has the seed.
        seed = os.getpid() if (folder / "model.npz").exists() else self.seed
        np.random.seed(seed)
        net = self.cls(self.layers, random_state=SOURCES[self.source](seed), **self.arguments)
        X, y, more = self.made_data(folder.parent)
        callbacks = [*others, *(made(folder) for made in self.callbacks)]
        net.fit(X, y, resume=True, callbacks=callbacks, **self.fit, **more)
        net.save(folder / "final.npz")
        drawn = np.random.random() if self.source == "global" else None
        end = [net.history_, drawn, bool(net.stop_training)]
        (folder / "end.json").write_text(json.dumps(end))
        return net


def drawn(seed, number):
    """Return the training with this seed and number."""
    return RandomTraining(np.random.default_rng([seed, number]))
