"""A training that is interrupted and resumed ends like an undisturbed one."""

import numpy as np
import pytest

from fastmlp import MLP, schedules
from fastmlp.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from fastmlp.optimizers import OPTIMIZERS
from helpers.callbacks import Interrupt
from helpers.messages import assert_not_resumed
from helpers.same_bits import assert_same_bits, file_of

SIZES = [8, 12, 3]


def sources():
    return {
        "int": lambda seed: seed,
        "RandomState": np.random.RandomState,
        "PCG64": np.random.default_rng,
        "MT19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
        "Philox": lambda seed: np.random.Generator(np.random.Philox(seed)),
        "SFC64": lambda seed: np.random.Generator(np.random.SFC64(seed)),
    }


def both(make_noisy, small_data, folder, first, others, fit, n_epochs=6, cuts=(1, 2, 5)):
    """Check that a training interrupted after some epochs ends with the bits of a whole one.

    `first` are the arguments of the networks that begin, `others` of those that go on.
    """
    X, y = small_data
    for name in ("whole", "cut"):
        (folder / name).mkdir(exist_ok=True)

    def callbacks(name, interrupt=None):
        return [
            EarlyStopping("loss", patience=50), ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.05),
            CSVLogger(folder / name / "log.csv"), ModelCheckpoint(folder / name / "model.npz"),
            Interrupt(interrupt),
        ]  # fmt: skip

    whole = make_noisy(**first()).fit(X, y, n_epochs, callbacks=callbacks("whole"), **fit)
    assert whole.rate_factor < 1
    for cut in cuts:
        path = folder / "cut" / "model.npz"
        path.unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            make_noisy(**first()).fit(X, y, n_epochs, callbacks=callbacks("cut", cut), **fit)
        other = make_noisy(**others())
        other.fit(X, y, n_epochs, callbacks=callbacks("cut"), resume=True, **fit)
        assert file_of(other) == file_of(whole)
        for name in ("model.npz", "log.csv"):
            files = [folder / each / name for each in ("whole", "cut")]
            assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_optimizer(make_noisy, small_data, tmp_path, optimizer):
    arguments = {"optimizer": optimizer, "learning_rate": schedules.Cosine(0.02, 20)}
    both(
        make_noisy, small_data, tmp_path,
        lambda: arguments, lambda: arguments | {"random_state": 9}, {}, cuts=(3,),
    )  # fmt: skip


@pytest.mark.parametrize("source", sources())
def test_any_source_of_random_numbers(make_noisy, small_data, tmp_path, source):
    seeded = sources()[source]
    both(
        make_noisy, small_data, tmp_path, lambda: {"random_state": seeded(1)},
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
def test_any_arguments(make_noisy, small_data, tmp_path, arguments, fit):
    both(
        make_noisy,
        small_data,
        tmp_path,
        lambda: arguments,
        lambda: arguments | {"random_state": 3},
        fit,
    )


def test_a_user_schedule(make_noisy, small_data, tmp_path):
    arguments = {"learning_rate": lambda step: 0.1 / (1 + step)}
    both(
        make_noisy,
        small_data,
        tmp_path,
        lambda: arguments,
        lambda: arguments | {"random_state": 3},
        {},
    )
    # 2 steps an epoch, 6 epochs.
    assert MLP.load(tmp_path / "whole" / "model.npz").learning_rate == 0.1 / 13


def test_batches(make_noisy, small_data, tmp_path):
    X, y = small_data

    def batches():
        yield X[:25], y[:25]
        yield X[25:], y[25:]

    both(
        make_noisy, (batches, None), tmp_path, dict, lambda: {"random_state": 3}, {"batch_size": 8}
    )


def test_the_global_random_state(make_noisy, small_data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    before, ends = np.random.get_state(), []
    try:
        for seed, cut, resume in ((1, None, None), (1, 3, None), (2, None, True)):
            np.random.seed(seed)
            mlp, callbacks = make_noisy(random_state=None), [checkpoint, Interrupt(cut)]
            try:
                mlp.fit(*small_data, epochs=5, callbacks=callbacks, resume=resume)
            except KeyboardInterrupt:
                continue
            ends.append((file_of(mlp), np.random.random()))
    finally:
        np.random.set_state(before)
    assert ends[0] == ends[1]


def test_the_best_is_still_the_best(make_noisy, small_data, tmp_path):
    # The best value of one checkpoint must be up to date in the file of another.
    X, y = small_data
    validation = (X[:20], y[::-1][:20])

    def run(folder, cut=None, resume=None):
        folder.mkdir(exist_ok=True)
        callbacks = [
            ModelCheckpoint(folder / "loss.npz", monitor="validation_loss"),
            ModelCheckpoint(folder / "accuracy.npz", monitor="validation_accuracy"),
            Interrupt(cut),
        ]
        mlp = make_noisy(learning_rate=0.05)
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


def test_true_is_the_checkpoint_that_is_written_last(make_noisy, small_data, tmp_path):
    best = ModelCheckpoint(tmp_path / "best.npz", monitor="loss", mode="max")
    first = ModelCheckpoint(tmp_path / "first.npz")
    last = ModelCheckpoint(tmp_path / "last.npz")
    options = {"callbacks": [first, last, best], "epochs": 4}
    whole = make_noisy().fit(*small_data, **options)
    (tmp_path / "first.npz").write_bytes(b"")
    (tmp_path / "best.npz").write_bytes(b"")
    again = make_noisy(random_state=2).fit(*small_data, resume=True, **options)
    assert file_of(again) == file_of(whole)


def test_true_starts_over_if_there_is_no_file(make_noisy, small_data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    first = make_noisy().fit(*small_data, epochs=3, callbacks=[checkpoint], resume=True)
    assert file_of(first) == file_of(make_noisy().fit(*small_data, epochs=3))
    for resume in (None, False):  # start from scratch, although there is a file
        assert len(make_noisy().fit(*small_data, epochs=2, resume=resume).history_["loss"]) == 2


def test_after_the_end_nothing_is_left_to_do(make_noisy, small_data, tmp_path):
    class Epochs(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.append(epoch)

    for epochs, patience in ((4, 100), (100, 3)):  # after all epochs, and after an early stop
        begun = []
        checkpoint = ModelCheckpoint(tmp_path / "model.npz")
        stopping = EarlyStopping(patience=patience)
        callbacks = [checkpoint, stopping, Epochs()]
        options = {"epochs": epochs, "validation_fraction": 0.3, "callbacks": callbacks}
        first = make_noisy(learning_rate=0.03).fit(*small_data, **options)
        n_begun, written = len(begun), (tmp_path / "model.npz").read_bytes()
        again = make_noisy(learning_rate=0.03, random_state=2).fit(
            *small_data, resume=True, **options
        )
        assert len(begun) == n_begun == len(first.history_["loss"]) < 100
        assert file_of(again) == file_of(first)
        assert (tmp_path / "model.npz").read_bytes() == written
        assert again.stop_training == first.stop_training


def test_more_epochs_than_before(make_noisy, small_data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    make_noisy().fit(*small_data, epochs=2, callbacks=[checkpoint])
    longer = make_noisy(random_state=1)
    longer.fit(*small_data, epochs=5, callbacks=[checkpoint], resume=tmp_path / "model.npz")
    assert file_of(longer) == file_of(make_noisy().fit(*small_data, epochs=5))


def test_a_checkpoint_is_a_network(make_noisy, small_data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model.npz")
    mlp = make_noisy().fit(*small_data, epochs=3, callbacks=[checkpoint])
    loaded = MLP.load(checkpoint.path)
    assert_same_bits(loaded.predict_proba(small_data[0]), mlp.predict_proba(small_data[0]))
    assert file_of(loaded) == file_of(mlp)


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_train_end"]
)
def test_what_is_saved_elsewhere_is_the_network_alone(make_noisy, small_data, tmp_path, hook):
    path = tmp_path / "elsewhere.npz"

    class Elsewhere(Callback):
        pass

    setattr(Elsewhere, hook, lambda self, *_: self.model.save(path))
    mlp = make_noisy().fit(*small_data, epochs=1, callbacks=[Elsewhere()])
    assert MLP.load(path).predict(small_data[0]).shape == (60,)
    if hook == "on_train_end":
        mlp.save(tmp_path / "after.npz")
        assert path.read_bytes() == (tmp_path / "after.npz").read_bytes()
    message = "^`path` must be a checkpoint of a fit, got .*elsewhere.npz"
    assert_not_resumed(make_noisy(), tmp_path, ValueError, message, *small_data, resume=path)


def test_a_user_callback_s_state_is_restored(make_noisy, small_data, tmp_path):
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
    make_noisy().fit(*small_data, epochs=1, callbacks=[Own(), checkpoint])
    own = Own()
    make_noisy().fit(*small_data, epochs=1, callbacks=[own, checkpoint], resume=True)
    assert repr(own.found) == repr(state | {"list": [float(np.float32(0.1)), [1, "two"]]})
