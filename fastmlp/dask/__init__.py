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

from typing import TYPE_CHECKING, Any

from fastmlp.dask.fitting import fit
from fastmlp.dask.prediction import predict, predict_proba
from fastmlp.dask.training import ShortRoundsWarning

if TYPE_CHECKING:
    from fastmlp.dask.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "ShortRoundsWarning", "fit", "predict", "predict_proba"]


def __getattr__(name: str) -> Any:
    """Import the estimators when they are used: they need scikit-learn."""
    if name in ("MLPClassifier", "MLPRegressor"):
        from fastmlp.dask import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
