"""JSON of all commands, ``evaluate``, ``inspect`` and ``warmup``, and what they print."""

import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics

import fastmlp
from fastmlp.callbacks import Progress
from fastmlp.command_line import scores
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
    assert f"accuracy: {accuracy:.4f}\n" in out and "confusion matrix: a line for each" in out
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


# Scores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 25])
def test_scores_of_classes_are_those_of_scikit_learn(n_classes):
    random = np.random.default_rng(n_classes)
    y = random.integers(0, n_classes, 500)
    p = random.dirichlet(np.ones(n_classes), 500)
    p[np.arange(300), y[:300]] += 1
    p /= p.sum(axis=1, keepdims=True)
    names = [f"c{k}" for k in range(n_classes)]
    found, predicted = scores.scores("classification", y, p, names), p.argmax(axis=1)
    assert found["accuracy"] == metrics.accuracy_score(y, predicted)
    assert found["balanced accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(y, predicted)
    )
    assert found["log loss"] == pytest.approx(metrics.log_loss(y, p))
    report = metrics.classification_report(y, predicted, target_names=names, output_dict=True)
    for each in found["classes"]:
        expected = report[each["name"]]
        assert each["precision"] == pytest.approx(expected["precision"])
        assert each["recall"] == pytest.approx(expected["recall"])
        assert each["F1"] == pytest.approx(expected["f1-score"])
        assert each["rows"] == expected["support"]
    assert found["confusion matrix"] == metrics.confusion_matrix(y, predicted).tolist()


def test_scores_of_classes_that_do_not_occur():
    found = scores.scores("classification", np.array([1, 1]), np.eye(3)[[1, 0]], ["a", "b", "c"])
    assert found["balanced accuracy"] == 0.5 and found["classes"][2]["F1"] == 0
    assert found["log loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_scores_of_labels_and_values():
    y, p = np.array([[1, 0], [1, 1], [0, 1.0]]), np.array([[0.9, 0.2], [0.4, 0.8], [0.1, 0.7]])
    found = scores.scores("multilabel", y, p, ["a", "b"])
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["balanced accuracy"] == pytest.approx((0.75 + 1) / 2)
    true = np.where(y == 1, p, 1 - p)
    assert found["log loss"] == pytest.approx(-np.log(true).mean())
    values, outputs = np.array([[1.0], [2], [4]]), np.array([[1.5], [2], [3]])
    found = scores.scores("regression", values, outputs, ["a"])
    assert found["R2"] == pytest.approx(metrics.r2_score(values, outputs))
    assert found["MAE"] == 0.5 and found["RMSE"] == pytest.approx((1.25 / 3) ** 0.5)


def test_guesses():
    assert scores.guess_of("classification", np.array([2, 1, 1])) == 1
    assert scores.guess_of("multilabel", np.array([[1, 0], [1, 0], [0, 0]])) == [1, 0]
    mean = scores.guess_of("regression", np.array([[1.0], [3.0]]), np.array([3.0, 1.0]))
    assert mean == [1.5]
    assert scores.score_of_guess("classification", 1, np.array([1, 1, 0, 2])) == 0.5
    assert scores.score_of_guess("multilabel", [1, 0], np.array([[1, 0], [0, 0]])) == 0.5
    assert scores.score_of_guess("regression", [2.0], np.array([[1.0], [3.0]])) == 0


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


def test_the_epoch_is_chosen_by_other_rows_than_those_of_the_score():

    from fastmlp.command_line.table_training import CRITERION, HALVES, _chosen, _scorers

    of_halves = [0.2, 0.9, 0.4], [0.3, 0.1, 0.8]
    criteria = [-0.5, -0.1, -0.3], [-0.6, -0.7, -0.2]
    history = {"validation_accuracy": [0.25, 0.5, 0.6]}
    for name, each, criterion in zip(HALVES, of_halves, criteria, strict=True):
        history |= {f"validation_{name}": each, f"validation_{name}{CRITERION}": criterion}
    estimator = SimpleNamespace(validation_scores_=[0.25, 0.6, 0.6], history_=history)
    halves = (np.arange(3), np.array([3, 4]))
    # Epoch 2 is the best one of the first half, epoch 3 that of the second; 3 is the last best one.
    best, score = _chosen(estimator, halves)
    assert best == 3 and score == pytest.approx((3 * 0.4 + 2 * 0.1) / 5)
    assert _chosen(estimator, (np.arange(4), np.array([4]))) == (3, 0.6)  # too few for halves
    assert _chosen(SimpleNamespace(validation_scores_=[], history_={}), halves) == (0, None)

    values = np.array([[1.0], [2.0], [4.0], [7.0], [8.0]])
    outputs = values + np.array([[1.0], [0.0], [0.0], [3.0], [0.0]])
    name, half, criterion, *_ = _scorers("regression", halves, True)
    assert name == "r2"
    assert half(values, outputs) == metrics.r2_score(values[:3], outputs[:3])
    assert criterion(values, outputs) == half(values, outputs)
    labels, outputs = np.array([0, 1, 1, 0, 1]), np.array([[9, 1], [4, 6], [8, 2], [5, 5], [5, 5]])
    for preset_used in (True, False):
        name, half, criterion, *_ = _scorers("classification", halves, preset_used)
        expected = metrics.accuracy_score(labels[:3], outputs[:3].argmax(axis=1))
        assert (name, half(labels, outputs / 10)) == ("accuracy", expected)
        if preset_used:
            expected = -metrics.log_loss(labels[:3], outputs[:3] / 10)
        assert criterion(labels, outputs / 10) == pytest.approx(expected)


def test_help_has_the_defaults_of_the_preset(here, tmp_path):
    text = " ".join(here(tmp_path, "train", "--help")[1].split())
    layers = ",".join(map(str, preset.TABULAR["hidden_layer_sizes"]))
    assert f"(default: {layers} for tables, " in text
    assert f"(default: {preset.TABULAR['max_iter']} for tables, fewer " in text
    assert f"(default: {preset.LEAST_BATCH} to {preset.MOST_BATCH} for tables, " in text
