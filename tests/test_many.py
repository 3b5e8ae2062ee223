"""`fit_many` gives the bits of single fits, side by side, and stops as one."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLP, NeuralNet, callbacks, fit_many, many
from fastmlp.core import run
from fastmlp.core.machine import processor, shares
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.same_bits import assert_same_bits

STOP = callbacks.EarlyStopping()
SIZES = [20, 16, 3]


def parts(model):
    if hasattr(model, "steps"):
        model = model.steps[-1][1]
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_]
    return [*model.weights, *model.biases, np.array(model.history_["loss"])]


def networks():
    return [
        *(MLP(SIZES, random_state=seed, dropout=0.1 * seed) for seed in range(4)),
        *(MLP(SIZES, random_state=seed, dtype=np.float64, optimizer="sgd") for seed in range(2)),
        NeuralNet(SIZES, random_state=5, n_threads=2),
        NeuralNet([20, 40, 30, 3], random_state=np.random.default_rng(6), dtype=np.float32),
    ]


def estimators():
    return [
        MLPClassifier((8,), max_iter=5, random_state=1),
        MLPClassifier((8, 4), max_iter=5, random_state=2, early_stopping=True),
        MLPClassifier((5,), max_iter=5, random_state=3, solver="lbfgs"),
        make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=5, random_state=4)),
    ]


@pytest.mark.parametrize("n_threads", [None, 1, 2, 5, 64])
@pytest.mark.usefixtures("eight_processors")
def test_same_bits_as_single_fits(n_threads, make_data):
    X, y = make_data(SIZES, 300)
    singles = [net.fit(X, y, epochs=4, batch_size=16) for net in networks()]
    together = networks()
    assert fit_many(together, X, y, n_threads=n_threads, epochs=4, batch_size=16) == together
    for single, net in zip(singles, together, strict=True):
        assert_same_bits(parts(single), parts(net))


@pytest.mark.filterwarnings("ignore:.*(onverge|reached)")
def test_estimators_and_pipelines(make_data):
    X, y = make_data(SIZES, 300)
    singles = [estimator.fit(X, y) for estimator in estimators()]
    for single, other in zip(singles, fit_many(estimators(), X, y, n_threads=3), strict=True):
        assert_same_bits(parts(single), parts(other))


@pytest.mark.filterwarnings("ignore:.*(onverge|reached)")
def test_one_pair_a_model(make_data):
    X, y = make_data(SIZES, 300)
    folds = [(X[k::3], y[k::3] * 1.0) for k in range(3)]
    singles = [
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(*fold)
        for fold in folds
    ]
    models = [MLPRegressor(hidden_layer_sizes=(8,), max_iter=3, random_state=0) for _ in folds]
    for single, other in zip(singles, fit_many(models, folds), strict=True):
        assert_same_bits(parts(single), parts(other))


def test_no_models():
    assert fit_many([], np.empty((0, 2)), np.empty(0)) == []


@pytest.mark.parametrize("n_threads", [1, 3])
def test_as_many_at_once_as_threads(n_threads):
    """The first ones meet, so they run at once; and never do more."""
    lock, met, numbers, running = threading.Lock(), threading.Barrier(n_threads), [], []

    class Watched:
        def fit(self, X, y):
            with lock:
                running.append(self)
                numbers.append(len(running))
            if len(numbers) <= n_threads:
                met.wait(100)
            time.sleep(0.01)
            running.remove(self)

    fit_many([Watched() for _ in range(7)], [0], [0], n_threads=n_threads)
    assert max(numbers) == n_threads


@pytest.mark.usefixtures("eight_processors")
def test_threads_are_shared_and_the_last_models_take_more(monkeypatch, make_data):
    """Four models with a thread each, of which the last ends with all six."""
    X, y = make_data([100, 64, 10], 640)
    wanted, usable = {}, run.usable_of

    def watched(n):
        found = usable(n)
        wanted.setdefault(threading.get_ident(), []).append(found)
        return found

    monkeypatch.setattr("fastmlp.training.epoch.usable_of", watched)
    for name in ("CALL_SHARE", "STEP_SHARE"):
        monkeypatch.setattr(run, name, 1)

    class Wait(callbacks.Callback):
        """Of the last fit: let the others end before its third epoch."""

        def on_epoch_end(self, epoch, logs=None):
            while epoch == 1 and shares.threads_of_this() < 6:
                time.sleep(0.01)

    nets = [MLP([100, 64, 10], random_state=k) for k in range(4)]
    each = [[], [], [], [Wait()]]
    fit_many(nets, X, y, n_threads=6, epochs=6, batch_size=128, callbacks=each)
    longest = max(wanted.values(), key=max)
    assert min(map(min, wanted.values())) == 1  # 6 threads, 4 models
    assert longest[-1] == 6


@pytest.mark.usefixtures("eight_processors")
def test_fits_in_threads_of_the_user_share_the_processors(monkeypatch, make_data):
    """As in a search with joblib's threads: one fit has all, and each of three a third."""
    X, y = make_data([100, 64, 10], 640)
    for name in ("CALL_SHARE", "STEP_SHARE"):
        monkeypatch.setattr(run, name, 1)
    begun, found = threading.Barrier(3), []

    class Look(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            begun.wait(200)
            found.append(run.usable_of(64))
            begun.wait(200)

    def fit(seed, look):
        MLP([100, 64, 10], random_state=seed).fit(X, y, epochs=2, callbacks=look)

    threads = [threading.Thread(target=fit, args=(seed, [Look()])) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[:3] == [2, 2, 2]
    assert not shares.running and run.usable_of(64) == 8
    with pytest.raises(threading.BrokenBarrierError):
        begun.abort()
        fit(0, [Look()])
    assert not shares.running


def test_no_share_outside_of_fit_many():
    assert shares.threads_of_this() > 1000
    shares.raise_if_stopped()


class Context:
    """Records settings that are of the thread that calls fit_many."""

    def fit(self, X, y):
        self.found = np.geterr()["over"], sklearn.get_config()["transform_output"]


def test_settings_of_the_calling_thread_are_those_of_fits():
    with np.errstate(over="raise"), sklearn.config_context(transform_output="pandas"):
        found = fit_many([Context() for _ in range(4)], 0, 0, n_threads=2)
    assert [each.found for each in found] == [("raise", "pandas")] * 4
    (after,) = fit_many([Context()], 0, 0)
    assert after.found == ("warn", "default")


def test_a_fit_inside_of_another_shares_its_threads():
    found = []

    class Outer:
        def fit(self, X, y):
            fit_many([Inner() for _ in range(3)], X, y, n_threads=8)

    class Inner:
        def fit(self, X, y):
            found.append(shares.threads_of_this())

    fit_many([Outer(), Outer()], 0, 0, n_threads=2)
    assert found == [1] * 6


def test_ctrl_c_reaches_a_fit_inside_of_another():
    begun, ended = threading.Event(), []

    class Outer:
        def fit(self, X, y):
            fit_many([Inner() for _ in range(100)], X, y)

    class Inner:
        def fit(self, X, y):
            begun.set()
            time.sleep(0.1)
            ended.append(self)

    class Stop:
        def fit(self, X, y):
            begun.wait(200)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_many([Outer(), Stop()], 0, 0, n_threads=2)
    assert len(ended) < 50


@pytest.mark.filterwarnings("ignore:.*(interrupted|reached)")
def test_ctrl_c_ends_a_search(make_data):
    X, y = make_data(SIZES, 300)
    begun = threading.Event()

    class Counted(MLPClassifier):
        def fit(self, X, y):
            begun.set()
            return super().fit(X, y)

    class Stop:
        def fit(self, X, y):
            begun.wait(200)
            raise KeyboardInterrupt

    model = Counted(max_iter=10**6, tol=0.0, n_iter_no_change=10**6)
    search = GridSearchCV(model, {"alpha": [1e-4, 1e-3]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        fit_many([search, Stop()], X, y, n_threads=2)
    assert not hasattr(search, "cv_results_")


def test_an_error_names_the_model_and_leaves_the_others(make_data):
    X, y = make_data(SIZES, 300)
    nets = [MLP(SIZES, random_state=0), MLP([7, 3], random_state=1), MLP(SIZES, random_state=2)]
    with pytest.raises(
        RuntimeError, match=r"models\[1\], MLP\(\[7, 3\]\), raised ValueError: `X`"
    ) as info:
        fit_many(nets, X, y, epochs=3, n_threads=2)
    assert isinstance(info.value.__cause__, ValueError)
    for seed in (0, 2):
        assert_same_bits(
            parts(nets[seed]), parts(MLP(SIZES, random_state=seed).fit(X, y, epochs=3))
        )
    with pytest.raises(RuntimeError, match="; 1 other failed too"):
        fit_many([MLP([7, 3]), MLP([8, 3])], X, y)
    with pytest.raises(RuntimeError, match="; 2 others failed too"):
        fit_many([MLP([7, 3]), MLP([8, 3]), MLP([9, 3])], X, y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"models": MLP(SIZES)}, TypeError, "`models` must be a sequence of models, got MLP"),
        ({"models": "ab"}, TypeError, "`models` must be a sequence of models, got 'ab'"),
        ({"models": [1]}, TypeError, r"`models\[0\]` must have a method `fit`"),
        ({"models": [MLP]}, TypeError, r"`models\[0\]` must have a method `fit`"),
        ({"n_threads": 0}, ValueError, "`n_threads` must be an int of at least 1"),
        ({"progress": "yes"}, ValueError, "`progress` must be True or False"),
        ({"verbose": True}, ValueError, "`verbose` must be False; `progress`"),
        ({"y": None}, TypeError, "`X` must be a sequence of 2 pairs"),
        ({"X": [(0, 0)], "y": None}, ValueError, "`X` must be a sequence of 2 pairs .* of 1"),
        ({"X": [(0, 0), 1], "y": None}, ValueError, r"`X\[1\]` must be a pair \(X, y\), got 1"),
        ({"callbacks": [callbacks.Progress()]}, TypeError, "`callbacks` must be a sequence of 2"),
        ({"callbacks": [[]]}, ValueError, "`callbacks` must be a sequence of 2 .* of 1"),
        (
            {"callbacks": [[STOP], [callbacks.Progress(), STOP]]},
            ValueError,
            r"callbacks\[0\] and callbacks\[1\] must not share .*EarlyStopping.*, which has",
        ),
    ],
)
def test_invalid_arguments_train_nothing(change, error, message, make_data):
    X, y = make_data(SIZES, 30)
    nets = [MLP(SIZES, random_state=0), MLP(SIZES, random_state=1)]
    before = [w.copy() for net in nets for w in net.weights]
    with pytest.raises(error, match=message):
        fit_many(**({"models": nets, "X": X, "y": y} | change))
    assert_same_bits(before, [w for net in nets for w in net.weights])


def test_models_that_would_disturb_each_other_are_refused(make_data):
    X, y = make_data(SIZES, 30)
    net, source = MLP(SIZES), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"models\[0\] and models\[2\] must be different objects"):
        fit_many([net, MLP(SIZES), net], X, y)
    with pytest.raises(ValueError, match=r"models\[1\] and models\[2\] .* random_state objects"):
        fit_many([net, MLP(SIZES, random_state=source), MLP(SIZES, random_state=source)], X, y)


@pytest.mark.filterwarnings("ignore:.*(onverge|reached)")
def test_steps_of_pipelines_that_would_disturb_each_other_are_refused(make_data):
    X, y = make_data(SIZES, 30)
    scaler, source = StandardScaler(), np.random.RandomState(0)

    def made(*steps, **given):
        return make_pipeline(*steps, MLPClassifier(max_iter=1, **given))

    inner = make_pipeline(scaler)
    for models in ([made(scaler), made(scaler)], [made("passthrough", scaler), made(inner)]):
        with pytest.raises(ValueError, match=r"models\[0\] and .* not share StandardScaler\(\)"):
            fit_many(models, X, y)
    assert not hasattr(scaler, "mean_")
    nets = [made(random_state=0), made(random_state=source), made(random_state=source)]
    with pytest.raises(ValueError, match=r"models\[1\] and models\[2\] .* random_state objects"):
        fit_many(nets, X, y)
    fit_many([made("passthrough", random_state=k) for k in range(2)], X, y)


def test_many_models_are_checked_in_linear_time(make_data):
    class Model:
        n_reads = 0

        def fit(self, X, y):
            pass

        @property
        def random_state(self):
            Model.n_reads += 1

    X, y = make_data(SIZES, 30)
    fit_many([Model() for _ in range(50)], X, y)
    assert Model.n_reads == 50


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "float32"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_x_is_converted_once_for_all_networks_of_a_dtype(dtype, order, monkeypatch, make_data):
    X, y = make_data(SIZES, 300)
    X = np.asarray(X * 10, dtype, order=order)
    made, readable = [], many.checks.readable

    def watched(array, wanted):
        found = readable(array, wanted)
        if array.ndim == 2 and not np.shares_memory(array, found):
            made.append(str(wanted))
        return found

    monkeypatch.setattr(many.checks, "readable", watched)
    nets = [MLP(SIZES, dtype=kind) for kind in ("float32", "float64") for _ in range(3)]
    fit_many(nets, X, y, epochs=1)
    kinds = {dtype} if dtype == "uint8" else {"float32", "float64"}
    expected = kinds if order == "F" or dtype == "int32" else kinds - {dtype}
    assert set(made) == expected
    assert len(made) == (2 if dtype == "uint8" and order == "F" else len(expected))


def test_progress_is_one_bar(capsys, make_data):
    X, y = make_data(SIZES, 30)
    fit_many([MLP(SIZES) for _ in range(3)], X, y, epochs=1, progress=True)
    shown = capsys.readouterr().err
    assert "3/3" in shown and "models" in shown
    fit_many([MLP(SIZES) for _ in range(3)], X, y, epochs=1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_stops_all_after_their_runs(n_threads, make_data):
    X, y = make_data([200, 100, 10], 3000)
    begun = threading.Event()

    class Begin(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            begun.set()

    nets = [MLP([200, 100, 10], random_state=k, n_threads=1) for k in range(6)]
    nets[0].fit(X, y, epochs=1)  # compiles

    def interrupt():
        begun.wait(200)
        time.sleep(0.2)
        interrupted.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    interrupted = []
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        fit_many(nets, X, y, epochs=10**6, n_threads=n_threads, callbacks=[[Begin()] for _ in nets])
    assert time.process_time() - interrupted[0] < 5
    assert all(np.isfinite(w).all() for net in nets for w in net.weights)
    steps = [net._state.optimizer.taken for net in nets]
    time.sleep(0.3)
    assert steps == [net._state.optimizer.taken for net in nets]  # none goes on
    fit_many(nets, X, y, epochs=1)  # and all can be trained again


def test_what_is_no_exception_stops_the_others(make_data):
    """As a SystemExit of a callback would end a single fit."""
    X, y = make_data(SIZES, 300)

    class Exit(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise SystemExit(3)

    nets = [MLP(SIZES, random_state=k) for k in range(3)]
    with pytest.raises(SystemExit):
        fit_many(nets, X, y, epochs=10**6, n_threads=3, callbacks=[[], [Exit()], []])


def test_a_share_of_threads():
    for n_threads, n_fits in itertools.product((1, 2, 7), (1, 2, 5)):
        share = shares.Share(n_threads, n_fits)
        for left in range(n_fits, 0, -1):
            with share.taken():
                assert shares.threads_of_this() == max(1, n_threads // left)
        assert processor.usable_threads() >= 1
    share.stop()
    with pytest.raises(KeyboardInterrupt), share.taken():
        pass
