"""Files and folders for the tests of the command line."""

import gzip

import numpy as np
import pytest

from fastmlp import command_line
from fastmlp.datasets import digits
from helpers.command_line import make_images, pack_idx


@pytest.fixture
def here(monkeypatch, capsys):
    """Return a function that does in this process what `run` does in another."""

    def run_here(folder, *args):
        monkeypatch.chdir(folder)
        try:
            code = command_line.main([str(arg) for arg in args])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run_here


@pytest.fixture
def files(tmp_path):
    """A folder with images and labels: plain IDX, gzipped IDX and .npy."""
    images, labels = make_images()
    (tmp_path / "images").write_bytes(pack_idx(images))
    (tmp_path / "labels").write_bytes(pack_idx(labels))
    (tmp_path / "images.gz").write_bytes(gzip.compress(pack_idx(images)))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(pack_idx(labels)))
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path


@pytest.fixture
def sorted_digits(tmp_path):
    """A folder with the digits, sorted by class."""
    X, y = digits()
    order = np.argsort(y, kind="stable")
    np.save(tmp_path / "images.npy", X[order])
    np.save(tmp_path / "labels.npy", y[order])
    return tmp_path
