"""CSV and its relatives: how a file is written, its rows in pieces, and where it is wrong."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import re
import statistics
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from fastmlp.messages import must, short, shown
from fastmlp.tables.extras import pandas

SEPARATORS = ",\t;|"
SEEN_ROWS = 100  # that decide how a file is written
SEEN_CHARACTERS = 2**22
PIECE_BYTES = 2**23  # of text that are read at a time
MOST_CHARACTERS = 2**31 - 1  # of a field
MISSING = ["?"]  # besides those of pandas: "", "NA", "NaN", "null", "None" and others
GZIP = b"\x1f\x8b"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Parameters
    ----------
    separator, decimal : str
    has_header : bool
    names : tuple of str
        The columns: those of the header, or positions counted from 0.
    row_length : float
        The typical number of characters of a row.
    """

    separator: str
    decimal: str
    has_header: bool
    names: tuple[str, ...]
    row_length: float


class DelimitedFile:
    """A CSV or TSV file, plain or gzipped, in UTF-8.

    Parameters
    ----------
    path : str
    has_header : bool or None
        None finds out.

    Raises
    ------
    ValueError
        If the file is empty, is not text, or has no columns or two of the same name.
    """

    kind = "delimited text"

    def __init__(self, path: str, has_header: bool | None = None):
        self.path, self._shown = path, short(path, 150)
        self._text: _Text | None = None
        with self._described():
            self.dialect = self._found_dialect(has_header)
        self.names = list(self.dialect.names)
        self._widths_known = False

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames, of about 8 MB of text or of `n_rows`.

        `types` has the pandas types of some columns; those of others are inferred for each piece.
        """
        pd, dialect = pandas(), self.dialect
        size = n_rows or max(1, int(PIECE_BYTES / dialect.row_length))
        with self._described(), self._opened() as text:
            reader = pd.read_csv(
                text, sep=dialect.separator, decimal=dialect.decimal, names=dialect.names,
                header=0 if dialect.has_header else None, index_col=False, dtype=dict(types),
                na_values=MISSING, skipinitialspace=True, chunksize=size, low_memory=False,
            )  # fmt: skip
            with reader:
                yield from self._checked(reader)

    def _checked(self, reader: Iterator[Any]) -> Iterator[Any]:
        """Return the pieces of a reader; ValueError for rows that are too short or too long.

        pandas fills short rows with missing values, so that they are searched for only if the last
        column has some.
        """
        while True:
            with warnings.catch_warnings():
                # Of rows that are too long.
                warnings.simplefilter("error", pandas().errors.ParserWarning)
                piece = next(reader, None)
            if piece is None:
                return
            if not self._widths_known and piece.iloc[:, -1].isna().any():
                self._check_widths()
            yield piece

    # What is wrong --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _described(self) -> Iterator[None]:
        """Turn the errors of libraries into one sentence each."""
        pd = pandas()
        try:
            yield
        except UnicodeDecodeError as error:
            raise self._wrong_encoding(error) from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            got = f"a damaged one ({short(str(error))})"
            raise ValueError(must(self._shown, "be a complete gzip file", got)) from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
            if self._text is not None and self._text.failure is not None:
                raise self._text.failure from None  # Ctrl-C, say
            with contextlib.suppress(csv.Error):
                self._check_widths()
            text = re.sub(r"^Error tokenizing data\. C error: ", "", str(error))
            raise ValueError(must(self._shown, "be valid CSV", short(text, 150))) from None

    def _wrong_encoding(self, error: UnicodeDecodeError) -> ValueError:
        with _bytes_of(self.path) as file:
            for line, content in enumerate(file, start=1):
                try:
                    content.decode("utf-8")
                except UnicodeDecodeError as found:
                    byte = content[found.start]
                    got = f"the byte {byte:#04x} in line {line}"
                    other = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin1"
                    advice = f"convert it, for example with iconv -f {other} -t utf-8"
                    return ValueError(must(self._shown, "be text in UTF-8", got, advice))
        return ValueError(must(self._shown, "be text in UTF-8", short(str(error))))

    def _check_widths(self) -> None:
        """Raise ValueError for the first row that has more or fewer fields than the columns."""
        n_columns = len(self.names)
        with self._opened() as text:
            rows = _rows(text, self.dialect.separator)
            for row in rows:
                if row and len(row) != n_columns:
                    requirement = f"have {n_columns} fields in every row, as in its first line"
                    got = f"{len(row)} in line {rows.line_num}"
                    raise ValueError(must(self._shown, requirement, got))
        self._widths_known = True

    # How it is written ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(self) -> Iterator[TextIO]:
        with _bytes_of(self.path) as file:
            # "utf-8-sig" skips the byte order mark that spreadsheets write.
            self._text = _Text(file, encoding="utf-8-sig", newline="")
            yield self._text

    def _found_dialect(self, has_header: bool | None) -> Dialect:
        with self._opened() as text:
            start = text.read(SEEN_CHARACTERS)
        if "\0" in start:
            raise ValueError(must(self._shown, "be text", "a file with zero bytes"))
        if not start.strip():
            raise ValueError(must(self._shown, "have rows", "an empty file"))
        rows = {separator: _first_rows(start, separator) for separator in SEPARATORS}
        separator = max(SEPARATORS, key=lambda s: _agreement(rows[s]))  # the first of equal ones
        first, *others = rows[separator]
        if has_header is None:
            has_header = _is_header(first, others)
        names = first if has_header else [str(k) for k in range(len(first))]
        names = [name.strip() or f"Unnamed: {k}" for k, name in enumerate(names)]
        for k, name in enumerate(names):
            if name in names[:k]:
                requirement = "have a different name for each column"
                got = f"{shown(name)} for columns {names.index(name) + 1} and {k + 1}"
                raise ValueError(must(self._shown, requirement, got))
        if has_header and not others:
            raise ValueError(must(self._shown, "have rows", "only a header"))
        fields = [field for row in others for field in row]
        has_commas = separator != "," and any(map(DECIMAL_COMMA.fullmatch, fields))
        has_points = any("." in field and NUMBER.fullmatch(field) for field in fields)
        lengths = [sum(map(len, row)) + len(row) for row in others or [first]]
        decimal = "," if has_commas and not has_points else "."
        return Dialect(separator, decimal, has_header, tuple(names), statistics.fmean(lengths))


class _Text(io.TextIOWrapper):
    """Text that keeps an error of reading, in place of which pandas may report one of parsing."""

    failure: BaseException | None = None

    def read(self, size: int | None = -1) -> str:
        try:
            return super().read(size)
        except BaseException as failure:
            self.failure = failure
            raise


@contextlib.contextmanager
def _bytes_of(path: str) -> Iterator[Any]:
    """Open a file, decompressed if it is gzipped, whatever its name."""
    with open(path, "rb") as file:
        is_gzipped = file.read(2) == GZIP
        file.seek(0)
        if is_gzipped:
            with gzip.open(file) as content:
                yield content
        else:
            yield file


def _rows(text: Any, separator: str) -> Any:
    csv.field_size_limit(MOST_CHARACTERS)
    return csv.reader(text, delimiter=separator, skipinitialspace=True)


def _first_rows(start: str, separator: str) -> list[list[str]]:
    """Return the first rows that are not empty, without one that may be cut off."""
    rows = (row for row in _rows(io.StringIO(start, newline=""), separator) if row)
    found = list(itertools.islice(rows, SEEN_ROWS + 1))
    if len(start) == SEEN_CHARACTERS and 1 < len(found) <= SEEN_ROWS:
        found.pop()
    return found or [[start]]


def _agreement(rows: list[list[str]]) -> tuple[float, int]:
    """Return how many rows have the same number of fields, if it is not 1, and that number."""
    widths = [len(row) for row in rows]
    width = statistics.mode(widths)
    return (widths.count(width) / len(widths) if width > 1 else 0.0, width)


def _is_header(first: list[str], others: list[list[str]]) -> bool:
    """Whether the first row has names.

    It has if a column of numbers starts with something else, or if it is 0, 1, 2, ... or 1, 2, 3,
    ... Otherwise it has not if it has a number, an empty field or a field twice.
    """
    rows = [row for row in others if len(row) == len(first)]
    for k, name in enumerate(first):
        values = [row[k] for row in rows if row[k]]
        numbers = sum(_is_number(value) for value in values)
        if values and numbers > 0.9 * len(values) and name and not _is_number(name):
            return True
    if first in ([str(k) for k in range(start, start + len(first))] for start in (0, 1)):
        return len(first) > 1
    return all(first) and len({*first}) == len(first) and not any(map(_is_number, first))


def _is_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text.strip()) or DECIMAL_COMMA.fullmatch(text.strip()))
