"""The methods: each makes an unfitted estimator of a table's columns and target."""

from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def fastmlp(is_classification, seed):
    """Return fastmlp's estimator with `preset="tabular"`."""
    from fastmlp import sklearn

    kind = sklearn.MLPClassifier if is_classification else sklearn.MLPRegressor
    return kind(preset="tabular", random_state=seed, n_threads=1)


def ensemble(is_classification, seed):
    """Return the mean of five of `fastmlp`, with other seeds."""
    from fastmlp import sklearn

    name = "MLPEnsembleClassifier" if is_classification else "MLPEnsembleRegressor"
    member = fastmlp(is_classification, None)
    return getattr(sklearn, name)(member, n_estimators=5, n_threads=1, random_state=seed)


def sklearn_mlp(is_classification, seed):
    """Return scikit-learn's network with its defaults, behind `StandardScaler` and one-hot."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    kind = MLPClassifier if is_classification else MLPRegressor
    return make_pipeline(_columns(numbers, _one_hot()), kind(random_state=seed))


def sklearn_mlp_scaled(is_classification, seed):
    """Return `sklearn_mlp` with standardized targets."""
    model = sklearn_mlp(is_classification, seed)
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def boosting(is_classification, seed):
    """Return `HistGradientBoosting` with its defaults: it takes categories and missing values."""
    kind = HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
    return kind(random_state=seed)


def realmlp(is_classification, seed):
    """Return RealMLP-TD-S, which codes categories itself but takes no missing number."""
    import logging

    import torch
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    torch.set_num_threads(1)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    kind = RealMLP_TD_S_Classifier if is_classification else RealMLP_TD_S_Regressor
    numbers = SimpleImputer(strategy="median", add_indicator=True)
    columns = _columns(numbers, "passthrough").set_output(transform="pandas")
    return make_pipeline(columns, kind(device="cpu", random_state=seed, n_threads=1))


def _one_hot():
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def _columns(numbers, categories):
    is_number = make_column_selector(dtype_include="number")
    is_category = make_column_selector(dtype_include="category")
    return make_column_transformer(
        (numbers, is_number), (categories, is_category), verbose_feature_names_out=False
    )


METHODS = {
    "fastmlp": fastmlp,
    "fastmlp ensemble": ensemble,
    "scikit-learn": sklearn_mlp,
    "scikit-learn (y scaled)": sklearn_mlp_scaled,
    "HistGradientBoosting": boosting,
    "RealMLP_TD_S": realmlp,
}

#: Methods that do not apply to classification.
ONLY_REGRESSION = {"scikit-learn (y scaled)"}
