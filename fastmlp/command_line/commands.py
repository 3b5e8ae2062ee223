"""The commands of the command line."""

from __future__ import annotations

import argparse
import os
import random
import time
import warnings
from typing import Any

import numpy as np

import fastmlp
from fastmlp import numpy_version, random_sources
from fastmlp.command_line import image_files, splitting
from fastmlp.command_line.image_files import find_scale, read_images, read_labels
from fastmlp.command_line.interrupts import Interrupts
from fastmlp.command_line.reports import print_json
from fastmlp.datasets import digits
from fastmlp.messages import must, short, shown
from fastmlp.serialization import files
from fastmlp.tables import extras

#: Options of `train` only for tables, with their values if they are not given.
OF_TABLES: dict[str, Any] = {
    "target": None, "task": None, "validation": None, "validation_data": None, "cv": None,
    "drop": None, "id": None, "weight": None, "preset": True, "header": None,
}  # fmt: skip
#: What options of `train` are for images, if they are not given.
FOR_IMAGES: dict[str, Any] = {"layers": [64], "epochs": 20, "learning_rate": 0.2, "batch_size": 32}


def train(args: argparse.Namespace) -> None:
    """Train on images or on a table, and save the model."""
    _check_writable(args.out, args.data, args.labels, args.validation_data)
    if args.labels is None and args.data != "digits":
        _needs_extras("Training on a table")
        if args.dtype != "float32":
            raise ValueError(must("--dtype", "be float32 for a table", shown(args.dtype)))
        from fastmlp.command_line import table_report

        table_report.train(args)
        return
    for name, value in OF_TABLES.items():
        if getattr(args, name) != value:
            option = "--no-preset" if name == "preset" else f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} is for a table, not for images and labels")
    for name, value in FOR_IMAGES.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    _train_on_images(args)


def _needs_extras(purpose: str) -> None:
    """Raise ImportError with the line that installs the libraries of tables, if one is missing."""
    for module, library in (("pandas", "pandas"), ("sklearn", "scikit-learn")):
        extras.required(module, library, purpose)


def _train_on_images(args: argparse.Namespace) -> None:
    """Train on four fifths of the samples, evaluate on the rest, and save the model.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C during training, once the model trained so far has been saved.
    """
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
        input_scale=1 / find_scale(args.data, X),
        random_state=source,
        n_threads=args.threads,
    )
    for sentence in splitting.gaps(y_train, y_held_out):
        warnings.warn(sentence, stacklevel=1)
    _compile(X.dtype, dtype)
    with Interrupts() as interrupts:
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
    if args.json:
        facts = {"held_out_accuracy": accuracy, "held_out_rows": len(y_held_out)}
        facts |= {"seconds": seconds, "epochs": args.epochs, "training_rows": len(y_train)}
        print_json(facts | {"samples_per_second": n_seen / seconds, "saved": args.out})
        return
    print(f"held-out accuracy: {accuracy:.4f} ({len(y_held_out)} samples)")
    print(f"training time: {seconds:.3f} s ({args.epochs} epochs of {len(y_train)} samples)")
    print(f"samples per second: {n_seen / seconds:.0f}")
    print(f"saved: {args.out}")


def _samples(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, one per row, and their labels."""
    if args.labels is None:
        return digits()
    X = read_images(args.data)
    y = read_labels(args.labels, len(X))
    if len(X) < 5 or X.shape[1] == 0:
        requirement = "hold at least 5 images, a fifth of which is held out, of at least 1 pixel"
        got = f"{X.shape[0]} images of {X.shape[1]} pixels"
        raise ValueError(must(short(args.data, 150), requirement, got))
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
    """Predict the rows of a file: one line for each."""
    from fastmlp.command_line import table_model, table_use

    if args.out is not None:
        if args.json:
            raise ValueError("--out is for CSV: --json prints the predictions")
        _check_writable(args.out, args.model, args.data)
    model = table_model.load(args.model)
    if isinstance(model, table_model.TableModel):
        table_use.predict(model, args)
        return
    X = digits()[0] if args.data == "digits" else read_images(args.data)
    _check_width(model, X, args)
    predicted = model.predict_proba if args.probabilities else model.predict
    pieces = (predicted(part) for part in image_files.parts(X))
    # `str` of NumPy's float32 is the shortest text that parses to the same number.
    rows = (row for found in pieces for row in found.reshape(len(found), -1))
    table_use.write_rows(args, None, rows)


def _check_width(net: Any, X: np.ndarray, args: argparse.Namespace) -> None:
    if X.shape[1] != net.layers[0]:
        requirement = f"have {net.layers[0]} values in each row, as {short(args.model, 150)} takes"
        raise ValueError(must(short(args.data, 150), requirement, f"{X.shape[1]}"))


def evaluate(args: argparse.Namespace) -> None:
    """Print the scores of predictions for rows whose targets are known."""
    from fastmlp.command_line import scores, table_model, table_use

    model = table_model.load(args.model)
    if isinstance(model, table_model.TableModel):
        if args.labels is not None:
            raise ValueError(must("LABELS", "be given for networks of images only", args.labels))
        table_use.evaluate(model, args)
        return
    if args.labels is None and args.data != "digits":
        raise ValueError("the following arguments are required: LABELS, unless DATA is digits")
    X, y = digits() if args.labels is None else (read_images(args.data), None)
    _check_width(model, X, args)
    if len(X) == 0:
        raise ValueError(must(short(args.data, 150), "hold images", "none"))
    if y is None:
        y = read_labels(args.labels, len(X))
    n_classes = image_files.number_of_classes(model)
    if y.max() >= n_classes:
        requirement = f"hold classes from 0 to {n_classes - 1}, as {short(args.model, 150)} has"
        raise ValueError(must(short(args.labels or args.data, 150), requirement, f"{y.max()}"))
    found, start = scores.new_scores("classification", [*range(n_classes)]), 0
    for part in image_files.parts(X):
        probabilities = image_files.class_probabilities(model, part)
        found.add(y[start : start + len(part)], probabilities, None)
        start += len(part)
    table_use.show(args, "classification", len(y), found.result(), None)


def inspect(args: argparse.Namespace) -> None:
    """Print what a model file holds."""
    from fastmlp.command_line import inspecting

    inspecting.inspect(args)


def export(args: argparse.Namespace) -> None:
    """Write a model for other programs."""
    from fastmlp.command_line import exporting

    _check_writable(args.out, args.model, name="OUT")
    exporting.export(args)


def plot(args: argparse.Namespace) -> None:
    """Draw a picture of a model."""
    from fastmlp.command_line import plotting

    plotting.check(args)
    _check_writable(args.out, args.model, args.data, args.labels)
    plotting.plot(args)


def warmup(args: argparse.Namespace) -> None:
    """Compile everything ahead of time, or load it from the cache."""
    start = time.perf_counter()
    fastmlp.warmup(args.dtype, everything=True)
    dtypes = [args.dtype] if args.dtype else ["float32", "float64"]
    seconds = time.perf_counter() - start
    if args.json:
        print_json({"dtypes": dtypes, "seconds": seconds})
    else:
        print(f"ready: networks of {' and '.join(dtypes)} ({seconds:.1f} s)")


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

    random_sources.random_source(args.seed)  # an error before anything is compiled
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
    if args.json:
        facts = {"layers": layers, "epochs": args.epochs, "samples": len(pairs)}
        facts |= {"numpy_seconds": seconds[0], "fastmlp_seconds": seconds[1]}
        print_json(facts | {"ratio": seconds[0] / seconds[1], "largest_difference": difference})
        return
    print(f"layers {layers}, {args.epochs} epochs of {len(pairs)} samples, one at a time, float64")
    print(f"NumPy: {seconds[0]:.4f} s")
    print(f"fastmlp: {seconds[1]:.4f} s")
    print(f"ratio: {seconds[0] / seconds[1]:.1f}")
    print(f"largest difference between weights: {difference:.3g}")


def _check_writable(path: str, *inputs: str | None, name: str = "--out") -> None:
    """Raise an error now if `path` cannot be written later, or is a file that is read."""
    for other in inputs:
        if other is not None and os.path.isfile(path) and os.path.exists(other):
            if os.path.samefile(path, other):
                raise ValueError(must(name, "be another file than the inputs", shown(path)))
    try:
        files.check_writable(path)
    except OSError as error:
        raise OSError(f"cannot save to {path}: {error.strerror}") from None
