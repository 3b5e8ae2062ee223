"""``fastmlp plot``: pictures of models."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastmlp import plotting
from fastmlp.command_line import image_files, table_model
from fastmlp.command_line.reports import print_json
from fastmlp.command_line.table_model import TableModel
from fastmlp.datasets import digits
from fastmlp.messages import must, short, shown
from fastmlp.plotting.axes import library, name_text
from fastmlp.plotting.models import task_of
from fastmlp.serialization import files
from fastmlp.tables import columns
from fastmlp.tables.extras import pandas, required

FORMATS = ("svg", "png", "pdf")
SIZE = (6.4, 4.8)  # inches, of a figure with one picture
PANEL = (3.2, 2.8)  # of each of several pictures
MOST_ROWS = 10_000  # that are predicted in each repetition of `importance`
RESOLUTION = 200  # dots per inch


def check(args: argparse.Namespace) -> None:
    """Raise an error for options that do not suit each other, before anything is read."""
    if args.out is None:
        args.out = f"{args.kind}.svg"
    if _format(args.out) not in FORMATS:
        requirement = "end in .svg, .png or .pdf, which is the format"
        raise ValueError(must("--out", requirement, shown(args.out)))
    needs_data = args.kind not in ("curves", "weights")
    if needs_data and args.data is None:
        raise ValueError(f"--kind {args.kind} needs --data: rows whose targets are known")
    for name, is_used in (
        ("data", needs_data), ("labels", needs_data), ("shape", args.kind == "weights"),
    ):  # fmt: skip
        if getattr(args, name) is not None and not is_used:
            raise ValueError(f"--{name} is not for --kind {args.kind}")
    _import_matplotlib()
    if needs_data:
        required("sklearn", "scikit-learn", "fastmlp plot", 'pip install "fastmlp[plot]"')


def _import_matplotlib() -> None:
    """Import matplotlib without the backend of MPLBACKEND, which pictures in files do not need.

    A notebook passes its own to the commands that it runs, and matplotlib cannot be imported where
    that backend is not installed.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        library("figure", "fastmlp plot")
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def plot(args: argparse.Namespace) -> None:
    """Draw a model, and write the picture."""
    model = table_model.load(args.model)
    figure = library("figure", "fastmlp plot").Figure(figsize=SIZE, layout="constrained")
    facts = {"model": args.model, "kind": args.kind} | PICTURES[args.kind](figure, model, args)
    _write(figure, args.out)
    if args.json:
        print_json(facts | {"saved": args.out})
    else:
        print(f"saved: {args.out}")


def _format(path: str) -> str:
    return os.path.splitext(path)[1][1:].lower()


def _write(figure: Any, path: str) -> None:
    """Write a figure, the same bytes each time: without the date, and with fixed names in SVG."""
    form = _format(path)
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    matplotlib = library("", "fastmlp plot")
    with matplotlib.rc_context({"svg.hashsalt": "fastmlp"}), files.atomic_write(path) as file:
        figure.savefig(file, format=form, dpi=RESOLUTION, metadata=metadata)


# Pictures of a model ------------------------------------------------------------------------------


def _curves(figure: Any, model: Any, args: argparse.Namespace) -> dict[str, Any]:
    display = plotting.LearningCurvesDisplay.from_estimator(_network(model), ax=figure.subplots())
    best = display.best_epoch
    n_epochs = max(map(len, display.history.values()))
    return {"epochs": n_epochs, "best_epoch": None if best is None else best + 1}


def _weights(figure: Any, model: Any, args: argparse.Namespace) -> dict[str, Any]:
    try:
        display = plotting.FirstLayerWeightsDisplay.from_estimator(
            _network(model), shape=args.shape, ax=figure.subplots()
        )
    except ValueError as error:
        raise ValueError(str(error).replace("`shape`", "`--shape`")) from None
    return {"shape": list(display.shape), "units": len(display.units_)}


def _network(model: Any) -> Any:
    return model.estimator if isinstance(model, TableModel) else model


# Pictures of predictions --------------------------------------------------------------------------


def _confusion(figure: Any, model: Any, args: argparse.Namespace) -> dict[str, Any]:
    task, names, true, found = _predictions(model, args)
    draw = plotting.ConfusionMatrixDisplay.from_predictions
    if task == "values":
        requirement = "be errors for a model that predicts numbers"
        raise ValueError(must("--kind", requirement, args.kind))
    if task == "classes":
        labels = np.arange(len(names))
        draw(true, found, labels=labels, display_labels=names, ax=figure.subplots())
    else:
        for k, ax in _panels(figure, names):
            draw(true, found, output=k, labels=[0, 1], colorbar=False, ax=ax)
    return {"data": args.data, "rows": len(true)}


def _errors(figure: Any, model: Any, args: argparse.Namespace) -> dict[str, Any]:
    task, names, true, found = _predictions(model, args)
    if task != "values":
        raise ValueError(must("--kind", "be confusion for a model of classes", args.kind))
    for k, ax in _panels(figure, names):
        plotting.PredictionErrorDisplay.from_predictions(
            true, found, output=k, random_state=0, ax=ax
        )
    return {"data": args.data, "rows": len(true)}


def _importance(figure: Any, model: Any, args: argparse.Namespace) -> dict[str, Any]:
    estimator, X, y = _samples(model, args)
    is_score = "R2" if _task(model) == "values" else "accuracy"
    display = plotting.PermutationImportanceDisplay.from_estimator(
        estimator, X, y, random_state=0, max_samples=min(len(X), MOST_ROWS), ax=figure.subplots()
    )
    display.ax_.set_xlabel(f"decrease in {is_score} if shuffled".replace("R2", "R²"))
    means = display.importances.mean(axis=1)
    names = range(len(means)) if display.feature_names is None else display.feature_names
    of_each = dict(zip(map(str, names), means.tolist(), strict=True))
    return {"data": args.data, "rows": len(X), "importances": of_each}


def _boundary(figure: Any, model: Any, args: argparse.Namespace) -> dict[str, Any]:
    network = _network(model)
    is_table = isinstance(model, TableModel)
    kinds = [*model.about.kinds.values()] if is_table else ["number"] * network.layers[0]
    if kinds != ["number", "number"]:
        requirement = "have two inputs of numbers for --kind boundary"
        got = ", ".join(kinds) if len(kinds) == 2 else f"{len(kinds)}"
        raise ValueError(must(short(args.model, 150), requirement, got))
    estimator, X, y = _samples(model, args)
    draw = plotting.DecisionBoundaryDisplay.from_estimator
    if _task(model) == "classes":
        draw(estimator, X, y, ax=figure.subplots())
    else:
        for k, ax in _panels(figure, _names(model)):
            draw(estimator, X, y, output=k, ax=ax)
    return {"data": args.data, "rows": len(X)}


PICTURES: dict[str, Callable[[Any, Any, argparse.Namespace], dict[str, Any]]] = {
    "curves": _curves,
    "confusion": _confusion,
    "errors": _errors,
    "weights": _weights,
    "boundary": _boundary,
    "importance": _importance,
}


def _panels(figure: Any, names: list[Any]) -> Iterator[tuple[int, Any]]:
    """Return axes for each output, with its name above if there are several."""
    n = len(names)
    if n == 1:
        yield 0, figure.subplots()
        return
    n_columns = math.ceil(math.sqrt(n))
    n_rows = -(-n // n_columns)
    figure.set_size_inches(max(SIZE[0], PANEL[0] * n_columns), max(SIZE[1] / 2, PANEL[1] * n_rows))
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in grid[n:]:
        ax.remove()
    for k, (name, ax) in enumerate(zip(names, grid, strict=False)):
        ax.set_title(name_text(name), fontsize="medium")
        yield k, ax


# Models and rows ----------------------------------------------------------------------------------

TASKS = {"classification": "classes", "multilabel": "labels", "regression": "values"}


def _task(model: Any) -> str:
    """Return what a model predicts: "classes", "labels" or "values"."""
    if isinstance(model, TableModel):
        return TASKS[model.about.task]
    task, n_out = task_of(model)
    return "classes" if task == "labels" and n_out == 1 else task


def _names(model: Any) -> list[Any]:
    """Return the names of the classes, labels or values that a model predicts."""
    if isinstance(model, TableModel):
        return model.about.classes or model.about.target
    _, n_out = task_of(model)
    return [*range(max(2, n_out) if _task(model) == "classes" else n_out)]


def _predictions(
    model: Any, args: argparse.Namespace
) -> tuple[str, list[Any], np.ndarray, np.ndarray]:
    """Return the task, the names of classes or outputs, true targets, and predictions.

    Classes are their positions.
    """
    task, names = _task(model), _names(model)
    estimator = _estimator(model)
    if not isinstance(model, TableModel):
        X, true = _images(model, args)
        found = np.asarray(estimator.predict(X))
    else:
        pairs = [(y, estimator.predict(X)) for X, y in _rows(model, args)]
        true, found = (np.concatenate(each) for each in zip(*pairs, strict=True))
        if task == "classes":
            found = np.searchsorted(model.estimator.classes_, found)
    if task != "classes":
        true, found = true.reshape(len(true), -1), found.reshape(len(found), -1)
    return task, names, true, found


def _samples(model: Any, args: argparse.Namespace) -> tuple[Any, Any, np.ndarray]:
    """Return an estimator, and the rows and targets that it takes."""
    if not isinstance(model, TableModel):
        return model, *_images(model, args)
    frames, values = zip(*_rows(model, args), strict=True)
    y = np.concatenate(values)
    if model.about.task == "classification":
        y = model.estimator.classes_[y]
    elif y.shape[1] == 1:
        y = y[:, 0]
    return _estimator(model), pandas().concat(frames, ignore_index=True), y


def _estimator(model: Any) -> Any:
    """Return an estimator that takes the columns of a table; networks as they are."""
    if not isinstance(model, TableModel):
        return model
    if model.about.plain is None:
        return model.estimator
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    encoder = model.encoder

    def encoded(frame: Any) -> np.ndarray:
        X = np.empty((len(frame), encoder.n_outputs_), np.float32)
        encoder.transform_into(frame, X)
        return X

    return make_pipeline(FunctionTransformer(encoded), model.estimator)


def _rows(model: TableModel, args: argparse.Namespace) -> Iterator[tuple[Any, np.ndarray]]:
    """Return the inputs and the targets of a table, in pieces."""
    if args.labels is not None:
        raise ValueError("--labels is for networks of images")
    table = table_model.opened(args.data, model.about, args.header)
    for piece in table_model.read(table, model.about):
        y = table_model.targets_of(table.path, model.about, piece)
        yield columns.converted(table.path, piece, model.about.kinds), y


def _images(network: Any, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return images and their labels, or the targets of other networks."""
    labels: str | None = args.labels
    has_classes = _task(network) == "classes"
    if labels is None and (args.data != "digits" or not has_classes):
        raise ValueError("--labels is needed for networks of images, unless --data is digits")
    X = digits()[0] if labels is None else image_files.read_images(args.data)
    n_in = network.layers[0]
    if X.shape[1] != n_in or len(X) == 0:
        requirement = f"have {n_in} values in each row, as {short(args.model, 150)} takes"
        got = f"{X.shape[1]}" if len(X) > 0 else "no row"
        raise ValueError(must(short(args.data, 150), requirement, got))
    if not has_classes:
        return X, _values(network, labels or "", len(X))
    y = digits()[1] if labels is None else image_files.read_labels(labels, len(X))
    n_classes = len(_names(network))
    if y.max() >= n_classes:
        requirement = f"hold classes from 0 to {n_classes - 1}, as {short(args.model, 150)} has"
        raise ValueError(must(short(labels or args.data, 150), requirement, f"{y.max()}"))
    return X, y


def _values(network: Any, path: str, n_rows: int) -> np.ndarray:
    """Read the targets of a network that predicts numbers or several labels."""
    y = image_files.read_array(path)
    shape = (n_rows, network.layers[-1])
    may_be_flat = shape[1] == 1 and y.shape == shape[:1]
    if not (y.shape == shape or may_be_flat) or y.dtype.kind not in "buif":
        got = f"{y.dtype} of shape {y.shape}"
        raise ValueError(must(short(path, 150), f"hold numbers of shape {shape}", got))
    return y
