"""Run as a script in a new process: print the seconds from start to the end of a first call.

python first_call.py import | fit | trivial
"""

import sys
import time

if __name__ == "__main__":
    START = time.perf_counter()
    WHAT = sys.argv[1]
    if WHAT == "import":
        import fastmlp
    elif WHAT == "fit":
        import numpy as np

        import fastmlp

        X, y = fastmlp.datasets.digits()
        net = fastmlp.NeuralNet([64, 32, 10], dtype=np.float32, random_state=0)
        net.fit(X, y, epochs=1)
    elif WHAT == "trivial":
        import numpy as np
        from numba import njit

        @njit(cache=True)
        def add_one(a):
            a[0] += 1.0

        add_one(np.zeros(1))
    else:
        sys.exit(f"unknown: {WHAT}")
    print(time.perf_counter() - START)
