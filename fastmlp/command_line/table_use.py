"""``fastmlp predict`` and ``evaluate`` with a model of a table."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastmlp.command_line import scores, table_model
from fastmlp.command_line.reports import counted, number, print_json, table
from fastmlp.command_line.scores import GUESSES, MAIN
from fastmlp.command_line.table_model import TableModel
from fastmlp.messages import short
from fastmlp.serialization import files
from fastmlp.tables.columns import listed
from fastmlp.tables.formats import Table

MOST_CLASSES = 20  # in a printed confusion matrix
SCORES = ("accuracy", "balanced accuracy", "log loss", "R2", "MAE", "RMSE")


def predict(model: TableModel, args: argparse.Namespace) -> None:
    """Write the predictions for each row as CSV, or as JSON."""
    rows = _opened(model, args)
    id_name = model.about.id if model.about.id in rows.names else None
    header = [*([id_name] if id_name else []), *model.about.target]
    if args.probabilities:
        header += probability_names(model)
    if args.json:
        names, answers = header, [list(row) for row in _predicted(model, rows, id_name, args)]
        print_json({"columns": names, "rows": answers})
        return
    with written_to(args.out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        n_rows = 0
        for row in _predicted(model, rows, id_name, args):
            writer.writerow(row)
            n_rows += 1
    if args.out is not None and os.path.isfile(args.out):  # no pipe, whose reader expects CSV
        print(f"{counted(n_rows, 'prediction')} of {listed(model.about.target)}: {args.out}")


def probability_names(model: TableModel) -> list[str]:
    """Return the names of the columns of probabilities."""
    about = model.about
    return [f"probability_{name}" for name in about.classes or about.target]


def _predicted(
    model: TableModel, rows: Table, id_name: str | None, args: argparse.Namespace
) -> Iterator[list[Any]]:
    for piece in table_model.read(rows, model.about, *([id_name] if id_name else [])):
        outputs = model.outputs(rows.path, piece)
        columns = model.answers(outputs)
        if id_name is not None:
            ids = piece[id_name].astype(object)
            columns.insert(0, ids.where(ids.notna(), None).tolist())  # an empty field if missing
        if args.probabilities:
            columns += [column.tolist() for column in outputs.T]
        yield from map(list, zip(*columns, strict=True))


@contextlib.contextmanager
def written_to(path: str | None) -> Iterator[Any]:
    """Open a file for text that is written completely or not at all; None is standard output."""
    if path is None:
        yield sys.stdout
        return
    with files.atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        yield text
        text.detach()


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
    values, outputs = [], []
    for piece in table_model.read(rows, about):
        values.append(table_model.targets_of(rows.path, about, piece))
        outputs.append(model.outputs(rows.path, piece))
    true, found = np.concatenate(values), np.concatenate(outputs)
    names = about.classes or about.target
    result = scores.scores(about.task, true, found, names)
    guess = None
    if about.guess is not None:
        guess = scores.score_of_guess(about.task, about.guess, true)
    show(args, about.task, len(true), result, guess)


def show(
    args: argparse.Namespace, task: str, n_rows: int, result: dict[str, Any], guess: float | None
) -> None:
    """Print scores, as text or as JSON."""
    if args.json:
        print_json({"data": args.data, "rows": n_rows, "task": task, "guess": guess, **result})
        return
    print(f"data: {args.data}, {counted(n_rows, 'row')}")
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
        print("\n" + _confusion([str(one["name"]) for one in each], result["confusion matrix"]))


def _confusion(names: list[str], matrix: list[list[int]]) -> str:
    """Return a confusion matrix as text, or its largest errors if there are many classes."""
    if len(names) <= MOST_CLASSES:
        lines = [[name, *(f"{n:,}" for n in row)] for name, row in zip(names, matrix, strict=True)]
        title = "confusion matrix: a line for each true class, a column for each predicted one"
        return title + "\n" + table([["", *(short(name, 12) for name in names)], *lines])
    errors = [
        (n, names[i], names[j]) for i, row in enumerate(matrix) for j, n in enumerate(row)
        if n > 0 and i != j
    ]  # fmt: skip
    errors.sort(key=lambda error: -error[0])
    lines = [[f"{true} as {found}", f"{n:,}"] for n, true, found in errors[:10]]
    return "most frequent errors\n" + table([["true as predicted", "rows"], *lines])
