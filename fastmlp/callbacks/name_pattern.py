"""File names with fields for the epoch and its losses and scores."""

from __future__ import annotations

import contextlib
import glob
import os
import string
from collections.abc import Collection, Mapping
from typing import Any

from fastmlp.messages import must, short, shown


class NamePattern:
    """A path whose file name may have fields such as ``{epoch:02d}`` and ``{loss:.3f}``.

    Parameters
    ----------
    path : str
        A format string as for `str.format`, whose fields are names.

    Attributes
    ----------
    fields : list of str
        The names of its fields.

    Raises
    ------
    ValueError
        For a path that cannot be formatted.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            parts = list(string.Formatter().parse(path))
            self.fields = [name for _, name, _, _ in parts if name is not None]
            valid = all(name.isidentifier() for name in self.fields) and not any(
                conversion or "{" in (spec or "") for _, _, spec, conversion in parts
            )
            # Neither fields nor their values may be part of the folder.
            folder = os.path.dirname(path).format()
            valid = valid and os.path.dirname(self.example()) == folder
        except LookupError:  # a field in the folder, or one without a name
            valid = False
        except ValueError as error:
            raise self._invalid(str(error)) from None
        if not valid:
            raise self._invalid("only the name of the file may have fields")
        #: A pattern for `glob`, with * instead of fields.
        self._glob = "".join(
            glob.escape(text) + ("" if name is None else "*") for text, name, _, _ in parts
        )

    def _invalid(self, reason: str) -> ValueError:
        requirement = (
            "have fields such as {epoch:02d} and {loss:.3f} only in the file's name, and {{ for a "
            "brace"
        )
        got = f"{short(repr(self.path), 120)} ({short(reason)})"
        return ValueError(must("path", requirement, got))

    def check_fields(self, recorded: Collection[str]) -> None:
        """Raise ValueError for a field that is neither "epoch" nor recorded."""
        for name in self.fields:
            if name != "epoch" and name not in recorded:
                known = short(", ".join(map(repr, ["epoch", *recorded])))
                requirement = f"have only fields that this fit records ({known})"
                got = f"{shown(name)} in {short(repr(self.path), 120)}"
                raise ValueError(must("path", requirement, got))

    def of(self, epoch: int, logs: Mapping[str, Any]) -> str:
        """Return the path for an epoch counted from 0; names count from 1."""
        return self.path.format(**{**logs, "epoch": epoch + 1})

    def example(self) -> str:
        """Return the path for an example epoch."""
        return self.of(0, dict.fromkeys(self.fields, 0.5))

    def is_of(self, path: str, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Whether `path`, one of `existing`, is the one that `of` returns."""
        known = set(self.fields) <= {"epoch", *logs}
        return known and os.path.basename(path) == os.path.basename(self.of(epoch, logs))

    def existing(self) -> list[tuple[int, str]]:
        """Return (time in ns, path) of the files that match the pattern, newest first."""
        found = []
        for path in glob.glob(self._glob):
            with contextlib.suppress(OSError):  # removed in the meantime
                found.append((os.stat(path).st_mtime_ns, path))
        return sorted(found, reverse=True)
