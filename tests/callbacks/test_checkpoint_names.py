"""Checkpoints with the epoch and its metrics in their names, as in Keras."""

import os
import re

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.callbacks import EarlyStopping, ModelCheckpoint
from helpers.callbacks import Interrupt
from helpers.messages import assert_form
from helpers.same_bits import assert_same_bits, bits_of

SIZES = [8, 12, 3]


def fit(data, path, epochs=5, cut=None, **options):
    mlp = MLP(SIZES, dropout=0.2, random_state=options.pop("seed", 0))
    given = {"every": options.pop("every", 1), "monitor": options.pop("monitor", None)}
    callbacks = [EarlyStopping("loss"), ModelCheckpoint(path, **given), Interrupt(cut)]
    return mlp.fit(*data, epochs=epochs, callbacks=callbacks, **options)


def test_fields_are_epoch_and_what_it_recorded(data, tmp_path):
    options = {"validation_fraction": 0.25, "every": 2}
    mlp = fit(data, tmp_path / "net-{epoch:03d}-{validation_loss:.4f}.npz", 5, **options)
    names = [f"net-{i + 1:03d}-{mlp.history_['validation_loss'][i]:.4f}.npz" for i in (1, 3)]
    assert sorted(os.listdir(tmp_path)) == names
    for name, n_epochs in zip(names, (2, 4), strict=True):
        assert MLP.load(tmp_path / name).history_["loss"] == mlp.history_["loss"][:n_epochs]


def test_with_a_monitor_better_epochs_alone_have_files(data, tmp_path):
    mlp = fit(data, tmp_path / "{epoch}.npz", 12, monitor="accuracy", metrics="accuracy")
    scores = mlp.history_["accuracy"]
    best = [i + 1 for i in range(12) if all(scores[i] > before for before in scores[:i])]
    assert sorted(int(name[:-4]) for name in os.listdir(tmp_path)) == best
    assert 1 < len(best) < 12


def test_a_name_without_fields_is_as_it_was(data, tmp_path):
    for name in ("net.npz", "näme [*]?.npz" if os.name != "nt" else "näme [x].npz"):
        fit(data, tmp_path / name, 2)
        assert ModelCheckpoint(tmp_path / name).latest() == str(tmp_path / name)
    assert len(os.listdir(tmp_path)) == 2
    assert ModelCheckpoint(tmp_path / "missing").latest() is None


def test_braces_are_written_twice(data, tmp_path):
    folder = tmp_path / "{a}"
    folder.mkdir()
    twice = str(folder).replace("{", "{{").replace("}", "}}")
    for name, written in (("{{net}}.npz", "{net}.npz"), ("{{{epoch}}}", "{1}")):
        checkpoint = ModelCheckpoint(os.path.join(twice, name))
        assert checkpoint.latest() is None
        MLP(SIZES, random_state=0).fit(*data, epochs=1, callbacks=[checkpoint])
        assert checkpoint.latest() == str(folder / written)


@pytest.mark.parametrize(
    "name", ["net-{epoch:02d}-{loss:.3f}.npz", "[{epoch}]*.npz", "{loss}", "{epoch}"]
)
@pytest.mark.skipif(os.name == "nt", reason="* is no part of a name there")
def test_killed_and_resumed(name, data, tmp_path):
    for folder in ("whole", "cut"):
        (tmp_path / folder).mkdir()
    whole = fit(data, tmp_path / "whole" / name, 12)
    for cut, seed in ((1, 1), (4, 2), (11, 3)):
        with pytest.raises(KeyboardInterrupt):
            fit(data, tmp_path / "cut" / name, 12, cut, resume=True, seed=0 if cut == 1 else seed)
    resumed = fit(data, tmp_path / "cut" / name, 12, resume=True, seed=4)
    assert resumed.history_ == whole.history_
    assert_same_bits(whole, resumed)
    names = [sorted(os.listdir(tmp_path / folder)) for folder in ("whole", "cut")]
    assert names[0] == names[1] and len(names[0]) == 12
    for each in names[0]:
        files = [(tmp_path / folder / each).read_bytes() for folder in ("whole", "cut")]
        assert files[0] == files[1]


def test_the_newest_is_the_last_that_is_whole(data, tmp_path):
    pattern = tmp_path / "net-{epoch}.npz"
    checkpoint = ModelCheckpoint(pattern)
    assert checkpoint.latest() is None
    fit(data, pattern, 11)
    paths = [tmp_path / f"net-{epoch}.npz" for epoch in range(1, 12)]

    def latest_with(times):
        for path, seconds in times.items():
            os.utime(path, (seconds, seconds))
        return os.path.basename(checkpoint.latest())

    same = dict.fromkeys(paths, 100)  # epochs shorter than the clock's resolution
    assert latest_with(same) == "net-11.npz"
    assert latest_with(same | {paths[4]: 200}) == "net-5.npz"  # of a later run
    paths[4].write_bytes(paths[4].read_bytes()[:-1])  # damaged
    assert latest_with(same | {paths[4]: 200, paths[2]: 150}) == "net-3.npz"
    os.rename(paths[2], tmp_path / "net-best.npz")  # by the user
    MLP(SIZES).save(tmp_path / "net-12.npz")  # no checkpoint
    (tmp_path / "net-13.npz").mkdir()
    assert latest_with({}) == "net-11.npz"


@pytest.mark.parametrize(
    "path",
    [
        "net-{epoch", "net-epoch}", "{}", "{0}", "{epoch:q}", "{loss:d}", "{epoch!r}",
        "{epoch.real}", "{epoch[0]}", "{epoch:{loss}}", "{epoch}/net.npz", "a{b/c}.npz", "{:02d}",
        "{epoch:/>5}", "{__class__.x}", "{a b}",
    ],
)  # fmt: skip
def test_names_that_cannot_be_formatted(path):
    with pytest.raises(ValueError) as caught:
        ModelCheckpoint(path)
    text = "`path` must have fields such as {epoch:02d} and {loss:.3f} only in the file's name, "
    message = assert_form(str(caught.value))
    assert message.startswith(text) and f", got {path!r} (" in message


def test_fields_that_are_not_recorded(data, tmp_path):
    mlp = MLP(SIZES, random_state=0)
    before = bits_of(mlp)
    path = tmp_path / "net-{val_loss}.npz"
    message = (
        r"^`path` must have only fields that this fit records \('epoch', 'loss', 'validation_loss'"
        f".*, got 'val_loss' in {re.escape(repr(str(path)))}"
    )
    with pytest.raises(ValueError, match=message):
        mlp.fit(*data, validation_fraction=0.2, callbacks=[ModelCheckpoint(path)])
    assert bits_of(mlp) == before and os.listdir(tmp_path) == []


def test_scores_of_any_kind_of_number(data, tmp_path):
    def own(targets, outputs):
        return np.float32("nan")

    fit(data, tmp_path / "{own:.2f}-{epoch}", 1, metrics=own)
    assert os.listdir(tmp_path) == ["nan-1"]
    assert ModelCheckpoint(tmp_path / "{own:.2f}-{epoch}").latest() == str(tmp_path / "nan-1")
