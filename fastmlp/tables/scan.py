"""The first pass over a table: the kinds of its columns, its targets, and a sample of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.tables import columns as kinds
from fastmlp.tables.columns import Column
from fastmlp.tables.extras import pandas
from fastmlp.tables.formats import Table
from fastmlp.tables.numbers import unit_of

SAMPLE_CELLS = 2**21  # of the rows that an encoder is fitted on
LEAST_SAMPLE = 10_000  # rows
MOST_DIFFERENT = 10_000  # values of a column of text that are counted
SEEN_TEXTS = 100  # of a column, that may be dates
COUNTS = "counts the rows"
PADDED = "text, because some numbers have leading zeros, "
FEW_DIFFERENT = 20  # values of a column of text that are always categories


@dataclass(frozen=True)
class Roles:
    """Which columns are no inputs."""

    target: Sequence[str]
    drop: Sequence[str] = ()
    id: str | None = None
    weight: str | None = None

    @property
    def all(self) -> set[str]:
        """All of them."""
        named = (each for each in (self.id, self.weight) if each is not None)
        return {*self.target, *self.drop, *named}


@dataclass
class Scan:
    """What the first pass has found.

    Attributes
    ----------
    n_rows : int
    columns : list of Column
        Those that are inputs or could be.
    targets : dict of pandas Series
        By their names; all rows.
    weights : float64 array (n_rows,) or None
    sample : pandas DataFrame
        The inputs of rows drawn at random, or of all rows if they are few; its index has their
        positions.
    padded : list of str
        Columns of whole numbers, some with leading zeros, which are text.
    with_units : list of str
        Columns of text that are numbers with the same unit, each with its first value.
    """

    n_rows: int
    columns: list[Column]
    targets: dict[str, Any]
    weights: np.ndarray | None
    sample: Any
    padded: list[str]
    with_units: list[str]

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of the inputs, by name."""
        return {column.name: column.kind for column in self.columns if not column.left_out}


def scan(table: Table, roles: Roles, source: np.random.RandomState) -> Scan:
    """Read all rows of a table once, or again if parts of a column have turned out to be text.

    Whole numbers of which any has leading zeros, such as 007, are text.

    Raises
    ------
    ValueError
        For columns of dates, columns without a value, missing targets and weights, and if no column
        is left as an input.
    """
    position = source.get_state()
    names = [name for name in table.names if name not in roles.all]
    if not names:
        requirement = "have a column besides those that are named"
        raise ValueError(must(short(table.path, 150), requirement, "none that is left as an input"))
    texts: dict[str, Any] = {}
    padded: list[str] = []
    while True:
        source.set_state(position)
        reading = _Reading(table, names, roles, source)
        for piece in table.pieces(texts):
            reading.add(piece)
        mixed = [name for name, seen in reading.seen.items() if seen.needs_text(name, texts)]
        whole = [name for name, seen in reading.seen.items() if seen.is_whole]
        if not mixed:
            padded += table.with_leading_zeros(whole)
            mixed = [name for name in padded if name not in texts]
        if not mixed:
            return reading.result(padded)
        texts |= dict.fromkeys(mixed, str)


@dataclass
class _Seen:
    """What is known of a column so far."""

    decimal: str  # mark of numbers
    kind: str = ""
    part_kinds: set[str] = field(default_factory=set)
    n_missing: int = 0
    texts: dict[str, None] | None = field(default_factory=dict)  # different ones; None for many
    counts_rows: bool = True
    are_whole: bool = True  # all numbers
    not_a_number: str | None = None  # the first value of a column of text that is none

    def add(self, path: str, values: Any, start: int) -> None:
        kind = kinds.kind_of(path, values)
        self.part_kinds |= {kind} - {""}
        self.kind = kinds.together(self.kind, kind)
        self.n_missing += int(values.isna().sum())
        self.counts_rows = self.counts_rows and _counts_rows(values, start)
        self.are_whole = self.are_whole and kind in ("number", "") and _are_whole(values)
        if kind == "text" and self.not_a_number is None:
            self.not_a_number = kinds.first_that_is_no_number(values, self.decimal)
        if kind == "text" and self.texts is not None:
            self.texts.update(dict.fromkeys(map(str, values.dropna().unique())))
            if len(self.texts) > MOST_DIFFERENT:
                self.first_texts, self.texts = [*self.texts][:SEEN_TEXTS], None

    def needs_text(self, name: str, texts: dict[str, Any]) -> bool:
        """Whether a column of text has parts that were read as something else."""
        return self.kind == "text" and len(self.part_kinds) > 1 and name not in texts

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers of at least 0, and there are some."""
        return self.kind == "number" and self.are_whole

    @property
    def some_texts(self) -> list[str]:
        """The first different texts."""
        return self.first_texts if self.texts is None else [*self.texts][:SEEN_TEXTS]

    @property
    def unit(self) -> str:
        """A value with its unit, if all are numbers with the same one."""
        return unit_of(self.some_texts, self.decimal) if self.kind == "text" else ""

    def column(self, path: str, name: str, n_rows: int, is_padded: bool) -> Column:
        first = self.some_texts
        if self.kind == "date" or "date" in self.part_kinds:
            kinds.refuse_dates(path, name)
        if self.kind == "text" and kinds.are_dates(first):
            kinds.refuse_dates(path, name)
        if self.kind == "":
            return Column(name, "number", self.n_missing, None, "no value in any row")
        different = None if self.texts is None else len(self.texts)
        reason = self._reason(n_rows)
        if is_padded and reason:
            reason = PADDED + reason.removeprefix("text ")
        if reason and self.not_a_number is not None:
            kinds.refuse_few_texts(path, name, first, self.not_a_number, self.decimal)
        if self.kind != "text":
            different = None
        return Column(name, self.kind, self.n_missing, different, reason)

    def _reason(self, n_rows: int) -> str:
        """Return why the column is not an input; "" if it is one."""
        if self.kind == "number" and self.counts_rows and n_rows > FEW_DIFFERENT:
            return COUNTS
        n_known = n_rows - self.n_missing
        if self.kind != "text":
            return ""
        if self.texts is None:
            return f"text with more than {MOST_DIFFERENT:,} different values"
        if len(self.texts) > max(FEW_DIFFERENT, n_known / 2):
            return f"text with {len(self.texts):,} different values in {n_known:,} rows"
        return ""


def _counts_rows(values: Any, start: int) -> bool:
    """Whether these are the positions of the rows, counted from 0 or 1."""
    if getattr(values.dtype, "kind", "") not in "iu":
        return False
    offsets = values.to_numpy() - np.arange(start, start + len(values))
    first = offsets[0]
    return first in (0, 1) and bool((offsets == first).all())


def _are_whole(values: Any) -> bool:
    """Whether numbers are whole and at least 0, or missing."""
    if values.dtype.kind not in "iuf":
        return not values.notna().any()
    numbers = values.to_numpy()
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return bool((np.isnan(numbers) | (numbers == np.abs(np.trunc(numbers)))).all())
    return bool((numbers >= 0).all())


class _Reading:
    """The pieces of a table, as they are read."""

    def __init__(self, table: Table, names: list[str], roles: Roles, source: np.random.RandomState):
        self.path, self.names, self.roles, self.source = table.path, names, roles, source
        self.n_rows = 0
        self.seen = {name: _Seen(table.decimal) for name in (*names, *roles.target)}
        self.targets: dict[str, list[Any]] = {name: [] for name in roles.target}
        self.weights: list[np.ndarray] = []
        self.sampled: list[Any] = []
        self.keys: list[np.ndarray] = []
        self.size = max(LEAST_SAMPLE, SAMPLE_CELLS // len(names))
        self.limit = 1.0  # rows with smaller keys are in the sample

    def add(self, piece: Any) -> None:
        start = self.n_rows
        self.n_rows += len(piece)
        for name, seen in self.seen.items():
            seen.add(self.path, piece[name], start)
        for name, parts in self.targets.items():
            self._check_target(piece[name])
            parts.append(_compact(piece[name]))
        if self.roles.weight is not None:
            self.weights.append(kinds.weights_of(self.path, piece[self.roles.weight]))
        self._draw(piece[self.names])

    def _check_target(self, values: Any) -> None:
        missing = values.isna()
        if missing.any():
            requirement = f"have a value of the target {shown(values.name)} in every row"
            got = kinds.first_of(values, missing)
            advice = "leave the rows without one out"
            raise ValueError(must(short(self.path, 150), requirement, got, advice))

    # The sample -----------------------------------------------------------------------------------

    def _draw(self, rows: Any) -> None:
        """Add rows to the sample: those with the smallest of random keys."""
        keys = self.source.random_sample(len(rows))
        kept = keys < self.limit
        # pandas 2 would join them with parts that are all missing as floats.
        truths = rows.select_dtypes(bool).columns
        self.sampled.append(rows[kept].astype(dict.fromkeys(truths, object)))
        self.keys.append(keys[kept])
        if sum(map(len, self.keys)) > 2 * self.size:
            self._shrink()

    def _shrink(self) -> None:
        keys = np.concatenate(self.keys)
        rows = pandas().concat(self.sampled)
        if len(keys) > self.size:
            self.limit = float(np.partition(keys, self.size)[self.size])
            rows, keys = rows[keys < self.limit], keys[keys < self.limit]
        self.sampled, self.keys = [rows], [keys]

    # The end --------------------------------------------------------------------------------------

    def result(self, padded: Sequence[str]) -> Scan:
        """Return what was found, once no column is to be read in another way.

        `padded` has the columns of numbers with leading zeros, which are text.
        """
        found = [
            self.seen[name].column(self.path, name, self.n_rows, name in padded)
            for name in self.names
        ]
        if all(column.left_out for column in found):
            found = [
                replace(column, left_out="") if column.left_out == COUNTS else column
                for column in found
            ]
        if all(column.left_out for column in found):
            requirement = "have a column that can be an input"
            got = "; ".join(f"{column.name}: {column.left_out}" for column in found[:3])
            raise ValueError(must(short(self.path, 150), requirement, short(got, 150)))
        self._shrink()
        weights = np.concatenate(self.weights) if self.weights else None
        if weights is not None:
            kinds.check_weights(self.path, weights.sum())
        targets = {name: _joined(parts) for name, parts in self.targets.items()}
        units = {name: seen.unit for name, seen in self.seen.items()}
        with_units = [f"{name} ({unit})" for name, unit in units.items() if unit]
        result = Scan(self.n_rows, found, targets, weights, None, [*padded], with_units)
        result.sample = kinds.converted(self.path, self.sampled[0], result.kinds)
        return result


def _compact(values: Any) -> Any:
    """Return a part of a target in little memory: text as categories."""
    return values.astype("category") if values.dtype.kind not in "biuf" else values


def _joined(parts: list[Any]) -> Any:
    pd = pandas()
    if all(hasattr(part.dtype, "categories") for part in parts):
        joined = pd.api.types.union_categoricals(parts, sort_categories=True)
        return pd.Series(joined)
    return pd.concat(parts, ignore_index=True)
