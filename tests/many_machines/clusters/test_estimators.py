"""The estimators on a cluster of Dask and for its collections: the same bits, lazily."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fastmlp.dask import MLPClassifier, MLPRegressor, tasks

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pandas = pytest.importorskip("pandas")
pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

N = 310
X = np.random.default_rng(0).normal(size=(N, 4))
y = np.array(["ant", "bee", "cat"])[(X[:, 0] > 0) * 1 + (X[:, 1] > 0.5)]
WEIGHTS = np.random.default_rng(1).random(N)
FRAME = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
OPTIONS = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": 8}


def classifier(where, **options):
    return MLPClassifier(client=where, **OPTIONS | options)


def regressor(where, **options):
    return MLPRegressor(client=where, **OPTIONS | options)


def bits(estimator):
    arrays = [*estimator.coefs_, *estimator.intercepts_]
    return [array.tobytes() for array in arrays], estimator.history_, estimator.loss_curve_


def load(shard):
    return X[shard::4], y[shard::4], WEIGHTS[shard::4]


# Training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [(N, 4), (1, 4), (37, 3), ((10, 0, 300), 2)], ids=str)
def test_dask_arrays_of_any_chunks(where, chunks):
    expected = classifier(False, class_weight="balanced").fit(X, y, WEIGHTS)
    if chunks[0] == 1:
        expected = classifier(False, class_weight="balanced").fit(X[:20], y[:20], WEIGHTS[:20])
    n = len(X) if chunks[0] != 1 else 20
    data = da.from_array(X[:n], chunks=chunks), da.from_array(y[:n], chunks=min(71, n))
    found = classifier(where, class_weight="balanced").fit(*data, da.from_array(WEIGHTS[:n]))
    assert bits(found) == bits(expected)
    assert list(found.classes_) == ["ant", "bee", "cat"]


def test_arrays_in_memory_and_functions(where):
    expected = classifier(False).fit(X, y, WEIGHTS)
    assert bits(classifier(where).fit(X, y, WEIGHTS)) == bits(expected)
    assert bits(classifier(where).fit(load)) == bits(expected)
    assert bits(classifier(where).fit(da.from_array(X), y, WEIGHTS)) == bits(expected)
    sparse = scipy.sparse.csr_matrix(X)
    assert bits(classifier(where).fit(sparse, y)) == bits(classifier(False).fit(sparse, y))


def test_frames_of_unknown_lengths(where):
    frame = dd.from_pandas(FRAME.assign(y=y, w=WEIGHTS), npartitions=3)
    frame = frame[frame["w"] >= 0]
    names = list(FRAME.columns)
    expected = classifier(False).fit(FRAME, y, WEIGHTS)
    found = classifier(where).fit(frame[names], frame["y"], frame["w"])
    assert bits(found) == bits(expected)
    assert list(found.feature_names_in_) == names and found.n_features_in_ == 4
    with pytest.raises(ValueError, match="`X` must have the columns"):
        found.set_params(warm_start=True).fit(frame[names[::-1]], frame["y"])


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_of_collections(where, outputs):
    targets = X[:, :outputs] ** 2
    expected = regressor(False).fit(X, targets[:, 0] if outputs == 1 else targets)
    found = regressor(where).fit(da.from_array(X, chunks=(50, 4)), da.from_array(targets))
    assert bits(found) == bits(expected)


def test_labels_of_collections(where):
    labels = (X[:, :3] > 0).astype(int)
    found = classifier(where).fit(da.from_array(X, chunks=(50, 4)), da.from_array(labels))
    assert bits(found) == bits(classifier(False).fit(X, labels))
    predicted = found.predict(da.from_array(X, chunks=(50, 4)))
    np.testing.assert_array_equal(predicted.compute(), found.predict(X))
    score = found.score(da.from_array(X, chunks=(50, 4)), labels)
    assert score == pytest.approx(found.score(X, labels))


def test_a_class_that_only_one_chunk_has(where):
    labels = y.copy()
    labels[-1] = "dog"
    found = classifier(where).fit(da.from_array(X, chunks=(50, 4)), da.from_array(labels))
    assert list(found.classes_) == ["ant", "bee", "cat", "dog"]


def test_other_columns_are_refused_before_shards_are_read(where):
    estimator = classifier(where, warm_start=True).fit(dd.from_pandas(FRAME, npartitions=2), y)
    before = bits(estimator)
    for names, message in (
        (["b", "a", "c", "d"], "^`X` must have the columns"),
        (["a"], "^X has 1"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.fit(dd.from_pandas(FRAME[names], npartitions=2), y)
    assert bits(estimator) == before


def test_float32_collections(where):
    single = da.from_array(X.astype(np.float32), chunks=(50, 4))
    assert classifier(where).fit(single, da.from_array(y)).coefs_[0].dtype == np.float32
    frame = dd.from_pandas(FRAME.astype(np.float32), npartitions=2)
    assert classifier(where).fit(frame, da.from_array(y)).coefs_[0].dtype == np.float32


def test_validation_data_of_collections(where):
    data = {"X_val": X[:60], "y_val": y[:60]}
    lazy = {name: da.from_array(values, chunks=17) for name, values in data.items()}
    for early in (False, True):
        expected = classifier(False, early_stopping=early).fit(X, y, **data)
        found = classifier(where, early_stopping=early).fit(da.from_array(X), y, **lazy)
        assert bits(found) == bits(expected)
        assert found.validation_scores_ == expected.validation_scores_
    frame = dd.from_pandas(FRAME.assign(y=y), npartitions=3)
    expected = classifier(False).fit(FRAME, y, X_val=FRAME, y_val=y)
    names = list(FRAME.columns)
    found = classifier(where).fit(frame[names], frame["y"], X_val=frame[names], y_val=frame["y"])
    assert bits(found) == bits(expected)
    with pytest.raises(ValueError, match="`early_stopping` must be False without X_val and y_val"):
        classifier(where, early_stopping=True).fit(da.from_array(X), y)
    part = classifier(where, early_stopping=True).fit(X, y)
    assert bits(part) == bits(classifier(False, early_stopping=True).fit(X, y))


def test_one_shard_on_a_cluster(where):
    from fastmlp import sklearn

    expected = sklearn.MLPClassifier(dropout=0.1, **OPTIONS).fit(X, y)
    found = classifier(where, n_shards=1, dropout=0.1).fit(da.from_array(X), da.from_array(y))
    assert bits(found) == bits(expected)


def test_one_shard_makes_ready_with_rows_that_are_there(monkeypatch):
    """Its point has the order of all rows, and a worker first trains on a minibatch for nothing."""
    points, train = [], tasks.train

    def look(job, point, data, number, shard):
        points.append((point, len(data.X)))
        if len(points) == 1:
            tasks.make_ready("one shard", job, point, data)
        return train(job, point, data, number, shard)

    monkeypatch.setattr("fastmlp.dask.in_process.train", look)
    monkeypatch.setattr(tasks, "train", look)
    classifier(False, n_shards=1, batch_size=20).fit(scipy.sparse.csr_matrix(X), y)
    (_, n), (point, n_few), *_ = points
    assert (n, n_few) == (N, 20) and point.order is None


def test_checkpoints_are_the_same_everywhere(where, tmp_path):
    path = tmp_path / "a.npz"
    classifier(False, learning_rate="invscaling", solver="sgd", checkpoint=path).fit(X, y)
    options = {"learning_rate": "invscaling", "solver": "sgd", "max_iter": 6}
    found = classifier(where, resume=path, **options).fit(X, y)
    assert bits(found) == bits(classifier(False, **options).fit(X, y))


def test_errors_name_shards(where):
    wrong = X.copy()
    wrong[6, 1] = np.inf
    with pytest.raises(ValueError, match="^shard 2: .*row 6"):
        classifier(where).fit(da.from_array(wrong, chunks=(50, 4)), da.from_array(y))
    missing = y.astype(object)
    missing[5] = None
    with pytest.raises(ValueError, match="^shard 1: `y` must have a value in every row"):
        classifier(where).fit(da.from_array(X), da.from_array(missing, chunks=50))
    for data in ((da.from_array(X[:, 0]), y), (da.from_array(X), y[:-1])):
        with pytest.raises(ValueError, match="must have"):
            classifier(where).fit(*data)
    with pytest.raises(TypeError, match="`y` must be passed unless"):
        classifier(where).fit(da.from_array(X))


def test_the_current_client_is_the_default(client):
    assert bits(MLPClassifier(**OPTIONS).fit(X, y)) == bits(classifier(False).fit(X, y))


# Predictions -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return classifier(False).fit(X, y)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predictions_of_dask_arrays_are_lazy(fitted, method):
    expected = getattr(fitted, method)(X)
    for chunks in ((60, 4), (60, 3), (N, 1)):
        found = getattr(fitted, method)(da.from_array(X, chunks=chunks))
        assert isinstance(found, da.Array)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        computed = found.compute()
        assert computed.dtype == expected.dtype
        np.testing.assert_array_equal(computed, expected)
        assert found[:2].compute().shape == expected[:2].shape


def test_predictions_are_of_the_present_weights():
    estimator = classifier(False, warm_start=True).fit(X, y)
    expected, later = estimator.predict_proba(X), estimator.predict_proba(da.from_array(X))
    estimator.fit(X, y)
    np.testing.assert_array_equal(later.compute(), expected)
    assert (estimator.predict_proba(X) != expected).any()
    assert (estimator.predict_proba(da.from_array(X)).compute() != expected).any()


def test_predictions_of_frames(client):
    estimator = classifier(False).fit(FRAME, y)
    frame = dd.from_pandas(FRAME, npartitions=4)
    for each in (frame, frame[frame["a"] > -100], frame[frame["a"] > 1]):
        expected = estimator.predict_proba(each.compute())
        found = estimator.predict_proba(each).compute()
        np.testing.assert_array_equal(found, expected)
        assert list(found.columns) == list(estimator.classes_)
        assert (found.index == each.compute().index).all()
    empty = frame[frame["a"] > 100]
    assert estimator.predict_proba(empty).compute().shape == (0, 3)
    assert len(estimator.predict(empty).compute()) == 0
    with pytest.raises(ValueError, match="`X` must have the columns"):
        estimator.predict(frame[["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match=r"`X` must have shape \(n_samples, 4\)"):
        estimator.predict(frame[["a", "b", "c"]])


def test_predictions_of_regressors(where):
    estimator = regressor(where).fit(X, X[:, :2])
    found = estimator.predict(da.from_array(X, chunks=(60, 4)))
    np.testing.assert_array_equal(found.compute(), estimator.predict(X))
    flat = regressor(where).fit(X, X[:, 0])
    np.testing.assert_array_equal(flat.predict(da.from_array(X)).compute(), flat.predict(X))


def test_predictions_before_fit():
    from sklearn.exceptions import NotFittedError

    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(classifier(False), method)(da.from_array(X))
    with pytest.raises(NotFittedError):
        classifier(False).score(da.from_array(X), y)


# As an estimator ---------------------------------------------------------------------------------


def test_clones_share_a_real_client(client):
    estimator = classifier(client).fit(X, y)
    assert clone(estimator).client is client and "client=<Client" in repr(estimator)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.client is None and bits(again) == bits(estimator)
    search = GridSearchCV(classifier(client), {"n_shards": [1, 2]}, cv=2).fit(X, y)
    assert search.best_estimator_.client is client


def test_futures_and_memory_are_released(client):
    classifier(client).fit(da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50))
    for _ in range(100):
        if not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            break
        client.run_on_scheduler(lambda dask_scheduler: None)
    assert client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)) == []
