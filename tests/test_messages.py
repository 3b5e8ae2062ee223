"""Error messages: one helper makes their sentence, and shows any value on one short line."""

import ast
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp.messages import must, shown
from helpers.messages import assert_form

PACKAGE = Path(fastmlp.__file__).parent


def test_the_sentence():
    assert must("k", "be an int", "0.5") == "`k` must be an int, got 0.5."
    assert must("k", "be an int", "0.5", "round it") == "`k` must be an int, got 0.5; round it."


def test_no_module_writes_the_form_by_hand():
    # The NumPy version imports nothing of the package.
    others = [p for p in PACKAGE.rglob("*.py") if p.name not in ("messages.py", "numpy_version.py")]
    assert len(others) > 50
    for path in others:
        errors = [n for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Raise)]
        assert not any("` must " in ast.unparse(error) for error in errors), path


@pytest.mark.parametrize(
    "value",
    ["x" * 10**4, "a\nb\r\n", [[[[1]]]] * 100, {i: "y" * 100 for i in range(100)}, 10**5000,
     np.ones((100, 100)), object()],
    ids=range(7),
)  # fmt: skip
def test_any_value_is_shown_on_one_short_line(value):
    assert_form(must("x", "be small", shown(value)), 120)
