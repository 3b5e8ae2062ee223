"""Benchmarks of fastmlp for asv."""

import os
import sys
from pathlib import Path

# Each commit that asv measures has its own cache of compiled code. Numba reads this variable when
# it is imported, so it is set before the modules of the benchmarks are.
if "ASV_COMMIT" in os.environ:
    cache = Path(sys.prefix) / "numba-cache" / os.environ["ASV_COMMIT"]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))
