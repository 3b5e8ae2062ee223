"""Files of arrays and Parquet as tables."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fastmlp.tables import arrays, svmlight
from fastmlp.tables.columns import converted, kind_of
from fastmlp.tables.formats import open_table
from helpers.command_line import pack_idx


def frame_of(table, n_rows=None):
    return pd.concat(table.pieces({}, n_rows))


def test_npy(tmp_path):
    X = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "X.npy", X)
    table = open_table(str(tmp_path / "X.npy"))
    assert table.names == ["0", "1", "2"]
    for n_rows in (None, 1, 3, 4):
        frame = frame_of(table, n_rows)
        assert np.array_equal(frame.to_numpy(), X) and frame.index.tolist() == [0, 1, 2, 3]


def test_npy_of_named_columns(tmp_path):
    rows = np.array([(1, "x"), (2, "y")], [("size", "i8"), ("name", "U3")])
    np.save(tmp_path / "rows.npy", rows)
    frame = frame_of(open_table(str(tmp_path / "rows.npy")))
    assert frame["size"].tolist() == [1, 2] and frame["name"].tolist() == ["x", "y"]


def test_npz_of_keras(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (30, 4, 5)).astype(np.uint8)
    labels = random.integers(0, 10, 30).astype(np.uint8)
    parts = {"x_train": images[:20], "y_train": labels[:20]}
    np.savez(tmp_path / "mnist.npz", **parts, x_test=images[20:], y_test=labels[20:])
    path = str(tmp_path / "mnist.npz")
    for part, rows in (("train", slice(20)), ("test", slice(20, 30))):
        table = open_table(path, part=part)
        assert table.target_names == ["y"]
        frame = frame_of(table)
        assert np.array_equal(frame.pop("y"), labels[rows])
        assert np.array_equal(frame.to_numpy(), images[rows].reshape(-1, 20))
    np.savez(tmp_path / "train.npz", **parts)
    assert len(frame_of(open_table(str(tmp_path / "train.npz"), part="test"))) == 20


LARGE = 400_000  # rows: more than pieces and buffers of files have


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "u1", "?", "U3"])
def test_arrays_of_npz_files_are_read_in_pieces(tmp_path, save, dtype, monkeypatch):
    random = np.random.default_rng(0)
    X = random.integers(0, 2, (LARGE, 2, 3)).astype(dtype)
    y = random.normal(size=(LARGE, 1))
    save(tmp_path / "data.npz", X=X, y=y)
    monkeypatch.setattr(np, "load", None)  # would read all of an array
    table = open_table(str(tmp_path / "data.npz"))
    largest, start = 0, 0
    for piece in table.pieces({}):
        rows = slice(start, start + len(piece))
        assert np.array_equal(piece.pop("y"), y[rows, 0])
        assert np.array_equal(piece.to_numpy(), X[rows].reshape(-1, 6))
        assert piece.index[0] == start
        largest, start = max(largest, len(piece)), rows.stop
    assert largest == arrays.PIECE_VALUES // 7 and start == LARGE


@pytest.mark.parametrize("order", ["C", "F"])
def test_orders_of_npz_files(tmp_path, order):
    X = np.asarray(np.arange(12.0).reshape(4, 3), order=order)
    np.savez(tmp_path / "data.npz", X=X, y=np.arange(4))
    table = open_table(str(tmp_path / "data.npz"))
    for n_rows in (None, 1, 3):
        assert np.array_equal(frame_of(table, n_rows).to_numpy()[:, :3], X)


def test_a_damaged_array_of_a_npz_file(tmp_path):
    path = tmp_path / "data.npz"
    X, y = np.ones((LARGE, 3)), np.arange(LARGE)
    np.savez(path, X=X, y=y)
    whole = path.read_bytes()
    content = bytearray(whole)
    content[len(whole) // 2] ^= 1  # of X: its check sum says so
    path.write_bytes(bytes(content))
    table = open_table(str(path))
    with pytest.raises(ValueError, match=r"data.npz` must be a valid .npz file, got a damaged"):
        frame_of(table)
    start = whole.index(b"'shape': (400000, 3)")
    for shape in (b"'shape': (400000, 4)", b"'shape': (400000, 2)"):
        path.write_bytes(whole[:start] + shape + whole[start + len(shape) :])
        with pytest.raises(ValueError, match=r"data.npz` must be a valid .npz file, got a damaged"):
            frame_of(open_table(str(path)))


def test_an_array_of_too_many_columns(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.zeros((1, 2**20), "u1"), y=[1])
    with pytest.raises(ValueError, match="at most 1,048,576 columns, got 1,048,577"):
        open_table(str(tmp_path / "data.npz"))


@pytest.mark.parametrize(
    ("name", "got"),
    [("xl/workbook.xml", "an Excel file; save it as CSV"),
     ("data.csv", "a zip archive of data.csv; unpack it first")],
)  # fmt: skip
def test_other_archives(tmp_path, name, got):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr(name, "a,b\n1,2\n")
    with pytest.raises(ValueError, match=f"data.zip` must be a table in one of .*, got {got}"):
        open_table(str(tmp_path / "data.zip"))


def test_other_npz(tmp_path):
    path = str(tmp_path / "data.npz")
    np.savez(path, X=np.ones((3, 2)), y=np.eye(3))
    table = open_table(path)
    assert table.names == ["0", "1", "y0", "y1", "y2"] and table.target_names == table.names[2:]
    np.savez(path, X=np.ones((3, 2)), y=np.arange(3)[:, None])
    assert open_table(path).target_names == ["y"]
    np.savez(path, age=[1, 2], name=["x", "y"])
    assert frame_of(open_table(path))["name"].tolist() == ["x", "y"]
    np.savez_compressed(path, np.ones((3, 2)))
    assert open_table(path).names == ["0", "1"]


def test_idx(tmp_path):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "images").write_bytes(pack_idx(images))
    (tmp_path / "images.gz").write_bytes(gzip.compress(pack_idx(images)))
    for name in ("images", "images.gz"):
        table = open_table(str(tmp_path / name))
        assert table.kind == "IDX"
        assert np.array_equal(frame_of(table).to_numpy(), images.reshape(2, 12))


@pytest.mark.parametrize("compressed", [False, True])
def test_an_idx_file_is_read_in_pieces(tmp_path, compressed, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (60_000, 7, 9)).astype(np.uint8)
    content = pack_idx(images)
    (tmp_path / "images").write_bytes(gzip.compress(content, 1) if compressed else content)
    monkeypatch.setattr(Path, "read_bytes", None)  # would read all of it
    pieces = list(open_table(str(tmp_path / "images")).pieces({}))
    assert len(pieces) > 1
    assert np.array_equal(pd.concat(pieces).to_numpy(), images.reshape(60_000, 63))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("wrong", ["short", "long"])
def test_an_idx_file_of_another_length(tmp_path, compressed, wrong):
    content = pack_idx(np.ones((10, 5), np.uint8))
    content = content[:-3] if wrong == "short" else content + b"x"
    (tmp_path / "images").write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(ValueError, match="images` must be a valid IDX file"):
        frame_of(open_table(str(tmp_path / "images")))


def test_idx_of_other_types(tmp_path):
    X = np.array([[1.5, -2], [3, 4]])
    for code, dtype in ((0x0B, ">i2"), (0x0D, ">f4"), (0x0E, ">f8")):
        start = bytes([0, 0, code, 2, 0, 0, 0, 2, 0, 0, 0, 2])
        (tmp_path / "X").write_bytes(start + X.astype(dtype).tobytes())
        frame = frame_of(open_table(str(tmp_path / "X")))
        assert np.array_equal(frame.to_numpy(), X.astype(dtype))
        assert all(each.isnative for each in frame.dtypes)


@pytest.mark.parametrize("comment", ["", "# a comment\n"])
def test_svmlight(tmp_path, comment):
    (tmp_path / "data.svm").write_text(comment + "1 1:0.5 3:2\n-1 2:1  # last\n")
    table = open_table(str(tmp_path / "data.svm"))
    assert table.kind == "svmlight" and table.target_names == ["y"]
    assert frame_of(table).to_numpy().tolist() == [[0.5, 0, 2, 1], [0, 1, 0, -1]]
    (tmp_path / "data.svm").write_text("1,2 1:0.5 3:2\n2 2:1\n")
    table = open_table(str(tmp_path / "data.svm"))
    assert table.target_names == ["y1", "y2"]
    assert frame_of(table)[["y1", "y2"]].to_numpy().tolist() == [[1, 1], [0, 1]]


def test_svmlight_of_many_columns(tmp_path):
    (tmp_path / "data.svm").write_text("1 1:0.5\n0 30000:1\n")
    with pytest.raises(ValueError, match="at most 20,000 columns.*got 30,000; fastmlp.sklearn"):
        open_table(str(tmp_path / "data.svm"))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_svmlight_is_read_in_pieces(tmp_path, first, kind, monkeypatch):
    """Its columns, their first index and its labels may be known only at its end."""
    random = np.random.default_rng(0)
    X = np.where(random.random((3000, 6)) < 0.5, random.integers(1, 9, (3000, 6)), 0)
    X[:2000, 4:] = 0
    X[2000:, 0] = 1
    y = random.integers(0, 3, 3000)
    y[-1] = 7
    lines = ["# a comment\n" * 50]
    for row, target in zip(X, y, strict=True):
        values = " ".join(f"{k + first}:{row[k]}" for k in np.flatnonzero(row))
        lines.append(f"{target},9 {values}\n" if kind == "labels" else f"{target} {values}\n")
    (tmp_path / "data.svm").write_text("".join(lines))
    monkeypatch.setattr(svmlight, "PIECE_BYTES", 500)
    monkeypatch.setattr(svmlight, "PIECE_VALUES", 50)
    table = open_table(str(tmp_path / "data.svm"))
    names = ["y"] if kind == "numbers" else ["y0", "y1", "y2", "y7", "y9"]
    assert table.target_names == names
    pieces = list(table.pieces({}))
    assert max(map(len, pieces)) == 50 // (6 + len(names))
    frame = pd.concat(pieces)
    assert frame.index.tolist() == list(range(3000))
    assert np.array_equal(frame[[*"012345"]].to_numpy(), X)
    if kind == "numbers":
        assert np.array_equal(frame["y"], y)
    else:
        expected = [[t == 0, t == 1, t == 2, t == 7, True] for t in y]
        assert np.array_equal(frame[names].to_numpy(), expected)


def test_svmlight_without_columns(tmp_path):
    (tmp_path / "data.svm").write_text("1 qid:1\n0 qid:2\n")
    with pytest.raises(ValueError, match="data.svm` must have columns, got only targets"):
        open_table(str(tmp_path / "data.svm"))


def test_pieces_of_arrays_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "PIECE_VALUES", 10)
    X = np.arange(300.0).reshape(100, 3)
    np.save(tmp_path / "X.npy", X)
    pieces = list(open_table(str(tmp_path / "X.npy")).pieces({}))
    assert max(map(len, pieces)) == 3
    assert np.array_equal(pd.concat(pieces).to_numpy(), X)


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({
        "size": [1.5, None, 3.0], "count": pd.array([1, None, 3], "Int64"),
        "name": ["x", None, "z"], "new": pd.array([True, None, False], "boolean"),
        "kind": pd.Categorical(["a", "b", None]),
    })  # fmt: skip
    frame.to_parquet(tmp_path / "data.parquet")
    table = open_table(str(tmp_path / "data.parquet"))
    assert table.names == list(frame)
    for n_rows in (None, 1, 2):
        found = frame_of(table, n_rows)
        assert found.index.tolist() == [0, 1, 2]
        for name in frame:
            assert found[name].isna().tolist() == frame[name].isna().tolist()
            assert found[name].dropna().tolist() == frame[name].dropna().tolist()
    whole = (tmp_path / "data.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-30])
    with pytest.raises(ValueError, match="must be a valid Parquet file"):
        open_table(str(tmp_path / "cut.parquet"))


def test_intervals_are_categories():
    ages = pd.cut(pd.Series([1, 5, 9, None]), [0, 4, 10])
    values = pd.Series(ages.astype(object), name="age")
    for each in (values, ages.rename("age")):
        assert kind_of("f", each) == "text"
        found = converted("f", each.to_frame(), {"age": "text"})["age"].tolist()
        assert found == ["(0, 4]", "(4, 10]", "(4, 10]", None]


@pytest.mark.parametrize(
    ("values", "got", "advice"),
    [
        ([b"x", None, b"y"], "bytes", r"decode them, .* or --drop kind leaves it out\."),
        (pd.Categorical([b"x", b"y", b"x"]), "bytes", "decode them"),
        ([[1], [2], [1]], "values of the type list", "--drop kind leaves it out"),
        ([{"a": 1}, None, {}], "values of the type dict", "--drop kind"),
        ([1j, 2j, 1j], "values of the type complex", "--drop kind"),
    ],
)
def test_columns_of_other_types(values, got, advice):
    frame = pd.DataFrame({"kind": values})
    with pytest.raises(ValueError, match=f"got {got} in the column 'kind'; {advice}"):
        kind_of("f", frame["kind"])


def archived(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", content)


_HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 3), }"
NEGATIVE = b"\x93NUMPY\1\0" + bytes([len(_HEADER), 0]) + _HEADER

HOSTILE = {
    "pickled.npy": lambda path: np.save(path, np.array([{}, []], object), allow_pickle=True),
    "pickled.npz": lambda path: np.savez(path, x=np.array([{}, []], object)),
    "cut.npy": lambda path: path.write_bytes(b"\x93NUMPY\1\0"),
    "cut.npz": lambda path: path.write_bytes(b"PK\3\4and no more"),
    "sheet.xlsx": lambda path: path.write_bytes(b"PK\3\4and no more"),
    "scalar.npy": lambda path: np.save(path, 3),
    "complex.npy": lambda path: np.save(path, np.ones((2, 2)) * 1j),
    "none.npy": lambda path: np.save(path, np.ones((0, 2))),
    "unknown.npz": lambda path: np.savez(path, a=np.ones((2, 2)), b=np.ones((2, 2))),
    "lengths.npz": lambda path: np.savez(path, X=np.ones((2, 2)), y=np.ones(3)),
    "bytes.npz": lambda path: archived(path, b"no header"),
    "version.npz": lambda path: archived(path, b"\x93NUMPY\7\7v"),
    "negative.npz": lambda path: archived(path, NEGATIVE),
    "empty.npz": lambda path: np.savez(path),
    "empty": lambda path: path.write_bytes(b""),
    "wrong.svm": lambda path: path.write_text("1 1:0.5 3:2\n-1 x:y\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_refused(tmp_path, name):
    HOSTILE[name](tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}` must (be|have|hold) ") as caught:
        frame_of(open_table(str(tmp_path / name)))
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_table(str(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize("n_columns", [3, 3000])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_gzipped_idx_file(tmp_path, n_columns, damage):
    images = np.random.default_rng(0).integers(0, 256, (50, n_columns)).astype(np.uint8)
    content = bytearray(gzip.compress(pack_idx(images)))
    if damage == "cut":
        del content[-20:]
    else:
        content[10] = 0xFF  # no kind of block
    (tmp_path / "images.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"images.gz` must be a (complete gzip|valid IDX) file"):
        frame_of(open_table(str(tmp_path / "images.gz")))
