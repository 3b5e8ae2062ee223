"""A training that is killed at any moment and resumed ends like an undisturbed one."""

import json
import os
import subprocess
import sys

import pytest

from helpers import TESTS


def script(name, *arguments):
    """Start a script in this folder as a subprocess."""
    safe = ["-P"] if sys.flags.safe_path else []
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, *safe, TESTS / name, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )


def start(folder, optimizer, source="own", moment="none", count=0):
    """Start the training of `killed_training.py` in a folder."""
    folder.mkdir(exist_ok=True)
    return script("helpers/killed_training.py", folder, optimizer, source, moment, count)


def finish(process):
    out, _ = process.communicate()
    assert process.returncode == 0
    return out


def results(folder):
    """Return the files that a training leaves: networks, history and log."""
    names = ["final.npz", "best.npz", "log.csv", "end.json"]
    names += [path.name for path in folder.glob("model*.npz")]
    return {name: (folder / name).read_bytes() for name in names}


def temporaries(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "optimizer, moments",
    [
        ("adam", [("half", 4), ("replaced", 4), ("written", 5), ("epoch", 20)]),
        ("momentum", [("written", 1), ("epoch", 9), ("half", 3), ("replace", 7)]),
    ],
)
def test_killed_in_the_middle_of_things(optimizer, moments, tmp_path):
    killed, left = tmp_path / "killed", []
    for moment, count in moments:  # each resumes from the one before
        process = start(killed, optimizer, "own", moment, count)
        assert process.stdout.readline() == "here\n"
        n_before = len(temporaries(killed))
        process.kill()
        process.communicate()
        assert len(temporaries(killed)) == n_before
        left.append(n_before)
    assert max(left) > 0
    finish(start(killed, optimizer))
    assert temporaries(killed) == []  # removed when the same file was written again
    finish(start(tmp_path / "undisturbed", optimizer))
    assert results(killed) == results(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    "optimizer, source",
    [("adam", "own"), ("momentum", "own"), ("adam", "global"), ("adam", "names")],
)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment(optimizer, source, tmp_path):
    folder = tmp_path / "trained"
    kills, n_epochs = json.loads(finish(start(folder, optimizer, source, "many")))
    assert kills >= 3 and n_epochs >= 2  # usually about 30, in 5 to 9 different epochs
    undisturbed = results(folder / "undisturbed")
    assert results(folder / "killed") == undisturbed
    history, drawn, _ = json.loads(undisturbed["end.json"])
    assert len(set(history["loss"])) == len(history["loss"])
    assert (drawn is not None) == (source == "global")
    n_files = len(list((folder / "killed").glob("model*.npz")))
    assert n_files == (len(history["loss"]) if source == "names" else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_rounds_of_the_soak():
    out = finish(script("soak_resume.py", "--seconds", "inf", "--rounds", 2, "--seed", 1))
    counts = json.loads(out.splitlines()[-1])
    assert counts["rounds"] == 2 and counts["killed"] > 0
