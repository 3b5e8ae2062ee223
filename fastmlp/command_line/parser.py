"""The command line: ``fastmlp train``, ``predict``, ``evaluate`` and others.

Exit codes: 0 for success, 2 for an error (one line on the standard error stream says which), 130
after Ctrl-C. NumPy, and so `commands`, is imported when a command runs, so that ``fastmlp --help``
is fast.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from fastmlp.command_line.options import add_commands

ERRORS = (
    ValueError, TypeError, OSError, MemoryError, OverflowError, RuntimeError, ImportError,
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises errors, which `main` reports in one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


class _PrintVersion(argparse.Action):
    """Print the version; imports ``fastmlp`` only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import fastmlp

        print(f"fastmlp {fastmlp.__version__}")
        parser.exit()


def _build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = _Parser(
        prog="fastmlp", description="Train multilayer perceptrons fast on CPUs.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    add_commands(commands)
    return parser


def _run(args: argparse.Namespace) -> None:
    """Run a command; each warning becomes one line on the standard error stream."""
    from fastmlp.callbacks.output import shown_on
    from fastmlp.command_line import commands

    with warnings.catch_warnings(), shown_on(sys.stderr):
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        getattr(commands, args.command)(args)


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning above the progress bar, if there is one."""
    from fastmlp.callbacks.output import write_line

    write_line(f"fastmlp: warning: {_in_one_line(message)}", sys.stderr)


def _in_one_line(message: object) -> str:
    return " ".join(str(message).split())


def _describe(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return _in_one_line(error) or type(error).__name__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 for success, 2 for an error, 130 after Ctrl-C. An error prints one line,
        ``fastmlp: error: ...``, to the standard error stream.

    Raises
    ------
    SystemExit
        With code 0, after ``--help`` and ``--version``.

    Examples
    --------
    >>> from fastmlp.command_line import main
    >>> main(["predict", "missing.npz", "digits"])  # and one line to the standard error stream
    2
    """
    try:
        args = _build_parser().parse_args(argv)
        _run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        print(f"fastmlp: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has exited. Python would fail again when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ERRORS as error:
        print(f"fastmlp: error: {_describe(error)}", file=sys.stderr)
        return 2
    return 0
