"""What all tests of clusters have in common."""

import sys

import numpy as np
import pytest

from fastmlp import MLP
from helpers import ROOT

sys.path.append(str(ROOT))  # workers inherit it: they import what test modules define


@pytest.fixture(scope="session", autouse=True)
def compiled():
    """Compile before clusters start: their tests wait for workers, but not for a compilation."""
    random = np.random.default_rng(0)
    X, y = random.random((40, 8)), np.arange(40) % 3
    for dtype in (np.float32, np.float64):
        mlp = MLP([8, 16, 3], dtype=dtype, random_state=0)
        mlp.fit(X.astype(dtype), y, epochs=1, validation_data=(X, y))
        mlp.predict(X)


@pytest.fixture(scope="module")
def client():
    """Return the client of a cluster of two workers in this process."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=[False, True], ids=["here", "cluster"])
def where(request):
    """Return the argument `client`: False, or one."""
    return request.getfixturevalue("client") if request.param else False
