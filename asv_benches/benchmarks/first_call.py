"""Run as a script in a new process: print how long first calls take.

    python first_call.py import | fit | MLP | MLP after fit | numba | trivial

The seconds from the start of the process to the end of the call, and those of its processor. With
"MLP after fit", which compiles an `MLP` after a `NeuralNet`, only those of the `MLP`.
"""

import sys
import time

if __name__ == "__main__":
    START, USED = time.perf_counter(), time.process_time()
    WHAT = sys.argv[1]
    if WHAT == "import":
        import fastmlp

        fastmlp.NeuralNet  # noqa: B018
    elif WHAT == "numba":
        import numba  # noqa: F401
    elif WHAT in ("fit", "MLP", "MLP after fit"):
        import numpy as np

        import fastmlp

        X, y = fastmlp.datasets.digits()
        if WHAT != "MLP":
            net = fastmlp.NeuralNet([64, 32, 10], dtype=np.float32, random_state=0)
            net.fit(X, y, epochs=1)
        if WHAT == "MLP after fit":
            START, USED = time.perf_counter(), time.process_time()
        if WHAT != "fit":
            fastmlp.MLP([64, 32, 10], random_state=0).fit(X, y, epochs=1)
    elif WHAT == "trivial":
        import numpy as np
        from numba import njit

        @njit(cache=True)
        def add_one(a):
            a[0] += 1.0

        add_one(np.zeros(1))
    else:
        sys.exit(f"unknown: {WHAT}")
    print(time.perf_counter() - START, time.process_time() - USED)
