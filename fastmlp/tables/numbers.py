"""Numbers as they are written in files: with points or commas, in groups, with leading zeros."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastmlp.tables.extras import pandas

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
PADDED = r"\s*0\d+\s*"  # a whole number with leading zeros, which is text: codes, not quantities
#: What separates thousands, by the decimal mark; besides those that never are decimal marks.
SEPARATORS = {".": ",", ",": "."}
OTHER_SEPARATORS = "'\u2019\u00a0\u202f"  # apostrophes, spaces that do not break


def _grouped(decimal: str) -> re.Pattern[str]:
    each = "|".join(map(re.escape, SEPARATORS[decimal] + OTHER_SEPARATORS))
    return re.compile(
        rf"[+-]?[1-9]\d{{0,2}}(?P<mark>{each})\d{{3}}((?P=mark)\d{{3}})*({re.escape(decimal)}\d+)?"
    )


#: Numbers with separators of thousands, by the decimal mark.
GROUPED = {decimal: _grouped(decimal) for decimal in SEPARATORS}


#: Numbers without them.
PLAIN = {".": NUMBER, ",": re.compile(rf"[+-]?\d+|{DECIMAL_COMMA.pattern}")}


def is_number(text: str, decimal: str) -> bool:
    """Whether a text is a number with this decimal mark, also with separators of thousands.

    Examples
    --------
    >>> from fastmlp.tables.numbers import is_number
    >>> [is_number(text, ".") for text in ("1.5", "1,234,567.8", "1,5", "$3")]
    [True, True, False, False]
    """
    text = text.strip()
    return any(patterns[decimal].fullmatch(text) for patterns in (PLAIN, GROUPED))


def are_grouped(texts: Iterable[str], decimal: str) -> bool:
    """Whether all texts are numbers and any has separators of thousands."""
    any_grouped = False
    for text in texts:
        if not is_number(text, decimal):
            return False
        any_grouped = any_grouped or bool(GROUPED[decimal].fullmatch(text.strip()))
    return any_grouped


def without_groups(values: Any, decimal: str) -> Any:
    """Return a column of texts for which `are_grouped` is true as numbers."""
    marks = f"[{re.escape(SEPARATORS[decimal] + OTHER_SEPARATORS)}]"
    plain = values.astype(object).str.replace(marks, "", regex=True)
    plain = plain.str.replace(decimal, ".", regex=False)
    return pandas().to_numeric(plain).astype(np.float64)


#: Text in front of a number and after it, in which units are.
UNIT = re.compile(r"[+-]?([$\u00a3\u00a5\u20ac\u20b9]? ?)([+-]?[\d.,]+)( ?(?:%|[^\W\d_]+)?)")


def unit_of(texts: Sequence[str], decimal: str) -> str:
    """Return the first of several texts if all are numbers with the same unit, otherwise "".

    Examples
    --------
    >>> from fastmlp.tables.numbers import unit_of
    >>> unit_of(["7.5 kg", "12 kg", "9 kg"], "."), unit_of(["A1", "A2", "A3"], ".")
    ('7.5 kg', '')
    """
    found = [UNIT.fullmatch(text.strip()) for text in texts]
    parts = [match.groups() for match in found if match and is_number(match[2], decimal)]
    units = {(before, after) for before, _, after in parts}
    is_unit = len(parts) == len(texts) and len(units) == 1 and any(map(str.strip, units.pop()))
    return texts[0] if is_unit and len(parts) > 2 else ""


#: Bytes that end the field before, by which those of padded numbers are found quickly.
_STARTS = b'\n\r\t "'


def may_have_padded(text: str, separator: str) -> bool:
    r"""Whether a field of some text may start with 0 and another digit.

    It is true for each text that has such a field, and for some that have none. The first two
    characters may be the end of what was before.

    Examples
    --------
    >>> from fastmlp.tables.numbers import may_have_padded
    >>> may_have_padded("\n01,2", ","), may_have_padded("\n0.01,20,100", ",")
    (True, False)
    """
    content = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    ends = np.zeros(256, bool)
    ends[[*_STARTS, *separator.encode()]] = True
    zeros = np.flatnonzero(content[1:-1] == ord("0"))
    starts = zeros[ends[content[zeros]]]
    return bool(((content[starts + 2] >= ord("0")) & (content[starts + 2] <= ord("9"))).any())
