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
    assert frame_of(written("a;b\n1,000.5;2\n"))["b"].tolist() == [2]  # not 1,000.5 either


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
    "latin-1 header": ("é,b\n1,x\n".encode("latin-1"), "the byte 0xe9 in line 1; convert it"),
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


def test_a_wrong_byte_of_a_later_piece(written, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE_BYTES", 30_000)
    table = written(b"a,b\n" + b"1,x\n" * 1_500_000 + b"1,\xff\n")
    with pytest.raises(ValueError, match="got the byte 0xff in line 1500002"):
        frame_of(table)


def test_long_fields(written):
    long = "z" * 200_000  # more than csv reads without being told
    frame = frame_of(written(f"a;b\n{long};1\n{long};\n"))
    assert frame["a"].tolist() == [long, long]
