"""The ``fastmlp`` command."""

from fastmlp.command_line.parser import main

__all__ = ["main"]
