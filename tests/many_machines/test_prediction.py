"""Predictions for the collections of Dask: their form, their bits, and what is refused early."""

import copy
import threading

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet
from fastmlp.core.machine.processor import usable_threads
from fastmlp.core.machine.shares import threads_of_this
from fastmlp.dask import predict, predict_proba, prediction

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")

SIZES = [6, 9, 4]
N = 1003  # more than the rows that are predicted together, and no multiple of them


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)


@pytest.fixture
def mlp(X):
    return MLP(SIZES, random_state=0).fit(X, np.arange(N) % 4, epochs=1)


def never(block):
    raise AssertionError("this was computed")


def check(lazy, expected, exact_chunks=True):
    """The declared form is the computed one, and the bits are those of the model."""
    assert isinstance(lazy, da.Array) and lazy.dtype == expected.dtype
    assert lazy.ndim == expected.ndim and lazy.shape[1:] == expected.shape[1:]
    assert type(lazy._meta) is type(expected) and lazy._meta.dtype == expected.dtype
    computed = lazy.compute()
    assert computed.dtype == expected.dtype and computed.shape == expected.shape
    assert np.array_equal(computed, expected)
    if exact_chunks:
        assert tuple(map(sum, lazy.chunks)) == expected.shape
        for k in range(lazy.numblocks[0]):
            assert lazy.blocks[k].compute().shape == lazy.blocks[k].shape


NETWORKS = {
    "classes": lambda: MLP(SIZES, random_state=0),
    "classes, float64": lambda: MLP(SIZES, random_state=0, dtype="float64"),
    "two labels": lambda: MLP([6, 9, 2], loss="logistic", random_state=0),
    "one label": lambda: MLP([6, 9, 1], loss="logistic", random_state=0),
    "value": lambda: MLP([6, 9, 1], loss="squared_error", random_state=0),
    "values": lambda: MLP([6, 9, 3], loss="poisson", random_state=0),
    "NeuralNet": lambda: NeuralNet(SIZES, random_state=0),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("chunks", [(N, 6), (100, 6), (1, 6), (400, 2)])
def test_arrays(X, kind, chunks):
    net = NETWORKS[kind]()
    rows = X[:40] if chunks[0] == 1 else X
    lazy = da.from_array(rows, chunks=chunks)
    check(predict(net, lazy), net.predict(rows))
    if "value" in kind:
        with pytest.raises(AttributeError, match="is a regression loss"):
            predict_proba(net, lazy)
    else:
        check(predict_proba(net, lazy), net.predict_proba(rows))


def test_empty_blocks_and_unknown_lengths(mlp, X):
    lazy = da.from_array(X, chunks=(100, 3))
    kept = (np.arange(N) < 90) | (np.arange(N) > 350)  # two blocks without rows
    unknown = lazy[da.from_array(kept, chunks=100)]
    check(predict(mlp, unknown), mlp.predict(X[kept]), exact_chunks=False)
    check(predict_proba(mlp, unknown), mlp.predict_proba(X[kept]), exact_chunks=False)
    check(predict(mlp, da.from_array(X, chunks=((0, 500, 0, 503), 6))), mlp.predict(X))
    check(predict_proba(mlp, lazy[:0]), np.empty((0, 4), np.float32))


def test_sparse_blocks(mlp, X):
    sparse = pytest.importorskip("scipy.sparse")
    X[np.random.default_rng(1).random(X.shape) < 0.8] = 0
    lazy = da.from_array(X, chunks=(300, 3)).map_blocks(sparse.csr_matrix)
    check(predict(mlp, lazy), mlp.predict(sparse.csr_matrix(X)))


def frame_of(X):
    index = np.random.default_rng(2).permutation(N) * 0.5
    return pd.DataFrame(X, columns=list("abcdef"), index=index)


def test_data_frames(X):
    frame = frame_of(X)
    mlp = MLP(SIZES, random_state=0).fit(frame, np.arange(N) % 4, epochs=1)
    for sort in (True, False):
        lazy = dd.from_pandas(frame, npartitions=3 + sort, sort=sort)
        in_order = lazy.compute()
        found = predict(mlp, lazy)
        assert isinstance(found, dd.Series) and found.divisions == lazy.divisions
        assert found.dtype == np.int64
        expected = pd.Series(mlp.predict(in_order), index=in_order.index)
        pd.testing.assert_series_equal(found.compute(), expected)
        found = predict_proba(mlp, lazy)
        assert isinstance(found, dd.DataFrame) and found.divisions == lazy.divisions
        assert list(found.columns) == [0, 1, 2, 3] and set(found.dtypes) == {np.dtype(np.float32)}
        expected = pd.DataFrame(mlp.predict_proba(in_order), index=in_order.index)
        pd.testing.assert_frame_equal(found.compute(), expected, check_column_type=False)
    empty = lazy[lazy["a"] > 1e9]
    assert predict(mlp, empty).compute().shape == (0,)


def test_what_is_no_collection_gives_what_the_model_returns(mlp, X):
    for rows in (X, X.tolist(), pd.DataFrame(X)):
        found = predict(mlp, rows)
        assert type(found) is np.ndarray and np.array_equal(found, mlp.predict(X))
    assert np.array_equal(predict_proba(mlp, X), mlp.predict_proba(X))


def test_nothing_is_computed_before_it_is_used(mlp, X):
    lazy = da.from_array(X, chunks=(100, 3)).map_blocks(never, dtype=np.float32, meta=X[:0])
    assert predict(mlp, lazy).shape == (N,)
    assert predict_proba(mlp, lazy).shape == (N, 4)
    frame = dd.from_pandas(frame_of(X), npartitions=4)
    frame = frame.map_partitions(never, meta=frame._meta)
    assert predict(mlp, frame).npartitions == 4 and predict_proba(mlp, frame).shape[1] == 4


def test_a_result_is_of_the_model_as_it_was(mlp, X):
    lazy, before = da.from_array(X, chunks=(100, 6)), copy.deepcopy(mlp)
    first = predict_proba(mlp, lazy)
    assert first.name == predict_proba(before, lazy).name
    mlp.fit(X, np.zeros(N, int), epochs=1)
    second = predict_proba(mlp, lazy)
    assert second.name != first.name
    assert np.array_equal(first.compute(), before.predict_proba(X))
    assert np.array_equal(second.compute(), mlp.predict_proba(X))
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=2)
    assert predict(mlp, frame)._name != predict(before, frame)._name


def test_the_model_is_in_the_graph_once(X):
    net = MLP([6, 3000, 4], random_state=0)
    lazy = predict(net, da.from_array(X, chunks=(10, 6)) + 1)
    once = sum(array.nbytes for array in [*net.weights, *net.biases])
    (graph,) = dask.optimize(lazy)
    assert lazy.numblocks[0] > 100
    sizes = [len(pickled(task)) for task in dict(graph.__dask_graph__()).values()]
    assert sum(size > once for size in sizes) == 1
    assert sum(sizes) < 6 * once


def pickled(value):
    import cloudpickle

    return cloudpickle.dumps(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: da.from_array(X[:, :5]), r"must have shape \(n_samples, 6\), got \(1003, 5\)"),
        (lambda X: da.from_array(X[:, 0]), r"must have shape \(n_samples, 6\), got \(1003,\)"),
        (lambda X: da.from_array(X[None]), r"must have shape .* got \(1, 1003, 6\)"),
        (
            lambda X: dd.from_pandas(frame_of(X)[list("abcde")], npartitions=2),
            r"must have shape \(n_samples, 6\), got \(n_samples, 5\)",
        ),
        (
            lambda X: dd.from_pandas(frame_of(X)[list("abcdfe")], npartitions=2),
            "got 'f' in place of 'e' at position 4",
        ),
        (lambda X: dd.from_pandas(frame_of(X), npartitions=2)["a"], r"got \(n_samples,\)"),
        (lambda X: dask.delayed(X), "must be an array, a data frame"),
    ],
)  # fmt: skip
def test_other_columns_are_refused_before_anything_is_computed(X, make, message):
    mlp = MLP(SIZES, random_state=0).fit(frame_of(X), np.arange(N) % 4, epochs=1)
    for function in (predict, predict_proba):
        with pytest.raises((TypeError, ValueError), match=message):
            function(mlp, make(X))


def test_other_models_are_refused(X):
    for model in (None, object(), MLP):
        with pytest.raises(TypeError, match="`model` must be an MLP, a NeuralNet or an estimator"):
            predict(model, X)


def test_an_error_of_a_value_names_the_block(mlp, X):
    X[703, 2] = np.nan
    message = "block 7 of `X`: `X` must be finite, got NaN or infinity in row 3 "
    with pytest.raises(ValueError, match=message):
        predict(mlp, da.from_array(X, chunks=(100, 2))).compute()
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=10)
    with pytest.raises(ValueError, match="^partition 7 of `X`: `X` must be finite"):
        predict(mlp, frame).compute()


def test_blocks_that_are_computed_at_once_share_the_threads(mlp, X, monkeypatch):
    monkeypatch.setattr(prediction, "_threads_here", lambda: 4)
    barrier, allowed = threading.Barrier(4, timeout=200), []

    def predicted(self, rows):
        if len(rows) < N:
            barrier.wait()
            allowed.append(threads_of_this(8))
            barrier.wait()  # before any has ended
        else:
            allowed.append(threads_of_this(8))
        return np.zeros(len(rows), int)

    monkeypatch.setattr(MLP, "predict", predicted)
    with dask.config.set(num_workers=4):
        predict(mlp, da.from_array(X, chunks=(251, 6))).compute()
        predict(mlp, da.from_array(X)).compute()
    assert allowed == [1, 1, 1, 1, 4]


def test_on_a_cluster(mlp, X):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 3, "dashboard_address": ":0"}
    with distributed.LocalCluster(processes=False, **options) as cluster:
        with distributed.Client(cluster) as client, dask.config.set(scheduler=client):
            check(predict_proba(mlp, da.from_array(X, chunks=(100, 4))), mlp.predict_proba(X))
            frame = dd.from_pandas(frame_of(X), npartitions=4)
            expected = mlp.predict(frame.compute(scheduler="threads"))
            assert np.array_equal(predict(mlp, frame).compute().to_numpy(), expected)
            assert client.submit(prediction._threads_here).result() == 3
            assert prediction._threads_here() == usable_threads()


# Estimators --------------------------------------------------------------------------------------


def estimators():
    sklearn = pytest.importorskip("fastmlp.sklearn")
    small = {"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}
    names = np.array(["blue", "green", "red"])
    return {
        "text": (sklearn.MLPClassifier(**small), names[np.arange(N) % 3]),
        "two": (sklearn.MLPClassifier(**small), np.arange(N) % 2 * 7),
        "multilabel": (sklearn.MLPClassifier(**small), np.eye(3, dtype=int)[np.arange(N) % 3]),
        "value": (sklearn.MLPRegressor(**small), np.arange(N) / N),
        "values": (sklearn.MLPRegressor(**small), np.random.default_rng(0).random((N, 2))),
        "preset": (sklearn.MLPRegressor(preset="tabular", max_iter=1), np.arange(N) / N),
        "ensemble": (
            sklearn.MLPEnsembleClassifier(sklearn.MLPClassifier(**small), n_estimators=2),
            names[np.arange(N) % 3],
        ),
        "regressors": (
            sklearn.MLPEnsembleRegressor(sklearn.MLPRegressor(**small), n_estimators=2),
            np.arange(N) / N,
        ),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", list(estimators()))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_estimators(X, kind, dtype):
    estimator, y = estimators()[kind]
    X = X.astype(dtype)
    estimator.fit(X, y)
    lazy = da.from_array(X, chunks=(300, 4))
    methods = [predict, predict_proba] if hasattr(estimator, "predict_proba") else [predict]
    for function in methods:
        check(function(estimator, lazy), getattr(estimator, function.__name__)(X))
    estimator.fit(frame_of(X), y)
    frame = dd.from_pandas(frame_of(X), npartitions=4)
    in_order = frame.compute()
    for function in methods:
        found = function(estimator, frame).compute()
        assert found.index.equals(in_order.index)
        expected = getattr(estimator, function.__name__)(in_order)
        assert np.array_equal(found.to_numpy().astype(expected.dtype), expected)
        with pytest.raises(ValueError, match="got 'f' in place of 'e'"):
            function(estimator, frame[list("abcdfe")])
    if kind == "two":
        assert list(predict_proba(estimator, frame).columns) == [0, 7]


def test_an_estimator_that_is_not_fitted_is_refused(X):
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.raises(exceptions.NotFittedError):
        predict(estimators()["two"][0], da.from_array(X))


def test_a_regressor_has_no_probabilities(X):
    with pytest.raises(AttributeError, match="predict_proba"):
        predict_proba(estimators()["value"][0], da.from_array(X))
