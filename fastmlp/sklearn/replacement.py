"""Put the estimators in the place of scikit-learn's, and record their fits."""

from __future__ import annotations

import functools
import time
from collections import Counter
from typing import Any

from sklearn import neural_network

from fastmlp.sklearn.base import BaseMLP
from fastmlp.sklearn.classifier import MLPClassifier
from fastmlp.sklearn.regressor import MLPRegressor

CLASSES: tuple[type[BaseMLP], ...] = (MLPClassifier, MLPRegressor)


def replace() -> None:
    """Put the estimators into `sklearn.neural_network`, from which programs import them.

    Modules that have imported the classes of scikit-learn before keep them, and pickles of
    scikit-learn's networks are still loaded as such.
    """
    for cls in CLASSES:
        setattr(neural_network, cls.__name__, cls)


class Fits:
    """Records the calls of fit and partial_fit, from now on and in this process."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        fit = BaseMLP._fit

        @functools.wraps(fit)
        def recorded(estimator: BaseMLP, *arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return fit(estimator, *arguments, **options)
            finally:
                name = type(estimator).__name__
                self._calls[name] += 1
                self._seconds[name] += time.perf_counter() - began  # type: ignore[assignment]

        BaseMLP._fit = recorded  # type: ignore[method-assign, assignment]

    def __str__(self) -> str:
        """Return the line that says which classes were trained, how often, and for how long."""
        parts = [
            f"{name} ({n} call{'s' * (n > 1)}, {self._seconds[name]:.2f} s)"
            for name, n in sorted(self._calls.items())
        ]
        if not parts:
            return "fastmlp.sklearn: no MLPClassifier or MLPRegressor was trained in this process"
        return f"fastmlp.sklearn: trained in place of scikit-learn's {' and '.join(parts)}"
