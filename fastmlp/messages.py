"""The sentence of an error message, and values as it shows them: short, on one line."""

from __future__ import annotations

import os
import reprlib
import sys
import warnings
from types import FrameType
from typing import Any

PACKAGE = os.path.dirname(__file__) + os.sep
MAX_LENGTH = 80  # characters


class _Repr(reprlib.Repr):
    """A `repr` limited to a few items and levels; the `repr` of an instance may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = 40

    def repr_int(self, x: int, level: int) -> str:
        # Python raises an error for an int of more than 4300 digits.
        return repr(x) if abs(x) < 10**20 else f"an int of {_digits(x)} digits"

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        # In the order of the dict; `reprlib` sorts the keys.
        if level <= 0:
            return "{...}"
        items = list(x.items())
        pairs = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in items[: self.maxdict]
        ]
        return "{" + ", ".join([*pairs, *["..."] * (len(items) > self.maxdict)]) + "}"

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            return repr(x)
        except Exception:  # of a user's class, or an int too long inside an array
            return f"an instance of {type(x).__name__}"


_REPR = _Repr()


def must(name: str, requirement: str, got: str, advice: str = "") -> str:
    """Return the message for an invalid value: what it must be or have, and what it is.

    Parameters
    ----------
    name : str
        The argument.
    requirement : str
        Begins with a verb: "be", "have", "return".
    got : str
        The value, as `shown` returns it, or a description of what is wrong with it.
    advice : str, optional
        What to do about it.

    Examples
    --------
    >>> must("batch_size", "be an int of at least 1", shown(0))
    '`batch_size` must be an int of at least 1, got 0.'
    """
    return f"`{name}` must {requirement}, got {got}{'; ' if advice else ''}{advice}."


def shown(value: Any) -> str:
    """Return `repr(value)`, shortened.

    Examples
    --------
    >>> shown("relu"), shown([1, 2]), shown(10**400)
    ("'relu'", '[1, 2]', 'an int of 401 digits')
    """
    try:
        return short(_REPR.repr(value))
    except Exception:  # nested too deeply
        return f"an instance of {type(value).__name__}"


def short(text: str, max_length: int = MAX_LENGTH) -> str:
    """Return the text on one line of at most `max_length` characters.

    Examples
    --------
    >>> short("one line" + chr(10) + "and another", 12)
    'one line ...'
    """
    text = " ".join(text.split())
    return text if len(text) <= max_length else f"{text[: max_length - 3]}..."


def raised(error: Exception) -> str:
    """Return an error's type and its text, shortened."""
    try:
        text = str(error)
    except Exception:  # of a user's class
        text = ""
    return short(f"{type(error).__name__}: {text}" if text else type(error).__name__, 80)


def warn(message: str, category: type[Warning], module: str | None = None) -> None:
    """Issue a warning for the line outside of this package that called it.

    Filters take it for a warning of that line's module, or of `module`.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_between(frame):
        frame = frame.f_back
    known = frame.f_globals
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module or known.get("__name__", "<unknown>"),
        known.setdefault("__warningregistry__", {}),
    )


def _is_between(frame: FrameType) -> bool:
    """Whether a frame is of this package, or of scikit-learn's decorator of `fit`."""
    if frame.f_code.co_filename.startswith(PACKAGE):
        return True
    return str(frame.f_globals.get("__name__")).startswith("sklearn.callback.")


def _digits(x: int) -> int:
    """Return the number of decimal digits of an int."""
    digits = int((x.bit_length() - 1) * 0.30102999566398119) + 1  # log10(2), from below
    return digits + (abs(x) >= 10**digits)
