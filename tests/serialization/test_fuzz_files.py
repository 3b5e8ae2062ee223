"""A few hundred damaged model files; `tox -e fuzz` tries as many as time allows."""

import re
import subprocess
import sys

from helpers import TESTS

SCRIPT = TESTS / "fuzz_files.py"


def test_damaged_files_are_refused_or_work():
    command = [sys.executable, str(SCRIPT), "--count", "600", "--seconds", "inf"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr[-3000:]
    found = re.fullmatch(
        r"600 files: (\d+) accepted, (\d+) resumed from, 0 failed\n", process.stdout
    )
    accepted, resumed = map(int, found.groups())
    assert 20 < accepted < 300 and resumed > 5  # both outcomes occur
