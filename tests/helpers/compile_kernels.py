"""Compile the kernels that many tests use, for one dtype, so that they are in the cache.

python tests/helpers/compile_kernels.py float32
"""

import sys

import numpy as np
import scipy.sparse

from fastmlp import MLP, NeuralNet


def compile_kernels(dtype):
    """Compile basic kernels and those with all options, for every type of X."""
    X = np.ones((1, 1), dtype)
    for form in (X, X.astype(np.uint8), X.astype(np.float16), scipy.sparse.csr_matrix(X)):
        for net in (NeuralNet([1, 1], dtype=dtype), MLP([1, 1, 1], activation="elu", dtype=dtype)):
            net.fit(form, [0], epochs=1).predict(form)


if __name__ == "__main__":
    compile_kernels(sys.argv[1])
