"""The arithmetic of asv_benches/scaling, checked by hand, and a short run of it."""

import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT

SCALING = ROOT / "asv_benches" / "scaling"
sys.path += [str(SCALING), str(SCALING.parent)]
import measure  # noqa: E402
import options  # noqa: E402
import points  # noqa: E402
import roofline  # noqa: E402

# 4 * 3 + 3 * 2 = 18 weights; forward and gradients of all 18, deltas of the last 6: 42
# multiply-adds. A step of 2 reads 72 bytes of weights, and reads and writes them again: 108 bytes
# a sample, beside 16 of X.
POINT = points.Point(0, (4, 3, 2), 2, 1, 100, 1, 84)


def limits(flops, small, large):
    """The small bandwidth applies to the 72 bytes of weights, the large one to the 1600 of X."""
    return roofline.Limits(flops, {64: small, 1024: large})


def test_the_arithmetic_and_the_bytes_of_a_point():
    point = points.make_point(7, (4, 3, 2), batch_size=2, n_samples=100)
    assert (point.value, point.flops, point.weights) == (7, 84, 18)
    assert roofline.weight_bytes(POINT) == 108
    assert roofline.row_bytes(POINT) == 16
    assert roofline.intensity(POINT) == 84 / 124


@pytest.mark.parametrize(
    ("found", "bound", "seconds"),
    [
        (limits(8.4, 108.0, 16.0), "arithmetic", 10.0),
        (limits(84.0, 5.4, 16.0), "weights", 20.0),
        (limits(84.0, 108.0, 0.5), "X", 32.0),
    ],
)
def test_a_sample_takes_as_long_as_the_slowest_of_its_parts(found, bound, seconds):
    parts = roofline.least_seconds(POINT, found)
    assert max(parts, key=parts.get) == bound
    assert parts[bound] == pytest.approx(seconds)


def test_the_bandwidth_is_that_of_an_array_no_larger():
    found = roofline.Limits(1.0, {64: 3.0, 128: 2.0, 256: 1.0})
    sizes = [1, 64, 127, 128, 10**9]
    assert [roofline.bandwidth_for(found, size) for size in sizes] == [3.0, 3.0, 3.0, 2.0, 1.0]


def test_epochs_are_whole_minibatches_and_turns_take_no_more_than_a_second_or_an_epoch():
    for name in points.AXES:
        for point in points.points_of(name, 10**7):
            assert point.epochs >= 1
            if name != "samples":
                assert point.n_samples % point.batch_size == 0
                assert point.n_samples // point.batch_size >= points.FEWEST_STEPS
    # By `run`'s guess a multiply-add takes 1e-10 s, a row 2e-7 s in each of the 2 layers and 1e-9 s
    # for each of its 9 units, and a step of 2 rows 2e-6 s more and 1e-9 s for each of the 23
    # parameters: 1.4247 us a sample, so that 0.8 s are 5615 epochs of 100.
    point = points.make_point(7, (4, 3, 2), batch_size=2, n_samples=100)
    assert point.epochs == 5615


def test_no_file_has_more_rows_than_is_allowed():
    few = points.points_of("samples", 99_999)
    assert [(point.value, point.n_samples) for point in few] == [(1_000,) * 2, (10_000,) * 2]
    assert points.file_bytes(few) == 10_000 * 64 * 4
    assert [point.n_threads for point in points.points_of("threads", 1)] == [1, 2, 4, 8]


def test_a_file_must_fit_on_the_disk_and_into_memory():
    assert options.lack_of_space(8e9, disk=8e9, memory=10e9) is None
    for disk, memory, what in (
        (7.9e9, 10e9, "8.0 GB of space in the temporary folder, and 7.9 GB"),
        (8e9, 9.9e9, "10.0 GB of memory, and 9.9 GB"),
    ):
        assert options.lack_of_space(8e9, disk, memory) == f"X needs {what} are free"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "--axes threads,height",
            "--axes: must be one of threads, batch, width, depth, samples, got 'height'",
        ),
        ("--rounds 0", "--rounds: must be an int of at least 1, got '0'"),
        ("--rounds many", "--rounds: must be an int of at least 1, got 'many'"),
        ("--most-samples 999", "--most-samples: must be an int of at least 1000, got '999'"),
        ("--write nowhere", "--write: must be a folder that can be written to, got 'nowhere'"),
    ],
)
def test_bad_arguments_are_refused(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        options.parse("", arguments.split())
    assert ended.value.code == 2
    assert f"error: argument {sentence}" in capsys.readouterr().err


def test_axes_are_taken_in_their_order_and_once():
    parsed = options.parse("", ["--axes", "width,batch,width", "--rounds", "3"])
    assert (parsed.axes, parsed.rounds) == (["width", "batch"], 3)


def test_a_short_run_prints_a_table_and_leaves_no_file(tmp_path):
    command = [sys.executable, str(SCALING), "--axes", "samples"]
    result = subprocess.run(
        [*command, "--most-samples", "1000", "--rounds", "1"],
        env={"NUMBA_CACHE_DIR": str(tmp_path), **os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("| 1,000 ")]
    _, _, microseconds, rate, intensity, share, _ = (cell.split() for cell in row.split("|"))
    # [64, 32, 10]: 2368 weights and 5056 multiply-adds; 12 * 2368 / 128 + 256 = 478 bytes.
    assert float(microseconds[0]) * float(rate[0]) == pytest.approx(10.112, rel=0.02)
    assert float(intensity[0]) == pytest.approx(10112 / 478, rel=0.005)
    assert float(share[0]) > 0
    assert not list(tmp_path.glob("fastmlp-scaling-*"))


def test_the_file_holds_no_zeros(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "BLOCK", 300)
    measure.write_rows(tmp_path / "X.npy", 1000, 3)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert X.shape == (1000, 3) and X.dtype == np.float32
    assert np.all((X > 0) & (X <= 1)) and len(np.unique(X)) > 2900
