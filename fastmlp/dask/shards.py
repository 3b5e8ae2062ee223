"""Shards: the parts of the data that are trained on separately.

Shard s of V has the rows s, s + V, s + 2 V and so on: a sorted table gives shards that are alike,
and which row is in which shard depends on nothing but V.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.equations.losses import LOGISTIC, SOFTMAX
from fastmlp.dask.file_rows import FileRows
from fastmlp.dask.steps import Drawn
from fastmlp.messages import must, shown
from fastmlp.settings import Settings
from fastmlp.training.reading import Reader, names_of
from fastmlp.training.samples import CHECKED_AT_ONCE, Data, first_not_finite
from fastmlp.training.state import State
from fastmlp.validation import checks, real_numbers, sample_weights


class Format(NamedTuple):
    """How the samples of a shard are checked and converted."""

    settings: Settings
    class_name: str
    feature_names: list[str] | None
    n_shards: int
    from_function: bool = False  # whether rows are counted within the shard
    #: Returns the samples for `settings` and X, y and weights, in place of `Reader`.
    convert: Callable[[Settings, Any, Any, Any], Data] | None = None
    #: Returns what is wanted of X, y and weights, in place of the samples and their `Size`.
    look: Callable[[Any, Any, Any], Any] | None = None

    def reader(self) -> Reader:
        """Return what checks and converts."""
        return Reader(State(self.settings, None, self.class_name), self.feature_names)


class Size(NamedTuple):
    """What is known of a shard without its samples."""

    n_samples: int
    weight: float  # of all its samples
    of_classes: np.ndarray | None  # (n_classes,), the samples of each; None for other losses
    weight_of_classes: np.ndarray | None  # (n_classes,), that of all samples of each
    names: list[str] | None = None  # of the columns of X, if it was a data frame


class Shard(Data):
    """The samples of a shard; X may be `FileRows`."""

    names: list[str] | None = None  # of the columns of X, if it was a data frame
    is_map = False  # whether X was a memory map, whose rows `MLP` shuffles in blocks
    again: Callable[[], Shard] | None = None  # loads it from its source
    #: The order of the epoch that rounds of `local_steps` are in. Drawing it takes longer than some
    #: of these rounds.
    drawn: Drawn | None = None


class Arrays(NamedTuple):
    """Arrays in memory, as a source of shards."""

    X: Any
    y: Any
    sample_weight: Any = None

    def of_shard(self, shard: int, n_shards: int) -> tuple[Any, Any, Any]:
        """Return the rows of a shard."""
        return tuple(rows_of_shard(each, shard, n_shards) for each in self)


def rows_of_shard(values: Any, shard: int, n_shards: int) -> Any:
    """Return the rows of a shard of an array, a data frame or a sparse matrix; None stays None."""
    if values is None:
        return None
    if hasattr(values, "iloc"):
        return values.iloc[shard::n_shards]
    if hasattr(values, "tocsr"):
        return values.tocsr()[shard::n_shards]
    return values[shard::n_shards]


def loaded(load: Callable[[int], Any], shard: int) -> tuple[Any, Any, Any]:
    """Return the samples of a shard from a user's function."""
    try:
        found = load(shard)
    except Exception as error:
        error.add_note(f"raised by `X({shard})`")
        raise
    if not isinstance(found, (tuple, list)) or len(found) not in (2, 3):
        requirement = "return (X, y) or (X, y, sample_weight)"
        raise TypeError(must(f"X({shard})", requirement, shown(found)))
    return (*found, None) if len(found) == 2 else tuple(found)


def read(form: Format, shard: int, samples: tuple[Any, Any, Any]) -> Data:
    """Return the samples of a shard, checked to be finite, as the kernels read them."""
    X, y, weights = samples
    try:
        if form.look is not None:
            return form.look(X, y, weights)
        reader = form.reader()
        rows = _in_file(X, reader.state)
        if rows is not None:
            data = _with_rows(rows, form, reader, y, weights)
        elif form.convert is None:
            data = reader.samples("X", X, "y", y, weights, to_train_on=True, require_positive=False)
        else:
            reader.check_names("X", names_of(X))
            data = form.convert(form.settings, X, y, weights)
        _check_finite(reader.state, data.X)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        text = str(error) if form.from_function else _of_all_rows(error, shard, form.n_shards)
        raise kind(f"shard {shard}: {text}") from None
    found = Shard(*data)
    found.names = reader.feature_names
    found.is_map = form.convert is None and isinstance(X, np.memmap)
    return found


def _in_file(X: Any, state: State) -> FileRows | None:
    """Return the rows of a memory map that are read from its file; None for other arrays."""
    network = state.network
    n_in = network.sizes[0]
    if not isinstance(X, np.memmap) or X.dtype.kind not in real_numbers.KINDS:
        return None
    if X.ndim != 2 or X.shape[1] != n_in or len(X) == 0:  # which is refused
        return None
    first: Any = checks.feature_rows("X", X[:1], n_in, network.dtype)
    return FileRows.of(X, first.dtype)


def _with_rows(rows: Any, form: Format, reader: Reader, y: Any, weights: Any) -> Data:
    """Return samples whose rows of X are checked and converted when they are read."""
    n = len(rows)
    if form.convert is None:
        targets = reader.targets("y", y, n)
        return Data(rows, sample_weights.weighted(targets, weights, n, require_positive=False))
    # In place of X one small column, of which nothing is read but the number of rows.
    sizes, column = [1, *reader.state.network.sizes[1:]], np.zeros((n, 1), np.bool_)
    narrow = dataclasses.replace(form.settings, layers=sizes, input_shift=0.0, input_scale=1.0)
    return Data(rows, form.convert(narrow, column, y, weights).targets)


def _check_finite(state: State, X: Any) -> None:
    """Raise ValueError for the first row of X that is not finite."""
    n = len(X)
    at_once = max(1, CHECKED_AT_ONCE // state.network.sizes[0]) if isinstance(X, FileRows) else n
    for start in range(0, n, at_once):
        some = X if at_once >= n else X[start : start + at_once]
        row = first_not_finite(state.network, some)
        if row is not None:
            raise checks.not_finite("X", start + row, state.network.dtype)


def _of_all_rows(error: Exception, shard: int, n_shards: int) -> str:
    """Return the message of an error with the row among all, not among those of the shard."""
    return re.sub(
        r"(.*\bin row )(\d+)",  # the last one: text that it shows comes before
        lambda found: f"{found[1]}{shard + int(found[2]) * n_shards}",
        str(error),
        count=1,
    )


def size_of(form: Format, shard: Any) -> Any:
    """Return what is known of a shard without its samples, as a `Size`."""
    if form.look is not None:
        return shard
    reader, targets = form.reader(), shard.targets
    loss, n_out = reader.state.loss, reader.state.network.sizes[-1]
    has_classes = loss.kind == SOFTMAX or (loss.kind, n_out) == (LOGISTIC, 1)
    n = len(shard.X)
    return Size(
        n,
        float(targets.weights.sum()) if len(targets.weights) > 0 else float(n),
        sample_weights.class_counts(targets, loss, n_out) if has_classes else None,
        sample_weights.class_sums(targets, loss, n_out) if has_classes else None,
        shard.names,
    )
