"""``predict`` and ``evaluate`` of files of any size: in pieces, and written whole or not at all."""

import argparse
import csv
import json
import os
import sys
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("pandas")

import fastmlp
from fastmlp.command_line import image_files, table_model, table_use
from fastmlp.tables import delimited
from helpers.command_line import make_images, refused, succeed
from helpers.table_files import houses, write_csv

N_CLASSES = 300


@pytest.fixture
def many(tmp_path, here):
    """A model of 300 classes."""
    random = np.random.default_rng(0)
    columns = {"x": random.normal(size=900).tolist(), "y": [f"c{k % 300}" for k in range(900)]}
    write_csv(tmp_path / "data.csv", columns)
    succeed(tmp_path, "train", "data.csv", "--target", "y", "--epochs", "1", run=here)
    return tmp_path


def peak_of(function, *args):
    """Return what a call returns, and the most bytes that it had allocated at a time."""
    tracemalloc.start()
    try:
        return function(*args), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_evaluation_keeps_no_outputs(many, here, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE_BYTES", 100_000)
    monkeypatch.setattr(table_model, "MOST_VALUES", 2**18)
    content = (many / "data.csv").read_text().split("\n", 1)
    (many / "large.csv").write_text(content[0] + "\n" + content[1] * 40)  # of outputs: 43 MB
    expected = json.loads(succeed(many, "evaluate", "model.npz", "data.csv", "--json", run=here))
    out, peak = peak_of(
        lambda: succeed(many, "evaluate", "model.npz", "large.csv", "--json", run=here)
    )
    found = json.loads(out)
    assert found["rows"] == 36_000 and peak < 15e6
    assert found["accuracy"] == pytest.approx(expected["accuracy"])
    assert found["log loss"] == pytest.approx(expected["log loss"])
    assert np.array_equal(found["confusion matrix"], 40 * np.array(expected["confusion matrix"]))


@pytest.mark.parametrize("as_json", [False, True])
def test_writing_keeps_no_rows(tmp_path, monkeypatch, as_json):
    args = argparse.Namespace(out=None if as_json else str(tmp_path / "p.csv"), json=as_json)
    with open(tmp_path / "printed", "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        rows = ([k, f"text {k}", k / 3] for k in range(100_000))
        n, peak = peak_of(table_use.write_rows, args, ["a", "b", "c"], rows)
        monkeypatch.undo()
    assert n == 100_000 and peak < 2e6
    if as_json:
        found = json.loads((tmp_path / "printed").read_text())
        assert found["columns"] == ["a", "b", "c"] and len(found["rows"]) == n
        assert found["rows"][7] == [7, "text 7", 7 / 3]
    else:
        with open(tmp_path / "p.csv", newline="") as file:
            found = list(csv.reader(file))
        assert found[0] == ["a", "b", "c"] and found[8] == ["7", "text 7", str(7 / 3)]
        assert len(found) == n + 1


@pytest.fixture
def trained(tmp_path, here):
    write_csv(tmp_path / "houses.csv", houses())
    succeed(tmp_path, "train", "houses.csv", "--target", "town", "--epochs", "1", run=here)
    return tmp_path


OUTPUTS = {"CSV": (), "JSON": ("--json",), "file": ("--out", "p.csv"),
           "probabilities": ("--probabilities",)}  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
def test_predictions_do_not_depend_on_pieces(trained, here, monkeypatch, name):
    arguments = ("predict", "model.npz", "houses.csv", *OUTPUTS[name])

    def found():
        out = succeed(trained, *arguments, run=here)
        return (trained / "p.csv").read_bytes() if name == "file" else out

    whole = found()
    monkeypatch.setattr(delimited, "PIECE_BYTES", 500)
    monkeypatch.setattr(table_model, "MOST_VALUES", 128 * 7)
    assert found() == whole
    assert len(whole.splitlines()) == (1 if name == "JSON" else 201)


@pytest.mark.parametrize("name", OUTPUTS)
def test_predictions_are_written_whole_or_not_at_all(trained, here, monkeypatch, name):
    monkeypatch.setattr(delimited, "PIECE_BYTES", 500)
    columns = houses()
    columns["rooms"][-1] = "many"
    write_csv(trained / "new.csv", columns)
    out, err = refused(trained, "predict", "model.npz", "new.csv", *OUTPUTS[name], run=here)
    assert out == "" and "got 'many' in data row 200" in err


@pytest.mark.parametrize("options", [(), ("--probabilities",), ("--json",)])
def test_images_are_predicted_in_pieces(tmp_path, here, monkeypatch, options):
    images, labels = make_images()
    net = fastmlp.NeuralNet([24, 5, 2], 0.1, input_scale=1 / 256, random_state=0)
    net.fit(images.reshape(100, 24), labels, epochs=3).save(tmp_path / "net.npz")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    commands = [("predict", "net.npz", "images.npy", *options)]
    commands += [("evaluate", "net.npz", "images.npy", "labels.npy")]
    whole = [succeed(tmp_path, *command, run=here) for command in commands]
    seen, original = [], fastmlp.NeuralNet.predict_proba
    monkeypatch.setattr(image_files, "IMAGES", 7)
    monkeypatch.setattr(
        fastmlp.NeuralNet, "predict_proba", lambda net, X: seen.append(len(X)) or original(net, X)
    )
    assert [succeed(tmp_path, *command, run=here) for command in commands] == whole
    assert max(seen) == 7 and sum(seen) in (100, 200)
    assert sorted(os.listdir(tmp_path)) == ["images.npy", "labels.npy", "net.npz"]


def test_no_images_to_evaluate(tmp_path, here):
    fastmlp.NeuralNet([24, 5, 2], random_state=0).save(tmp_path / "net.npz")
    np.save(tmp_path / "images.npy", np.zeros((0, 24)))
    np.save(tmp_path / "labels.npy", np.zeros(0, int))
    err = refused(tmp_path, "evaluate", "net.npz", "images.npy", "labels.npy", run=here)[1]
    assert "`images.npy` must hold images, got none" in err
