"""The command line: ``fastmlp train``, ``fastmlp predict``, ``fastmlp compare``.

Exit codes: 0 for success, 2 for an error (one line on the standard error stream says which), 130
after Ctrl-C. NumPy, and so `commands`, is imported when a command runs, so that ``fastmlp --help``
is fast.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

DATA_HELP = "IDX files (plain or gzipped) or .npy files"


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises errors, which `main` reports in one line."""

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
            f"must be sizes such as 64 or 128,64, got {text!r}"
        ) from None


def _build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = _Parser(
        prog="fastmlp", description="Train multilayer perceptrons fast on CPUs.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)

    def add_command(name: str, help: str, description: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=description, allow_abbrev=False)

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
            help="sizes of the hidden layers, separated by commas; the data determines those of "
            "the input and the output",
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
            help="step size of gradient descent",
        )
        add_option(
            command,
            "--seed",
            type=int,
            default=0,
            metavar="N",
            help="random seed: the same seed gives the same results",
        )
        command.add_argument(
            "--threads",
            type=int,
            metavar="N",
            help="number of threads, which does not change the results (default: depends on "
            "the size of the work)",
        )

    train = add_command(
        "train",
        "train on images and labels, and save the model",
        f"Train on {DATA_HELP}, or on the digits that come with fastmlp. 20 % of the samples of "
        "every class, drawn at random, are held out to measure the accuracy; a class with a single "
        "sample is used for training. Pixels are divided by the smallest power of two that is at "
        "least the largest absolute value (256 for bytes up to 255, 16 for the digits); the saved "
        "model contains this scale, so that its inputs are unscaled pixels.",
    )
    train.add_argument("images", metavar="IMAGES", help="one sample per row, or the word: digits")
    train.add_argument(
        "labels", metavar="LABELS", nargs="?", help="class numbers from 0, not given for digits"
    )
    add_common_options(train, epochs=20, learning_rate=0.2)
    train.add_argument(
        "--no-shuffle",
        dest="shuffle",
        action="store_false",
        help="hold out the last 20 %% of the samples instead, for time series; training samples "
        "are still shuffled in every epoch",
    )
    add_option(train, "--batch-size", type=int, default=32, metavar="N", help="samples per update")
    add_option(
        train,
        "--dtype",
        choices=["float32", "float64"],
        default="float32",
        help="floating-point type",
    )
    add_option(train, "--out", default="model.npz", metavar="FILE", help="where to save the model")

    predict = add_command(
        "predict",
        "print the predictions of a model",
        "Print the predictions of a model, one line for each row or image: the most probable "
        "class; for the logistic loss 1 or 0 for each output; for other losses a number for each "
        "output. Several outputs are separated by commas.",
    )
    predict.add_argument(
        "model",
        metavar="MODEL",
        help="a file written by fastmlp train, MLP.save, NeuralNet.save or ModelCheckpoint",
    )
    predict.add_argument(
        "data",
        metavar="DATA",
        help="an IDX file (plain or gzipped) or a .npy file, one sample per row, or the word: "
        "digits",
    )

    compare = add_command(
        "compare",
        "time fastmlp against NumPy",
        "Train the NumPy version of the network and fastmlp from the same seed, one sample at a "
        "time in float64; print both times, and the largest difference between their weights. "
        "Compilation is not timed.",
    )
    compare.add_argument("data", choices=["digits"], help="the training data")
    add_common_options(compare, epochs=3, learning_rate=0.05)
    return parser


def _run(args: argparse.Namespace) -> None:
    """Run a command; each warning becomes one line on the standard error stream."""
    from fastmlp.callbacks.output import shown_on
    from fastmlp.command_line import commands

    with warnings.catch_warnings(), shown_on(sys.stderr):
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        getattr(commands, args.command)(args)


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning above the progress bar, if there is one."""
    from fastmlp.callbacks.output import write_line

    write_line(f"fastmlp: warning: {_in_one_line(message)}", sys.stderr)


def _in_one_line(message: object) -> str:
    return " ".join(str(message).split())


def _describe(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return _in_one_line(error) or type(error).__name__


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
        _run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        print(f"fastmlp: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has exited. Python would fail again when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, MemoryError, OverflowError, RuntimeError) as error:
        print(f"fastmlp: error: {_describe(error)}", file=sys.stderr)
        return 2
    return 0
