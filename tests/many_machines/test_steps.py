"""Rounds of `local_steps`: minibatches of the endless sequence of epochs of each shard."""

import contextlib
import itertools

import numpy as np
import pytest
import scipy.sparse

import fastmlp.dask
from fastmlp import MLP, DivergenceWarning, random_sources, schedules
from fastmlp import sklearn as here
from fastmlp.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from fastmlp.dask import MLPClassifier, MLPRegressor, in_process, rounds
from fastmlp.dask.steps import rows_before
from fastmlp.training import sources
from fastmlp.training.samples import Data
from helpers.callbacks import At, Interrupt
from helpers.model_files import Parts
from helpers.reference_rounds import endless, take_mean, words_of
from helpers.same_bits import assert_same_bits, file_of

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
SIZES = [8, 12, 3]


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 90)


def fit(mlp, X, y=None, **options):
    return fastmlp.dask.fit(mlp, X, y, client=False, **options)


def make(**options):
    return MLP(SIZES, **{"random_state": 0} | options)


# Bits --------------------------------------------------------------------------------------------


def by_hand(mlp, X, y, words, n_shards, rounds, local_steps, batch_size):
    """Train with plain SGD by a call of `MLP.fit` for each minibatch, and means in float64."""
    sequences = [
        endless(np.arange(shard, len(y), n_shards), words, shard, batch_size)
        for shard in range(n_shards)
    ]
    for _ in range(rounds):
        trained = []
        for sequence in sequences:
            other = MLP(mlp.layers, optimizer="sgd", dtype=mlp.dtype, init=list(mlp.weights),
                        learning_rate=mlp.learning_rate)  # fmt: skip
            other.biases = list(mlp.biases)
            for rows in itertools.islice(sequence, local_steps):
                other.fit(X[rows], y[rows], 1, batch_size, shuffle=False)
            trained.append(other)
        take_mean(mlp, trained)
    return mlp


@pytest.mark.parametrize("form", ["dense", "sparse", "uint8"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "sizes, n, batch_size, local_steps",
    [
        ([8, 12, 3], 50, 7, 2),
        ([8, 12, 3], 50, 7, 5),
        ([8, 12, 3], 50, 100, 3),  # an epoch is one minibatch
        ([784, 1100, 10], 1500, 200, 4),
    ],
)
def test_each_shard_has_the_bits_of_fit(make_data, dtype, form, sizes, n, batch_size, local_steps):
    X, y = make_data(sizes, n)
    if form != "dense":
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.3, X, 0).astype(dtype)
        X = scipy.sparse.csr_array(X) if form == "sparse" else np.abs(10 * X).astype(np.uint8)

    def make():
        return MLP(sizes, optimizer="sgd", learning_rate=0.05, dtype=dtype, random_state=2)

    expected = make()
    by_hand(expected, X, y, words_of(expected.random_state), 3, 3, local_steps, batch_size)
    found = make()
    fit(
        found, X, y, n_shards=3, rounds=3, local_steps=local_steps, batch_size=batch_size,
        scale_rate=1.0,
    )  # fmt: skip
    assert_same_bits(expected, found)


OPTIONS = [
    {},
    {"dropout": 0.2, "input_noise": 0.1, "dtype": np.float64},
    {"optimizer": "adamw", "learning_rate": schedules.Cosine(0.02, 20), "clip_norm": 1.0},
    {"optimizer": "sgd", "l2": 0.01, "l2_per_batch": True, "max_norm": 2.0},
]


@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
@pytest.mark.parametrize("options", OPTIONS)
def test_as_many_steps_as_an_epoch_has_are_local_epochs(data, options, shuffle):
    X, y = data  # three shards of three minibatches each, of 10, 10 and 10 rows
    arguments = {"n_shards": 3, "batch_size": 10, "shuffle": shuffle, "rounds": 3}
    expected = fit(make(**options), X, y, **arguments)
    assert file_of(fit(make(**options), X, y, local_steps=3, **arguments)) == file_of(expected)
    weights = np.random.default_rng(0).random(90)
    arguments |= {"sample_weight": weights, "class_weight": "balanced"}
    expected = fit(make(**options), X, y, **arguments)
    found = fit(make(**options), X, y, local_steps=3, **arguments)
    assert_same_bits(found, expected)
    assert found.history_["loss"] == pytest.approx(expected.history_["loss"], rel=1e-12)


SOURCES = {
    "int": lambda: 3,
    "Generator": lambda: np.random.default_rng(3),
    "None": lambda: None,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("local_steps", [1, 2, 3, 9, 18])  # an epoch has three
def test_one_shard_is_fit(make_data, source, options, local_steps):
    X, y = make_data([8, 12, 3], 90)

    def make():
        np.random.seed(11)
        return MLP(SIZES, random_state=SOURCES[source](), **options)

    def position():
        return np.random.get_state()[1].tobytes(), np.random.get_state()[2]

    expected = make().fit(X, y, epochs=6, batch_size=40, class_weight="balanced")
    expected_position = position()
    found = fit(
        make(), X, y, n_shards=1, batch_size=40, local_steps=local_steps,
        rounds=18 // local_steps, class_weight="balanced",
    )  # fmt: skip
    assert position() == expected_position
    if local_steps == 3:
        np.testing.assert_allclose(found.history_["loss"], expected.history_["loss"], rtol=1e-12)
    found.history_ = expected.history_
    assert file_of(found) == file_of(expected)


@pytest.mark.parametrize("n_shards", [1, 2])
def test_shards_larger_than_a_block_that_is_shuffled_together(tmp_path, n_shards):
    n = 24_000 * n_shards
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (n, 784))
    assert X.nbytes / n_shards > 2**26
    X[:] = np.random.default_rng(0).random((1, 784), np.float32)
    X[:, 0] = np.arange(n) % 7
    y = np.arange(n) % 7

    def make():
        return MLP([784, 8, 7], random_state=1)

    options = {"n_shards": n_shards, "batch_size": 500, "scale_rate": 1.0}
    expected = fit(make(), X, y, rounds=2, **options)
    assert_same_bits(expected, fit(make(), X, y, rounds=2, local_steps=48, **options))
    if n_shards == 1:
        assert_same_bits(expected, fit(make(), X, y, rounds=6, local_steps=16, **options))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_any_number_of_threads(make_data, eight_processors, n_threads):
    X, y = make_data([8, 60, 3], 300)
    found = [
        fit(
            MLP([8, 60, 3], random_state=0, n_threads=n),
            X,
            y,
            batch_size=32,
            rounds=3,
            local_steps=2,
        )  # fmt: skip
        for n in (n_threads, 5)
    ]
    assert_same_bits(*found)


def test_shards_of_functions_have_epochs_of_their_own(make_data):
    X, y = make_data(SIZES, 67)
    ends = [0, 10, 50, 67]

    def load(shard):
        rows = slice(ends[shard], ends[shard + 1])
        return X[rows], y[rows]

    mlp = fit(make(dropout=0.1), load, n_shards=3, rounds=3, local_steps=3, batch_size=10)
    assert mlp._state.optimizer.taken == 9
    assert mlp._state.rows_seen == 9 * 10 + (40 * 2 + 10) + (17 * 4 + 10)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("batch_size", [1, 3, 10, 40])
def test_the_rows_before_a_minibatch(n, batch_size):
    sizes = [
        len(rows) for rows in itertools.islice(endless(np.arange(n), [1, 2], 0, batch_size), 60)
    ]
    assert [rows_before(step, n, batch_size) for step in range(61)] == [
        0, *itertools.accumulate(sizes)
    ]  # fmt: skip


# The order of an epoch ---------------------------------------------------------------------------


def test_an_order_is_drawn_once_for_all_rounds_of_an_epoch(data, monkeypatch):
    """By each shard: for some shards that takes longer than a round."""
    drawn, real = [], sources.epoch_of_arrays
    monkeypatch.setattr(sources, "epoch_of_arrays", lambda *of: drawn.append(1) or real(*of))
    fit(make(), *data, n_shards=3, batch_size=10, local_steps=1, rounds=7)  # of three in an epoch
    assert len(drawn) == 3 * 3


def test_the_order_that_a_shard_has_kept_changes_no_bit(data, monkeypatch):
    """As if each round was computed by another worker, and after other rounds and settings."""
    X, y = data

    def trained(before):
        mlp = make(random_state=0)
        real = rounds.train

        def train(job, point, data, number, shard):
            if before == "forgets":
                data = Data(*data)
            elif before == "another round":
                real(job, point, data, number + 5, shard)
            return real(job, point, data, number, shard)

        drops = At(
            "on_epoch_end", lambda model, epoch, logs: setattr(mlp, "dropout", epoch % 2 / 2)
        )
        monkeypatch.setattr(in_process, "train", train)
        return fit(mlp, X, y, n_shards=3, batch_size=7, local_steps=2, rounds=9, callbacks=[drops])

    assert_same_bits(*map(trained, ("forgets", "another round", "nothing")))


@pytest.mark.parametrize("local_steps", [1, 2, 3, 4])
def test_another_call_draws_another_order(data, local_steps):
    """Also in the middle of an epoch, whose order goes along with the rounds of a call."""
    source = np.random.RandomState(0)
    mlp = make(random_state=source)
    options = {"n_shards": 1, "rounds": 1, "batch_size": 32, "local_steps": local_steps}
    seen = []
    for _ in range(3):
        position = random_sources.random_position(source)["state"]
        seen.append((position["key"].tobytes(), position["pos"]))
        fit(mlp, *data, **options)
    assert len({*seen}) == 3


# Records -----------------------------------------------------------------------------------------


def test_a_round_of_samples_without_weight_has_no_loss(data):
    X, y = data
    weights = np.where(np.arange(90) < 30, 0.0, 1.0)
    mlp = make(dtype=np.float64, optimizer="sgd")
    first = fit(
        mlp, X, y, rounds=3, local_steps=1, n_shards=3, batch_size=10, shuffle=False,
        sample_weight=weights,
    )  # fmt: skip
    losses = first.history_["loss"]
    assert np.isnan(losses[0]) and np.isfinite(losses[1:]).all()
    clf = MLPClassifier(
        client=False, n_shards=3, local_steps=1, batch_size=10, shuffle=False, max_iter=12,
        n_iter_no_change=99, random_state=0,
    ).fit(X, y, weights)  # fmt: skip
    assert np.isnan(clf.loss_curve_[::3]).all()
    assert clf.best_loss_ == np.nanmin(clf.loss_curve_) > 0


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("local_steps", [1, 5])
def test_a_warning_if_all_units_of_a_layer_are_0(data, n_shards, local_steps):
    X, y = data
    mlp = make()
    mlp.biases[0] = np.full((12, 1), -1e9)
    message = "^after the first round all units of a hidden layer are 0"
    with pytest.warns(RuntimeWarning, match=message) as found:
        fit(mlp, X * 100, y, rounds=4, n_shards=n_shards, local_steps=local_steps)
    assert len(found) == 1


def test_divergence_keeps_the_last_round(data):
    mlp, one = (make(optimizer="sgd", learning_rate=0.1) for _ in range(2))
    options = {"batch_size": 4, "local_steps": 3}

    class Diverge(Callback):
        def on_epoch_end(self, epoch, logs=None):
            mlp.learning_rate = 1e30

    with pytest.warns(DivergenceWarning, match="of shard 0 was NaN or infinity in round 1"):
        fit(mlp, *data, rounds=4, callbacks=[Diverge()], **options)
    assert_same_bits(mlp, fit(one, *data, rounds=1, **options))
    assert len(mlp.history_["loss"]) == 1


def test_rates_are_asked_for_steps_that_are_taken(data):
    rates = [0.01] * 10
    mlp = make(learning_rate=lambda step: rates[step])
    fit(mlp, *data, rounds=5, n_shards=3, local_steps=2)
    assert mlp._state.optimizer.taken == 10


# Checkpoints -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("local_steps", [2, 3, 7])
@pytest.mark.parametrize("source", [lambda: 0, lambda: np.random.default_rng(0)])
def test_an_interrupted_training_resumes_to_the_same_bits(
    data, tmp_path, n_shards, local_steps, source
):
    def run(name, stop=None, rounds=6, **resume):
        callbacks = [
            EarlyStopping("loss", patience=50), ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.5),
            Interrupt(stop),
        ]  # fmt: skip
        return fit(
            make(random_state=source(), dropout=0.1), *data, n_shards=n_shards, rounds=rounds,
            callbacks=callbacks, checkpoint=tmp_path / name, local_steps=local_steps,
            batch_size=10, **resume,
        )  # fmt: skip

    whole = run("whole.npz")
    for cut in (1, 2, 5):
        (tmp_path / "cut.npz").unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            run("cut.npz", cut)
        resumed = run("cut.npz", resume=True)
        assert file_of(resumed) == file_of(whole)
        assert (tmp_path / "cut.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    longer = run("cut.npz", resume=True, rounds=8)
    assert file_of(longer) == file_of(run("longer.npz", rounds=8))


@pytest.mark.parametrize("before, after", [(3, 4), (3, None), (None, 3)])
def test_trainings_with_other_steps_are_not_resumed(data, tmp_path, before, after):
    path = tmp_path / "model.npz"
    fit(make(), *data, rounds=2, checkpoint=path, local_steps=before)
    mlp = make()
    message = f"^`resume` must be a checkpoint with this fit's local_steps, {after}, got {before}"
    with pytest.raises(ValueError, match=message):
        fit(mlp, *data, resume=path, local_steps=after)
    assert mlp.history_ == {}


def test_a_checkpoint_without_the_order_of_an_epoch_is_resumed(data, tmp_path):
    """With another order, but not beyond the rows."""
    path = tmp_path / "model.npz"
    options = {"n_shards": 1, "local_steps": 2, "batch_size": 32}
    fit(make(), *data, rounds=2, checkpoint=path, **options)  # in the second of three minibatches
    parts = Parts(path.read_bytes()).change("rounds.order", None)
    del parts.arrays["rounds_order"]
    path.write_bytes(parts.content())
    mlp = fit(make(), *data, rounds=4, resume=path, **options)
    assert mlp._state.rows_seen == 2 * 90 + 64


def test_interrupts_leave_whole_rounds(data, monkeypatch):
    """Of one shard, also between the parameters and the order that goes along with them."""
    real, place = random_sources.return_to_position, 0
    options = {"n_shards": 1, "local_steps": 2, "batch_size": 32}

    def interrupt(*arguments):
        nonlocal place
        real(*arguments)
        place -= 1
        if place == 0:
            raise KeyboardInterrupt

    for first in range(1, 4):
        place = first
        mlp = make(random_state=np.random.RandomState(0))
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr("fastmlp.random_sources.return_to_position", interrupt)
            fit(mlp, *data, rounds=3, **options)
        whole = make(random_state=np.random.RandomState(0))
        fit(whole, *data, rounds=len(mlp.history_["loss"]), **options)
        assert file_of(mlp) == file_of(whole) and place <= 0


# Arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"local_steps": 0}, "^`local_steps` must be an int of at least 1, got 0.$"),
        ({"local_steps": 1.5}, "^`local_steps` must be an int of at least 1, got 1.5.$"),
        ({"local_steps": 2**40}, "^`local_steps` must be an int from 1 to "),
        (
            {"local_steps": 5, "local_epochs": 2},
            "^`local_epochs` must be 1 if `local_steps` is given, got 2.$",
        ),
    ],
)
def test_invalid_arguments_change_nothing(data, arguments, message):
    mlp = make()
    before = file_of(mlp)
    with pytest.raises((ValueError, TypeError), match=message):
        fit(mlp, *data, **arguments)
    assert file_of(mlp) == before
    clf = MLPClassifier(client=False, **arguments)
    before, read = dict(vars(clf)), []
    with pytest.raises(ValueError, match="local_"):
        clf.fit(read.append)
    assert vars(clf) == before and not read


# Estimators --------------------------------------------------------------------------------------

OF_ESTIMATORS = [
    {},
    {"shuffle": False},
    {"shuffle": "blocks"},
    {"dropout": 0.3, "input_noise": 0.1},
    {"learning_rate": "cyclic_cosine"},
    {"solver": "sgd"},
]


def records(estimator):
    optimizer = estimator._tie().memory()["optimizer"]
    return estimator.t_, optimizer, [*map(bytes, estimator.coefs_)]


@pytest.mark.parametrize("local_steps", [1, 2, 4, 8, 12])  # an epoch has four
@pytest.mark.parametrize("options", OF_ESTIMATORS)
def test_one_shard_is_the_classifier_of_fastmlp_sklearn(data, options, local_steps):
    options = {"hidden_layer_sizes": 8, "batch_size": 25, "random_state": 0} | options
    options |= {"n_iter_no_change": 99}
    expected = here.MLPClassifier(max_iter=6, **options).fit(*data)
    found = MLPClassifier(
        client=False, n_shards=1, local_steps=local_steps, max_iter=24 // local_steps, **options
    ).fit(*data)
    assert records(found) == records(expected) and found.n_iter_ == 24 // local_steps
    if local_steps == 4:
        assert found.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True},
        {"tol": 10.0, "n_iter_no_change": 2},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
    ],
)
def test_what_is_judged_after_epochs_is_judged_after_rounds(data, options):
    options = {"hidden_layer_sizes": 8, "batch_size": 30, "random_state": 0} | options
    expected = here.MLPClassifier(max_iter=20, **options).fit(*data)
    found = MLPClassifier(client=False, n_shards=1, local_steps=3, max_iter=20, **options)
    found.fit(*data)
    assert records(found) == records(expected) and found.n_iter_ == expected.n_iter_
    assert found.validation_scores_ == expected.validation_scores_


@pytest.mark.parametrize("local_steps", [1, 3, 11])
def test_the_samples_of_rounds_are_counted(make_data, local_steps):
    X, y = make_data([4, 1], 131)
    model = MLPRegressor(
        hidden_layer_sizes=4, client=False, n_shards=3, local_steps=local_steps, batch_size=10,
        max_iter=7, solver="sgd", learning_rate="invscaling", random_state=0, warm_start=True,
    )  # fmt: skip
    for n_fits in (1, 2):
        model.fit(X, y.astype(float))
        assert model.t_ == model._tie().state.rows_seen * n_fits
        rate = 0.001 / (model.t_ + 1) ** 0.5
        assert model._optimizer.learning_rate == pytest.approx(rate, rel=1e-12)


def test_a_schedule_is_spread_over_all_steps(data):
    seen = []

    class Record(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model._state.optimizer.next_rate)

    MLPClassifier(
        4, client=False, n_shards=3, local_steps=4, batch_size=20, max_iter=5, n_iter_no_change=99,
        learning_rate="cyclic_cosine", callbacks=[Record()], random_state=0,
    ).fit(*data)  # fmt: skip
    expected = here.MLPClassifier(learning_rate="cyclic_cosine", max_iter=20)
    expected.fit(data[0][:10], data[1][:10])  # an epoch is a step
    schedule = expected._optimizer.schedule
    assert seen == [schedule(step) for step in (4, 8, 12, 16, 20)]


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("options", OF_ESTIMATORS)
def test_a_resumed_fit_of_an_estimator_has_the_same_bits(data, tmp_path, options, n_shards):
    options = {"batch_size": 10, "n_shards": n_shards, "local_steps": 2, "max_iter": 8} | options
    options |= {"client": False, "random_state": 0, "checkpoint": tmp_path / "rounds.npz"}
    options |= {"n_iter_no_change": 99}
    whole = MLPClassifier(8, callbacks=[Interrupt(None)], **options).fit(*data)
    for cut in (1, 3, 6):
        (tmp_path / "rounds.npz").unlink()
        with pytest.warns(UserWarning, match="interrupted"):
            MLPClassifier(8, callbacks=[Interrupt(cut)], **options).fit(*data)
        found = MLPClassifier(8, callbacks=[Interrupt(None)], resume=True, **options).fit(*data)
        assert records(found) == records(whole)
        assert found.loss_curve_ == whole.loss_curve_
