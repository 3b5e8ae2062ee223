"""What is wrong with a table or with options: one line each, with exit code 2."""

import errno
import os
import re
import subprocess
import sys

import numpy as np
import pandas
import pytest

import fastmlp
from fastmlp import command_line
from fastmlp.tables.formats import open_table
from helpers.command_line import ENVIRONMENT, refused
from helpers.table_files import houses, write_csv

pytest.importorskip("pandas")

TRAIN = ("train", "houses.csv", "--target", "price")
ERRORS = {
    "missing file": (("train", "nowhere.csv", "--target", "y"), "nowhere.csv: No such file"),
    "empty file": (("train", "empty.csv", "--target", "y"), "must have rows, got an empty file"),
    "a folder": (("train", ".", "--target", "y"), ".: Is a directory"),
    "no target": (("train", "houses.csv"), "`--target` must be given for a table (LABELS for "
                  "images), got none; name one of the columns of houses.csv: area, rooms, town"),
    "no such column": (("train", "houses.csv", "--target", "Rooms!"),
                       "`--target` must name a column, got 'Rooms!'; similar ones are rooms."),
    "nothing similar": (("train", "houses.csv", "--target", "xyz"), "there are area, rooms, town,"),
    "no such position": (("train", "houses.csv", "--target", "4"), "got '4'"),
    "one column twice": (("train", "houses.csv", "--target", "price,-1"), "'price' twice"),
    "target and id": ((*TRAIN, "--id", "price"), "`--target, --drop, --id and --weight` must name "
                      "different columns, got 'price' twice."),
    "unknown id": ((*TRAIN, "--id", "number"), "`--id` must name a column"),
    "two ids": ((*TRAIN, "--id", "town,rooms"), "`--id` must name one column"),
    "unknown to drop": ((*TRAIN, "--drop", "aera"), "similar ones are area."),
    "no input left": ((*TRAIN, "--drop", "area,rooms,town"), "must have a column besides those"),
    "ragged": (("train", "ragged.csv", "--target", "b"), "must have 2 fields in every row, as in "
               "its first line, got 3 in line 4"),
    "latin-1": (("train", "latin.csv", "--target", "b"), "the byte 0xe9 in line 2; save it as UTF"),
    "two names": (("train", "names.csv", "--target", "b"), "a different name for each column"),
    "missing target": (("train", "holes.csv", "--target", "y"),
                       "`holes.csv` must have a value of the target 'y' in every row, got none in "
                       "data row 2; leave the rows without one out."),
    "constant target": (("train", "holes.csv", "--target", "one", "--drop", "none"),
                        "different values of the target 'one', got '1' in all 4 rows"),
    "no column with values": (("train", "holes.csv", "--target", "a", "--drop", "y,one"),
                              "must have a column that can be an input"),
    "no class twice": (("train", "people.csv", "--target", "name", "--task", "classification"),
                       "`the target name` must have a class with several rows"),
    "classes with decimals": (("train", "people.csv", "--target", "weight", "--task",
                               "classification"), "text or whole numbers in the target 'weight'"),
    "dates": (("train", "dates.csv", "--target", "a"), "got dates or times in the column 'day of "
              "birth'; replace them by numbers such as year and month, or --drop 'day of birth' "
              "leaves it out."),
    "a date as target": (("train", "dates.csv", "--target", "day of birth"), "dates or times"),
    "text for regression": (("train", "houses.csv", "--target", "town", "--task", "regression"),
                            "must have numbers in the target 'town' for regression"),
    "numbers for multilabel": ((*TRAIN, "--task", "multilabel"), "0 or 1 in the target 'price'"),
    "several classes": (("train", "houses.csv", "--target", "town,rooms"),
                        "`--target` must name one column for classification"),
    "infinite target": (("train", "infinite.csv", "--target", "y"), "inf in data row 3"),
    "task": ((*TRAIN, "--task", "guess"), "--task"),
    "share": ((*TRAIN, "--validation", "0.9"), "must be above 0 and at most 0.5, got '0.9'"),
    "share of nothing": ((*TRAIN, "--validation", "0.001"), "enough rows to hold some of them out"),
    "folds": ((*TRAIN, "--cv", "1"), "must be an int from 2 to 1000, got '1'"),
    "too many folds": ((*TRAIN, "--cv", "101"), "`--cv` must be at most 100 for the 200 rows"),
    "both validations": ((*TRAIN, "--validation", "0.1", "--validation-data", "x"), "not allowed"),
    "validation nowhere": ((*TRAIN, "--validation-data", "nowhere.csv"), "nowhere.csv: No such"),
    "float64": ((*TRAIN, "--dtype", "float64"), "--dtype"),
    "no epoch": ((*TRAIN, "--epochs", "0"), "--epochs: must be an int of at least 1, got '0'"),
    "batch of zero": ((*TRAIN, "--batch-size", "0"), "--batch-size"),
    "learning rate": ((*TRAIN, "--learning-rate", "-1"), "--learning-rate"),
    "size of zero": ((*TRAIN, "--layers", "0"), "--layers"),
    "images with a target": (("train", "digits", "--target", "y"), "--target is for a table"),
    "images in folds": (("train", "digits", "--cv", "3"), "--cv is for a table"),
    "images without preset": (("train", "digits", "--no-preset"), "--no-preset is for a table"),
    "out of nowhere": ((*TRAIN, "--out", "nowhere/m.npz"), "cannot save to nowhere/m.npz"),
    "predictions of nowhere": (("predict", "model.npz", "houses.csv", "--out", "nowhere/p.csv"),
                               "cannot save to nowhere/p.csv"),
    "a table for images": (("predict", "net.npz", "houses.csv"), "must be an IDX file"),
    "labels for a table": (("evaluate", "model.npz", "houses.csv", "labels"), "`LABELS` must be"),
    "images without labels": (("evaluate", "net.npz", "images"), "LABELS, unless DATA is digits"),
    "inspect nowhere": (("inspect", "nowhere.npz"), "nowhere.npz"),
    "inspect a table": (("inspect", "houses.csv"), "houses.csv"),
    "warm up what": (("warmup", "--dtype", "float16"), "float16"),
}  # fmt: skip


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder with tables that are wrong in every way, and two models."""
    folder = tmp_path_factory.mktemp("broken")
    write_csv(folder / "houses.csv", houses())
    (folder / "empty.csv").write_bytes(b"")
    (folder / "ragged.csv").write_text("a,b\n1,2\n3,4\n5,6,7\n")
    (folder / "latin.csv").write_bytes("a,b\n1,é\n".encode("latin-1"))
    (folder / "names.csv").write_text("a,b,b\n1,2,3\n")
    (folder / "holes.csv").write_text("a,y,none,one\n1,2,,1\n2,,,1\n3,4,,1\n4,5,,1\n")
    (folder / "dates.csv").write_text(
        "a,day of birth\n" + "".join(f"{k},19{k}-03-17\n" for k in range(70, 90))
    )
    people = "".join(f"{k % 7},{k / 4},{k * 'x'}y\n" for k in range(40))
    (folder / "people.csv").write_text("age,weight,name\n" + people)
    (folder / "some.parquet").write_bytes(b"PAR1 and no more")
    (folder / "infinite.csv").write_text("a,y\n1,2\n2,3.5\n3,inf\n4,5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert command_line.main([*TRAIN, "--epochs", "1", "--layers", "4"]) == 0
    fastmlp.NeuralNet([64, 3, 10], random_state=0).save(folder / "net.npz")
    return folder


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line(broken, name, here):
    args, part = ERRORS[name]
    assert part in refused(broken, *args, run=here)[1]


@pytest.mark.parametrize("name", ["no such column", "ragged", "dates", "share"])
def test_errors_are_one_line_of_a_process(broken, name):
    args, part = ERRORS[name]
    assert part in refused(broken, *args)[1]


def in_a_process_without(modules, folder, commands):
    """Run commands where modules cannot be imported; return the process."""
    code = (
        "import sys\n"
        f"for name in {modules!r}: sys.modules[name] = None\n"
        "from fastmlp.command_line import main\n"
        f"for command in {commands!r}:\n"
        "    code = main(command)\n"
        "    if code != 0: sys.exit(code)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("pandas", TRAIN),
        ("sklearn", TRAIN),
        ("pandas", ("predict", "model.npz", "houses.csv")),
        ("pyarrow", ("train", "some.parquet", "--target", "price")),
    ],
)
def test_missing_extras_are_one_line(broken, module, args):
    ended = in_a_process_without([module], broken, [args])
    assert (ended.returncode, ended.stdout) == (2, "")
    sentence = r'fastmlp: error: [^\n]+: pip install "fastmlp\[tables\]"\n'
    assert re.fullmatch(sentence, ended.stderr), ended.stderr


def test_images_need_no_extras(tmp_path):
    """Nor does a network of images load the libraries of tables."""
    commands = [
        ("train", "digits", "--epochs", "1"),
        ("predict", "model.npz", "digits"),
        ("inspect", "model.npz"),
    ]
    ended = in_a_process_without(["pandas", "sklearn", "pyarrow", "scipy"], tmp_path, commands)
    assert ended.returncode == 0, ended.stderr


def test_a_learning_rate_that_is_too_large(broken, here):
    before = (broken / "model.npz").read_bytes()
    code, _, err = here(broken, *TRAIN, "--learning-rate", "1e30")
    last = err.splitlines()[-1]  # after the bar
    assert code == 2 and last.startswith("fastmlp: error: `--learning-rate` must be so small that")
    assert (broken / "model.npz").read_bytes() == before


@pytest.mark.parametrize("args", [
    ("predict", "model.npz", "houses.csv", "--out", "houses.csv"),
    ("predict", "model.npz", "houses.csv", "--out", "model.npz"),
    (*TRAIN, "--out", "houses.csv"),
    (*TRAIN, "--validation-data", "people.csv", "--out", "people.csv"),
])  # fmt: skip
def test_no_input_is_overwritten(broken, here, args):
    out, err = refused(broken, *args, run=here)
    assert out == ""
    assert (
        err == f"fastmlp: error: `--out` must be another file than the inputs, got '{args[-1]}'.\n"
    )


def test_json_is_not_written_to_a_file(broken, here):
    code, out, err = here(broken, "predict", "model.npz", "houses.csv", "--json", "--out", "p.json")
    assert (code, out) == (2, "") and not (broken / "p.json").exists()
    assert err == "fastmlp: error: --out is for CSV: --json prints the predictions\n"


def test_an_interrupt_that_pandas_hides(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "1.5,2\n3.5,4\n" * 100)
    table = open_table(str(tmp_path / "a.csv"))
    with pytest.raises(KeyboardInterrupt), table._described():
        with table._opened() as text:
            text.failure = KeyboardInterrupt()
            raise pandas.errors.ParserError("Calling read(nbytes) on source failed")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_no_table(broken, here):
    os.mkfifo(broken / "pipe")
    try:
        code, _, err = here(broken, "train", "pipe", "--target", "a")
    finally:
        os.remove(broken / "pipe")
    assert code == 2 and "`pipe` must be a file, which is read twice, got a pipe or device" in err


@pytest.mark.parametrize("n", [400, 12_000])  # more different values than are counted
@pytest.mark.parametrize("wrong", ["oops", "1,23", "$3.5"])
def test_a_number_that_is_none_is_named(tmp_path, here, wrong, n):
    lines = [f'"{wrong if k == n - 5 else k * 0.37}",{k % 2}\n' for k in range(n)]
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(lines))
    code, _, err = here(tmp_path, "train", "a.csv", "--target", "y")
    assert code == 2
    assert err.endswith(  # on a slow machine a bar is in front of it
        "fastmlp: error: `a.csv` must have numbers in the column 'x', as most of it has, got "
        f"{wrong!r}; leave the field empty if it is missing, or --drop x leaves it out.\n"
    )


def test_a_missing_id_is_an_empty_field(tmp_path, here):
    rows = "id,x,y\n" + "".join(f"{k if k % 7 else ''},{k * k},{k % 2}\n" for k in range(60))
    (tmp_path / "c.csv").write_text(rows)
    assert here(tmp_path, "train", "c.csv", "--target", "y", "--id", "id", "--epochs", "1")[0] == 0
    code, out, _ = here(tmp_path, "predict", "model.npz", "c.csv")
    ids = [line.split(",")[0] for line in out.splitlines()]
    assert code == 0 and ids[:9] == ["id", "", "1", "2", "3", "4", "5", "6", ""]


def test_classes_that_are_no_numbers_are_named(tmp_path, here):
    rows = "a,y\n" + "".join(f"{k * k},{k % 3}\n" for k in range(60))
    (tmp_path / "c.csv").write_text(rows)
    command = ("train", "c.csv", "--target", "y", "--epochs", "1")
    assert here(tmp_path, *command)[0] == 0
    (tmp_path / "d.csv").write_text(rows + "5,maybe\n")
    code, _, err = here(tmp_path, "evaluate", "model.npz", "d.csv")
    assert code == 2 and "got 'maybe' in data row 61" in err


def test_an_evaluation_of_labels_that_are_true_or_false(tmp_path, here):
    rows = "x,a,b\n" + "".join(f"{k * k},{k % 2 == 0},{k % 3 == 0}\n" for k in range(60))
    (tmp_path / "c.csv").write_text(rows)
    assert here(tmp_path, "train", "c.csv", "--target", "a,b", "--epochs", "1")[0] == 0
    assert here(tmp_path, "evaluate", "model.npz", "c.csv")[0] == 0


DAMAGE = {
    "a task": lambda about: about.update(task="guess"),
    "a field more": lambda about: about.update(more=1),
    "a field less": lambda about: about.pop("target"),
    "a name": lambda about: about.update(target=[3]),
    "a type": lambda about: about["columns"][0].update(kind="date"),
    "a column more": lambda about: about["columns"].append({"name": "z", "kind": "number"}),
    "columns": lambda about: about.update(columns=3),
    "targets": lambda about: about.update(target=["a", "b"]),
    "an encoder": lambda about: about.update(plain={"kinds": {"a": "number"}, "categories": {}}),
    "all of it": lambda about: about.clear(),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_descriptions_are_one_line(broken, here, tmp_path, name):
    estimator = fastmlp.load(broken / "model.npz")
    DAMAGE[name](estimator.metadata_["table"])
    estimator.save(tmp_path / "damaged.npz")
    code, out, err = here(tmp_path, "predict", "damaged.npz", broken / "houses.csv")
    assert (code, out) == (2, "")
    assert err.startswith("fastmlp: error: `damaged.npz` must be a model that fastmlp train wrote")
    assert err.count("\n") == 1


def test_data_that_is_a_model(broken, here):
    code, _, err = here(broken, "train", "model.npz", "--target", "0")
    assert code == 2 and err.count("\n") == 1


def test_more_classes_than_are_held_out(tmp_path, here):
    """Classes of one row are trained on; those of two keep one."""
    names = [f"c{k}" for k in range(30)] + ["c0", "c1", "c2"]
    random = np.random.default_rng(0)
    write_csv(tmp_path / "data.csv", {"x": random.normal(size=33).tolist(), "y": names})
    options = ("--epochs", "1", "--task", "classification")
    code, out, err = here(tmp_path, "train", "data.csv", "--target", "y", *options)
    assert code == 0, err
    assert "training: 30 rows" in out and "on 3 rows held out" in out


@pytest.mark.parametrize("target, n_rows, k", [("price", 5, 2), ("price", 11, 2), ("town", 5, 2)])
def test_folds_of_few_rows(tmp_path, here, target, n_rows, k):
    write_csv(tmp_path / "few.csv", {name: each[:n_rows] for name, each in houses().items()})
    out, err = refused(tmp_path, "train", "few.csv", "--target", target, "--cv", k, run=here)
    assert "folds:" not in out
    assert (
        f"`few.csv` must have enough rows to hold some of them out of those outside each of {k} "
        f"folds of --cv, got {n_rows} rows." in err
    )


def test_numbers_have_no_probabilities(tmp_path, here):
    write_csv(tmp_path / "houses.csv", houses())
    assert here(tmp_path, *TRAIN, "--epochs", "1")[0] == 0
    arguments = ("predict", "model.npz", "houses.csv", "--probabilities")
    out, err = refused(tmp_path, *arguments, run=here)
    assert out == "" and "`--probabilities` must be used with a model of classes or labels" in err


def test_a_full_disk_is_named(tmp_path, here, monkeypatch):
    write_csv(tmp_path / "houses.csv", houses())

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert here(tmp_path, *TRAIN, "--epochs", "1")[0] == 0
    monkeypatch.setattr(os, "fsync", full)
    arguments = ("predict", "model.npz", "houses.csv", "--out", "p.csv")
    _, err = refused(tmp_path, *arguments, run=here)
    assert f"p.csv: {os.strerror(errno.ENOSPC)}" in err


@pytest.mark.parametrize("name", ["area", "price"])
def test_units_of_inputs_and_targets_are_named(tmp_path, here, name):
    columns = houses()
    columns[name] = [f"{value - 90} m" for value in columns[name]]  # some are negative
    write_csv(tmp_path / "houses.csv", columns)
    unit = columns[name][0]
    if name == "price":
        _, err = refused(tmp_path, *TRAIN, "--epochs", "1", run=here)
        assert f"such as '{unit}'; remove units for regression" in err
    arguments = ("--task", "classification") if name == "price" else ()
    code, out, err = here(tmp_path, *TRAIN, "--epochs", "1", *arguments)
    assert code == 0, err
    assert f"text, because of units: {name} ({unit}); numbers without them would be" in out


def test_a_target_of_names_is_refused_unless_they_are_said_to_be_classes(tmp_path, here):
    columns = houses()
    columns["price"] = [f"house {i // 2 if i < 20 else i}" for i in range(len(columns["price"]))]
    write_csv(tmp_path / "houses.csv", columns)
    _, err = refused(tmp_path, *TRAIN, "--epochs", "1", run=here)
    assert "must have the same text in several rows of the target 'price', got" in err
    assert "such as 'house 0'; remove units for regression, or pass --task class" in err
    assert not (tmp_path / "model.npz").exists()
    code, _, err = here(tmp_path, *TRAIN, "--epochs", "1", "--task", "classification")
    assert code == 0, err
    columns["price"] = [f"house {i // 2}" for i in range(len(columns["price"]))]
    write_csv(tmp_path / "houses.csv", columns)
    assert here(tmp_path, *TRAIN, "--epochs", "1")[0] == 0
