"""Trials of Optuna that report their epochs and end early."""

import copy
import math
import subprocess
import sys
import threading

import numpy as np
import optuna
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from fastmlp import MLP, DivergenceWarning, NeuralNet, callbacks
from fastmlp.callbacks import Callback, EarlyStopping, ModelCheckpoint, OptunaPruning
from fastmlp.metrics import Metric
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.callbacks import Interrupt, Recorder
from helpers.same_bits import assert_same_bits, bits_of

ALONE = optuna.pruners.NopPruner()
FIT = {"epochs": 6, "batch_size": 20, "validation_fraction": 0.25}


class After(optuna.pruners.BasePruner):
    """Prunes every trial after this epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def prune(self, study, trial):
        return trial.last_step >= self.epoch


def new_study(pruner=ALONE, direction="minimize", **options):
    return optuna.create_study(pruner=pruner, direction=direction, **options)


def new_trial(pruner=ALONE, direction="minimize", **options):
    return new_study(pruner, direction, **options).ask()


def reported(trial):
    """Return what a trial has reported, by epoch."""
    return trial.study.trials[trial.number].intermediate_values


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize(
    ("monitor", "direction"),
    [("loss", "minimize"), ("validation_loss", "minimize"), ("validation_f1", "maximize")],
)
def test_each_epoch_is_reported(make_mlp, data, monitor, direction):
    trial = new_trial(direction=direction)
    mlp = make_mlp().fit(*data, **FIT, metrics="f1", callbacks=[OptunaPruning(trial, monitor)])
    assert reported(trial) == dict(enumerate(mlp.history_[monitor]))
    assert_same_bits(mlp, make_mlp().fit(*data, **FIT))


@pytest.mark.parametrize("epoch", [0, 2, 5])
def test_a_pruned_fit_raises_and_keeps_the_network_of_that_epoch(make_mlp, data, epoch):
    trial, seen, mlp = new_trial(After(epoch)), Recorder(), make_mlp()
    with pytest.raises(optuna.TrialPruned, match=f"^pruned after epoch {epoch}, with loss = 1?."):
        mlp.fit(*data, **FIT, callbacks=[seen, OptunaPruning(trial, "loss")])
    assert list(reported(trial)) == list(range(epoch + 1)) and "close" in seen.events
    assert len(mlp.history_["loss"]) == epoch + 1 and "end" not in seen.events
    assert bits_of(mlp) == seen.parameters[-1]
    by_hand = make_mlp().fit(*data, **FIT | {"epochs": epoch + 1})
    assert_same_bits(mlp, by_hand)
    assert np.isfinite(mlp.predict_proba(data[0])).all()
    for net in (mlp, by_hand):  # which trains on
        net.fit(*data, epochs=2)
    assert_same_bits(mlp, by_hand)


def test_neural_net_prunes_too(data):
    net = NeuralNet([8, 12, 3], random_state=0)
    with pytest.raises(optuna.TrialPruned):
        net.fit(*data, epochs=4, callbacks=[OptunaPruning(new_trial(After(1)), "loss")])
    assert len(net.history_["loss"]) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_prunes_bad_trials(make_mlp, data, n_jobs):
    """With constant rates of 0 and 0.05, those that learn nothing are pruned."""
    study = new_study(optuna.pruners.ThresholdPruner(upper=1.0, n_warmup_steps=5))
    rates, threads = [0.05, 0.0] * 5, set()

    def objective(trial):
        threads.add(threading.get_ident())
        mlp = make_mlp(learning_rate=rates[trial.number], n_threads=1)
        mlp.fit(*data, epochs=20, batch_size=10, callbacks=[OptunaPruning(trial, "loss")])
        return mlp.history_["loss"][-1]

    study.optimize(objective, n_trials=len(rates), n_jobs=n_jobs)
    for trial, rate in zip(study.trials, rates, strict=True):
        assert trial.state.name == ("PRUNED" if rate == 0 else "COMPLETE")
        assert len(trial.intermediate_values) == (6 if rate == 0 else 20)
    alike = [list(t.intermediate_values.values()) for t in study.trials if t.state.name != "PRUNED"]
    assert all(values == alike[0] for values in alike)
    assert len(threads) >= n_jobs


def test_optunas_own_pruner_compares_with_earlier_trials(make_mlp, data):
    study = new_study(optuna.pruners.MedianPruner(n_startup_trials=1), "maximize")

    def objective(trial):
        mlp = make_mlp(learning_rate=[0.05, 0.0, 0.05][trial.number])
        pruning = OptunaPruning(trial, "validation_accuracy")
        mlp.fit(*data, epochs=20, batch_size=10, validation_data=data, callbacks=[pruning])
        return mlp.score(*data)

    study.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]


# Estimators ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_estimators_prune(kind, data):
    trial = new_trial(After(2))
    pruned = kind(
        hidden_layer_sizes=8, max_iter=10, random_state=0, callbacks=[OptunaPruning(trial, "loss")]
    )
    with pytest.raises(optuna.TrialPruned):
        pruned.fit(*data)
    by_hand = kind(hidden_layer_sizes=8, max_iter=3, random_state=0).fit(*data)
    assert pruned.n_iter_ == 3 and pruned.loss_curve_ == by_hand.loss_curve_
    assert list(reported(trial).values()) == by_hand.loss_curve_
    np.testing.assert_array_equal(pruned.predict(data[0]), by_hand.predict(data[0]))
    whole = kind(hidden_layer_sizes=8, max_iter=10, random_state=0).fit(*data)
    again = pruned.set_params(callbacks=None).fit(*data)
    assert again.loss_curve_ == whole.loss_curve_


def test_clones_report_to_the_same_trial(data):
    trial = new_trial(After(2))
    clf = MLPClassifier(8, random_state=0, callbacks=[OptunaPruning(trial, "loss")])
    assert clone(clf).callbacks[0].trial is trial
    assert copy.deepcopy(clf.callbacks[0]) is not clf.callbacks[0]
    with pytest.raises(optuna.TrialPruned):
        cross_val_score(clf, *data, cv=3, error_score="raise")
    assert list(reported(trial)) == [0, 1, 2]


# Epochs that were reported before -----------------------------------------------------------------


def test_the_first_of_several_fits_is_reported(make_mlp, data):
    trial = new_trial()
    first = make_mlp().fit(*data, **FIT, callbacks=[OptunaPruning(trial)])
    longer = FIT | {"epochs": 8}
    second = make_mlp(random_state=5).fit(*data, **longer, callbacks=[OptunaPruning(trial)])
    losses = first.history_["validation_loss"] + second.history_["validation_loss"][6:]
    assert reported(trial) == dict(enumerate(losses))


def test_a_resumed_fit_reports_the_rest(make_mlp, data, tmp_path):
    trial, path = new_trial(), tmp_path / "m.npz"

    def fit(*others):
        pruning, checkpoint = OptunaPruning(trial), ModelCheckpoint(path, every=2)
        return make_mlp().fit(*data, **FIT, callbacks=[pruning, checkpoint, *others], resume=True)

    with pytest.raises(KeyboardInterrupt):
        fit(Interrupt(3))
    assert list(reported(trial)) == [0, 1, 2]  # the file is of the second epoch
    # A later process asks for the same trial: what it has reported comes from the study.
    mlp = fit(Interrupt())
    assert reported(trial) == dict(enumerate(mlp.history_["validation_loss"]))
    assert_same_bits(mlp, make_mlp().fit(*data, **FIT))


def test_an_epoch_that_was_reported_is_not_judged_again(make_mlp, data):
    trial = new_trial(After(2))
    for _ in range(2):
        with pytest.raises(optuna.TrialPruned):
            make_mlp().fit(*data, **FIT, callbacks=[OptunaPruning(trial, "loss")])
        trial.study.pruner.epoch = 3  # as if the others had become worse
    assert list(reported(trial)) == [0, 1, 2, 3]


# NaN, and training that ends by itself ------------------------------------------------------------


def some_nan(first):
    """Return a metric that is NaN from this call on."""
    calls = iter(range(100))
    return Metric("own", lambda t, p: math.nan if next(calls) > first else 1.0)  # 1 before training


@pytest.mark.filterwarnings("ignore:All-NaN slice")  # of NumPy, in Optuna's pruner
def test_nan_is_reported_and_left_to_the_pruner(make_mlp, data):
    fit = FIT | {"metrics": [some_nan(0)]}
    trial = new_trial(direction="maximize")
    make_mlp().fit(*data, **fit, callbacks=[OptunaPruning(trial, "validation_own")])
    assert len(reported(trial)) == 6 and all(map(math.isnan, reported(trial).values()))
    study = new_study(optuna.pruners.MedianPruner(n_startup_trials=1), "maximize")

    def objective(trial):
        fit = FIT | {"metrics": [some_nan(0 if trial.number else 99)]}
        make_mlp().fit(*data, **fit, callbacks=[OptunaPruning(trial, "validation_own")])
        return 1.0

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]


def test_a_diverged_fit_ends_without_a_report_of_that_epoch(data):
    X, y = data
    mlp = MLP([8, 12, 1], loss="squared_error", learning_rate=1e6, random_state=0)
    trial = new_trial()
    with pytest.warns(DivergenceWarning):
        mlp.fit(X, 1e4 * y, epochs=50, callbacks=[OptunaPruning(trial, "loss")])
    assert reported(trial) == dict(enumerate(mlp.history_["loss"])) and len(reported(trial)) < 50
    assert all(np.isfinite(view).all() for view in mlp.weights)


def test_early_stopping_ends_a_trial_that_is_not_pruned(make_mlp, data):
    trial = new_trial()
    both = [EarlyStopping(patience=1, min_delta=1e9), OptunaPruning(trial)]
    make_mlp().fit(*data, **FIT, callbacks=both)
    assert list(reported(trial)) == [0, 1]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "monitor", "message"),
    [
        ("maximize", "loss", "what the study maximizes, got 'loss', of which smaller values"),
        ("minimize", "validation_accuracy", "minimizes, got 'validation_accuracy', of which great"),
    ],
)
def test_the_direction_of_the_study_is_that_of_the_monitor(
    make_mlp, data, direction, monitor, message
):
    mlp, trial = make_mlp(), new_trial(After(0), direction)
    before = bits_of(mlp)
    with pytest.raises(ValueError, match=f"^`monitor` must be .*{message}"):
        mlp.fit(*data, **FIT, callbacks=[OptunaPruning(trial, monitor)])
    assert bits_of(mlp) == before and not reported(trial)
    mode = "max" if direction == "maximize" else "min"
    with pytest.raises(optuna.TrialPruned):
        mlp.fit(*data, **FIT, callbacks=[OptunaPruning(trial, monitor, mode)])


def test_unknown_monitors_are_refused_before_training(make_mlp, data):
    mlp = make_mlp()
    with pytest.raises(ValueError, match="^`monitor` must be one of .* got 'validation_loss'"):
        mlp.fit(*data, epochs=2, callbacks=[OptunaPruning(new_trial())])
    assert not mlp.history_


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptunaPruning(None), "^`trial` must be a trial of Optuna, got None.$"),
        (lambda: OptunaPruning(new_study()), "^`trial` must be a trial of Optuna, got <optuna"),
        (lambda: OptunaPruning(new_trial(), 3), "^`monitor` must be the name of a loss or metric"),
        (lambda: OptunaPruning(new_trial(), "loss", "up"), "^`mode` must be "),
        (
            lambda: OptunaPruning(optuna.create_study(directions=["minimize"] * 2).ask()),
            "^`trial` must be of a study with one objective, as Optuna does not prune others, "
            "got one with 2.$",
        ),
    ],
)
def test_invalid_parameters_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("finished", [False, True])
def test_trials_without_a_running_study_are_never_pruned(make_mlp, data, finished):
    trial = optuna.trial.FixedTrial({})
    if finished:
        study = new_study(After(0))
        study.optimize(lambda trial: 1.0, n_trials=1)
        trial = study.best_trial
    mlp = make_mlp().fit(*data, **FIT, callbacks=[OptunaPruning(trial)])
    assert len(mlp.history_["loss"]) == 6


def test_optuna_is_imported_only_when_it_is_used(monkeypatch):
    code = "import sys, fastmlp.callbacks, fastmlp.sklearn; assert 'optuna' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setitem(sys.modules, "optuna", None)
    message = r'^OptunaPruning needs Optuna: pip install "fastmlp\[optuna\]"$'
    with pytest.raises(ImportError, match=message):
        OptunaPruning(None)
    assert issubclass(callbacks.OptunaPruning, Callback)
