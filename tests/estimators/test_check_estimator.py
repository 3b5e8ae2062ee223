"""scikit-learn's own checks of estimators, without an expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.estimators import IS_LONG

SOLVERS = ["sgd", "adam", "lbfgs"] if IS_LONG else ["adam"]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        kind(solver=solver, max_iter=100, n_threads=1)
        for kind in (MLPClassifier, MLPRegressor)
        for solver in SOLVERS
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)
