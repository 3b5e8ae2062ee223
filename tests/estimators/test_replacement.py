"""``python -m fastmlp.sklearn``: programs run unchanged, with the estimators of fastmlp."""

import os
import re
import subprocess
import sys
import warnings

import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastmlp.sklearn import MLPClassifier

PROGRAM = """
import sys
import sklearn.neural_network as networks
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

X, y = load_iris(return_X_y=True)
net = MLPClassifier(8, solver="sgd", max_iter=150, random_state=0)
if __name__ == "__main__":
    print(sys.argv[1:], MLPClassifier.__module__, networks.MLPRegressor.__module__)
    print(cross_val_score(net, X, y, cv=3, n_jobs=int(sys.argv[1])).round(6))
    if sys.argv[1] == "1":
        networks.MLPRegressor(hidden_layer_sizes=4, max_iter=150).fit(X, y).partial_fit(X, y)
    sys.exit(3)
"""


def run(arguments, folder):
    """Run Python in a folder with the program; return its exit code and output."""
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("program", [["program.py"], ["-m", "program"]])
def test_a_program_runs_unchanged(program, tmp_path):
    code, before, _ = run([*program, "1", "--option"], tmp_path)
    assert code == 3 and "sklearn.neural_network._multilayer_perceptron" in before
    code, after, errors = run(["-m", "fastmlp.sklearn", *program, "1", "--option"], tmp_path)
    assert code == 3
    first, scores = after.split("\n", 1)
    assert first == "['1', '--option'] fastmlp.sklearn.classifier fastmlp.sklearn.regressor"
    assert scores == before.split("\n", 1)[1]  # the same scores
    assert re.search(
        r"^fastmlp.sklearn: trained in place of scikit-learn's "
        r"MLPClassifier \(3 calls, [\d.]+ s\) and MLPRegressor \(2 calls, [\d.]+ s\)$",
        errors, re.M,
    )  # fmt: skip


def test_processes_of_joblib_get_the_estimators_too(tmp_path):
    code, alone, _ = run(["-m", "fastmlp.sklearn", "program.py", "1"], tmp_path)
    code, together, errors = run(["-m", "fastmlp.sklearn", "program.py", "2"], tmp_path)
    assert code == 3
    assert together.split("\n", 1)[1] == alone.split("\n", 1)[1]
    assert "no MLPClassifier or MLPRegressor was trained in this process" in errors


def test_wrong_use_ends_with_one_line(tmp_path):
    for arguments, message in (([], "are required: PROGRAM"), (["x.py"], "can't open file 'x.py'")):
        code, output, errors = run(["-m", "fastmlp.sklearn", *arguments], tmp_path)
        assert code == 2 and output == ""
        assert message in errors.splitlines()[-1] and "Traceback" not in errors


@pytest.mark.parametrize("module, shown", [("sklearn", 0), ("fastmlp", 2), ("__main__", 2)])
def test_filters_of_scikit_learn_s_warnings_hold(module, shown):
    """The scripts of its gallery have them: "ignore", category=..., module="sklearn"."""
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=module)
        net = MLPClassifier(4, batch_size=200)  # larger than the data
        net.partial_fit(X, y, classes=[0, 1, 2])
        MLPClassifier(4, solver="lbfgs", max_iter=1).fit(X, y)
    assert [each.category for each in found] == [UserWarning, ConvergenceWarning][:shown]
