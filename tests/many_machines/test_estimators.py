"""The estimators that train in rounds, in this process, and against `fastmlp.sklearn`."""

import contextlib
import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import callbacks
from fastmlp import sklearn as here
from fastmlp.dask import MLPClassifier, MLPRegressor
from fastmlp.dask.in_process import InProcess
from helpers.callbacks import Interrupt
from helpers.same_bits import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
IRIS, SPECIES = load_iris(return_X_y=True)
IRIS = StandardScaler().fit_transform(IRIS)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
LABELS = np.stack([SPECIES == 0, IRIS[:, 0] > 0], axis=1).astype(int)
WEIGHTS = np.random.default_rng(0).random(150)
RECORDS = [
    "loss_", "loss_curve_", "best_loss_", "n_iter_", "t_", "validation_scores_", "history_",
    "best_validation_score_", "n_outputs_", "n_layers_", "n_features_in_", "out_activation_",
]  # fmt: skip
LARGE = np.random.default_rng(1).normal(size=(2500, 3))  # more than 200 rows in each of 3 shards


def assert_same(one, *others):
    """Check that fitted estimators have the same weights, classes, solvers and records."""
    for other in others:
        assert_same_bits([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_])
        for name in RECORDS:
            assert getattr(one, name) == getattr(other, name), name
        for name in ("classes_", "feature_names_in_"):
            known, found = (list(getattr(each, name, ())) for each in (one, other))
            assert known == found
        memories = [each._tie().memory() for each in (one, other)]
        assert_same_bits(*[memory["moments"].get("first", []) for memory in memories])
        assert memories[0]["optimizer"] == memories[1]["optimizer"]


def classifier(*args, **options):
    return MLPClassifier(*args, **{"client": False, "max_iter": 3, "random_state": 0} | options)


def regressor(**options):
    return MLPRegressor(**{"client": False, "max_iter": 3, "random_state": 0} | options)


# One shard ---------------------------------------------------------------------------------------

OPTIONS = [
    {},
    {"shuffle": False},
    {"shuffle": "blocks", "batch_size": 40},
    {"solver": "sgd"},
    {"solver": "adamw", "alpha": 0.1},
    {"batch_size": 32, "activation": "tanh"},
    {"dropout": 0.3, "input_noise": 0.1},
    {"clip_norm": 0.1, "l1": 0.001},
    {"early_stopping": True},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
    {"learning_rate": "cyclic_cosine"},
    {"tol": 10.0, "n_iter_no_change": 2},
    {"hidden_layer_sizes": ()},
]
KINDS = {"text": NAMES, "binary": SPECIES > 0, "labels": LABELS}


def name_of(options):
    return "-".join(f"{name}={value}" for name, value in options.items()) or "defaults"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_one_shard_is_the_classifier_of_fastmlp_sklearn(options, kind):
    options = {"hidden_layer_sizes": 8, "max_iter": 6, "random_state": 0} | options
    expected = here.MLPClassifier(**options).fit(IRIS, KINDS[kind])
    found = MLPClassifier(client=False, n_shards=1, **options).fit(IRIS, KINDS[kind])
    assert_same(expected, found)
    assert_same_bits(expected.predict_proba(IRIS), found.predict_proba(IRIS))
    np.testing.assert_array_equal(expected.predict(IRIS), found.predict(IRIS))


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
@pytest.mark.parametrize("n_outputs", [0, 1, 2])
def test_one_shard_is_the_regressor_of_fastmlp_sklearn(loss, n_outputs):
    y = np.abs(LARGE[:, :n_outputs] if n_outputs > 0 else LARGE[:, 0])
    options = {"loss": loss, "max_iter": 3, "random_state": 0, "early_stopping": n_outputs == 2}
    found = MLPRegressor(client=False, n_shards=1, **options)
    with pytest.warns(Warning, match="1d array") if n_outputs == 1 else contextlib.nullcontext():
        expected, found = (each.fit(LARGE, y) for each in (here.MLPRegressor(**options), found))
    assert_same(expected, found)
    assert_same_bits(expected.predict(LARGE), found.predict(LARGE))


@pytest.mark.parametrize(
    "X",
    [IRIS.astype(np.float32), scipy.sparse.csr_array(IRIS), scipy.sparse.csc_matrix(IRIS),
     np.asfortranarray(IRIS), (IRIS * 10).astype(np.int8), IRIS.tolist()],
    ids=["float32", "csr", "csc", "fortran", "int8", "list"],
)  # fmt: skip
def test_one_shard_of_any_array(X):
    expected = here.MLPClassifier(max_iter=3, random_state=0).fit(X, NAMES, WEIGHTS)
    found = classifier(n_shards=1).fit(X, NAMES, WEIGHTS)
    assert_same(expected, found)
    assert found.coefs_[0].dtype == (np.float32 if getattr(X, "dtype", 0) == np.float32 else float)


@pytest.mark.parametrize("y", [NAMES, SPECIES > 0, LABELS], ids=["text", "bool", "labels"])
@pytest.mark.parametrize("early", [False, True])
def test_one_shard_with_validation_data_and_class_weights(early, y):
    data = {"X_val": IRIS[::3], "y_val": y[::3], "sample_weight_val": WEIGHTS[::3]}
    options = {"class_weight": "balanced", "early_stopping": early, "max_iter": 4}
    expected = here.MLPClassifier(random_state=0, **options).fit(IRIS, y, WEIGHTS, **data)
    found = classifier(n_shards=1, **options).fit(IRIS, y, WEIGHTS, **data)
    assert_same(expected, found)
    assert found.validation_loss_curve_ == expected.validation_loss_curve_
    assert {*found.history_} >= {"loss", "validation_loss"}


def test_one_shard_and_several_epochs_in_a_round():
    expected = here.MLPClassifier(max_iter=6, random_state=0).fit(LARGE, LARGE[:, 0] > 0)
    found = classifier(n_shards=1, local_epochs=2).fit(LARGE, LARGE[:, 0] > 0)
    assert_same_bits(expected.coefs_, found.coefs_)
    assert found.n_iter_ == 3 and found.t_ == expected.t_ == 6 * 2500
    assert found.loss_curve_ == expected.loss_curve_[1::2]


def test_a_schedule_is_spread_over_all_epochs():
    options = {"learning_rate": "cyclic_cosine", "random_state": 0}
    expected = here.MLPClassifier(max_iter=6, **options).fit(IRIS, NAMES)
    found = classifier(n_shards=1, local_epochs=2, **options).fit(IRIS, NAMES)
    assert_same_bits(expected.coefs_, found.coefs_)


@pytest.mark.parametrize("X", [IRIS, scipy.sparse.csc_matrix(IRIS)], ids=["dense", "sparse"])
def test_one_shard_and_held_out_samples_with_weights(X):
    options = {"early_stopping": True, "class_weight": "balanced", "random_state": 0}
    expected = here.MLPClassifier(max_iter=3, **options).fit(X, NAMES, WEIGHTS)
    assert_same(expected, classifier(n_shards=1, **options).fit(X, NAMES, WEIGHTS))


def test_a_random_state_goes_on_as_in_fastmlp_sklearn():
    sources = [np.random.RandomState(5) for _ in range(2)]
    expected = here.MLPClassifier(max_iter=3, random_state=sources[0]).fit(IRIS, NAMES)
    found = classifier(n_shards=1, random_state=sources[1]).fit(IRIS, NAMES)
    assert_same(expected, found)
    assert sources[0].random() == sources[1].random()


# Several shards ----------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [NAMES, SPECIES > 0, LABELS], ids=["text", "bool", "labels"])
def test_a_round_is_the_mean_of_fits_to_the_shards(y):
    """Of sgd without momentum, from the same initial weights, for batches of any size."""
    options = {"solver": "sgd", "momentum": 0, "shuffle": False, "max_iter": 1, "batch_size": 7}
    found = classifier(5, n_shards=3, scale_rate=1.0, **options).fit(IRIS, y, WEIGHTS)
    shards = [
        here.MLPClassifier(5, random_state=0, **options).fit(IRIS[s::3], y[s::3], WEIGHTS[s::3])
        for s in range(3)
    ]
    for l, coefs in enumerate(found.coefs_):
        mean = np.mean([shard.coefs_[l] for shard in shards], axis=0)
        np.testing.assert_allclose(coefs, mean, rtol=1e-13)
    assert found.loss_ == pytest.approx(np.mean([shard.loss_ for shard in shards]), rel=1e-13)
    assert found.t_ == 150


def test_training_in_rounds_learns():
    assert classifier(max_iter=60).fit(IRIS, NAMES).score(IRIS, NAMES) > 0.95
    y = LARGE[:, 0] - np.sin(LARGE[:, 1])
    assert regressor(max_iter=60).fit(LARGE, y).score(LARGE, y) > 0.95


def test_the_result_depends_on_the_shards_and_the_seed():
    fits = [
        classifier(**options).fit(IRIS, NAMES)
        for options in ({}, {"n_shards": 3}, {"random_state": 1}, {"local_epochs": 2}, {})
    ]
    digests = [fit.coefs_[0].tobytes() for fit in fits]
    assert digests[0] == digests[-1] and len({*digests}) == 4


@pytest.mark.parametrize(
    "classes",
    [["a", "b"], ["one"], [True, False], [-3, 5, 7], [0.0, 2.0], ["ä", "日本", "c"]],
    ids=str,
)
def test_labels_of_any_kind(classes):
    y = np.array(classes)[np.arange(150) % len(classes)]
    found = classifier().fit(IRIS, y)
    np.testing.assert_array_equal(found.classes_, sorted(classes))
    assert found.classes_.dtype == y.dtype and set(found.predict(IRIS)) <= set(classes)
    if y.dtype.kind == "U":
        objects = classifier().fit(IRIS, y.astype(object))
        assert_same_bits(found.coefs_, objects.coefs_)


def test_a_class_that_only_one_shard_has():
    y = NAMES.astype(object)
    y[4] = "a new one"  # of shard 0 of 4
    found = classifier(max_iter=5).fit(IRIS, y)
    assert found.classes_[0] == "a new one" and found.predict_proba(IRIS).shape == (150, 4)


def test_sparse_labels():
    found = classifier().fit(IRIS, scipy.sparse.csr_matrix(LABELS))
    assert_same(classifier().fit(IRIS, LABELS), found)
    assert scipy.sparse.issparse(found.predict(IRIS))


def test_balanced_class_weights_count_all_shards():
    y = SPECIES[:120]  # 50, 50 and 20 of them
    weights = {0: 120 / (3 * 50), 1: 120 / (3 * 50), 2: 120 / (3 * 20)}
    assert_same(
        classifier(class_weight="balanced").fit(IRIS[:120], y),
        classifier(class_weight=weights).fit(IRIS[:120], y),
        classifier().fit(IRIS[:120], y, np.array([weights[label] for label in y])),
    )


def test_balanced_weights_of_labels():
    from sklearn.utils.class_weight import compute_sample_weight

    labels = np.hstack([LABELS, np.zeros((150, 1), int)])  # one of them never occurs
    weights = compute_sample_weight("balanced", labels)
    assert_same(
        classifier(class_weight="balanced").fit(IRIS, labels),
        classifier().fit(IRIS, labels, weights),
    )


def test_weights_of_labels_that_not_every_shard_has():
    from sklearn.utils.class_weight import compute_sample_weight

    labels = LABELS.copy()
    labels[0::4, 0], labels[1::4, 0] = 0, 1
    for given in ([{1: 3.0}, {0: 0.5}], ["balanced", {1: 3.0}], [None, "balanced"]):
        weights = compute_sample_weight(given, labels)
        found = classifier(class_weight=given).fit(IRIS, labels)
        assert_same(found, classifier().fit(IRIS, labels, weights))
    for refused in ([{1: 3.0}], [{7: 1.0}, {1: 3.0}], {1: 2.0}):
        with pytest.raises(ValueError, match="class_weight"):
            classifier(class_weight=refused).fit(IRIS, labels)


def test_a_shard_without_weight():
    weights = np.where(np.arange(150) % 4 == 2, 0.0, 1.0)
    found = classifier().fit(IRIS, NAMES, weights)
    assert np.isfinite(found.loss_)
    with pytest.raises(ValueError, match="`sample_weight` must be above 0 for at least one"):
        classifier().fit(IRIS, NAMES, 0 * weights)


def test_batches_are_of_the_largest_shard():
    y = LARGE[:, 0] > 0
    assert_same(
        classifier(n_shards=3).fit(LARGE, y),  # 834 rows
        classifier(n_shards=3, batch_size=200).fit(LARGE, y),
    )
    assert_same(
        classifier(n_shards=20).fit(LARGE, y), classifier(n_shards=20, batch_size=125).fit(LARGE, y)
    )
    with pytest.warns(UserWarning, match="clipped"):
        clipped = classifier(n_shards=20, batch_size=126).fit(LARGE, y)
    assert_same(clipped, classifier(n_shards=20).fit(LARGE, y))


# Functions ---------------------------------------------------------------------------------------


def load(shard):
    return IRIS[shard::4], NAMES[shard::4]


def test_a_function_that_loads_shards():
    expected = classifier().fit(IRIS, NAMES)
    assert_same(expected, classifier().fit(load))
    weighted = classifier(class_weight="balanced").fit(IRIS, NAMES, WEIGHTS)
    found = classifier(class_weight="balanced").fit(lambda s: (*load(s), WEIGHTS[s::4]))
    assert_same(weighted, found)
    expected = regressor(n_shards=2).fit(IRIS, IRIS[:, :2])
    assert_same(expected, regressor(n_shards=2).fit(lambda s: (IRIS[s::2], IRIS[s::2, :2])))
    lists = classifier().fit(lambda s: [each.tolist() for each in load(s)])
    assert_same(classifier().fit(load), lists)


def test_a_column_of_targets_is_flat():
    expected = regressor().fit(lambda s: (IRIS[s::4], IRIS[s::4, 0]))
    assert_same(expected, regressor().fit(lambda s: (IRIS[s::4], IRIS[s::4, :1])))


def test_functions_that_load_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    expected = classifier().fit(frame, pandas.Series(NAMES))
    found = classifier().fit(lambda s: (frame[s::4], pandas.Series(NAMES)[s::4]))
    assert_same(expected, found)
    assert list(found.feature_names_in_) == ["a", "b", "c", "d"]
    assert_same_bits(expected.predict_proba(frame), found.predict_proba(frame))
    with pytest.raises(ValueError, match="^shard 1: `X` must have the columns"):
        classifier().fit(lambda s: (frame[s::4][list("abcd" if s != 1 else "abdc")], load(s)[1]))


def test_float32_only_if_all_shards_are():
    X = IRIS.astype(np.float32)
    assert classifier().fit(lambda s: (X[s::4], load(s)[1])).coefs_[0].dtype == np.float32
    mixed = classifier().fit(lambda s: ((X if s < 3 else IRIS)[s::4], load(s)[1]))
    assert mixed.coefs_[0].dtype == np.float64


WRONG = {
    "columns": (lambda s: (IRIS[s::4, : 4 - (s == 2)], NAMES[s::4]), "4 columns in every shard"),
    "types": (lambda s: (IRIS[s::4], (NAMES if s else SPECIES)[s::4]), "labels of one type"),
    "labels": (lambda s: (IRIS[s::4], LABELS[s::4] if s else NAMES[s::4]), "in every shard"),
    "missing": (lambda s: (IRIS[s::4], np.where(NAMES == "setosa", None, NAMES)[s::4]),
                "^shard 0: `y` must have a value in every row, got a missing one in row 0"),
    "mixed": (lambda s: (IRIS[s::4], np.array([1, "a"] * 19, object)[: len(IRIS[s::4])]),
              "^shard 0: `y` must have labels of one type, got int and str"),
    "continuous": (lambda s: (IRIS[s::4], IRIS[s::4, 0]), "Unknown label type: continuous"),
    "nan": (lambda s: (np.where(np.arange(38)[: len(IRIS[s::4]), None] == 7 * s, np.nan, 0)
                       + np.zeros(4), NAMES[s::4]), "^shard 0: .*row 0"),
    "empty": (lambda s: (IRIS[:0], NAMES[:0]), "^shard 0: `X` must have shape"),
    "flat": (lambda s: (IRIS[s::4, 0], NAMES[s::4]), "^shard 0: `X` must have shape"),
    "rows": (lambda s: (IRIS[s::4], NAMES[:5]), "^shard 0: `y` must have 38 rows"),
    "negative": (lambda s: (IRIS[s::4], NAMES[s::4], -WEIGHTS[s::4]), "^shard 0: `sample_weight`"),
    "nothing": (lambda s: None, r"`X\(0\)` must return \(X, y\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shards_are_named(name):
    function, message = WRONG[name]
    estimator = classifier()
    before = dict(vars(estimator))
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.fit(function)
    assert vars(estimator) == before


def test_rows_are_those_of_the_whole():
    X = IRIS.copy()
    X[6, 2] = np.nan
    with pytest.raises(ValueError, match="NaN in row 6 of column 2; a TableEncoder takes"):
        classifier().fit(X, NAMES)


# Refused -----------------------------------------------------------------------------------------


REFUSED = [
    ({"solver": "lbfgs"}, {}, "`solver` must be trained by minibatches to train in rounds"),
    ({"preset": "tabular"}, {}, "`preset` must be None to train in rounds"),
    ({"metrics": "f1"}, {}, "`metrics` must be None without X_val and y_val"),
    ({"checkpoint": "a.npz", "early_stopping": True}, {}, "`checkpoint` must be None if early"),
    ({"resume": True}, {}, "`resume` must be a path, or True with `checkpoint`"),
    ({"n_shards": 151}, {}, "`n_shards` must be at most 150"),
    ({"n_shards": 140, "early_stopping": True}, {}, "`n_shards` must be at most 135"),
    ({"n_shards": 0}, {}, "n_shards"),
    ({"local_epochs": 1.5}, {}, "local_epochs"),
    ({"local_steps": 0}, {}, "local_steps"),
    ({"local_steps": 3, "local_epochs": 2}, {}, "`local_epochs` must be 1 if `local_steps` is"),
    ({"scale_rate": 0.0}, {}, "scale_rate"),
    ({"scale_rate": "large"}, {}, "scale_rate"),
    ({"class_weight": "even"}, {}, "even"),
    ({}, {"X_val": IRIS}, "`y_val` must be passed together with validation data"),
    ({"hidden_layer_sizes": [0]}, {}, "hidden_layer_sizes"),
    ({"callbacks": [1]}, {}, r"`callbacks\[0\]` must be an instance"),
    ({}, {"X_val": len, "y_val": NAMES}, "`X_val` must be an array"),
    ({"metrics": "r2"}, {"X_val": IRIS, "y_val": NAMES}, "metrics"),
]


@pytest.mark.parametrize(("options", "data", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_is_refused_changes_nothing(options, data, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted = classifier().fit(IRIS, NAMES)
    before, coefs = dict(vars(fitted)), copy.deepcopy(fitted.coefs_)
    for name, value in options.items():
        setattr(fitted, name, value)
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.fit(IRIS, NAMES, **data)
    assert {**vars(fitted), **{name: before[name] for name in options}} == before
    assert_same_bits(coefs, fitted.coefs_)
    assert not [*tmp_path.iterdir()]


def test_early_stopping_of_functions_needs_validation_data():
    with pytest.raises(ValueError, match="`early_stopping` must be False without X_val and y_val"):
        classifier(early_stopping=True).fit(load)
    found = classifier(early_stopping=True).fit(load, X_val=IRIS, y_val=NAMES)
    assert len(found.validation_scores_) == 3
    with pytest.raises(ValueError, match="`y` must be None if `X` is a function"):
        classifier().fit(load, NAMES)


def test_partial_fit_is_not_available():
    assert not hasattr(classifier(), "partial_fit")
    with pytest.raises(AttributeError) as error:
        _ = classifier().partial_fit
    assert "use fit with warm_start=True" in str(error.value.__cause__)


# Training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_shards", [1, 3])
def test_warm_start_continues(n_shards):
    options = {"max_iter": 2, "random_state": 0, "warm_start": True, "solver": "sgd"}
    found = MLPClassifier(client=False, n_shards=n_shards, **options).fit(IRIS, NAMES)
    first = found.coefs_[0].copy()
    found.fit(IRIS, NAMES)
    assert found.t_ == 600 and len(found.loss_curve_) == 4 and (found.coefs_[0] != first).any()
    if n_shards == 1:
        expected = here.MLPClassifier(**options).fit(IRIS, NAMES).fit(IRIS, NAMES)
        assert_same(expected, found)
    with pytest.raises(ValueError, match="same classes"):
        found.fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match="expecting 4 features"):
        found.fit(lambda s: (IRIS[s::n_shards, :3], NAMES[s::n_shards]))


def test_warm_start_keeps_the_type():
    found = classifier(warm_start=True).fit(IRIS.astype(np.float32), NAMES).fit(IRIS, NAMES)
    assert found.coefs_[0].dtype == np.float32 and len(found.loss_curve_) == 6


def test_a_new_fit_forgets_names():
    pandas = pytest.importorskip("pandas")
    found = classifier().fit(pandas.DataFrame(IRIS, columns=list("abcd")), NAMES)
    found.fit(load)
    assert not hasattr(found, "feature_names_in_")
    assert_same(classifier().fit(load), found)


def test_early_stopping_keeps_the_best_weights():
    found = classifier(early_stopping=True, max_iter=30, n_iter_no_change=3).fit(IRIS, NAMES)
    best = int(np.argmax(found.validation_scores_))
    short = classifier(early_stopping=True, max_iter=best + 1).fit(IRIS, NAMES)
    assert found.n_iter_ > best + 1
    assert_same_bits(found.coefs_, short.coefs_)


def test_divergence_is_an_error():
    found = regressor(solver="sgd", learning_rate_init=1e308)
    before = dict(vars(found))
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        found.fit(IRIS, IRIS[:, 0])
    assert vars(found) == before  # in the first round
    found.set_params(learning_rate_init=1e150)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        found.fit(IRIS, IRIS[:, 0])
    assert found.n_iter_ == 1 and np.isfinite(found.coefs_[0]).all()
    found.set_params(early_stopping=True)
    with pytest.warns(UserWarning, match="the weights with the best validation score are kept"):
        found.fit(IRIS, IRIS[:, 0])
    assert found.n_iter_ == 2 and np.isnan(found.loss_)


def test_an_interrupt_ends_training():
    found = classifier(max_iter=9, callbacks=[Interrupt(2)])
    with pytest.warns(UserWarning, match="interrupted by user"):
        found.fit(IRIS, NAMES)
    assert found.n_iter_ == 2
    assert_same_bits(found.coefs_, classifier(max_iter=2).fit(IRIS, NAMES).coefs_)
    first = classifier(callbacks=[Interrupt(0)])
    before = dict(vars(first))
    with pytest.raises(KeyboardInterrupt):
        first.fit(IRIS, NAMES)
    assert vars(first) == before


def test_an_error_before_the_first_round_changes_nothing():
    class Fails(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise OSError("no")

    found = classifier(callbacks=[Fails()])
    before = dict(vars(found))
    with pytest.raises(OSError, match="no"):
        found.fit(IRIS, NAMES)
    assert vars(found) == before


def test_callbacks_see_rounds():
    seen = []

    class See(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs["loss"], self.model.predict_proba(IRIS).shape))

    found = classifier(callbacks=[See()]).fit(IRIS, NAMES)
    assert seen == [(i, loss, (150, 3)) for i, loss in enumerate(found.loss_curve_)]


def test_verbose(capsys):
    classifier(verbose=True).fit(IRIS, NAMES)
    assert capsys.readouterr().out.count("Iteration ") == 3
    classifier(verbose="bar").fit(IRIS, NAMES)
    assert "3/3" in capsys.readouterr().err


def test_callbacks_of_scikit_learn():
    pytest.importorskip("sklearn.callback")
    calls = []

    class Records:
        def setup(self, estimator, context):
            calls.append("setup")

        def teardown(self, estimator, context):
            calls.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            calls.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context):
            calls.append(f"end {context.task_name}")

    classifier().set_callbacks(Records()).fit(IRIS, NAMES)
    assert calls == ["setup", "begin fit", *["begin epoch", "end epoch"] * 3, "end fit", "teardown"]


# Checkpoints -------------------------------------------------------------------------------------

RESUMED = [
    {},
    {"n_shards": 1},
    {"n_shards": 1, "dropout": 0.2},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
    {"learning_rate": "cyclic_cosine"},
    {"tol": 10.0, "n_iter_no_change": 4},
]


@pytest.mark.parametrize("stopped", [1, 4, 8])
@pytest.mark.parametrize("options", RESUMED, ids=name_of)
def test_a_resumed_fit_has_the_same_bits(options, stopped, tmp_path, monkeypatch):
    options = {"max_iter": 8, "checkpoint": tmp_path / "rounds.npz"} | options
    whole = classifier(**options).fit(IRIS, NAMES)

    def round_or_error(self, job, point, number):
        if number == stopped:
            raise OSError("power")
        return compute(self, job, point, number)

    compute, fails = InProcess.round, pytest.raises(OSError, match="power")
    with monkeypatch.context() as patched:
        patched.setattr(InProcess, "round", round_or_error)
        with fails if stopped < whole.n_iter_ else contextlib.nullcontext():
            classifier(**options).fit(IRIS, NAMES)
    found = classifier(resume=True, **options).fit(IRIS, NAMES)
    assert_same(whole, found)


def test_resume_begins_without_a_file(tmp_path):
    found = classifier(checkpoint=tmp_path / "a.npz", resume=True).fit(IRIS, NAMES)
    assert_same(classifier().fit(IRIS, NAMES), found)
    for name, value in {
        "n_shards": 3,
        "local_epochs": 2,
        "local_steps": 1,
        "scale_rate": 3.0,
    }.items():
        options = {name: value, "batch_size": 38, "resume": tmp_path / "a.npz"}
        with pytest.raises(ValueError, match="`resume` must be a checkpoint with this fit's"):
            classifier(**options).fit(IRIS, NAMES)
    with pytest.raises(ValueError, match="`resume` must be a checkpoint with this fit's classes"):
        classifier(resume=tmp_path / "a.npz").fit(IRIS, np.char.upper(NAMES))
    network = fastmlp.load(tmp_path / "a.npz")
    assert_same_bits(network.predict_proba(IRIS), found.predict_proba(IRIS))


# As an estimator ---------------------------------------------------------------------------------


class Client:
    """A client that cannot be copied, as that of Dask."""

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot be copied")


def test_parameters_are_those_of_fastmlp_sklearn_and_more():
    for ours, theirs in ((MLPClassifier, here.MLPClassifier), (MLPRegressor, here.MLPRegressor)):
        more = {
            "client", "n_shards", "local_epochs", "local_steps", "scale_rate", "checkpoint",
            "resume",
        }  # fmt: skip
        params = ours(client=False).get_params()
        assert {*params} == {*theirs().get_params()} | more
        assert params == theirs().get_params() | {
            "client": False, "n_shards": 4, "local_epochs": 1, "local_steps": None,
            "scale_rate": "auto", "checkpoint": None, "resume": False,
        }  # fmt: skip
    assert repr(classifier(8)).startswith("MLPClassifier(client=False, hidden_layer_sizes=8")
    assert MLPRegressor("poisson", 5).hidden_layer_sizes == 5
    assert classifier().set_params(n_shards=7, alpha=1.0).n_shards == 7
    with pytest.raises(TypeError, match="shards"):
        MLPClassifier(shards=3)


def test_clones_share_the_client_and_pickles_have_none():
    client = Client()
    estimator = MLPClassifier(8, client=client, n_shards=3, learning_rate_init=0.1)
    cloned = clone(estimator)
    assert cloned.client is client and estimator.client is client
    assert {**cloned.get_params(), "client": 0} == {**estimator.get_params(), "client": 0}
    assert pickle.loads(pickle.dumps(estimator)).client is None
    assert pickle.loads(pickle.dumps(classifier())).client is False
    assert clone(make_pipeline(StandardScaler(), estimator))[-1].client is client


def test_pickles_and_files_predict_the_same(tmp_path):
    found = classifier(n_shards=3).fit(IRIS, NAMES)
    expected = found.predict_proba(IRIS)
    again = pickle.loads(pickle.dumps(found))
    assert_same(found, again)
    assert_same_bits(expected, again.predict_proba(IRIS))
    found.client = Client()
    found.save(tmp_path / "model.npz", {"note": 1})
    loaded = fastmlp.load(tmp_path / "model.npz")
    assert type(loaded) is here.MLPClassifier and loaded.metadata_ == {"note": 1}
    ours = MLPClassifier.load(tmp_path / "model.npz")
    assert type(ours) is MLPClassifier and ours.client is None and ours.n_shards == 4
    assert clone(ours).get_params() == ours.get_params()
    for each in (loaded, ours, found.to_sklearn()):
        np.testing.assert_allclose(each.predict_proba(IRIS), expected, rtol=1e-12)
    assert_same(found, loaded, ours)
    assert (loaded.partial_fit(IRIS, NAMES).predict(IRIS)).shape == (150,)


def test_searches_and_cross_validation():
    search = GridSearchCV(classifier(max_iter=5), {"n_shards": [1, 2], "alpha": [0.0, 0.1]}, cv=2)
    search.fit(IRIS, NAMES)
    assert search.best_estimator_.client is False and search.best_score_ > 0.3
    assert len(cross_val_score(regressor(), IRIS, IRIS[:, 0], cv=3)) == 3


def test_plots_and_networks(tmp_path):
    pytest.importorskip("onnx")
    found = classifier().fit(IRIS, NAMES)
    found.to_onnx(tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").exists()
    figure = pytest.importorskip("matplotlib.figure").Figure()
    from fastmlp.plotting import LearningCurvesDisplay

    ax = figure.subplots()
    assert LearningCurvesDisplay.from_estimator(found, ax=ax).ax_ is ax


def test_fastmlp_dask_imports_neither_scikit_learn_nor_dask():
    code = (
        "import sys, fastmlp.dask\n"
        "assert not {'sklearn', 'dask', 'distributed', 'pandas'} & {*sys.modules}\n"
        "from fastmlp.dask import MLPClassifier\n"
        "assert not {'dask', 'distributed'} & {*sys.modules}\n"
        "try:\n    fastmlp.dask.MLP\nexcept AttributeError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "module 'fastmlp.dask' has no attribute 'MLP'\n"
