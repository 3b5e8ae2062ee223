"""Pipelines with the estimators are converted by skl2onnx."""

import warnings

import numpy as np
import onnx
import pandas as pd
import pytest
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastmlp.sklearn import (
    MLPClassifier,
    MLPRegressor,
    SquashingScaler,
    TableEncoder,
    register_skl2onnx,
)
from helpers.onnx_models import session_of

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(skl2onnx|onnx).*"),
]


@pytest.fixture(scope="module", autouse=True)
def registered():
    register_skl2onnx()
    register_skl2onnx()


def data(n=80, dtype=np.float64):
    X = np.random.default_rng(0).normal(2.0, 3.0, size=(n, 4)).astype(dtype)
    return X, np.arange(n) % 3


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def converted(model, example=None, **given):
    made = skl2onnx.to_onnx(model, example, **given)
    return session_of(made.SerializeToString())


@pytest.mark.parametrize("trained", [np.float32, np.float64])
@pytest.mark.parametrize("run", [np.float32, np.float64])
@pytest.mark.parametrize("names", [["a", "b", "c"], [0, 1], [5, 2, 9], ["x", "y"]])
def test_a_classifier_after_a_scaler(names, run, trained):
    X, y = data(dtype=trained)
    y = np.array(names)[y % len(names)]
    model = make_pipeline(StandardScaler(), MLPClassifier(8, max_iter=5, random_state=0))
    fitted(model, X, y)
    X = X.astype(run)
    session = converted(model, X[:1], options={"zipmap": False})
    assert [each.name for each in session.get_outputs()] == ["label", "probabilities"]
    label, p = session.run(None, {"X": X})
    assert p.dtype == run and label.tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(p, model.predict_proba(X), **CLOSE)


@pytest.mark.parametrize("run", [np.float32, np.float64])
def test_the_usual_dicts_of_probabilities(run):
    X, y = data()
    y = np.array(["a", "b", "c"])[y]
    model = fitted(make_pipeline(StandardScaler(), MLPClassifier(8, max_iter=5)), X, y)
    X = X.astype(run)
    label, p = converted(model, X[:1]).run(None, {"X": X})
    assert set(p[0]) == {"a", "b", "c"} and label.tolist() == model.predict(X).tolist()
    found = [[row[name] for name in "abc"] for row in p]
    np.testing.assert_allclose(found, model.predict_proba(X), **CLOSE)


def test_other_forms_of_probabilities():
    X, y = data()
    model = fitted(MLPClassifier(8, max_iter=5), X, y)
    _, *columns = converted(model, X[:1], options={"zipmap": "columns"}).run(None, {"X": X})
    np.testing.assert_allclose(np.stack(columns, axis=1), model.predict_proba(X), **CLOSE)
    options = {"zipmap": False, "output_class_labels": True}
    _, _, classes = converted(model, X[:1], options=options).run(None, {"X": X})
    assert classes.tolist() == [0, 1, 2]
    model.fit(X, np.array(["a", "b", "c"])[y])
    label, _ = converted(model, X[:1], options={"zipmap": False, "nocl": True}).run(None, {"X": X})
    assert np.array(["a", "b", "c"])[label].tolist() == model.predict(X).tolist()


def test_a_classifier_alone_and_several_labels():
    X, _ = data()
    y = (X > 2).astype(int)
    model = fitted(MLPClassifier(8, max_iter=20, random_state=0), X, y)
    label, p = converted(model, X[:1], options={id(model): {"zipmap": False}}).run(None, {"X": X})
    assert label.tolist() == model.predict(X).tolist() and label.shape == (80, 4)
    np.testing.assert_allclose(p, model.predict_proba(X), **CLOSE)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_regressor(n_outputs):
    X, _ = data()
    y = X[:, :n_outputs] if n_outputs > 1 else X[:, 0]
    network = MLPRegressor(hidden_layer_sizes=8, activation="gelu", max_iter=5, random_state=0)
    model = fitted(make_pipeline(StandardScaler(), network), X, y)
    (found,) = converted(model, X[:1].astype(np.float32)).run(None, {"X": X.astype(np.float32)})
    assert found.dtype == np.float32 and found.shape == (80, n_outputs)
    np.testing.assert_allclose(found, model.predict(X).reshape(80, -1), **CLOSE)


def test_columns_of_a_frame():
    X, y = data()
    frame = pd.DataFrame(X, columns=[*"abcd"])
    frame["text"] = np.array(["u", "v", "w"])[y]
    columns = ColumnTransformer([
        ("numbers", StandardScaler(), [*"abcd"]),
        ("text", OneHotEncoder(handle_unknown="ignore"), ["text"]),
    ])  # fmt: skip
    model = fitted(make_pipeline(columns, MLPClassifier(8, max_iter=20, random_state=0)), frame, y)
    types = [(name, FloatTensorType([None, 1])) for name in "abcd"]
    types.append(("text", StringTensorType([None, 1])))
    session = converted(model, initial_types=types, options={"zipmap": False})
    inputs = {name: frame[[name]].to_numpy(np.float32) for name in "abcd"}
    label, p = session.run(None, inputs | {"text": frame[["text"]].to_numpy(object)})
    assert label.tolist() == model.predict(frame).tolist()
    np.testing.assert_allclose(p, model.predict_proba(frame), **CLOSE)


@pytest.mark.parametrize("encoder", [TableEncoder(n_harmonics=2), None])
def test_a_table(encoder):
    """By a pipeline with the encoder, and by the preset."""
    source = np.random.default_rng(0)
    frame = pd.DataFrame({
        "number": source.normal(size=200), "whole": source.integers(0, 9, 200),
        "text": source.choice(["u", "v", "w"], 200), "flag": source.random(200) < 0.5,
    })  # fmt: skip
    y = np.where(frame["number"] > 0, frame["text"], "other")
    network = MLPClassifier(8, max_iter=5, random_state=0, preset=None if encoder else "tabular")
    model = make_pipeline(encoder, network) if encoder else network
    fitted(model, frame, y)
    session = converted(model, frame[:1], options={"zipmap": False})
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    inputs["text"] = inputs["text"].astype(object)
    label, p = session.run(None, inputs)
    assert label.tolist() == model.predict(frame).tolist()
    np.testing.assert_allclose(p, model.predict_proba(frame), **CLOSE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_squashing_scaler(dtype):
    X, y = data(dtype=dtype)
    X[:, 3] = 5
    model = fitted(
        make_pipeline(SquashingScaler(), MLPRegressor(hidden_layer_sizes=4, max_iter=3)), X, y
    )
    (found,) = converted(model, X[:1]).run(None, {"X": X})
    np.testing.assert_allclose(found[:, 0], model.predict(X), **CLOSE)


@pytest.mark.parametrize(
    "opset", [n for n in (13, 15, 17, 18, 21) if n <= onnx.defs.onnx_opset_version()]
)
def test_other_opsets(opset):
    X, y = data()
    network = MLPClassifier((8, 4), activation=["gelu", "softplus"], max_iter=3)
    model = fitted(make_pipeline(SquashingScaler(), network), X, y)
    session = converted(
        model, X[:1], options={"zipmap": False}, target_opset={"": opset, "ai.onnx.ml": 3}
    )
    np.testing.assert_allclose(session.run(None, {"X": X})[1], model.predict_proba(X), **CLOSE)


def test_other_columns_are_refused():
    X, y = data()
    model = fitted(MLPClassifier(4, max_iter=2), X, y)
    with pytest.raises(ValueError, match="`initial_types` must have 4 columns, got 3."):
        converted(model, X[:1, :3])
    with pytest.raises(ValueError, match="must be numbers"):
        types = [(name, StringTensorType([None, 1])) for name in "abcd"]
        converted(model, initial_types=types)
