"""What estimators with a preset refuse, before anything changes, and what they take."""

import decimal
import fractions
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn

from fastmlp.sklearn import MLPClassifier, MLPRegressor, SquashingScaler, TableEncoder, preset
from fastmlp.sklearn.encoder import EncodedRows
from helpers.same_bits import assert_same_bits
from helpers.tables import table

SMALL = {"preset": "tabular", "max_iter": 3, "random_state": 0, "n_threads": 1}
FRAME = table(300)
NUMBERS = FRAME["number"].to_numpy() * 50
LABELS = np.where(FRAME["bool"], "yes", "no")
ENCODER = TableEncoder(**preset.ENCODER).fit(FRAME)
ROWS = EncodedRows(ENCODER, ENCODER.transform(FRAME))


def numbers_of(estimator):
    return [np.ascontiguousarray(a) for a in (*estimator.coefs_, *estimator.intercepts_)]


def assert_refuses(estimator, message, *data, error=ValueError, method="fit", **given):
    """Check that a call raises an error and leaves all attributes as they were."""
    before = dict(vars(estimator))
    with pytest.raises(error, match=message):
        getattr(estimator, method)(*data, **given)
    assert before.keys() == vars(estimator).keys()
    assert all(value is before[name] for name, value in vars(estimator).items())


# The container of transform -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_container_of_transform_does_not_matter(kind):
    y = LABELS if kind is MLPClassifier else NUMBERS
    expected = kind(**SMALL).fit(FRAME, y)
    with sklearn.config_context(transform_output="pandas"):
        model = kind(**SMALL).fit(FRAME, y, X_val=FRAME, y_val=y)
        model = kind(**SMALL).fit(FRAME, y)
        found = model.predict(FRAME)
    assert_same_bits(numbers_of(model), numbers_of(expected))
    model.encoder_.set_output(transform="pandas")
    for predicted in (found, model.predict(FRAME)):
        np.testing.assert_array_equal(predicted, expected.predict(FRAME))


# Rows that are encoded already ----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_encoded_rows_need_a_preset():
    message = "^`preset` must be 'tabular' for EncodedRows, got None"
    assert_refuses(MLPClassifier(), message, ROWS, LABELS)
    assert_refuses(MLPClassifier(solver="lbfgs"), message, ROWS, LABELS)
    assert_refuses(
        MLPClassifier(), message, ROWS, LABELS, classes=["no", "yes"], method="partial_fit"
    )
    plain = MLPClassifier(max_iter=2).fit(ROWS.rows, LABELS)
    assert_refuses(plain, message, ROWS, LABELS)
    assert_refuses(plain, message, ROWS.rows, LABELS, X_val=ROWS, y_val=LABELS)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 299])
def test_encoded_rows_are_finite(wrong, row, tmp_path):
    rows = np.lib.format.open_memmap(tmp_path / "r.npy", "w+", np.float32, ROWS.rows.shape)
    rows[:] = ROWS.rows
    rows[row, -1] = wrong
    message = rf"^`rows` must be finite, got NaN or infinity in row {row} \(as float32\)"
    model = MLPRegressor(**SMALL).fit(FRAME, NUMBERS)
    for each in (rows, np.array(rows)):
        bad = EncodedRows(ENCODER, each)
        assert_refuses(model, message, bad, NUMBERS)
        assert_refuses(model, message, FRAME, NUMBERS, X_val=bad, y_val=NUMBERS)
    masked = EncodedRows(ENCODER, np.ma.masked_invalid(rows))
    assert_refuses(model, "^`rows` must be a C-contiguous array", masked, NUMBERS)


def test_encoded_rows_of_another_encoder_are_refused():
    other = TableEncoder(**preset.ENCODER).fit(FRAME.assign(number=FRAME["number"] * 1e6))
    rows = EncodedRows(other, other.transform(FRAME))
    message = "^`EncodedRows` must have the encoder that the training data has"
    model = MLPClassifier(**SMALL, warm_start=True)
    model.fit(FRAME, LABELS, X_val=FRAME, y_val=LABELS)
    for X in (FRAME, ROWS):
        assert_refuses(model, message, X, LABELS, X_val=rows, y_val=LABELS)
    assert_refuses(model, message, rows, LABELS)
    model.fit(ROWS, LABELS, X_val=ROWS, y_val=LABELS)  # an equal one


def test_encoded_rows_are_for_fits():
    model = MLPClassifier(**SMALL).fit(ROWS, LABELS)
    assert_refuses(model, "^`X` must be a table for predictions", ROWS, method="predict")
    for wrong in (None, TableEncoder):
        message = "^`encoder` must be a TableEncoder"
        assert_refuses(model, message, EncodedRows(wrong, ROWS.rows), LABELS, error=TypeError)


# Warm starts ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_cannot_change_the_preset():
    X = FRAME[["whole", "number"]]
    for first, then in ((None, "tabular"), ("tabular", None)):
        model = MLPClassifier(**SMALL | {"preset": first}, warm_start=True).fit(X, LABELS)
        model.preset = then
        assert_refuses(model, rf"^`preset` must be {first!r}, as in the last fit", X, LABELS)
        model.set_params(warm_start=False).fit(X, LABELS)
        assert ("encoder_" in vars(model)) == (then is not None)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_that_overflow_the_type_of_the_network_are_refused():
    X = FRAME[["whole"]].to_numpy(np.float32)
    model = MLPRegressor(max_iter=2, warm_start=True, tol=1e9).fit(X, NUMBERS)
    wide = X.astype(float)
    wide[7] = 1e39
    message = r"^`X` must be finite, got NaN or infinity in row 7 \(as float32\)"
    assert_refuses(model, message, wide, NUMBERS)


# Targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "i2", "u1", "g", object, "U"])
def test_the_scale_is_that_of_float64(dtype):
    y, X = np.random.RandomState(0).randint(0, 200, 200).astype(dtype), FRAME[:200]
    model = MLPRegressor(**SMALL).fit(X, y)
    expected = MLPRegressor(**SMALL).fit(X, y.astype(float))
    assert type(model.target_center_) is type(model.target_scale_) is np.float64
    assert model.target_center_ == pytest.approx(y.astype(float).mean(), rel=1e-14)
    assert model.target_scale_ == pytest.approx(y.astype(float).std(), rel=1e-14)
    assert_same_bits(numbers_of(model), numbers_of(expected))


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [("f4", 1e-30), ("f4", 1e30), *[("f8", factor) for factor in (1e-300, 1e-30, 1e30, 1e300)]],
)
def test_targets_may_be_very_large_or_small(factor, dtype):
    y = (NUMBERS * factor / 100).astype(dtype)
    model = MLPRegressor(**SMALL).fit(FRAME, y, X_val=FRAME, y_val=y)
    expected = (NUMBERS / 100).std() * factor
    assert model.target_scale_ == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(model.predict(FRAME)).all() and model.loss_ < 10


@pytest.mark.parametrize(
    ("y", "got"),
    [
        (np.where(NUMBERS > 0, "1.5", "a")[np.argsort(-NUMBERS)], r"'a' in row \d+"),
        (np.array(["1.5", "1", "x"] * 100, object), "'x' in row 2"),
        (np.array([["1.5", "x"]] * 300), "'x' in row 0"),
        (pd.Series(pd.date_range("2020", periods=300)), "datetime64"),
        (np.arange(300).astype("m8[s]"), "timedelta64"),
    ],
)
def test_targets_that_are_not_numbers_are_refused(y, got):
    message = f"^`y` must have numbers for a regressor, got {got}"
    assert_refuses(MLPRegressor(**SMALL), message, FRAME, y)


def test_sparse_targets_are_refused():
    y = scipy.sparse.csr_matrix(np.ones((300, 2)))
    message = "^`y` must be dense for a regressor"
    assert_refuses(MLPRegressor(**SMALL), message, FRAME, y, error=TypeError)


@pytest.mark.parametrize("row", [0, 299])
def test_masked_targets_are_missing(row):
    message = rf"^`y` must have a value in every row, got a missing one in row {row}\."
    for kind, y in ((MLPClassifier, LABELS), (MLPRegressor, NUMBERS)):
        for values in (y, np.c_[NUMBERS > 0, NUMBERS < 1].astype(int)):
            mask = np.zeros(values.shape, bool)
            kind(**SMALL).fit(FRAME, np.ma.masked_array(values, mask))
            mask.reshape(300, -1)[row, -1] = True
            assert_refuses(kind(**SMALL), message, FRAME, np.ma.masked_array(values, mask))


@pytest.mark.parametrize("first", [-1.0, -200.0, -299.0])
def test_negative_weights_are_refused_by_their_name(first):
    weights = np.ones(300)
    weights[0 if first < -1 else slice(None, None, 2)] = first
    message = "^`sample_weight` must be finite and at least 0"
    for kind, y in ((MLPClassifier, LABELS), (MLPRegressor, NUMBERS)):
        assert_refuses(kind(**SMALL), message, FRAME, y, weights)


# Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [decimal.Decimal, fractions.Fraction, np.float32])
def test_categories_that_are_numbers_of_any_type_are_known(of):
    values = [of("0.1"), of("0.2"), of("3")] * 4
    column = pd.Series(pd.Categorical([*values, None]))
    encoder = TableEncoder().fit(column.to_frame("a"))
    expected = [*np.eye(3).tolist() * 4, [0, 0, 0]]
    assert encoder.transform(column.to_frame("a")).tolist() == expected
    assert all(type(each) is float for each in encoder.columns_[0].categories)


def test_categories_that_are_one_float_are_one_category():
    near = decimal.Decimal("0.1"), decimal.Decimal(0.1), decimal.Decimal(3), decimal.Decimal(4)
    frame = pd.DataFrame({"a": pd.Categorical(near)})
    encoder = TableEncoder(max_categories=1).fit(frame)
    assert encoder.columns_[0].categories == (0.1,)
    assert encoder.transform(frame).ravel().tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("is_category", [True, False])
def test_a_decimal_nan_is_missing(is_category):
    values = [decimal.Decimal(text) for text in ("1", "2", "NaN", "4")]
    column = pd.Series(values, dtype=object)
    frame = pd.DataFrame({"a": pd.Categorical(values) if is_category else column})
    encoder = TableEncoder().fit(frame)
    assert encoder.columns_[0].categories == ((1.0, 2.0, 4.0) if is_category else ())
    assert is_category or encoder.transform(frame)[:, 1].tolist() == [0, 0, 1, 0]


def test_the_message_says_why_columns_become_nothing():
    rare = pd.DataFrame({"id": [str(i) for i in range(60)]})
    got = r"only categories with fewer than min_frequency=2 samples\.$"
    assert_refuses(TableEncoder(min_frequency=2), got, rare)
    got = "only missing values and categories with fewer than min_frequency=2 samples"
    assert_refuses(MLPClassifier(**SMALL), got, rare.assign(none=None), LABELS[:60])
    assert_refuses(TableEncoder(), r"only missing values\.$", rare[[]].assign(none=None))


# Cost -----------------------------------------------------------------------------------------


def test_a_prediction_does_not_look_up_signatures(monkeypatch):
    model = MLPRegressor(**SMALL).fit(FRAME, NUMBERS)
    model.predict(FRAME[:1])
    monkeypatch.setattr(sys.modules["inspect"], "signature", None)
    assert np.isfinite(model.predict(FRAME[:1])).all()
    assert preset.in_effect(model).activation == preset.TABULAR["activation"]


# Errors of other kinds ------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_errors_about_columns_come_before_those_about_values():
    X = pd.DataFrame({"a": np.arange(60.0), "b": 1.0})
    model = MLPClassifier(5, max_iter=2).fit(X, np.arange(60) % 2)
    other = X.set_axis(["c", "d"], axis=1)
    other.loc[3, "c"] = np.nan
    assert_refuses(model, "^The feature names should match", other, method="predict")
    for wrong, text in ((np.nan, "NaN"), (np.inf, "infinity"), ("x", "'x'")):
        bad = X.astype(object)
        bad.loc[3, "b"] = wrong
        message = f"^Input X contains {text} in row 3 of column 'b'"
        assert_refuses(model, message, bad, method="predict")
        assert_refuses(model, message, bad, np.arange(60) % 2)


def test_a_fit_without_preset_forgets_the_scale():
    model = MLPRegressor(**SMALL).fit(FRAME, NUMBERS)
    model.set_params(preset=None, solver="lbfgs", max_iter=200, tol=1.0)
    model.fit(FRAME[["number"]], NUMBERS)
    assert not {"encoder_", "target_center_", "target_scale_"} & set(vars(model))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_quantiles_are_those_of_float64(dtype):
    column = np.random.RandomState(0).randn(101, 1).astype(dtype)
    narrow, wide = (TableEncoder().fit(X).columns_ for X in (column, column.astype(float)))
    assert narrow == wide


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_keeps_the_best_weights_of_every_fit():
    X, y = ROWS.rows.astype(float), LABELS == "yes"
    model = MLPClassifier(
        8, max_iter=20, early_stopping=True, random_state=0, warm_start=True,
        learning_rate_init=0.1, n_threads=1, tol=0.0,
    )  # fmt: skip
    rows, scores = np.arange(60), []
    for _ in range(3):
        model.fit(X[60:], y[60:], X_val=X[rows], y_val=y[rows])
        scores.append(model.score(X[rows], y[rows]))
        assert scores[-1] == model.best_validation_score_ == max(model.validation_scores_)


# Parameters and names -------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["a", -1, 0, np.nan, None])
def test_a_bound_that_was_changed_after_the_fit_is_checked(wrong):
    X = np.random.RandomState(0).randn(9, 1)
    for transformer in (TableEncoder().fit(X), SquashingScaler().fit(X)):
        transformer.set_params(max_absolute_value=wrong)
        message = "^`max_absolute_value` must be a number above 0, got "
        assert_refuses(transformer, message, X, method="transform")


def test_names_of_the_result_are_different():
    frame = pd.DataFrame({
        "a": ["b_c", "d", "e"], "a_b": ["c", "x", "y"], "n": [1.0, None, 3.0],
        "n_missing": [1, 2, 3], "n_missing_": [3, 1, 2],
    })  # fmt: skip
    encoder = TableEncoder().set_output(transform="pandas").fit(frame)
    names = list(encoder.transform(frame).columns)
    assert names == [
        "a_b_c", "a_d", "a_e", "a_b_c_", "a_b_x", "a_b_y", "n", "n_missing", "n_missing_",
        "n_missing__",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_activations_may_be_an_array():
    given = {"hidden_layer_sizes": (4, 3), "max_iter": 2, "random_state": 0}
    names = ["tanh", "relu"]
    found = [
        MLPClassifier(activation=each, **given).fit(ROWS.rows, LABELS)
        for each in (names, np.array(names), np.array(names, object), pd.Series(names))
    ]
    for other in found[1:]:
        assert_same_bits(numbers_of(found[0]), numbers_of(other))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs NumPy 2")
def test_arrays_of_text_of_variable_length():
    listed = [["a", "x"], ["b", None], ["c", "y"]]
    X = np.array(listed, np.dtypes.StringDType(na_object=None))
    encoder, expected = TableEncoder().fit(X), TableEncoder().fit(listed)
    assert encoder.columns_ == expected.columns_
    np.testing.assert_array_equal(encoder.transform(X), expected.transform(listed))
