"""The benchmarks run; what they measure is for them to say."""

import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).parents[1] / "asv_benches"


def test_peers_prints_a_row_for_each_case():
    result = subprocess.run(
        [
            *(sys.executable, str(BENCHES / "peers.py"), "--systems", "fastmlp"),
            *("--cases", "20-16-4@32,20-4@1", "--rounds", "1"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    rows = [line for line in result.stdout.splitlines() if line.startswith("| [")]
    assert [row.split("|")[1:3] for row in rows] == [
        [" [20, 16, 4] ", " 32 "],
        [" [20, 4] ", " 1 "],
    ]
    assert all(float(row.split("|")[3]) > 0 for row in rows)
