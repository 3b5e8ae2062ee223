"""Fixtures used by several test files."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from fastmlp.core.machine import processor
from helpers import SHARED_DATA, TESTS

MANY = 1000  # tests: as many need most kernels


def pytest_configure(config):
    """Hear Ctrl-C, which tests send, also where a shell has started pytest in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session):
    """Compile for both dtypes at the same time if most tests are to run."""
    if len(session.items) < MANY or session.config.option.collectonly:
        return
    script = TESTS / "helpers" / "compile_kernels.py"
    processes = [subprocess.Popen([sys.executable, script, d]) for d in ("float32", "float64")]
    for process in processes:
        if process.wait() != 0:
            raise pytest.UsageError(f"{script} failed")


@pytest.fixture(scope="session")
def digits():
    from fastmlp import datasets

    X, y = datasets.digits()
    return X / 16, y


@pytest.fixture(scope="session")
def mnist():
    """Return the 10,000 test images of MNIST, scaled to 0..1, and their labels, or skip."""
    from fastmlp import datasets

    if not SHARED_DATA.is_dir():
        pytest.skip("the MNIST files are not beside this checkout")
    X = datasets.read_idx(SHARED_DATA / "mnist-t10k-images-idx3-ubyte.gz").reshape(10000, 784)
    y = datasets.read_idx(SHARED_DATA / "mnist-t10k-labels-idx1-ubyte.gz")
    return (X / 255).astype(np.float32), y


@pytest.fixture
def make_data():
    """Return a function that makes n samples and labels for a network of the given sizes."""

    def make(sizes, n, seed=0):
        random = np.random.default_rng(seed)
        X = random.standard_normal((n, sizes[0])) * (random.random((n, sizes[0])) < 0.7)
        return X, random.integers(0, sizes[-1], n)

    return make


@pytest.fixture
def make_mlp():
    """Return a function that makes an `MLP` of [8, 12, 3] with some options."""
    from fastmlp import MLP

    return lambda **options: MLP([8, 12, 3], **{"random_state": 0} | options)


@pytest.fixture
def one_call():
    """Return a function that makes the optimizer state and the samples of a `train_steps` call."""
    from fastmlp.core import step
    from fastmlp.core.equations.losses import Targets
    from fastmlp.core.equations.update_rules import SGD
    from fastmlp.core.inputs import nonzeros
    from fastmlp.core.optimizer_state import OptimizerState

    def make(network, X, labels, batch_size):
        targets = Targets(labels, np.empty(0, network.dtype), np.empty(0))
        samples = step.Samples(
            X.reshape(-1), None, network.scaling, targets, None, None,
            np.arange(len(labels)), batch_size, nonzeros.DENSE,
        )  # fmt: skip
        descent = OptimizerState(network, SGD)
        descent.rate = 0.1
        return descent, samples

    return make


@pytest.fixture
def eight_processors(monkeypatch):
    """Allow up to eight threads, however many processors the machine has."""
    monkeypatch.setattr(processor, "usable_threads", lambda: 8)


@pytest.fixture(params=[0, 2**17], ids=["found by the kernels", "checked before"])
def x_not_finite(request, monkeypatch):
    """Let a fit find NaN in X while it trains, or before, as in a small X."""
    monkeypatch.setattr("fastmlp.training.data.FEW_ELEMENTS", request.param)
