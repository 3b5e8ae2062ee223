"""The estimators in the programs of scikit-learn's users."""

import copy
import io
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context, datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.same_bits import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0, "n_threads": 1}


@pytest.fixture(scope="module")
def iris():
    return datasets.load_iris(return_X_y=True)


def numbers_of(estimator):
    return [np.ascontiguousarray(a) for a in (*estimator.coefs_, *estimator.intercepts_)]


def assert_equal(one, other):
    assert_same_bits(numbers_of(one), numbers_of(other))


# Import --------------------------------------------------------------------------------------


def test_fastmlp_does_not_import_scikit_learn():
    code = "import sys, fastmlp; fastmlp.MLP; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("made", ["None", "types.ModuleType('sklearn')"])
def test_a_missing_or_old_scikit_learn_is_one_error_with_the_line_that_installs_it(made):
    code = (
        f"import sys, types; sys.modules['sklearn'] = {made}\n"
        "try: import fastmlp.sklearn\n"
        "except ImportError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = 'fastmlp.sklearn needs scikit-learn 1.6 or later: pip install "fastmlp[sklearn]"\n'
    assert found.stdout == expected


# The weights as attributes -------------------------------------------------------------------


def test_the_weights_may_be_written_to_and_assigned(iris):
    X, y = iris
    clf = MLPClassifier(**SMALL).fit(X, y)
    before = clf.predict_proba(X)
    clf.coefs_[0][...] *= 2
    clf.intercepts_[0] = clf.intercepts_[0] + 1
    hidden = np.maximum(X @ clf.coefs_[0] + clf.intercepts_[0], 0)
    z = hidden @ clf.coefs_[1] + clf.intercepts_[1]
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-10)
    assert np.abs(expected - before).max() > 0.01
    assigned = clf.coefs_[1].copy()
    clf.coefs_ = [clf.coefs_[0], np.zeros_like(assigned)]
    np.testing.assert_allclose(clf.predict_proba(X)[:, 0], clf.predict_proba(X)[0, 0])
    clf.partial_fit(X, y)
    assert np.any(clf.coefs_[1])  # the views of the network again


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_weights_assigned_before_the_first_call_are_where_it_begins(iris, kind):
    X, y = iris
    known = kind(**SMALL).fit(X, y)
    estimator = kind(**SMALL)
    estimator.coefs_ = [coef.copy() for coef in known.coefs_]
    estimator.intercepts_ = [intercept.copy() for intercept in known.intercepts_]
    rate = {"learning_rate_init": 1e-12}
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    estimator.set_params(**rate).partial_fit(X, y, **classes)
    for one, other in zip(numbers_of(estimator), numbers_of(known), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    assert estimator.n_iter_ == 1 and estimator.t_ == 150 and len(estimator.loss_curve_) == 1


def test_assigned_weights_of_another_shape_are_refused(iris):
    clf = MLPClassifier(**SMALL).fit(*iris)
    clf.intercepts_[0] = np.zeros(3)
    with pytest.raises(ValueError, match=r"^`intercepts_\[0\]` must have shape \(8,\), got \(3,\)"):
        clf.predict(iris[0])


# Copies --------------------------------------------------------------------------------------


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), by_joblib])
def test_copies_go_on_with_the_same_bits(iris, solver, copied):
    X, y = iris
    clf = MLPClassifier(solver=solver, **SMALL).fit(X, y)
    copy = copied(clf)
    assert_equal(copy, clf)
    np.testing.assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))
    if solver != "lbfgs":
        for estimator in (clf, copy):
            estimator.partial_fit(X[:100], y[:100])
        assert_equal(copy, clf)
        assert copy.loss_curve_ == clf.loss_curve_ and copy.history_ == clf.history_
    copy.coefs_[0][...] = 0
    assert np.any(clf.coefs_[0]) and np.ptp(copy.predict_proba(X), axis=0).max() == 0


def test_a_copy_of_a_copy_that_was_not_used_keeps_the_state_of_the_solver(iris):
    X, y = iris
    clf = MLPClassifier(**SMALL).fit(X, y)
    copy = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(clf))))
    assert_equal(copy.partial_fit(X, y), clf.partial_fit(X, y))


def test_a_clone_has_the_parameters_alone(iris):
    clf = MLPClassifier(dropout=[0.25], callbacks=[], **SMALL).fit(*iris)
    copy = clone(clf)
    assert copy.get_params() == clf.get_params() and not hasattr(copy, "coefs_")
    with pytest.raises(NotFittedError):
        copy.predict(iris[0])


def test_a_grid_search_by_two_processes(iris):
    X, y = iris
    found = [
        GridSearchCV(MLPClassifier(**SMALL), {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=n).fit(X, y)
        for n in (1, 2)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in found]
    np.testing.assert_array_equal(*scores)
    assert_equal(found[0].best_estimator_, found[1].best_estimator_)


# Pipelines, names, routing -------------------------------------------------------------------


def test_frames_and_pipelines(iris):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).set_output(transform="pandas")
    clf = model.fit(frame, y)[-1]
    assert clf.feature_names_in_.tolist() == list("abcd") and clf.n_features_in_ == 4
    other = frame[["b", "a", "c", "d"]]
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(other)
    assert "MLPClassifier" in estimator_html_repr(model)


def test_polars_names(iris):
    polars = pytest.importorskip("polars")
    if not hasattr(StandardScaler().fit(polars.DataFrame({"a": [0.0, 1.0]})), "feature_names_in_"):
        pytest.skip("this scikit-learn does not know the names of this polars")
    X, y = iris
    clf = MLPClassifier(**SMALL).fit(polars.DataFrame(X, schema=["a", "b", "c", "d"]), y)
    assert clf.feature_names_in_.tolist() == list("abcd")


def test_metadata_routing_of_weights(iris):
    X, y = iris
    weights = np.random.default_rng(0).random(len(y))
    with config_context(enable_metadata_routing=True):
        clf = MLPClassifier(**SMALL).set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        found = cross_validate(
            clf, X, y, params={"sample_weight": weights}, cv=2, return_estimator=True,
            return_indices=True,
        )  # fmt: skip
    rows = found["indices"]["train"][0]
    expected = MLPClassifier(**SMALL).fit(X[rows], y[rows], sample_weight=weights[rows])
    assert_equal(found["estimator"][0], expected)


# Targets and inputs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "n_outputs"),
    [(["a", "b", "c"], 3), (["no", "yes"], 1), (["only"], 1), ([7, -3], 1), ([True, False], 1)],
)
def test_labels_of_any_type(iris, labels, n_outputs):
    X, y = iris
    y = np.array(labels)[y % len(labels)]
    clf = MLPClassifier(**SMALL | {"max_iter": 60, "learning_rate_init": 0.02}).fit(X, y)
    assert clf.n_outputs_ == n_outputs and clf.classes_.tolist() == sorted(set(labels))
    found = clf.predict(X)
    assert found.dtype == y.dtype and set(found) <= set(labels)
    assert clf.score(X, y) > (0.9 if len(labels) != 2 else 0.5)
    assert clf.predict_proba(X).shape == (150, max(2, n_outputs))
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X))


@pytest.mark.parametrize("of", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_sparse_rows_have_the_bits_of_dense_ones(iris, of):
    X, y = iris
    X = np.where(X > 1, X, 0)
    dense = MLPClassifier(early_stopping=True, **SMALL).fit(X, y)
    clf = MLPClassifier(early_stopping=True, **SMALL).fit(of(X), y)
    assert_equal(clf, dense)
    np.testing.assert_array_equal(clf.predict_proba(of(X)), dense.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_float32_stays_float32(iris, solver):
    X, y = iris
    X = X.astype(np.float32)
    for estimator in (MLPClassifier(solver=solver, **SMALL), MLPRegressor(solver=solver, **SMALL)):
        estimator.fit(X, y)
        assert {array.dtype for array in numbers_of(estimator)} == {np.dtype(np.float32)}
        outputs = getattr(estimator, "predict_proba", estimator.predict)(X)
        assert outputs.dtype == np.float32


def test_several_outputs_of_a_regression(iris):
    X, _ = iris
    model = MLPRegressor(solver="lbfgs", **SMALL | {"max_iter": 200}).fit(X[:, :2], X[:, 2:])
    assert model.predict(X[:, :2]).shape == (150, 2) and model.score(X[:, :2], X[:, 2:]) > 0.8


# Errors and warnings -------------------------------------------------------------------------


def test_partial_fit_is_there_only_if_the_solver_has_it():
    for kind in (MLPClassifier, MLPRegressor):
        assert hasattr(kind(), "partial_fit") and not hasattr(kind(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1}, "The 'alpha' parameter of MLPRegressor must be a float in the range"),
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
        ({"loss": "log_loss"}, "The 'loss' parameter of MLPRegressor"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1"),
        ({"solver": "lbfgs", "l1": 0.1}, "`l1` must be 0.0 if solver='lbfgs', got 0.1"),
        ({"loss": "poisson"}, "`y` must be at least 0 if loss='poisson'"),
    ],
)
def test_invalid_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**parameters).fit([[0.0], [1.0]], [-1.0, 1.0])


def test_divergence_is_an_error_and_early_stopping_keeps_the_best(iris):
    X, y = iris
    options = {"solver": "sgd", "activation": "identity", "learning_rate_init": 1e100}
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        MLPRegressor(**options, **SMALL).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="best validation score are kept"):
        model = MLPRegressor(early_stopping=True, **options, **SMALL).fit(X, y)
    assert np.isnan(model.validation_scores_[-1]) and np.isnan(model.loss_)
    assert all(np.isfinite(array).all() for array in numbers_of(model))


def test_an_interrupt_is_a_warning_and_keeps_the_epochs_before(iris, monkeypatch):
    from fastmlp.sklearn.stopping import EpochEnd

    def interrupted(self, recorded, call=EpochEnd.__call__):
        if self.estimator.n_iter_ == 2:
            raise KeyboardInterrupt
        return call(self, recorded)

    monkeypatch.setattr(EpochEnd, "__call__", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        clf = MLPClassifier(**SMALL).fit(*iris)
    assert clf.n_iter_ == 2 and clf.predict(iris[0]).shape == (150,)


def test_the_lines_of_verbose(iris, capsys):
    MLPClassifier(
        verbose=True, early_stopping=True, tol=10.0, n_iter_no_change=1, **SMALL
    ).fit(*iris)  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration 1, loss = ")
    assert lines[1].startswith("Validation score: 0.")
    assert lines[-1] == (
        "Validation score did not improve more than tol=10.000000 for 1 consecutive epochs. "
        "Stopping."
    )


def test_training_that_has_converged_gives_no_warning(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = MLPClassifier(tol=0.1, **SMALL | {"max_iter": 500}).fit(*iris)
    assert clf.n_iter_ < 500
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(5\) reached") as caught:
        MLPClassifier(**SMALL).fit(*iris)
    assert [each.filename for each in caught] == [__file__]  # the line of the user


# Checks that are left out where they are known to pass -----------------------------------------


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_plain_arrays_give_what_lists_give(iris, kind):
    X, y = iris
    first, *others = (kind(**SMALL).fit(X, y) for _ in range(3))
    first.partial_fit(X, y)
    others[0].partial_fit(X.tolist(), y.tolist())
    others[1].set_params(random_state=np.random.RandomState(0)).partial_fit(X, y)
    for other in others:
        assert_equal(other, first)
    np.testing.assert_array_equal(first.predict(X.tolist()), first.predict(X))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["predict", "partial_fit"])
def test_what_is_not_finite_is_refused_with_the_error_of_scikit_learn(iris, wrong, method):
    X, y = iris[0].copy(), iris[1]
    model = MLPRegressor(**SMALL).fit(X, y)
    before = numbers_of(model)
    X[7, 2] = wrong
    given = (X,) if method == "predict" else (X, y)
    with pytest.raises(ValueError, match="^Input X contains"):
        getattr(model, method)(*given)
    if method == "partial_fit":
        with pytest.raises(ValueError, match="^Input y contains"):
            model.partial_fit(iris[0], np.where(y == 1, wrong, y))
    assert_same_bits(numbers_of(model), before)


def test_what_is_not_finite_as_float32_is_refused(iris):
    X, y = iris
    model = MLPClassifier(**SMALL).fit(X.astype(np.float32), y)
    X = X.copy()
    X[7, 2] = 1e300
    with pytest.raises(ValueError, match=r"NaN or infinity in row 7 \(as float32\)"):
        model.predict(X)


def test_labels_that_are_not_known_are_refused(iris):
    X, y = iris
    clf = MLPClassifier(**SMALL).fit(X, y)
    for wrong in (3, -1, 100):
        with pytest.raises(ValueError, match="^`y` has classes not in `self.classes_`"):
            clf.partial_fit(X, np.where(y == 1, wrong, y))
    clf.set_params(warm_start=True)
    with pytest.raises(ValueError, match="warm_start can only be used"):
        clf.fit(X[y > 0], y[y > 0])


def test_the_random_state_of_the_user_is_not_seeded_again(iris):
    source = np.random.RandomState(5)
    clf = MLPClassifier(**SMALL | {"random_state": source}).fit(*iris)
    position = source.get_state()[1:3]
    clf.set_params(random_state=3).fit(*iris).fit(*iris)
    np.testing.assert_array_equal(source.get_state()[1], position[0])
    assert source.get_state()[2] == position[1]


@pytest.mark.parametrize("n_hidden", [8, 13])  # rows of 8 have no padding
def test_a_shallow_copy_does_not_share_memory(n_hidden):
    X, y = datasets.load_iris(return_X_y=True)
    net = MLPClassifier(n_hidden, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    copies = [copy.copy(net), copy.deepcopy(net)]
    before = net.predict_proba(X)
    net.partial_fit(X, y).partial_fit(X, y)
    for each in copies:
        np.testing.assert_array_equal(each.predict_proba(X), before)
        each.partial_fit(X, y).partial_fit(X, y)
        np.testing.assert_array_equal(each.predict_proba(X), net.predict_proba(X))
