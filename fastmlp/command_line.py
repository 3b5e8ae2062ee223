"""The command line: ``fastmlp train``, ``fastmlp predict``, ``fastmlp compare``.

Exit codes: 0 for success, 2 for an error (one line on the standard error stream says which), 130
after Ctrl-C. Whatever is slow to import is imported inside the functions that need it, so that
``fastmlp --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

DATA_HELP = "IDX files (plain or gzipped) or .npy files"


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises its errors, for `main` to report in one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


class _PrintVersion(argparse.Action):
    """Print the version; imports ``fastmlp`` only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import fastmlp

        print(f"fastmlp {fastmlp.__version__}")
        parser.exit()


def _hidden_layers(text: str) -> list[int]:
    """Parse ``"128,64"`` as ``[128, 64]``; an empty text means no hidden layer."""
    try:
        return [int(size) for size in text.split(",")] if text.strip() else []
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected sizes such as 64 or 128,64, found {text!r}"
        ) from None


def _build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = _Parser(
        prog="fastmlp", description="Train multilayer perceptrons fast on CPUs.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)

    def add_command(name: str, run: Any, help: str, description: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=description, allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    def add_option(command: argparse.ArgumentParser, *names: str, help: str, **kwargs: Any) -> None:
        command.add_argument(*names, help=f"{help} (default: %(default)s)", **kwargs)

    def add_common_options(
        command: argparse.ArgumentParser, epochs: int, learning_rate: float
    ) -> None:
        add_option(
            command,
            "--layers",
            type=_hidden_layers,
            default="64",
            metavar="SIZES",
            help="sizes of the hidden layers, separated by commas; those of the input and the "
            "output come from the data",
        )
        add_option(
            command, "--epochs", type=int, default=epochs, metavar="N", help="passes over the data"
        )
        add_option(
            command,
            "--learning-rate",
            type=float,
            default=learning_rate,
            metavar="X",
            help="step length of gradient descent",
        )
        add_option(
            command,
            "--seed",
            type=int,
            default=0,
            metavar="N",
            help="the same seed gives the same numbers",
        )
        command.add_argument(
            "--threads",
            type=int,
            metavar="N",
            help="number of threads, which does not change the result",
        )

    train = add_command(
        "train",
        run_train,
        "train on images and labels, and save the model",
        f"Train on {DATA_HELP}, or on the digits that come with fastmlp. The last 20 % of the "
        "samples are held out to measure the accuracy. Pixels are divided by the smallest power "
        "of two that is no less than the largest absolute value (256 for bytes up to 255, 16 for "
        "the digits) while training; the saved model contains this scale, so that it takes the "
        "pixels as they are.",
    )
    train.add_argument("images", metavar="IMAGES", help="one sample per row, or the word: digits")
    train.add_argument(
        "labels", metavar="LABELS", nargs="?", help="class numbers from 0, not given for digits"
    )
    add_common_options(train, epochs=20, learning_rate=0.2)
    add_option(train, "--batch-size", type=int, default=32, metavar="N", help="samples per update")
    add_option(
        train,
        "--dtype",
        choices=["float32", "float64"],
        default="float32",
        help="precision of the numbers",
    )
    add_option(train, "--out", default="model.npz", metavar="FILE", help="where to save the model")

    predict = add_command(
        "predict",
        run_predict,
        "print the label of every image",
        "Print the likeliest label of every image, one a line.",
    )
    predict.add_argument("model", metavar="MODEL", help="a file that fastmlp train has saved")
    predict.add_argument(
        "data", metavar="DATA", help="an IDX file (plain or gzipped), a .npy file, or: digits"
    )

    compare = add_command(
        "compare",
        run_compare,
        "time fastmlp against NumPy",
        "Train the plain NumPy version of the network and fastmlp from the same seed, one sample "
        "at a time in float64; print both times, and how far their weights are apart. "
        "Compilation is not timed.",
    )
    compare.add_argument("data", choices=["digits"], help="what to train on")
    add_common_options(compare, epochs=3, learning_rate=0.05)
    return parser


def _check_writable(path: str) -> None:
    """Raise ``OSError`` now if `path` cannot be written later; neither creates nor changes it."""
    out = Path(os.path.realpath(path))
    if out.exists() and not out.is_file():  # saving replaces the file: that must not hit /dev/null
        raise OSError(f"cannot save to {path}: it is a {'folder' if out.is_dir() else 'device'}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"cannot save to {path}: there is no folder {out.parent}")
    if not os.access(out.parent, os.W_OK | os.X_OK) or (
        out.exists() and not os.access(out, os.W_OK)
    ):
        raise PermissionError(f"cannot save to {path}: permission denied")


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C for a moment, so that it cannot leave half a file behind."""
    try:
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread: Ctrl-C does not arrive here anyway
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def run_train(args: argparse.Namespace) -> None:
    """Train on all but the last fifth of the samples, measure on that fifth, and save.

    Pixels are divided by a power of two, ``scale``, before training. Since
    ``W (x / scale) = (W / scale) x`` exactly, the scale then moves into the first layer's weights,
    and the saved model takes the raw pixels.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C during training, once the state trained so far is saved; the message says so.
    """
    _check_writable(args.out)

    import numpy as np

    import fastmlp
    from fastmlp.datasets import digits
    from fastmlp.image_files import find_scale, read_images, read_labels

    if args.labels is not None:
        X = read_images(args.images)
        y = read_labels(args.labels, len(X))
    elif args.images == "digits":
        X, y = digits()
        # In the file, digits of one handwriting seem to lie together. So they are mixed first,
        # always in the same way: the held-out ones are new images, but not of new writers.
        order = np.random.default_rng(0).permutation(len(X))
        X, y = X[order], y[order]
    else:
        raise ValueError("train takes two files, IMAGES and LABELS, or the word digits")

    n_held_out = len(X) // 5
    if n_held_out == 0 or X.shape[1] == 0:
        raise ValueError(
            f"{args.images} holds {X.shape[0]} images of {X.shape[1]} pixels: expected at least 5 "
            "images, to hold out a fifth, and 1 pixel."
        )
    n_train = len(X) - n_held_out
    scale = find_scale(X[:n_train])
    X_train = X[:n_train].astype(args.dtype)
    X_train /= scale

    net = fastmlp.NeuralNet(
        [X.shape[1], *args.layers, max(2, int(y.max()) + 1)],
        learning_rate=args.learning_rate,
        output_activation="identity",
        dtype=np.dtype(args.dtype),
        random_state=args.seed,
        n_threads=args.threads,
    )
    fastmlp.warmup(np.dtype(args.dtype))
    interrupted = False
    start = time.perf_counter()
    try:
        net.fit(X_train, y[:n_train], args.epochs, args.batch_size, verbose=True)
    except KeyboardInterrupt:
        interrupted = True
    seconds = time.perf_counter() - start
    with _ignore_interrupts():
        net.weights[0] = net.weights[0] / scale
        net.save(args.out)
    if interrupted:
        raise KeyboardInterrupt(f"interrupted; the model trained so far is saved to {args.out}")

    # Measured on the raw pixels, so this is the accuracy of the model as saved.
    accuracy = net.score(X[n_train:], y[n_train:])
    print(f"held-out accuracy: {accuracy:.4f} ({n_held_out} samples)")
    print(f"training time: {seconds:.3f} s ({args.epochs} epochs of {n_train} samples)")
    print(f"samples per second: {args.epochs * n_train / seconds:.0f}")
    print(f"saved: {args.out}")


def run_predict(args: argparse.Namespace) -> None:
    """Print the label the model gives each image, one a line."""
    import fastmlp
    from fastmlp.datasets import digits
    from fastmlp.image_files import read_images

    net = fastmlp.NeuralNet.load(args.model)
    X = digits()[0] if args.data == "digits" else read_images(args.data)
    sys.stdout.writelines(f"{label}\n" for label in net.predict(X))


def run_compare(args: argparse.Namespace) -> None:
    """Time ``train`` of the NumPy version and of fastmlp, and compare the weights they reach.

    Both start from the same seeds, so they draw the same weights and visit the samples in the
    same order; what is left is rounding.
    """
    import numpy as np

    import fastmlp
    from fastmlp import numpy_version
    from fastmlp.datasets import digits

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


def _describe(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 for success, 2 for an error, 130 after Ctrl-C. An error prints one line,
        ``fastmlp: error: ...``, to the standard error stream.

    Raises
    ------
    SystemExit
        With code 0, after ``--help`` and ``--version``.

    Examples
    --------
    >>> from fastmlp.command_line import main
    >>> main(["predict", "missing.npz", "digits"])  # and one line to the standard error stream
    2
    """
    try:
        args = _build_parser().parse_args(argv)
        args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        print(f"fastmlp: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has left. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, MemoryError, OverflowError) as error:
        print(f"fastmlp: error: {_describe(error)}", file=sys.stderr)
        return 2
    return 0
