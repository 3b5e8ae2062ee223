"""Ctrl-C while a table is read and while a network is trained on it."""

import os
import signal

import pytest

from fastmlp.command_line import table_model
from fastmlp.tables.delimited import DelimitedFile
from helpers.command_line import interrupted, start
from helpers.table_files import houses, write_csv

pytest.importorskip("pandas")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")


def test_the_best_weights_so_far_are_saved(tmp_path):
    write_csv(tmp_path / "houses.csv", houses(2000))
    args = ("train", "houses.csv", "--target", "price", "--epochs", "100000")
    code, out, err = interrupted(tmp_path, *args, wait_for=rb"validation_r2=0\.[1-9]")
    assert code == 130 and "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("fastmlp: interrupted; the best weights so far, of epoch ")
    assert last.endswith("are saved to model.npz") and "warning" not in err
    assert out.startswith("data: houses.csv") and "saved:" not in out
    assert sorted(os.listdir(tmp_path)) == ["houses.csv", "model.npz"]
    model = table_model.load(str(tmp_path / "model.npz"))
    scores = model.estimator.validation_scores_
    assert f"of epoch {len(scores) - scores[::-1].index(max(scores))} " in last
    assert model.about.score > 0


@pytest.mark.parametrize("reading", [0, 1])
def test_nothing_is_left_of_an_interrupted_reading(tmp_path, here, monkeypatch, reading):
    """Neither of the first nor of the second, which writes temporary files."""
    write_csv(tmp_path / "houses.csv", houses())
    original, readings = DelimitedFile.pieces, []

    def pieces(self, *args):
        readings.append(self)
        for piece in original(self, *args, 50):
            yield piece
            if len(readings) > reading:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(DelimitedFile, "pieces", lambda self, types, n=None: pieces(self, types))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, _, err = here(tmp_path, "train", "houses.csv", "--target", "price")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130 and err.endswith("fastmlp: interrupted\n") and len(readings) == reading + 1
    assert os.listdir(tmp_path) == ["houses.csv"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_temporary_file_is_left_of_a_process_that_is_killed(tmp_path, end):
    write_csv(tmp_path / "houses.csv", houses(20_000))
    args = ("train", "houses.csv", "--target", "price", "--epochs", "100000")
    with start(tmp_path, *args) as process:
        seen = b""
        while b"validation_r2" not in seen:  # rows are encoded, and used
            more = os.read(process.stderr.fileno(), 1000)
            assert more, seen
            seen += more
        process.send_signal(end)
        process.communicate(timeout=200)
    assert os.listdir(tmp_path) == ["houses.csv"]
