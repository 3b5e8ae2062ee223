"""Activation functions: name -> code (floor 1)."""

from __future__ import annotations

IDENTITY, RELU = 0, 1

#: The accepted names and the codes that kernels know them by.
ACTIVATIONS = {"identity": IDENTITY, "relu": RELU}
