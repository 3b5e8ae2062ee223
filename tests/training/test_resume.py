"""A training that is killed at any moment and resumed ends like an undisturbed one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet, schedules
from fastmlp.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from fastmlp.optimizers import OPTIMIZERS
from helpers import TESTS
from helpers.messages import assert_form
from helpers.same_bits import assert_same_bits, file_of

SIZES = [8, 12, 3]


class Interrupt(Callback):
    """Interrupts training before an epoch, after the files of the last one were written."""

    def __init__(self, epoch=None):
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 60)


@pytest.fixture
def make():
    def make(**options):
        return MLP(SIZES, **{"random_state": 0, "dropout": 0.2, "input_noise": 0.1} | options)

    return make


# Killed ------------------------------------------------------------------------------------------


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
    out, _ = process.communicate(timeout=100)
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
    out = finish(script("soak_resume.py", "--seconds", 100, "--rounds", 2, "--seed", 1))
    counts = json.loads(out.splitlines()[-1])
    assert counts["rounds"] == 2 and counts["killed"] > 0


# Resumed -----------------------------------------------------------------------------------------


def sources():
    return {
        "int": lambda seed: seed,
        "RandomState": np.random.RandomState,
        "PCG64": np.random.default_rng,
        "MT19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
        "Philox": lambda seed: np.random.Generator(np.random.Philox(seed)),
        "SFC64": lambda seed: np.random.Generator(np.random.SFC64(seed)),
    }


def both(make, data, folder, first, others, fit, n_epochs=6, cuts=(1, 2, 5)):
    """Check that a training interrupted after some epochs ends with the bits of a whole one.

    `first` are the arguments of the networks that begin, `others` of those that go on.
    """
    X, y = data
    for name in ("whole", "cut"):
        (folder / name).mkdir(exist_ok=True)

    def callbacks(name, interrupt=None):
        return [
            EarlyStopping("loss", patience=50), ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.05),
            CSVLogger(folder / name / "log.csv"), ModelCheckpoint(folder / name / "model.npz"),
            Interrupt(interrupt),
        ]  # fmt: skip

    whole = make(**first()).fit(X, y, n_epochs, callbacks=callbacks("whole"), **fit)
    assert whole.rate_factor < 1
    for cut in cuts:
        path = folder / "cut" / "model.npz"
        path.unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            make(**first()).fit(X, y, n_epochs, callbacks=callbacks("cut", cut), **fit)
        other = make(**others())
        other.fit(X, y, n_epochs, callbacks=callbacks("cut"), resume=True, **fit)
        assert file_of(other) == file_of(whole)
        for name in ("model.npz", "log.csv"):
            files = [folder / each / name for each in ("whole", "cut")]
            assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_optimizer(make, data, tmp_path, optimizer):
    arguments = {"optimizer": optimizer, "learning_rate": schedules.Cosine(0.02, 20)}
    both(
        make, data, tmp_path, lambda: arguments, lambda: arguments | {"random_state": 9}, {},
        cuts=(3,),
    )  # fmt: skip


@pytest.mark.parametrize("source", sources())
def test_any_source_of_random_numbers(make, data, tmp_path, source):
    seeded = sources()[source]
    both(
        make, data, tmp_path, lambda: {"random_state": seeded(1)},
        lambda: {"random_state": seeded(2)}, {"batch_size": 16},
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments, fit",
    [
        ({"clip_norm": 0.5, "max_norm": 1.0, "l1": 0.01, "l2": 0.01}, {"shuffle": False}),
        ({"warm_start": False}, {"validation_fraction": 0.3, "metrics": ["f1", "accuracy"]}),
        ({"n_threads": 2}, {"batch_size": 60, "class_weight": "balanced"}),
        ({"dropout": 0.0, "input_noise": 0.0}, {"shuffle": "blocks"}),
    ],
)
def test_any_arguments(make, data, tmp_path, arguments, fit):
    both(make, data, tmp_path, lambda: arguments, lambda: arguments | {"random_state": 3}, fit)


def test_a_user_schedule(make, data, tmp_path):
    arguments = {"learning_rate": lambda step: 0.1 / (1 + step)}
    both(make, data, tmp_path, lambda: arguments, lambda: arguments | {"random_state": 3}, {})
    # 2 steps an epoch, 6 epochs.
    assert MLP.load(tmp_path / "whole" / "model.npz").learning_rate == 0.1 / 13


def test_batches(make, data, tmp_path):
    X, y = data

    def batches():
        yield X[:25], y[:25]
        yield X[25:], y[25:]

    both(make, (batches, None), tmp_path, dict, lambda: {"random_state": 3}, {"batch_size": 8})


def test_the_global_random_state(make, data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    before, ends = np.random.get_state(), []
    try:
        for seed, cut, resume in ((1, None, None), (1, 3, None), (2, None, True)):
            np.random.seed(seed)
            mlp, callbacks = make(random_state=None), [checkpoint, Interrupt(cut)]
            try:
                mlp.fit(*data, epochs=5, callbacks=callbacks, resume=resume)
            except KeyboardInterrupt:
                continue
            ends.append((file_of(mlp), np.random.random()))
    finally:
        np.random.set_state(before)
    assert ends[0] == ends[1]


def test_the_best_is_still_the_best(make, data, tmp_path):
    # The best value of one checkpoint must be up to date in the file of another.
    X, y = data
    validation = (X[:20], y[::-1][:20])

    def run(folder, cut=None, resume=None):
        folder.mkdir(exist_ok=True)
        callbacks = [
            ModelCheckpoint(folder / "loss.npz", monitor="validation_loss"),
            ModelCheckpoint(folder / "accuracy.npz", monitor="validation_accuracy"),
            Interrupt(cut),
        ]
        mlp = make(learning_rate=0.05)
        mlp.fit(X, y, 12, validation_data=validation, callbacks=callbacks, resume=resume)
        return mlp

    whole = run(tmp_path / "whole")
    assert len(set(whole.history_["validation_accuracy"])) > 3
    for resumed in ("loss.npz", "accuracy.npz"):
        for cut in range(1, 12):
            folder = tmp_path / f"{resumed} {cut}"
            with pytest.raises(KeyboardInterrupt):
                run(folder, cut)
            run(folder, resume=folder / resumed)
            for name in ("loss.npz", "accuracy.npz"):
                assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_true_is_the_checkpoint_that_is_written_last(make, data, tmp_path):
    best = ModelCheckpoint(tmp_path / "best.npz", monitor="loss", mode="max")
    first = ModelCheckpoint(tmp_path / "first.npz")
    last = ModelCheckpoint(tmp_path / "last.npz")
    options = {"callbacks": [first, last, best], "epochs": 4}
    whole = make().fit(*data, **options)
    (tmp_path / "first.npz").write_bytes(b"")
    (tmp_path / "best.npz").write_bytes(b"")
    again = make(random_state=2).fit(*data, resume=True, **options)
    assert file_of(again) == file_of(whole)


def test_true_starts_over_if_there_is_no_file(make, data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    first = make().fit(*data, epochs=3, callbacks=[checkpoint], resume=True)
    assert file_of(first) == file_of(make().fit(*data, epochs=3))
    for resume in (None, False):  # start from scratch, although there is a file
        assert len(make().fit(*data, epochs=2, resume=resume).history_["loss"]) == 2


def test_after_the_end_nothing_is_left_to_do(make, data, tmp_path):
    class Epochs(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.append(epoch)

    for epochs, patience in ((4, 100), (100, 3)):  # after all epochs, and after an early stop
        begun = []
        checkpoint = ModelCheckpoint(tmp_path / "model.npz")
        stopping = EarlyStopping(patience=patience)
        callbacks = [checkpoint, stopping, Epochs()]
        options = {"epochs": epochs, "validation_fraction": 0.3, "callbacks": callbacks}
        first = make(learning_rate=0.03).fit(*data, **options)
        n_begun, written = len(begun), (tmp_path / "model.npz").read_bytes()
        again = make(learning_rate=0.03, random_state=2).fit(*data, resume=True, **options)
        assert len(begun) == n_begun == len(first.history_["loss"]) < 100
        assert file_of(again) == file_of(first)
        assert (tmp_path / "model.npz").read_bytes() == written
        assert again.stop_training == first.stop_training


def test_more_epochs_than_before(make, data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    make().fit(*data, epochs=2, callbacks=[checkpoint])
    longer = make(random_state=1)
    longer.fit(*data, epochs=5, callbacks=[checkpoint], resume=tmp_path / "model.npz")
    assert file_of(longer) == file_of(make().fit(*data, epochs=5))


def test_a_checkpoint_is_a_network(make, data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    mlp = make().fit(*data, epochs=3, callbacks=[checkpoint])
    loaded = MLP.load(checkpoint.path)
    assert_same_bits(loaded.predict_proba(data[0]), mlp.predict_proba(data[0]))
    assert file_of(loaded) == file_of(mlp)


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_train_end"]
)
def test_what_is_saved_elsewhere_is_the_network_alone(make, data, tmp_path, hook):
    path = tmp_path / "elsewhere.npz"

    class Elsewhere(Callback):
        pass

    setattr(Elsewhere, hook, lambda self, *_: self.model.save(path))
    mlp = make().fit(*data, epochs=1, callbacks=[Elsewhere()])
    assert MLP.load(path).predict(data[0]).shape == (60,)
    if hook == "on_train_end":
        mlp.save(tmp_path / "after.npz")
        assert path.read_bytes() == (tmp_path / "after.npz").read_bytes()
    message = "^`path` must be a checkpoint of a fit, got .*elsewhere.npz"
    refused(make(), tmp_path, ValueError, message, *data, resume=path)


def test_a_user_callback_s_state_is_restored(make, data, tmp_path):
    state = {
        "number": 0.1, "count": 3, "nothing": None, "text": "a\nb", "array": np.arange(3.0),
        "list": [np.float32(0.1), [1, "two"]], "a": {"b": np.zeros(2)}, "a_b": np.ones((2, 2)),
    }  # fmt: skip

    class Own(Callback):
        def state(self):
            return state

        def restore(self, found):
            self.found = found

    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    make().fit(*data, epochs=1, callbacks=[Own(), checkpoint])
    own = Own()
    make().fit(*data, epochs=1, callbacks=[own, checkpoint], resume=True)
    assert repr(own.found) == repr(state | {"list": [float(np.float32(0.1)), [1, "two"]]})


# Refused -----------------------------------------------------------------------------------------


def refused(mlp, folder, error, message, *arguments, **options):
    """Check that a fit is refused with one sentence and changes nothing."""
    before, history = file_of(mlp), json.dumps(mlp.history_)
    with pytest.raises(error, match=message) as caught:
        mlp.fit(*arguments, **options)
    if error in (TypeError, ValueError):
        assert_form(str(caught.value), 400)
    assert file_of(mlp) == before and json.dumps(mlp.history_) == history


@pytest.fixture
def checkpoint(make, data, tmp_path):
    """Return the path of a checkpoint, and the options of its fit."""
    path = tmp_path / "model.npz"
    callbacks = [EarlyStopping("loss"), ModelCheckpoint(path)]
    make().fit(*data, epochs=2, batch_size=16, callbacks=callbacks)
    return path, {"epochs": 4, "batch_size": 16, "callbacks": callbacks, "resume": path}


@pytest.mark.parametrize(
    "arguments, name, theirs, mine",
    [
        ({"layers": [8, 13, 3]}, "layers", r"\[8, 12, 3\]", r"\[8, 13, 3\]"),
        ({"layers": [8, 3], "dropout": 0}, "layers", r"\[8, 12, 3\]", r"\[8, 3\]"),
        ({"optimizer": "sgd"}, "optimizer", "{'name': 'adam', .*}", "{'name': 'sgd'}"),
        ({"loss": "logistic"}, "loss", "{'name': 'softmax', .*}", "{'name': 'logistic'}"),
        ({"activation": "identity"}, "activation", r"\['relu'\]", r"\['identity'\]"),
        ({"output_activation": "relu"}, "output_activation", "'identity'", "'relu'"),
        ({"dtype": np.float64}, "dtype", "'float32'", "'float64'"),
        (
            {"random_state": np.random.default_rng(0)},
            "random_state", "'RandomState of MT19937'", "'Generator of PCG64'",
        ),
    ],
)  # fmt: skip
def test_other_networks(make, data, tmp_path, checkpoint, arguments, name, theirs, mine):
    path, options = checkpoint
    arguments = {"random_state": 0, "dropout": 0.2} | arguments
    mlp = MLP(arguments.pop("layers", SIZES), **arguments)
    X, y = data
    if name == "loss":
        y = np.eye(3)[y]
    message = f"^`resume` must be a .* this fit's {name}, {mine}, got {theirs} in '.*model.npz'"
    refused(mlp, tmp_path, ValueError, message, X, y, **options)


@pytest.mark.parametrize(
    "changed, name",
    [
        ({"batch_size": 17}, "batch_size, 17, got 16"),
        ({"validation_fraction": 0.2}, "validation_fraction, 0.2, got 0.0"),
        ({"metrics": "accuracy"}, r"history, \['loss', 'accuracy'\], got \['loss'\]"),
        ({"callbacks": []}, r"callbacks, \[\], got \['EarlyStopping', 'ModelCheckpoint'\]"),
        (
            {"callbacks": [ReduceLROnPlateau("loss"), ModelCheckpoint("m")]},
            r"callbacks, \['ReduceLROnPlateau', .*\], got \['EarlyStopping', 'ModelCheckpoint'\]",
        ),
    ],
)
def test_other_fits(make, data, tmp_path, checkpoint, changed, name):
    mlp = make().fit(*data, epochs=1)
    message = f"^`resume` must be a checkpoint with this fit's {name} in '.*'"
    refused(mlp, tmp_path, ValueError, message, *data, **checkpoint[1] | changed)


def test_other_data(make, data, tmp_path, checkpoint):
    X, y = data
    message = "this fit's n_samples, {}, got 60 in '"
    refused(make(), tmp_path, ValueError, message.format(59), X[1:], y[1:], **checkpoint[1])
    refused(make(), tmp_path, ValueError, message.format(None), [(X, y)], **checkpoint[1])


def test_data_that_cannot_be_trained_on(make, data, tmp_path, checkpoint):
    X, y = data
    X = np.vstack([X[:-1], np.full((1, 8), np.nan)])
    mlp = make(random_state=1).fit(*data, epochs=1)
    refused(
        mlp,
        tmp_path,
        ValueError,
        "^`X` must be finite, got NaN or inf.* in row 59",
        X,
        y,
        **checkpoint[1],
    )


def test_a_callback_that_cannot_be_restored(make, data, tmp_path, checkpoint):
    class EarlyStopping(Callback):  # of the same name, with another state
        def restore(self, state):
            raise LookupError("nothing of mine")

    callbacks = [EarlyStopping(), ModelCheckpoint(checkpoint[0])]
    mlp = make(random_state=1).fit(*data, epochs=1)
    options = checkpoint[1] | {"callbacks": callbacks}
    refused(mlp, tmp_path, LookupError, "nothing of mine", *data, **options)


def test_files_of_another_kind(make, data, tmp_path, checkpoint):
    path, options = checkpoint
    whole, other = path.read_bytes(), tmp_path / "other.npz"
    options["resume"] = other
    refused(make(), tmp_path, FileNotFoundError, "other.npz", *data, **options)
    make().save(other)
    message = "^`path` must be a checkpoint of a fit, got .*other.npz"
    refused(make(), tmp_path, ValueError, message, *data, **options)
    message = "^`path` must be a network saved by fastmlp, got .*other.npz"
    np.savez(other, weights=np.zeros(3))
    refused(make(), tmp_path, ValueError, message, *data, **options)
    bias = whole.index(MLP.load(path).biases[0].tobytes())
    damaged = whole[:bias] + bytes([whole[bias] ^ 1]) + whole[bias + 1 :]
    for text in (b"", b"text", whole[: len(whole) // 2], whole[:-1], damaged):
        other.write_bytes(text)
        refused(make(), tmp_path, ValueError, message, *data, **options)


def test_a_checkpoint_of_another_class(data, tmp_path, checkpoint):
    path, options = checkpoint
    net = NeuralNet(SIZES, random_state=0, dtype="float32")
    with pytest.raises(
        ValueError, match="^`path` must hold a network of class NeuralNet, got MLP in "
    ):
        NeuralNet.load(path)
    assert net.save(tmp_path / "net.npz") is None
    message = "^`path` must be a checkpoint of a fit, got .*net.npz"
    mlp = MLP(SIZES, random_state=0)
    options["resume"] = tmp_path / "net.npz"
    refused(mlp, tmp_path, ValueError, message, *data, **options)


def test_invalid_paths(make, data, tmp_path):
    message = "^`resume` must be a path, or True with a ModelCheckpoint .*, got True without one"
    refused(make(), tmp_path, ValueError, message, *data, resume=True)
    for resume in (3, 1.5, ["model.npz"]):  # 3 could be an open file
        message = "^`resume` must be True or a path, got"
        refused(make(), tmp_path, TypeError, message, *data, resume=resume)
    for resume in ("", "a\0b"):
        message = "^`resume` must be a valid file name, got"
        refused(make(), tmp_path, ValueError, message, *data, resume=resume)
