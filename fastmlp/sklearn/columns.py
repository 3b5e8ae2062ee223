"""The columns of a table: their types, what is learned of each, and their numbers for a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array

from fastmlp.messages import must, shown
from fastmlp.sklearn.scaling import centre_and_scale, squash

#: What columns may hold, in messages.
ALLOWED = "numbers, booleans, text or categories"
#: How columns of other types become text, by the type of their values.
ADVICE = {
    "Interval": "Series.cat.rename_categories(str) of pandas makes them text",
    "bytes": "Series.str.decode('utf-8') of pandas makes them text",
}
BOOLEANS, NUMBERS = (bool, np.bool_), (Real, Decimal)
#: What the sines and cosines of a number are multiplied by, over their frequency.
HARMONIC = 0.5


# Reading ----------------------------------------------------------------------------------------


class Table:
    """A data frame or an array as columns.

    Parameters
    ----------
    X : pandas or polars DataFrame, or array-like of shape (n_samples, n_features)
        Lists of lists may have different types in each column.

    Attributes
    ----------
    X : the data frame, or an ndarray
    names : list of str or None
        The names of the columns, if X is a data frame and all of them are text.
    shape : tuple of two int
    """

    def __init__(self, X: Any):
        self.names: list[str] | None = None
        self._is_frame = hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "to_series"))
        if self._is_frame:
            names = list(X.columns)
            if all(isinstance(name, str) for name in names):
                self.names = [str(name) for name in names]
            self._check_frame(X)
        elif hasattr(X, "tocsr"):
            raise TypeError(must("X", "be a data frame or a dense array", "a sparse matrix"))
        else:
            if isinstance(X, np.ma.MaskedArray):
                masked, X = np.ma.getmaskarray(X), X.data.astype(object)
                X[masked] = None
            if isinstance(X, np.ndarray) and X.dtype.kind == "T":  # StringDType
                X = X.astype(object)
            is_listed = isinstance(X, (list, tuple))
            X = check_array(np.array(X, object) if is_listed else X, dtype=None,
                            ensure_all_finite=False)  # fmt: skip
        self.X, self.shape = X, X.shape

    def _check_frame(self, X: Any) -> None:
        for i, size in enumerate(("row", "column")):
            if X.shape[i] == 0:
                raise ValueError(must("X", f"have at least one {size}", f"shape {X.shape}"))
        if self.names is not None and len(set(self.names)) < len(self.names):
            name, _ = Counter(self.names).most_common(1)[0]
            raise ValueError(must("X", "have a different name for each column", f"{name!r} twice"))

    def part(self, rows: np.ndarray | None) -> Any:
        """Return the data frame or the ndarray of these rows; None for all."""
        if rows is None:
            return self.X
        return self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]

    def name(self, j: int) -> str:
        """Return the name of a column in messages."""
        return f"column {j if self.names is None else repr(self.names[j])}"

    def column(self, j: int) -> tuple[np.ndarray, bool]:
        """Return the values of a column, and whether its type is that of categories.

        Missing values are NaN, or any kind of missing value in an array of objects.
        """
        if not self._is_frame:
            return self.X[:, j], False
        if not hasattr(self.X, "iloc"):  # polars
            series = self.X.to_series(j)
            return series.to_numpy(), False
        series = self.X.iloc[:, j]
        dtype = series.dtype
        if hasattr(dtype, "categories"):
            known = np.array([*dtype.categories, None], object)
            return known[series.cat.codes.to_numpy()], True
        if isinstance(dtype, np.dtype):
            return series.to_numpy(), False
        if dtype.kind in "iuf":
            return series.to_numpy(dtype=np.float64, na_value=np.nan), False
        if dtype.kind in "mM":
            return np.zeros(len(series), f"{dtype.kind}8[ns]"), False  # refused
        return series.to_numpy(dtype=object), False


def is_missing(value: Any) -> bool:
    """Whether a value of an array of objects stands for a missing one."""
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or isinstance(value, (float, np.floating))
        and value != value
        or isinstance(value, Decimal)
        and value.is_nan()
    )


def _family(values: Iterable[Any]) -> type | None:
    """Return bool, str or float if all values are of such a type; None for others or for none."""
    kinds = {type(value) for value in values}
    for family, types in ((bool, BOOLEANS), (str, (str,)), (float, NUMBERS)):
        if kinds and all(issubclass(kind, types) for kind in kinds):
            return family
        if family is bool and any(issubclass(kind, types) for kind in kinds):
            return None
    return None


def _refused(where: str, got: str) -> ValueError:
    advice = next((advice for name, advice in ADVICE.items() if got.endswith(f" {name}")), "")
    return ValueError(must("X", f"have {ALLOWED} in every column", f"{got} in {where}", advice))


def _type_in_messages(values: Iterable[Any]) -> str:
    names = sorted({type(value).__name__ for value in values})
    return f"values of type {' and '.join(names[:3])}"


# Columns ----------------------------------------------------------------------------------------


class Column(NamedTuple):
    """What is learned of a column.

    A number becomes its squashed value, an indicator of missing values if there were any, and sines
    and cosines of that value; all but the indicator are 0 if it is missing. A category becomes a
    column of each category (1 where the value is this one), or for booleans and two categories one
    column of -1 and 1. Missing and unknown categories are 0.
    """

    kind: str  # number, boolean, category, or empty if all values were missing
    centre: float = 0.0
    scale: float = 0.0
    has_missing: bool = False
    categories: tuple[Any, ...] = ()  # all bool, all str, or all numbers
    n_harmonics: int = 0  # the sines, and the cosines, of a number

    @property
    def is_pair(self) -> bool:
        """Whether two categories are one output of -1 and 1."""
        return self.kind in ("boolean", "category") and len(self.categories) == 2

    @property
    def n_outputs(self) -> int:
        """The number of columns that this column becomes."""
        if self.kind == "number":
            return 1 + self.has_missing + 2 * self.n_harmonics
        return 1 if self.is_pair else len(self.categories)

    def output_names(self, name: str) -> list[str]:
        """Return the names of the columns that a column of this name becomes."""
        if self.kind == "number":
            periods = range(1, self.n_harmonics + 1)
            waves = [f"{name}_{wave}{k}" for wave in ("sin", "cos") for k in periods]
            return [name, *[f"{name}_missing"] * self.has_missing, *waves]
        if self.kind == "boolean":
            return [name]
        return [f"{name}_{each}" for each in self.categories[self.is_pair :]]

    def write(self, where: str, values: np.ndarray, out: np.ndarray, bound: float) -> None:
        """Write the numbers of the values to `out`, (n_samples, n_outputs)."""
        if self.kind == "number":
            z = squash(_numbers(where, values), self.centre, self.scale, bound)
            missing = np.isnan(z)
            z[missing] = 0
            out[:, 0] = z
            if self.has_missing:
                out[:, 1] = missing
            self._write_waves(z * (np.pi / bound), missing, out[:, 1 + self.has_missing :])
        elif self.n_outputs > 0:
            codes = self._codes(where, values)
            if self.is_pair:
                out[:, 0] = np.array([-1, 1, 0])[codes]
            else:
                out[...] = 0
                known = np.flatnonzero(codes >= 0)
                out[known, codes[known]] = 1

    def _write_waves(self, angles: np.ndarray, missing: np.ndarray, out: np.ndarray) -> None:
        for k in range(1, self.n_harmonics + 1):
            sines, cosines = out[:, k - 1], out[:, self.n_harmonics + k - 1]
            np.multiply(HARMONIC / k, np.sin(k * angles), out=sines)
            np.multiply(HARMONIC / k, np.cos(k * angles), out=cosines)
            cosines[missing] = 0

    def _codes(self, where: str, values: np.ndarray) -> np.ndarray:
        """Return the position of the category of each value, -1 for missing and unknown ones."""
        if values.dtype.kind not in "OUbiuf":
            raise _refused(where, f"{values.dtype}")
        codes_of = {category: i for i, category in enumerate(self.categories)}
        listed = values.tolist()
        family = _family(self.categories)
        named = map(_plain, listed) if family is float and values.dtype.kind == "O" else listed
        try:
            codes = np.fromiter((codes_of.get(v, -1) for v in named), np.intp, len(listed))
        except TypeError:  # cannot be hashed
            raise _refused(where, _type_in_messages(listed)) from None
        unknown = [listed[i] for i in np.flatnonzero(codes < 0)]
        unknown = [value for value in unknown if not is_missing(value)]
        if unknown and _family(unknown) != family:
            wanted = {bool: "booleans", str: "text", float: "numbers"}[family or str]
            requirement = f"have {wanted} in {where}, as in the training data"
            raise ValueError(must("X", requirement, shown(unknown[0])))
        return codes


def _numbers(where: str, values: np.ndarray) -> np.ndarray:
    """Return values as floats, NaN where they are missing."""
    if values.dtype.kind in "biuf":
        return values if values.dtype == np.float32 else values.astype(np.float64, copy=False)
    listed = values.tolist() if values.dtype.kind in "OUS" else [values.dtype]
    known = [value for value in listed if not is_missing(value)]
    if known and not all(isinstance(v, (Real, Decimal, np.bool_)) for v in known):
        wrong = next(v for v in known if not isinstance(v, (Real, Decimal, np.bool_)))
        requirement = f"have numbers in {where}, as in the training data"
        raise ValueError(must("X", requirement, shown(wrong)))
    return np.array([np.nan if is_missing(v) else _float(v) for v in listed], np.float64)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def learned_column(
    where: str,
    values: np.ndarray,
    is_category: bool,
    quantiles: Sequence[float],
    min_frequency: int,
    max_categories: int | None,
    n_harmonics: int,
) -> Column:
    """Return what is to be known of a column.

    Parameters
    ----------
    where : str
        The column, in messages.
    values, is_category
        As `Table.column` returns them.
    quantiles : two floats
        As `centre_and_scale` takes them.
    min_frequency : int
        Rarer categories are not kept.
    max_categories : int or None
        How many are kept, the most frequent ones; None for all.
    n_harmonics : int
        Of numbers with three or more values.

    Raises
    ------
    ValueError
        For values of other types.
    """
    kind = values.dtype.kind
    if kind == "b":
        return Column("boolean", categories=(False, True))
    if kind in "iuf":
        return _number(values, quantiles, n_harmonics)
    if kind not in "OU":
        raise _refused(where, f"{values.dtype}")
    try:
        counts = Counter(values.tolist())
    except TypeError:  # cannot be hashed
        raise _refused(where, _type_in_messages(values.tolist())) from None
    counts = Counter({value: n for value, n in counts.items() if not is_missing(value)})
    family = _family(counts)
    if not counts:
        return Column("empty")
    if family is None:
        raise _refused(where, _type_in_messages(counts))
    if family is bool:
        return Column("boolean", categories=(False, True))
    if family is float and not is_category:
        return _number(_numbers(where, values), quantiles, n_harmonics)
    counts = _plain_counts(counts)
    kept = sorted(value for value, n in counts.items() if n >= min_frequency)
    if max_categories is not None and len(kept) > max_categories:
        kept = sorted(sorted(kept, key=lambda value: -counts[value])[:max_categories])
    return Column("category", categories=tuple(kept))


def with_fewer_harmonics(columns: Sequence[Column], most: int) -> list[Column]:
    """Return the columns with at most so many harmonics in all, the same number in each."""
    n_numbers = sum(column.n_harmonics > 0 for column in columns)
    of_each = most // max(n_numbers, 1)
    return [column._replace(n_harmonics=min(column.n_harmonics, of_each)) for column in columns]


def _number(values: np.ndarray, quantiles: Sequence[float], n_harmonics: int) -> Column:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if missing.all():
        return Column("empty")
    centre, scale = centre_and_scale(values, *quantiles)
    finite = values[np.isfinite(values)]
    is_pair = len(finite) == 0 or ((finite == finite.min()) | (finite == finite.max())).all()
    return Column(
        "number", centre, scale, bool(missing.any()), n_harmonics=0 if is_pair else n_harmonics
    )


def _plain(value: Any) -> Any:
    """Return a category as Python's own type, which a file can hold; others than these as is."""
    if isinstance(value, str):
        return str(value)
    value = value.item() if isinstance(value, np.generic) else value
    is_own = isinstance(value, (bool, int, float))
    return _float(value) if isinstance(value, NUMBERS) and not is_own else value


def _plain_counts(counts: Counter[Any]) -> Counter[Any]:
    """Return how often categories occur, of which several may be one as Python's own type."""
    plain: Counter[Any] = Counter()
    for value, n in counts.items():
        plain[_plain(value)] += n
    return plain
