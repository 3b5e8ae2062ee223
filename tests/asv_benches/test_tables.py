"""The comparison on tables: its halves, splits, results that are continued, and comparisons."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

from helpers import ROOT  # noqa: E402

TABLES = ROOT / "asv_benches" / "tables"
sys.path.append(str(TABLES))
import methods  # noqa: E402
import packaged  # noqa: E402
import runs  # noqa: E402
import summary  # noqa: E402

KEY = ("iris", "fastmlp", 0)
RESULT = {"score": 0.9, "log_loss": 0.2, "seconds": 1.5}


def test_the_halves_share_no_table_and_have_every_other_one_of_each_kind():
    development, reported = packaged.half(False), packaged.half(True)
    small = sorted(packaged.SMALL)
    assert sorted(development + reported + small) == sorted(packaged.TABLES)
    assert len(development) == 12 and len(reported) == 11 and len(small) == 14
    for is_classification in (True, False):
        kinds = [
            [name for name in half if packaged.TABLES[name].is_classification == is_classification]
            for half in (development, reported)
        ]
        assert len(kinds[0]) - len(kinds[1]) in (0, 1)
        assert all(a < b for a, b in zip(*kinds, strict=False))


def test_a_table_of_scikit_learn_has_its_columns_and_labels_as_text():
    X, y = packaged.load("iris")
    assert X.shape == (150, 4) and set(y) == {"0", "1", "2"}
    X, y = packaged.load("diabetes")
    assert X.shape == (442, 10) and y.dtype == float


def frame(n):
    """A table with all kinds of columns, and a target that is missing once."""
    return pd.DataFrame(
        {
            "number": np.arange(n, dtype=float),
            "text": ["a", "b", None] * (n // 3),
            "truth": [True, False, True] * (n // 3),
            "leak": 1,
            "target": [np.nan, *range(1, n)],
        }
    )


def test_a_table_loses_leaks_and_missing_targets_and_has_text_as_categories(monkeypatch):
    monkeypatch.setitem(packaged.TABLES, "made", packaged.Table("", "", "target", False, ("leak",)))
    monkeypatch.setattr(packaged, "_read", lambda table: frame(6))
    X, y = packaged.load("made")
    assert list(X.columns) == ["number", "text", "truth"] and len(X) == len(y) == 5
    assert X["text"].dtype == "category" and X["truth"].dtype == "category"
    assert X["text"].isna().sum() == 2
    assert X["number"].dtype == float and list(X["number"]) == list(y)


def test_a_large_table_becomes_the_same_random_rows_in_every_call(monkeypatch):
    monkeypatch.setitem(packaged.TABLES, "made", packaged.Table("", "", "target", False))
    monkeypatch.setattr(packaged, "_read", lambda table: frame(3 * packaged.MOST_ROWS))
    X, y = packaged.load("made")
    assert len(X) == packaged.MOST_ROWS and X["number"].is_unique
    assert X["number"].max() > 2 * packaged.MOST_ROWS  # not the first ones
    again, _ = packaged.load("made")
    pd.testing.assert_frame_equal(X, again)


def test_splits_are_stratified_differ_by_seed_and_are_the_same_in_every_call():
    X, y = packaged.load("iris")
    X_train, X_test, y_train, y_test = runs.split(X, y, True, 0)
    assert len(X_train) == 120 and list(y_test.value_counts()) == [10, 10, 10]
    assert set(X_train.index).isdisjoint(X_test.index)
    assert list(X_test.index) == list(runs.split(X, y, True, 0)[1].index)
    assert list(X_test.index) != list(runs.split(X, y, True, 1)[1].index)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["scikit-learn (y scaled)", "HistGradientBoosting"])
def test_a_run_gives_the_score_of_the_estimator(method):
    X, y = packaged.load("diabetes")
    found = runs.run(methods.METHODS[method], X, y, False, 3)
    X_train, X_test, y_train, y_test = runs.split(X, y, False, 3)
    expected = methods.METHODS[method](False, 3).fit(X_train, y_train).score(X_test, y_test)
    assert found["score"] == pytest.approx(expected) and found["seconds"] > 0
    assert "log_loss" not in found


def test_methods_take_categories_and_missing_values():
    X = frame(300).drop(columns="target").astype({"text": "category", "truth": "category"})
    X.loc[::7, "number"] = np.nan
    y = pd.Series(np.where(X["text"] == "a", "yes", "no"))
    for method in ("fastmlp", "fastmlp ensemble", "scikit-learn", "HistGradientBoosting"):
        assert runs.run(methods.METHODS[method], X, y, True, 0)["score"] > 0.95, method


def test_results_are_written_at_once_and_read_again(tmp_path):
    results = runs.Results(tmp_path / "results.jsonl")
    assert KEY not in results
    results.add(KEY, RESULT)
    results.add(("iris", "fastmlp", 10), RESULT | {"score": 0.8})
    results.add(("iris", "other", 2), RESULT)
    again = runs.Results(tmp_path / "results.jsonl")
    assert KEY in again and again.found == results.found
    assert again.by_split("iris", "fastmlp") == {0: 0.9, 10: 0.8}
    assert again.by_split("iris", "fastmlp", "seconds") == {0: 1.5, 10: 1.5}


def test_a_line_that_a_stopped_run_left_incomplete_is_measured_again(tmp_path):
    path = tmp_path / "results.jsonl"
    runs.Results(path).add(KEY, RESULT)
    path.write_text(path.read_text() + '{"table": "iris", "method": "fastmlp", "spl')
    results = runs.Results(path)
    assert list(results.found) == [KEY]
    results.add(("iris", "fastmlp", 1), RESULT)
    assert list(runs.Results(path).found) == [KEY, ("iris", "fastmlp", 1)]


def results_of(tmp_path, ours, theirs, table="iris", method="RealMLP_TD_S", seconds=(1, 20)):
    results = runs.Results(tmp_path / "results.jsonl")
    for name, scores, each in (("fastmlp", ours, seconds[0]), (method, theirs, seconds[1])):
        for split, score in enumerate(scores):
            results.add((table, name, split), {"score": score, "seconds": each})
    return results


def test_a_comparison_is_of_the_differences_on_the_splits_of_both(tmp_path):
    results = results_of(tmp_path, [0.5, 0.9, 0.7, 0.1], [0.6, 0.9, 0.9])
    found = summary.compare(results, "iris", "RealMLP_TD_S")
    assert found.difference == pytest.approx(-0.1)
    assert found.error == pytest.approx(0.1 / np.sqrt(3))  # of -0.1, 0 and -0.2
    assert not found.is_better and not found.is_within_error and found.n_splits == 3
    row = summary.scores(results, ["iris"], True, ["fastmlp", "RealMLP_TD_S"]).splitlines()[-1]
    assert row == "| iris | 4 | 0.5500 | 0.8000 (**-0.1000** ± 0.0577, 3 splits) |"


@pytest.mark.parametrize(
    ("difference", "error", "is_better", "is_within", "is_worse"),
    [(0.1, 0.0, True, True, False), (0.0, 0.0, False, True, False), (-0.1, 0.1, False, True, True),
     (-0.11, 0.1, False, False, True), (1e-17, 0.0, False, True, False),
     (-1e-17, 0.0, False, True, False)],
)  # fmt: skip
def test_what_a_bar_counts(difference, error, is_better, is_within, is_worse):
    found = summary.Comparison(difference, error)
    assert (found.is_better, found.is_within_error) == (is_better, is_within)
    assert found.is_worse == is_worse


def test_bars_count_tables_of_each_half(tmp_path):
    results = results_of(tmp_path, [0.9, 0.8], [0.8, 0.7])
    results = results_of(tmp_path, [0.5, 0.5], [0.8, 0.8], "wine")
    results = results_of(tmp_path, [0.5, 0.5], [0.5, 0.4], "attrition")
    results = results_of(tmp_path, [0.5, 0.5], [0.7, 0.6], "oils")
    lines = summary.bars(results).splitlines()
    assert [line.split(" | ")[2:] for line in lines if "RealMLP_TD_S" in line] == [
        ["1 of 2, 50%", "1 of 1, 100%", "2 of 3, 67%", "0 of 1, 0% |"]
    ]
    assert lines[-1].endswith(f"| 0.1 {4 * '| 0.050 (0.050) '}|")
    page = summary.page(results, "# Title", "Notes.", ["fastmlp", "RealMLP_TD_S"])
    parts = page.split("\n## ")
    found = {part.split("\n")[0]: "| oils |" in part for part in parts}
    names = ["Small tables, for choosing alone", "Seconds"]
    assert [name for name in found if found[name]] == names


def test_where_scaling_y_does_not_apply_scikit_learn_itself_counts(tmp_path):
    results = results_of(tmp_path, [0.9, 0.8], [0.8, 0.7], method="scikit-learn")
    assert summary.counted(results, ["iris"], "scikit-learn (y scaled)", "is_better") == (1, 1)


def test_the_script_continues_from_its_file_and_writes_the_page(tmp_path):
    file = tmp_path / "results.jsonl"
    command = [
        *(sys.executable, str(TABLES), "--results", str(file), "--tables", "iris"),
        *("--methods", "HistGradientBoosting", "--splits", "2"),
    ]
    runs.Results(file).add(("iris", "HistGradientBoosting", 0), RESULT)
    first = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert first.stderr.count("HistGradientBoosting") == 1 and "split 1" in first.stderr
    assert "# preset" in first.stdout and "| bar |" in first.stdout
    command += ["--write", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert second.stderr == "" and "| bar |" in (tmp_path / "tables.md").read_text()
