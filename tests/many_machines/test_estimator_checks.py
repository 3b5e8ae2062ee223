"""scikit-learn's own checks of estimators that train in rounds, in this process."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp.dask import MLPClassifier, MLPRegressor

OTHER_SHARDS = "where a weight becomes a repetition, other rows are in a shard"
FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": OTHER_SHARDS,
    "check_sample_weight_equivalence_on_sparse_data": OTHER_SHARDS,
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        kind(client=False, n_shards=n_shards, max_iter=100, n_threads=1)
        for kind in (MLPClassifier, MLPRegressor)
        for n_shards in (1, 3)
    ],
    expected_failed_checks=lambda estimator: FAILURES if estimator.n_shards > 1 else {},
)
def test_check_estimator(estimator, check):
    check(estimator)
