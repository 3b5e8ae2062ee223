"""Pictures of networks and estimators, in the style of scikit-learn's displays.

A class method computes what is drawn, draws it and returns the display: ``from_history``,
``from_estimator`` or ``from_predictions``. The display has the axes as ``ax_`` and the figure as
``figure_``; its ``plot(ax=None)`` draws it again, for example on other axes, and returns these.

The pictures need ``pip install "fastmlp[plot]"``. They do not depend on colours alone: lines differ
in style and markers, and colour maps become monotonically lighter. Settings of matplotlib, such as
styles and sizes of fonts, are used and never changed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastmlp.tables import extras

if TYPE_CHECKING:
    from fastmlp.plotting.boundary import DecisionBoundaryDisplay
    from fastmlp.plotting.confusion import ConfusionMatrixDisplay
    from fastmlp.plotting.importance import PermutationImportanceDisplay
    from fastmlp.plotting.learning_curves import LearningCurvesDisplay
    from fastmlp.plotting.prediction_error import PredictionErrorDisplay
    from fastmlp.plotting.weights import FirstLayerWeightsDisplay

#: The displays, which are imported when first accessed, and the modules that have them.
_LAZY = {
    "ConfusionMatrixDisplay": "confusion",
    "DecisionBoundaryDisplay": "boundary",
    "FirstLayerWeightsDisplay": "weights",
    "LearningCurvesDisplay": "learning_curves",
    "PermutationImportanceDisplay": "importance",
    "PredictionErrorDisplay": "prediction_error",
}
#: Those that scikit-learn has a part of.
_OF_SKLEARN = {"ConfusionMatrixDisplay", "PermutationImportanceDisplay", "PredictionErrorDisplay"}
__all__ = [
    "ConfusionMatrixDisplay",
    "DecisionBoundaryDisplay",
    "FirstLayerWeightsDisplay",
    "LearningCurvesDisplay",
    "PermutationImportanceDisplay",
    "PredictionErrorDisplay",
]


def __getattr__(name: str) -> Any:
    """Import displays when they are first accessed: importing scikit-learn takes a second."""
    if name not in _LAZY:
        raise AttributeError(f"module 'fastmlp.plotting' has no attribute {name!r}")
    if name in _OF_SKLEARN:
        extras.required("sklearn", "scikit-learn", name, 'pip install "fastmlp[plot]"')
    return getattr(importlib.import_module(f"fastmlp.plotting.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
