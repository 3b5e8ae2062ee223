"""CSV and its relatives: how they are written is found, and what is wrong is said."""

import gzip

import pandas as pd
import pytest

from fastmlp.tables import delimited
from fastmlp.tables.formats import open_table


@pytest.fixture
def written(tmp_path):
    """Return a function that opens a file with this content."""

    def write(content, has_header=None, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_table(str(path), has_header)

    return write


def frame_of(table, types=None, n_rows=None):
    return pd.concat(table.pieces(types or {}, n_rows))


ROWS = [["1.5", "x y"], ["2.5", "z, w"], ["3", "last"]]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("compressed", [False, True])
def test_separators_ends_of_lines_marks_and_gzip(written, separator, end, start, compressed):
    lines = [separator.join(f'"{field}"' for field in row) for row in [["size", "name"], *ROWS]]
    content = (start + end.join(lines) + end).encode()
    table = written(gzip.compress(content) if compressed else content)
    assert table.names == ["size", "name"]
    frame = frame_of(table)
    assert frame["size"].tolist() == [1.5, 2.5, 3]
    assert frame["name"].tolist() == [row[1] for row in ROWS]


def test_quoted_newlines_and_separators(written):
    table = written('a,b,c\n1,"two\nlines, and ""more""",3\n4,"x\r\ny",6\n')
    assert frame_of(table)["b"].tolist() == ['two\nlines, and "more"', "x\r\ny"]


def test_a_comma_for_decimals(written):
    frame = frame_of(written("a;b;c\n1,5;x, y;3\n-,5;z;4\n"))
    assert frame["a"].tolist() == [1.5, -0.5] and frame["b"].tolist() == ["x, y", "z"]


DECIMALS = {
    "a point": ("a,b\n1.5,x\n", "."),
    "a comma": ("a;b\n1,5;x\n", ","),
    "three decimals": ("a;b\n1,234;x\n", ","),
    "three digits after each comma that is quoted": ('a,b\n"1,234",x\n', "."),
    "a quoted comma": ('a,b\n"1,5",x\n"1,234",y\n', ","),
    "commas and a point": ("a;b\n1,000.5;x\n2,000;y\n", "."),
    "points and a comma": ("a;b\n1.000,5;x\n2.000;y\n", ","),
    "points as separators": ("a;b\n1.000;0,5\n2.000;1,5\n", ","),
    "numbers of both": ("a;b\n1.5;0,5\n", "."),
    "none": ("a;b\n1;x\n", "."),
}


@pytest.mark.parametrize("name", DECIMALS)
def test_decimal_marks(written, name):
    content, decimal = DECIMALS[name]
    assert written(content).dialect.decimal == decimal


GROUPED = {
    "commas": ('a,b\n"1,234",x\n"-1,234,567.5",y\n12,z\n', [1234, -1234567.5, 12]),
    "points": ("a;b\n1.234;0,5\n1.234.567,5;1,5\n-12,25;2\n", [1234, 1234567.5, -12.25]),
    "apostrophes": ("a,b\n1'234,x\n1'234'567.5,y\n1e3,z\n", [1234, 1234567.5, 1000]),
    "spaces": ("a;b\n1\u202f234;x\n1\u00a0234\u00a0567;y\n12;z\n", [1234, 1234567, 12]),
    "a quoted decimal comma": ('a,b\n"1,5",x\n"1,234",y\n2,z\n', [1.5, 1.234, 2]),
    "missing": ('a,b\n,x\n"1,234",y\n?,z\n', [None, 1234, None]),
}


@pytest.mark.parametrize("size", [None, 1, 2])
@pytest.mark.parametrize("name", GROUPED)
def test_numbers_with_separators_of_thousands(written, name, size):
    content, values = GROUPED[name]
    table = written(content)
    found = frame_of(table, None, size)["a"]
    assert found.astype("float64").fillna(-1).tolist() == [-1 if v is None else v for v in values]
    assert table.grouped == (set() if name == "a quoted decimal comma" else {"a"})
    texts = frame_of(table, {"a": str}, size)["a"].dropna()
    assert all(isinstance(text, str) for text in texts)


@pytest.mark.parametrize(
    "text", ["1,23", "1,2345", "01,234", "1234,567", "1,234,56", "A1", "1 234"]
)
def test_what_is_no_number_with_separators(written, text):
    found = frame_of(written(f'a,b\n"{text}",x\n"1,234",y\n7,z\n'))["a"]
    if written(f'a,b\n"{text}",x\n').dialect.decimal == ".":
        assert found.tolist() == [text, "1,234", "7"]


PADDED = {
    "codes": ("a,b\n01,1\n2,2\n", ["a"]),
    "missing": ("a,b\n,1\n007,2\n", ["a"]),
    "the first field": ("00,b\n1,2\n", []),  # a header
    "no header": ("01,5\n2,6\n", ["0"]),
    "quoted": ('a,b\n"1","02"\n', ["b"]),
    "after a space": ("a, b\n1, 02\n", ["b"]),
    "before a space": ("a;b\n1;02 \n3;4\n", ["b"]),
    "after a tab": ("a\tb\n1\t02\n", ["b"]),
    "the last one": ("a|b\n1|2\n1|03", ["b"]),
    "ends of lines": ("a,b\r\n1,2\r\n02,3\r\n", ["a"]),
    "decimals": ("a,b\n0.5,1\n00.5,2\n", []),
    "zeros": ("a,b\n0,10\n0,100\n", []),
    "signs": ("a,b\n-01,+02\n", []),
    "in the middle": ("a,b\n101,1005\n2001,30\n", []),
}


@pytest.mark.parametrize("name", PADDED)
def test_numbers_with_leading_zeros(written, name):
    content, names = PADDED[name]
    table = written(content)
    frame_of(table)
    assert table.with_leading_zeros(table.names) == names
    assert table.with_leading_zeros([]) == []


@pytest.mark.parametrize("before", range(20))
def test_leading_zeros_anywhere_in_a_file(written, before):
    """Whatever bytes are read together."""
    lines = ["a,b", "x" * before + ",1", *["y,10"] * 100_000, "z,01", *["y,10"] * 100_000]
    table = written("\n".join(lines) + "\n")
    frame_of(table)
    assert table.with_leading_zeros(["b"]) == ["b"]


def test_leading_zeros_are_looked_for_only_where_some_may_be(written, monkeypatch):
    table = written("a,b\n" + "0.05,100\n" * 100_000)
    frame_of(table)
    monkeypatch.setattr(pd, "read_csv", None)
    assert table.with_leading_zeros(["a", "b"]) == []


def test_unicode_and_spaces_after_separators(written):
    frame = frame_of(written("größe, città\n1, Malmö\n2, 東京\n"))
    assert list(frame) == ["größe", "città"] and frame["città"].tolist() == ["Malmö", "東京"]


def test_missing_values(written):
    frame = frame_of(written("a,b,c\n1,NA,?\n,x,\nNaN,null,3\n"))
    assert frame.isna().to_numpy().tolist() == [
        [False, True, True], [True, False, True], [True, True, False]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("1,2.5\n3,4\n", ["0", "1"]),
        ("1,x\n3,y\n", ["0", "1"]),
        ("ann,oslo\nbob,rome\n", ["ann", "oslo"]),
        ("x,x\nx,y\n", ["0", "1"]),
        ("0,1,2\n7,8,9\n1,2,3\n", ["0", "1", "2"]),  # its header is a row of numbers
        ("1,2,3\n7,8,9\n1,2,3\n", ["1", "2", "3"]),
        ("label,0,1\n7,8,9\n1,2,3\n", ["label", "0", "1"]),
        (",a\n0,5\n1,6\n", ["Unnamed: 0", "a"]),
        ("only\n1\n2\n", ["only"]),
    ],
)
def test_headers(written, content, names):
    table = written(content)
    assert table.names == names
    n_lines = content.count("\n")
    is_header = content.splitlines()[0].split(",")[-1] == names[-1]
    assert len(frame_of(table)) == n_lines - is_header


def test_a_header_may_be_given(written):
    assert written("a,b\n1,2\n", False).names == ["0", "1"]
    assert written("1,2\n3,4\n", True).names == ["1", "2"]


def test_pieces_are_the_whole(written, monkeypatch):
    n = 1000
    table = written("a,b\n" + "".join(f'{k},"t\n{k}"\n' for k in range(n)))
    whole = frame_of(table)
    assert len(whole) == n and whole.index.tolist() == list(range(n))
    for size in (1, 7, n - 1, n, n + 1):
        pieces = list(table.pieces({}, size))
        assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
        assert pd.concat(pieces).equals(whole)
    monkeypatch.setattr(delimited, "PIECE_BYTES", 100)
    assert len(list(table.pieces({}))) > 50
    assert frame_of(table).equals(whole)


ERRORS = {
    "empty": ("", "must have rows, got an empty file"),
    "blank": ("\n \n", "must have rows, got an empty file"),
    "header alone": ("a,b\n", "must have rows, got only a header"),
    "latin-1": ("a,b\n1,x\n2,é\n".encode("latin-1"), "UTF-8, got the byte 0xe9 in line 3"),
    "latin-1 header": ("é,b\n1,x\n".encode("latin-1"), "the byte 0xe9 in line 1; save it"),
    "UTF-16": ("a,b\n1,x\n".encode("utf-16"), "iconv -f utf-16 -t utf-8"),
    "zero bytes": (b"a,b\n\0,1\n", "must be text, got a file with zero bytes"),
    "long": ("a,b\n1,x\n2,y,z\n3,w\n", "must have 2 fields in every row, as in its first line, "
             "got 3 in line 3"),
    "long at once": ("a,b\n1,x,7\n2,y\n", "got 3 in line 2"),
    "all long": ("a,b\n1,x,7\n2,y,8\n", "got 3 in line 2"),
    "short": ("a,b,c\n1,x,2\n2,y\n3,w,3\n", "must have 3 fields in every row, as in its first "
              "line, got 2 in line 3"),
    "short after newlines": ('a,b,c\n1,"x\n\nfoo",2\n2,y\n', "got 2 in line 5"),
    "unclosed quote": ('a,b\n1,"x\n2,y\n', "must be valid CSV, got EOF inside string"),
    "two names": ("a,b,a\n1,2,3\n", "different name for each column, got 'a' for columns 1 and 3"),
    "cut gzip of other bytes": (gzip.compress(b"\xff" * 1000)[:-20], "be a complete gzip file"),
    "cut gzip": (gzip.compress(b"a,b\n1,x\n2,y\n" * 1000)[:-20], "must be a complete gzip file"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(written, name):
    content, part = ERRORS[name]
    with pytest.raises(ValueError) as caught:
        frame_of(written(content))
    assert part in str(caught.value) and str(caught.value).count("\n") == 0
    assert "data.csv` must" in str(caught.value)


@pytest.mark.parametrize("at", [5, 5000, 50_000])
@pytest.mark.parametrize("row", ["1,2", "1,2,3,4"])
def test_ragged_rows_of_later_pieces(written, monkeypatch, at, row):
    monkeypatch.setattr(delimited, "PIECE_BYTES", 30_000)
    lines = ["a,b,c", *["1,2,3"] * 60_000]
    lines[at] = row
    with pytest.raises(ValueError, match=f"got {len(row.split(','))} in line {at + 1}\\."):
        frame_of(written("\n".join(lines) + "\n"))


def test_zero_bytes_of_a_later_piece(written, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE_BYTES", 30_000)
    table = written(b"a,b\n" + b"1,x\n" * 1_500_000 + b"1\0,x\n")
    with pytest.raises(ValueError, match="must be text, got a file with zero bytes"):
        frame_of(table)


def test_a_wrong_byte_of_a_later_piece(written, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE_BYTES", 30_000)
    table = written(b"a,b\n" + b"1,x\n" * 1_500_000 + b"1,\xff\n")
    with pytest.raises(ValueError, match="got the byte 0xff in line 1500002"):
        frame_of(table)


def test_long_fields(written):
    long = "z" * 200_000  # more than csv reads without being told
    frame = frame_of(written(f"a;b\n{long};1\n{long};\n"))
    assert frame["a"].tolist() == [long, long]
