"""The ensembles: the mean of members, whose seeds, rows, errors and files are tested."""

import copy
import io
import os
import pickle
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastmlp
from fastmlp.callbacks import Callback
from fastmlp.sklearn import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
)
from helpers.model_files import Parts
from helpers.onnx_models import columns_of, content_of, outputs, session_of
from helpers.same_bits import assert_same_bits
from helpers.tables import table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (8, 5), "max_iter": 4}
FRAME = table(400)
NUMBERS = (FRAME["number"] * 50 + 1000 * (FRAME["text"] == "b c")).to_numpy()
LABELS = np.where(FRAME["bool"], "yes", np.where(FRAME["number"] > 0, "no", "maybe"))


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        MLPEnsembleClassifier(MLPClassifier(max_iter=100), n_estimators=2, n_threads=1),
        MLPEnsembleRegressor(MLPRegressor(max_iter=100), n_estimators=2, n_threads=1),
        MLPEnsembleRegressor(MLPRegressor(max_iter=100, preset="tabular"), 2, n_threads=1),
    ],
    expected_failed_checks=lambda ensemble: (
        {"check_sample_weight_equivalence_on_dense_data": "a preset holds out other samples"}
        if ensemble.estimator.preset
        else {}
    ),
)
def test_check_estimator(estimator, check):
    check(estimator)


def numbers(n=300, dtype=np.float64):
    return np.random.default_rng(0).normal(size=(n, 4)).astype(dtype)


def targets_of(kind, X):
    """Return targets of a kind, which depend on X."""
    score = X[:, 0] + X[:, 1] ** 2
    return {
        "binary": np.where(score > 1, "yes", "no"),
        "classes": np.array(["b", "ü", "a"])[np.digitize(score, [0, 1])],
        "one class": np.full(len(X), 7),
        "multilabel": np.column_stack([score > 1, score > 0, X[:, 2] > 0]).astype(int),
        "number": score,
        "numbers": np.column_stack([score, X[:, 2] * 3, X[:, 3]]),
    }[kind]


CLASSES = ("binary", "classes", "one class", "multilabel")
KINDS = (*CLASSES, "number", "numbers")


def new(kind, n_estimators=3, random_state=0, n_threads=1, bootstrap=False, **of_member):
    """Return an ensemble for targets of a kind."""
    is_classifier = kind in CLASSES
    member = (MLPClassifier if is_classifier else MLPRegressor)(**(SMALL | of_member))
    return (MLPEnsembleClassifier if is_classifier else MLPEnsembleRegressor)(
        member, n_estimators, bootstrap=bootstrap, n_threads=n_threads, random_state=random_state
    )


def weights_of(ensemble):
    return [
        np.ascontiguousarray(array)
        for member in ensemble.estimators_
        for array in (*member.coefs_, *member.intercepts_)
    ]


def predicted(estimator, X):
    """Return probabilities or predictions."""
    is_classifier = hasattr(estimator, "classes_")
    return estimator.predict_proba(X) if is_classifier else estimator.predict(X)


def seeds_of(random_state, n):
    return np.random.RandomState(random_state).randint(2**31 - 1, size=n).tolist()


# The mean and its members -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_mean_of_single_fits_with_the_seeds_of_random_state(kind, dtype):
    X = numbers(dtype=dtype)
    y = targets_of(kind, X)
    ensemble = new(kind).fit(X, y)
    members = [
        clone(ensemble.estimator).set_params(random_state=seed).fit(X, y) for seed in seeds_of(0, 3)
    ]
    assert [m.random_state for m in ensemble.estimators_] == seeds_of(0, 3)
    for ours, other in zip(ensemble.estimators_, members, strict=True):
        assert_same_bits(ours.coefs_[0], other.coefs_[0])
    found = predicted(ensemble, X)
    expected = np.mean([predicted(m, X).astype(float) for m in members], axis=0)
    assert found.dtype == dtype and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(found, predicted(members[0], X), rtol=1e-3, atol=0)
    if kind in CLASSES:
        assert ensemble.classes_.tolist() == members[0].classes_.tolist()
        best = ensemble.classes_[np.minimum(expected.argmax(1), len(ensemble.classes_) - 1)]
        labels = expected > 0.5 if kind == "multilabel" else best
        assert (ensemble.predict(X) == labels).all()
        np.testing.assert_array_equal(ensemble.predict_log_proba(X), np.log(found))


def test_the_mean_may_predict_another_class_than_each_member():
    ensemble = new("classes").fit(X := numbers(), targets_of("classes", X))
    for member, biases in zip(ensemble.estimators_, [(5, 4, 0), (0, 4, 5), (0, 4, 5)], strict=True):
        member.coefs_[-1][:] = 0
        member.intercepts_[-1][:] = biases
    assert {*ensemble.estimators_[0].predict(X)} == {"a"}
    ensemble.estimators_[1].intercepts_[-1][:] = (0, 4, 4.5)
    ensemble.estimators_[2].intercepts_[-1][:] = (4.5, 4.4, 0)
    assert {*ensemble.estimators_[1].predict(X)} == {"ü"}
    assert {*ensemble.estimators_[2].predict(X)} == {"a"}
    mean = np.mean([m.predict_proba(X[:1]) for m in ensemble.estimators_], axis=0)[0]
    assert {*ensemble.predict(X)} == {ensemble.classes_[mean.argmax()]}


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("preset", [None, "tabular"])
@pytest.mark.parametrize("kind", ["classes", "number"])
def test_the_same_bits_on_any_number_of_threads(kind, preset, bootstrap):
    X = numbers(3000, np.float32)
    y = targets_of(kind, X)
    given = {"preset": preset, "bootstrap": bootstrap, "n_estimators": 4}
    one, *others = (new(kind, n_threads=n, **given).fit(X, y) for n in (1, 2, 3, None))
    for other in others:
        assert_same_bits(weights_of(one), weights_of(other))
        assert_same_bits(predicted(one, X), predicted(other, X))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_the_first_members_do_not_depend_on_how_many_there_are(bootstrap):
    X = numbers()
    y = targets_of("classes", X)
    few, many = (new("classes", n, bootstrap=bootstrap).fit(X, y) for n in (2, 4))
    assert_same_bits(weights_of(few), weights_of(many)[: len(weights_of(few))])


def test_its_n_threads_are_those_of_members_without_their_own():
    X = numbers()
    y = targets_of("number", X)
    assert [m.n_threads for m in new("number", 2, n_threads=3).fit(X, y).estimators_] == [3, 3]
    own = new("number", 2, n_threads=3).set_params(estimator__n_threads=1).fit(X, y)
    assert [m.n_threads for m in own.estimators_] == [1, 1]


def test_defaults():
    X = numbers(60)
    ensemble = MLPEnsembleClassifier(random_state=0).fit(X, targets_of("binary", X))
    assert len(ensemble.estimators_) == 5 and type(ensemble.estimators_[0]) is MLPClassifier
    ensemble = MLPEnsembleRegressor(n_estimators=1, random_state=0).fit(X, X[:, 0])
    assert type(ensemble.estimators_[0]) is MLPRegressor


def test_a_random_state_object_gives_other_members_in_each_fit():
    X = numbers()
    y = targets_of("number", X)
    ensemble = new("number", random_state=np.random.RandomState(3))
    first, second = ([m.random_state for m in ensemble.fit(X, y).estimators_] for _ in range(2))
    assert first == seeds_of(3, 3) and not set(first) & set(second)


# What fit takes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_bootstrap_is_a_weight_for_each_row(solver):
    X = numbers()
    y = targets_of("classes", X)
    ours, given = new("classes", solver=solver, bootstrap=True), np.linspace(0, 2, len(X))
    ours.fit(X, y, given)
    for seed, member in zip(seeds_of(0, 3), ours.estimators_, strict=True):
        drawn = np.random.RandomState([seed, 1]).randint(len(X), size=len(X))
        counts = np.bincount(drawn, minlength=len(X))
        assert 0.3 < (counts == 0).mean() < 0.45
        other = clone(ours.estimator).set_params(random_state=seed).fit(X, y, given * counts)
        assert_same_bits(member.coefs_[0], other.coefs_[0])


@pytest.mark.parametrize("as_given", ["array", "frame", "list", "sparse", "table"])
def test_a_bootstrap_that_lacks_a_class_keeps_it(as_given):
    X = numbers()
    y = np.where(np.arange(len(X)) == 5, "rare", targets_of("binary", X))
    given = {
        "array": X, "frame": pd.DataFrame(X), "list": X.tolist(),
        "sparse": scipy.sparse.csr_matrix(X),
        "table": pd.DataFrame(X).assign(text="a"),
    }[as_given]  # fmt: skip
    if as_given in ("frame", "table"):
        given.columns = given.columns.map(str)
    preset = "tabular" if as_given == "table" else None
    ensemble = new("classes", 6, bootstrap=True, preset=preset).fit(given, y)
    lack = [
        5 not in np.random.RandomState([seed, 1]).randint(len(X), size=len(X))
        for seed in seeds_of(0, 6)
    ]
    assert any(lack)
    assert all(m.classes_.tolist() == ["no", "rare", "yes"] for m in ensemble.estimators_)
    assert ensemble.predict_proba(given).shape == (len(X), 3)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_x(kind):
    X = numbers() * (numbers() > 0.3)
    y, given = targets_of(kind, numbers()), scipy.sparse.csr_matrix(X)
    ensemble = new(kind, n_threads=2).fit(given, y)
    members = [
        clone(ensemble.estimator).set_params(random_state=m.random_state).fit(given, y)
        for m in ensemble.estimators_
    ]
    for ours, other in zip(ensemble.estimators_, members, strict=True):
        assert_same_bits(ours.coefs_[0], other.coefs_[0])
    np.testing.assert_allclose(predicted(ensemble, given), predicted(ensemble, X), rtol=1e-9)


def test_a_bootstrap_with_too_few_rows_to_hold_out_names_the_member():
    X = numbers(12)
    ensemble = new("number", 20, bootstrap=True, early_stopping=True)
    with pytest.raises(ValueError, match=r"^estimators_\[\d+\], .* sample that is held out"):
        ensemble.fit(X, X[:, 0])
    X = numbers(1)
    one = new("number", bootstrap=True).fit(X, X[:, 0])
    assert np.isfinite(one.predict(X)).all()


def test_weights_and_validation_data_reach_the_members():
    X = numbers()
    y, w = targets_of("number", X), np.linspace(0, 3, len(X))
    val = {"X_val": X[:50].tolist(), "y_val": y[:50].tolist(), "sample_weight_val": w[:50] + 1}
    ensemble = new("number").fit(X, y, w, **val)
    other = clone(ensemble.estimator).set_params(random_state=seeds_of(0, 1)[0]).fit(X, y, w, **val)
    assert_same_bits(ensemble.estimators_[0].coefs_[0], other.coefs_[0])
    assert ensemble.estimators_[0].validation_loss_curve_ == other.validation_loss_curve_
    with pytest.raises(ValueError, match="`y_val` must be passed together"):
        new("number").fit(X, y, X_val=X)


@pytest.mark.parametrize(("kind", "y"), [("classes", LABELS), ("number", NUMBERS)])
def test_each_member_holds_out_its_own_rows_of_a_table(kind, y):
    ensemble = new(kind, preset="tabular").fit(FRAME, y)
    centres = {m.encoder_.columns_[1].centre for m in ensemble.estimators_}
    assert len(centres) == 3
    assert ensemble.feature_names_in_.tolist() == FRAME.columns.tolist()
    assert ensemble.n_features_in_ == FRAME.shape[1]
    assert ensemble.predict(FRAME).shape == (400,) and 0 < ensemble.score(FRAME, y) <= 1
    assert ensemble.__sklearn_tags__().input_tags.allow_nan


def test_names_of_columns_are_known_and_checked():
    X = pd.DataFrame(numbers(), columns=list("abcd"))
    ensemble = new("number").fit(X, X["a"])
    assert ensemble.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        ensemble.predict(X.rename(columns={"a": "z"}))
    ensemble.fit(X.to_numpy(), X["a"])
    assert not hasattr(ensemble, "feature_names_in_")


def test_classes_are_weighted():
    X = numbers()
    y = targets_of("binary", X)
    ensemble = new("binary", class_weight={"yes": 100.0}, max_iter=30).fit(X, y)
    plain = new("binary", max_iter=30).fit(X, y)
    assert (ensemble.predict(X) == "yes").mean() > (plain.predict(X) == "yes").mean()


# scikit-learn's tools -----------------------------------------------------------------------------


def test_a_search_sets_parameters_of_the_members():
    X = numbers()
    y = targets_of("binary", X)
    grid = {"estimator__alpha": [0.0, 1.0], "n_estimators": [1, 2]}
    search = GridSearchCV(new("binary"), grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    assert best.estimators_[0].alpha == search.best_params_["estimator__alpha"]


def test_pickles_and_copies_predict_the_same():
    X = numbers()
    ensemble = new("classes").fit(X, targets_of("classes", X))
    expected = ensemble.predict_proba(X)
    for other in (pickle.loads(pickle.dumps(ensemble)), copy.deepcopy(ensemble)):
        assert_same_bits(other.predict_proba(X), expected)
    assert not hasattr(clone(ensemble), "estimators_")


# Errors -------------------------------------------------------------------------------------------


class Raising(Callback):
    """Raises an error in the second member that begins."""

    error, lock, begun = RuntimeError, threading.Lock(), 0

    def on_train_begin(self, logs=None):
        with self.lock:
            Raising.begun += 1
            number = Raising.begun
        if number == 2:
            raise self.error("this one")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError, ValueError), (TypeError, TypeError), (KeyError, RuntimeError),
        (UnicodeError, RuntimeError),
    ],
)  # fmt: skip
def test_an_error_of_a_member_names_it_and_changes_nothing(monkeypatch, error, expected):
    X = numbers()
    y = targets_of("classes", X)
    source = np.random.RandomState(0)
    ensemble = new("classes", random_state=source).fit(X, y)
    before, position = ensemble.predict_proba(X), source.get_state()[2]
    members = ensemble.estimators_
    monkeypatch.setattr(Raising, "error", error)
    monkeypatch.setattr(Raising, "begun", 0)
    ensemble.set_params(estimator__callbacks=[Raising()])
    with pytest.raises(expected) as raised:
        ensemble.fit(X, y)
    assert type(raised.value) is expected and type(raised.value.__cause__) is error
    assert str(raised.value).startswith("estimators_[1], MLPClassifier(")
    assert "this one" in str(raised.value)
    assert ensemble.estimators_ is members and source.get_state()[2] == position
    assert_same_bits(ensemble.predict_proba(X), before)


class Begin(Callback):
    """Says that a member trains."""

    begun = threading.Event()

    def on_epoch_end(self, epoch, logs=None):
        self.begun.set()

    def __deepcopy__(self, memo):
        return Begin()


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_stops_all_members_and_changes_nothing(n_threads):
    X = numbers(2000)
    y = targets_of("classes", X)
    ensemble = new("classes", n_threads=n_threads).fit(X, y)
    members, interrupted = ensemble.estimators_, []
    Begin.begun.clear()

    def interrupt():
        Begin.begun.wait(200)
        interrupted.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    ensemble.set_params(
        estimator__callbacks=[Begin()], estimator__max_iter=10**6, estimator__tol=0.0,
        estimator__n_iter_no_change=np.inf,
    )  # fmt: skip
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        ensemble.fit(X, y)
    assert time.process_time() - interrupted[0] < 5
    assert ensemble.estimators_ is members


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"estimator": MLPRegressor()}, "'estimator' parameter of MLPEnsembleClassifier must be"),
        ({"estimator": MLPClassifier}, "'estimator' parameter of MLPEnsembleClassifier must be"),
        ({"n_estimators": 0}, "'n_estimators' parameter"),
        ({"n_estimators": 2.0}, "'n_estimators' parameter"),
        ({"bootstrap": "yes"}, "'bootstrap' parameter"),
        ({"n_threads": 0}, "'n_threads' parameter"),
        ({"random_state": -1}, "'random_state' parameter"),
        ({"estimator__alpha": -1.0}, "'alpha' parameter of MLPClassifier"),
    ],
    ids=str,
)
def test_invalid_parameters_are_refused(given, message):
    X = numbers()
    ensemble = new("binary").set_params(**given)
    with pytest.raises(ValueError, match=message):
        ensemble.fit(X, targets_of("binary", X))
    assert not hasattr(ensemble, "estimators_")


def test_invalid_data_are_refused_in_the_words_of_the_estimator():
    X = numbers()
    y = targets_of("number", X)
    wrong = X.copy()
    wrong[7, 2] = np.nan
    with pytest.raises(ValueError, match="^Input X contains NaN in row 7 of column 2"):
        new("number").fit(wrong, y)
    ensemble = new("number").fit(X, y)
    with pytest.raises(ValueError, match="X"):
        ensemble.predict(wrong)
    with pytest.raises(ValueError, match="sample_weight"):
        ensemble.fit(X, y, np.full(len(X), -1.0))
    with pytest.raises(ValueError, match="^sample_weight.shape == "):
        ensemble.fit(X, y, [1.0, 2.0])
    with pytest.raises(ValueError, match="^This MLPRegressor estimator requires y"):
        ensemble.fit(X, None)
    with pytest.raises(NotFittedError):
        new("number").predict(X)
    with pytest.raises(ValueError, match="have 400 rows"):
        new("number", preset="tabular").fit(FRAME, NUMBERS[:-1])


# Files --------------------------------------------------------------------------------------------


def saved(ensemble, *metadata):
    file = io.BytesIO()
    ensemble.save(file, *metadata)
    return file.getvalue()


def fitted(kind, **given):
    if given.get("preset"):
        return new(kind, **given).fit(FRAME, LABELS if kind in CLASSES else NUMBERS), FRAME
    X = numbers()
    return new(kind, **given).fit(X, targets_of(kind, X)), X


@pytest.mark.parametrize("preset", [None, "tabular"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_all_members(kind, preset):
    ensemble, X = fitted(kind, preset=preset)
    content = saved(ensemble, {"target": "y"})
    for again in (fastmlp.load(io.BytesIO(content)), type(ensemble).load(io.BytesIO(content))):
        assert type(again) is type(ensemble) and repr(again) == repr(ensemble)
        assert again.metadata_ == {"target": "y"}
        assert_same_bits(weights_of(again), weights_of(ensemble))
        assert again.n_features_in_ == X.shape[1]
        assert_same_bits(predicted(again, X), predicted(ensemble, X))
        np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))
    assert saved(again) == content


def test_a_file_without_an_estimator_and_of_a_subclass():
    class Mine(MLPEnsembleRegressor):
        pass

    X = numbers(60)
    ensemble = Mine(n_estimators=2, random_state=np.random.RandomState(0), verbose=1)
    ensemble.verbose = 0
    content = saved(ensemble.fit(X, X[:, 0]))
    again = fastmlp.load(io.BytesIO(content))
    assert type(again) is MLPEnsembleRegressor and again.estimator is None
    assert type(Mine.load(io.BytesIO(content))) is Mine
    assert_same_bits(again.predict(X), ensemble.predict(X))


def test_what_cannot_be_saved_or_loaded():
    ensemble, _ = fitted("classes")
    with pytest.raises(NotFittedError):
        saved(clone(ensemble))
    ensemble.set_params(estimator__learning_rate=lambda step: 0.1)
    with pytest.raises(TypeError, match="learning_rate"):
        saved(ensemble)
    content = saved(fitted("classes")[0])
    with pytest.raises(ValueError, match="hold a network of class MLPClassifier"):
        MLPClassifier.load(io.BytesIO(content))
    with pytest.raises(ValueError, match="hold a network of class MLPEnsembleRegressor"):
        MLPEnsembleRegressor.load(io.BytesIO(content))
    single = saved(MLPClassifier(4, max_iter=1).fit(numbers(), numbers()[:, 0] > 0))
    with pytest.raises(ValueError, match="hold a network of class MLPEnsembleClassifier"):
        MLPEnsembleClassifier.load(io.BytesIO(single))


CHANGES = {
    "members of another class": lambda plain: plain["members"][1].update({"class": "MLPRegressor"}),
    "an ensemble in it": lambda plain: plain["members"][1].update({"class": plain["class"]}),
    "members as a dict": lambda plain: plain.update(members={}),
    "another field": lambda plain: plain.update(other=1),
    "a field less": lambda plain: plain.pop("estimator"),
    "another parameter": lambda plain: plain["parameters"].update(other=1),
    "an estimator among the parameters": lambda plain: plain["parameters"].update(estimator=1),
    "an invalid parameter": lambda plain: plain["parameters"].update(n_estimators=0),
    "an invalid one of the estimator": lambda plain: plain["estimator"].update(alpha=-1),
    "another number of columns": lambda plain: plain["members"][1].update(n_features=3),
    "other names": lambda plain: plain["members"][1].update(feature_names=list("abcd")),
    "other classes": lambda plain: plain["members"][1]["targets"].update(classes=["b", "c", "ü"]),
    "another kind of classes": lambda plain: plain["members"][1]["targets"].update(sparse=True),
    "an invalid member": lambda plain: plain["members"][1].update(seen=-1),
    "class as a list": lambda plain: plain.update({"class": [plain["class"]]}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_refused(change):
    X = numbers()
    parts = Parts(saved(new("classes").fit(X, targets_of("classes", X).astype(object))))
    assert fastmlp.load(io.BytesIO(parts.content())).classes_.tolist() == ["a", "b", "ü"]
    CHANGES[change](parts.plain)
    with pytest.raises(ValueError, match="path"):
        fastmlp.load(io.BytesIO(parts.content()))


# ONNX ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_onnx(kind, dtype):
    X = numbers(5000, dtype)
    ensemble = new(kind).fit(X, targets_of(kind, X))
    found = outputs(ensemble, X)
    if kind in CLASSES:
        p = ensemble.predict_proba(X)
        assert list(found) == ["label", "probabilities"] and found["probabilities"].dtype == p.dtype
        np.testing.assert_allclose(found["probabilities"], p, rtol=1e-5, atol=1e-6)
        best = np.sort(p)[:, -2:]
        sure = best[:, 1] - best[:, 0] > 1e-5
        if kind == "multilabel":
            sure = (np.abs(p - 0.5) > 1e-5).all(axis=1)
        assert sure.mean() > 0.99
        assert found["label"][sure].tolist() == ensemble.predict(X)[sure].tolist()
    else:
        expected = ensemble.predict(X)
        assert list(found) == ["variable"] and found["variable"].dtype == expected.dtype
        np.testing.assert_allclose(
            found["variable"], expected.reshape(len(X), -1), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_onnx_of_tables(kind):
    ensemble, _ = fitted(kind, preset="tabular")
    session = session_of(content_of(ensemble))
    found = session.run(None, columns_of(session, FRAME))
    expected = predicted(ensemble, FRAME)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        found[-1] / scale, expected.reshape(found[-1].shape) / scale, rtol=1e-5, atol=1e-6
    )
    if kind == "classes":
        assert found[0].tolist() == ensemble.predict(FRAME).tolist()


def test_onnx_of_a_table_of_which_members_use_different_columns():
    """A number in one row only, which some members hold out: for them the column is empty."""
    X = pd.DataFrame({"a": numbers()[:, 0], "b": np.nan, "c": numbers()[:, 1]})
    X.loc[3, "b"] = 1.0
    y = targets_of("number", numbers())
    ensemble = new("number", 12, preset="tabular", early_stopping=True).fit(X, y)
    assert len({m.encoder_.columns_[1].n_outputs > 0 for m in ensemble.estimators_}) == 2
    session = session_of(content_of(ensemble))
    assert [each.name for each in session.get_inputs()] == ["a", "b", "c"]
    (found,) = session.run(None, columns_of(session, X))
    np.testing.assert_allclose(found[:, 0], ensemble.predict(X), rtol=1e-4, atol=1e-4)


def test_onnx_of_a_table_of_numbers_is_one_matrix():
    X = numbers()
    ensemble = new("number", preset="tabular").fit(X, targets_of("number", X))
    found = outputs(ensemble, X)["variable"][:, 0]
    np.testing.assert_allclose(found, ensemble.predict(X), rtol=1e-5, atol=1e-5)


def test_onnx_needs_a_fit():
    with pytest.raises(NotFittedError):
        content_of(new("number"))
