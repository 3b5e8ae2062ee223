"""What importing the package needs, and what is missing in one sentence."""

import subprocess
import sys

import pytest

from fastmlp import plotting
from fastmlp.plotting.axes import every, name_text

NAMES = [*plotting.__all__]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_loads_neither_matplotlib_nor_scikit_learn_nor_numba():
    code = (
        "import sys, fastmlp.plotting as p\n"
        "loaded = {'matplotlib', 'sklearn', 'numba', 'scipy'} & {*sys.modules}\n"
        "assert not loaded, loaded\n"
        "p.LearningCurvesDisplay, p.ConfusionMatrixDisplay, p.FirstLayerWeightsDisplay\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    ended = run(code)
    assert ended.returncode == 0, ended.stderr


DRAWN = {
    "LearningCurvesDisplay": "from_history({'loss': [1.0]})",
    "ConfusionMatrixDisplay": "from_predictions([0], [0])",
    "PredictionErrorDisplay": "from_predictions([0.0], [0.0])",
    "DecisionBoundaryDisplay": "from_estimator(None, [[0, 0]])",
    "PermutationImportanceDisplay": "from_estimator(None, [[0, 0]], [0])",
    "FirstLayerWeightsDisplay": "from_estimator(None)",
}


@pytest.mark.parametrize("name", NAMES)
def test_missing_matplotlib_is_one_sentence_before_anything_is_computed(name):
    code = f"import sys; sys.modules['matplotlib'] = None\nfrom fastmlp.plotting import {name}\n"
    ended = run(f"{code}{name}.{DRAWN[name]}")
    expected = f'ImportError: {name} needs matplotlib: pip install "fastmlp[plot]"'
    assert ended.stderr.splitlines()[-1] == expected


@pytest.mark.parametrize("name", NAMES)
def test_missing_scikit_learn_is_one_sentence(name):
    ended = run(f"import sys; sys.modules['sklearn'] = None\nfrom fastmlp.plotting import {name}")
    if name in plotting._OF_SKLEARN:
        expected = f'ImportError: {name} needs scikit-learn: pip install "fastmlp[plot]"'
        assert ended.stderr.splitlines()[-1] == expected
    else:
        assert ended.returncode == 0, ended.stderr


def test_names():
    assert set(dir(plotting)) == set(NAMES) == set(DRAWN)
    with pytest.raises(AttributeError, match="has no attribute 'Missing'"):
        _ = plotting.Missing


def test_every_step_is_a_round_number():
    for n in range(1, 400):
        for most in (1, 7, 24):
            step = every(n, most)
            assert -(-n // step) <= most and step in (1, 2, 5, 10, 20, 50, 100, 200, 500)
            smaller = [s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if s < step]
            assert not smaller or -(-n // smaller[-1]) > most


@pytest.mark.parametrize("name", ["a_b", "_hidden", "$1 or $2", "two\nlines", "", "x" * 99, 3.5])
def test_names_are_shown_literally(name, ax):
    (line,) = ax.plot([0, 1], label=name_text(name))
    ax.set_xlabel(name_text(name))
    legend = ax.legend()
    ax.figure.draw_without_rendering()
    assert len(legend.get_texts()) == 1 and len(line.get_label()) <= 32
