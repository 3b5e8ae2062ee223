"""Scores of estimators for the collections of Dask are those of scikit-learn for all rows."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score

from fastmlp.dask import MLPClassifier, MLPRegressor

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pandas = pytest.importorskip("pandas")
pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

N = 310
X = np.random.default_rng(0).normal(size=(N, 4))
y = np.array(["ant", "bee", "cat"])[(X[:, 0] > 0) * 1 + (X[:, 1] > 0.5)]
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0.5, X[:, 2] > 2], axis=1).astype(int)
WEIGHTS = np.random.default_rng(1).random(N)
FRAME = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
OPTIONS = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": 8}


def classifier(where=False, **options):
    return MLPClassifier(client=where, **OPTIONS | options)


def regressor(where=False, **options):
    return MLPRegressor(client=where, **OPTIONS | options)


def lazy_frame(lengths=(60, 0, 1, 249)):
    """Return X as a frame with partitions of these lengths, which are unknown."""
    ends = np.cumsum(lengths)
    parts = [FRAME[end - n : end] for n, end in zip(lengths, ends, strict=True)]
    return dd.from_delayed([dask.delayed(part) for part in parts], meta=FRAME[:0])


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_scores_of_collections(where, weights):
    for chunks in ((60, 4), (N, 4), (7, 3), ((10, 0, 300), 4)):
        lazy = da.from_array(X, chunks=chunks)
        estimator = classifier(where).fit(X, y)
        expected = estimator.score(X, y, weights)
        assert estimator.score(lazy, y, weights) == pytest.approx(expected, rel=1e-12)
        assert estimator.score(lazy, da.from_array(y, chunks=50), weights) == pytest.approx(
            expected
        )
        constant = np.hstack([X[:, :1], np.full((N, 1), 2.0)])
        for targets in (X[:, 0] + 1000, X[:, :3], constant)[: 3 - (weights is not None)]:
            estimator = regressor(where).fit(X, targets)
            expected = r2_score(targets, estimator.predict(X), sample_weight=weights)
            for split in ((50,) * targets.ndim, (50, 1)[: targets.ndim]):
                found = estimator.score(lazy, da.from_array(targets, chunks=split), weights)
                assert found == pytest.approx(expected, rel=1e-9)


def test_scores_of_frames(where):
    estimator = classifier(where).fit(FRAME, y)
    frame = dd.from_pandas(FRAME.assign(y=y), npartitions=5)
    frame = frame[frame["a"] > -1]  # of partitions of unknown length
    expected = estimator.score(frame[[*FRAME]].compute(), frame["y"].compute())
    assert estimator.score(frame[[*FRAME]], frame["y"]) == pytest.approx(expected)
    with pytest.raises(ValueError, match="`y` must have 5 partitions, as X has"):
        estimator.score(frame[[*FRAME]], da.from_array(y))
    with pytest.raises(ValueError, match=f"`y` must have {N} rows, as X has"):
        estimator.score(dd.from_pandas(FRAME, npartitions=2).to_dask_array(lengths=True), y[:9])
    with pytest.raises(ValueError, match="`X` must have at least one sample"):
        nothing = frame[frame["a"] > 100]
        estimator.score(nothing[[*FRAME]], nothing["y"])


def test_frames_with_targets_in_memory(where):
    estimator, lazy = classifier(where).fit(FRAME, y), lazy_frame()
    for targets in (y, y.tolist(), y[:, np.newaxis], pandas.Series(y, dtype="category")):
        for weights in (None, WEIGHTS):
            expected = estimator.score(FRAME, y, weights)
            assert estimator.score(lazy, targets, weights) == pytest.approx(expected)
    for n in (0, 20, 61, N - 1):
        with pytest.raises(ValueError, match="`y` must have as many rows in each partition"):
            estimator.score(lazy, y[:n])
    with pytest.raises(ValueError, match="got 250 for 249"):
        estimator.score(lazy, np.append(y, "ant"))


def test_sparse_labels():
    labels = scipy.sparse.csr_matrix(LABELS)
    estimator = classifier().fit(FRAME, labels)
    for lazy in (lazy_frame(), lazy_frame((300, 10))):
        assert estimator.score(lazy, labels) == estimator.score(FRAME, labels)


def test_blocks_without_weight():
    weights = np.where(np.arange(N) < 70, 0.0, WEIGHTS)
    lazy = da.from_array(X, chunks=(60, 4))
    estimator = classifier().fit(X, y)
    assert estimator.score(lazy, y, weights) == pytest.approx(estimator.score(X, y, weights))
    estimator = regressor().fit(X, X[:, 0])
    expected = r2_score(X[:, 0], estimator.predict(X), sample_weight=weights)
    assert estimator.score(lazy, X[:, 0], weights) == pytest.approx(expected)


WRONG = [
    (None, None, "`y` must be an array with as many rows as X has, got None"),
    (X[:, 0], 2.0, "`sample_weight` must be an array with as many rows as X has, got 2.0"),
    (X[:, 0], np.zeros(N), "`sample_weight` must be above 0 for at least one sample"),
    (X[:, 0], np.full(N, np.nan), "sample_weight contains NaN"),
    (X[:, 0], WEIGHTS[1:], "`sample_weight` must have 310 rows, as X has, got 309"),
    (np.where(np.arange(N) == 200, np.nan, X[:, 0]), None, "Input y contains NaN"),
    (X[:, :2], None, "`y` must have 1 outputs, as predictions have, got 2"),
]


@pytest.mark.parametrize(
    ("targets", "weights", "message"), WRONG, ids=lambda v: v if isinstance(v, str) else ""
)
def test_what_has_no_score(targets, weights, message):
    estimator = regressor().fit(X, X[:, 0])
    with pytest.raises(ValueError, match=message):
        estimator.score(da.from_array(X, chunks=(50, 4)), targets, weights)


def test_one_sample_has_no_r2():
    estimator = regressor().fit(X, X[:, 0])
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(estimator.score(da.from_array(X[:1]), X[:1, 0]))


def test_what_X_and_y_are_computed_from_is_computed_once():
    counted = []

    def read(part):
        counted.append(part)
        return FRAME[part * 100 : part * 100 + 100].assign(y=y[part * 100 : part * 100 + 100])

    estimator = classifier().fit(FRAME, y)
    frame = dd.from_map(read, [0, 1, 2], meta=FRAME[:0].assign(y="a"))
    assert estimator.score(frame[[*FRAME]], frame["y"]) == estimator.score(FRAME[:300], y[:300])
    assert sorted(counted) == [0, 1, 2]
