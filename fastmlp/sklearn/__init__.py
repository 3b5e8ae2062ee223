"""Estimators for scikit-learn: change the import, keep the program."""

import importlib

try:
    _ = importlib.import_module("sklearn.utils.validation").validate_data  # since 1.6
except (ImportError, AttributeError) as error:
    raise ImportError(
        'fastmlp.sklearn needs scikit-learn 1.6 or later: pip install "fastmlp[sklearn]"'
    ) from error

from fastmlp.sklearn.classifier import MLPClassifier
from fastmlp.sklearn.encoder import TableEncoder
from fastmlp.sklearn.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastmlp.sklearn.regressor import MLPRegressor
from fastmlp.sklearn.scaling import SquashingScaler
from fastmlp.sklearn.skl2onnx_converters import register_skl2onnx

__all__ = [
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "SquashingScaler",
    "TableEncoder",
    "register_skl2onnx",
]
