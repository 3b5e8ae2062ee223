"""The second pass over a table: its rows as numbers, in temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from fastmlp.messages import must, short
from fastmlp.tables import columns
from fastmlp.tables.formats import Table


class Encoder(Protocol):
    """What turns rows into numbers."""

    n_outputs_: int

    def transform_into(self, X: Any, out: np.ndarray) -> None:
        """Write the numbers of a data frame to `out`, float32 (n_rows, n_outputs_)."""


def check_space(n_rows: int, n_columns: int, folder: str) -> None:
    """Raise OSError if a folder has not enough space for so many encoded rows."""
    n_bytes, free = 4 * n_rows * n_columns, shutil.disk_usage(folder).free
    if n_bytes > free:
        raise OSError(
            f"the encoded rows take {n_bytes / 1e9:.1f} GB in {short(folder, 150)}, which has "
            f"{free / 1e9:.1f} GB"
        )


def temporary_rows(n_rows: int, n_columns: int, folder: str) -> np.ndarray:
    """Return a float32 array in a file that is removed with it, also if the process dies."""
    if n_rows * n_columns == 0:
        return np.empty((n_rows, n_columns), np.float32)
    with tempfile.TemporaryFile(dir=folder, prefix=".fastmlp-") as file:  # the map keeps it
        return np.memmap(file, np.float32, "w+", shape=(n_rows, n_columns))


def encoded_parts(
    table: Table,
    pieces: Iterable[Any],
    kinds: Mapping[str, str],
    encoder: Encoder,
    part_of: np.ndarray,
    n_parts: int,
    folder: str,
) -> list[np.ndarray]:
    """Return the encoded rows of each part, in their order in the table.

    Parameters
    ----------
    table : Table
    pieces : iterable of data frames
        All rows of the table.
    kinds : dict of str
        The kinds of the inputs, by name.
    encoder : Encoder
    part_of : int array (n_rows,)
        The number of each row's part; -1 for rows that are not encoded.
    n_parts : int
    folder : str
        Of the temporary files.

    Raises
    ------
    OSError
        If there is not enough space.
    """
    sizes = np.bincount(part_of[part_of >= 0], minlength=n_parts)
    check_space(int(sizes.sum()), encoder.n_outputs_, folder)
    parts = [temporary_rows(int(n), encoder.n_outputs_, folder) for n in sizes]
    written, start = [0] * n_parts, 0
    for piece in pieces:
        frame = columns.converted(table.path, piece, dict(kinds))
        of_rows = part_of[start : start + len(frame)]
        if len(of_rows) < len(frame):
            break
        for k, part in enumerate(parts):
            chosen = frame[of_rows == k] if n_parts > 1 or (of_rows < 0).any() else frame
            if len(chosen) > 0:
                end = written[k] + len(chosen)
                encoder.transform_into(chosen, part[written[k] : end])
                written[k] = end
        start += len(frame)
    if start != len(part_of):
        requirement = f"keep its {len(part_of):,} rows while it is read"
        raise ValueError(must(short(table.path, 150), requirement, "another number"))
    return parts


def types_of(kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return the pandas types that columns of these kinds are read as."""
    return {name: columns.TYPES[kind] for name, kind in kinds.items() if kind in columns.TYPES}


def folder_of(path: str) -> str:
    """Return the folder of temporary files for a file that will be written to."""
    return os.path.dirname(os.path.abspath(path))
