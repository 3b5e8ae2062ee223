"""The second pass: rows as numbers, in temporary files."""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fastmlp.tables import encoded
from fastmlp.tables.arrays import ArrayFile
from fastmlp.tables.plain import PlainEncoder

KINDS = {"0": "number", "1": "number"}


@pytest.fixture
def table():
    return ArrayFile("npy", "X.npy", {"": np.arange(200.0).reshape(100, 2)})


@pytest.mark.parametrize("size", [None, 1, 7, 99, 100])
def test_parts(table, tmp_path, size):
    part_of = np.random.default_rng(0).integers(-1, 3, 100).astype(np.int8)
    pieces = table.pieces({}, size)
    parts = encoded.encoded_parts(
        table, pieces, KINDS, PlainEncoder(KINDS, {}), part_of, 3, str(tmp_path)
    )
    X = np.arange(200, dtype=np.float32).reshape(100, 2)
    for k, part in enumerate(parts):
        assert isinstance(part, np.memmap) and part.dtype == np.float32
        assert np.array_equal(part, X[part_of == k])
    assert os.listdir(tmp_path) == []


def test_an_empty_part(table, tmp_path):
    part_of = np.zeros(100, np.int8)
    encoder = PlainEncoder(KINDS, {})
    whole, none = encoded.encoded_parts(
        table, table.pieces({}), KINDS, encoder, part_of, 2, str(tmp_path)
    )
    assert whole.shape == (100, 2) and none.shape == (0, 2)


@pytest.mark.parametrize("n", [99, 101])
def test_a_table_that_changes(table, tmp_path, n):
    part_of = np.zeros(n, np.int8)
    with pytest.raises(ValueError, match=f"must keep its {n} rows while it is read"):
        encoder = PlainEncoder(KINDS, {})
        encoded.encoded_parts(table, table.pieces({}), KINDS, encoder, part_of, 1, str(tmp_path))


def test_a_full_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**9))
    with pytest.raises(OSError, match=r"the encoded rows take 4\.0 GB in .*, which has 1\.0 GB"):
        encoded.check_space(10**6, 1000, str(tmp_path))
    assert encoded.temporary_rows(10, 3, str(tmp_path)).shape == (10, 3)


def test_plain_numbers():
    frame = pd.DataFrame({
        "n": [1.5, 2.0, 3.0], "b": [True, False, True], "t": ["x", "z", "y"],
    }).astype({"b": object})  # fmt: skip
    kinds = {"n": "number", "b": "boolean", "t": "text"}
    encoder = PlainEncoder.fitted(kinds, frame[:2], most=100)
    assert PlainEncoder(**encoder.to_dict()).n_outputs_ == encoder.n_outputs_ == 4
    out = np.empty((3, 4), np.float32)
    encoder.transform_into(frame, out)
    assert out.tolist() == [[1.5, 1, 1, 0], [2, 0, 0, 1], [3, 1, 0, 0]]
    common = pd.DataFrame({"t": list("aabbbc")})
    assert PlainEncoder.fitted({"t": "text"}, common, most=2).categories == {"t": ["a", "b"]}


@pytest.mark.parametrize("name", ["n", "b", "t"])
def test_plain_numbers_refuse_missing_values(name):
    frame = pd.DataFrame({"n": [1.0, 2.0], "b": [True, False], "t": ["x", "y"]}, dtype=object)
    kinds = {"n": "number", "b": "boolean", "t": "text"}
    encoder = PlainEncoder.fitted(kinds, frame, most=100)
    frame.loc[1, name] = None
    with pytest.raises(ValueError, match=f"one in the column '{name}', data row 2"):
        encoder.transform_into(frame, np.empty((2, encoder.n_outputs_), np.float32))
    frame.loc[1, name] = np.inf
    if name == "n":
        with pytest.raises(ValueError, match="finite in float32, got another in data row 2"):
            encoder.transform_into(frame, np.empty((2, encoder.n_outputs_), np.float32))
