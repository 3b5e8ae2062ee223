"""The commands of the command line."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import warnings
from contextlib import suppress
from typing import Any

import numpy as np

import fastmlp
from fastmlp import numpy_version, random_sources
from fastmlp.command_line import splitting
from fastmlp.command_line.image_files import find_scale, read_images, read_labels
from fastmlp.datasets import digits
from fastmlp.messages import must, short
from fastmlp.serialization import files


def train(args: argparse.Namespace) -> None:
    """Train on four fifths of the samples, evaluate on the rest, and save the model.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C during training, once the model trained so far has been saved.
    """
    _check_writable(args.out)
    X, y = _samples(args)
    dtype, source = np.dtype(args.dtype), random_sources.random_source(args.seed)
    rows, held_out = splitting.drawn_split(y, source) if args.shuffle else splitting.last_split(y)
    X_train, y_train, y_held_out = X[rows], y[rows], y[held_out]
    if len(y_held_out) == 0:
        requirement = "have a class with several samples, so that some can be held out"
        raise ValueError(must(short(args.labels, 150), requirement, "one sample for each class"))

    net = fastmlp.NeuralNet(
        [X.shape[1], *args.layers, max(2, int(y.max()) + 1)],
        learning_rate=args.learning_rate,
        output_activation="identity",
        dtype=dtype,
        input_scale=1 / find_scale(args.images, X),
        random_state=source,
        n_threads=args.threads,
    )
    for sentence in splitting.gaps(y_train, y_held_out):
        warnings.warn(sentence, stacklevel=1)
    _compile(X.dtype, dtype)
    with _Interrupts() as interrupts:
        start = time.perf_counter()
        try:
            net.fit(X_train, y_train, args.epochs, args.batch_size, verbose=True)
            interrupts.ignored, interrupted = True, False
        except KeyboardInterrupt:
            interrupts.ignored, interrupted = True, True
        seconds = time.perf_counter() - start
        net.save(args.out)
    if interrupted:
        raise KeyboardInterrupt(f"interrupted; the model trained so far is saved to {args.out}")

    accuracy = net.score(X[held_out], y_held_out)
    _compare_with_a_guess(accuracy, y_train, y_held_out)
    n_seen = args.epochs * len(y_train)
    print(f"held-out accuracy: {accuracy:.4f} ({len(y_held_out)} samples)")
    print(f"training time: {seconds:.3f} s ({args.epochs} epochs of {len(y_train)} samples)")
    print(f"samples per second: {n_seen / seconds:.0f}")
    print(f"saved: {args.out}")


def _samples(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, one per row, and their labels."""
    if args.labels is None and args.images == "digits":
        return digits()
    if args.labels is None:
        raise ValueError("the following arguments are required: LABELS, unless IMAGES is digits")
    X = read_images(args.images)
    y = read_labels(args.labels, len(X))
    if len(X) < 5 or X.shape[1] == 0:
        requirement = "hold at least 5 images, a fifth of which is held out, of at least 1 pixel"
        got = f"{X.shape[0]} images of {X.shape[1]} pixels"
        raise ValueError(must(short(args.images, 150), requirement, got))
    if y.max() >= len(y):
        requirement = "hold class numbers that start at 0, with no more classes than samples"
        got = f"label {y.max()} among {len(y)} samples"
        raise ValueError(must(short(args.labels, 150), requirement, got))
    return X, y


def _compile(type_of_X: np.dtype, dtype: np.dtype) -> None:
    """Compile the code for this type of X, or load it from the cache, so that it is not timed."""
    net = fastmlp.NeuralNet([1, 2], output_activation="identity", dtype=dtype, random_state=0)
    net.fit(np.zeros((1, 1), type_of_X), [0], epochs=1)


def _compare_with_a_guess(accuracy: float, train: np.ndarray, held_out: np.ndarray) -> None:
    """Warn if the network is no better than predicting the most frequent label.

    Possible causes are images without information about their labels, dead hidden units, and
    held-out samples that differ from the training samples.
    """
    guess = np.bincount(train).argmax()
    share = np.count_nonzero(held_out == guess) / len(held_out)
    if accuracy <= share:
        warnings.warn(
            f"the held-out accuracy, {accuracy:.4f}, is no better than that of always predicting "
            f"{guess}, the most frequent label: {share:.4f}",
            stacklevel=1,
        )


def predict(args: argparse.Namespace) -> None:
    """Print the prediction for each row, one line each."""
    net = fastmlp.load(args.model)
    X = digits()[0] if args.data == "digits" else read_images(args.data)
    if X.shape[1] != net.layers[0]:
        requirement = f"have {net.layers[0]} values in each row, as {short(args.model, 150)} takes"
        raise ValueError(must(short(args.data, 150), requirement, f"{X.shape[1]}"))
    # `str` of NumPy's float32 is the shortest text that parses to the same number.
    rows = net.predict(X).reshape(len(X), -1)
    sys.stdout.writelines(",".join(map(str, row)) + "\n" for row in rows)


def compare(args: argparse.Namespace) -> None:
    """Time ``train`` of the NumPy version and of fastmlp, and compare the final weights.

    Both start from the same seeds, so that initial weights and the order of samples are equal;
    the weights differ by rounding only.
    """
    X, y = digits()
    columns = (X / 16)[:, :, np.newaxis]
    one_hots = np.eye(10)[y][:, :, np.newaxis]
    pairs = list(zip(columns, one_hots, strict=True))
    layers = [64, *args.layers, 10]

    fastmlp.warmup(np.dtype(np.float64))
    nets: list[Any] = []
    seconds = []
    for make_net in (
        lambda: numpy_version.NeuralNet(layers, args.learning_rate),
        lambda: fastmlp.NeuralNet(layers, args.learning_rate, n_threads=args.threads),
    ):
        np.random.seed(args.seed)
        random.seed(args.seed)
        net = make_net()
        start = time.perf_counter()
        net.train(pairs, epochs=args.epochs)
        seconds.append(time.perf_counter() - start)
        nets.append(net)

    difference = max(
        np.abs(a - b).max() for a, b in zip(nets[0].weights, nets[1].weights, strict=True)
    )
    print(f"layers {layers}, {args.epochs} epochs of {len(pairs)} samples, one at a time, float64")
    print(f"NumPy: {seconds[0]:.4f} s")
    print(f"fastmlp: {seconds[1]:.4f} s")
    print(f"ratio: {seconds[0] / seconds[1]:.1f}")
    print(f"largest difference between weights: {difference:.3g}")


def _check_writable(path: str) -> None:
    """Raise ``OSError`` now if `path` cannot be written later."""
    try:
        files.check_writable(path)
    except OSError as error:
        raise OSError(f"cannot save to {path}: {error.strerror}") from None


class _Interrupts:
    """A context in which Ctrl-C works as usual until `ignored` is set to True.

    So a second Ctrl-C cannot interrupt the saving of the model that the first one caused. Setting
    an attribute leaves no gap for a signal after the end of training. If Ctrl-C has no handler in
    Python, as in a background process that the shell started with it ignored, nothing changes.
    """

    ignored = False

    def __enter__(self) -> _Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        self._set(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._set(self._before)

    def _set(self, handler: Any) -> None:
        if callable(self._before):
            with suppress(ValueError):  # not the main thread, which does not receive Ctrl-C
                signal.signal(signal.SIGINT, handler)

    def _handle(self, number: int, frame: Any) -> None:
        if not self.ignored:
            self._before(number, frame)  # type: ignore[operator, misc]
