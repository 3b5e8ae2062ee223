"""`preset="tabular"`: tables as they are, and what is chosen for them."""

import copy
import inspect
import io
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp import schedules
from fastmlp.callbacks import Callback
from fastmlp.sklearn import MLPClassifier, MLPRegressor, TableEncoder, fitting, preset
from fastmlp.sklearn.encoder import EncodedRows
from helpers.same_bits import assert_same_bits
from helpers.tables import table

SMALL = {"preset": "tabular", "max_iter": 6, "random_state": 0, "n_threads": 1}
FRAME = table(300)
NUMBERS = (FRAME["number"] * 50 + 1000 * (FRAME["text"] == "b c")).to_numpy()
LABELS = np.where(FRAME["bool"], "yes", np.where(FRAME["number"] > 0, "no", "maybe"))


def numbers_of(estimator):
    return [np.ascontiguousarray(a) for a in (*estimator.coefs_, *estimator.intercepts_)]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [kind(preset="tabular", max_iter=20, n_threads=1) for kind in (MLPClassifier, MLPRegressor)],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "other samples are held out"
    },
)
def test_check_estimator(estimator, check):
    if check.func.__name__ == "check_class_weight_classifiers":
        pytest.skip("the epoch is chosen by a log loss that class weights do not change")
    check(estimator)


# What it is ---------------------------------------------------------------------------------------


def by_hand(kind, n_train, **others):
    """Return an estimator without preset and with the preset's parameters."""
    batch_size = int(np.clip(n_train // preset.BATCHES, preset.LEAST_BATCH, preset.MOST_BATCH))
    given = preset.TABULAR | SMALL | {"preset": None, "batch_size": batch_size} | others
    return kind(**given)


@pytest.mark.parametrize("n", [300, 2000])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_an_encoder_and_an_estimator_of_standardized_targets(n):
    frame = table(n)
    y = (frame["number"] * 50 + 1000 * (frame["text"] == "b c")).to_numpy()
    model = MLPRegressor(**SMALL).fit(frame, y)
    source = np.random.RandomState(0)
    rows, kept = preset.split(n, source, preset.TABULAR["validation_fraction"], None)
    assert len(kept) == np.ceil(n * preset.TABULAR["validation_fraction"])
    encoder = TableEncoder(**preset.ENCODER).fit(frame.iloc[rows])
    mean, deviation = y[rows].mean(), y[rows].std()
    X, z = encoder.transform(frame), (y - mean) / deviation
    other = by_hand(MLPRegressor, len(rows), random_state=source)
    other.fit(X[rows], z[rows], X_val=X[kept], y_val=z[kept])
    assert_same_bits(numbers_of(model), numbers_of(other))
    assert model.loss_curve_ == other.loss_curve_
    assert model.validation_scores_ == other.validation_scores_
    expected = other.predict(X).astype(float) * deviation + mean
    np.testing.assert_allclose(model.predict(frame), expected, rtol=1e-12)
    assert model.predict(frame).dtype == np.float64 and model.coefs_[0].dtype == np.float32
    assert model.score(frame, y) > 0.5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_an_encoder_and_an_estimator_of_classes():
    X, X_val, y, y_val = FRAME[:200], FRAME[200:], LABELS[:200], LABELS[200:]
    given = {"n_iter_no_change": 1000, "hidden_layer_sizes": (20,)}
    model = MLPClassifier(**SMALL | given).fit(X, y, X_val=X_val, y_val=y_val)
    encoder = TableEncoder(**preset.ENCODER).fit(X)
    rows, rows_val = encoder.transform(X), encoder.transform(X_val)
    other = by_hand(MLPClassifier, 200, **given).fit(rows, y, X_val=rows_val, y_val=y_val)
    assert model.loss_curve_ == other.loss_curve_
    assert model.validation_loss_curve_ == other.validation_loss_curve_
    expected = -np.array(other.validation_loss_curve_)
    np.testing.assert_allclose(model.validation_scores_, expected, rtol=1e-6)
    assert model.classes_.tolist() == ["maybe", "no", "yes"]
    assert model.feature_names_in_.tolist() == list(FRAME.columns)
    assert model.n_features_in_ == FRAME.shape[1] == len(model.encoder_.columns_)


class Weights(Callback):
    """Records the weights after each epoch."""

    def __init__(self):
        self.of_each = []

    def on_epoch_end(self, epoch, logs):
        self.of_each.append([weights.copy() for weights in self.model.weights])


@pytest.mark.parametrize("n_held_out", [1, 60])
def test_the_last_of_the_best_epochs_is_kept(n_held_out):
    watch = Weights()
    model = MLPRegressor(**SMALL | {"max_iter": 40, "callbacks": [watch]})
    noise = np.random.RandomState(0).randn(len(FRAME))  # the first epochs are the best
    model.fit(FRAME, noise, X_val=FRAME[:n_held_out], y_val=-noise[:n_held_out])
    scores = np.array(model.validation_scores_)
    best = np.flatnonzero(scores == scores.max())  # of one row, R2 is 0 in each epoch
    assert len(best) == (40 if n_held_out == 1 else 1) and len(scores) == 40 == model.n_iter_
    assert n_held_out == 1 or best[-1] < 39
    for coefs, weights in zip(model.coefs_, watch.of_each[best[-1]], strict=True):
        np.testing.assert_array_equal(coefs, weights.T)


@pytest.mark.parametrize("n_labels", [2, 3, "multilabel"])
def test_classifiers_keep_the_epoch_with_the_smallest_log_loss(n_labels):
    y = np.random.RandomState(0).randint(0, 2, (len(FRAME), 3))
    y = y if n_labels == "multilabel" else y[:, : n_labels - 1].sum(axis=1)
    model = MLPClassifier(**SMALL | {"max_iter": 30})
    model.fit(FRAME[60:], y[60:], X_val=FRAME[:60], y_val=y[:60])
    p = model.predict_proba(FRAME[:60]).astype(float)
    if n_labels == "multilabel":
        losses = -np.log(np.where(y[:60] == 1, p, 1 - p)).sum(axis=1)
    else:
        losses = -np.log(p[np.arange(60), y[:60]])
    assert len(set(model.validation_scores_)) > 1
    assert model.best_validation_score_ == max(model.validation_scores_)
    np.testing.assert_allclose(model.best_validation_score_, -losses.mean(), rtol=1e-5)


def test_all_epochs_are_no_reason_for_a_warning(recwarn):
    MLPClassifier(**SMALL).fit(FRAME, LABELS)
    MLPRegressor(**SMALL).fit(FRAME, NUMBERS)
    assert not [w for w in recwarn if issubclass(w.category, ConvergenceWarning)]


# Of `early_stopping`, the only other value is the default.
@pytest.mark.parametrize("name", sorted({*preset.TABULAR} - {"early_stopping"}))
def test_parameters_that_are_not_the_default_win(name):
    others = {
        "hidden_layer_sizes": (3,), "activation": "tanh", "alpha": 0.1, "dropout": 0.5,
        "learning_rate": schedules.Constant(0.01), "learning_rate_init": 0.02, "max_iter": 3,
        "validation_fraction": 0.4, "n_iter_no_change": 2,
    }  # fmt: skip
    default = inspect.signature(MLPRegressor).parameters[name].default
    plain = MLPRegressor(**{"preset": "tabular", "random_state": 0, "n_threads": 1} | SMALL)
    model = clone(plain).set_params(**{name: others[name]}).fit(FRAME, NUMBERS)
    used = preset.in_effect(model)
    for each, value in preset.TABULAR.items():
        wins = each == name or each == "max_iter"
        assert getattr(used, each) == (getattr(model, each) if wins else value), each
    assert model.get_params()[name] == others[name]
    unset = clone(model).set_params(**{name: default})
    assert "encoder_" not in vars(unset) and preset.in_effect(unset) is unset
    assert preset.in_effect(unset.fit(FRAME, NUMBERS)).__dict__[name] == (preset.TABULAR[name])


def test_two_fits_are_equal_and_no_more_than_the_first_changes_the_other():
    model = MLPClassifier(**SMALL).fit(FRAME, LABELS)
    first = numbers_of(model)
    assert_same_bits(first, numbers_of(model.fit(FRAME, LABELS)))
    assert_same_bits(first, numbers_of(clone(model).set_params(n_threads=2).fit(FRAME, LABELS)))
    model.set_params(preset=None, max_iter=2)
    with pytest.raises(ValueError, match=r"^Input X contains NaN in row 0 of column '\w+'"):
        model.fit(FRAME, LABELS)
    assert "encoder_" in vars(model)
    assert_same_bits(first, numbers_of(model))
    with pytest.warns(ConvergenceWarning):
        model.fit(FRAME[["whole", "number"]], LABELS)
    assert "encoder_" not in vars(model) and model.n_features_in_ == 2


def test_copies_and_pickles():
    model = MLPRegressor(**SMALL).fit(FRAME, NUMBERS)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(FRAME), model.predict(FRAME))


def test_columns_are_found_by_their_names():
    model = MLPClassifier(**SMALL).fit(FRAME, LABELS)
    expected = model.predict_proba(FRAME)
    np.testing.assert_array_equal(model.predict_proba(FRAME[FRAME.columns[::-1]]), expected)
    with pytest.raises(ValueError, match="got no column 'gaps', the new column 'id'"):
        model.predict(FRAME.assign(id=1).drop(columns="gaps"))


# Held-out samples -----------------------------------------------------------------------------


def held_out(labels, fraction=0.2):
    return preset.split(len(labels), np.random.RandomState(0), fraction, np.asarray(labels))


def trained_on(n):
    """Return which of n samples a regressor with random_state=0 trains on."""
    return preset.split(n, np.random.RandomState(0), 0.15, None).rows


CONTAINERS = {
    "frame": lambda frame: frame,
    "objects": lambda frame: frame.to_numpy(object),
    "lists": lambda frame: frame.to_numpy(object).tolist(),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_nothing_is_learned_from_the_samples_that_are_held_out(kind, container):
    is_classifier, few = kind is MLPClassifier, FRAME[["number", "text", "gaps"]]
    given = SMALL | {"max_iter": 2}
    y = LABELS if is_classifier else NUMBERS
    fraction = preset.TABULAR["validation_fraction"]
    rows, kept = preset.split(300, np.random.RandomState(0), fraction, y if is_classifier else None)
    other, values = few.copy(), y.copy()
    other.loc[kept, "number"] *= 1e6
    other.loc[kept, "text"] = "another"
    if not is_classifier:
        values[kept] = 1e6
    of = CONTAINERS[container]
    model = kind(**given).fit(of(few), y)
    changed = kind(**given).fit(of(other), values)
    part = kind(**given).fit(of(few.iloc[rows]), y[rows], X_val=of(few)[:9], y_val=y[:9])
    for found in (changed, part):
        assert found.encoder_.columns_ == model.encoder_.columns_
        if not is_classifier:
            scale = found.target_center_, found.target_scale_
            assert scale == (model.target_center_, model.target_scale_)
    assert changed.validation_scores_ != model.validation_scores_
    assert changed.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize("counts", [[50, 30, 20], [100, 10, 5], [33, 33, 34, 1], [70, 20, 1, 1]])
def test_classes_are_held_out_in_proportion(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows, kept = held_out(labels)
    assert sorted([*rows, *kept]) == list(range(len(labels)))
    found = np.bincount(labels[kept], minlength=len(counts))
    for n, share in zip(found, counts, strict=True):
        assert abs(n - 0.2 * share) <= 1


@pytest.mark.parametrize("labels", [np.arange(40), np.zeros(40, int), [0] * 39 + [1], [0, 1] * 3])
def test_classes_that_cannot_be_stratified_are_no_error(labels):
    rows, kept = held_out(labels)
    assert sorted([*rows, *kept]) == list(range(len(labels)))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("stops_early", [False, True])
def test_too_few_samples_are_all_trained_on_and_scored(n, stops_early):
    assert held_out(np.zeros(n, int))[0] is None
    X, given = FRAME[:n], SMALL | {"early_stopping": stops_early}
    assert MLPClassifier(**given).fit(X, LABELS[:n]).predict(X).shape == (n,)
    assert np.isfinite(MLPRegressor(**given).fit(X, NUMBERS[:n]).predict(X)).all()


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_of_few_samples_none_is_held_out(kind):
    watch, n = Weights(), preset.FEW - 1
    y = LABELS if kind is MLPClassifier else NUMBERS
    X, y = FRAME.iloc[:n], y[:n]
    model = kind(**SMALL | {"callbacks": [watch]}).fit(X, y)
    assert model.validation_scores_ is None and model.best_validation_score_ is None
    assert model.t_ == 6 * n and model.n_iter_ == len(model.loss_curve_) == 6
    for coefs, weights in zip(model.coefs_, watch.of_each[-1], strict=True):
        np.testing.assert_array_equal(coefs, weights.T)
    used = preset.in_effect(model)
    assert used.learning_rate_init == preset.TABULAR_FEW["learning_rate_init"] < 0.006
    expected = TableEncoder(**preset.ENCODER | preset.ENCODER_FEW).fit(X)
    assert model.encoder_.columns_ == expected.columns_
    assert all(column.n_harmonics == 0 for column in expected.columns_)
    if kind is MLPRegressor:
        assert model.target_center_ == pytest.approx(y.mean(), rel=1e-12)
    assert kind(**SMALL).fit(FRAME.iloc[: n + 1], np.resize(y, n + 1)).t_ == 6 * 255
    file = io.BytesIO()
    model.set_params(callbacks=None).save(file)
    file.seek(0)
    other = kind.load(file)
    assert other.preset_parameters_ == model.preset_parameters_
    assert model.preset_parameters_ == preset.TABULAR | preset.TABULAR_FEW
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize("given", [{"early_stopping": True}, {"X_val": 0}])
def test_few_samples_are_held_out_if_asked_or_given(given):
    X, y = FRAME.iloc[:100], LABELS[:100]
    if "X_val" in given:
        model = MLPClassifier(**SMALL).fit(X, y, X_val=FRAME[100:], y_val=LABELS[100:])
        assert len(model.validation_loss_curve_) == 6 and model.t_ == 600
    else:
        model = MLPClassifier(**SMALL | given).fit(X, y)
        assert model.t_ == 6 * 85
    assert len(model.validation_scores_) == 6
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert preset.in_effect(model).early_stopping
    assert model.preset_parameters_ == preset.TABULAR
    assert max(column.n_harmonics for column in model.encoder_.columns_) > 0


@pytest.mark.parametrize("n", [200, 300])
def test_a_warm_start_keeps_what_the_first_fit_has_chosen(n):
    model = MLPRegressor(**SMALL, warm_start=True).fit(FRAME[:n], NUMBERS[:n])
    known = model.preset_parameters_
    model.fit(FRAME[: 500 - n], NUMBERS[: 500 - n])
    assert model.preset_parameters_ == known
    assert (model.validation_scores_ is None) == (n == 200)


# Targets --------------------------------------------------------------------------------------


def test_several_outputs_are_standardized_each():
    Y = np.c_[NUMBERS * 1e6, np.full(300, 3.0), NUMBERS * 1e-6 - 5]
    model = MLPRegressor(**SMALL | {"max_iter": 30}).fit(FRAME, Y)
    rows = trained_on(300)
    np.testing.assert_allclose(model.target_center_, Y[rows].mean(axis=0))
    np.testing.assert_allclose(model.target_scale_, Y[rows].std(axis=0), atol=1e-12)
    found = model.predict(FRAME)
    np.testing.assert_array_equal(found[:, 1], 3.0)
    assert model.score(FRAME, Y) > 0.8 and model.loss_ < 1


def test_weights_count_for_the_mean():
    weights = np.where(NUMBERS > 500, 0.0, 2.0)
    model = MLPRegressor(**SMALL).fit(FRAME, NUMBERS, sample_weight=weights)
    known = NUMBERS[trained_on(300)]
    kept = known[known <= 500]
    assert model.target_center_ == pytest.approx(kept.mean(), rel=1e-12)
    assert model.target_scale_ == pytest.approx(kept.std(), rel=1e-12)


def test_positive_means_are_only_scaled():
    y = np.abs(NUMBERS)
    model = MLPRegressor("poisson", **SMALL | {"max_iter": 30}).fit(FRAME, y)
    assert model.target_center_ == 0
    assert model.target_scale_ == pytest.approx(y[trained_on(300)].mean())
    assert (model.predict(FRAME) > 0).all()
    assert model.predict(FRAME).mean() == pytest.approx(y.mean(), rel=0.3)
    np.testing.assert_array_equal(
        MLPRegressor("poisson", **SMALL).fit(FRAME, np.zeros(300)).predict(FRAME), 0
    )
    with pytest.raises(ValueError, match="^`y` must be at least 0"):
        MLPRegressor("poisson", **SMALL).fit(FRAME, NUMBERS - 2000)


def test_targets_that_are_too_large_are_refused():
    with pytest.raises(ValueError, match="^`y` must have a finite mean and standard deviation"):
        with np.errstate(all="ignore"):
            MLPRegressor(**SMALL).fit(FRAME, np.where(NUMBERS > 0, 1.7e308, -1.7e308))


@pytest.mark.parametrize(
    "y",
    [
        np.full(300, "one"), np.arange(300) % 2 == 0, np.arange(300) % 5 - 2.0,
        np.c_[FRAME["bool"], FRAME["number"] > 0].astype(int), LABELS.astype(object).tolist(),
        pd.Series(LABELS, dtype="category"), pd.Series(LABELS, dtype="string"),
    ],
    ids=lambda y: type(y).__name__ + str(getattr(y, "dtype", "")),
)  # fmt: skip
def test_classes_of_every_type(y):
    model = MLPClassifier(**SMALL | {"max_iter": 30, "class_weight": None}).fit(FRAME, y)
    found = model.predict(FRAME)
    assert found.shape == np.shape(y) and set(np.ravel(found)) <= set(np.ravel(np.asarray(y)))
    assert model.predict_proba(FRAME).shape[0] == 300


# With the rest of scikit-learn --------------------------------------------------------------------


def test_pipelines_searches_and_scores():
    few = FRAME[["number", "text", "gaps"]]
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(), MLPClassifier(**SMALL)),
        {"mlpclassifier__dropout": [0.0, 0.3], "mlpclassifier__preset": ["tabular"]}, cv=2,
    )  # fmt: skip
    search.fit(few, LABELS)
    assert search.predict(few).shape == (300,)
    assert cross_val_score(MLPRegressor(**SMALL), few, NUMBERS, cv=3).min() > 0


def test_a_warm_start_keeps_the_encoder_and_the_scale():
    model = MLPRegressor(**SMALL, warm_start=True).fit(FRAME, NUMBERS)
    encoder, scale = model.encoder_, model.target_scale_
    model.fit(FRAME[:100], NUMBERS[:100] * 2)
    assert model.encoder_ is encoder and model.target_scale_ == scale


# What is refused ----------------------------------------------------------------------------------


def test_what_is_refused():
    sparse = scipy.sparse.random(30, 4, 0.5).tocsr()
    with pytest.raises(TypeError, match="^`X` must be a data frame or a dense array, got a sparse"):
        MLPClassifier(**SMALL).fit(sparse, LABELS[:30])
    with pytest.raises(ValueError, match="^`solver` must be trained by minibatches if preset="):
        MLPClassifier(**SMALL, solver="lbfgs").fit(FRAME, LABELS)
    with pytest.raises(ValueError, match="^The 'preset' parameter of MLPClassifier must be"):
        MLPClassifier(preset="tables").fit(FRAME, LABELS)
    with pytest.raises(ValueError, match="^`X` must have numbers.* in column 'when'"):
        MLPClassifier(**SMALL).fit(FRAME.assign(when=pd.Timestamp("2020")), LABELS)
    with pytest.raises(ValueError, match="^`y` must have 300 rows, as X, got 299"):
        MLPClassifier(**SMALL).fit(FRAME, LABELS[1:])
    for model in (MLPClassifier(**SMALL), MLPRegressor(**SMALL)):
        assert not hasattr(model, "partial_fit")


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", None, "c"] * 75, [1.0, 2.0, np.nan, 3.0] * 75, np.array([[1, 2, None]] * 300),
        pd.Series(["a", "b", pd.NA, "c"] * 75, dtype="string"),
        pd.Series([1, 2, None, 3] * 75, dtype="Int64"), pd.Categorical(["a", "b", None, "c"] * 75),
    ],
    ids=lambda y: type(y).__name__,
)  # fmt: skip
def test_a_missing_target_is_named_by_its_row(y):
    row = 0 if np.ndim(y) == 2 else 2
    for kind in (MLPClassifier, MLPRegressor):
        with pytest.raises(ValueError, match=rf"^`y` must .* got a missing one in row {row}\.$"):
            kind(**SMALL).fit(FRAME, y)


def test_a_refused_fit_leaves_the_last_one():
    model = MLPRegressor(**SMALL).fit(FRAME, NUMBERS)
    before = model.predict(FRAME)
    for X, y in ((FRAME[["text"]].assign(t=pd.Timestamp("2020")), NUMBERS), (FRAME, NUMBERS[1:])):
        with pytest.raises(ValueError):
            model.fit(X, y)
    np.testing.assert_array_equal(model.predict(FRAME), before)


# The cyclic cosine rate ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_cyclic_cosine_goes_over_all_steps(solver):
    X = TableEncoder(dtype="float64").fit_transform(FRAME)
    options = {
        "solver": solver, "max_iter": 5, "batch_size": 64, "random_state": 0, "n_threads": 1,
        "learning_rate_init": 0.01,
    }  # fmt: skip
    named = MLPRegressor(learning_rate="cyclic_cosine", **options)
    schedule = schedules.CyclicCosine(0.01, 5 * 5)  # 300 samples are 5 minibatches
    given = MLPRegressor(learning_rate=schedule, **options)
    assert_same_bits(numbers_of(named.fit(X, NUMBERS)), numbers_of(given.fit(X, NUMBERS)))
    assert_same_bits(numbers_of(named.fit(X, NUMBERS)), numbers_of(given))
    with pytest.raises(ValueError, match="^`learning_rate` must have no end for partial_fit"):
        named.partial_fit(X, NUMBERS)


# Rows that are encoded already --------------------------------------------------------------------


@pytest.fixture
def in_file(tmp_path):
    encoder = TableEncoder(**preset.ENCODER).fit(FRAME)
    rows = np.lib.format.open_memmap(
        tmp_path / "rows.npy", "w+", np.float32, (len(FRAME), encoder.n_outputs_)
    )
    encoder.transform_into(FRAME, rows)
    rows.flush()
    return encoder, np.load(tmp_path / "rows.npy", mmap_mode="r")


def test_encoded_rows_give_the_same_estimator(in_file):
    encoder, rows = in_file
    model = MLPClassifier(**SMALL).fit(FRAME, LABELS)
    parts = EncodedRows(model.encoder_, model.encoder_.transform(FRAME))
    other = MLPClassifier(**SMALL).fit(parts, LABELS)
    assert_same_bits(numbers_of(model), numbers_of(other))
    np.testing.assert_array_equal(model.predict(FRAME), other.predict(FRAME))
    given = {"X_val": FRAME[:50], "y_val": LABELS[:50]}
    model.fit(FRAME, LABELS, **given)
    encoded = given | {"X_val": EncodedRows(encoder, rows[:50])}
    other.fit(EncodedRows(encoder, rows), LABELS, **encoded)
    assert_same_bits(numbers_of(model), numbers_of(other))
    assert other.encoder_ is encoder and other.n_features_in_ == FRAME.shape[1]
    assert other.feature_names_in_.tolist() == list(FRAME.columns)


def test_a_file_larger_than_a_block_is_read_in_pieces_without_a_copy(in_file, monkeypatch):
    encoder, rows = in_file
    read = []
    real = fitting.Samples.data

    def data(samples, settings):
        found = real(samples, settings)
        read.append(np.shares_memory(found.X, rows))
        return found

    monkeypatch.setattr(fitting.Samples, "data", data)
    monkeypatch.setattr(fitting, "BLOCK_BYTES", 1000)
    monkeypatch.setattr("fastmlp.training.sources.BLOCK_BYTES", 64 * rows[:1].nbytes)
    model = MLPRegressor(**SMALL | {"max_iter": 30}).fit(EncodedRows(encoder, rows), NUMBERS)
    assert read == [True] and model.score(FRAME, NUMBERS) > 0.8
    assert model.t_ == 30 * 300 * (1 - preset.TABULAR["validation_fraction"])
    in_memory = clone(model).fit(EncodedRows(encoder, np.array(rows)), NUMBERS)
    assert np.abs(in_memory.coefs_[0] - model.coefs_[0]).max() > 1e-4  # in another order
    few = clone(model).fit(EncodedRows(encoder, rows[:200]), NUMBERS[:200])  # of which all
    assert few.t_ == 30 * 200 and few.validation_scores_ is None


def test_rows_that_would_be_converted_are_refused(in_file):
    encoder, rows = in_file
    for wrong in (rows[:, 1:], rows.astype(int), rows[:0], np.asfortranarray(rows), rows[0], None):
        with pytest.raises(ValueError, match="^`rows` must be a C-contiguous array of floats of"):
            MLPClassifier(**SMALL).fit(EncodedRows(encoder, wrong), LABELS)
    wrong = np.array(rows)
    wrong[17, 3] = np.nan
    with pytest.raises(ValueError, match="^`rows` must be finite, got NaN or infinity in row 17"):
        MLPClassifier(**SMALL).fit(EncodedRows(encoder, wrong), LABELS)
