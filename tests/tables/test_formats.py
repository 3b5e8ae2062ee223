"""Files of arrays and Parquet as tables."""

import gzip

import numpy as np
import pandas as pd
import pytest

from fastmlp.tables import arrays
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
