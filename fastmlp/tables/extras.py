"""Imports of the libraries that tables need, and the sentence that names what is missing."""

from __future__ import annotations

import importlib
from typing import Any

TABLES = 'pip install "fastmlp[tables]"'


def required(module: str, library: str, purpose: str, install: str = TABLES) -> Any:
    """Import a module; ImportError with the line that installs it if it is missing.

    Examples
    --------
    >>> from fastmlp.tables.extras import required
    >>> required("json", "json", "Reading JSON").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{purpose} needs {library}: {install}") from error


def pandas() -> Any:
    """Import pandas."""
    return required("pandas", "pandas", "Reading a table")
