"""Training of one network on many machines, in rounds, by Dask.

Examples
--------
>>> import fastmlp.dask
>>> from fastmlp import MLP, datasets
>>> X, y = datasets.digits()
>>> mlp = MLP([64, 32, 10], input_scale=1 / 16, random_state=0)
>>> mlp = fastmlp.dask.fit(mlp, X, y, client=False, rounds=20)
>>> mlp.score(X, y) > 0.95
True
"""

from __future__ import annotations

from fastmlp.dask.fitting import fit
from fastmlp.dask.training import ShortRoundsWarning

__all__ = ["ShortRoundsWarning", "fit"]
