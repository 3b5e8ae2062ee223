"""``fastmlp plot``: pictures from the shell."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot

import fastmlp
from fastmlp import MLP, plotting
from fastmlp.sklearn import MLPRegressor
from helpers.command_line import ENVIRONMENT, make_images, pack_idx, succeed
from helpers.table_files import houses, passengers, write_csv

STARTS = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
KINDS = ["curves", "confusion", "errors", "weights", "boundary", "importance"]


LONGER = ("--epochs", "60")  # so that it predicts both classes


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with models of tables and of images."""
    from fastmlp import command_line

    folder = tmp_path_factory.mktemp("models")
    write_csv(folder / "people.csv", passengers())
    write_csv(folder / "houses.csv", houses())
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 120)).round(3)
    plane = {"x": x.tolist(), "y": y.tolist(), "side": np.where(x > y, "left", "right").tolist()}
    both = {"above": (y > 0).astype(int).tolist(), "right": (x > 0).astype(int).tolist()}
    sums = {"sum": (x + y).tolist(), "difference": (x - y).tolist()}
    write_csv(folder / "plane.csv", plane | both | sums)
    for name, data, target, *options in (
        ("people", "people", "Survived"),
        ("houses", "houses", "price"),
        ("town", "houses", "price", "--drop", "rooms"),
        ("plain", "plane", "side", "--drop", "above,right,sum,difference", "--no-preset", *LONGER),
        ("plane", "plane", "side", "--drop", "above,right,sum,difference"),
        ("labels", "plane", "above,right", "--drop", "side,sum,difference"),
        ("values", "plane", "sum,difference", "--drop", "side,above,right"),
    ):
        args = ["train", f"{folder}/{data}.csv", "--target", target, "--epochs", "3", *options]
        assert command_line.main([*args, "--out", f"{folder}/{name}.npz"]) == 0
    images, labels = make_images()
    (folder / "images").write_bytes(pack_idx(images))
    (folder / "labels").write_bytes(pack_idx(labels))
    X = images.reshape(100, 24)
    scale = {"input_scale": 1 / 256, "random_state": 0}
    fastmlp.NeuralNet([24, 5, 2], 0.1, **scale).fit(X, labels, epochs=3).save(folder / "net.npz")
    MLP([24, 5, 1], loss="logistic", **scale).fit(X, labels, epochs=2).save(folder / "one.npz")
    MLP([24, 5, 1], loss="huber", **scale).fit(X, labels, epochs=2).save(folder / "value.npz")
    MLP([64, 2], loss="huber", **scale).save(folder / "wide.npz")
    np.save(folder / "real.npy", labels.astype(np.float32))
    np.save(folder / "many.npy", np.arange(100))
    np.save(folder / "none.npy", np.zeros((0, 24)))
    np.save(folder / "no.npy", np.zeros(0, np.int64))
    square, _ = fastmlp.datasets.digits()
    np.save(folder / "square.npy", square)
    fastmlp.NeuralNet([64, 5, 10], random_state=0).save(folder / "new.npz")
    MLPRegressor(hidden_layer_sizes=4, max_iter=2, random_state=0, solver="lbfgs", tol=1e9).fit(
        X, labels
    ).save(folder / "lbfgs.npz")
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """The displays that are drawn."""
    found = []
    for name in plotting.__all__:
        display = getattr(plotting, name)

        def plot(self, *args, _plot=display.plot, **options):
            found.append(self)
            return _plot(self, *args, **options)

        monkeypatch.setattr(display, "plot", plot)
    return found


def plot(models, tmp_path, here, model, kind, *args):
    out = tmp_path / f"{kind}.png"
    paths = [str(models / arg) if (models / str(arg)).is_file() else arg for arg in args]
    options = ["--kind", kind, "--out", out, *paths, "--json"]
    found = json.loads(succeed(tmp_path, "plot", models / f"{model}.npz", *options, run=here))
    assert found["kind"] == kind and found["saved"] == str(out)
    assert out.read_bytes().startswith(STARTS["png"])
    assert pyplot.get_fignums() == []
    return found


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "SVG"])
def test_formats(models, tmp_path, here, suffix):
    out = succeed(tmp_path, "plot", models / "net.npz", "--out", f"a.{suffix}", run=here)
    assert out == f"saved: a.{suffix}\n"
    first = (tmp_path / f"a.{suffix}").read_bytes()
    assert first.startswith(STARTS[suffix.lower()]) and len(first) > 2000
    succeed(tmp_path, "plot", models / "net.npz", "--out", f"a.{suffix}", run=here)
    assert (tmp_path / f"a.{suffix}").read_bytes() == first
    assert b"CreationDate" not in first  # in PDF, to the second
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_the_kind_is_the_name_by_default(models, tmp_path, here):
    assert succeed(tmp_path, "plot", models / "net.npz", run=here) == "saved: curves.svg\n"
    assert (tmp_path / "curves.svg").read_bytes().startswith(STARTS["svg"])


@pytest.mark.parametrize("model", ["net", "people", "houses", "labels"])
def test_curves(models, tmp_path, here, drawn, model):
    found = plot(models, tmp_path, here, model, "curves")
    (display,) = drawn
    best = display.best_epoch
    assert found["epochs"] == 3 and found["best_epoch"] == (None if best is None else best + 1)
    assert (best is None) == (model == "net")
    score = {"people": ["validation_accuracy"], "houses": ["validation_r2"]}
    if model in score:
        scores = fastmlp.load(models / f"{model}.npz").validation_scores_
        assert best == 2 - int(np.argmax(scores[::-1]))
        assert list(display.lines_) == ["loss", "validation_loss", *score[model]]


@pytest.mark.parametrize(("model", "data"), [("people", "people.csv"), ("plain", "plane.csv")])
def test_confusion_of_a_table(models, tmp_path, here, drawn, model, data):
    found = plot(models, tmp_path, here, model, "confusion", "--data", data)
    (display,) = drawn
    result = json.loads(
        succeed(tmp_path, "evaluate", models / f"{model}.npz", models / data, "--json", run=here)
    )
    assert display.confusion_matrix.tolist() == result["confusion matrix"]
    assert (display.confusion_matrix.sum(axis=0) > 0).all()
    assert list(display.display_labels) == [each["name"] for each in result["classes"]]
    assert found["rows"] == result["rows"]


@pytest.mark.parametrize("model", ["net", "one"])
def test_confusion_of_images(models, tmp_path, here, drawn, model):
    plot(models, tmp_path, here, model, "confusion", "--data", "images", "--labels", "labels")
    images, labels = make_images()
    predicted = fastmlp.load(models / f"{model}.npz").predict(images.reshape(100, 24))
    (display,) = drawn
    assert display.confusion_matrix.sum() == 100
    assert np.trace(display.confusion_matrix) == np.count_nonzero(predicted == labels)


def test_a_panel_for_each_label_or_value(models, tmp_path, here, drawn):
    table = ("--data", "plane.csv")
    plot(models, tmp_path, here, "labels", "confusion", *table)
    assert [display.ax_.get_title() for display in drawn] == ["above", "right"]
    assert all(display.confusion_matrix.sum() == 120 for display in drawn)
    drawn.clear()
    plot(models, tmp_path, here, "values", "errors", *table)
    assert [display.ax_.get_title() for display in drawn] == ["sum", "difference"]
    assert not np.array_equal(drawn[0].y_true, drawn[1].y_true)
    drawn.clear()
    plot(models, tmp_path, here, "values", "boundary", *table)
    plot(models, tmp_path, here, "labels", "boundary", *table)
    assert len(drawn) == 4 and drawn[2].figure_.axes[0].get_title() == "above"


def test_errors(models, tmp_path, here, drawn):
    plot(models, tmp_path, here, "houses", "errors", "--data", "houses.csv")
    result = json.loads(
        succeed(
            tmp_path, "evaluate", models / "houses.npz", models / "houses.csv", "--json", run=here
        )
    )
    assert drawn[0].score == pytest.approx(result["R2"])
    assert len(drawn[0].y_true) == 200
    plot(models, tmp_path, here, "value", "errors", "--data", "images", "--labels", "real.npy")
    assert set(drawn[1].y_true) == {0.0, 1.0}


def test_weights(models, tmp_path, here, drawn):
    found = plot(models, tmp_path, here, "net", "weights", "--shape", "4,6")
    assert found["units"] == 5 and found["shape"] == [4, 6]
    assert plot(models, tmp_path, here, "new", "weights")["shape"] == [8, 8]


@pytest.mark.parametrize("model", ["plain", "plane"])
def test_boundary(models, tmp_path, here, drawn, model):
    found = plot(models, tmp_path, here, model, "boundary", "--data", "plane.csv")
    (display,) = drawn
    assert found["rows"] == 120 == sum(len(each.get_offsets()) for each in display.samples_)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x", "y")
    assert len(display.samples_[0].get_offsets()) not in (0, 120)


def test_importance(models, tmp_path, here, drawn):
    found = plot(models, tmp_path, here, "people", "importance", "--data", "people.csv")
    importances = found["importances"]
    assert list(importances) == ["Sex", "Age", "Deck", "Married"]
    assert max(importances, key=importances.get) == "Sex"
    assert drawn[0].ax_.get_xlabel() == "decrease in accuracy if shuffled"
    found = plot(models, tmp_path, here, "plain", "importance", "--data", "plane.csv")
    assert list(found["importances"]) == ["x", "y"]
    plot(models, tmp_path, here, "net", "importance", "--data", "images", "--labels", "labels")
    assert drawn[2].importances.shape == (24, 5)


# Errors -------------------------------------------------------------------------------------------

IMAGES = ("--data", "{images}", "--labels", "{labels}")
REFUSED = {
    "format": ("net", ["--out", "a.jpg"],
               "`--out` must end in .svg, .png or .pdf, which is the format, got 'a.jpg'."),
    "kind": ("net", ["--kind", "pie"], "argument --kind: invalid choice: 'pie'"),
    "no data": ("net", ["--kind", "confusion"],
                "--kind confusion needs --data: rows whose targets are known"),
    "data": ("net", ["--data", "digits"], "--data is not for --kind curves"),
    "shape": ("net", ["--shape", "4,6"], "--shape is not for --kind curves"),
    "no shape": ("net", ["--kind", "weights"],
                 "`--shape` must be given for 24 inputs, which are no square, got None."),
    "a shape": ("net", ["--kind", "weights", "--shape", "4"],
                "argument --shape: must be sizes such as 28,28 or 32,32,3, got '4'"),
    "labels": ("net", ["--kind", "confusion", "--data", "{images}"],
               "--labels is needed for networks of images, unless --data is digits"),
    "labels of a table": ("people", ["--kind", "confusion", "--data", "{people.csv}", "--labels",
                          "{labels}"], "--labels is for networks of images"),
    "width": ("net", ["--kind", "confusion", "--data", "digits"],
              "must have 24 values in each row, as"),
    "classes": ("net", ["--kind", "confusion", "--data", "{images}", "--labels", "{many.npy}"],
                "must hold classes from 0 to 1, as"),
    "no images": ("net", ["--kind", "confusion", "--data", "{none.npy}", "--labels", "{no.npy}"],
                  "must have 24 values in each row, as"),
    "digits without numbers": ("wide", ["--kind", "errors", "--data", "digits"],
                               "--labels is needed for networks of images"),
    "errors of classes": ("net", ["--kind", "errors", *IMAGES],
                          "`--kind` must be confusion for a model of classes, got errors."),
    "confusion of values": ("houses", ["--kind", "confusion", "--data", "{houses.csv}"],
                            "`--kind` must be errors for a model that predicts numbers, got"),
    "targets": ("value", ["--kind", "errors", "--data", "{images}", "--labels", "{square.npy}"],
                "must hold numbers of shape (100, 1), got"),
    "inputs": ("houses", ["--kind", "boundary", "--data", "{houses.csv}"],
               "must have two inputs of numbers for --kind boundary, got 3."),
    "text": ("town", ["--kind", "boundary", "--data", "{houses.csv}"],
             "must have two inputs of numbers for --kind boundary, got number, text."),
    "no history": ("new", [], "`estimator` must be a network or an estimator that was trained in "
                   "epochs, got NeuralNet without a history."),
    "lbfgs": ("lbfgs", [], "got MLPRegressor with solver='lbfgs' without a history."),
    "no model": ("missing", [], "No such file"),
    "no folder": ("net", ["--out", "missing/a.svg"], "cannot save to missing/a.svg"),
    "column": ("houses", ["--kind", "errors", "--data", "{people.csv}"],
               "must have the columns of the training data"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_errors_are_one_line(models, tmp_path, here, name):
    model, args, expected = REFUSED[name]
    args = [re.sub(r"\{(.*)\}", lambda m: str(models / m[1]), arg) for arg in args]
    code, out, err = here(tmp_path, "plot", models / f"{model}.npz", *args)
    assert (code, out) == (2, "") and re.fullmatch(r"fastmlp: error: [^\n]+\n", err), err
    assert expected in err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_after_an_error(models, tmp_path, here, monkeypatch):
    from matplotlib.figure import Figure

    def fail(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.svg").write_bytes(b"before")
    monkeypatch.setattr(Figure, "savefig", fail)
    code, _, err = here(tmp_path, "plot", models / "net.npz", "--out", "a.svg")
    assert code == 2 and "No space left" in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.svg": b"before"}


@pytest.mark.parametrize("out", ["net.npz.svg", "images.svg"])
def test_what_is_read_is_not_overwritten(models, tmp_path, here, out):
    names = {"net.npz.svg": "net.npz", "images.svg": "images"}
    for name in ("net.npz", "images", "labels"):
        target = out if names[out] == name else name
        (tmp_path / target).write_bytes((models / name).read_bytes())
    known = {name: out if names[out] == name else name for name in ("net.npz", "images", "labels")}
    before = (tmp_path / out).read_bytes()
    code, _, err = here(
        tmp_path, "plot", known["net.npz"], "--kind", "confusion", "--data", known["images"],
        "--labels", known["labels"], "--out", out,
    )  # fmt: skip
    assert code == 2 and "must be another file than the inputs" in err
    assert (tmp_path / out).read_bytes() == before


@pytest.mark.parametrize(
    ("missing", "kind", "sentence"),
    [
        ("matplotlib", "curves", "fastmlp plot needs matplotlib"),
        ("sklearn", "confusion", "fastmlp plot needs scikit-learn"),
        ("sklearn", "curves", ""),
        ("sklearn", "weights", ""),
    ],
)
def test_missing_libraries_are_one_line(models, tmp_path, missing, kind, sentence):
    arguments = ["plot", str(models / "new.npz"), "--kind", kind]
    arguments[1] = str(models / "net.npz") if kind == "curves" else arguments[1]
    arguments += ["--data", "digits"] if kind == "confusion" else []
    code = f"import sys; sys.modules[{missing!r}] = None\n"
    code += f"from fastmlp.command_line import main; sys.exit(main({arguments!r}))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    expected = f'fastmlp: error: {sentence}: pip install "fastmlp[plot]"\n' if sentence else ""
    assert (ended.returncode, ended.stderr) == (2 if sentence else 0, expected)


def test_a_backend_of_another_environment_does_not_matter(models, tmp_path):
    """A notebook names its own in the environment of the commands that it runs."""
    environment = ENVIRONMENT | {"MPLBACKEND": "missing_backend"}
    arguments = [models / "houses.npz", "--kind", "errors", "--data", models / "houses.csv"]
    ended = subprocess.run(
        [sys.executable, "-m", "fastmlp", "plot", *map(str, arguments)],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "saved: errors.svg\n", "")


def test_help_has_examples(tmp_path, here):
    code, out, _ = here(tmp_path, "plot", "--help")
    assert code == 0 and "fastmlp plot model.npz --out curves.svg" in out
    assert all(kind in out for kind in KINDS)
