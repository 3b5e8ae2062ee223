"""What the commands print: numbers, tables and lines of blocks."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from fastmlp.messages import short

BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
MOST_BLOCKS = 60


def print_json(value: Any) -> None:
    """Print one JSON object."""
    print(json_text(value))


def json_text(value: Any) -> str:
    """Return a value as JSON; NaN and infinity, which JSON does not have, as null.

    Examples
    --------
    >>> from fastmlp.command_line.reports import json_text
    >>> json_text({"rows": [1, 2.5, float("nan")]})
    '{"rows": [1, 2.5, null]}'
    """
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float) -> str:
    """Return a number with four significant digits, without an exponent where possible.

    Examples
    --------
    >>> from fastmlp.command_line.reports import number
    >>> number(0.98765), number(1234567.8), number(0.000012345)
    ('0.9877', '1,234,568', '1.234e-05')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if 1e-4 <= abs(value) < 1e15:
        decimals = max(0, 3 - math.floor(math.log10(abs(value)))) if abs(value) >= 1 else 4
        return f"{value:,.{decimals}f}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a time in words.

    Examples
    --------
    >>> from fastmlp.command_line.reports import duration
    >>> duration(2.345), duration(125)
    ('2.3 s', '2 min 5 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number of things.

    Examples
    --------
    >>> from fastmlp.command_line.reports import counted
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def table(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Return rows of text as aligned lines, the first column on the left, the others on the right.

    Examples
    --------
    >>> from fastmlp.command_line.reports import table
    >>> print(table([["", "rows"], ["cat", "12"]], ""))
         rows
    cat    12
    """
    shown = [[short(cell, 30) if cell.strip() else "" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = []
    for first, *others in shown:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def width() -> float:
    """Return the columns of the terminal; infinity where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf


def blocks(values: Sequence[float], stream: Any = None) -> str:
    """Return a line of blocks, whose heights show the values.

    More than 60 are averaged in groups. Values that are not finite are spaces.

    Examples
    --------
    >>> import io
    >>> from fastmlp.command_line.reports import blocks
    >>> blocks([0.0, 1.0, 3.0, 7.0], io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    '▁▂▄█'
    """
    encoding = getattr(sys.stdout if stream is None else stream, "encoding", None) or "utf-8"
    try:
        BLOCKS.encode(encoding)
        heights = BLOCKS
    except (UnicodeEncodeError, LookupError):
        heights = ASCII_BLOCKS
    n = min(len(values), MOST_BLOCKS)
    bounds = [k * len(values) // max(n, 1) for k in range(n + 1)]
    groups = [values[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
    means = [sum(group) / len(group) for group in groups]
    finite = [mean for mean in means if math.isfinite(mean)]
    if not finite:
        return " " * n
    least, most = min(finite), max(finite)
    scale = (len(heights) - 1) / (most - least) if most > least else 0.0
    return "".join(
        heights[round((mean - least) * scale)] if math.isfinite(mean) else " " for mean in means
    )


def sizes_in_words(sizes: list[int]) -> str:
    """Return a sentence about a network with these layers.

    Examples
    --------
    >>> from fastmlp.command_line.reports import sizes_in_words
    >>> sizes_in_words([4, 8, 3])
    '4 inputs, a hidden layer of 8, 3 outputs; 67 parameters'
    >>> sizes_in_words([4, 8, 8, 8, 1])
    '4 inputs, hidden layers of 8, 8 and 8, 1 output; 193 parameters'
    """
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))
    *others, last = map(str, sizes[1:-1] or [0])
    hidden = f"{', '.join(others)} and {last}" if others else last
    layers = {0: "no hidden layer", 1: f"a hidden layer of {hidden}"}
    middle = layers.get(len(sizes) - 2, f"hidden layers of {hidden}")
    n_in, n_out = counted(sizes[0], "input"), counted(sizes[-1], "output")
    return f"{n_in}, {middle}, {n_out}; {counted(n_parameters, 'parameter')}"
