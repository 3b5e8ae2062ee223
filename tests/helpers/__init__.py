"""Modules and paths shared by the tests."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
#: Real data beside the checkout, which some tests train on if it is there.
SHARED_DATA = ROOT.parent / "shared" / "data"
