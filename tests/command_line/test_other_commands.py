"""JSON of all commands, ``evaluate``, ``inspect`` and ``warmup``, and what they print."""

import io
import json
import re
import sys

import numpy as np
import pytest

import fastmlp
from fastmlp.callbacks import Progress
from fastmlp.command_line.reports import MOST_BLOCKS, blocks, duration, number, table
from fastmlp.datasets import digits
from fastmlp.sklearn import preset
from helpers.command_line import make_images, pack_idx, succeed
from helpers.table_files import houses, passengers, write_csv


@pytest.fixture
def net(tmp_path):
    """A folder with images, labels and a network that was trained on them."""
    images, labels = make_images()
    (tmp_path / "images").write_bytes(pack_idx(images))
    (tmp_path / "labels").write_bytes(pack_idx(labels))
    net = fastmlp.NeuralNet([24, 5, 2], 0.1, input_scale=1 / 256, random_state=0)
    net.fit(images.reshape(100, 24), labels, epochs=3).save(tmp_path / "net.npz")
    return tmp_path


def test_json_of_networks(net, here):
    def found(*args):
        out = succeed(net, *args, "--json", run=here)
        assert out.count("\n") == 1
        return json.loads(out)

    trained = found("train", "digits", "--epochs", "2", "--out", "digits.npz")
    assert trained["held_out_rows"] == 359 and trained["saved"] == "digits.npz"
    assert 0 < trained["held_out_accuracy"] <= 1 and trained["samples_per_second"] > 0
    images, labels = make_images()
    X = images.reshape(100, 24)
    model = fastmlp.load(net / "net.npz")
    rows = found("predict", "net.npz", "images")["rows"]
    assert rows == model.predict(X).reshape(100, 1).tolist()
    rows = found("predict", "net.npz", "images", "--probabilities")["rows"]
    assert np.array_equal(np.array(rows), model.predict_proba(X))
    result = found("evaluate", "net.npz", "images", "labels")
    assert result["accuracy"] == pytest.approx(model.score(X, labels)) and result["guess"] is None
    inspected = found("inspect", "net.npz")
    assert inspected["layers"] == [24, 5, 2] and len(inspected["history"]["loss"]) == 3
    assert found("warmup", "--dtype", "float32")["dtypes"] == ["float32"]
    compared = found("compare", "digits", "--epochs", "1", "--layers", "4")
    assert compared["layers"] == [64, 4, 10] and compared["ratio"] > 0


def test_json_of_tables(tmp_path, here):
    write_csv(tmp_path / "data.csv", passengers())
    arguments = ("--target", "Survived", "--id", "PassengerId", "--epochs", "2", "--json")
    trained = json.loads(succeed(tmp_path, "train", "data.csv", *arguments, run=here))
    assert trained["task"] == "classification" and trained["classes"] == [0, 1]
    assert trained["rows"] == 240 == trained["training_rows"] + trained["validation_rows"]
    assert trained["score"]["name"] == "accuracy" and trained["saved"] == "model.npz"
    kinds = {column["name"]: column["kind"] for column in trained["columns"]}
    assert kinds == {
        "Name": "text", "Sex": "text", "Age": "number", "Deck": "text", "Married": "boolean"
    }  # fmt: skip
    inspected = json.loads(succeed(tmp_path, "inspect", "model.npz", "--json", run=here))
    assert [column["name"] for column in inspected["inputs"]] == ["Sex", "Age", "Deck", "Married"]
    assert [column["name"] for column in inspected["left_out"]] == ["Name"]
    assert inspected["id"] == "PassengerId" and inspected["score"] == trained["score"]["value"]
    predicted = json.loads(
        succeed(tmp_path, "predict", "model.npz", "data.csv", "--json", run=here)
    )
    assert predicted["columns"] == ["PassengerId", "Survived"] and len(predicted["rows"]) == 240
    result = json.loads(succeed(tmp_path, "evaluate", "model.npz", "data.csv", "--json", run=here))
    right = [
        row[1] == y for row, y in zip(predicted["rows"], passengers()["Survived"], strict=True)
    ]
    assert result["accuracy"] == pytest.approx(np.mean(right))
    assert [each["name"] for each in result["classes"]] == [0, 1]


def test_evaluate_digits(tmp_path, here):
    succeed(tmp_path, "train", "digits", "--epochs", "3", run=here)
    out = succeed(tmp_path, "evaluate", "model.npz", "digits", run=here)
    X, y = digits()
    accuracy = fastmlp.load(tmp_path / "model.npz").score(X, y)
    assert f"accuracy: {accuracy:.4f}\n" in out and "confusion matrix: rows of each true" in out
    assert len(re.findall(r"^  \d +0\.\d+", out, re.MULTILINE)) >= 9


def test_predictions_of_images_may_be_written_to_a_file(net, here):
    printed = succeed(net, "predict", "net.npz", "images", run=here)
    assert succeed(net, "predict", "net.npz", "images", "--out", "p.csv", run=here) == ""
    assert (net / "p.csv").read_text() == printed


def test_inspect(tmp_path, here):
    write_csv(tmp_path / "houses.csv", houses())
    succeed(tmp_path, "train", "houses.csv", "--target", "price", "--epochs", "7", run=here)
    out = succeed(tmp_path, "inspect", "model.npz", run=here)
    assert "MLPRegressor in model.npz\n" in out
    layers = "21 inputs, hidden layers of 128, 128 and 128, 1 output; 35,969 parameters"
    assert f"layers: {layers}\n" in out
    assert "\n  area: number\n" in out and "\n  town: text, 3 different\n" in out
    lines = re.findall(r"^  (\w+) +([▁▂▃▄▅▆▇█]+)  \S+ to \S+$", out, re.MULTILINE)
    assert [name for name, _ in lines] == ["loss", "validation_loss", "validation_r2"]
    assert all(len(line) == 7 for _, line in lines)


def test_warmup_compiles_what_training_needs(here, tmp_path):
    assert re.fullmatch(
        r"ready: networks of float32 \(\S+ s\)\n",
        succeed(tmp_path, "warmup", "--dtype", "float32", run=here),
    )


def test_a_matrix_that_is_too_wide_for_the_terminal(net, here, monkeypatch):
    """Then the largest errors are shown, but not where the output goes elsewhere."""
    succeed(net, "train", "digits", "--epochs", "1", run=here)
    evaluate = ("evaluate", "model.npz", "digits")
    for columns, is_terminal, title in (
        (30, True, "most frequent errors\n  true as predicted  rows\n"),
        (200, True, "confusion matrix: "),
        (30, False, "confusion matrix: "),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda _, found=is_terminal: found)
        assert f"\n{title}" in succeed(net, *evaluate, run=here)


# Text ---------------------------------------------------------------------------------------------


def test_blocks():
    assert blocks([0, 7, 3, 7], io.StringIO()) == "▁█▄█"
    assert blocks([1.0, 1.0], io.StringIO()) == "▁▁"
    assert blocks([], io.StringIO()) == "" and blocks([float("nan")], io.StringIO()) == " "
    assert blocks([0, float("inf"), 7], io.StringIO()) == "▁ █"
    long = blocks(range(1000), io.StringIO())
    assert len(long) == MOST_BLOCKS and list(long) == sorted(long)
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    blocks([0, 7, 3], ascii_only).encode("ascii")


def test_numbers():
    found = [number(x) for x in (0.0, 1.0, 0.98765, 543.21, 54321.9, 1e20, -2.5, 1e-9)]
    assert found == ["0", "1.000", "0.9877", "543.2", "54,322", "1e+20", "-2.500", "1e-09"]
    assert [duration(x) for x in (0.04, 59.9, 125, 3700)] == [
        "0.0 s", "59.9 s", "2 min 5 s", "1 h 1 min"
    ]  # fmt: skip
    assert table([["", "a"], ["name", "1"]]).splitlines() == ["        a", "  name  1"]


def test_the_bar_shows_the_score_of_the_validation_data():
    X, y = digits()
    stream = io.StringIO()
    mlp = fastmlp.MLP([64, 8, 10], input_scale=1 / 16, random_state=0)
    mlp.fit(X, y, epochs=3, validation_fraction=0.2, callbacks=[Progress(stream)])
    shown = re.findall(r"validation_accuracy=(\d\.\d{4})", stream.getvalue())
    assert shown[-1] == f"{mlp.history_['validation_accuracy'][-1]:.4f}"
    stream = io.StringIO()
    mlp.fit(X, y, epochs=1, callbacks=[Progress(stream)])
    assert "validation" not in stream.getvalue()


def test_help_has_the_defaults_of_the_preset(here, tmp_path):
    text = " ".join(here(tmp_path, "train", "--help")[1].split())
    layers = ",".join(map(str, preset.TABULAR["hidden_layer_sizes"]))
    assert f"(default: {layers} for tables, " in text
    assert f"(default: {preset.TABULAR['max_iter']} for tables, fewer " in text
    assert f"(default: {preset.LEAST_BATCH} to {preset.MOST_BATCH} for tables, " in text
