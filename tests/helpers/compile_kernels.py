"""Compile the kernels that many tests use, for one dtype, so that they are in the cache.

python tests/helpers/compile_kernels.py float32
"""

import sys

import numpy as np
import scipy.sparse

import fastmlp


def compile_kernels(dtype):
    fastmlp.warmup(dtype, everything=True)
    X = np.ones((1, 1))
    for form in (X.astype(np.uint8), X.astype(np.float16), scipy.sparse.csr_matrix(X)):
        net = fastmlp.NeuralNet([1, 1], dtype=dtype, random_state=0)
        net.fit(form, [0], epochs=1).predict(form)


if __name__ == "__main__":
    compile_kernels(sys.argv[1])
