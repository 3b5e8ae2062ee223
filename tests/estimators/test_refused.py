"""Calls that are refused change nothing, and changed parameters take effect."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")


@pytest.fixture(scope="module")
def data():
    return load_iris(return_X_y=True)


def bits_of(net, X):
    return net.predict_proba(X).tobytes(), net.n_iter_, net.t_, net.loss_, list(net.loss_curve_)


@pytest.mark.parametrize(
    "changed, options",
    [
        ({}, {"sample_weight": -np.ones(150)}),
        ({"dropout": 2.0}, {}),
        ({"metrics": ["nope"]}, {}),
        ({"callbacks": [1]}, {}),
        ({"activation": ["relu", "relu"]}, {}),
        ({}, {"X_val": np.ones((2, 4)), "y_val": [7, 8]}),
        ({"solver": "lbfgs"}, {"X_val": np.ones((2, 4)), "y_val": [0, 1]}),
        ({"solver": "lbfgs", "callbacks": [1]}, {}),
        ({"solver": "lbfgs", "l1": np.ones(2)}, {}),
    ],
)
def test_a_refused_fit_changes_nothing(changed, options, data):
    X, y = data
    source = np.random.RandomState(0)
    net = MLPClassifier(8, max_iter=30, random_state=source).fit(X, y)
    before, weights, position = bits_of(net, X), net.coefs_[0], source.get_state()[2]
    other = copy.deepcopy(net)
    parameters = {name: getattr(net, name) for name in changed}
    with pytest.raises((ValueError, TypeError)):
        net.set_params(**changed).fit(X, y, **options)
    net.set_params(**parameters)
    assert bits_of(net, X) == before
    assert net.coefs_[0] is weights and source.get_state()[2] == position
    after = [each.partial_fit(X, y).coefs_[0] for each in (net, other)]
    np.testing.assert_array_equal(*after)  # the moments are the same
    with pytest.raises((ValueError, TypeError)):
        fresh = MLPClassifier(8, random_state=0, **changed)
        fresh.fit(X, y, **options)
    assert set(vars(fresh)) == set(fresh.get_params())


def test_a_refused_partial_fit_changes_nothing(data):
    X, y = data
    for options in ({"early_stopping": True}, {"class_weight": "balanced"}, {"dropout": 2.0}):
        net = MLPClassifier(8, **options)
        with pytest.raises(ValueError):
            net.partial_fit(X, y, classes=[0, 1, 2])
        assert set(vars(net)) == set(net.get_params())
    net = MLPRegressor(hidden_layer_sizes=4).partial_fit(X, y)
    with pytest.raises(ValueError, match="2 outputs"):
        net.partial_fit(X, np.column_stack([y, y]))
    assert net.n_outputs_ == 1


def test_classes_that_a_batch_lacks_have_a_weight(data):
    X, y = data
    net = MLPClassifier(8, class_weight={0: 3.0}, random_state=0)
    net.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X[y > 0], y[y > 0])
    by_sample = MLPClassifier(8, random_state=0).partial_fit(
        X, y, np.where(y == 0, 3.0, 1.0), classes=[0, 1, 2]
    )
    by_sample.partial_fit(X[y > 0], y[y > 0])
    np.testing.assert_array_equal(net.coefs_[0], by_sample.coefs_[0])


AFTER_LBFGS = """
import numpy as np
from sklearn import datasets, neural_network
from fastmlp.sklearn import MLPClassifier, MLPRegressor
X, y = datasets.load_iris(return_X_y=True)
MLPClassifier(4, solver="lbfgs", max_iter=5, random_state=0).fit(X.astype("f4"), y)
ours = MLPRegressor(hidden_layer_sizes=4, max_iter=5, random_state=0).fit(X, y)
theirs = neural_network.MLPRegressor(hidden_layer_sizes=4, max_iter=5, random_state=0).fit(X, y)
np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
"""


def test_lbfgs_in_float32_does_not_disturb_later_fits():
    """Kernels are called by types, which the first call of a process once mixed."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", AFTER_LBFGS], check=True)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_changed_parameters_change_predictions(solver, data):
    X, y = data
    net = MLPClassifier(8, solver=solver, max_iter=50, random_state=0).fit(X, y)
    net.set_params(activation="tanh")
    copied = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(net.predict_proba(X), copied.predict_proba(X))
    net.fit(X, y)
    fresh = MLPClassifier(8, "tanh", solver=solver, max_iter=50, random_state=0).fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), fresh.predict_proba(X))
    net = MLPRegressor(hidden_layer_sizes=8, solver=solver, max_iter=50, random_state=0).fit(X, y)
    net.set_params(loss="poisson").fit(X, y)
    assert (net.predict(X) > 0).all()


def test_a_subclass_may_have_other_parameters(data):
    class Narrow(MLPClassifier):
        def __init__(self, width=5, alpha=1e-3):
            super().__init__((width,), alpha=alpha, max_iter=5)
            self.width = width

    assert Narrow(3).fit(*data).coefs_[0].shape == (4, 3)


@pytest.fixture
def eager_threads():
    """Let threads take turns as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_threads_that_predict_first_keep_the_moments(data):
    X, y = data
    net = MLPClassifier(8, random_state=0)
    for _ in range(3):
        net.partial_fit(X, y, classes=[0, 1, 2])
    stored = pickle.dumps(net)
    net.partial_fit(X, y)
    for _ in range(20):
        other = pickle.loads(stored)
        threads = [threading.Thread(target=other.predict, args=(X[:1],)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other.partial_fit(X, y)
        np.testing.assert_array_equal(other.coefs_[0], net.coefs_[0])


def test_the_validation_losses_of_an_earlier_fit_are_removed(data):
    X, y = data
    net = MLPClassifier(4, max_iter=3, random_state=0).fit(X, y, X_val=X, y_val=y)
    assert len(net.validation_loss_curve_) == 3
    assert not hasattr(net.fit(X, y), "validation_loss_curve_")


def test_adamw_decays_its_weights():
    X, y = np.zeros((64, 4)), np.zeros(64)
    options = {"solver": "adamw", "hidden_layer_sizes": 8, "random_state": 0, "max_iter": 20}
    sizes = [
        np.abs(MLPRegressor(alpha=alpha, learning_rate_init=0.01, **options).fit(X, y).coefs_[0])
        for alpha in (0.0, 1.0)
    ]
    np.testing.assert_allclose(sizes[1], sizes[0] * 0.99**20, rtol=1e-6)
