"""Each example runs in a process of its own, and prints and draws what its text says."""

import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from helpers import ROOT, TESTS
from helpers.command_line import ENVIRONMENT

FOLDER = ROOT / "examples"
EXAMPLES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py"))}


def numbers(out, pattern):
    """Return the numbers that a pattern finds in the output, at least one."""
    found = [float(each.replace(",", "")) for each in re.findall(pattern, out)]
    assert found, out
    return found


def number(out, pattern):
    """Return the only number that a pattern finds in the output."""
    (found,) = numbers(out, pattern)
    return found


def check_digits(out):
    assert number(out, r"accuracy on the test images: ([\d.]+)") > 0.96
    assert number(out, r"(\d+) epochs, the best") == number(out, r"the best is (\d+)") + 10 < 200


def check_numpy_network(out):
    percent = numbers(out, r"epoch \d: ([\d.]+) % correct")
    assert len(percent) == 12 and percent[:6] == percent[6:] and percent[5] > 85
    assert "difference of two weights is below 1e-10: True" in out
    assert number(out, r"median ratio ([\d.]+)") > 0
    assert number(out, r"accuracy with minibatches: ([\d.]+)") > 0.9


def check_table_from_csv(out):
    in_python, held_out, evaluated = numbers(out, r"(?m)^accuracy: ([\d.]+)")
    guesses = numbers(out, r"always answering the commonest class: ([\d.]+)")
    assert len(guesses) == 3 and max(guesses) < 0.7 and min(in_python, held_out, evaluated) > 0.84
    assert 0 < number(out, r"probability of cancelling: ([\d.]+)") < 1
    assert re.search("Köln|Zürich", out)
    assert "800 predictions of cancelled: predictions.csv" in out
    assert len(re.findall(r"(?m)^ *C-\d{5} +(?:yes|no) +[\d.e-]+ +[\d.e-]+$", out)) == 4


def check_regression(out):
    linear = number(out, r"R2 of a linear model: ([\d.]+)")
    raw = number(out, r"R2 with the target as it is: (-?[\d.]+)")
    standardized = number(out, r"R2 with the standardized target: ([\d.]+)")
    assert raw < linear + 0.05 and linear < 0.8 and 0.92 < standardized < 0.97
    assert number(out, r"(?m)^R2: ([\d.]+)") > 0.92


def check_text(out):
    assert number(out, r"accuracy ([\d.]+);") > 0.75
    assert number(out, r"always the commonest part: ([\d.]+)") < 0.5
    assert number(out, r"sparse ([\d.]+) MB") < number(out, r"dense ([\d.]+) MB") / 10
    answers = re.findall(r"(?m)^[a-z ]+: (\w+) [\d.]+, \w+ [\d.]+$", out)
    right = np.array(answers) == ["signal", "optimize", "stats", "ndimage", "interpolate"]
    assert right.sum() >= 4  # the descriptions are those of the installed SciPy


def check_larger_than_memory(out):
    assert ("np.load: MemoryError" in out) == (sys.platform == "linux")
    assert number(out, r"images.npy: (\d+) MB") > 4 * number(out, r"limit: (\d+) MB more")
    assert number(out, r"trained on 1,400 digits: ([\d.]+)") > 0.89
    assert number(out, r"trained on the file: ([\d.]+)") > 0.91
    assert number(out, r"trained on generated images: ([\d.]+)") > 0.91


def check_many_machines(out):
    accuracies = numbers(out, r"0\.\d{3}")
    assert len(accuracies) == 20 and accuracies[:10] == accuracies[10:] and accuracies[9] > 0.9
    assert "the same bits: True" in out


def check_early_stopping(out):
    n_epochs = number(out, r"ended after (\d+) of at most 500 epochs")
    assert number(out, r"best epoch: (\d+)") == n_epochs - 15
    assert "interrupted; digits.npz is of epoch 10" in out
    assert number(out, r"(?m)^epochs: (\d+)") == n_epochs
    assert number(out, r"(\d+) of them in this call") == n_epochs - 10
    assert "the weights have the same bits: True" in out
    assert "the losses of all epochs have the same bits: True" in out


def check_hyperparameter_search(out):
    assert min(numbers(out, r"on the test data ([\d.]+)")) > 0.95
    assert "the same scores: True" in out
    rounds = re.findall(r"(?m)^ *(\d+) candidates, +(\d+) epochs each", out)
    assert rounds == [("27", "3"), ("9", "9"), ("3", "27")]


def check_optuna(out):
    trials, pruned = number(out, r"(\d+) trials"), number(out, r"(\d+) of them pruned")
    assert trials == 40 and 3 <= pruned < 40
    assert number(out, r"(\d+) epochs instead of") < number(out, r"instead of (\d+)") == 1200
    assert number(out, r"accuracy on the test data: ([\d.]+)") > 0.94


def check_onnx_web_service(out):
    answers = re.findall(r"(?m)^\{.*?\}: \{'label': '(\w+)', .*\}, in Python (\w+)$", out)
    assert answers == [("apple", "apple"), ("plum", "plum"), ("apple", "apple")]


CHECKS = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}


@pytest.fixture(scope="module", params=EXAMPLES)
def ran(request, tmp_path_factory):
    """Return the name of an example, the folder that it ran in, and what it printed."""
    if request.param == "many_machines":
        pytest.importorskip("distributed", reason="`tox -e dask` has Dask")
    folder = tmp_path_factory.mktemp(request.param)
    script = [TESTS / "helpers" / "run_example.py", FOLDER / f"{request.param}.py"]
    done = subprocess.run(
        [sys.executable, *map(str, script)], cwd=folder, env=ENVIRONMENT | {"PYTHONUTF8": "1"},
        capture_output=True, encoding="utf-8", timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return request.param, folder, done.stdout


def test_an_example_prints_what_its_text_says(ran):
    name, _, out = ran
    CHECKS[name.removeprefix("plot_")](out)


def test_an_example_draws_and_leaves_nothing_else(ran):
    name, folder, _ = ran
    pictures = sorted(folder.iterdir())
    assert all(path.match("picture-*.png") for path in pictures)
    assert len(pictures) == EXAMPLES[name].count("plt.show()")
    assert name.startswith("plot_") == (len(pictures) > 0)
    for picture in pictures:
        greys = matplotlib.image.imread(picture)[..., :3].mean(axis=2)
        assert np.mean(greys < 0.9) > 0.01 and len(np.unique(greys)) > 20, picture


def test_each_example_is_checked_and_listed():
    assert {name.removeprefix("plot_") for name in EXAMPLES} == set(CHECKS)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in EXAMPLES:
        assert f"/blob/main/examples/{name}.py" in readme, name
