"""A model of a table: an estimator, and what it was told about its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import fastmlp
from fastmlp.messages import must, short, shown
from fastmlp.tables import columns, encoded
from fastmlp.tables.columns import Column
from fastmlp.tables.extras import pandas
from fastmlp.tables.formats import Table, open_table
from fastmlp.tables.plain import PlainEncoder
from fastmlp.tables.targets import TASKS

#: The kinds of columns as a `TableEncoder` names them.
KINDS = {"number": "number", "boolean": "boolean", "category": "text", "empty": "number"}
KEY = "table"  # of the description among the metadata of a file
MOST_VALUES = 2**22  # of a layer that are computed at a time


@dataclass
class Description:
    """What a file says about the table that its network was trained on.

    Parameters
    ----------
    task : {"classification", "multilabel", "regression"}
    target : list of str
    classes : list
        Of classification, sorted.
    columns : list of Column
    dropped : list of str
        Columns that the user left out.
    id, weight : str or None
    has_header : bool or None
        Whether the first line of a file of text has names.
    n_rows, n_validation : int
        The rows of the table, and those of them that were held out.
    guess : list or number
        The commonest class or labels, or the mean, of the rows that were trained on.
    score, guess_score : float or None
        On the rows that were held out.
    plain : dict or None
        Of the `PlainEncoder`, if there is no preset.
    """

    task: str
    target: list[str]
    classes: list[Any]
    columns: list[Column]
    dropped: list[str]
    id: str | None
    weight: str | None
    has_header: bool | None
    n_rows: int
    n_validation: int = 0
    guess: Any = None
    score: float | None = None
    guess_score: float | None = None
    plain: dict[str, Any] | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of the inputs, by name."""
        return {column.name: column.kind for column in self.columns if not column.left_out}

    @property
    def types(self) -> dict[str, Any]:
        """The pandas types that columns are read as, where it would infer them otherwise."""
        types = encoded.types_of(self.kinds)
        if self.classes and isinstance(self.classes[0], str):
            types |= {name: str for name in self.target}
        return types

    @property
    def known(self) -> set[str]:
        """All columns of the training data."""
        roles = [name for name in (self.id, self.weight) if name is not None]
        return {*self.target, *self.dropped, *roles, *(column.name for column in self.columns)}


@dataclass
class TableModel:
    """An estimator and the description of its table."""

    estimator: Any
    about: Description

    @property
    def encoder(self) -> Any:
        """What turns rows into the numbers that the network takes."""
        if self.about.plain is not None:
            return PlainEncoder(**self.about.plain)
        return members_of(self.estimator)[0].encoder_

    def outputs(self, path: str, pieces: Iterable[Any]) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield rows of a file with their outputs, in pieces whose layers fit in memory.

        The outputs are probabilities or predicted values, (n_rows, n_outputs).
        """
        widest = max(max(coefs.shape) for coefs in members_of(self.estimator)[0].coefs_)
        size = max(1, MOST_VALUES // widest)
        for piece in pieces:
            for start in range(0, len(piece), size):
                rows = piece.iloc[start : start + size]
                yield rows, self._outputs(path, rows)

    def _outputs(self, path: str, piece: Any) -> np.ndarray:
        frame = columns.converted(path, piece, self.about.kinds)
        X: Any = frame
        if self.about.plain is not None:
            encoder = self.encoder
            X = np.empty((len(frame), encoder.n_outputs_), np.float32)
            encoder.transform_into(frame, X)
        if self.about.task == "regression":
            found = self.estimator.predict(X)
            return found.reshape(len(frame), -1)
        return self.estimator.predict_proba(X)

    def answers_of(self, outputs: np.ndarray) -> np.ndarray:
        """Return what is predicted, as in `tables.targets.Target`."""
        if self.about.task == "classification":
            return outputs.argmax(axis=1)
        return outputs >= 0.5 if self.about.task == "multilabel" else outputs

    def answers(self, outputs: np.ndarray) -> list[list[Any]]:
        """Return what is predicted, as the values of the table: a list for each target."""
        found = self.answers_of(outputs)
        if self.about.task == "classification":
            return [np.array(self.about.classes, object)[found].tolist()]
        if self.about.task == "multilabel":
            found = found.astype(int)
        return [column.tolist() for column in found.T]

    # Files ----------------------------------------------------------------------------------------

    def save(self, path: str) -> None:
        """Write the model to a file."""
        self.estimator.save(path, metadata={KEY: asdict(self.about)})


def members_of(model: Any) -> list[Any]:
    """Return the members of an ensemble, or any other model alone."""
    found: list[Any] = getattr(model, "estimators_", [model])
    return found


def load(path: str) -> Any:
    """Return the model in a file: a `TableModel`, an `MLP` or a `NeuralNet`."""
    model = fastmlp.load(path)
    if not hasattr(model, "metadata_"):
        return model
    found = model.metadata_.get(KEY)
    return TableModel(
        model, _of_estimator(model) if found is None else _description(path, model, found)
    )


def _of_estimator(estimator: Any) -> Description:
    """Return the description of an estimator that a program has saved."""
    names = getattr(estimator, "feature_names_in_", range(estimator.n_features_in_))
    names = [str(name) for name in names]
    encoder = getattr(members_of(estimator)[0], "encoder_", None)
    kinds = ["number"] * len(names)
    if encoder is not None:
        kinds = [KINDS[column.kind] for column in encoder.columns_]
    task, targets, classes = "regression", ["prediction"], []
    if hasattr(estimator, "classes_"):
        task, classes = "classification", np.asarray(estimator.classes_).tolist()
        from fastmlp.sklearn.classes import is_multilabel  # networks of images need no scikit-learn

        if is_multilabel(estimator):
            task, targets, classes = "multilabel", [str(name) for name in classes], []
    elif estimator.n_outputs_ > 1:
        targets = [f"prediction_{k}" for k in range(estimator.n_outputs_)]
    columns = [Column(*pair) for pair in zip(names, kinds, strict=True)]
    plain = None if encoder is not None else PlainEncoder(dict(zip(names, kinds, strict=True)), {})
    return Description(
        task, targets, classes, columns, [], None, None, None, 0,
        plain=None if plain is None else plain.to_dict(),
    )  # fmt: skip


def _description(path: str, estimator: Any, found: Any) -> Description:
    """Return what a file says about its table, checked."""
    try:
        about = Description(**found)
        about.columns = [Column(**column) for column in found["columns"]]
        _check(about, estimator)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        requirement = "be a model that fastmlp train wrote"
        got = f"a damaged description ({short(str(error))})"
        raise ValueError(must(short(path, 150), requirement, got)) from None
    return about


def _check(about: Description, estimator: Any) -> None:
    """Raise an error if a description does not suit the estimator."""
    names = [*about.target, *about.dropped, *(column.name for column in about.columns)]
    names += [name for name in (about.id, about.weight) if name is not None]
    if not all(isinstance(name, str) for name in names) or not about.target:
        raise ValueError("names")
    if about.task not in TASKS or not {*about.kinds.values()} <= {*KINDS.values()}:
        raise ValueError("types")
    is_classification = about.task == "classification"
    if is_classification and about.classes != np.asarray(estimator.classes_).tolist():
        raise ValueError("classes")
    if not is_classification and estimator.n_outputs_ != len(about.target):
        raise ValueError("targets")
    n_inputs = estimator.coefs_[0].shape[0]
    if about.plain is not None and PlainEncoder(**about.plain).n_outputs_ != n_inputs:
        raise ValueError("inputs")
    if about.plain is None and [*estimator.feature_names_in_] != [*about.kinds]:
        raise ValueError("columns")


# Rows of other files ------------------------------------------------------------------------------


def opened(path: str, about: Description, has_header: bool | None, part: str = "test") -> Table:
    """Open a file of rows for a model; ValueError if a column of the training data is missing."""
    table = open_table(path, about.has_header if has_header is None else has_header, part)
    missing = [name for name in about.kinds if name not in table.names]
    new = new_columns(table, about)
    if missing:
        requirement = "have the columns of the training data"
        got = f"no column {', '.join(shown(name) for name in missing[:3])}"
        got += f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        if new:
            got += f", and the new {', '.join(shown(name) for name in new[:3])}"
        raise ValueError(must(short(path, 150), requirement, short(got, 200)))
    return table


def new_columns(table: Table, about: Description) -> list[str]:
    """Return the columns of a file that the training data did not have."""
    return [name for name in table.names if name not in about.known]


def targets_of(path: str, about: Description, piece: Any) -> np.ndarray:
    """Return the targets of rows of a file, as in `tables.targets.Target`.

    Raises
    ------
    ValueError
        For missing targets, and for classes that the training data did not have.
    """
    found = []
    for name in about.target:
        if name not in piece.columns:
            advice = columns.similar(name, list(piece.columns))
            requirement = f"have the target {shown(name)}"
            raise ValueError(must(short(path, 150), requirement, "no such column", advice))
        values = piece[name]
        wrong = values.isna()
        what = "a value"
        if about.classes:
            codes = codes_of(values, about.classes)
            wrong |= codes < 0
            what = "a class of the training data"
            found.append(codes)
        else:
            kind = "boolean" if columns.kind_of(path, values) == "boolean" else "number"
            numbers = columns.converted(path, piece, {name: kind})[name].to_numpy(np.float64)
            if about.task == "multilabel":
                wrong |= ~np.isin(numbers, [0, 1])
                what = "0 or 1"
            found.append(numbers)
        if wrong.any():
            requirement = f"have {what} of the target {shown(name)} in every row"
            got = columns.first_of(values, wrong)
            raise ValueError(must(short(path, 150), requirement, got))
    return found[0] if about.classes else np.column_stack(found)


def weights_of(path: str, about: Description, piece: Any) -> np.ndarray | None:
    """Return the weights of rows of a file, None if there is no column of weights."""
    if about.weight is None or about.weight not in piece.columns:
        return None
    return columns.weights_of(path, piece[about.weight])


def codes_of(values: Any, classes: Sequence[Any]) -> np.ndarray:
    """Return the position of each value among the classes, -1 for others."""
    position = {value: k for k, value in enumerate(classes)}
    known = values.astype(object)
    if isinstance(classes[0], str):
        known = known.map(str, na_action="ignore")
    elif not isinstance(classes[0], bool):
        known = pandas().to_numeric(known, errors="coerce")
    return np.array([position.get(value, -1) for value in known.tolist()], np.int64)


def read(table: Table, about: Description, *as_text: str) -> Iterator[Any]:
    """Return the rows of a file for a model; the columns `as_text` as they are written."""
    types = about.types | dict.fromkeys(as_text, str)
    yield from table.pieces({name: type for name, type in types.items() if name in table.names})
