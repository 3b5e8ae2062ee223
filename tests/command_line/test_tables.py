"""``fastmlp train``, ``evaluate`` and ``predict`` on tables, mostly in this process."""

import csv
import json
import os
import re

import numpy as np
import pytest

import fastmlp
from fastmlp.command_line import table_model
from fastmlp.tables import delimited, scan
from helpers.command_line import run, succeed, warnings_of
from helpers.same_bits import assert_same_bits
from helpers.table_files import houses, passengers, write_csv

pytest.importorskip("pandas")


@pytest.fixture
def titanic(tmp_path):
    write_csv(tmp_path / "titanic.csv", passengers())
    return tmp_path


@pytest.fixture
def town(tmp_path):
    write_csv(tmp_path / "houses.csv", houses())
    return tmp_path


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def model_of(path):
    return table_model.load(str(path))


def test_three_commands(titanic, here):
    """A table with text, missing values, names and an id trains without any preparation."""
    out = succeed(titanic, "train", "titanic.csv", "--target", "Survived", "--epochs", "20",
                  "--id", "PassengerId", run=here)  # fmt: skip
    assert "data: titanic.csv (delimited text), 240 rows\n" in out
    assert re.search(r"^1 number: Age \(\d+ missing\)$", out, re.MULTILINE)
    assert re.search(r"^1 boolean: Married \(\d+ missing\)$", out, re.MULTILINE)
    assert re.search(r"^2 columns of text: Sex, Deck \(\d+ missing\)$", out, re.MULTILINE)
    assert "left out: Name (text with 240 different values in 240 rows)\n" in out
    assert "target: Survived, 2 different whole numbers, so the task is classification\n" in out
    assert "hidden layers of 128, 128 and 128, 1 output" in out and "training: 192 rows, " in out
    score, guess = re.search(
        r"^accuracy: (\S+) on 48 rows held out; always answering the commonest class: (\S+)$",
        out, re.MULTILINE,
    ).groups()  # fmt: skip
    assert float(score) > 0.85 > float(guess)
    assert out.endswith("saved: model.npz\n")
    assert sorted(os.listdir(titanic)) == ["model.npz", "titanic.csv"]

    test = passengers(seed=1)
    write_csv(titanic / "test.csv", test)
    out = succeed(titanic, "evaluate", "model.npz", "test.csv", run=here)
    assert float(re.search(r"^accuracy: (\S+) ", out)[1] if out.startswith("acc") else
                 re.search(r"accuracy: (\S+) \(always", out)[1]) > 0.85  # fmt: skip
    for name in ("balanced accuracy", "log loss", "precision  recall", "confusion matrix"):
        assert name in out

    new = {name: values for name, values in test.items() if name != "Survived"}
    new = dict(reversed(new.items()))  # found by their names
    write_csv(titanic / "new.csv", new)
    out = succeed(titanic, "predict", "model.npz", "new.csv", "--out", "predictions.csv", run=here)
    assert out == "240 predictions of Survived: predictions.csv\n"
    header, *rows = rows_of(titanic / "predictions.csv")
    assert header == ["PassengerId", "Survived"]
    assert [row[0] for row in rows] == test["PassengerId"]
    assert np.mean([int(row[1]) == y for row, y in zip(rows, test["Survived"], strict=True)]) > 0.85


def test_probabilities_and_labels(titanic, here):
    labels = ["yes" if value else "no" for value in passengers()["Survived"]]
    write_csv(titanic / "titanic.csv", passengers() | {"Survived": labels})
    succeed(titanic, "train", "titanic.csv", "--target", "Survived", "--epochs", "5", run=here)
    out = succeed(titanic, "predict", "model.npz", "titanic.csv", "--probabilities", run=here)
    header, *rows = csv.reader(out.splitlines())
    assert header == ["Survived", "probability_no", "probability_yes"]
    for label, no, yes in rows:
        assert float(no) + float(yes) == pytest.approx(1, abs=1e-5)
        assert label == ("yes" if float(yes) > float(no) else "no")
    estimator = fastmlp.load(titanic / "model.npz")
    assert estimator.classes_.tolist() == ["no", "yes"]


TASKS = {
    "text": (["--target", "town"], "classification"),
    "numbers": (["--target", "price"], "regression"),
    "position": (["--target", "-1"], "regression"),
    "few whole numbers": (["--target", "rooms"], "classification"),
    "overridden": (["--target", "rooms", "--task", "regression"], "regression"),
    "several numbers": (["--target", "price,area"], "regression"),
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks(town, name, here):
    options, task = TASKS[name]
    arguments = ("--epochs", "2", "--layers", "8")
    out = succeed(town, "train", "houses.csv", *options, *arguments, run=here)
    assert f"so the task is {task}" in out or f"as --task says, so the task is {task}" in out
    model = model_of(town / "model.npz")
    assert type(model.estimator).__name__ == (
        "MLPRegressor" if task == "regression" else "MLPClassifier"
    )
    header, *rows = csv.reader(
        succeed(town, "predict", "model.npz", "houses.csv", run=here).split()
    )
    assert header == model.about.target and len(rows) == 200


def test_multilabel(town, here):
    columns = houses()
    columns["large"] = [int(area > 100) for area in columns["area"]]
    columns["dear"] = [int(price > 120_000) for price in columns["price"]]
    write_csv(town / "houses.csv", columns)
    out = succeed(town, "train", "houses.csv", "--target", "large", "--target", "dear", "--drop",
                  "price", "--epochs", "30", run=here)  # fmt: skip
    assert "target: large, dear, 2 columns of 0 and 1, so the task is multilabel" in out
    out = succeed(town, "evaluate", "model.npz", "houses.csv", "--json", run=here)
    found = json.loads(out)
    assert found["task"] == "multilabel" and found["accuracy"] > 0.8
    assert [each["name"] for each in found["labels"]] == ["large", "dear"]
    header, *rows = csv.reader(
        succeed(town, "predict", "model.npz", "houses.csv", "--probabilities", run=here).split()
    )
    assert header == ["large", "dear", "probability_large", "probability_dear"]
    for *labels, p_large, p_dear in rows:
        assert labels == [str(int(float(p) >= 0.5)) for p in (p_large, p_dear)]


def test_regression_is_measured(town, here):
    succeed(town, "train", "houses.csv", "--target", "price", "--epochs", "40", run=here)
    found = json.loads(succeed(town, "evaluate", "model.npz", "houses.csv", "--json", run=here))
    rows = list(csv.reader(succeed(town, "predict", "model.npz", "houses.csv", run=here).split()))
    predicted, true = np.array([float(row[0]) for row in rows[1:]]), np.array(houses()["price"])
    assert found["R2"] > 0.9
    residuals = true - predicted
    assert found["R2"] == pytest.approx(1 - np.mean(residuals**2) / true.var())
    assert found["MAE"] == pytest.approx(np.abs(residuals).mean())
    assert found["RMSE"] == pytest.approx(np.mean(residuals**2) ** 0.5)


# What is held out ---------------------------------------------------------------------------------


def test_held_out_rows_teach_nothing(tmp_path, here, monkeypatch):
    """Neither scales nor categories, also if rows are read in pieces."""
    for pieces in (False, True):
        if pieces:
            monkeypatch.setattr(delimited, "PIECE_BYTES", 200)
        columns = houses()
        columns["area"] = [*columns["area"][:160], *[1e6] * 40]
        columns["town"] = [*columns["town"][:160], *["Bergen"] * 40]
        write_csv(tmp_path / "houses.csv", columns)
        arguments = ("--target", "price", "--no-shuffle", "--epochs", "1")
        out = succeed(tmp_path, "train", "houses.csv", *arguments, run=here)
        assert "training: 160 rows" in out and "on 40 rows held out" in out
        model = model_of(tmp_path / "model.npz")
        area, rooms, names = model.estimator.encoder_.columns_
        assert names.categories == ("Lima", "Oslo", "Rome")
        assert area.centre == np.median(columns["area"][:160])
        assert model.estimator.target_center_ == pytest.approx(np.mean(columns["price"][:160]))


def test_shares_and_strata(titanic, here):
    arguments = ("train", "titanic.csv", "--target", "Sex", "--epochs", "1", "--validation", "0.1")
    found = json.loads(succeed(titanic, *arguments, "--json", run=here))
    assert (found["training_rows"], found["validation_rows"]) == (216, 24)
    share = np.mean(np.array(passengers()["Sex"]) == "female")
    assert found["score"]["guess"] == pytest.approx(max(share, 1 - share), abs=1 / 24)


def test_validation_data(town, here):
    write_csv(town / "other.csv", houses(n=30, seed=1))
    arguments = ("train", "houses.csv", "--target", "town", "--epochs", "2", "--json")
    found = json.loads(succeed(town, *arguments, "--validation-data", "other.csv", run=here))
    assert (found["training_rows"], found["validation_rows"]) == (200, 30)
    write_csv(town / "other.csv", houses(n=30, seed=1) | {"town": ["Oslo"] * 29 + ["Bern"]})
    code, _, err = here(town, *arguments, "--validation-data", "other.csv")
    assert code == 2 and "got 'Bern' in data row 30" in err


def test_cross_validation(town, here):
    arguments = ("train", "houses.csv", "--target", "price", "--epochs", "10", "--cv", "4")
    found = json.loads(succeed(town, *arguments, "--json", run=here))["cv"]
    assert len(found["scores"]) == 4 and len(set(found["scores"])) == 4
    assert found["mean"] == pytest.approx(np.mean(found["scores"]))
    assert found["standard_error"] == pytest.approx(np.std(found["scores"], ddof=1) / 2)
    out = succeed(town, *arguments, run=here)
    assert re.search(r"^4 folds: R2 \S+ \+- \S+ \(standard error\)", out, re.MULTILINE)


def test_folds_are_all_rows_once(town, here, monkeypatch):
    from fastmlp.command_line import table_training

    seen = []
    original = table_training._score_of
    monkeypatch.setattr(
        table_training, "_score_of",
        lambda model, data, chosen: seen.append(chosen) or original(model, data, chosen),
    )  # fmt: skip
    succeed(town, "train", "houses.csv", "--target", "town", "--cv", "3", "--epochs", "1", run=here)
    assert len(seen) == 3 and (np.sum(seen, axis=0) == 1).all()
    towns = np.array(houses()["town"])
    counts = [[np.count_nonzero(towns[chosen] == town) for town in set(towns)] for chosen in seen]
    assert np.ptp(counts, axis=0).max() <= 1


# Pieces, seeds, formats ---------------------------------------------------------------------------


def test_pieces_and_threads_change_no_bit(titanic, here, monkeypatch):
    arguments = ("train", "titanic.csv", "--target", "Survived", "--epochs", "3", "--out")
    succeed(titanic, *arguments, "a.npz", run=here)
    succeed(titanic, *arguments, "b.npz", "--threads", "2", run=here)
    monkeypatch.setattr(delimited, "PIECE_BYTES", 300)
    succeed(titanic, *arguments, "c.npz", run=here)
    succeed(titanic, *arguments, "d.npz", "--seed", "1", run=here)
    a, b, c, d = (model_of(titanic / f"{name}.npz").estimator for name in "abcd")
    for other in (b, c):
        assert_same_bits(other.coefs_, a.coefs_)
        assert other.history_ == a.history_
    assert (a.coefs_[0] != d.coefs_[0]).any()


def test_a_sample_of_the_rows_fits_the_encoder(tmp_path, here, monkeypatch):
    monkeypatch.setattr(scan, "SAMPLE_CELLS", 10)
    monkeypatch.setattr(scan, "LEAST_SAMPLE", 50)
    monkeypatch.setattr(delimited, "PIECE_BYTES", 1000)
    columns = houses(n=2000)
    write_csv(tmp_path / "houses.csv", columns)
    succeed(tmp_path, "train", "houses.csv", "--target", "price", "--epochs", "5", run=here)
    model = model_of(tmp_path / "model.npz")
    area = model.estimator.encoder_.columns_[0]
    assert area.centre != np.median(columns["area"])
    assert area.centre == pytest.approx(np.median(columns["area"]), abs=40)
    assert model.about.score > 0.5


def test_no_header(tmp_path, here):
    columns = houses()
    write_csv(tmp_path / "houses.csv", columns, "\t")
    lines = (tmp_path / "houses.csv").read_text().splitlines(True)[1:]
    (tmp_path / "houses.tsv").write_text("".join(lines))
    succeed(tmp_path, "train", "houses.tsv", "--target", "3", "--epochs", "2", run=here)
    assert model_of(tmp_path / "model.npz").about.target == ["3"]
    (tmp_path / "new.tsv").write_text("\t".join(lines[0].split("\t")[:3]) + "\n")  # one row
    out = succeed(tmp_path, "predict", "model.npz", "new.tsv", run=here)
    assert out.splitlines()[0] == "3" and len(out.splitlines()) == 2


def test_npz_of_keras(tmp_path, here):
    X, y = fastmlp.datasets.digits()
    parts = {"x_train": X[:1500].reshape(-1, 8, 8), "y_train": y[:1500].astype(np.uint8)}
    test = {"x_test": X[1500:].reshape(-1, 8, 8), "y_test": y[1500:].astype(np.uint8)}
    np.savez(tmp_path / "digits.npz", **parts, **test)
    out = succeed(tmp_path, "train", "digits.npz", "--epochs", "8", run=here)
    assert "target: y, 10 different whole numbers, so the task is classification" in out
    found = json.loads(succeed(tmp_path, "evaluate", "model.npz", "digits.npz", "--json", run=here))
    assert found["rows"] == 297 and found["accuracy"] > 0.85
    assert np.sum(found["confusion matrix"]) == 297
    lines = succeed(tmp_path, "predict", "model.npz", "digits.npz", run=here).split()
    assert np.mean(np.array(lines[1:], int) == y[1500:]) == pytest.approx(found["accuracy"])


@pytest.mark.parametrize("kind", ["parquet", "npz", "svm", "csv.gz"])
def test_other_formats(tmp_path, here, kind):
    import pandas as pd

    frame = pd.DataFrame(houses())
    path, options = tmp_path / f"houses.{kind}", ("--target", "price")
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    elif kind == "csv.gz":
        frame.to_csv(path, index=False)
    else:
        X, y, options = frame[["area", "rooms"]].to_numpy(), frame["price"].to_numpy(), ()
        if kind == "npz":
            np.savez(path, X=X, y=y)
        else:
            from sklearn.datasets import dump_svmlight_file

            dump_svmlight_file(X, y, str(path))
    out = succeed(tmp_path, "train", path.name, *options, "--epochs", "30", run=here)
    assert "so the task is regression" in out
    found = json.loads(succeed(tmp_path, "evaluate", "model.npz", path.name, "--json", run=here))
    assert found["R2"] > 0.5


# Without the preset -------------------------------------------------------------------------------


def test_no_preset(town, titanic, here):
    arguments = ("--no-preset", "--epochs", "3")
    out = succeed(town, "train", "houses.csv", "--target", "town", *arguments, run=here)
    assert "model: 3 inputs, a hidden layer of 100, 3 outputs" in out
    model = model_of(town / "model.npz")
    assert not hasattr(model.estimator, "encoder_")
    frame = np.column_stack([houses()[name] for name in ("area", "rooms", "price")])
    expected = model.estimator.predict(frame.astype(np.float32))
    lines = succeed(town, "predict", "model.npz", "houses.csv", run=here).split()
    assert lines[1:] == expected.tolist()

    code, _, err = here(titanic, "train", "titanic.csv", "--target", "Survived", *arguments)
    row = passengers()["Age"].index(None) + 1
    assert code == 2 and err.splitlines()[-1] == (
        "fastmlp: error: `data` must have no missing values unless the tabular preset is used, got "
        f"one in the column 'Age', data row {row}."
    )


def test_text_without_the_preset(town, here):
    arguments = ("--target", "price", "--no-preset", "--epochs", "1")
    succeed(town, "train", "houses.csv", *arguments, run=here)
    model = model_of(town / "model.npz")
    assert model.estimator.coefs_[0].shape[0] == 2 + 3
    assert model.about.plain["categories"] == {"town": ["Lima", "Oslo", "Rome"]}
    columns = houses(n=3) | {"town": ["Oslo", "Bern", "Rome"]}  # a new one is none of them
    write_csv(town / "new.csv", columns)
    assert len(succeed(town, "predict", "model.npz", "new.csv", run=here).split()) == 4


# Other rows ---------------------------------------------------------------------------------------


@pytest.fixture
def trained(town, here):
    succeed(town, "train", "houses.csv", "--target", "price", "--epochs", "1", run=here)
    return town


def test_a_missing_column_is_named(trained, here):
    columns = houses()
    write_csv(trained / "new.csv", {"Area": columns["area"], "town": columns["town"]})
    code, out, err = here(trained, "predict", "model.npz", "new.csv")
    assert (code, out) == (2, "") and err == (
        "fastmlp: error: `new.csv` must have the columns of the training data, got no column "
        "'area', 'rooms', and the new 'Area'.\n"
    )


def test_a_new_column_is_named(trained, here):
    write_csv(trained / "new.csv", houses() | {"garden": [1] * 200})
    code, out, err = run(trained, "predict", "model.npz", "new.csv")
    assert code == 0 and out == succeed(trained, "predict", "model.npz", "houses.csv", run=here)
    assert warnings_of(err) == [
        "new.csv has columns that the training data did not have, which are ignored: garden"
    ]


def test_text_in_place_of_a_number_is_named(trained, here):
    columns = houses()
    columns["rooms"][7] = "many"
    write_csv(trained / "new.csv", columns)
    code, _, err = here(trained, "predict", "model.npz", "new.csv", "--out", "p.csv")
    assert code == 2 and not (trained / "p.csv").exists()
    assert (
        "have numbers in the column 'rooms', as in the training data, got 'many' in data row 8"
        in err
    )


def test_evaluation_needs_the_target(trained, here):
    write_csv(trained / "new.csv", {k: v for k, v in houses().items() if k != "price"})
    code, _, err = here(trained, "evaluate", "model.npz", "new.csv")
    assert code == 2 and "`new.csv` must have the target 'price', got no such column" in err


def test_numbers_as_text_and_text_as_numbers(tmp_path, here):
    """A column of text keeps its text, also if a file or a piece of it looks like numbers."""
    columns = {"code": ["01", "x"] * 100, "y": ["a", "b"] * 100}
    write_csv(tmp_path / "data.csv", columns)
    succeed(tmp_path, "train", "data.csv", "--target", "y", "--epochs", "30", run=here)
    write_csv(tmp_path / "new.csv", {"code": ["01", "01"]})
    lines = succeed(tmp_path, "predict", "model.npz", "new.csv", run=here).split()
    assert lines == ["y", "a", "a"]


def test_codes_with_leading_zeros_are_text(tmp_path, here):
    """As inputs, classes and ids: 01 is not 1."""
    codes = ["01", "1", "10", "7"] * 60
    columns = {"zip": codes, "x": [1.5, 2.5] * 120, "id": [f"{k:04}" for k in range(240)]}
    write_csv(tmp_path / "data.csv", columns | {"y": codes})
    out = succeed(tmp_path, "train", "data.csv", "--target", "y", "--id", "id", "--epochs", "60",
                  run=here)  # fmt: skip
    assert "\n1 column of text: zip\n" in out
    assert "\ntext, because some numbers have leading zeros: zip\n" in out
    assert "target: y, numbers with leading zeros, which are text, with 4 different values" in out
    assert "\nclasses: 01, 1, 10, 7\n" in out
    write_csv(tmp_path / "new.csv", {"zip": ["1", "7"], "x": [1.5, 2.5], "id": ["0007", "08"]})
    out = succeed(tmp_path, "predict", "model.npz", "new.csv", run=here)
    assert out == "id,y\n0007,1\n08,7\n"
    found = json.loads(succeed(tmp_path, "evaluate", "model.npz", "data.csv", "--json", run=here))
    assert found["accuracy"] > 0.9
    assert [each["name"] for each in found["classes"]] == ["01", "1", "10", "7"]


def test_numbers_with_separators_of_thousands(tmp_path, here):
    columns = houses()
    columns["price"] = [f"{price:,}" for price in columns["price"]]
    write_csv(tmp_path / "houses.csv", columns)
    out = succeed(tmp_path, "train", "houses.csv", "--target", "price", "--epochs", "40", run=here)
    assert "\nnumbers with separators of thousands: price\n" in out
    assert "so the task is regression" in out
    write_csv(tmp_path / "plain.csv", houses())
    both = [
        json.loads(succeed(tmp_path, "evaluate", "model.npz", name, "--json", run=here))["R2"]
        for name in ("houses.csv", "plain.csv")
    ]
    assert both[0] == both[1] > 0.9


def test_numbers_with_units_are_named(tmp_path, here):
    write_csv(tmp_path / "houses.csv", houses() | {"rooms": [f"{k % 9} m" for k in range(200)]})
    out = succeed(tmp_path, "train", "houses.csv", "--target", "price", "--epochs", "1", run=here)
    sentence = "text, because of units: rooms (0 m); numbers without them would be used as such"
    assert f"\n{sentence}\n" in out


@pytest.mark.parametrize("options", [(), ("--no-preset",)])
def test_large_rows_are_read_in_long_pieces(tmp_path, here, monkeypatch, options):
    from fastmlp.sklearn import fitting
    from fastmlp.training import sources

    columns = {name: houses()[name] for name in ("area", "rooms", "price")}
    write_csv(tmp_path / "houses.csv", columns)
    for module in (fitting, sources):
        monkeypatch.setattr(module, "BLOCK_BYTES", 500)
    blocks, original = [], sources.copied_rows
    monkeypatch.setattr(
        sources, "copied_rows", lambda data, order: blocks.append(order) or original(data, order)
    )
    arguments = ("--target", "price", "--epochs", "2", "--batch-size", "4", *options)
    succeed(tmp_path, "train", "houses.csv", *arguments, run=here)
    assert len(blocks) > 4
    assert np.array_equal(np.sort(np.concatenate(blocks)), np.repeat(np.arange(160), 2))


def test_a_saved_estimator_of_a_program(tmp_path, here):
    import pandas as pd
    from sklearn.exceptions import ConvergenceWarning

    from fastmlp.sklearn import MLPClassifier, MLPRegressor

    frame = pd.DataFrame(houses())
    y = frame.pop("town")
    clf = MLPClassifier(8, preset="tabular", max_iter=3, random_state=0).fit(frame, y)
    clf.save(tmp_path / "clf.npz")
    write_csv(tmp_path / "houses.csv", {name: houses()[name] for name in frame})
    _, out, err = here(tmp_path, "predict", "clf.npz", "houses.csv")
    assert out.split() == ["prediction", *clf.predict(frame)]
    reg = MLPRegressor("squared_error", 8, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning):
        reg.fit(frame.astype(np.float32).to_numpy(), frame["price"]).save(tmp_path / "reg.npz")
    np.save(tmp_path / "X.npy", frame.to_numpy())
    lines = succeed(tmp_path, "predict", "reg.npz", "X.npy", run=here).split()
    expected = reg.predict(frame.to_numpy(np.float32))
    assert np.allclose(np.array(lines[1:], float), expected, rtol=1e-5)
    assert "layers: " in succeed(tmp_path, "inspect", "reg.npz", run=here)
