"""``fastmlp train`` on a table."""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastmlp import MLP
from fastmlp.callbacks import Progress
from fastmlp.callbacks.output import bar_class
from fastmlp.command_line import scores, splitting, table_model
from fastmlp.command_line.halves import Halves
from fastmlp.command_line.interrupts import Interrupts
from fastmlp.command_line.table_model import Description, TableModel
from fastmlp.messages import must, short, shown
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from fastmlp.sklearn.classes import name_classes
from fastmlp.sklearn.encoder import EncodedRows
from fastmlp.sklearn.preset import TABULAR, new_encoder
from fastmlp.tables import encoded
from fastmlp.tables.columns import check_weights, listed, resolved
from fastmlp.tables.formats import Table, open_table
from fastmlp.tables.plain import PlainEncoder
from fastmlp.tables.scan import Roles, Scan, scan
from fastmlp.tables.targets import Target, target_of

SAMPLES = 20_000_000  # that training sees at most, if that is at least 10 epochs
#: The share of the epochs after which training ends without a better score: a little more than that
#: of the last cycle of the preset's learning rate, which is often best at its end.
PATIENCE = 0.55
MOST_CATEGORIES = 100  # of a column without a preset
ROWS_TO_SPLIT = 10  # fewer are too few for any share


@dataclass
class Data:
    """A table, what the first pass has found, and what is to be predicted."""

    table: Table
    found: Scan
    target: Target
    about: Description


@dataclass
class Result:
    """A trained model, and how it was trained."""

    model: TableModel
    n_training: int
    n_validation: int
    seconds: float
    n_epochs: int
    best_epoch: int
    interrupted: bool


def read(args: argparse.Namespace) -> Data:
    """Open the table that a command names, and read it once."""
    table = open_table(args.data, args.header)
    own = getattr(table, "target_names", [])
    if not args.target and not own:
        requirement = "be given for a table (LABELS for images)"
        advice = f"name one of the columns of {short(args.data, 150)}: "
        raise ValueError(must("--target", requirement, "none", advice + listed(table.names)))
    target = resolved("--target", args.target, table.names) if args.target else own
    dropped = resolved("--drop", args.drop or [], table.names)
    named = [_one(f"--{name}", getattr(args, name), table.names) for name in ("id", "weight")]
    roles = Roles(target, dropped, *named)
    _check_roles(roles)
    found = scan(_Watched(table, "reading"), roles, np.random.RandomState(args.seed))
    goal = target_of(table.path, found.targets, args.task)
    found.targets = {}
    dialect = getattr(table, "dialect", None)
    about = Description(
        goal.task, goal.names, goal.classes, found.columns, list(roles.drop), roles.id,
        roles.weight, None if dialect is None else dialect.has_header, found.n_rows,
    )  # fmt: skip
    return Data(table, found, goal, about)


def _one(option: str, given: str | None, names: list[str]) -> str | None:
    """Return the column that an option names, if it is given."""
    if given is None:
        return None
    found = resolved(option, [given], names)
    if len(found) > 1:
        raise ValueError(must(option, "name one column", shown(given)))
    return found[0]


def _check_roles(roles: Roles) -> None:
    named = [*roles.target, *roles.drop, *filter(None, (roles.id, roles.weight))]
    for name in named:
        if named.count(name) > 1:
            options = "--target, --drop, --id and --weight"
            raise ValueError(must(options, "name different columns", f"{shown(name)} twice"))


class _Watched:
    """A table with a bar, if reading it takes longer than a second."""

    def __init__(self, table: Table, what: str, n_rows: int | None = None):
        self.table, self.what, self.n_rows = table, what, n_rows
        self.kind, self.path, self.names = table.kind, table.path, table.names
        self.decimal = table.decimal

        self.with_leading_zeros = table.with_leading_zeros

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        settings = {"desc": self.what, "total": self.n_rows, "delay": 1, "leave": False}
        with bar_class()(unit=" rows", unit_scale=True, **settings) as bar:
            for piece in self.table.pieces(types, n_rows):
                yield piece
                bar.update(len(piece))


# The split ----------------------------------------------------------------------------------------


def share_of(args: argparse.Namespace) -> float:
    """Return the share of the rows that is held out."""
    return 0.2 if args.validation is None else float(args.validation)


def held_out(data: Data, args: argparse.Namespace, source: np.random.RandomState) -> np.ndarray:
    """Return the part of each row: 0 to train on, 1 for validation."""
    n = data.found.n_rows
    part_of = np.zeros(n, np.int8)
    if args.validation_data is not None:
        return part_of
    if args.shuffle:
        _, rows = splitting.drawn_split(data.target.strata, source, share_of(args))
        part_of[rows] = 1
    else:
        part_of[n - int(n * share_of(args)) :] = 1
    n_held_out = int(np.count_nonzero(part_of))
    if n_held_out == 0 and data.target.task == "classification" and n >= ROWS_TO_SPLIT:
        requirement = "have a class with several rows, so that some can be held out"
        got = f"{n:,} different values in {n:,} rows"
        raise ValueError(must(f"the target {listed(data.target.names)}", requirement, got))
    _check_held_out(data, n_held_out)
    if not args.shuffle and data.target.task == "classification":
        y = np.array(data.target.classes)[data.target.values]
        for sentence in splitting.gaps(y[part_of == 0], y[part_of == 1]):
            warnings.warn(sentence, stacklevel=1)
    return part_of


def _check_held_out(data: Data, n_held_out: int, of_what: str = "") -> None:
    """Raise ValueError if these rows are too few for a score: R2 needs two."""
    if n_held_out < (2 if data.target.task == "regression" else 1):
        requirement = f"have enough rows to hold some of them out{of_what}"
        got = f"{data.found.n_rows} rows"
        raise ValueError(must(short(data.table.path, 150), requirement, got))


def folds(strata: np.ndarray, k: int, source: np.random.RandomState) -> np.ndarray:
    """Return the number of each row's fold: as many of every class in each, as far as possible."""
    rows = source.permutation(len(strata))
    rows = rows[np.argsort(strata[rows], kind="stable")]
    found = np.empty(len(rows), np.int64)
    found[rows] = np.arange(len(rows)) % k
    return found


# Training -----------------------------------------------------------------------------------------


def fitted(
    data: Data,
    part_of: np.ndarray,
    args: argparse.Namespace,
    interrupts: Interrupts,
    is_last: bool = False,
) -> Result:
    """Train on the rows of part 0, and choose the epoch by those of part 1.

    `is_last` frees the memory of what only other models need.
    """
    about = Description(**vars(data.about))
    sample = data.found.sample
    sample = sample[part_of[sample.index.to_numpy()] == 0]
    encoder = _fitted_encoder(about, sample, args.preset)
    types, folder = encoded.types_of(about.kinds), encoded.folder_of(args.out)
    pieces = _Watched(data.table, "encoding", data.found.n_rows).pieces(types)
    rows = encoded.encoded_parts(data.table, pieces, about.kinds, encoder, part_of, 2, folder)
    values = [data.target.values[part_of == k] for k in (0, 1)]
    weights: list[Any] = [None, None]
    if data.found.weights is not None:
        weights = [data.found.weights[part_of == k] for k in (0, 1)]
    if is_last:
        data.target, data.found.sample = replace(data.target, values=values[0][:0]), None
        del sample
    if args.validation_data is not None:
        rows[1], values[1], weights[1] = _other_file(args, about, encoder, folder)
    paths = data.table.path, args.validation_data or data.table.path
    for path, each, what in zip(paths, weights, ("trained on", "held out"), strict=True):
        if each is not None:
            check_weights(path, each.sum(), f" among the rows that are {what}")
    about.guess = scores.guess_of(about.task, values[0], weights[0])
    of_guess = scores.main_score(about.task)
    scores.add_guess(of_guess, about.guess, values[1], weights[1])
    about.guess_score, about.n_validation = of_guess.value, len(values[1])

    halves = Halves(about.task, args.preset, values[1], weights[1], args.seed)
    estimator = _estimator(about, args, len(values[0]), halves.recorded())
    X, X_val = (EncodedRows(encoder, each) if args.preset else each for each in rows)
    y, y_val = (each if each.ndim == 1 or each.shape[1] > 1 else each[:, 0] for each in values)
    _compile()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training (interrupted|stopped)|Stochastic Opti")
        estimator.fit(X, y, weights[0], X_val=X_val, y_val=y_val, sample_weight_val=weights[1])
    seconds = time.perf_counter() - start
    estimator.set_params(callbacks=None, metrics=None)
    if about.classes:
        name_classes(estimator, np.array(about.classes))
        about.classes = estimator.classes_.tolist()
    best, about.score = halves.best_epoch(estimator)
    n_epochs = len(estimator.validation_scores_)
    model = TableModel(estimator, about)
    n_rows = len(values[0]), len(values[1])
    return Result(model, *n_rows, seconds, n_epochs, best, interrupts.received)


def _fitted_encoder(about: Description, sample: Any, preset: bool) -> Any:
    """Return an encoder that was fitted on a sample of the rows that are trained on."""
    if preset:
        return new_encoder().fit(sample)
    encoder = PlainEncoder.fitted(about.kinds, sample, MOST_CATEGORIES)
    about.plain = encoder.to_dict()
    return encoder


def _estimator(
    about: Description, args: argparse.Namespace, n_rows: int, scorers: list[Any]
) -> Any:
    epochs = args.epochs
    if epochs is None:
        epochs = max(10, min(TABULAR["max_iter"], SAMPLES // max(1, n_rows)))
    given = {
        "hidden_layer_sizes": args.layers, "max_iter": epochs, "batch_size": args.batch_size,
        "learning_rate_init": args.learning_rate, "n_threads": args.threads,
    }  # fmt: skip
    kind = MLPRegressor if about.task == "regression" else MLPClassifier
    return kind(
        **{name: value for name, value in given.items() if value is not None},
        preset="tabular" if args.preset else None,
        shuffle="blocks",
        early_stopping=True,
        n_iter_no_change=math.ceil(PATIENCE * epochs),
        random_state=args.seed,
        callbacks=[Progress()],
        metrics=scorers,
    )


def _compile() -> None:
    """Compile the code of all options, or load it from the cache, so that it is not timed."""
    net, X = MLP([1, 1, 2], activation="tanh", random_state=0), np.zeros((1, 1), np.float32)
    net.fit(X, [0], epochs=1).predict_proba(X)  # of the validation data in each epoch


def _other_file(
    args: argparse.Namespace, about: Description, encoder: Any, folder: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the encoded rows, the targets and the weights of ``--validation-data``."""
    table = table_model.opened(args.validation_data, about, args.header)
    found = [
        (
            table_model.targets_of(table.path, about, piece),
            table_model.weights_of(table.path, about, piece),
        )
        for piece in table_model.read(table, about)
    ]
    values = np.concatenate([each for each, _ in found])
    weights = None
    if about.weight in table.names:
        weights = np.concatenate([each for _, each in found])
    part_of = np.zeros(len(values), np.int8)
    pieces = table_model.read(table, about)
    (rows,) = encoded.encoded_parts(table, pieces, about.kinds, encoder, part_of, 1, folder)
    return rows, values, weights


# Cross-validation ---------------------------------------------------------------------------------


def cross_validated(data: Data, args: argparse.Namespace, source: Any) -> list[float]:
    """Return the score of each fold, of a model that was trained on the others."""
    fold_of = folds(data.target.strata, args.cv, source)
    if data.found.weights is not None:
        for k in range(args.cv):
            total = data.found.weights[fold_of == k].sum()
            check_weights(data.table.path, total, " in each fold of --cv")
    parts = [_parts_of_fold(data, fold_of != k, args, source) for k in range(args.cv)]
    found = []
    for k, part_of in enumerate(parts):
        with Interrupts() as interrupts:
            result = fitted(data, part_of, args, interrupts)
        if result.interrupted:
            raise KeyboardInterrupt("interrupted during cross-validation; nothing is saved")
        found.append(_score_of(result.model, data, fold_of == k))
    return found


def _parts_of_fold(
    data: Data, is_trained_on: np.ndarray, args: argparse.Namespace, source: Any
) -> np.ndarray:
    """Return the part of each row: 0 to train on, 1 for validation, -1 for the test."""
    part_of = np.where(is_trained_on, 0, -1).astype(np.int8)
    if args.validation_data is None:
        rows = np.flatnonzero(is_trained_on)
        _, validation = splitting.drawn_split(data.target.strata[rows], source, share_of(args))
        _check_held_out(data, len(validation), f" of those outside each of {args.cv} folds of --cv")
        part_of[rows[validation]] = 1
    return part_of


def _score_of(model: TableModel, data: Data, chosen: np.ndarray) -> float:
    """Return the main score of some rows of the table."""
    score = scores.main_score(model.about.task)
    pieces = data.table.pieces(encoded.types_of(model.about.kinds))
    chosen_rows = (piece[chosen[piece.index]] for piece in pieces)
    for piece, outputs in model.outputs(data.table.path, chosen_rows):
        rows = piece.index.to_numpy()
        weights = None if data.found.weights is None else data.found.weights[rows]
        score.add(data.target.values[rows], model.answers_of(outputs), weights)
    return score.value
