"""``fastmlp export``."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from fastmlp import MLP, NeuralNet
from fastmlp.command_line import main
from fastmlp.sklearn import MLPClassifier
from helpers.onnx_models import columns_of, session_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table(n=200):
    source = np.random.default_rng(0)
    frame = pd.DataFrame({
        "size": source.normal(size=n).round(3), "text": source.choice(["u", "v", "w"], n),
        "flag": source.random(n) < 0.5,
    })  # fmt: skip
    frame["kind"] = np.where(frame["size"] > 0, "big", frame["text"])
    return frame


@pytest.mark.parametrize("options", [[], ["--no-preset"]])
@pytest.mark.parametrize("target, task", [("kind", "classification"), ("size", "regression")])
def test_a_model_of_a_table(target, task, options, tmp_path, monkeypatch, capsys):
    """What the model of ONNX predicts is what ``fastmlp predict`` writes."""
    monkeypatch.chdir(tmp_path)
    frame = table()
    frame.to_csv("data.csv", index=False)
    assert (
        main(["train", "data.csv", "--target", target, "--epochs", "3", "--task", task, *options])
        == 0
    )
    capsys.readouterr()
    assert main(["export", "model.npz", "model.onnx"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "saved: model.onnx" and "text (string)" in printed[0]
    assert printed[1].startswith("outputs: ")
    assert main(["predict", "model.npz", "data.csv", "--out", "found.csv"]) == 0
    session = session_of("model.onnx")
    answers = session.run(None, columns_of(session, frame))
    expected = pd.read_csv("found.csv")[target]
    if task == "classification":
        assert answers[0].tolist() == expected.tolist()
    else:
        np.testing.assert_allclose(answers[0][:, 0], expected, rtol=1e-5, atol=1e-5)


def test_safetensors_of_a_table_say_what_they_lack(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table().to_csv("data.csv", index=False)
    assert main(["train", "data.csv", "--target", "kind", "--epochs", "3"]) == 0
    capsys.readouterr()
    assert main(["export", "model.npz", "model.safetensors"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("not in the file: the preparation of the table's columns")
    assert main(["export", "model.npz", "model.safetensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lacks"] == "the preparation of the table's columns"


def test_networks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    NeuralNet([4, 3], dtype="float32", random_state=0).save("net.npz")
    MLP([4, 5, 2], loss="huber", random_state=0).save("mlp.npz")
    MLPClassifier(5, max_iter=2).fit(X, np.arange(40) % 2).save("estimator.npz")
    for name, output in (("net", "label"), ("mlp", "variable"), ("estimator", "label")):
        assert main(["export", f"{name}.npz", f"{name}.ONNX"]) == 0
        session = session_of(f"{name}.ONNX")
        assert session.get_outputs()[0].name == output
        session.run(None, {"X": X})
    capsys.readouterr()
    assert main(["export", "mlp.npz", "mlp.safetensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"model": "mlp.npz", "saved": "mlp.safetensors"}
    found = MLP.from_safetensors("mlp.safetensors")
    assert found.predict(X).tobytes() == MLP.load("mlp.npz").predict(X).tobytes()
    assert main(["export", "mlp.npz", "mlp.onnx", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["inputs"], facts["outputs"]) == ({"X": "float"}, {"variable": "float"})


@pytest.mark.parametrize("out, error", [
    ("model.pt", "`OUT` must end with .onnx or .safetensors, got 'model.pt'."),
    ("model", "`OUT` must end with .onnx or .safetensors, got 'model'."),
    ("none/model.onnx", "cannot save to none/model.onnx: No such file or directory"),
])  # fmt: skip
def test_errors_are_one_line(out, error, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    NeuralNet([4, 3], random_state=0).save("net.npz")
    assert main(["export", "net.npz", out]) == 2
    assert capsys.readouterr().err == f"fastmlp: error: {error}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["net.npz"]


def test_a_missing_extra_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    NeuralNet([4, 3], random_state=0).save("net.npz")
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnx"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["export", "net.npz", "net.onnx"]) == 2
    line = 'fastmlp: error: Exporting to ONNX needs onnx: pip install "fastmlp[onnx]"\n'
    assert capsys.readouterr().err == line
    assert [each.name for each in tmp_path.iterdir()] == ["net.npz"]


def test_the_model_is_not_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    NeuralNet([4, 3], random_state=0).save("net.onnx")
    before = (tmp_path / "net.onnx").read_bytes()
    assert main(["export", "net.onnx", "net.onnx"]) == 2
    assert "another file" in capsys.readouterr().err
    assert (tmp_path / "net.onnx").read_bytes() == before
