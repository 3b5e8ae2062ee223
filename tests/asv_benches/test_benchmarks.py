"""The benchmarks and the tools built on them, but not their timings."""

import ast
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest

from helpers import ROOT

BENCHES = ROOT / "asv_benches"
sys.path.insert(0, str(BENCHES))
import guards  # noqa: E402
import paired  # noqa: E402
import selftest  # noqa: E402
import serving  # noqa: E402
from benchmarks.timed import interleave, median_ratio  # noqa: E402


def printed_rows(script, *arguments, start="| ["):
    """Run a script of the benchmarks; return the rows of the tables that it prints."""
    result = subprocess.run(
        [sys.executable, str(BENCHES / script), *arguments],
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    return [line for line in result.stdout.splitlines() if line.startswith(start)]


def test_peers_prints_a_row_for_each_case():
    rows = printed_rows(
        *("peers", "--systems", "fastmlp", "--threads", "1,2"),
        *("--cases", "20-16-4@32,20-4@1,20-4:1", "--rounds", "1"),
    )
    of_a_table = [
        [" [20, 16, 4] ", " batch 32 "],
        [" [20, 4] ", " batch 1 "],
        [" [20, 4] ", " predict 1 "],
    ]
    assert [row.split("|")[1:3] for row in rows] == 2 * of_a_table
    assert all(float(row.split("|")[3]) > 0 for row in rows)


def test_contention_prints_a_row_for_each_case_and_length():
    rows = printed_rows(
        *("contention.py", "--scenarios", "alone,itself", "--cases", "20-16-4@32,20-4:64"),
        *("--rounds", "1", "--seconds", "0.01,0.02"),
    )
    of_a_table = ["[20, 16, 4], batch 32", "[20, 4], predict 64"]
    assert [row.split("|")[1].strip() for row in rows] == 4 * of_a_table
    for row in rows:
        one, two, default, best, ratio = (float(cell) for cell in row.split("|")[2:7])
        assert best == (1 if one < two else 2) or one == two  # as rounded
        assert min(default, ratio) >= 0


def test_estimators_prints_a_row_for_each_case_and_dtype():
    rows = printed_rows(
        *("estimators.py", "--cases", "iris,predict-1", "--rounds", "1"), start=("| iris", "| pred")
    )
    cases = [row.split("|")[1:3] for row in rows]
    assert cases == [
        [f" {name} ", f" {dtype} "]
        for name in ("iris", "predict-1")
        for dtype in ("float64", "float32")
    ]
    for row in rows:
        theirs, ours, ratio, checks = (float(cell) for cell in row.split("|")[3:7])
        assert min(theirs, ours, checks) > 0
        assert ratio == pytest.approx(theirs / ours, rel=0.02, abs=0.1)  # as rounded


def test_many_prints_a_row_for_each_system():
    arguments = ("--systems", "fastmlp,sklearn", "--networks", "3", "--rounds", "1")
    rows = printed_rows("many.py", *arguments, start=("| serial", "| fit_many", "| sklearn"))
    seconds = {name.strip(): float(took) for name, took, _ in (r.split("|")[1:4] for r in rows)}
    assert list(seconds) == ["serial", "fit_many", "sklearn"]
    assert min(seconds.values()) > 0


def test_searches_prints_a_row_for_each_case():
    (row,) = printed_rows("searches.py", "--cases", "10ms", "--rounds", "1", start="| 10ms")
    n_fits, *cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert n_fits == "48" and len(cells) == 6 and cells[1].endswith("(1.00)")
    seconds = [float(cell.split()[0]) for cell in cells]
    assert min(seconds) > 0


@pytest.mark.parametrize(
    ("script", "option", "given", "accepted"),
    [
        ("peers", "--cases", "784-x@3", "layers@batch_size or layers:rows, such as 784-64-10@32"),
        ("peers", "--cases", "784@3", "layers@batch_size or layers:rows, such as 784-64-10@32"),
        ("peers", "--cases", "20-4@0", "layers@batch_size or layers:rows, such as 784-64-10@32"),
        ("peers", "--systems", "foo", "one of fastmlp, numpy, sklearn, torch, jax"),
        ("peers", "--threads", "x", "an int of at least 1"),
        ("peers", "--threads", "0", "an int of at least 1"),
        ("peers", "--rounds", "0", "an int of at least 1"),
        ("peers", "--write", "nowhere", "a folder that can be written to"),
        ("peers", "--json", "nowhere/turns.json", "a file in an existing folder"),
        ("contention.py", "--scenarios", "x", "one of alone, one, two, itself, quota"),
        (
            "contention.py",
            "--cases",
            "784@3",
            "layers@batch_size or layers:rows, such as 784-64-10@32",
        ),
        ("contention.py", "--seconds", "0", "a number of seconds above 0"),
        ("many.py", "--systems", "torch", "one of fastmlp, jax, sklearn"),
        ("estimators.py", "--cases", "mnist", "one of iris, breast-cancer, digits, 20000x50"),
        ("searches.py", "--cases", "1h", "one of 10ms, 100ms, 1s, wide"),
        ("paired.py", "--bench", "(", "a regular expression (missing ), unterminated subpattern"),
        ("paired.py", "--factor", "1", "a number above 1"),
        ("paired.py", "--factor", "x", "a number above 1"),
        ("paired.py", "--rounds", "0", "an int of at least 1"),
        ("paired.py", "--write", "nowhere", "a folder that can be written to"),
        ("paired.py", "--json", "nowhere/turns.json", "a file in an existing folder"),
        ("selftest.py", "--only", "unknown", "one of forward, propagate, update"),
        ("selftest.py", "--same", "-1", "an int of at least 0"),
    ],
)
def test_invalid_options_are_refused_before_measuring(tmp_path, script, option, given, accepted):
    # Little work, so that a value that is not refused shows soon.
    little = {
        "peers": ["--systems", "fastmlp", "--cases", "20-4@1", "--threads", "1", "--rounds", "1"],
        "contention.py": ["--scenarios", "alone", "--cases", "20-4:1", "--rounds", "1"],
        "estimators.py": ["--cases", "iris", "--rounds", "1"],
        "many.py": ["--systems", "fastmlp", "--networks", "1", "--rounds", "1"],
        "searches.py": ["--cases", "10ms", "--rounds", "1"],
        "paired.py": ["no-such-revision"],
        "selftest.py": ["--same", "0"],
    }
    result = subprocess.run(
        [sys.executable, str(BENCHES / script), *little[script], option, given],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert f"error: argument {option}: must be {accepted}" in last
    assert last.endswith(f", got {given!r}")
    assert not result.stdout


def test_peers_misses_matplotlib_before_anything_is_measured(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    result = subprocess.run(
        [
            *(sys.executable, str(BENCHES / "peers"), "--systems", "fastmlp", "--threads", "1"),
            *("--cases", "20-4@1", "--rounds", "1", "--write", str(tmp_path)),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 2
    assert "error: argument --write: the chart needs Matplotlib: not here" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("option", ["--write", "--json"])
def test_paired_prints_its_table_though_a_file_cannot_be_written(
    tmp_path, monkeypatch, capsys, option
):
    folder = tmp_path / "gone"
    folder.mkdir()
    given = folder if option == "--write" else folder / "turns.json"

    def compare(*arguments):
        folder.rmdir()
        return {"slow": looks((1.0, 1.2))}, {}

    version = paired.Version("v1", tmp_path, BENCHES)
    monkeypatch.setattr(paired, "export", lambda revision: version)
    monkeypatch.setattr(paired, "list_benchmarks", lambda versions: ([["slow"], ["slow"]], {}))
    monkeypatch.setattr(paired, "compare", compare)
    monkeypatch.setattr(sys, "argv", ["paired.py", "main", option, str(given)])
    with pytest.raises(FileNotFoundError):
        paired.main()
    assert "| slow | 1.200 | slower |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("alternate", "order"), [(False, "abcabcabc"), (True, "cbaabccba")], ids=["same", "alternating"]
)
def test_turns_are_interleaved(alternate, order):
    taken = []

    def turn(name):
        taken.append(name)
        return len(taken)

    turns = [lambda name=name: turn(name) for name in "abc"]
    seconds = interleave(turns, 3, alternate=alternate)
    assert "".join(taken) == order
    assert seconds == [[i + 1 for i, name in enumerate(order) if name == n] for n in "abc"]


def test_a_median_ratio_is_that_of_the_rounds():
    assert median_ratio([1.0, 6.0, 2.0], [1.0, 2.0, 1.0]) == 2.0


def test_an_interrupted_export_is_repeated(tmp_path, monkeypatch):
    def archive(*names):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as members:
            for name in names:
                members.addfile(tarfile.TarInfo(name))
        return file.getvalue()

    def extract_one(self, path, **options):
        self.extract(self.getmembers()[0], path, **options)
        raise KeyboardInterrupt

    whole = archive("fastmlp/__init__.py", "fastmlp/mlp.py", "asv_benches/benchmarks/fit.py")
    monkeypatch.setattr(paired, "VERSIONS", tmp_path)
    monkeypatch.setattr(paired, "git", lambda c, *_: b"name\n" if c == "rev-parse" else whole)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(tarfile.TarFile, "extractall", extract_one)
        with pytest.raises(KeyboardInterrupt):
            paired.export("HEAD")
    folder = paired.export("HEAD").package
    assert {path.name for path in folder.iterdir()} == {"fastmlp", "asv_benches"}
    assert (folder / "asv_benches" / "benchmarks" / "fit.py").exists()
    assert {path.name for path in (folder / "fastmlp").iterdir()} == {"__init__.py", "mlp.py"}


def looks(*pairs):
    """Looks of one turn of each version."""
    return [([base], [head]) for base, head in pairs]


def test_slower_needs_both_ratios():
    turns = {
        "slower": looks((1.0, 1.2), (2.0, 1.1), (1.0, 1.3)),
        "slow at times": looks((1.0, 1.2), (1.0, 1.2), (2.0, 1.0)),
        "quick once": looks((1.0, 1.2), (1.2, 1.2), (1.2, 1.2)),
        "faster": looks((1.0, 0.5)),
    }
    assert paired.slower(turns, 1.05) == ["slower"]
    assert paired.faster(turns, 1.05) == ["faster"]
    failures = {name: ["ImportError: no such kernel", None] for name in ("new", "newer", "newest")}
    failures["broken"] = ["ImportError: no such kernel", "TypeError: nothing"]
    text = paired.table(turns, failures, 1.05, ("v1", "v2"), (["old"], ["added", "added too"]))
    assert text.splitlines() == [
        "| benchmark | v2 / v1 | |",
        "|---|---:|---|",
        "| slower | 1.100 | slower |",
        "| faster | 0.500 | faster |",
        "| new and 2 more | | v1: ImportError: no such kernel |",
        "| broken | | v2: TypeError: nothing |",
        "",
        "4 benchmarks compared: 1 slower and 1 faster by a factor of more than 1.05",
        "4 could not run",
        "1 only in v1: old",
        "2 only in v2: added and 1 more",
    ]


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.01], False),
        ([1.01, 0.99], True),
        ([1.01, 0.97], False),  # one round is not clearly below the factor
        ([1.01, 0.97, 1.0], True),
        ([1.06, 1.1, 1.2], False),
        ([1.1] * 5, False),
        ([1.1] * 6, True),
        ([0.9] * 6, True),
        ([1.1] * 5 + [0.99], True),  # below the factor after all
    ],
)
def test_a_benchmark_is_measured_until_its_rounds_agree(ratios, expected):
    assert paired.settled(looks(*[(1.0, ratio) for ratio in ratios]), 1.05) == expected


def test_a_difference_that_a_round_does_not_show_is_not_settled():
    slow_process = [(1.2, 1.2)]
    assert paired.ratio_of(looks(*[(1.0, 1.1)] * 6, *slow_process)) == 1.1
    assert not paired.settled(looks(*[(1.0, 1.1)] * 6, *slow_process), 1.05)


SLEEPING = """
import time

class NeuralNet:
    def __init__(self, *arguments, **settings): pass
    def fit(self, *arguments, **settings): time.sleep({seconds})
"""


@pytest.mark.parametrize(
    ("seconds", "slower", "failures"),
    [(0.001, 0, 0), (0.01, 1, 0), ("'nothing'", 0, 1)],
    ids=["as it was", "slower", "broken"],
)
def test_what_sleeps_longer_or_cannot_run_is_found(
    tmp_path, monkeypatch, seconds, slower, failures
):
    versions = [paired.Version(name, tmp_path / name, BENCHES) for name in ("base", "head")]
    for version, nap in zip(versions, (0.001, seconds), strict=True):
        (version.package / "fastmlp").mkdir(parents=True)
        source = SLEEPING.format(seconds=nap)
        (version.package / "fastmlp" / "__init__.py").write_text(source)
    listed, broken = paired.list_benchmarks(versions)
    titles = guards.guarding(["Call(1)"], listed[0])
    assert len(titles) == 1
    assert "kernels (the module)" in broken  # this package has none
    turns, failed = paired.compare(versions, titles, factor=3, rounds=2)
    assert len(paired.slower(turns, 3)) == slower
    assert len(failed) == failures
    for errors in failed.values():
        assert errors[0] is None and errors[1].startswith("TypeError")


SUITE = """
class Work:
    params, param_names = [{params}], ["n"]

    def setup(self, n): pass
    def time_it(self, n): sum(range(1000 * {times}))
"""


def test_each_version_runs_its_own_benchmarks(tmp_path):
    versions = [paired.Version(name, tmp_path / name, tmp_path / name) for name in ("v1", "v2")]
    for version, params, times in zip(versions, ("[1, 2]", "[2, 3]"), (10, 100), strict=True):
        for module in ("fastmlp", "benchmarks"):
            (version.package / module).mkdir(parents=True)
            (version.package / module / "__init__.py").write_text("")
        source = SUITE.format(params=params, times=times)
        (version.package / "benchmarks" / "work.py").write_text(source)
    listed, _ = paired.list_benchmarks(versions)
    names = [[f"work.Work.time_it({n})" for n in numbers] for numbers in ((1, 2), (2, 3))]
    assert listed == names
    turns, failed = paired.compare(versions, ["work.Work.time_it(2)"], factor=3, rounds=3)
    assert paired.slower(turns, 3) == ["work.Work.time_it(2)"] and not failed


BENCHMARKS, BROKEN = serving.find_benchmarks()


def test_every_benchmark_has_a_docstring_and_a_readable_name():
    assert not BROKEN
    for source, name, method, _ in BENCHMARKS.values():
        kind = getattr(source, name)
        assert kind.__doc__.startswith("Guards "), name
        assert getattr(kind, method).pretty_name, method
        assert len(kind.param_names) == len(kind.params), name


PARTS = selftest.PARTS


@pytest.mark.parametrize("name", PARTS)
def test_the_self_test_slows_down_what_its_benchmarks_call(tmp_path, name):
    guard = PARTS[name]
    source = (ROOT / "fastmlp" / guard.path).read_text(encoding="utf-8")
    copy = tmp_path / "base" / "fastmlp" / guard.path
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / "fastmlp" / guard.path, copy)
    base = paired.Version("HEAD", tmp_path / "base", BENCHES)
    slowed = selftest.slowed_copy(base, [name]).package / "fastmlp" / guard.path
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert guard.function in [node.name for node in functions]
    assert slowed.read_text() != source and ast.parse(slowed.read_text())
    assert guards.guarding(guard.benchmarks, BENCHMARKS)


def test_parts_that_are_slow_in_one_copy_share_no_benchmark():
    groups = selftest.groups_of(PARTS, BENCHMARKS)
    assert sorted(name for group in groups for name in group) == sorted(PARTS)
    for group in groups:
        titles = [t for n in group for t in guards.guarding(PARTS[n].benchmarks, BENCHMARKS)]
        assert len(titles) == len(set(titles)), group


def test_a_function_is_slow_in_all_calls_that_its_parts_name():
    source = "from somewhere import RELU\ndef change(rule,\n    rows):\n    pass\n"
    slowed = selftest.with_waiting(source, "change", ["rule == 1", "rows > 2"])
    assert ".activations import" not in slowed
    imported = selftest.with_waiting(source, "change", ["rule == ELU", "rule == RELU"])
    assert "from fastmlp.core.equations.activations import ELU\n" in imported
    assert "    if not ((rule == 1) or (rows > 2)):\n" in slowed
    assert "        return _original_change(rule,\n" in slowed


def test_every_pattern_of_the_table_has_benchmarks_and_every_benchmark_guards_something():
    tables = [*guards.CALLS.values(), *(guard.benchmarks for guard in PARTS.values())]
    patterns = [pattern for listed in tables for pattern in listed]
    assert [p for p in patterns if not guards.guarding([p], BENCHMARKS)] == []
    assert set(BENCHMARKS) - set(guards.guarding(patterns, BENCHMARKS)) == set()


@pytest.mark.parametrize(
    ("module", "table", "codes"),
    [
        ("product", None, "STORE STORE_RELU GATE MULTIPLY DESCEND"),
        (
            *("activations", "ACTIVATIONS"),
            "IDENTITY RELU LEAKY_RELU ELU SIGMOID TANH SOFTPLUS GELU SILU",
        ),
        ("losses", "LOSS_CODES", "SOFTMAX LOGISTIC POISSON SQUARED ABSOLUTE HUBER PINBALL"),
        ("update_rules", "RULES", "SGD MOMENTUM NESTEROV RMSPROP ADAGRAD ADAM ADAMW"),
    ],
)
def test_every_code_of_a_kernel_is_guarded(module, table, codes):
    source = importlib.import_module(f"fastmlp.core.equations.{module}")
    values = [getattr(source, code) for code in codes.split()]
    assert values == list(getattr(source, table).values() if table else range(len(values)))
    conditions = " ".join(guard.when for guard in PARTS.values())
    assert [c for c in codes.split() if not re.search(rf"== {c}\b", conditions)] == []


def test_the_readme_has_the_table_of_what_guards_what():
    assert guards.table() in (BENCHES / "README.md").read_text(encoding="utf-8")
