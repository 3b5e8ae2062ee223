"""The loop of rounds: history, callbacks, checkpoints, and errors that change nothing."""

import contextlib
import operator

import numpy as np
import pytest

import fastmlp
import fastmlp.dask
from fastmlp import MLP, DivergenceWarning, NeuralNet
from fastmlp.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from fastmlp.dask import in_process, rounds
from fastmlp.dask.connection import ClusterLost
from helpers.callbacks import Interrupt
from helpers.same_bits import assert_same_bits, file_of

SIZES = [8, 12, 3]
FIRST_CLASS = "the weights are 0 but for samples of class 0"


class Call(Callback):
    """Calls a function of the round and its logs."""

    def __init__(self, on_epoch_end=None, on_epoch_begin=None):
        self.on_epoch_end = on_epoch_end or super().on_epoch_end
        self.on_epoch_begin = on_epoch_begin or super().on_epoch_begin


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 90)


def fit(mlp, X, y=None, **options):
    return fastmlp.dask.fit(mlp, X, y, client=False, **options)


def make(**options):
    return MLP(SIZES, **{"random_state": 0, "dropout": 0.1} | options)


# What is recorded --------------------------------------------------------------------------------


def test_each_round_records_the_loss_and_the_scores(data):
    X, y = data
    mlp = fit(make(dropout=0.0), X, y, rounds=4, validation_data=(X, y), metrics=["accuracy", "f1"])
    names = ["loss", "validation_loss", "validation_accuracy", "validation_f1"]
    assert list(mlp.history_) == names and {len(v) for v in mlp.history_.values()} == {4}
    assert mlp.history_["validation_accuracy"][-1] == mlp.score(X, y)


def test_the_loss_is_the_mean_over_all_samples(data):
    """Without steps, a rate of 0, it is the loss of the network, in whatever shards."""
    X, y = data
    weights = np.random.default_rng(0).random(90)
    mlp = make(dropout=0.0, learning_rate=0.0, dtype=np.float64)
    whole = make(dropout=0.0, learning_rate=0.0, dtype=np.float64)
    whole.fit(X, y, epochs=1, sample_weight=weights)
    fit(mlp, X, y, rounds=1, n_shards=7, sample_weight=weights)
    assert mlp.history_["loss"] == pytest.approx(whole.history_["loss"], rel=1e-12)


def test_class_weights_count_all_shards(data):
    X, y = data
    y = np.sort(y)[::-1].copy()  # shards of functions have other classes
    counts = np.bincount(y)
    named = {label: len(y) / (3 * count) for label, count in enumerate(counts)}
    parts = [(X[:50], y[:50]), (X[50:], y[50:])]
    found = [
        fit(make(), lambda shard: parts[shard], n_shards=2, class_weight=weight)
        for weight in ("balanced", named)
    ]
    assert_same_bits(*found)


def test_it_learns_as_fit_does(digits):
    X, y = digits
    whole = MLP([64, 32, 10], random_state=0).fit(X[:1400], y[:1400], epochs=30)
    mlp = fit(MLP([64, 32, 10], random_state=0), X[:1400], y[:1400], rounds=30)
    scores = [net.score(X[1400:], y[1400:]) for net in (whole, mlp)]
    assert scores[1] > scores[0] - 0.02 > 0.85
    unchanged = MLP([64, 32, 10], random_state=0)
    fit(unchanged, X[:1400], y[:1400], rounds=30, scale_rate=1.0)
    assert unchanged.score(X[1400:], y[1400:]) < scores[0] - 0.02  # what "auto" makes up for


def test_columns_of_a_frame_are_kept_and_checked(data):
    pd = pytest.importorskip("pandas")
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    mlp = fit(make(), frame, pd.Series(y))
    assert_same_bits(mlp, fit(make(), X, y))
    assert list(mlp.feature_names_in_) == list("abcdefgh")
    with pytest.raises(ValueError, match="got 'b' in place of 'a' at position 0"):
        fit(mlp, frame[list("bacdefgh")], y)
    mlp.warm_start = False  # a new network, in effect
    assert list(fit(mlp, frame[list("bacdefgh")], y).feature_names_in_) == list("bacdefgh")


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("local_epochs", [1, 3])
def test_a_warning_if_all_units_of_a_layer_are_0(data, n_shards, local_epochs):
    X, y = data
    mlp = make(dropout=0.0)
    mlp.biases[0] = np.full((12, 1), -1e9)
    with pytest.warns(RuntimeWarning, match="all units of a hidden layer are 0") as found:
        fit(mlp, X * 100, y, rounds=2, n_shards=n_shards, local_epochs=local_epochs)
    assert len(found) == 1


def test_rates_are_asked_for_steps_that_are_taken(data):
    rates = [0.01] * 6
    mlp = make(learning_rate=lambda step: rates[step])
    whole = make(learning_rate=lambda step: rates[step]).fit(*data, epochs=2)
    assert_same_bits(fit(mlp, *data, rounds=2, n_shards=1), whole)


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize("n_at_once, seconds, n", [(2, 0.2, 10), (8, 0.1, 20)])
@pytest.mark.parametrize("name", ["local_epochs", "local_steps"])
def test_short_rounds_are_said_once(
    data, tmp_path, monkeypatch, resumes, n_at_once, seconds, n, name
):
    """Four shards of 0.1 s each."""
    path, options = tmp_path / "model.npz", {name: 2, "n_shards": 4}
    if resumes:
        fit(make(), *data, rounds=3, checkpoint=path, **options)
    monkeypatch.setattr(in_process.InProcess, "n_at_once", n_at_once)
    monkeypatch.setattr(in_process, "train", lambda *of: rounds.train(*of)._replace(seconds=0.1))
    message = f"{seconds} s were training: with {name}={n} it would train for 1 s"
    with pytest.warns(fastmlp.dask.ShortRoundsWarning, match=message) as found:
        fit(make(), *data, rounds=8, checkpoint=path, resume=resumes, **options)
    assert len(found) == 1


# Callbacks ---------------------------------------------------------------------------------------


def test_callbacks_see_a_round_as_an_epoch(data):
    seen = []

    class Record(Callback):
        def on_train_begin(self, logs=None):
            seen.append(("begin", logs["epochs"], logs["samples"]))

        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, sorted(logs)))

        def on_train_end(self, logs=None):
            seen.append("end")

        def close(self):
            seen.append("close")

    fit(make(), *data, rounds=2, callbacks=[Record()])
    assert seen == [("begin", 2, 90), (0, ["loss"]), (1, ["loss"]), "end", "close"]


def test_early_stopping_restores_the_best_round(data):
    X, y = data
    stopping = EarlyStopping(patience=2)
    options = {"rounds": 60, "validation_data": (X[:30], y[:30]), "n_shards": 3}
    mlp = fit(make(learning_rate=0.2), X[30:], y[30:], callbacks=[stopping], **options)
    n = len(mlp.history_["loss"])
    assert n == stopping.best_epoch + 3 < 60
    again = make(learning_rate=0.2)
    fit(again, X[30:], y[30:], **options | {"rounds": stopping.best_epoch + 1})
    assert_same_bits(mlp, again)


def test_a_callback_may_change_the_settings_of_the_next_round(data):
    mlp = make(optimizer="sgd", dropout=0.0)

    def freeze(epoch, logs):
        mlp.learning_rate = 0.0

    first = fit(make(optimizer="sgd", dropout=0.0), *data, rounds=1)
    fit(mlp, *data, rounds=3, callbacks=[Call(on_epoch_end=freeze)])
    assert_same_bits(mlp, first)


def test_a_network_cannot_be_trained_twice_at_a_time(data):
    mlp = make()
    again = Call(on_epoch_end=lambda epoch, logs: mlp.fit(*data))
    with pytest.raises(RuntimeError, match="already being trained"):
        fit(mlp, *data, callbacks=[again])


# Checkpoints -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("source", [lambda: 0, lambda: np.random.default_rng(0)])
def test_an_interrupted_training_resumes_to_the_same_bits(data, tmp_path, n_shards, source):
    def run(name, stop=None, rounds=6, **resume):
        callbacks = [
            EarlyStopping("loss", patience=50), ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.5),
            Interrupt(stop),
        ]  # fmt: skip
        return fit(
            make(random_state=source()), *data, n_shards=n_shards, rounds=rounds,
            callbacks=callbacks, checkpoint=tmp_path / name, **resume,
        )  # fmt: skip

    whole = run("whole.npz")
    assert whole.rate_factor < 1
    for cut in (1, 2, 5):
        (tmp_path / "cut.npz").unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            run("cut.npz", cut)
        resumed = run("cut.npz", resume=True)
        assert file_of(resumed) == file_of(whole)
        assert (tmp_path / "cut.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert len(run("cut.npz", resume=True, rounds=8).history_["loss"]) == 8


def test_resume_begins_without_a_file(data, tmp_path):
    path = tmp_path / "model.npz"
    mlp = fit(make(), *data, rounds=2, checkpoint=path, resume=True)
    assert_same_bits(mlp, fit(make(), *data, rounds=2), fastmlp.load(path))


def test_a_file_that_is_missing_is_said_before_any_shard_is_read(tmp_path):
    def load(shard):
        raise AssertionError

    with pytest.raises(FileNotFoundError, match="missing.npz"):
        fit(make(), load, resume=tmp_path / "missing.npz")


@pytest.mark.parametrize("n_done", [0, 1])
@pytest.mark.parametrize("resumes_from", [None, "first.npz"])
@pytest.mark.parametrize("writes_to", [None, "first.npz", "second.npz"])
def test_what_is_left_after_the_loss_of_a_cluster(
    data, tmp_path, monkeypatch, n_done, resumes_from, writes_to
):
    paths = {name: tmp_path / name for name in ("first.npz", "second.npz")}
    n_before = 0 if resumes_from is None else 2
    if resumes_from is not None:
        fit(make(), *data, rounds=2, checkpoint=paths[resumes_from], callbacks=[Call()])
    real = in_process.InProcess.round

    def lost(self, job, point, number):
        if number >= n_before + n_done:
            raise ClusterLost("the connection was lost")
        return real(self, job, point, number)

    options = {"checkpoint": paths.get(writes_to), "resume": paths.get(resumes_from, False)}
    options |= {"callbacks": [Call()]}
    mlp = make()
    with monkeypatch.context() as patch, pytest.raises(ClusterLost) as found:
        patch.setattr(in_process.InProcess, "round", lost)
        fit(mlp, *data, rounds=5, **options)
    text = str(found.value)
    assert text.startswith(f"the connection was lost; {n_before + n_done} of 5 rounds are done")
    assert len(mlp.history_.get("loss", ())) == n_before + n_done
    assert ("to go on" in text) == (writes_to is not None and n_before + n_done > 0)
    if "to go on" in text:
        advice = text.split("call fit with ")[1].replace(" and resume", ", resume")
        begun = []
        count = Call(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
        resumed = fit(make(), *data, rounds=5, callbacks=[count], **eval(f"dict({advice})"))
        assert begun == [*range(n_before + n_done, 5)]
        assert file_of(resumed) == file_of(fit(make(), *data, rounds=5))


@pytest.mark.parametrize(
    "changed, name",
    [
        ({"batch_size": 17}, "batch_size, 17, got 32"),
        ({"n_shards": 2}, "n_shards, 2, got 4"),
        ({"local_epochs": 2}, "local_epochs, 2, got 1"),
        ({"scale_rate": 1.5}, "rate_factor, 1.5, got 4.0"),
        ({"callbacks": [EarlyStopping("loss")]}, "callbacks, .*"),
    ],
)
def test_other_trainings_are_not_resumed(data, tmp_path, changed, name):
    path = tmp_path / "model.npz"
    fit(make(), *data, rounds=2, checkpoint=path)
    mlp = make()
    before = file_of(mlp)
    with pytest.raises(ValueError, match=f"^`resume` must be a checkpoint with this fit's {name}"):
        fit(mlp, *data, resume=path, **changed)
    assert file_of(mlp) == before
    with pytest.raises(ValueError, match="n_samples, 80, got 90"):
        fit(mlp, data[0][:80], data[1][:80], resume=path)


def test_checkpoints_of_fit_are_refused_and_the_other_way_round(data, tmp_path):
    rounds, whole = tmp_path / "rounds.npz", tmp_path / "fit.npz"
    fit(make(), *data, rounds=2, checkpoint=rounds)
    make().fit(*data, epochs=2, callbacks=[fastmlp.callbacks.ModelCheckpoint(whole)])
    with pytest.raises(ValueError, match="be a checkpoint of fastmlp.dask.fit, got"):
        fit(make(), *data, resume=whole)
    with pytest.raises(ValueError, match="be a checkpoint of a fit, got"):
        make().fit(*data, resume=rounds)


def test_the_names_of_columns_are_those_of_the_data_that_it_resumes_with(data, tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = data
    path = tmp_path / "model.npz"
    fit(make(), X, y, rounds=2, checkpoint=path)
    mlp = fit(make(), pd.DataFrame(X, columns=list("abcdefgh")), y, rounds=3, resume=path)
    assert list(mlp.feature_names_in_) == list("abcdefgh")


# Errors ------------------------------------------------------------------------------------------


def test_nan_names_the_shard_and_the_row(data):
    X, y = data
    X = X.copy()
    X[10, 3] = np.nan
    mlp = make()
    before = file_of(mlp)
    with pytest.raises(ValueError, match="^shard 2: `X` must be finite, got NaN .* in row 10 "):
        fit(mlp, X, y)
    with pytest.raises(ValueError, match="^shard 1: `X` must be finite, got NaN .* in row 10 "):
        fit(mlp, lambda shard: (X, y) if shard == 1 else (X[20:], y[20:]), n_shards=3)
    assert file_of(mlp) == before


def test_divergence_keeps_the_last_round(data):
    X, y = data
    mlp, one = (make(optimizer="sgd", learning_rate=0.1, dropout=0.0) for _ in range(2))
    options = {"batch_size": 4}
    diverge = Call(on_epoch_end=lambda epoch, logs: setattr(mlp, "learning_rate", 1e30))
    with pytest.warns(DivergenceWarning, match="of shard 0 was NaN or infinity in round 1"):
        fit(mlp, X, y, rounds=4, callbacks=[diverge], **options)
    assert_same_bits(mlp, fit(one, X, y, rounds=1, **options))
    assert len(mlp.history_["loss"]) == 1


def test_an_infinite_validation_loss_ends_the_training(data):
    X, y = data
    options = {"loss": "squared_error", "dtype": np.float64, "random_state": 0}
    mlp, new = MLP([8, 3, 1], **options), MLP([8, 3, 1], **options)
    with pytest.warns(DivergenceWarning, match="the validation loss was NaN or infinity in round"):
        fit(mlp, X, y.astype(float), validation_data=(X, np.full(90, 1e300)))
    assert_same_bits(mlp, new)
    assert mlp.history_["loss"] == mlp.history_["validation_loss"] == []


@pytest.mark.parametrize("source", [lambda: 0, lambda: np.random.default_rng(0)])
def test_an_error_in_the_first_round_undoes_everything(data, source):
    mlp = make(random_state=source()).fit(*data, epochs=1)
    mlp.warm_start = False
    before = file_of(mlp)

    def fail(epoch, logs):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(mlp, *data, callbacks=[Call(on_epoch_begin=fail)])
    assert file_of(mlp) == before
    fit(mlp, *data, rounds=1)
    assert file_of(mlp) != before


@pytest.mark.parametrize(
    "name, n_shards",
    [
        ("training.state_dict._fill", 1),
        ("training.state_dict._fill", 3),
        ("random_sources.return_to_position", 1),
    ],
)
def test_an_interrupt_leaves_whole_rounds(data, monkeypatch, name, n_shards):
    """Between parameters, moments and random numbers, which are set one after the other."""
    real = operator.attrgetter(name)(fastmlp)

    def interrupted(place):
        def interrupt(*arguments):
            nonlocal place
            real(*arguments)
            place -= 1
            if place == 0:
                raise KeyboardInterrupt

        mlp = make(random_state=np.random.RandomState(0))
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(f"fastmlp.{name}", interrupt)
            fit(mlp, *data, rounds=3, n_shards=n_shards)
        return mlp, place <= 0

    done, place, was_interrupted = [], 1, True
    while was_interrupted:
        mlp, was_interrupted = interrupted(place)
        whole, n = make(random_state=np.random.RandomState(0)), len(mlp.history_.get("loss", ()))
        if n > 0:
            fit(whole, *data, rounds=n, n_shards=n_shards)
        assert file_of(mlp) == file_of(whole)
        done.append(n)
        place += 1
        fit(mlp, *data, rounds=1)  # it is not being trained any more
    assert {1, 2, 3} <= set(done)


def test_the_global_random_state_goes_on_after_errors(data):
    """Other threads and libraries draw from it too: numbers must not come twice."""

    def fail(epoch, logs):
        raise KeyError("mine")

    mlp = make(random_state=None)
    np.random.seed(3)
    with pytest.raises(KeyError, match="mine"):
        fit(mlp, *data, callbacks=[Call(on_epoch_begin=fail)])
    found = np.random.random()
    np.random.seed(3)
    np.random.bytes(8)
    assert found == np.random.random()


def test_a_stop_ends_one_call_only(data):
    mlp = make()
    stop = Call(on_epoch_end=lambda epoch, logs: setattr(mlp, "stop_training", True))
    assert len(fit(mlp, *data, callbacks=[stop]).history_["loss"]) == 1
    assert len(fit(mlp, *data, rounds=3).history_["loss"]) == 3


def test_warm_start(data):
    mlp = fit(make(), *data, rounds=2)
    assert fit(mlp, *data, rounds=2)._state.rows_seen == 4 * 90
    mlp.warm_start = False
    assert fit(mlp, *data, rounds=2)._state.rows_seen == 2 * 90


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n_shards": 0}, "`n_shards` must be an int of at least 1, got 0"),
        ({"n_shards": 91}, "`n_shards` must be at most 90, as X has 90 samples, got 91"),
        ({"local_epochs": 0}, "`local_epochs` must be an int of at least 1"),
        ({"rounds": -1}, "`rounds` must be an int of at least 0"),
        ({"batch_size": 0}, "`batch_size` must be an int of at least 1"),
        ({"scale_rate": 0.0}, "`scale_rate` must be .*above 0, got 0.0"),
        ({"scale_rate": "linear"}, "`scale_rate` must be 'auto' or a number above 0, got 'linear'"),
        ({"metrics": "accuracy"}, "`metrics` must be None without `validation_data`"),
        ({"resume": True}, "`resume` must be a path, or True with `checkpoint`"),
        ({"resume": 3}, "`resume` must be True, False or a path, got 3"),
        ({"checkpoint": 3}, "`checkpoint` must be None or a path, got 3"),
        ({"shuffle": "all"}, "`shuffle` must be True, False or 'blocks'"),
        ({"class_weight": [1.0, 2.0]}, r"`class_weight` must have shape \(3,\)"),
        ({"sample_weight": np.ones(3)}, "`sample_weight` must have 90 rows"),
        ({"sample_weight": np.zeros(90)}, "`sample_weight` must be above 0 for at least one"),
        ({"class_weight": [0.0] * 3}, "`class_weight` must be above 0 for at least one"),
        (
            {"class_weight": {0: 0.0}, "sample_weight": FIRST_CLASS},
            "`sample_weight times class_weight` must be above 0 for at least one",
        ),
        ({"sample_weight": np.full(90, 5e306)}, "`sample_weight` must have a finite sum, got inf"),
    ],
)
def test_invalid_arguments_change_nothing(data, arguments, message):
    mlp = make()
    before = file_of(mlp)
    if arguments.get("sample_weight") is FIRST_CLASS:
        arguments = arguments | {"sample_weight": np.where(data[1] == 0, 1.0, 0.0)}
    with pytest.raises((ValueError, TypeError), match=message):
        fastmlp.dask.fit(mlp, *data, **{"client": False} | arguments)
    assert file_of(mlp) == before


def test_class_weights_for_a_loss_without_classes(data):
    X, y = data
    message = "^`class_weight` must be None unless the loss is softmax, or logistic with one output"
    with pytest.raises(ValueError, match=message):
        fit(MLP([8, 1], loss="squared_error"), X, y, class_weight="balanced")


def test_only_networks_of_mlp():
    with pytest.raises(TypeError, match="`model` must be an MLP, got NeuralNet"):
        fit(NeuralNet([8, 3]), np.zeros((4, 8)), np.zeros(4, int))
