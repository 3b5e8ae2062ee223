"""``fastmlp train`` on a table: the command, and what it prints."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np

from fastmlp.command_line import table_training
from fastmlp.command_line.interrupts import Interrupts
from fastmlp.command_line.reports import counted, duration, number, print_json, sizes_in_words
from fastmlp.command_line.scores import GUESSES, MAIN
from fastmlp.command_line.table_training import Data, Result
from fastmlp.messages import must
from fastmlp.sklearn.tied import sizes_of
from fastmlp.tables.columns import Column, listed

KINDS = {"number": "number", "boolean": "boolean", "text": "column of text"}


def train(args: argparse.Namespace) -> None:
    """Train on a table, print a report, and save the model.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C during training, once the best model so far has been saved.
    """
    data = table_training.read(args)
    if not args.json:
        print("\n".join(_about_data(data)), flush=True)
    source = np.random.RandomState(args.seed)
    folds: list[float] = []
    most = data.found.n_rows // (2 if data.about.task == "regression" else 1)  # R2 needs two rows
    if args.cv is not None and args.cv > most:
        requirement = f"be at most {most} for the {data.found.n_rows} rows of the table"
        raise ValueError(must("--cv", requirement, f"{args.cv}"))
    if args.cv is not None:
        folds = table_training.cross_validated(data, args, source)
        if not args.json:
            print(_about_folds(data, folds), flush=True)
    part_of = table_training.held_out(data, args, source)
    with Interrupts() as interrupts:
        result = table_training.fitted(data, part_of, args, interrupts, is_last=True)
        interrupts.ignored = True
        if result.best_epoch > 0:
            result.model.save(args.out)
    if interrupts.received:
        raise KeyboardInterrupt(_interrupted(result, args.out))
    if args.json:
        print_json(_facts(data, result, folds, args.out))
    else:
        print("\n".join(_about_result(result, args.out)))


def _interrupted(result: Result, path: str) -> str:
    if result.best_epoch == 0:
        return "interrupted before the end of the first epoch; nothing is saved"
    about = result.model.about
    score = f"{MAIN[about.task]} {number(about.score or 0.0)}"
    where = f"the best weights so far, of epoch {result.best_epoch} ({score}), are saved to {path}"
    return f"interrupted; {where}"


# Text ---------------------------------------------------------------------------------------------


def _about_data(data: Data) -> list[str]:
    """Return the lines about a table, before training."""
    about = data.about
    lines = [f"data: {data.table.path} ({data.table.kind}), {counted(about.n_rows, 'row')}"]
    for kind in ("number", "boolean", "text"):
        of_kind = [column for column in about.columns if about.kinds.get(column.name) == kind]
        if of_kind:
            lines.append(f"{counted(len(of_kind), KINDS[kind], _many(kind))}: {_named(of_kind)}")
    lines += [f"left out: {column.name} ({column.left_out})" for column in about.columns
              if column.left_out]  # fmt: skip
    grouped = sorted(getattr(data.table, "grouped", ()))
    if grouped:
        lines.append(f"numbers with separators of thousands: {listed(grouped)}")
    padded = [name for name in data.found.padded if name in about.kinds]
    if padded:
        lines.append(f"text, because some numbers have leading zeros: {listed(padded)}")
    if data.found.with_units:
        units = listed(data.found.with_units)
        lines.append(f"text, because of units: {units}; numbers without them would be used as such")
    names = listed(about.target)
    lines.append(f"target: {names}, {data.target.reason}, so the task is {about.task}")
    if about.classes:
        lines.append(f"classes: {listed(about.classes)}")
    return lines


def _many(kind: str) -> str:
    return "columns of text" if kind == "text" else ""


def _named(columns: list[Column]) -> str:
    """Return the names of columns, and how many values are missing."""
    parts = [
        f"{column.name} ({column.n_missing:,} missing)" if column.n_missing else column.name
        for column in columns
    ]
    return listed(parts)


def _about_folds(data: Data, folds: list[float]) -> str:
    mean, error = mean_and_error(folds)
    main = MAIN[data.about.task]
    each = ", ".join(map(number, folds))
    return f"{len(folds)} folds: {main} {number(mean)} +- {number(error)} (standard error); {each}"


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Return the mean of values and its standard error."""
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5


def _about_result(result: Result, path: str) -> list[str]:
    """Return the lines about a trained model."""
    about, main = result.model.about, MAIN[result.model.about.task]
    at_most = result.model.estimator.max_iter
    early = f", at most {at_most:,}" if result.n_epochs < at_most else ""
    best = f"{counted(result.n_epochs, 'epoch')}{early}, the best is {result.best_epoch}"
    lines = [
        f"model: {network_in_words(result.model.estimator)}",
        f"training: {counted(result.n_training, 'row')}, {best}, {duration(result.seconds)}",
        f"{main}: {number(about.score or 0.0)} on {counted(result.n_validation, 'row')} held out; "
        f"{GUESSES[about.task]}: {number(about.guess_score or 0.0)}",
        f"saved: {path}",
    ]
    if about.score is not None and about.score <= (about.guess_score or 0.0):
        lines.insert(-1, "the model is no better than that answer")
    return lines


def network_in_words(estimator: Any) -> str:
    """Return a sentence about the network of an estimator."""
    return sizes_in_words(sizes_of(estimator.coefs_))


# JSON ---------------------------------------------------------------------------------------------


def _facts(data: Data, result: Result, folds: list[float], path: str) -> dict[str, Any]:
    about = result.model.about
    found: dict[str, Any] = {
        "data": data.table.path,
        "rows": about.n_rows,
        "columns": [vars(column) for column in about.columns],
        "target": about.target,
        "task": about.task,
        "classes": about.classes,
        "layers": sizes_of(result.model.estimator.coefs_),
        "training_rows": result.n_training,
        "validation_rows": result.n_validation,
        "epochs": result.n_epochs,
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
        "score": {"name": MAIN[about.task], "value": about.score, "guess": about.guess_score},
        "saved": path,
    }
    if folds:
        mean, error = mean_and_error(folds)
        found["cv"] = {"scores": folds, "mean": mean, "standard_error": error}
    return found
