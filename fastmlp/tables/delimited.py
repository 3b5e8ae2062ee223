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
from typing import Any

from fastmlp.messages import must, short, shown
from fastmlp.tables import numbers
from fastmlp.tables.extras import pandas
from fastmlp.tables.numbers import DECIMAL_COMMA, GROUPED, NUMBER, PADDED

SEPARATORS = ",\t;|"
SEEN_ROWS = 100  # that decide how a file is written
SEEN_CHARACTERS = 2**22
PIECE_BYTES = 2**23  # of text that are read at a time
MOST_CHARACTERS = 2**31 - 1  # of a field
MISSING = ["?"]  # besides those of pandas: "", "NA", "NaN", "null", "None" and others
GZIP = b"\x1f\x8b"


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
        self.names, self.decimal = list(self.dialect.names), self.dialect.decimal
        self.grouped: set[str] = set()
        self._widths_known = self._may_have_padded = False

    def pieces(self, types: Mapping[str, Any], n_rows: int | None = None) -> Iterator[Any]:
        """Return the rows as data frames, of about 8 MB of text or of `n_rows`.

        `types` has the pandas types of some columns; those of others are inferred for each piece,
        where numbers may have separators of thousands.
        """
        size = n_rows or max(1, int(PIECE_BYTES / self.dialect.row_length))
        for piece in self._read(types, size):
            yield self._without_groups(piece, types)

    def with_leading_zeros(self, names: list[str]) -> list[str]:
        """Return those of some columns of whole numbers that have any as 007 or 01.

        All rows must have been read before.
        """
        found: list[str] = []
        if not self._may_have_padded or not names:
            return found
        size = max(1, int(PIECE_BYTES / self.dialect.row_length))
        for piece in self._read(dict.fromkeys(names, str), size, usecols=names):
            others = [name for name in names if name not in found]
            found += [n for n in others if piece[n].str.fullmatch(PADDED, na=False).any()]
            if len(found) == len(names):
                break
        return found

    def _read(self, types: Mapping[str, Any], size: int, **others: Any) -> Iterator[Any]:
        """Yield the rows as pandas reads them."""
        pd, dialect = pandas(), self.dialect
        with self._described(), self._opened(dialect.separator) as text:
            reader = pd.read_csv(
                text, sep=dialect.separator, decimal=dialect.decimal, names=dialect.names,
                header=0 if dialect.has_header else None, index_col=False, dtype=dict(types),
                na_values=MISSING, skipinitialspace=True, chunksize=size, low_memory=False,
                **others,
            )  # fmt: skip
            with reader:
                yield from self._checked(reader)
            self._may_have_padded |= text.may_have_padded

    def _without_groups(self, piece: Any, types: Mapping[str, Any]) -> Any:
        """Return rows with numbers in place of texts such as 1,234."""
        for name in piece.columns:
            values = piece[name]
            if name in types or values.dtype.kind in "biuf":
                continue
            known, decimal = values.dropna(), self.decimal
            first = known.iloc[0] if len(known) > 0 else None
            # Most texts differ from numbers in their first value already.
            if not isinstance(first, str) or not numbers.is_number(first, decimal):
                continue
            if numbers.are_grouped(known.map(str).unique(), decimal):
                piece[name] = numbers.without_groups(values, decimal)
                self.grouped.add(name)
        return piece

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
            with complete_gzip(self._shown):
                yield
        except UnicodeDecodeError as error:
            with complete_gzip(self._shown):
                raise self._wrong_encoding(error) from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
            if self._text is not None and self._text.failure is not None:
                raise self._text.failure from None  # Ctrl-C, say
            with contextlib.suppress(csv.Error):
                self._check_widths()
            text = re.sub(r"^Error tokenizing data\. C error: ", "", str(error))
            raise ValueError(must(self._shown, "be valid CSV", short(text, 150))) from None

    def _wrong_encoding(self, error: UnicodeDecodeError) -> ValueError:
        with bytes_of(self.path) as file:
            for line, content in enumerate(file, start=1):
                try:
                    content.decode("utf-8")
                except UnicodeDecodeError as found:
                    byte = content[found.start]
                    got = f"the byte {byte:#04x} in line {line}"
                    other = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin1"
                    command = f"iconv -f {other} -t utf-8 {self._shown} > utf8.csv"
                    advice = f"save it as UTF-8, for example with {command}"
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
    def _opened(self, separator: str | None = None) -> Iterator[_Text]:
        with bytes_of(self.path) as file:
            # "utf-8-sig" skips the byte order mark that spreadsheets write.
            self._text = _Text(file, encoding="utf-8-sig", newline="")
            self._text.path = self._shown
            self._text.separator = separator
            yield self._text

    def _found_dialect(self, has_header: bool | None) -> Dialect:
        with self._opened() as text:
            start = text.read(SEEN_CHARACTERS)
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
                raise ValueError(must(self._shown, requirement, got, "rename one of them"))
        if has_header and not others:
            raise ValueError(must(self._shown, "have rows", "only a header"))
        decimal = _decimal_of([field.strip() for row in others for field in row], separator)
        lengths = [sum(map(len, row)) + len(row) for row in others or [first]]
        return Dialect(separator, decimal, has_header, tuple(names), statistics.fmean(lengths))


class _Text(io.TextIOWrapper):
    """Text that notices what pandas does not say.

    Attributes
    ----------
    failure : exception or None
        Of reading, in place of which pandas may report one of parsing.
    separator : str or None
        Of the fields, in which numbers with leading zeros are looked for.
    may_have_padded : bool
        Whether there may be some.
    """

    path = ""  # in messages
    failure: BaseException | None = None
    separator: str | None = None
    may_have_padded = False
    _end = "\n"  # of what was read

    def read(self, size: int | None = -1) -> str:
        try:
            text = super().read(size)
            if "\0" in text:  # which would end a field for some readers
                raise ValueError(must(self.path, "be text", "a file with zero bytes"))
        except BaseException as failure:
            self.failure = failure
            raise
        if self.separator is not None and not self.may_have_padded:
            seen = self._end + text
            self.may_have_padded = numbers.may_have_padded(seen, self.separator)
            self._end = seen[-2:]
        return text


@contextlib.contextmanager
def complete_gzip(path: str) -> Iterator[None]:
    """Turn the errors of reading a damaged gzip file into one sentence."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        got = f"a damaged one ({short(str(error))})"
        raise ValueError(must(path, "be a complete gzip file", got)) from None


@contextlib.contextmanager
def bytes_of(path: str) -> Iterator[Any]:
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


def _decimal_of(fields: list[str], separator: str) -> str:
    """Return the decimal mark: a comma if some numbers have one and none has a point.

    A comma or point in front of each three digits may be a separator of thousands: it says nothing,
    but that fields with both, such as 1,234.5, are numbers with a point. Where commas separate
    fields, only other commas are decimal marks.
    """
    commas = [field for field in fields if DECIMAL_COMMA.fullmatch(field)]
    points = [field for field in fields if "." in field and NUMBER.fullmatch(field)]
    if any(GROUPED["."].fullmatch(field) and "." in field for field in fields):
        return "."
    if any(GROUPED[","].fullmatch(field) and "," in field for field in fields):
        return ","
    if separator == ",":
        commas = [field for field in commas if not GROUPED["."].fullmatch(field)]
    elif any(not GROUPED["."].fullmatch(field) for field in commas):
        points = [field for field in points if not GROUPED[","].fullmatch(field)]
    return "," if commas and not points else "."


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
