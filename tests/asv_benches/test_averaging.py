"""The arithmetic of asv_benches/averaging, checked by hand, and a short run of it."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT, SHARED_DATA

AVERAGING = ROOT / "asv_benches" / "averaging"
sys.path += [str(AVERAGING), str(AVERAGING.parent)]
import curves  # noqa: E402
import page  # noqa: E402
import problems  # noqa: E402
import speed  # noqa: E402

#: A copy takes 1 s, adding a point up 0.1 s, a task 0.01 s, the client 5 s.
CLUSTER = speed.Cluster(5.0, 0.01, bandwidth=100.0, sum_bandwidth=1000.0)
ROUND = speed.Round(4, 20.0, 100.0)


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        (1, 80 + 5 + 0.05 + 4 + 0.4),
        (2, 40 + 5 + 0.06 + 4 + 1 + 2 + 0.4),  # a copy to the second worker, a sum of two
        (3, 40 + 5 + 0.07 + 4 + 2 + 4 + 0.4),
        (4, 20 + 5 + 0.08 + 4 + 2 + 6 + 0.4),
        (9, 20 + 5 + 0.08 + 4 + 2 + 6 + 0.4),  # five have nothing to do
    ],
)
def test_the_formula_adds_up_the_parts_of_a_round(workers, seconds):
    assert speed.seconds(ROUND, workers, CLUSTER) == pytest.approx(seconds)


def test_workers_that_share_processors_take_turns():
    shared = CLUSTER._replace(at_once=2)
    for workers in (1, 2):
        assert speed.seconds(ROUND, workers, shared) == speed.seconds(ROUND, workers, CLUSTER)
    alone = speed.seconds(ROUND, 4, CLUSTER)
    assert speed.seconds(ROUND, 4, shared) == pytest.approx(alone + 20)
    assert simulated(ROUND, 4, shared) == pytest.approx(simulated(ROUND, 4, CLUSTER) + 20)


def simulated(round_, workers, cluster):
    return speed.simulate(round_, workers, cluster, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        (1, 5 + 2 + 0.01 + 80 + 0.01 + 0.4 + 2),
        # The second worker has the point after 1.03 s, and ends before the sum arrives.
        (2, 5 + 2 + 0.01 + 40 + 0.21 + 2 + 0.21 + 2),
        # The first sends the point to the second until 1.02 s, one of the two to the third until
        # 2.02 s, and the other to the fourth. All end before the sum of those before them arrives.
        (4, 5 + 2 + 0.01 + 20 + 0.11 + 3 * (2 + 0.11) + 2),
    ],
)
def test_a_simulated_round_adds_up_its_events(workers, seconds):
    assert simulated(ROUND, workers, CLUSTER) == pytest.approx(seconds)


@pytest.mark.parametrize("workers", [1, 2, 7, 16, 64, 256])
@pytest.mark.parametrize("shard_seconds", [0.1, 1.0, 10.0])
def test_the_simulation_without_a_spread_is_a_little_faster_than_the_formula(
    workers, shard_seconds
):
    round_ = speed.Round(256, shard_seconds, 8e6)
    by_formula = speed.seconds(round_, workers, speed.Cluster())
    # Shards are assigned, and points copied, while others are trained on.
    assert 0.85 < simulated(round_, workers, speed.Cluster()) / by_formula < 1.001


def test_shards_of_different_times_take_longer_with_few_shards_a_worker():
    def slowed(shards):
        round_ = speed.Round(shards, 160 / shards, 0.0)
        even, spread = (
            speed.simulated_speed_up(round_, 16, speed.Cluster(spread=spread))
            for spread in (0.0, 0.3)
        )
        return even / spread

    assert slowed(16) > slowed(160) > 1.0


def test_measured_rounds_are_read_where_there_are_any(tmp_path):
    path = tmp_path / "measured.json"
    assert speed.read_measured(path) == ([], math.inf)
    assert "Measured" not in page.speed([], CLUSTER)
    each = {"workers": 2, "shards": 4, "seconds": 45.0, "shard_seconds": 20.0, "point_bytes": 100}
    path.write_text(json.dumps({"processors": 1.5, "rounds": [each]}))
    measured, processors = speed.read_measured(path)
    assert measured == [speed.Measured(2, ROUND, 45.0)] and processors == 1.5
    last = page.speed(measured, CLUSTER).split("\n")[-2]
    assert last == "| 2 | 4 | 20.000 | 0.0 | 45.000 | 52.460 |"


def test_a_score_is_the_mean_of_the_last_epochs():
    curve = [0.1, 0.2, 0.6, 0.7, 0.8]
    assert page.score(curve, 5) == pytest.approx(0.7)
    assert page.score(curve, 1) == pytest.approx(0.1)
    assert page.epochs_to_reach(curve, 0.5) == 4
    assert page.epochs_to_reach(curve, 0.71) is None
    assert [page.points(x) for x in (0.0, -0.0001, 0.0123, -0.456)] == [
        "+0.0", "+0.0", "+1.2", "-45.6",
    ]  # fmt: skip


def test_tables_compare_several_shards_with_one():
    curve = {1: 0.5, 2: 0.5, 4: 0.4, 8: 0.3, 16: 0.2}
    results = {
        case: np.linspace(0, curve[case.shards] - 0.1 * (case.rate == "unchanged"), 4)
        for case in curves.cases(["digits"], ["sgd"])
    }
    assert len(results) == 9
    row = page.scores_table(results, "digits", ["sgd"], 1 + page.LAST)[-1]
    # The last three of four equal steps from 0 have a mean of two thirds of the last.
    assert row == "| sgd | 33.3 | +0.0 | -6.7 | -13.3 | -20.0 | -6.7 | -13.3 | -20.0 | -26.7 |"
    row = page.epochs_table(results, ["digits"], ["sgd"], 2)[-1]
    # One shard has a mean of 0.083 after two epochs.
    assert row == "| digits, sgd | 2 | 3 | 3 | 4 | 3 | 3 | 4 | > 4 |"


@pytest.mark.parametrize("name", problems.NAMES)
def test_problems_are_divided_by_their_seed(name):
    if name == "MNIST" and not (SHARED_DATA / problems.IMAGES).exists():
        pytest.skip("MNIST is not there")
    one, same, other = (problems.problem(name, seed, SHARED_DATA) for seed in (0, 0, 1))
    assert one.layers[0] == one.X.shape[1] == one.X_test.shape[1]
    assert len(one.X) == len(one.y) > len(one.X_test) == len(one.y_test)
    np.testing.assert_array_equal(one.X, same.X)
    assert not np.array_equal(one.X, other.X)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--problems letters", "--problems: must be one of MNIST, digits, clusters, friedman"),
        ("--problems MNIST", "--problems: MNIST needs --mnist FOLDER"),
        ("--mnist .", "--mnist: must be a folder with mnist-t10k-images-idx3-ubyte.gz and"),
        ("--epochs 1", "--epochs: must be an int of at least 2, got '1'"),
    ],
)
def test_bad_arguments_are_refused(arguments, sentence, tmp_path):
    command = [sys.executable, str(AVERAGING), *arguments.split()]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    assert f"error: argument {sentence}" in result.stderr


def run(folder, *arguments):
    """Run the tool in a new process; return what it printed."""
    return subprocess.run(
        [sys.executable, str(AVERAGING), "--write", str(folder), *arguments],
        env={"NUMBA_CACHE_DIR": str(folder), **os.environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_short_run_writes_its_files(tmp_path):
    short = ("--problems", "digits", "--optimizers", "sgd", "--seeds", "1", "--epochs", "2")
    printed = run(tmp_path, *short, "--parts", "accuracy")
    tables = (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    assert printed == tables + "\n" and "| digits, sgd | " in tables
    assert "</svg>" in (tmp_path / "chart_accuracy.svg").read_text(encoding="utf-8")
    assert not (tmp_path / "speed.md").exists()


def test_the_part_on_speed_trains_nothing(tmp_path):
    printed = run(tmp_path, "--parts", "speed")
    assert printed == (tmp_path / "speed.md").read_text(encoding="utf-8") + "\n"
    assert "</svg>" in (tmp_path / "chart_speedup.svg").read_text(encoding="utf-8")
    assert not (tmp_path / "accuracy.md").exists()


def test_measured_rounds_have_a_panel_of_their_own(tmp_path):
    charts = pytest.importorskip("charts")
    panels = []
    for measured in ([], [speed.Measured(2, ROUND, 45.0)]):
        path = tmp_path / "chart.svg"
        charts.write_speed(measured, CLUSTER, path)
        panels.append(path.read_text(encoding="utf-8").count('id="axes_'))
    assert panels == [2, 3]
