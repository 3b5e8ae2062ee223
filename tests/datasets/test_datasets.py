"""The digits that come with the package, and the IDX reader."""

import gzip
import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from fastmlp import datasets
from fastmlp.messages import short
from helpers import SHARED_DATA
from helpers.messages import assert_form

# Each type code, its type, and struct's letter, which packs without NumPy.
TYPES = [
    (0x08, np.uint8, "B", [0, 1, 200, 255, 7, 9]),
    (0x09, np.int8, "b", [0, 1, -128, 127, 7, 9]),
    (0x0B, np.int16, "h", [0, 1, -32768, 32767, 258, 9]),
    (0x0C, np.int32, "i", [0, 1, -(2**31), 2**31 - 1, 16909060, 9]),
    (0x0D, np.float32, "f", [0, 1.5, -2.25, 1e-3, 3e38, 9]),
    (0x0E, np.float64, "d", [0, 1.5, -2.25, 1e-3, 1e300, 9]),
]


def pack_idx(shape, numbers, code=0x08, letter="B"):
    return struct.pack(
        f">4B{len(shape)}I{len(numbers)}{letter}", 0, 0, code, len(shape), *shape, *numbers
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "array"


def assert_refused(path, *parts):
    """The file must be refused in one sentence that names it and says all of `parts`."""
    with pytest.raises(ValueError) as caught:
        datasets.read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"`{short(str(path), 150)}` must ")
    assert_form(message)
    for part in parts:
        assert part in message


def test_digits_are_whole_and_typed():
    X, y = datasets.digits()
    assert (X.shape, X.dtype) == ((1797, 64), np.uint8)
    assert (y.shape, y.dtype) == ((1797,), np.int64)
    assert (X.min(), X.max()) == (0, 16)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # The first image, as the UCI repository lists it: a zero.
    assert y[0] == 0
    assert X[0].reshape(8, 8)[:3].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
    ]
    assert X.flags.c_contiguous and X.flags.writeable


def test_digits_are_scikit_learns():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    X, y = sklearn_datasets.load_digits(return_X_y=True)
    np.testing.assert_array_equal(datasets.digits()[0], X)
    np.testing.assert_array_equal(datasets.digits()[1], y)


def test_digits_are_new_every_time():
    X, y = datasets.digits()
    X[:] = 0
    y[:] = 0
    assert datasets.digits()[0].any()
    assert datasets.digits()[1].any()


def test_digits_file_is_small():
    assert Path(datasets.__file__).with_name("digits.npz").stat().st_size < 60_000


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("code", "dtype", "letter", "numbers"), TYPES)
def test_every_type(path, compress, code, dtype, letter, numbers):
    path.write_bytes(compress(pack_idx((2, 3), numbers, code, letter)))
    array = datasets.read_idx(path)
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.flags.c_contiguous and array.flags.writeable and array.flags.owndata
    np.testing.assert_array_equal(array, np.array(numbers, dtype).reshape(2, 3))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3, 4), (2, 1, 2, 1, 2)])
@pytest.mark.parametrize(("code", "letter"), [(0x08, "B"), (0x0C, "i")])
def test_shapes(path, shape, code, letter):
    size = math.prod(shape)
    path.write_bytes(pack_idx(shape, range(1, size + 1), code, letter))
    array = datasets.read_idx(path)
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, np.arange(1, size + 1).reshape(shape))
    assert array.shape == shape
    assert array.flags.writeable


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (3, 0), (2, 0, 2)])
def test_empty_dimensions(path, shape):
    path.write_bytes(pack_idx(shape, []))
    assert datasets.read_idx(path).shape == shape
    path.write_bytes(pack_idx(shape, [1]))
    assert_refused(path, "too long")


def test_sizes_are_four_bytes_big_endian(path):
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 1, 2]) + bytes(258))
    assert datasets.read_idx(path).shape == (258,)


def test_gzip_is_recognized_by_content(tmp_path):
    content = pack_idx((3,), [4, 5, 6])
    (tmp_path / "plain.gz").write_bytes(content)
    (tmp_path / "zipped").write_bytes(gzip.compress(content))
    assert datasets.read_idx(tmp_path / "plain.gz").tolist() == [4, 5, 6]
    assert datasets.read_idx(tmp_path / "zipped").tolist() == [4, 5, 6]


def test_path_may_be_a_string(path):
    path.write_bytes(pack_idx((1,), [3]))
    assert datasets.read_idx(os.fspath(path)).tolist() == [3]


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_wrong_length(path, compress):
    content = pack_idx((2, 3), range(6), 0x0B, "h")
    path.write_bytes(compress(content[:-1]))
    assert_refused(path, "truncated", "must have 24 bytes", "got 23")
    path.write_bytes(compress(content + b"\0"))
    assert_refused(path, "too long", "must have 24 bytes", "got 25")


def test_header_cut_short(path):
    path.write_bytes(pack_idx((2, 3), [])[:-1])
    assert_refused(path, "truncated", "12 bytes", "11 bytes")


def test_announced_size_beyond_all_memory(path):
    path.write_bytes(pack_idx((2**32 - 1,) * 3, [1], 0x0E, "d"))
    assert_refused(path, "truncated", str(12 + 4 + 8 * (2**32 - 1) ** 3))


@pytest.mark.parametrize("shape", [(1,) * 200, (0, *(2**32 - 1,) * 3)])
def test_shape_numpy_cannot_hold(path, shape):
    path.write_bytes(pack_idx(shape, [7] * math.prod(shape)))
    assert_refused(path, f"{len(shape)} dimensions")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\1\x08\0\0",
        b"\1\0\x08\0\0",
        b"\0\0\x0a\0\0",
        b"\0\0\x0f\0\0",
        b"a text\n",
    ],
)
def test_bad_magic(path, content):
    path.write_bytes(content)
    assert_refused(path, "must be an IDX file")
    path.write_bytes(gzip.compress(content))
    assert_refused(path, "must be an IDX file")


def test_corrupt_gzip(path):
    whole = gzip.compress(pack_idx((1000,), [i % 251 for i in range(1000)]))
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the checksum
    for content in (whole[:2], whole[:9], whole[:-1], whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(content)
        assert_refused(path, "must be a complete gzip file", "got a damaged one")
    scrambled = bytearray(whole)
    scrambled[10:20] = b"\xff" * 10  # an impossible deflate block
    path.write_bytes(scrambled)
    assert_refused(path, "must be a complete gzip file", "got a damaged one")
    path.write_bytes(whole + b"trailing")
    assert_refused(path, "must be a complete gzip file", "got a damaged one")


def test_missing_file(path):
    with pytest.raises(FileNotFoundError):
        datasets.read_idx(path)


def test_mnist():
    images_path = SHARED_DATA / "mnist-t10k-images-idx3-ubyte.gz"
    labels_path = SHARED_DATA / "mnist-t10k-labels-idx1-ubyte.gz"
    if not images_path.exists() or not labels_path.exists():
        pytest.skip("the MNIST files are not here")
    images = datasets.read_idx(images_path)
    labels = datasets.read_idx(labels_path)
    assert (images.shape, images.dtype) == ((10_000, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((10_000,), np.uint8)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.count_nonzero(images) / images.size == pytest.approx(0.19, abs=0.01)
