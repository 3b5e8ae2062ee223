"""Help, and errors: one line each, with exit code 2."""

import errno
import gzip
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastmlp
from fastmlp import command_line
from fastmlp.command_line import commands, image_files
from helpers.command_line import ENVIRONMENT, make_images, pack_idx, refused, start, succeed


def test_version(tmp_path):
    assert succeed(tmp_path, "--version") == f"fastmlp {fastmlp.__version__}\n"


@pytest.mark.parametrize("command", [(), ("train",), ("predict",), ("compare",)])
def test_help(capsys, command):
    with pytest.raises(SystemExit) as caught:
        command_line.main([*command, "--help"])
    assert caught.value.code == 0
    assert "usage: fastmlp" in capsys.readouterr().out


def test_help_imports_nothing_slow(tmp_path):
    code = (
        "import sys, types\n"
        # A stand-in for fastmlp/__init__.py, whose own imports do not matter here.
        "fastmlp = sys.modules['fastmlp'] = types.ModuleType('fastmlp')\n"
        f"fastmlp.__path__ = [{os.path.dirname(fastmlp.__file__)!r}]\n"
        "from fastmlp.command_line import main\n"
        "try:\n"
        "    main(['train', '--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "slow = {'numpy', 'numba', 'tqdm', 'fastmlp.datasets'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, check=True)


ERRORS = {
    "no command": ((), "command"),
    "unknown command": (("fit",), "fit"),
    "unknown option": (("train", "digits", "--speed", "9"), "--speed"),
    "shortened option": (("train", "digits", "--epoch", "9"), "--epoch"),
    "text for a number": (("train", "digits", "--epochs", "many"), "--epochs"),
    "unknown dtype": (("train", "digits", "--dtype", "float16"), "--dtype"),
    "text for sizes": (("train", "digits", "--layers", "64;32"), "64;32"),
    "size of zero": (("train", "digits", "--layers", "0", "--out", "new.npz"), "--layers"),
    "negative learning rate": (("train", "digits", "--learning-rate", "-1"), "--learning-rate"),
    "batch of zero": (("train", "digits", "--batch-size", "0"), "--batch-size"),
    "layer beyond all memory": (("train", "digits", "--layers", "1000000000000"), ""),
    "images without labels": (("train", "images"), "LABELS"),
    "missing images": (("train", "nowhere", "labels"), "nowhere"),
    "missing labels": (("train", "images", "nowhere"), "nowhere"),
    "a folder": (("train", ".", "labels"), "."),
    "not IDX": (("train", "text", "labels"), "`text` must be an IDX file"),
    "truncated": (("train", "truncated.gz", "labels"), "truncated.gz"),
    "corrupt npy": (("train", "corrupt.npy", "labels"), "`corrupt.npy` must be a valid .npy file"),
    "empty npy": (("train", "empty.npy", "labels"), "must be a valid .npy"),
    "pickled npy": (("train", "pickled.npy", "labels"), "must be a valid .npy"),
    "labels as images": (("train", "labels", "labels"), "`labels` must hold images"),
    "complex images": (("train", "complex.npy", "labels"), "`complex.npy` must hold images"),
    "images as labels": (("train", "images", "images"), "`images` must hold 100 integer labels"),
    "too few labels": (
        ("train", "images", "few.npy"),
        "must hold 100 integer labels, one for each image, got uint8 of shape (99,)",
    ),
    "labels not whole": (
        ("train", "images", "halves.npy"),
        "`halves.npy` must hold 100 integer labels",
    ),
    "negative labels": (("train", "images", "negative.npy"), "-1"),
    "too few images": (("train", "four.npy", "four_labels.npy"), "at least 5"),
    "images without pixels": (("train", "no_pixels.npy", "labels"), "1 pixel"),
    "NaN": (
        ("train", "nan.npy", "labels"),
        "`nan.npy` must be finite, got NaN or infinity in row 90",
    ),
    "a class for each": (
        ("train", "images", "hundred.npy"),
        "`hundred.npy` must have a class with several samples",
    ),
    "labels that are no classes": (
        ("train", "images", "dates.npy"),
        "`dates.npy` must hold class numbers that start at 0, ",
    ),
    "no shuffle for what is drawn": (("compare", "digits", "--no-shuffle"), "--no-shuffle"),
    "huge values": (("train", "huge.npy", "labels"), "1e+300"),
    "no folder": (("train", "digits", "--out", "nowhere/model.npz"), "save to nowhere/model"),
    "a folder for a file": (("train", "digits", "--out", "."), "save to .: Is a directory"),
    "missing model": (("predict", "nowhere.npz", "digits"), "nowhere.npz"),
    "not a model": (("predict", "text", "digits"), "text"),
    "missing data": (("predict", "model.npz", "nowhere"), "nowhere"),
    "data of another width": (
        ("predict", "model.npz", "digits"),
        "`digits` must have 24 values in each row, as model.npz takes, got 64.",
    ),
    "another kind of npz": (
        ("predict", "arrays.npz", "images"),
        "`path` must be a network saved by fastmlp, got arrays.npz",
    ),
    "a folder for a model": (("predict", ".", "images"), "."),
    "NaN to predict": (("predict", "three.npz", "nan.npy"), "NaN"),
    "nothing to predict": (
        ("predict", "three.npz", "nothing.npy"),
        "must have at least one sample",
    ),
    "nothing to compare on": (("compare", "images"), "images"),
    "seed out of range": (("compare", "digits", "--seed", "-1"), ""),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder with files that are wrong in every way, and a model for images of 24 pixels."""
    folder = tmp_path_factory.mktemp("broken")
    fastmlp.warmup("float32", everything=True)  # or a line would say that it compiles
    commands._compile(np.dtype(np.uint8), np.dtype(np.float32))
    images, labels = make_images()
    (folder / "images").write_bytes(pack_idx(images))
    (folder / "labels").write_bytes(pack_idx(labels))
    (folder / "text").write_text("Good morning.\n" * 100)
    (folder / "truncated.gz").write_bytes(gzip.compress(pack_idx(images))[:-20])
    np.save(folder / "whole.npy", images)
    (folder / "corrupt.npy").write_bytes((folder / "whole.npy").read_bytes()[:-7])
    (folder / "empty.npy").write_bytes(b"")
    np.save(folder / "pickled.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.save(folder / "complex.npy", images.reshape(100, 24) * 1j)
    np.save(folder / "few.npy", labels[:-1])
    np.save(folder / "halves.npy", labels + 0.5)
    np.save(folder / "negative.npy", labels.astype(int) - 1)
    np.save(folder / "four.npy", images[:4])
    np.save(folder / "four_labels.npy", labels[:4])
    np.save(folder / "no_pixels.npy", np.zeros((100, 0)))
    np.save(folder / "nan.npy", np.where(np.arange(100)[:, np.newaxis] < 90, 0, [0, np.nan, 1]))
    np.save(folder / "hundred.npy", np.arange(100))
    np.save(folder / "dates.npy", 20260101 + labels.astype(int))
    np.save(folder / "nothing.npy", np.zeros((0, 3)))
    np.savez(folder / "arrays.npz", images=images)
    fastmlp.MLP([3, 2], random_state=0).save(folder / "three.npz")
    np.save(folder / "huge.npy", np.full((100, 3), 1e300))
    fastmlp.NeuralNet([24, 3, 2], random_state=0).save(folder / "model.npz")
    return folder


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line(broken, name, here):
    args, part = ERRORS[name]
    # One line only: the progress bar had not started.
    out, err = refused(broken, *args, run=here)
    assert out == "" and part in err


@pytest.mark.parametrize("name", ["unknown option", "not IDX", "NaN", "a folder for a file"])
def test_errors_are_one_line_of_a_process(broken, name):
    args, part = ERRORS[name]
    out, err = refused(broken, *args)
    assert out == "" and part in err


def test_an_out_without_permission_is_noticed(tmp_path, monkeypatch, capsys):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)  # root may write anywhere
    assert command_line.main(["train", "digits", "--out", str(tmp_path / "model.npz")]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(r"fastmlp: error: cannot save to .*model.npz: Permission denied\n", err)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="devices have no paths of their own on Windows")
def test_an_out_that_is_a_device_is_written_to(tmp_path):
    os.symlink(os.devnull, tmp_path / "null")  # which a file would replace, not the device
    assert "saved: null" in succeed(tmp_path, "train", "digits", "--epochs", "1", "--out", "null")
    assert os.path.samefile(tmp_path / "null", os.devnull)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 255], 256),
        ([0, 256], 256),
        ([0, 257], 512),
        ([0, 16], 16),
        ([0, 17], 32),
        ([-200, 3], 256),
        ([0, 1], 1),
        ([0, 0.3], 0.5),
        ([0, 0.25], 0.25),
        ([0, 0], 1),
        ([0, 2.0**64], 2.0**64),
        (np.array([-128, 0], np.int8), 128),
        (np.array([False, True]), 1),
    ],
)
def test_scale_is_the_next_power_of_two(values, scale):
    assert image_files.find_scale("file", np.array(values)[:, np.newaxis]) == scale


def test_predictions_of_a_reader_that_leaves(files):
    succeed(files, "train", "images", "labels", "--epochs", "1")
    with start(files, "predict", "model.npz", "images") as process:
        process.stdout.close()
        process.stdout = None  # or communicate() would read from it
        err = process.communicate(timeout=200)[1]
    assert process.returncode == 0
    assert err == b""


def test_a_wrong_lane_width_is_one_line():
    result = subprocess.run(
        [sys.executable, "-m", "fastmlp", "train", "digits"],
        env={**os.environ, "FASTMLP_LANES": "5"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr == "fastmlp: error: `FASTMLP_LANES` must be 4, 8 or 16, got '5'.\n"


def test_help_and_version_do_not_load_numba():
    code = (
        "import sys\nfrom fastmlp.command_line import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "assert 'numba' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
