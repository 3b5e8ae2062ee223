"""The target of a table: its task, and its values as an estimator takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.tables import columns
from fastmlp.tables.extras import pandas

TASKS = ("classification", "multilabel", "regression")
MOST_NUMBERS = 20  # different whole numbers that are seen as classes
ROWS_FOR_A_CLASS = 5  # on average, for whole numbers to be seen as classes
MOST_CLASSES = 10_000
SEEN_TEXTS = 100  # values of a target of text that are looked at
LEAST_TEXTS = 20  # that are refused as classes if they differ in more than half of the rows


@dataclass(frozen=True)
class Target:
    """What a network is to predict.

    Attributes
    ----------
    task : {"classification", "multilabel", "regression"}
    reason : str
        What was seen in the target.
    names : list of str
    values : array
        For classification the position of each row's class, int32; otherwise a column for each
        name, (n_rows, n_names): 0 and 1, or float64.
    classes : list of str, int, float or bool
        Sorted; empty unless the task is classification.
    """

    task: str
    reason: str
    names: list[str]
    values: np.ndarray
    classes: list[Any]

    @property
    def strata(self) -> np.ndarray:
        """What a split of the rows is stratified by: int (n_rows,)."""
        if self.task == "classification":
            return self.values
        if self.task == "multilabel":
            _, strata = np.unique(self.values, axis=0, return_inverse=True)
            return strata.reshape(-1)
        return np.zeros(len(self.values), np.int8)


def target_of(path: str, found: dict[str, Any], task: str | None = None) -> Target:
    """Return the target of a table.

    Parameters
    ----------
    path : str
        In messages.
    found : dict of pandas Series
        The values of each column of the target, none missing.
    task : one of `TASKS` or None
        None sees it from the values.

    Raises
    ------
    ValueError
        If the target has one value only, holds dates, or does not suit the task.
    """
    for name, values in found.items():
        _check_varied(path, name, values)
    seen, reason = _seen_task(found)
    if task is None:
        _check_repeated(path, found)
        task = seen
    elif task != seen:
        reason = "as --task says"
    names = [*found]
    if task == "classification":
        if len(names) > 1:
            got = f"{len(names)} targets, of which some are not 0 and 1"
            raise ValueError(must("--target", "name one column for classification", got))
        codes, classes = _classes(path, names[0], found[names[0]])
        return Target(task, reason, names, codes, classes)
    numbers = [_numbers(path, name, values, task) for name, values in found.items()]
    return Target(task, reason, names, np.column_stack(numbers), [])


def _check_varied(path: str, name: str, values: Any) -> None:
    if _is_text(values):
        if columns.are_dates([str(value) for value in values.unique()[:SEEN_TEXTS]]):
            columns.refuse_dates(path, name)
    if columns.kind_of(path, values) == "date":
        columns.refuse_dates(path, name)
    if values.nunique() < 2:
        requirement = f"have different values of the target {shown(name)}"
        got = f"{shown(str(values.iloc[0]))} in all {len(values):,} rows"
        raise ValueError(must(short(path, 150), requirement, got))


def _check_repeated(path: str, found: dict[str, Any]) -> None:
    """Refuse a text that differs in most rows, such as a name, unless it was said to be a class."""
    for name, values in found.items():
        n_different, n_rows = values.nunique(), len(values)
        if _is_text(values) and n_different > max(LEAST_TEXTS, n_rows / 2):
            requirement = f"have the same text in several rows of the target {shown(name)}"
            first = shown(str(values.iloc[0]))
            got = f"{n_different:,} different texts in {n_rows:,} rows, such as {first}"
            advice = "remove units for regression, or pass --task classification"
            raise ValueError(must(short(path, 150), requirement, got, advice))


def _seen_task(found: dict[str, Any]) -> tuple[str, str]:
    """Return the task that values suggest, and why."""
    if len(found) > 1:
        if all(_is_binary(values) for values in found.values()):
            return "multilabel", f"{len(found)} columns of 0 and 1"
        if any(_is_text(values) for values in found.values()):
            return "classification", f"{len(found)} columns"
        return "regression", f"{len(found)} columns of numbers"
    ((_, values),) = found.items()
    n_different = values.nunique()
    if _is_text(values):
        texts = [str(value) for value in values.unique()[:SEEN_TEXTS]]
        are_codes = all(map(str.isdecimal, texts)) and any(text[0] == "0" for text in texts)
        what = "numbers with leading zeros, which are text," if are_codes else "text"
        return "classification", f"{what} with {n_different:,} different values"
    if values.dtype.kind == "b":
        return "classification", "true or false"
    are_whole = bool((values % 1 == 0).all())
    few = n_different <= MOST_NUMBERS and n_different * ROWS_FOR_A_CLASS <= len(values)
    if are_whole and (few or _is_binary(values)):
        return "classification", f"{n_different} different whole numbers"
    return "regression", f"{n_different:,} different numbers"


def _is_text(values: Any) -> bool:
    return values.dtype.kind not in "biuf"


def _is_binary(values: Any) -> bool:
    return not _is_text(values) and bool(values.isin([0, 1]).all())


def _classes(path: str, name: str, values: Any) -> tuple[np.ndarray, list[Any]]:
    """Return the position of the class of each value, and the sorted classes."""
    if values.dtype.kind == "f" and bool((values % 1 == 0).all()) and abs(values).max() < 2**53:
        values = values.astype("int64")
    if values.dtype.kind == "f":
        requirement = f"have text or whole numbers in the target {shown(name)} for classification"
        wrong = values[values % 1 != 0] if (values % 1 != 0).any() else values
        raise ValueError(must(short(path, 150), requirement, f"{wrong.iloc[0]:g}"))
    codes, classes = pandas().factorize(values, sort=True)
    if len(classes) > MOST_CLASSES:
        requirement = f"have at most {MOST_CLASSES:,} classes in the target {shown(name)}"
        raise ValueError(must(short(path, 150), requirement, f"{len(classes):,}"))
    listed = [value if isinstance(value, str) else np.asarray(value).item() for value in classes]
    return codes.astype(np.int32), listed


def _numbers(path: str, name: str, values: Any, task: str) -> np.ndarray:
    """Return a column of a target that consists of numbers, also if they were read as text."""
    if _is_text(values):
        values = values.astype(object)
        parsed = pandas().to_numeric(values, errors="coerce")
        if parsed.isna().any():
            requirement = f"have numbers in the target {shown(name)} for {task}"
            got = shown(str(values[parsed.isna()].iloc[0]))
            raise ValueError(must(short(path, 150), requirement, got))
        values = parsed
    numbers = values.to_numpy(np.float64)
    wrong = ~np.isin(numbers, [0, 1]) if task == "multilabel" else ~np.isfinite(numbers)
    if wrong.any():
        what = "0 or 1" if task == "multilabel" else "finite numbers"
        row = int(wrong.argmax())
        requirement = f"have {what} in the target {shown(name)} for {task}"
        got = f"{numbers[row]:g} in data row {row + 1}"
        raise ValueError(must(short(path, 150), requirement, got))
    return numbers
