"""The files that callbacks write."""

import csv
import math

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.callbacks import CSVLogger, ModelCheckpoint
from helpers.callbacks import At, Recorder, raiser
from helpers.same_bits import bits_of

SIZES = [8, 12, 3]


def read_csv(path):
    """Return the columns of a file, with numbers as text."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [float(row[k]) for row in rows] for k, name in enumerate(header)}


def test_the_log_is_the_history(make_mlp, data, tmp_path):
    def odd(targets, outputs):
        return np.float32(outputs[0, 0])  # its shortest representation is long

    log = tmp_path / "log.csv"
    mlp = make_mlp().fit(
        *data, epochs=4, validation_fraction=0.25, metrics=["f1", odd], callbacks=[CSVLogger(log)]
    )
    columns = read_csv(log)
    assert list(columns) == ["epoch", "loss", "validation_loss", "validation_f1", "validation_odd"]
    assert columns == {"epoch": [0, 1, 2, 3], **mlp.history_}


def test_the_log_is_whole_after_every_epoch(make_mlp, data, tmp_path):
    log, lengths = tmp_path / "log.csv", []
    log.write_text("of another run")

    def look(model, epoch, logs):
        assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
        lengths.append(len(read_csv(log)["loss"]))

    make_mlp().fit(*data, epochs=3, callbacks=[CSVLogger(log), At("on_epoch_end", look)])
    assert lengths == [1, 2, 3]


def test_checkpoints_are_written_when_it_is_time(make_mlp, data, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(MLP, "save", lambda mlp, path: written.append(len(mlp.history_["loss"])))
    for every, expected in ((1, [1, 2, 3, 4, 5]), (2, [2, 4]), (6, [])):
        written.clear()
        make_mlp().fit(*data, epochs=5, callbacks=[ModelCheckpoint(tmp_path / "m", every=every)])
        assert written == expected


@pytest.mark.parametrize("every", [1, 3])
def test_checkpoints_with_a_monitor_are_written_when_it_got_better(make_mlp, data, tmp_path, every):
    values = [math.nan, 2.0, 5.0, math.nan, 4.0, 4.5, 6.0, 6.0, 6.0, 1.0, 9.0, 7.0]
    expected = {1: [1, 2, 6, 10], 3: [2, 8, 11]}[every]
    numbers, written = iter([0.0, *values]), []  # the first is for the trial before training

    def own(targets, outputs):
        return next(numbers)

    class Noted(MLP):
        def save(self, path):
            written.append(len(self.history_["own"]) - 1)

    checkpoint = ModelCheckpoint(tmp_path / "m", every=every, monitor="own")
    Noted(SIZES, random_state=0).fit(*data, epochs=12, metrics=own, callbacks=[checkpoint])
    assert written == expected


def test_a_checkpoint_holds_the_model_of_its_epoch(make_mlp, data, tmp_path):
    recorder = Recorder()
    checkpoint = ModelCheckpoint(tmp_path / "m.npz", every=3)
    make_mlp(dropout=0.2).fit(*data, epochs=5, callbacks=[checkpoint, recorder])
    loaded = MLP.load(checkpoint.path)
    assert bits_of(loaded) == recorder.parameters[2] and len(loaded.history_["loss"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


def test_a_failed_write_leaves_the_last_checkpoint(make_mlp, data, tmp_path, monkeypatch):
    checkpoint = ModelCheckpoint(tmp_path / "m.npz")
    make_mlp().fit(*data, epochs=1, callbacks=[checkpoint])
    before = (tmp_path / "m.npz").read_bytes()
    monkeypatch.setattr("os.replace", raiser(OSError("full")))
    with pytest.raises(OSError, match="full"):
        make_mlp(random_state=1).fit(*data, epochs=1, callbacks=[checkpoint])
    assert (tmp_path / "m.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]
