"""ONNX models of the estimators, with the preset's encoding, predict what they do."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastmlp import losses
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.onnx_models import columns_of, content_of, loaded, outputs, session_of
from helpers.tables import table

CLOSE = {"rtol": 1e-6, "atol": 1e-6}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(kind, X, y, **given):
    given = {"hidden_layer_sizes": (8, 5), "max_iter": 3, "random_state": 0} | given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(**given).fit(X, y)


def data(n=60, dtype=np.float64):
    X = np.random.default_rng(0).normal(size=(n, 4)).astype(dtype)
    return X, np.arange(n) % 3


def assert_same(estimator, inputs, X):
    """Compare the ONNX model, fed with the inputs, and the estimator with X."""
    found = outputs(estimator, inputs)
    if hasattr(estimator, "classes_"):
        assert list(found) == ["label", "probabilities"]
        p = estimator.predict_proba(X)
        assert found["probabilities"].dtype == p.dtype and found["probabilities"].shape == p.shape
        np.testing.assert_allclose(found["probabilities"], p, **CLOSE)
        expected = estimator.predict(X)
        assert found["label"].shape == expected.shape
        assert found["label"].tolist() == np.asarray(expected).tolist()
    else:
        assert list(found) == ["variable"]
        expected = estimator.predict(X)
        assert found["variable"].dtype == expected.dtype
        scale = max(1, np.abs(expected).max())
        np.testing.assert_allclose(
            found["variable"] / scale, expected.reshape(len(X), -1) / scale, **CLOSE
        )
    return found


# Classes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [
    [0, 1, 2], [0, 1], [-5, 3], [7, 200, 10**12], ["b", "a", "ü"], ["yes", "no"], [False, True],
    [0.0, 1.0], [1.0, 2.0, 3.0], [4], ["only"],
], ids=str)  # fmt: skip
def test_classes(classes, dtype):
    X, y = data(dtype=dtype)
    y = np.array(classes)[y % len(classes)]
    found = assert_same(fitted(MLPClassifier, X, y), X, X)
    kinds = {"i": np.int64, "U": object, "b": bool, "f": np.float64}
    assert found["label"].dtype == kinds[y.dtype.kind]


@pytest.mark.parametrize("y, dtype", [
    (np.array(["b", "a", "c"], object), object),
    (np.array([3, 1, 200], np.uint8), np.int64),
    (pd.Categorical(["x", "y", "z"]), object),
    (pd.Series(["x", "y", "z"], dtype="string"), object),
])  # fmt: skip
def test_classes_of_other_types(y, dtype):
    X, at = data()
    estimator = fitted(MLPClassifier, X, np.asarray(y)[at])
    assert assert_same(estimator, X, X)["label"].dtype == dtype


def test_classes_that_onnx_does_not_have():
    X, at = data()
    for y, error in (
        (np.array([1, 2, 2**63], np.uint64), f"be at most {2**63 - 1} .* got {2**63}"),
        (np.array(["2026-01-01", "2026-01-02", "2026-01-03"], "M8[D]"), "got values of type date"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^`classes_` must .*{error}"):
            content_of(fitted(MLPClassifier, X, y[at]))


@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_several_labels(n_labels):
    X, _ = data()
    y = (X @ np.random.default_rng(1).normal(size=(4, n_labels)) > 0).astype(int)
    found = assert_same(fitted(MLPClassifier, X, y, max_iter=30), X, X)
    assert found["label"].dtype == np.int64 and found["label"].shape == (60, n_labels)
    assert 0 < found["label"].mean() < 1


def test_the_probability_of_one_half_is_the_first_of_two_classes():
    """As scikit-learn decides; `MLP` decides for the second."""
    X, y = data()
    estimator = fitted(MLPClassifier, X, np.array(["a", "b"])[y % 2])
    for array in [*estimator.coefs_, *estimator.intercepts_]:
        array[...] = 0
    assert set(assert_same(estimator, X, X)["label"]) == {"a"}


@pytest.mark.parametrize("activation", [
    "logistic", "tanh", "relu", "identity", "leaky_relu", "elu", "softplus", "gelu", "silu",
    ["tanh", "silu"],
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations(activation, dtype):
    X, y = data(dtype=dtype)
    assert_same(fitted(MLPClassifier, X, y, activation=activation), X, X)


# Regression ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(
    "loss", ["squared_error", "poisson", "absolute_error", losses.Huber(0.5), "pinball"]
)
def test_regression(loss, n_outputs, dtype):
    X, _ = data(dtype=dtype)
    y = np.abs(X @ np.random.default_rng(1).normal(size=(4, n_outputs)))
    assert_same(fitted(MLPRegressor, X, y if n_outputs > 1 else y[:, 0], loss=loss), X, X)


# Tables -------------------------------------------------------------------------------------------


def with_unusual_rows(frame):
    """Return rows with infinities, large numbers, unknown categories and missing values."""
    rows = frame.iloc[:7].copy()
    rows["number"] = [np.inf, -np.inf, 1e300, -1e300, np.nan, 0.0, 1e-300]
    rows["text"] = pd.Series(["unknown", "", "Ünï", None, "nan", "b c", "Ü"], dtype=object).values
    rows["same"] = ["one", "two", "one", "one", "", "one", "one"]
    return pd.concat([frame, rows], ignore_index=True).astype(
        {name: frame[name].dtype for name in frame.columns if name not in ("text", "same")}
    )


@pytest.mark.parametrize("n", [300, 20])
def test_a_table_with_every_type_of_column(n):
    frame = table(n)
    y = np.array(["x", "y", "z"])[np.arange(n) % 3]
    estimator = fitted(MLPClassifier, frame, y, preset="tabular")
    session = session_of(content_of(estimator))
    assert {each.name for each in session.get_inputs()} <= set(frame.columns)
    assert all(each.shape == [None, 1] for each in session.get_inputs())
    rows = with_unusual_rows(frame)
    assert_same(estimator, columns_of(session, rows), rows)
    for i in range(0, len(rows), 41):  # one at a time
        assert_same(estimator, columns_of(session, rows.iloc[i : i + 1]), rows.iloc[i : i + 1])


def test_types_of_inputs():
    frame = table(300)
    estimator = fitted(MLPClassifier, frame, np.arange(300) % 2, preset="tabular")
    types = {each.name: each.type for each in session_of(content_of(estimator)).get_inputs()}
    texts = {"text", "text_gaps", "string", "pair", "category", "ordered", "same"}
    assert {name for name, type in types.items() if type == "tensor(string)"} == texts
    assert {*types.values()} == {"tensor(string)", "tensor(double)"}
    domains = {each.domain: each.version for each in loaded(content_of(estimator)).opset_import}
    assert domains == {"": 17, "ai.onnx.ml": 3}


def test_the_encoded_numbers_are_those_of_the_encoder():
    """To the last bits of float32, with weights that pass every encoded column on."""
    frame = table(400)
    estimator = fitted(
        MLPRegressor, frame, np.arange(400.0), preset="tabular", hidden_layer_sizes=()
    )
    n = estimator.encoder_.n_outputs_
    assert n > 60  # with sines and cosines
    rows = with_unusual_rows(frame)
    expected = estimator.encoder_.transform(rows)
    inputs = columns_of(session_of(content_of(estimator)), rows)
    estimator.target_center_, estimator.target_scale_ = np.float64(0), np.float64(1)
    for j in range(n):
        estimator.coefs_[0][...] = np.eye(n, dtype=np.float32)[:, j : j + 1]
        estimator.intercepts_[0][...] = 0
        found = outputs(estimator, inputs)["variable"][:, 0]
        np.testing.assert_allclose(found, expected[:, j], rtol=2e-7, atol=2e-7, err_msg=f"{j}")


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_targets_are_scaled_back(loss, n_outputs):
    frame = table(200)
    y = np.random.default_rng(0).gamma(2.0, 1e5, (200, n_outputs))
    estimator = fitted(
        MLPRegressor, frame, y if n_outputs > 1 else y[:, 0], preset="tabular", loss=loss
    )
    inputs = columns_of(session_of(content_of(estimator)), frame)
    assert assert_same(estimator, inputs, frame)["variable"].mean() > 1e4


@pytest.mark.parametrize("as_frame", [False, True])
def test_large_numbers_lose_no_digits(as_frame):
    """Such as times in seconds, of which float32 would know only minutes."""
    X = 1.7e9 + np.arange(400.0)[:, None] * [1.0, 3.0]
    X = pd.DataFrame(X, columns=["begin", "end"]) if as_frame else X
    estimator = fitted(MLPRegressor, X, np.arange(400.0), preset="tabular")
    inputs = columns_of(session_of(content_of(estimator)), X) if as_frame else X
    assert_same(estimator, inputs, X)


def test_an_array_of_numbers_is_one_matrix():
    X = np.random.default_rng(0).normal(size=(100, 5))
    X[::3, 1], X[:, 2], X[:, 3] = np.nan, 7.0, X[:, 3] > 0
    X[::4, 2] = np.nan
    estimator = fitted(MLPClassifier, X, np.arange(100) % 3, preset="tabular")
    (only,) = session_of(content_of(estimator)).get_inputs()
    assert (only.name, only.shape, only.type) == ("X", [None, 5], "tensor(double)")
    assert estimator.encoder_.columns_[2][2:4] == (0.0, True)  # constant, with gaps
    X[5, 2], X[6, 2], X[7, 2] = np.inf, -np.inf, 8.0
    assert_same(estimator, X, X)


def test_an_array_with_text_has_an_input_for_each_column():
    X = np.array(
        [[1.5, "a", None], [2.5, "b", "x"], [None, "a", "y"], [0.5, "c", "z"]] * 20, object
    )
    estimator = fitted(MLPClassifier, X, np.arange(80) % 3, preset="tabular")
    assert [each.name for each in session_of(content_of(estimator)).get_inputs()] == [
        "x0",
        "x1",
        "x2",
    ]
    inputs = {
        "x0": np.array([[np.nan if v is None else v] for v in X[:, 0]], np.float64),
        "x1": X[:, 1:2],
        "x2": np.array([["none" if v is None else v] for v in X[:, 2]], object),
    }
    assert_same(estimator, inputs, X)


def test_columns_that_become_nothing_are_no_inputs():
    frame = pd.DataFrame({
        "empty": [None] * 60, "a": np.arange(60.0), "rare": [f"t{i}" for i in range(60)],
    })  # fmt: skip
    estimator = fitted(MLPClassifier, frame, np.arange(60) % 2, preset="tabular")
    assert [c.n_outputs for c in estimator.encoder_.columns_][::2] == [0, 0]
    assert_same(estimator, {"a": np.arange(60.0)[:, None]}, frame)


def test_a_column_with_the_name_of_an_output_is_refused(tmp_path):
    for name in ("label", "probabilities", ""):
        frame = pd.DataFrame({name: np.arange(60.0), "b": np.arange(60.0) ** 2})
        estimator = fitted(MLPClassifier, frame, np.arange(60) % 2, preset="tabular")
        with pytest.raises(ValueError, match=f"^`X` must have no column .* got {name!r}.$"):
            estimator.to_onnx(tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "names", [["constant", "Gemm", "Cast"], ["weights_0", "X", "variable"], ["日本", " ", "a,b\n"]]
)
def test_columns_may_have_other_names(names):
    """Also those that constants and nodes would get."""
    frame = pd.DataFrame({name: np.arange(60.0) ** k for k, name in enumerate(names)})
    estimator = fitted(MLPClassifier, frame, np.arange(60) % 2, preset="tabular")
    assert_same(estimator, columns_of(session_of(content_of(estimator)), frame), frame)


def test_many_columns_and_categories():
    source = np.random.default_rng(0)
    frame = pd.DataFrame(source.normal(size=(400, 150))).rename(columns=lambda j: f"n{j}")
    for j in range(30):
        frame[f"t{j}"] = source.choice([f"{j}/{k}" for k in range(2 + 7 * j)], 400)
    estimator = fitted(MLPClassifier, frame, np.arange(400) % 2, preset="tabular")
    assert_same(estimator, columns_of(session_of(content_of(estimator)), frame), frame)


def test_an_encoder_in_float64_and_other_bounds():
    from fastmlp.sklearn import TableEncoder
    from fastmlp.sklearn.encoder import EncodedRows

    frame = table(200)
    encoder = TableEncoder(dtype=np.float64, n_harmonics=3, max_absolute_value=1.5).fit(frame)
    rows = EncodedRows(encoder, encoder.transform(frame))
    estimator = fitted(MLPClassifier, rows, np.arange(200) % 3, preset="tabular")
    assert estimator.coefs_[0].dtype == np.float64
    assert_same(estimator, columns_of(session_of(content_of(estimator)), frame), frame)


# Other -------------------------------------------------------------------------------------------


def test_estimators_that_are_not_fitted():
    for method in ("to_onnx", "to_safetensors", "to_sklearn"):
        with pytest.raises(NotFittedError):
            getattr(MLPClassifier(), method)(*["x"] * (method != "to_sklearn"))


def test_weights_that_were_assigned_are_used():
    X, y = data()
    estimator = fitted(MLPClassifier, X, y)
    estimator.coefs_ = [coefs * 2 for coefs in estimator.coefs_]
    assert_same(estimator, X, X)
    estimator.intercepts_[0] += 1
    assert_same(estimator, X, X)


def test_a_loaded_estimator_writes_the_same(tmp_path):
    frame = table(100)
    estimator = fitted(MLPClassifier, frame, np.arange(100) % 3, preset="tabular")
    estimator.save(tmp_path / "model.npz")
    assert content_of(MLPClassifier.load(tmp_path / "model.npz")) == content_of(estimator)


def test_a_table_of_feature_names_without_preset_is_one_matrix():
    X, y = data()
    estimator = fitted(MLPClassifier, pd.DataFrame(X, columns=[*"abcd"]), y)
    assert_same(estimator, X, pd.DataFrame(X, columns=[*"abcd"]))
