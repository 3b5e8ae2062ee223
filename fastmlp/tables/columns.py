"""The columns of a table: their kinds, their roles, and their values in one form."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.tables.extras import pandas
from fastmlp.tables.numbers import is_number

#: What `pandas.api.types.infer_dtype` says, and the kind of column that it is.
KINDS = {
    "string": "text", "categorical": "text", "mixed-integer": "text",
    "boolean": "boolean",
    "integer": "number", "floating": "number", "mixed-integer-float": "number",
    "decimal": "number", "integer-na": "number",
    "date": "date", "datetime": "date", "datetime64": "date", "time": "date", "period": "date",
    "timedelta": "date", "timedelta64": "date", "interval": "text",
    "empty": "",
}  # fmt: skip
#: The types that pandas reads columns of a kind as, where it would infer them otherwise.
TYPES = {"text": str}
MOST_ARE_NUMBERS = 0.9  # of the different values of a column that is meant to have numbers
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?"
_ZONE = r" ?(Z|UTC|[+-]\d{2}:?\d{2})"
_DAY = "|".join(
    (
        r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}",
        rf"\d{{1,2}}[-/. ](\d{{1,2}}|{_MONTH})[-/., ]+(\d{{4}}|\d{{2}})",
        rf"{_MONTH} \d{{1,2}},? \d{{4}}",
    )
)
DATE = re.compile(rf"({_DAY})([T ]{_CLOCK}({_ZONE})?)?|{_CLOCK}", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of the training data.

    Parameters
    ----------
    name : str
    kind : {"number", "boolean", "text"}
    n_missing : int
        The rows without a value.
    n_different : int or None
        The different values of a column of text; None if they are too many to count.
    left_out : str
        Why it is not an input; "" if it is one.
    """

    name: str
    kind: str
    n_missing: int = 0
    n_different: int | None = None
    left_out: str = ""


# Kinds --------------------------------------------------------------------------------------------


def kind_of(path: str, values: Any) -> str:
    """Return the kind of a part of a column, "" if all of it is missing.

    Parameters
    ----------
    path : str
        The file, in messages.
    values : pandas Series
    """
    if values.isna().all():
        return ""
    categories = getattr(values.dtype, "categories", None)
    known = values if categories is None else categories
    inferred = pandas().api.types.infer_dtype(known, skipna=True)
    kind = KINDS.get(inferred)
    if kind is None:
        what = "bytes" if inferred == "bytes" else f"values of the type {_type_of(known)}"
        advice = leave_out(str(values.name))
        if inferred == "bytes":
            advice = f"decode them, for example with .str.decode('utf-8') of pandas, or {advice}"
        requirement = "hold numbers, booleans, text or categories in every column"
        got = f"{what} in the column {shown(str(values.name))}"
        raise ValueError(must(short(path, 150), requirement, got, advice))
    return kind if categories is None else "text"


def _type_of(values: Any) -> str:
    """Return the type of the first value that is neither text nor a number."""
    known = values.dropna().astype(object).tolist()
    others = (value for value in known if not isinstance(value, (str, bool, int, float)))
    return type(next(others, known[0])).__name__


def first_that_is_no_number(values: Any, decimal: str) -> str | None:
    """Return the first text that is not a number with this decimal mark."""
    known = values.dropna().astype(object)
    others = known[pandas().to_numeric(known, errors="coerce").isna()].map(str).unique()
    return next((text for text in others if not is_number(text, decimal)), None)


def refuse_few_texts(path: str, name: str, texts: list[str], other: str, decimal: str) -> None:
    """Raise ValueError if most different values of a column of text are numbers; `other` is not."""
    if sum(is_number(text, decimal) for text in texts) >= MOST_ARE_NUMBERS * len(texts):
        requirement = f"have numbers in the column {shown(name)}, as most of it has"
        advice = f"leave the field empty if it is missing, or {leave_out(name)}"
        raise ValueError(must(short(path, 150), requirement, shown(other), advice))


def together(one: str, other: str) -> str:
    """Return the kind of a column whose parts have these kinds."""
    return one if one == other or not other else other if not one else "text"


def are_dates(values: Sequence[str]) -> bool:
    """Whether all of these texts are dates or times."""
    return len(values) > 0 and all(DATE.fullmatch(value.strip()) for value in values)


def refuse_dates(path: str, name: str) -> None:
    """Raise ValueError for a column of dates."""
    requirement = "hold numbers, booleans, text or categories in every column"
    got = f"dates or times in the column {shown(name)}"
    advice = f"replace them by numbers such as year and month, or {leave_out(name)}"
    raise ValueError(must(short(path, 150), requirement, got, advice))


def leave_out(name: str) -> str:
    """Return the advice to leave a column out."""
    return f"--drop {_quoted(name)} leaves it out"


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w.-]", name) else name


# Values -------------------------------------------------------------------------------------------


def converted(path: str, frame: Any, kinds: dict[str, str]) -> Any:
    """Return the columns of these kinds, in this order: float64, or objects with None if missing.

    Raises
    ------
    ValueError
        If a column of numbers or booleans holds something else.
    """
    columns = {name: _as_kind(path, frame[name], kind) for name, kind in kinds.items()}
    return pandas().DataFrame(columns, index=frame.index)


def _as_kind(path: str, values: Any, kind: str) -> Any:
    pd = pandas()
    if kind == "text":
        are_texts = pd.api.types.infer_dtype(values, skipna=True) == "string"
        known = values.astype(object)
        if not are_texts:
            known = known.map(str, na_action="ignore").astype(object)
        return known.where(known.notna(), None)
    if kind == "boolean":
        known = values.astype(object).where(values.notna(), None)
        wrong = known.map(lambda value: not (value is None or isinstance(value, bool)))
        return known if not wrong.any() else _refuse(path, values, wrong, "booleans")
    if pd.api.types.is_bool_dtype(values.dtype):
        return _refuse(path, values, values.notna(), "numbers")
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = numbers.isna() & values.notna()
    return numbers if not wrong.any() else _refuse(path, values, wrong, "numbers")


def _refuse(path: str, values: Any, wrong: Any, what: str) -> Any:
    requirement = f"have {what} in the column {shown(str(values.name))}, as in the training data"
    got = first_of(values, wrong)
    raise ValueError(must(short(path, 150), requirement, got))


def weights_of(path: str, values: Any) -> np.ndarray:
    """Return a column of weights as float64; ValueError for missing ones and those below 0."""
    numbers = pandas().to_numeric(values, errors="coerce").astype("float64")
    wrong = ~(numbers >= 0) | np.isinf(numbers)
    if wrong.any():
        requirement = f"have weights of at least 0 in the column {shown(str(values.name))}"
        got = first_of(values, wrong)
        raise ValueError(must(short(path, 150), requirement, got))
    return numbers.to_numpy()


def check_weights(path: str, total: float, rows: str = "") -> None:
    """Raise ValueError if the weights of all rows are 0; `rows` says which these are."""
    if not total > 0:
        requirement = f"have a weight above 0{rows}"
        raise ValueError(must(short(path, 150), requirement, "only weights of 0"))


def first_of(values: Any, wrong: Any) -> str:
    """Return the first of the wrong values of a column, and its row, for messages.

    Rows are counted from 1, without the header.
    """
    row = wrong.idxmax()
    value = values.loc[row]
    if pandas().isna(value):
        return f"none in data row {row + 1}"
    return f"{shown(value.item() if hasattr(value, 'item') else value)} in data row {row + 1}"


# Roles --------------------------------------------------------------------------------------------


def resolved(option: str, given: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the columns that an option names.

    Parameters
    ----------
    option : str
        In messages.
    given : list of str
        Each a name, a position counted from 0 (from -1 at the end), or several with commas.
    names : list of str
        The columns of the file.

    Raises
    ------
    ValueError
        For unknown columns, with those of similar names, and for columns that are given twice.

    Examples
    --------
    >>> from fastmlp.tables.columns import resolved
    >>> resolved("--target", ["b", "-1"], ["a", "b", "c"])
    ['b', 'c']
    """
    parts = [part for text in given for part in ([text] if text in names else text.split(","))]
    found = [_resolved(option, part, names) for part in parts]
    for name in found:
        if found.count(name) > 1:
            raise ValueError(must(option, "name different columns", f"{shown(name)} twice"))
    return found


def _resolved(option: str, text: str, names: Sequence[str]) -> str:
    text = text if text in names else text.strip()
    if text in names:
        return text
    if re.fullmatch(r"-?\d{1,9}", text) and -len(names) <= int(text) < len(names):
        return names[int(text)]
    raise ValueError(must(option, "name a column", shown(text), similar(text, names)))


def similar(name: str, names: Sequence[str]) -> str:
    """Return the advice for an unknown name: similar ones, or some of all."""
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), [*lower], n=3, cutoff=0.6)
    if close:
        return f"similar ones are {listed([lower[each] for each in close])}"
    return f"there are {listed(names)}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return some names, and the number of others.

    Examples
    --------
    >>> from fastmlp.tables.columns import listed
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    text = ", ".join(short(str(name), 40) for name in names[:most])
    others = len(names) - most
    return f"{text} and {others:,} more" if others > 0 else text
