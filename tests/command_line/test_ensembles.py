"""Commands on a file of an ensemble that a program has saved."""

import json

import numpy as np
import pytest

from fastmlp.sklearn import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
)
from helpers.command_line import refused, succeed
from helpers.tables import table

FRAME = table(60)[["number", "text"]]


@pytest.fixture
def ensemble(tmp_path):
    """An ensemble of classifiers of a table, saved beside the table and its classes."""
    labels = np.where(FRAME["number"] > 0, "yes", "no")
    member = MLPClassifier(5, preset="tabular", max_iter=3)
    model = MLPEnsembleClassifier(member, n_estimators=3, random_state=0).fit(FRAME, labels)
    model.save(tmp_path / "model.npz")
    FRAME.to_csv(tmp_path / "data.csv", index=False)
    return model


def test_predict(ensemble, tmp_path):
    succeed(tmp_path, "predict", "model.npz", "data.csv", "--out", "out.csv")
    found = (tmp_path / "out.csv").read_text().split()
    assert found[-len(FRAME) :] == ensemble.predict(FRAME).tolist()


def test_inspect(ensemble, tmp_path):
    found = json.loads(succeed(tmp_path, "inspect", "model.npz", "--json"))
    assert found["class"] == "MLPEnsembleClassifier" and found["members"] == 3
    assert [column["name"] for column in found["inputs"]] == ["number", "text"]
    assert "members: 3; layers and history" in succeed(tmp_path, "inspect", "model.npz")


def test_export(ensemble, tmp_path):
    succeed(tmp_path, "export", "model.npz", "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 0
    _, error = refused(tmp_path, "export", "model.npz", "model.safetensors")
    assert "`OUT` must end with .onnx for an ensemble" in error


def test_numbers_without_preset(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    member = MLPRegressor(hidden_layer_sizes=5, solver="lbfgs", tol=1e-2)
    model = MLPEnsembleRegressor(member, n_estimators=2, random_state=0)
    model.fit(X, X[:, 0]).save(tmp_path / "model.npz")
    np.save(tmp_path / "X.npy", X)
    succeed(tmp_path, "predict", "model.npz", "X.npy", "--out", "out.csv")
    found = np.array((tmp_path / "out.csv").read_text().split()[-30:], float)
    np.testing.assert_allclose(found, model.predict(X), rtol=1e-5)
