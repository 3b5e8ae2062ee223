"""Put the estimators in the place of scikit-learn's, and record their fits."""

from __future__ import annotations

import functools
import time
from typing import Any

from sklearn import neural_network
from sklearn.neural_network import _multilayer_perceptron

from fastmlp.sklearn.base import BaseMLP
from fastmlp.sklearn.classifier import MLPClassifier
from fastmlp.sklearn.regressor import MLPRegressor

CLASSES: tuple[type[BaseMLP], ...] = (MLPClassifier, MLPRegressor)


def replace() -> None:
    """Put the estimators into `sklearn.neural_network`, from which programs import them.

    Modules that have imported the classes of scikit-learn before keep them.
    """
    for cls in CLASSES:
        for module in (neural_network, _multilayer_perceptron):
            setattr(module, cls.__name__, cls)


class Fits:
    """Records the fits of the estimators, from now on and in this process."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}
        fit = BaseMLP._fit

        @functools.wraps(fit)
        def recorded(estimator: BaseMLP, *arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return fit(estimator, *arguments, **options)
            finally:
                name = type(estimator).__name__
                self._seconds.setdefault(name, []).append(time.perf_counter() - began)

        BaseMLP._fit = recorded  # type: ignore[method-assign, assignment]

    def __str__(self) -> str:
        """Return the line that says which classes were fitted, how often, and how long it took."""
        parts = [
            f"{name} ({len(seconds)} fit{'s' * (len(seconds) > 1)}, {sum(seconds):.2f} s)"
            for name, seconds in sorted(self._seconds.items())
        ]
        if not parts:
            return "fastmlp.sklearn: no MLPClassifier or MLPRegressor was fitted in this process"
        return f"fastmlp.sklearn: fitted in place of scikit-learn's {' and '.join(parts)}"
