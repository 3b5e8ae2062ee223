"""`TableEncoder`, against an encoder of one value at a time."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp.sklearn import TableEncoder
from helpers.tables import TEXTS, SlowEncoder, table


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([TableEncoder(), TableEncoder(dtype=np.float64, min_frequency=2)])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n", [40, 500, 3001])
@pytest.mark.parametrize("n_harmonics", [0, 1, 5])
@pytest.mark.parametrize("dtype", [np.float32, "float64"])
def test_each_value_is_that_of_the_slow_encoder(n, dtype, n_harmonics):
    frame, new = table(n), table(57, seed=1)
    encoder = TableEncoder(dtype=dtype, n_harmonics=n_harmonics).fit(frame)
    slow = SlowEncoder(frame, n_harmonics=n_harmonics)
    assert encoder.get_feature_names_out().tolist() == slow.names()
    for each in (frame, new, frame[:1]):
        found = encoder.transform(each)
        assert found.dtype == dtype and found.flags.c_contiguous
        rtol = 1e-6 if dtype is np.float32 else 1e-13
        np.testing.assert_allclose(found, slow.rows(each), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("limits", [(1, 3), (4, None), (4, 2), (10**6, None), (1, 1)])
def test_rare_categories_are_not_kept(limits):
    source = np.random.RandomState(0)
    frame = pd.DataFrame({
        "x": source.randn(300),
        "a": [f"{x:.0f}" for x in source.standard_cauchy(300)],
        "b": pd.Categorical(source.poisson(2.0, 300)),
    })  # fmt: skip
    encoder, slow = TableEncoder(min_frequency=limits[0], max_categories=limits[1]), None
    encoder.fit(frame)
    slow = SlowEncoder(frame, *limits)
    assert encoder.get_feature_names_out().tolist() == slow.names()
    np.testing.assert_allclose(encoder.transform(frame), slow.rows(frame), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("values", [[0, 1] * 3, [2.5, np.nan, 2.5], [1.0, np.inf, 3.0, 1.0]])
def test_columns_of_two_numbers_have_no_harmonics(values):
    encoder = TableEncoder(n_harmonics=3).fit(pd.DataFrame({"a": values}))
    n_missing = int(np.isnan(values).any())
    assert encoder.n_outputs_ == 1 + n_missing
    more = TableEncoder(n_harmonics=3).fit(pd.DataFrame({"a": [*values, 2, 7]}))
    assert more.n_outputs_ == 7 + n_missing


@pytest.mark.parametrize(
    ("n_numbers", "expected"), [(1, 4), (16, 4), (17, 3), (32, 2), (56, 1), (64, 1), (65, 0)]
)
def test_auto_is_four_harmonics_or_fewer_for_many_numbers(n_numbers, expected):
    numbers = np.random.RandomState(0).randn(50, n_numbers)
    frame = pd.DataFrame(numbers).assign(pair=[0, 1] * 25, text=["a", "b"] * 25)
    frame.columns = frame.columns.astype(str)
    found = TableEncoder(n_harmonics="auto").fit(frame)
    same = TableEncoder(n_harmonics=expected).fit(frame)
    assert found.columns_ == same.columns_
    assert found.n_outputs_ == n_numbers * (1 + 2 * expected) + 2
    np.testing.assert_array_equal(found.transform(frame), same.transform(frame))


@pytest.mark.parametrize("n_harmonics", [-1, 1.5, "all", None])
def test_other_numbers_of_harmonics_are_refused(n_harmonics):
    with pytest.raises(ValueError, match="n_harmonics"):
        TableEncoder(n_harmonics=n_harmonics).fit([[1.0], [2.0], [4.0]])


def test_unknown_and_missing_categories_are_zero():
    frame = pd.DataFrame({"a": ["x", "y", "z", None], "b": ["p", "q", None, "p"]})
    encoder = TableEncoder().fit(frame)
    new = pd.DataFrame({"a": ["new", None, "x"], "b": ["new", None, "q"]})
    assert encoder.transform(new).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    only_missing = pd.DataFrame({"a": [np.nan, np.nan], "b": [np.nan, np.nan]})  # read as floats
    assert not encoder.transform(only_missing).any()


def test_missing_numbers_are_zero_without_a_column_if_training_data_had_none():
    encoder = TableEncoder().fit([[1.0], [2.0], [4.0]])
    assert encoder.transform([[None], [2.0]]).tolist() == [[0.0], [0.0]]
    assert encoder.n_outputs_ == 1


def test_a_chunk_whose_columns_have_other_types_means_the_same():
    frame = pd.DataFrame({
        "n": [1, 2, 3, 4], "flag": [True, False, True, True], "level": pd.Categorical([1, 2, 3, 1])
    })  # fmt: skip
    encoder = TableEncoder().fit(frame)
    expected = encoder.transform(frame)
    others = pd.DataFrame({
        "n": pd.Series([1, 2.0, decimal.Decimal(3), np.int8(4)], dtype=object),
        "flag": pd.Series([True, 0, np.True_, 1.0], dtype=object),
        "level": [1.0, 2.0, 3.0, 1.0],
    })  # fmt: skip
    np.testing.assert_array_equal(encoder.transform(others), expected)


def test_rows_written_in_chunks_are_those_of_one_call(tmp_path):
    frame = table(2500)
    encoder = TableEncoder().fit(frame)
    whole = encoder.transform(frame)
    out = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, whole.shape)
    for start in range(0, len(frame), 999):
        encoder.transform_into(frame[start : start + 999], out[start : start + 999])
    np.testing.assert_array_equal(out, whole)
    for wrong in (out[:5], out[:6, 1:], out[:6].astype(int), None):
        with pytest.raises(ValueError, match=r"^`out` must be an array of floats of shape \(6, "):
            encoder.transform_into(frame[:6], wrong)


def test_columns_are_found_by_their_names():
    frame = table(60)
    encoder = TableEncoder().fit(frame)
    backwards = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(encoder.transform(backwards), encoder.transform(frame))
    named = r"^`X` must have the columns of the training data, got "
    with pytest.raises(ValueError, match=named + r"no column 'number'\.$"):
        encoder.transform(frame.drop(columns="number"))
    with pytest.raises(ValueError, match=named + r"the new column 'id'\.$"):
        encoder.transform(frame.assign(id=1))
    with pytest.raises(ValueError, match=named + r"no column 'text', the new column 'Text'\.$"):
        encoder.transform(frame.rename(columns={"text": "Text"}))
    with pytest.raises(ValueError, match="^`X` must have a different name for each column, .*'a'"):
        TableEncoder().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (pd.to_datetime(["2020-01-01"] * 3), r"datetime64\[\w+\]"),
        (pd.to_datetime(["2020-01-01"] * 3, utc=True), r"datetime64\[\w+\]"),
        (pd.to_timedelta([1, 2, 3]), r"timedelta64\[\w+\]"),
        (pd.period_range("2020", periods=3, freq="D"), "values of type Period"),
        (pd.Series([datetime.date(2020, 1, 1)] * 3), "values of type date"),
        (pd.Categorical(pd.to_datetime(["2020", "2021", "2020"])), "values of type Timestamp"),
        (pd.Series([1, "a", None]), "values of type int and str"),
        (pd.Series([True, "a", None]), "values of type bool and str"),
        (pd.Series([True, 3, None]), "values of type bool and int"),
        (pd.Series([[1], [2], None]), "values of type NoneType and list"),
        (np.array([1j, 2, 3]), "complex128"),
    ],
    ids=str,
)
def test_other_types_are_refused_with_the_name_of_the_column(values, got):
    frame = pd.DataFrame({"fine": [1, 2, 3], "when": values})
    requirement = "^`X` must have numbers, booleans, text or categories in every column"
    with pytest.raises(ValueError, match=f"{requirement}, got {got} in column 'when'\\.$"):
        TableEncoder().fit(frame)
    encoder = TableEncoder().fit(frame.assign(when=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"^`X` must have .* in column 'when'"):
        encoder.transform(frame)


@pytest.mark.parametrize(
    ("values", "got", "advice", "advised"),
    [
        (pd.Series([b"a", b"b", None]), "bytes", r"Series.str.decode\('utf-8'\)",
         lambda column: column.str.decode("utf-8")),
        (pd.cut(pd.Series([1, 5, None]), [0, 4, 9]), "Interval",
         r"Series.cat.rename_categories\(str\)",
         lambda column: column.cat.rename_categories(str)),
    ],
)  # fmt: skip
def test_how_other_types_become_text(values, got, advice, advised):
    frame = pd.DataFrame({"when": values})
    message = f"got values of type {got} in column 'when'; {advice} of pandas makes them text\\.$"
    with pytest.raises(ValueError, match=message):
        TableEncoder().fit(frame)
    encoded = TableEncoder().fit_transform(pd.DataFrame({"when": advised(values)}))
    assert encoded.tolist() == [[-1], [1], [0]]


@pytest.mark.parametrize(
    ("learned", "new", "message"),
    [
        ([1, 2, 3], ["1", "2", "3"], "numbers in column 'a', as in the training data, got '1'"),
        (["1", "2", "3"], [1, 2, 3], "text in column 'a', as in the training data, got 1"),
        ([True, False, True], ["x", "y", None], "booleans in column 'a', .*, got 'x'"),
        (pd.Categorical([1, 2, 3]), ["x", "y", "z"], "numbers in column 'a', .*, got 'x'"),
        (pd.Categorical([1, 2, 3]), pd.to_datetime(["2020"] * 3), "numbers, .* in column 'a'"),
        ([1, 2, 3], pd.to_datetime(["2020"] * 3), "numbers in column 'a'"),
    ],
)
def test_values_of_another_type_than_in_training_are_refused(learned, new, message):
    encoder = TableEncoder().fit(pd.DataFrame({"a": learned}))
    with pytest.raises(ValueError, match=f"^`X` must have {message}"):
        encoder.transform(pd.DataFrame({"a": new}))


def test_columns_without_values_become_nothing():
    frame = pd.DataFrame({"a": [1.0, 2.0], "none": [None, None], "nan": [np.nan, np.nan]})
    encoder = TableEncoder().fit(frame)
    assert [column.kind for column in encoder.columns_] == ["number", "empty", "empty"]
    assert encoder.transform(frame.assign(none=["x", "y"])).shape == (2, 1)
    with pytest.raises(ValueError, match="^`X` must have a column with values, got only missing"):
        TableEncoder().fit(frame[["none", "nan"]])


def test_arrays_have_columns_by_position():
    rows = [["red", 1.0, True], ["blue", None, False], ["green", 3.5, None]]
    frame = pd.DataFrame(rows)
    expected = TableEncoder().fit_transform(frame)
    for X in (rows, np.array(rows, object), [tuple(row) for row in rows]):
        np.testing.assert_array_equal(TableEncoder().fit_transform(X), expected)
    masked = np.ma.array([[1.0], [2.0], [4.0]], mask=[[0], [1], [0]])
    np.testing.assert_array_equal(
        TableEncoder().fit_transform(masked), TableEncoder().fit_transform([[1], [None], [4]])
    )
    texts = np.array([["a", "x"], ["b", "y"], ["c", "x"]])
    assert TableEncoder().fit(texts).get_feature_names_out().tolist() == [
        "x0_a", "x0_b", "x0_c", "x1_y"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"got datetime64\[D\] in column 0\.$"):
        TableEncoder().fit(np.full((3, 2), "2020-01-01", "datetime64[D]"))
    with pytest.raises(TypeError, match="^`X` must be a data frame or a dense array, got a sparse"):
        TableEncoder().fit(scipy.sparse.eye(3).tocsr())


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({
        "n": [1, None, 3], "t": ["a", None, "b"], "b": [True, None, False],
        "c": polars.Series(["u", "v", None], dtype=polars.Categorical),
    })  # fmt: skip
    like = pd.DataFrame({
        "n": [1, None, 3], "t": ["a", None, "b"], "b": [True, None, False], "c": ["u", "v", None]
    })  # fmt: skip
    encoder, other = TableEncoder().fit(frame), TableEncoder().fit(like)
    np.testing.assert_array_equal(encoder.transform(frame), other.transform(like))
    np.testing.assert_array_equal(encoder.transform(like), other.transform(frame))
    with pytest.raises(ValueError, match="in column 'd'"):
        TableEncoder().fit(frame.with_columns(d=polars.lit("2020-01-01").str.to_date()))


def test_names_and_output_of_pandas():
    frame = table(30)
    encoder = TableEncoder().set_output(transform="pandas").fit(frame)
    found = encoder.transform(frame)
    assert list(found.columns) == SlowEncoder(frame).names() and found.index.equals(frame.index)
    assert encoder.n_features_in_ == frame.shape[1]
    assert encoder.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="^input_features is not equal to feature_names_in_"):
        encoder.get_feature_names_out([*frame.columns[1:], "a"])
    with pytest.raises(ValueError, match="^input_features should have length equal"):
        TableEncoder().fit([[1, 2]]).get_feature_names_out(["a"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_frequency": 0}, "The 'min_frequency' parameter"),
        ({"max_categories": 0}, "The 'max_categories' parameter"),
        ({"max_absolute_value": 0}, "The 'max_absolute_value' parameter"),
        ({"quantile_range": (75, 25)}, "`quantile_range` must be two numbers"),
        ({"dtype": "int32"}, "`dtype` must be"),
    ],
)
def test_parameters_are_checked(wrong, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        TableEncoder(**wrong).fit([[1.0]])


def test_it_must_be_fitted_and_a_refused_fit_changes_nothing():
    encoder = TableEncoder()
    for call in (encoder.transform, encoder.get_feature_names_out):
        with pytest.raises(NotFittedError):
            call([[1.0]])
    frame = table(30)
    before = encoder.fit(frame).transform(frame)
    with pytest.raises(ValueError, match="in column 'when'"):
        encoder.fit(frame.assign(when=pd.Timestamp("2020")))
    np.testing.assert_array_equal(encoder.transform(frame), before)
    assert "columns_" not in vars(clone(encoder))
    for empty in (frame[:0], frame[[]]):
        with pytest.raises(ValueError, match="^`X` must have at least one (row|column), got"):
            encoder.fit(empty)


def test_an_id_of_each_row_becomes_nothing():
    names = np.arange(200_000).astype(str)
    frame = pd.DataFrame({"id": names, "x": np.ones(len(names)), "text": TEXTS * 40_000})
    encoder = TableEncoder(min_frequency=2).fit(frame)
    assert encoder.n_outputs_ == 1 + len(TEXTS) and encoder.transform(frame).shape[1] == 6
