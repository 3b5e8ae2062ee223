"""Calls without Numba's search for types: what they assume about types is true."""

import numpy as np
import pytest
import scipy.sparse

from fastmlp import MLP, NeuralNet
from fastmlp.core import run
from fastmlp.core.machine.kernel import DirectCalls, kernel


def test_each_type_is_compiled_once():
    @kernel(entry=True)
    def first(x, i):
        return x[i]

    direct = DirectCalls(first, lambda x, i: x.dtype)
    assert direct(np.array([1.5, 2.5]), 1) == 2.5
    assert direct(np.array([3.5]), 0) == 3.5
    assert len(first.signatures) == 1
    assert direct(np.array([7, 8]), 1) == 8
    assert len(first.signatures) == 2


def forms(X, dtype):
    """Yield X in all types that kernels read, sparse matrices included."""
    for X_type in (dtype, np.uint8, np.bool_, np.float16):
        yield X.astype(X_type)
    yield scipy.sparse.csr_matrix(X.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arguments_have_the_types_that_were_compiled_for(dtype, monkeypatch, make_data):
    kinds_of = {}

    def watched(direct):
        def call(*arguments):
            kinds = tuple(map(direct._entry.typeof_pyval, arguments))
            key = direct, direct._types_of(*arguments)
            assert kinds_of.setdefault(key, kinds) == kinds
            return direct(*arguments)

        return call

    monkeypatch.setattr(run, "train_steps", watched(run.train_steps))
    monkeypatch.setattr(run, "predict_rows", watched(run.predict_rows))
    X, y = make_data([20, 6], 70)
    X = (X > 0).astype(np.int64)
    for net in (
        NeuralNet([20, 7, 6], dtype=dtype, random_state=0),
        NeuralNet([20, 7, 6], 1, 0, dtype=dtype, input_scale=2, random_state=0, n_threads=2),
        MLP([20, 7, 6], dtype=dtype, clip_norm=1, max_norm=2, random_state=0),
        MLP([20, 7, 6], dtype=dtype, dropout=0.5, input_scale=0.5, random_state=0),
        MLP([20, 7, 6], dtype=dtype, optimizer="momentum", l1=1, random_state=0),
    ):
        for form in forms(X, dtype):
            for targets in (y, np.eye(6)[y] * 0.5 + 0.5 / 6):
                for batch_size in (1, 32):
                    weights = np.arange(70)
                    net.fit(form, targets, 1, batch_size, sample_weight=weights)
                net.partial_fit(form, targets)
                net.predict(form[:1])
                net.score(form, targets)
    assert len({direct for direct, _ in kinds_of}) == 2 and len(kinds_of) >= 12
