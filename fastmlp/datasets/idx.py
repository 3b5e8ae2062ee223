"""The IDX file format of MNIST and similar datasets."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.messages import must, short, shown

# The third byte of a file names the type of its numbers, which are stored big-endian.
DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read the array in an IDX file, plain or gzipped.

    A file holds two zero bytes, one byte for the type, one for the number of dimensions, each
    dimension as a big-endian uint32, then the elements in C order. Gzipped files are recognized by
    their first two bytes, whatever their name.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    ndarray
        A new array, C-contiguous and writable, in the machine's byte order: uint8, int8, int16,
        int32, float32 or float64, depending on the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file (and other ``OSError`` if it cannot be read).
    ValueError
        If the file is not an IDX file, its gzip stream is damaged, or its length does not match
        its header.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastmlp.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     n_bytes = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(must("path", "be a str or os.PathLike", shown(path)))
    path = os.fsdecode(path)
    if "\0" in path:
        raise ValueError(must("path", "be a valid file name", shown(path)))
    name = short(path, 150)
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                must(name, "be a complete gzip file", f"a damaged one ({short(str(error))})")
            ) from error

    dtype, shape, start = header_of(name, content)
    n_bytes = start + math.prod(shape) * dtype.itemsize  # Python's ints do not overflow
    if len(content) != n_bytes:
        requirement = f"have {n_bytes} bytes for {dtype.newbyteorder('=').name} of shape {shape}"
        fault = "truncated" if len(content) < n_bytes else "too long"
        raise ValueError(must(name, requirement, f"{len(content)} ({fault})"))
    try:
        stored = np.ndarray(shape, dtype, buffer=content, offset=start)
    except ValueError as error:  # too many dimensions for NumPy, or 0 times a huge one
        requirement = "have a shape that NumPy supports"
        got = f"{len(shape)} dimensions {short(str(shape))}"
        raise ValueError(must(name, requirement, got)) from error
    return np.array(stored, dtype.newbyteorder("="), order="C")


def header_of(name: str, content: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return the type, the shape and the place of the elements, from the start of an IDX file.

    Raises
    ------
    ValueError
        If it is another file, which `name` names, or if its header is not complete.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES:
        requirement = (
            "be an IDX file, which starts with 00 00, a type code of 08, 09, 0b, 0c, 0d or 0e and "
            "the number of dimensions"
        )
        raise ValueError(must(name, requirement, content[:4].hex(" ") or "an empty file"))
    dtype, n_dims = DTYPES[content[2]], content[3]
    start = 4 + 4 * n_dims
    if len(content) < start:
        requirement = f"have a header of {start} bytes for {n_dims} dimensions"
        raise ValueError(must(name, requirement, f"a truncated file of {len(content)} bytes"))
    shape = tuple(int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4))
    return dtype, shape, start
