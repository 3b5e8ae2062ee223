"""Several epochs in one compiled call give what as many calls give."""

import numpy as np
import pytest
from sklearn import datasets

from fastmlp.core import pace
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from fastmlp.training import fit
from fastmlp.training.epoch import Trainer
from helpers.same_bits import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def iris():
    return datasets.load_iris(return_X_y=True)


@pytest.fixture
def lengths(monkeypatch):
    """Return how many epochs the calls have trained on, however long these take."""
    found = []

    def epochs(self, data, orders, call=Trainer.epochs):
        found.append(len(orders))
        return call(self, data, orders)

    monkeypatch.setattr(Trainer, "epochs", epochs)
    monkeypatch.setattr(fit, "TOGETHER_SECONDS", 1e9)
    return found


def alone(monkeypatch, estimator, *data):
    """Fit with a call for each epoch."""
    with monkeypatch.context() as patched:
        patched.setattr(fit, "TOGETHER_SECONDS", 0.0)
        return estimator.fit(*data)


def assert_equal(one, other):
    for name in ("loss_curve_", "n_iter_", "t_", "best_loss_", "_no_improvement_count", "history_"):
        assert getattr(one, name) == getattr(other, name), name
    both = [[np.ascontiguousarray(a) for a in (*e.coefs_, *e.intercepts_)] for e in (one, other)]
    assert_same_bits(*both)
    positions = [e._random_state.get_state() for e in (one, other)]
    np.testing.assert_array_equal(positions[0][1], positions[1][1])
    assert positions[0][2] == positions[1][2]
    moments = [e._tied.state.network.moments for e in (one, other)]
    np.testing.assert_array_equal(*moments)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"batch_size": 40},  # the last minibatch of each epoch has 30 rows
        {"batch_size": 40, "dropout": 0.2, "input_noise": 0.1},
        {"shuffle": False, "solver": "sgd", "batch_size": 1},
        {"n_threads": 2, "batch_size": 64},
    ],
    ids=repr,
)
def test_the_same_bits(iris, lengths, monkeypatch, eight_processors, parameters):
    options = {"max_iter": 20, "random_state": 0, "hidden_layer_sizes": 8} | parameters
    together = MLPClassifier(**options).fit(*iris)
    assert lengths == [2, 4, 8, 5]
    assert_equal(together, alone(monkeypatch, MLPClassifier(**options), *iris))
    assert len(lengths) == 4


@pytest.mark.parametrize("n_iter_no_change", [3, 4, 5, 6, 7])
def test_training_ends_after_any_epoch_of_a_call(iris, lengths, monkeypatch, n_iter_no_change):
    options = {"tol": 10.0, "n_iter_no_change": n_iter_no_change, "hidden_layer_sizes": 8}
    found = []
    for fitted in (lambda e: e.fit(*iris), lambda e: alone(monkeypatch, e, *iris)):
        found.append(fitted(MLPRegressor(random_state=np.random.RandomState(0), **options)))
    assert found[0].n_iter_ == n_iter_no_change + 2
    assert_equal(*found)
    for estimator in found:  # which goes on with the moments and the random state
        estimator.partial_fit(*iris)
    assert_equal(*found)


def test_weights_of_samples(iris, lengths, monkeypatch):
    weights = np.arange(150.0)
    options = {"max_iter": 9, "random_state": 0, "hidden_layer_sizes": 8, "batch_size": 64}
    together = MLPClassifier(**options).fit(*iris, weights)
    assert lengths == [2, 4, 2]
    assert_equal(together, alone(monkeypatch, MLPClassifier(**options), *iris, weights))


def test_divergence_within_a_call_keeps_the_last_finite_epoch(iris, lengths, monkeypatch):
    options = {
        "solver": "sgd", "activation": "identity", "random_state": 0, "momentum": 0.0,
        "hidden_layer_sizes": 8, "learning_rate_init": 30.0,
    }  # fmt: skip
    found = []
    for fit_it in (lambda e: e.fit(*iris), lambda e: alone(monkeypatch, e, *iris)):
        estimator = MLPRegressor(**options)
        with pytest.raises(ValueError, match="non-finite"):
            fit_it(estimator)
        found.append(estimator)
    assert len(lengths) > 0 and len(found[0].loss_curve_) > 1
    for name in ("loss_curve_", "n_iter_"):
        assert getattr(found[0], name) == getattr(found[1], name)
    both = [[np.ascontiguousarray(a) for a in (*e.coefs_, *e.intercepts_)] for e in found]
    assert_same_bits(*both)


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True}, {"metrics": "accuracy"},
        {"solver": "sgd", "learning_rate": "invscaling"}, {"verbose": "bar"},
    ],
    ids=repr,
)  # fmt: skip
def test_what_needs_the_network_after_each_epoch_gets_it(iris, lengths, parameters):
    MLPClassifier(max_iter=8, hidden_layer_sizes=8, **parameters).fit(*iris)
    assert lengths == []


@pytest.mark.usefixtures("lengths")
def test_long_runs_within_a_call_do_not_move_the_place_to_go_back_to(monkeypatch, iris):
    """A long run copies the state before it, so that Ctrl-C can stop it within a step."""
    X, y = iris
    options = {"tol": 0.05, "n_iter_no_change": 3, "batch_size": 20, "random_state": 0}
    expected = MLPClassifier(8, **options).fit(X, y)
    monkeypatch.setattr(pace.Pace, "is_long", property(lambda self: True))
    monkeypatch.setattr(pace, "MOST_STEPS", 7)
    net = MLPClassifier(8, **options).fit(X, y)
    assert 4 < net.n_iter_ < 200 and net.n_iter_ == expected.n_iter_
    assert net.t_ == expected.t_
    for one, other in zip(net.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
