"""The column of weights: in training, in scores, and in guesses."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("pandas")
from sklearn import metrics

from fastmlp.command_line import table_model, table_training
from fastmlp.tables import delimited
from helpers.command_line import refused, succeed
from helpers.table_files import houses, write_csv

TRAIN = ("train", "houses.csv", "--weight", "w", "--epochs", "3", "--layers", "8", "--json")


def weighted(n=200, seed=0):
    """Houses, whose weights differ by town."""
    columns = houses(n, seed)
    columns["w"] = [{"Oslo": 0.5, "Rome": 2, "Lima": 9}[town] for town in columns["town"]]
    columns["w"][::7] = [0] * len(columns["w"][::7])
    return columns


@pytest.fixture
def town(tmp_path):
    write_csv(tmp_path / "houses.csv", weighted())
    write_csv(tmp_path / "other.csv", weighted(100, 1))
    return tmp_path


def predictions(folder, here):
    out = succeed(folder, "predict", "model.npz", "other.csv", run=here)
    return [row[0] for row in csv.reader(out.splitlines())][1:]


def arrays_of(columns, *names):
    return [np.array(columns[name]) for name in names]


def test_rows_of_weight_0_do_not_count(tmp_path, here):
    """Nor is a weight of 5 that of 1."""
    for name, weights in (("one", [1.0, 1.0]), ("other", [1.0, 5.0])):
        write_csv(tmp_path / "houses.csv", houses() | {"w": weights * 100})
        succeed(tmp_path, *TRAIN, "--target", "price", "--out", f"{name}.npz", run=here)
    one, other = (table_model.load(str(tmp_path / f"{name}.npz")) for name in ("one", "other"))
    assert (one.estimator.coefs_[0] != other.estimator.coefs_[0]).any()
    assert "w" not in one.about.kinds


@pytest.mark.parametrize("pieces", [False, True])
def test_evaluation_counts_them(town, here, monkeypatch, pieces):
    if pieces:
        monkeypatch.setattr(delimited, "PIECE_BYTES", 300)
    succeed(town, *TRAIN, "--target", "town", run=here)
    y, w = arrays_of(weighted(100, 1), "town", "w")
    predicted = np.array(predictions(town, here))
    found = json.loads(succeed(town, "evaluate", "model.npz", "other.csv", "--json", run=here))
    expected = metrics.accuracy_score(y, predicted, sample_weight=w)
    assert found["accuracy"] == pytest.approx(expected)
    assert expected != metrics.accuracy_score(y, predicted)
    matrix = metrics.confusion_matrix(y, predicted, sample_weight=w)
    assert found["confusion matrix"] == matrix.tolist() and found["weight"] == "w"
    trained = weighted()
    kept = {name: np.sum(arrays_of(trained, "w")[0][np.array(trained["town"]) == name])
            for name in ("Lima", "Oslo", "Rome")}  # fmt: skip
    assert max(kept, key=kept.get) == "Lima"  # the commonest by weight, if not by rows
    assert found["guess"] == pytest.approx(w[y == "Lima"].sum() / w.sum())
    out = succeed(town, "evaluate", "model.npz", "other.csv", run=here)
    assert out.startswith("data: other.csv, 100 rows, weighted by w\n")
    assert "confusion matrix: sums of w of each true class" in out

    columns = weighted(100, 1)
    del columns["w"]
    write_csv(town / "other.csv", columns)  # without the column, each row counts once
    found = json.loads(succeed(town, "evaluate", "model.npz", "other.csv", "--json", run=here))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted))
    assert found["weight"] is None and found["guess"] == np.mean(y == "Lima")


def test_evaluation_of_regression_counts_them(town, here):
    succeed(town, *TRAIN, "--target", "price", run=here)
    y, w = arrays_of(weighted(100, 1), "price", "w")
    predicted = np.array(predictions(town, here), float)
    found = json.loads(succeed(town, "evaluate", "model.npz", "other.csv", "--json", run=here))
    assert found["R2"] == pytest.approx(metrics.r2_score(y, predicted, sample_weight=w))
    mean = table_model.load(str(town / "model.npz")).about.guess[0]
    expected = metrics.r2_score(y, np.full(100, mean), sample_weight=w)
    assert found["guess"] == pytest.approx(expected)


@pytest.mark.parametrize("target", ["town", "price"])
def test_the_printed_score_counts_them(town, here, target):
    """Of so few rows that they are not halved, it is that of the model that is saved."""
    write_csv(town / "other.csv", {name: values[8:11] for name, values in weighted().items()})
    facts = json.loads(
        succeed(town, *TRAIN, "--target", target, "--validation-data", "other.csv", run=here)
    )
    w, y = arrays_of(weighted(), "w", target)
    w, y = w[8:11], y[8:11]
    predicted = np.array(predictions(town, here), y.dtype)
    score = metrics.r2_score if target == "price" else metrics.accuracy_score
    expected = score(y, predicted, sample_weight=w)
    assert facts["score"]["value"] == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(score(y, predicted), rel=1e-3) or expected in (0, 1)
    found = json.loads(succeed(town, "evaluate", "model.npz", "other.csv", "--json", run=here))
    assert found["guess"] == pytest.approx(facts["score"]["guess"])
    model = table_model.load(str(town / "model.npz"))
    best = int(np.argmax(model.estimator.validation_scores_[::-1]))
    history = model.estimator.history_
    name = "validation_r2" if target == "price" else "validation_accuracy"
    assert history[name][::-1][best] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("target", ["town", "price"])
def test_cross_validation_counts_them(town, here, monkeypatch, target):
    seen, original = [], table_training._score_of
    monkeypatch.setattr(
        table_training, "_score_of",
        lambda *args: seen.append((args, original(*args))) or seen[-1][1],
    )  # fmt: skip
    facts = json.loads(succeed(town, *TRAIN, "--target", target, "--cv", "3", run=here))
    import pandas as pd

    frame, (w, y) = pd.DataFrame(weighted()), arrays_of(weighted(), "w", target)
    for (model, _, chosen), found in seen:
        X = frame[[*model.about.kinds]][chosen]
        predicted = model.estimator.predict(X)
        score = metrics.r2_score if target == "price" else metrics.accuracy_score
        expected = score(y[chosen], predicted, sample_weight=w[chosen])
        assert found == pytest.approx(expected, rel=1e-4)
    assert facts["cv"]["scores"] == [found for _, found in seen]


ERRORS = {
    "below 0": (lambda w: w[:-1] + [-1], (), "have weights of at least 0 in the column 'w', got "
                "-1.0 in data row 200"),
    "missing": (lambda w: [None, *w[1:]], (), "column 'w', got none in data row 1"),
    "text": (lambda w: ["much", *w[1:]], (), "column 'w', got 'much' in data row 1"),
    "none held out": (lambda w: [1] * 160 + [0] * 40, ("--no-shuffle",), "`houses.csv` must have a "
                      "weight above 0 among the rows that are held out, got only weights of 0."),
    "none trained on": (lambda w: [0] * 160 + [1] * 40, ("--no-shuffle",), "a weight above 0 "
                        "among the rows that are trained on"),
    "none of a fold": (lambda w: [1] + [0] * 199, ("--cv", "3"), "a weight above 0 in each fold "
                       "of --cv"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_weights_that_are_refused(tmp_path, here, name):
    change, options, part = ERRORS[name]
    columns = weighted()
    write_csv(tmp_path / "houses.csv", columns | {"w": change(columns["w"])})
    assert part in refused(tmp_path, *TRAIN, "--target", "price", *options, run=here)[1]


def test_an_evaluation_of_weights_that_are_refused(town, here):
    succeed(town, *TRAIN, "--target", "price", run=here)
    write_csv(town / "other.csv", houses(20) | {"w": [0] * 20})
    err = refused(town, "evaluate", "model.npz", "other.csv", run=here)[1]
    assert "`other.csv` must have a weight above 0, got only weights of 0" in err
    write_csv(town / "other.csv", houses(20) | {"w": [1] * 19 + [-1]})
    err = refused(town, "evaluate", "model.npz", "other.csv", run=here)[1]
    assert "at least 0 in the column 'w', got -1 in data row 20" in err
