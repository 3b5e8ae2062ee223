"""The options of each command, and their help."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

DATA_HELP = "IDX files (plain or gzipped) or .npy files"
TABLES_HELP = (
    "CSV, TSV or other delimited text (UTF-8, plain or gzipped; the separator and the header are "
    "found), Parquet, .npz, .npy, IDX or svmlight"
)


def add_commands(commands: Any) -> None:
    """Add all commands to argparse's subparsers."""
    for add in (_train, _predict, _evaluate, _inspect, _export, _plot, _warmup, _compare):
        add(lambda name, help, description, examples="": _added(
            commands, name, help, description, examples
        ))  # fmt: skip


def _added(
    commands: Any, name: str, help: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Return the parser of a command that has been added."""
    command = commands.add_parser(
        name, help=help, description=description, allow_abbrev=False,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=_Formatter,
    )  # fmt: skip
    command.add_argument(
        "--json", action="store_true", help="print one JSON object instead of text"
    )
    return command


class _Formatter(argparse.HelpFormatter):
    """Wraps descriptions, but keeps the lines of examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:\n"):
            return text
        return super()._fill_text(text, width, indent)


Add = Callable[..., argparse.ArgumentParser]


# Types of options ---------------------------------------------------------------------------------


def hidden_layers(text: str) -> list[int]:
    """Parse ``"128,64"`` as ``[128, 64]``; an empty text means no hidden layer."""
    try:
        sizes = [int(size) for size in text.split(",")] if text.strip() else []
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise argparse.ArgumentTypeError(f"must be sizes such as 64 or 128,64, got {text!r}")
    return sizes


def _number(
    kind: Callable[[str], Any], requirement: str, is_valid: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """Return a function that parses a number of a kind which meets a requirement."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not is_valid(value):
            raise argparse.ArgumentTypeError(f"must be {requirement}, got {text!r}")
        return value

    return parse


def image_shape(text: str) -> tuple[int, ...]:
    """Parse ``"28,28"`` as ``(28, 28)``."""
    try:
        sizes = tuple(int(size) for size in text.split(","))
    except ValueError:
        sizes = ()
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"must be sizes such as 28,28 or 32,32,3, got {text!r}")
    return sizes


_count = _number(int, "an int of at least 1", lambda n: n >= 1)
_rate = _number(float, "a finite number above 0", lambda x: 0 < x < math.inf)
_share = _number(float, "above 0 and at most 0.5", lambda x: 0 < x <= 0.5)  # of the rows held out


def _folds(text: str) -> int:
    """Parse the number of folds of a cross-validation."""
    if not text.isdecimal() or not 2 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"must be an int from 2 to 1000, got {text!r}")
    return int(text)


# Commands -----------------------------------------------------------------------------------------


def _train(add: Add) -> None:
    command = add(
        "train",
        "train on a table, or on images and labels, and save the model",
        "Train on a table and save the model. A table is a file with a row for each sample: "
        f"{TABLES_HELP}. Whether the target asks for classification, multilabel classification or "
        "regression is seen from its values. Columns of numbers, booleans and text may have "
        "missing values; whole numbers with leading zeros, such as 01234, are text. A fifth of the "
        "rows, drawn at random, is held out: training keeps the weights that are best on them, and "
        "ends if they do not improve. The score that is printed is that of each half of these rows "
        "with the epoch that is best on the other half. With "
        "LABELS, or with the word digits as DATA, train on images instead: "
        f"{DATA_HELP}, or the digits that come with fastmlp.",
        "  fastmlp train iris.csv --target species\n"
        "  fastmlp train houses.parquet --target price --id number --drop address,agent\n"
        "  fastmlp train titanic.csv --target Survived --cv 5 --out titanic.npz\n"
        "  fastmlp train tags.csv --target funny,sad,long\n"
        "  fastmlp train digits\n"
        "  fastmlp train IMAGES LABELS --layers 128,64 --epochs 10",
    )  # fmt: skip
    command.add_argument("data", metavar="DATA", help="a table, images, or the word: digits")
    command.add_argument(
        "labels", metavar="LABELS", nargs="?", help="class numbers from 0, for images only"
    )
    _add_options_of_tables(command)
    network = command.add_argument_group("the network and its training")
    network.add_argument(
        "--layers", type=hidden_layers, metavar="SIZES",
        help="sizes of the hidden layers, separated by commas; the data determines those of the "
        "input and the output (default: 128,128,128 for tables, 64 for images)",
    )  # fmt: skip
    network.add_argument(
        "--epochs", type=_count, metavar="N",
        help="passes over the data, at most (default: 100 for tables, fewer for those of more "
        "than 200,000 rows, 20 for images)",
    )  # fmt: skip
    network.add_argument(
        "--learning-rate", type=_rate, metavar="X",
        help="step size of gradient descent (default: that of the preset for tables, 0.2 for "
        "images)",
    )  # fmt: skip
    network.add_argument(
        "--batch-size", type=_count, metavar="N",
        help="samples per update (default: 64 to 256 for tables, 32 for images)",
    )  # fmt: skip
    network.add_argument(
        "--dtype", choices=["float32", "float64"], default="float32",
        help="floating-point type, for images only (default: %(default)s)",
    )  # fmt: skip
    _add_seed_and_threads(network)
    network.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false",
        help="hold out the last rows instead of a random share, for time series; training samples "
        "are still shuffled in every epoch",
    )  # fmt: skip
    network.add_argument(
        "--out", default="model.npz", metavar="FILE",
        help="where to save the model (default: %(default)s)",
    )  # fmt: skip


def _add_options_of_tables(command: argparse.ArgumentParser) -> None:
    tables = command.add_argument_group(
        "tables",
        "COLUMN is a name, or a position counted from 0, from -1 at the end; several are separated "
        "by commas.",
    )
    tables.add_argument(
        "--target", action="append", metavar="COLUMN", help="what to predict; several are allowed"
    )
    tables.add_argument(
        "--task", choices=["classification", "multilabel", "regression"],
        help="instead of what the values of the target suggest",
    )  # fmt: skip
    tables.add_argument(
        "--drop", action="append", metavar="COLUMN", help="columns that are not used"
    )
    tables.add_argument(
        "--id", metavar="COLUMN", help="a column that is not used, but written beside predictions"
    )
    tables.add_argument(
        "--weight", metavar="COLUMN",
        help="a column with the weight of each row in training and in scores",
    )  # fmt: skip
    held_out = tables.add_mutually_exclusive_group()
    held_out.add_argument(
        "--validation", type=_share, metavar="SHARE",
        help="the share of the rows that is held out, as much of each class (default: 0.2)",
    )  # fmt: skip
    held_out.add_argument(
        "--validation-data", metavar="FILE", help="hold out the rows of another file instead"
    )
    tables.add_argument(
        "--cv", type=_folds, metavar="K",
        help="also cross-validate: print the mean score of K models, each tested on a K-th of the "
        "rows, and its standard error",
    )  # fmt: skip
    tables.add_argument(
        "--no-preset", dest="preset", action="store_false",
        help="the defaults of scikit-learn's networks: numbers are used as they are, and missing "
        "values are errors",
    )  # fmt: skip
    _add_header(tables)


def _add_header(group: Any) -> None:
    group.add_argument(
        "--header", action=argparse.BooleanOptionalAction, default=None,
        help="whether the first line of a file of text has the names of the columns, which is "
        "found out otherwise",
    )  # fmt: skip


def _add_seed_and_threads(command: Any) -> None:
    command.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="random seed: the same seed gives the same results (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--threads", type=_count, metavar="N",
        help="number of threads, which does not change the results (default: depends on the size "
        "of the work)",
    )  # fmt: skip


def _predict(add: Add) -> None:
    command = add(
        "predict",
        "predict rows with a model",
        "Predict the target of each row of a table, as CSV with the id column of the training data "
        "first. Columns are found by their names; a missing one is an error, a new one is ignored "
        "with a warning. For a network of images, print a line for each image: the most probable "
        "class; for the logistic loss 1 or 0 for each output; for other losses a number for each "
        "output, separated by commas.",
        "  fastmlp predict model.npz new.csv --out predictions.csv\n"
        "  fastmlp predict model.npz new.csv --probabilities\n"
        "  fastmlp predict model.npz digits",
    )  # fmt: skip
    _add_model(command)
    command.add_argument("data", metavar="DATA", help="a table; or images, or the word: digits")
    command.add_argument(
        "--out", metavar="FILE", help="where to write the predictions (default: standard output)"
    )
    command.add_argument(
        "--probabilities", action="store_true", help="add the probability of each class or label"
    )
    _add_header(command)


def _evaluate(add: Add) -> None:
    command = add(
        "evaluate",
        "score a model on rows whose targets are known",
        "Compare predictions with known targets. Classification: accuracy, balanced accuracy (the "
        "mean recall of the classes), log loss, precision, recall and F1 of each class, and the "
        "confusion matrix. Regression: R2, mean absolute error (MAE) and root mean squared error "
        "(RMSE). If the model was trained with --weight, and the file has that column, all of them "
        "count the weights.",
        "  fastmlp evaluate model.npz test.csv\n"
        "  fastmlp evaluate model.npz IMAGES LABELS",
    )  # fmt: skip
    _add_model(command)
    command.add_argument(
        "data", metavar="DATA", help="a table with the target; or images, or the word: digits"
    )
    command.add_argument("labels", metavar="LABELS", nargs="?", help="class numbers of images")
    _add_header(command)


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", metavar="MODEL",
        help="a file written by fastmlp train, by save of a network or an estimator, or by "
        "ModelCheckpoint",
    )  # fmt: skip


def _inspect(add: Add) -> None:
    command = add(
        "inspect",
        "show what a model file holds",
        "Print the layers, the number of parameters, the inputs with their types, and the history "
        "of the training as lines of blocks.",
        "  fastmlp inspect model.npz",
    )  # fmt: skip
    _add_model(command)


def _export(add: Add) -> None:
    command = add(
        "export",
        "write a model for other programs",
        "Write a model as ONNX (.onnx), which includes the preparation of the columns of a table, "
        "or the parameters of its network as safetensors (.safetensors), whose keys are those of "
        "the equal Sequential of PyTorch.",
        "  fastmlp export model.npz model.onnx\n"
        "  fastmlp export model.npz model.safetensors",
    )  # fmt: skip
    _add_model(command)
    command.add_argument("out", metavar="OUT", help="a file that ends with .onnx or .safetensors")


def _plot(add: Add) -> None:
    command = add(
        "plot",
        "draw a picture of a model",
        "Draw a model and write the picture as SVG, PNG or PDF. curves: the losses and the score "
        "of each epoch, with the best epoch marked. weights: those of the first layer, as an image "
        "for each unit. The others need --data, rows whose targets are known. confusion: how often "
        "each class is predicted as each. errors: predicted numbers against true ones. boundary: "
        "what a model of two numbers predicts for each pair of them. importance: how much the "
        "score falls if the values of a column are shuffled.",
        "  fastmlp plot model.npz --out curves.svg\n"
        "  fastmlp plot model.npz --kind confusion --data test.csv --out confusion.png\n"
        "  fastmlp plot model.npz --kind importance --data test.csv --out importance.pdf\n"
        "  fastmlp plot digits.npz --kind weights --out weights.svg\n"
        "  fastmlp plot digits.npz --kind confusion --data IMAGES --labels LABELS",
    )  # fmt: skip
    _add_model(command)
    command.add_argument(
        "--kind", choices=["curves", "confusion", "errors", "weights", "boundary", "importance"],
        default="curves", help="what is drawn (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--out", metavar="FILE",
        help="where to write the picture; the ending .svg, .png or .pdf is the format (default: "
        "the kind, with .svg)",
    )  # fmt: skip
    command.add_argument(
        "--data", metavar="DATA", help="a table with the target; or images, or the word: digits"
    )
    command.add_argument(
        "--labels", metavar="LABELS", help="class numbers of images, or targets of other networks"
    )
    command.add_argument(
        "--shape", type=image_shape, metavar="SIZES",
        help="height and width of the images of weights, and 3 for colours (default: a square)",
    )  # fmt: skip
    _add_header(command)


def _warmup(add: Add) -> None:
    command = add(
        "warmup",
        "compile ahead of time",
        "Compile the code for training and prediction, which otherwise happens when it is first "
        "used, and keep it on disk for later processes.",
        "  fastmlp warmup --dtype float32",
    )  # fmt: skip
    command.add_argument(
        "--dtype", choices=["float32", "float64"], help="floating-point type (default: both)"
    )


def _compare(add: Add) -> None:
    command = add(
        "compare",
        "time fastmlp against NumPy",
        "Train the NumPy version of the network and fastmlp from the same seed, one sample at a "
        "time in float64; print both times, and the largest difference between their weights. "
        "Compilation is not timed.",
        "  fastmlp compare digits",
    )  # fmt: skip
    command.add_argument("data", choices=["digits"], help="the training data")
    command.add_argument(
        "--layers", type=hidden_layers, default="64", metavar="SIZES",
        help="sizes of the hidden layers, separated by commas (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--epochs", type=_count, default=3, metavar="N",
        help="passes over the data (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--learning-rate", type=_rate, default=0.05, metavar="X",
        help="step size of gradient descent (default: %(default)s)",
    )  # fmt: skip
    _add_seed_and_threads(command)
