"""Plain values and arrays in an ``.npz`` file: JSON, and one member for each array.

Files are not trusted. No pickle is involved, and no more memory is allocated than the size of the
file: members are stored uncompressed, and arrays have the size of their members.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from fastmlp.messages import must, short

ARRAY = "array in this file"  # the key of a reference to an array
NETWORK = "network"  # the member with the JSON
MAX_DEPTH = 100  # of nested dicts and lists
MAX_INT = 10**40  # random states have 128 bits
_PLAIN = {float, str, bool, type(None)}  # a history may have millions of these

#: The header of `numpy.save` for arrays that are not structured.
HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[biufcSU]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), *\} *\n"
)


# Writing ------------------------------------------------------------------------------------------


def write(file: IO[bytes], state: dict[str, Any]) -> None:
    """Write plain values; TypeError or ValueError for others, before anything is written."""
    arrays: dict[str, Any] = {}
    text = json.dumps(_without(arrays, state, "", 0))
    members: dict[str, Any] = {NETWORK: np.array(text)} | arrays
    try:
        np.savez(file, **members)
    except ValueError as error:  # closing an archive fails after Ctrl-C within a member
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def _without(arrays: dict[str, Any], value: Any, name: str, level: int) -> Any:
    """Replace the arrays in `value` by references, and add them to `arrays`."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return {ARRAY: _put(arrays, value, name)}
    if isinstance(value, (dict, list, tuple)):
        if level == MAX_DEPTH:
            requirement = f"have at most {MAX_DEPTH} levels of lists and dicts"
            raise ValueError(must(name[:60], requirement, "more levels"))
        items = value.items() if isinstance(value, dict) else enumerate(value)
        parts = {
            key: part
            if type(part) in _PLAIN
            else _without(arrays, part, f"{name}_{key}" if name else str(key), level + 1)
            for key, part in items
        }
        if not isinstance(value, dict):
            return list(parts.values())
        if ARRAY in parts or not all(isinstance(key, str) for key in parts):
            requirement = f"have keys that are str and not {ARRAY!r}, which is reserved"
            raise TypeError(must(name[:60], requirement, "other keys"))
        return parts
    if not isinstance(value, (str, int, float, type(None))):
        requirement = "be a number, a string, an array, or a list or dict of them"
        raise TypeError(must(name[:60], requirement, f"a value of type {type(value).__name__}"))
    if isinstance(value, int) and abs(value) >= MAX_INT:
        raise ValueError(must(name[:60], "have at most 40 digits", "a longer int"))
    return value


def _put(arrays: dict[str, Any], array: np.ndarray, name: str) -> str:
    """Add an array to `arrays`; return its name."""
    if array.dtype.kind not in "biufcSU":
        requirement = "be an array of numbers, bools or text"
        raise TypeError(must(name[:60], requirement, f"one of {short(str(array.dtype))}"))
    key = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:200]
    while key in arrays:  # "a_b" in a dict, and "b" in its "a"
        key += "_"
    arrays[key] = np.asarray(array)
    return key


# Reading ------------------------------------------------------------------------------------------


def read(file: IO[bytes], converted: Callable[[Any], Any]) -> Any:
    """Return the values that `write` wrote.

    `converted` is called with the JSON, which has references to arrays, and returns the values to
    read, which must refer to every array of the file exactly once.

    Raises
    ------
    Exception
        Of any kind, for any other file.
    """
    with zipfile.ZipFile(file) as archive:
        members = _members(file, archive)
        text = _array(archive, members.pop(NETWORK)).item()
        state = json.loads(text, parse_int=_whole, object_pairs_hook=_unique)
        found = _with(archive, members, converted(state), 0)
    if members:
        raise ValueError("it has arrays that nothing refers to")
    return found


def _members(file: IO[bytes], archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name; ValueError if they are compressed or overlap."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    stored = all(
        info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        for info in members.values()
    )
    if not stored:
        raise ValueError("it is compressed")
    whole = sum(info.file_size for info in members.values()) <= file.seek(0, io.SEEK_END)
    if not whole or len(members) != len(archive.infolist()):
        raise ValueError("its members overlap")
    return members


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return the array in a member, whose size must match exactly."""
    content = archive.read(info)
    version, size_bytes = content[6:7], 2 if content[6:7] == b"\1" else 4
    at = 8 + size_bytes
    end = at + int.from_bytes(content[8:at], "little")
    header = HEADER.fullmatch(content, at, end)
    if content[:6] != b"\x93NUMPY" or version not in (b"\1", b"\2", b"\3") or header is None:
        raise ValueError("an array has an unknown header")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(size) for size in header[3].split(b",") if size.strip())
    if math.prod(shape) * dtype.itemsize != len(content) - end:
        raise ValueError("an array has another size than its member")
    flat = np.frombuffer(content, dtype, offset=end).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if header[2] == b"True" else "C")


def _with(archive: zipfile.ZipFile, members: dict[str, Any], value: Any, level: int) -> Any:
    """Undo `_without`, removing the arrays from `members`."""
    if level > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        if set(value) == {ARRAY}:
            return _array(archive, members.pop(value[ARRAY]))
        if ARRAY in value:
            raise ValueError("it has a reference to an array among other values")
        return {name: _with(archive, members, part, level + 1) for name, part in value.items()}
    if isinstance(value, list):
        return [
            part if type(part) in _PLAIN else _with(archive, members, part, level + 1)
            for part in value
        ]
    return value


def _whole(digits: str) -> int:
    """Return an int; ValueError if it has more digits than `write` allows."""
    if len(digits) > 41:
        raise ValueError("it has an int of more than 40 digits")
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has a key twice")
    return found
