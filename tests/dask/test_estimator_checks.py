"""scikit-learn's own checks of estimators that train in rounds, in this process."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp.dask import MLPClassifier, MLPRegressor


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        kind(client=False, n_shards=n_shards, max_iter=100, n_threads=1)
        for kind in (MLPClassifier, MLPRegressor)
        for n_shards in (1, 3)
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)
