"""``fastmlp predict`` and ``evaluate`` with a model of a table."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from fastmlp.command_line import scores, table_model
from fastmlp.command_line.reports import counted, json_text, number, print_json, table, width
from fastmlp.command_line.scores import GUESSES, MAIN
from fastmlp.command_line.table_model import TableModel
from fastmlp.messages import must, short
from fastmlp.serialization import files
from fastmlp.tables.columns import check_weights, listed
from fastmlp.tables.formats import Table

MOST_CLASSES = 20  # in a printed confusion matrix
SCORES = ("accuracy", "balanced accuracy", "log loss", "R2", "MAE", "RMSE")


def predict(model: TableModel, args: argparse.Namespace) -> None:
    """Write the predictions for each row as CSV, or as JSON."""
    if args.probabilities and model.about.task == "regression":
        requirement = "be used with a model of classes or labels"
        raise ValueError(must("--probabilities", requirement, "one of numbers"))
    rows = _opened(model, args)
    id_name = model.about.id if model.about.id in rows.names else None
    header = [*([id_name] if id_name else []), *model.about.target]
    if args.probabilities:
        header += probability_names(model)
    found = _predicted(model, rows, id_name, args)
    n_rows = write_rows(args, header, found)
    if args.out is not None and os.path.isfile(args.out):  # no pipe, whose reader expects CSV
        print(f"{counted(n_rows, 'prediction')} of {listed(model.about.target)}: {args.out}")


def probability_names(model: TableModel) -> list[str]:
    """Return the names of the columns of probabilities."""
    about = model.about
    return [f"probability_{name}" for name in about.classes or about.target]


def _predicted(
    model: TableModel, rows: Table, id_name: str | None, args: argparse.Namespace
) -> Iterator[list[Any]]:
    pieces = table_model.read(rows, model.about, *([id_name] if id_name else []))
    for piece, outputs in model.outputs(rows.path, pieces):
        columns = model.answers(outputs)
        if id_name is not None:
            ids = piece[id_name].astype(object)
            columns.insert(0, ids.where(ids.notna(), None).tolist())  # an empty field if missing
        if args.probabilities:
            columns += [column.tolist() for column in outputs.T]
        yield from map(list, zip(*columns, strict=True))


# Writing ------------------------------------------------------------------------------------------


def write_rows(
    args: argparse.Namespace, header: list[str] | None, rows: Iterable[Sequence[Any]]
) -> int:
    """Write predictions as CSV or as JSON, one by one; return how many there are.

    All of them are written or, after an error, none.
    """
    n_rows = 0
    with _written_to(args.out) as file:
        writer = csv.writer(file, lineterminator="\n")
        if args.json:
            file.write(f'{{"columns": {json_text(header)}, "rows": [')
        elif header is not None:
            writer.writerow(header)
        for row in rows:
            if args.json:
                file.write(f"{', ' if n_rows else ''}{json_text(row)}")
            else:
                writer.writerow(row)
            n_rows += 1
        if args.json:
            file.write("]}\n")
    return n_rows


@contextlib.contextmanager
def _written_to(path: str | None) -> Iterator[TextIO]:
    """Open a file for text that is written completely or not at all; None is standard output."""
    with contextlib.ExitStack() as stack:
        if path is None:  # what is printed waits in a file, which may be larger than memory
            file = stack.enter_context(tempfile.TemporaryFile())
        else:
            file = stack.enter_context(files.atomic_write(path))
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        stack.callback(text.detach)
        yield text
        text.flush()
        if path is None:
            text.seek(0)
            shutil.copyfileobj(text, sys.stdout)


def _opened(model: TableModel, args: argparse.Namespace) -> Table:
    """Open the rows; a warning names columns that the training data did not have."""
    rows = table_model.opened(args.data, model.about, args.header)
    new = table_model.new_columns(rows, model.about)
    if new:
        warnings.warn(
            f"{short(args.data, 150)} has columns that the training data did not have, which are "
            f"ignored: {listed(new)}",
            stacklevel=1,
        )
    return rows


# Evaluation ---------------------------------------------------------------------------------------


def evaluate(model: TableModel, args: argparse.Namespace) -> None:
    """Print the scores of the predictions for rows whose targets are known."""
    rows, about = _opened(model, args), model.about
    found, of_guess = scores.new_scores(about.task, about.classes or about.target), None
    if about.guess is not None:
        of_guess = scores.main_score(about.task)
    n_rows, total = 0, 0.0
    for piece, outputs in model.outputs(rows.path, table_model.read(rows, about)):
        values = table_model.targets_of(rows.path, about, piece)
        weights = table_model.weights_of(rows.path, about, piece)
        found.add(values, outputs, weights)
        if of_guess is not None:
            scores.add_guess(of_guess, about.guess, values, weights)
        n_rows += len(piece)
        total += len(piece) if weights is None else weights.sum()
    check_weights(rows.path, total)
    weight = about.weight if about.weight in rows.names else None
    guess = None if of_guess is None else of_guess.value
    show(args, about.task, n_rows, found.result(), guess, weight)


def show(
    args: argparse.Namespace, task: str, n_rows: int, result: dict[str, Any],
    guess: float | None, weight: str | None = None,
) -> None:  # fmt: skip
    """Print scores, as text or as JSON; `weight` is the column of the weights."""
    if args.json:
        facts = {"data": args.data, "rows": n_rows, "task": task, "weight": weight, "guess": guess}
        print_json({**facts, **result})
        return
    weighted = "" if weight is None else f", weighted by {weight}"
    print(f"data: {args.data}, {counted(n_rows, 'row')}{weighted}")
    for name in SCORES:
        if name in result:
            note = (
                f" ({GUESSES[task]}: {number(guess)})"
                if name == MAIN[task] and guess is not None
                else ""
            )
            print(f"{name}: {number(result[name])}{note}")
    each: list[dict[str, Any]] = result.get("classes") or result.get("labels") or []
    if each:
        head = ["class" if "classes" in result else "label", "precision", "recall", "F1", "rows"]
        lines = [
            [str(one["name"]), *(f"{one[key]:.3f}" for key in head[1:4]), f"{one['rows']:,}"]
            for one in each
        ]
        print("\n" + table([head, *lines]))
    if "confusion matrix" in result:
        print("\n" + _confusion([str(one["name"]) for one in each], result, weight))


def _confusion(names: list[str], result: dict[str, Any], weight: str | None) -> str:
    """Return a confusion matrix as text, or its largest errors if there are many classes."""
    what = "rows" if weight is None else f"sums of {weight}"
    if len(names) <= MOST_CLASSES:
        matrix = zip(names, result["confusion matrix"], strict=True)
        lines = [[name, *map(_total, row)] for name, row in matrix]
        text = table([["", *(short(name, 12) for name in names)], *lines])
        title = f"confusion matrix: {what} of each true class (line) predicted as each (column)"
        if max(map(len, text.splitlines())) <= width():
            return f"{title}\n{text}"
    lines = [
        [f"{one['true']} as {one['predicted']}", _total(one["total"])] for one in result["errors"]
    ]
    return "most frequent errors\n" + table([["true as predicted", what], *lines])


def _total(n: float) -> str:
    return f"{n:,}" if n == int(n) else number(n)
