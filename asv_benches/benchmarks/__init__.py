"""Benchmarks of fastmlp for asv. Compiled code is kept apart for each commit."""

import os
import sys
from pathlib import Path

# Numba reads this when it is imported, so it stands before any benchmark. asv names the commit,
# except where it measures the interpreter at hand.
_COMMIT = os.environ.get("ASV_COMMIT", "working-tree")
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba-cache" / _COMMIT))
