"""The command line, in a process of its own or, sooner, in this one."""

import errno
import gzip
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastmlp
from fastmlp import command_line
from fastmlp.command_line import commands, image_files, splitting
from fastmlp.datasets import digits
from helpers import SHARED_DATA
from helpers.model_files import DATA, VALID
from helpers.same_bits import arrays_of, assert_same_bits

PACKAGE_ROOT = Path(fastmlp.__file__).parents[1]
# The tests run in temporary folders, out of sight of a package that is not installed.
PATHS = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
ENVIRONMENT["PYTHONFAULTHANDLER"] = "1"  # SIGABRT prints the stacks of a process that hangs
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # so that output is still buffered when the reader leaves


def start(folder, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "fastmlp", *map(str, args)],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(folder, *args):
    """Run a command to its end; return exit code, output and errors."""
    with start(folder, *args) as process:
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, out.decode(), err.decode()


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


def succeed(folder, *args, run=run):
    code, out, err = run(folder, *args)
    assert code == 0, err
    assert "Traceback" not in err
    return out


def pack_idx(array):
    """IDX bytes of a uint8 array, made without the package."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def make_images(n_samples=100, seed=0):
    """Images of 4 x 6 bytes, bright on the left for label 0, on the right for label 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n_samples).astype(np.uint8)
    images = rng.integers(0, 100, (n_samples, 4, 6)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * label : 3 * label + 3] += 100
    return images, labels


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


def field(out, name):
    """The number after ``name:`` in the output."""
    found = re.search(rf"^{name}: (\S+)", out, re.MULTILINE)
    assert found, out
    return float(found[1])


def weights_of(path):
    return arrays_of(fastmlp.NeuralNet.load(path))


def test_train_digits_and_predict(tmp_path):
    code, out, err = run(tmp_path, "train", "digits")
    assert code == 0, err
    assert field(out, "held-out accuracy") >= 0.96
    assert "(359 samples)" in out
    assert "warning" not in err
    seconds = field(out, "training time")
    assert 0 < seconds < 60
    assert field(out, "samples per second") == pytest.approx(20 * 1438 / seconds, rel=0.1)
    assert "saved: model.npz" in out
    assert "20/20" in err or "100%" in err  # the progress bar, and not among the results
    assert "%|" not in out
    assert os.listdir(tmp_path) == ["model.npz"]

    X, y = digits()
    net = fastmlp.NeuralNet.load(tmp_path / "model.npz")
    assert list(net.layers) == [64, 64, 10]
    assert net.weights[0].dtype == np.float32
    lines = succeed(tmp_path, "predict", "model.npz", "digits").splitlines()
    assert lines == [str(label) for label in net.predict(X).tolist()]
    assert np.mean(np.array(lines, dtype=int) == y) > 0.97


def test_train_files_of_every_kind_alike(files, here):
    for suffix in ("", ".gz", ".npy"):
        names = f"images{suffix}", f"labels{suffix}", "--out", f"model{suffix}.npz"
        out = succeed(files, "train", *names, run=here)
        assert field(out, "held-out accuracy") == 1
        assert "(20 samples)" in out
        assert_same_bits(weights_of(files / f"model{suffix}.npz"), weights_of(files / "model.npz"))
    predictions = {
        succeed(files, "predict", "model.npz", f"images{suffix}", run=here)
        for suffix in ("", ".gz", ".npy")
    }
    assert predictions == {"".join(f"{label}\n" for label in make_images()[1])}


def test_npy_is_recognized_by_content(files):
    os.rename(files / "images.npy", files / "renamed")
    succeed(files, "train", "renamed", "labels.npy", "--epochs", "1")


def test_options_reach_the_network(files):
    images, labels = make_images()
    succeed(
        files,
        *("train", "images", "labels", "--layers", "5,3", "--epochs", "2", "--batch-size", "16"),
        *("--learning-rate", "0.3", "--dtype", "float64", "--threads", "1", "--seed", "7"),
        *("--out", "other.npz"),
    )
    assert not (files / "model.npz").exists()
    # The largest pixel is 199, so the scale is 256. The seed draws the split, then the weights.
    source = np.random.RandomState(7)
    rows, _ = splitting.drawn_split(labels, source)
    net = fastmlp.NeuralNet(
        [24, 5, 3, 2], 0.3, output_activation="identity", random_state=source, n_threads=1
    )
    X = images.reshape(100, 24) / 256
    net.fit(X[rows], labels[rows], epochs=2, batch_size=16)
    saved = fastmlp.NeuralNet.load(files / "other.npz")
    assert list(saved.layers) == [24, 5, 3, 2]
    assert saved.weights[0].dtype == np.float64
    assert_same_bits(saved.weights, net.weights)
    assert_same_bits(saved.biases, net.biases)
    assert_same_bits(saved.input_scale, np.full(24, 1 / 256))
    assert_same_bits(saved.predict_proba(images.reshape(100, 24)), net.predict_proba(X))


def test_seed_and_threads(files, here):
    command = ("train", "images", "labels", "--epochs", "2", "--out")
    succeed(files, *command, "a.npz", run=here)
    succeed(files, *command, "b.npz", "--seed", "0", "--threads", "2", run=here)
    succeed(files, *command, "c.npz", "--seed", "1", run=here)
    assert_same_bits(weights_of(files / "a.npz"), weights_of(files / "b.npz"))
    assert (weights_of(files / "a.npz")[0] != weights_of(files / "c.npz")[0]).any()


def test_no_shuffle_holds_out_the_last_fifth(tmp_path):
    images, labels = make_images()
    labels[80:] = 1 - labels[80:]  # wrong there, so that a network trained on the rest fails
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    out = succeed(tmp_path, "train", "images.npy", "labels.npy", "--no-shuffle")
    assert field(out, "held-out accuracy") == 0
    assert "(20 samples)" in out


@pytest.fixture
def sorted_digits(tmp_path):
    """A folder with the digits, sorted by class."""
    X, y = digits()
    order = np.argsort(y, kind="stable")
    np.save(tmp_path / "images.npy", X[order])
    np.save(tmp_path / "labels.npy", y[order])
    return tmp_path


def warnings_of(err):
    """Return the warnings in the standard error, where a progress bar may precede them."""
    return re.findall(r"(?:^|\r)fastmlp: warning: ([^\r\n]+)$", err, re.MULTILINE)


def test_files_sorted_by_class(sorted_digits, here):
    code, out, err = here(sorted_digits, "train", "images.npy", "labels.npy")
    assert code == 0 and field(out, "held-out accuracy") >= 0.95
    assert "(359 samples)" in out
    assert warnings_of(err) == []


def test_no_shuffle_says_which_classes_are_missing(sorted_digits):
    code, out, err = run(sorted_digits, "train", "images.npy", "labels.npy", "--no-shuffle")
    assert code == 0 and field(out, "held-out accuracy") < 0.1
    unknown, unmeasured = warnings_of(err)
    # The last are 180 images of the digit 9; before these come 174 of 8, and 179 of 7.
    assert unknown.startswith("354 of the 359 held-out samples are of classes without a training")
    assert "sample: 8, 9; without --no-shuffle" in unknown
    assert unmeasured.endswith("without a held-out sample: 0, 1, 2, 3, 4 and 2 more")


def test_no_better_than_a_guess(tmp_path):
    np.save(tmp_path / "blank.npy", np.zeros((60, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.repeat([0, 1, 2], [10, 35, 15]))
    code, out, err = run(tmp_path, "train", "blank.npy", "labels.npy")
    assert code == 0 and field(out, "held-out accuracy") == pytest.approx(7 / 12, abs=1e-4)
    assert warnings_of(err) == [
        "the held-out accuracy, 0.5833, is no better than that of always answering 1, the most "
        "frequent label: 0.5833"
    ]


def test_divergence_is_one_line(tmp_path):
    code, out, err = run(tmp_path, "train", "digits", "--learning-rate", "1e30")
    assert code == 0 and "saved: model.npz" in out
    assert warnings_of(err)[0].startswith("training has stopped because the loss was NaN")
    assert "training.py" not in err and "warnings.warn" not in err
    assert all(np.isfinite(array).all() for array in weights_of(tmp_path / "model.npz"))


def test_no_hidden_layer_and_one_class(files):
    np.save(files / "zeros.npy", np.zeros(100, np.int64))
    succeed(files, "train", "images", "zeros.npy", "--layers", "")
    assert list(fastmlp.NeuralNet.load(files / "model.npz").layers) == [24, 2]


def predicted(folder, net, X, run=run):
    """What ``fastmlp predict`` prints for a network and the rows of X, as a list of lines."""
    net.save(folder / "net.npz")
    np.save(folder / "X.npy", X)
    return succeed(folder, "predict", "net.npz", "X.npy", run=run).splitlines()


@pytest.mark.parametrize(
    "loss, n_out, dtype",
    [
        ("softmax", 3, "float32"), ("logistic", 1, "float32"), ("logistic", 3, "float64"),
        ("squared_error", 1, "float32"), ("poisson", 2, "float64"),
    ],
)  # fmt: skip
def test_predict_with_what_any_mlp_saved(tmp_path, here, loss, n_out, dtype):
    random = np.random.default_rng(0)
    X = random.normal(size=(50, 4))
    net = fastmlp.MLP([4, 6, n_out], loss=loss, activation="tanh", dtype=dtype, random_state=0)
    lines = predicted(tmp_path, net, X, here)
    if loss == "softmax" or loss == "logistic" and n_out == 1:
        assert set(lines) <= set("012") and len(set(lines)) > 1
    found = np.array([line.split(",") for line in lines]).astype(dtype)
    assert_same_bits(found.reshape(net.predict(X).shape), net.predict(X).astype(dtype))


def test_predict_with_what_a_neural_net_or_a_checkpoint_saved(files):
    images, labels = make_images()
    X = images.reshape(100, 24)
    expected = [str(label) for label in labels]
    scaled = {"input_scale": 1 / 256, "random_state": 0}
    net = fastmlp.NeuralNet([24, 8, 2], 0.2, output_activation="identity", **scaled)
    assert predicted(files, net.fit(X, labels, epochs=20), X) == expected
    checkpoint = fastmlp.callbacks.ModelCheckpoint(files / "checkpoint.npz")
    mlp = fastmlp.MLP([24, 8, 2], learning_rate=0.05, **scaled)
    mlp.fit(X, labels, epochs=20, callbacks=[checkpoint])
    assert succeed(files, "predict", "checkpoint.npz", "images").splitlines() == expected


@pytest.mark.parametrize("name", VALID)
def test_predict_with_files_of_every_format(tmp_path, here, name):
    path = DATA / f"{name}.npz"
    net = fastmlp.load(path)
    X = np.linspace(-1, 1, 5 * net.layers[0]).reshape(5, -1)
    np.save(tmp_path / "X.npy", X)
    lines = succeed(tmp_path, "predict", path, "X.npy", run=here).splitlines()
    assert lines == [",".join(map(str, row)) for row in net.predict(X).reshape(5, -1)]


def test_train_mnist(tmp_path):
    images = SHARED_DATA / "mnist-t10k-images-idx3-ubyte.gz"
    labels = SHARED_DATA / "mnist-t10k-labels-idx1-ubyte.gz"
    if not images.exists() or not labels.exists():
        pytest.skip("the MNIST files are not here")
    out = succeed(tmp_path, "train", images, labels, "--epochs", "5")
    assert field(out, "held-out accuracy") > 0.92
    assert "(2000 samples)" in out


def test_compare(tmp_path):
    out = succeed(tmp_path, "compare", "digits", "--epochs", "1", "--layers", "16", "--seed", "3")
    assert "[64, 16, 10]" in out
    # The times are printed with 4 decimals, so the ratio is approximate.
    assert field(out, "ratio") == pytest.approx(
        field(out, "NumPy") / field(out, "fastmlp"), rel=0.2
    )
    assert 0 <= field(out, "largest difference between weights") < 1e-9
    assert os.listdir(tmp_path) == []


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
    "size of zero": (("train", "digits", "--layers", "0", "--out", "new.npz"), ""),
    "negative learning rate": (("train", "digits", "--learning-rate", "-1"), "learning_rate"),
    "batch of zero": (("train", "digits", "--batch-size", "0"), "batch_size"),
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
    before = {path.name: path.read_bytes() for path in broken.iterdir()}
    code, out, err = here(broken, *args)
    assert code == 2
    assert out == ""
    # One line only: the progress bar had not started.
    assert re.fullmatch(r"fastmlp: error: [^\n]+\n", err), err
    assert part in err
    assert {path.name: path.read_bytes() for path in broken.iterdir()} == before


@pytest.mark.parametrize("name", ["unknown option", "not IDX", "NaN", "a folder for a file"])
def test_errors_are_one_line_of_a_process(broken, name):
    args, part = ERRORS[name]
    code, out, err = run(broken, *args)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"fastmlp: error: [^\n]+\n", err) and part in err


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
        err = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert err == b""


def interrupt(folder, handler, epochs):
    """Interrupt a training that has begun; return its end, with its stacks if there is none.

    `handler` is that of this process, which decides whether the child is started with Ctrl-C
    ignored, as by a shell that starts it in the background.
    """
    before = signal.signal(signal.SIGINT, handler)
    try:
        process = start(folder, "train", "images", "labels", "--epochs", epochs)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            assert os.read(process.stderr.fileno(), 1)  # the progress bar: training has begun
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            pytest.fail(f"no end after SIGINT: {process.communicate()[1].decode()[-5000:]}")
        finally:
            process.kill()
    return process.returncode, out, err.decode()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_interrupt_saves_the_state_so_far(files):
    code, out, err = interrupt(files, signal.default_int_handler, 1_000_000_000)
    assert code == 130, err
    assert out == b""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == (
        "fastmlp: interrupted; the model trained so far is saved to model.npz"
    )
    images, labels = make_images()
    assert fastmlp.NeuralNet.load(files / "model.npz").score(images.reshape(100, 24), labels) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_in_the_background_interrupts_stay_ignored(files):
    code, out, err = interrupt(files, signal.SIG_IGN, 100_000)
    assert code == 0, err
    assert b"100000 epochs" in out and "interrupted" not in err


@pytest.mark.parametrize("call", ["perf_counter", "save"])
def test_a_second_interrupt_does_not_cost_the_model(files, call, monkeypatch, capsys):
    """Neither while the model is saved nor in the call before."""
    fit, save = fastmlp.NeuralNet.fit, fastmlp.NeuralNet.save
    clock = SimpleNamespace(perf_counter=time.perf_counter)

    def twice(self, *arguments, **others):
        fit(self, *arguments, **others)
        if "verbose" in others:  # not the fit that compiles
            clock.perf_counter = interrupted
            raise KeyboardInterrupt

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return save(*arguments) if arguments else time.perf_counter()

    monkeypatch.chdir(files)
    monkeypatch.setattr(fastmlp.NeuralNet, "fit", twice)
    if call == "save":
        monkeypatch.setattr(fastmlp.NeuralNet, "save", interrupted)
    else:
        monkeypatch.setattr(commands, "time", clock)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert command_line.main(["train", "images", "labels", "--epochs", "1"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith("saved to model.npz\n")
    fastmlp.load("model.npz")


def test_interrupt_elsewhere(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "predict", interrupt)
    assert command_line.main(["predict", "model.npz", "digits"]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"


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
