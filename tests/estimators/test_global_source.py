"""With ``random_state=None``, NumPy's global source of random numbers only advances.

Other threads and libraries draw from it too: going back would give them the same numbers again.
"""

import threading

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastmlp import MLP
from fastmlp.random_sources import is_at, is_global, random_position
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from fastmlp.training import fit
from fastmlp.training.epoch import Trainer

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
X, Y = load_iris(return_X_y=True)


class Refused(Exception):
    """Raised by the user's own code after random numbers have been drawn."""


class DrawsAndRaises:
    """A metric that draws in another thread, and raises an error before training begins."""

    __name__ = "draws_and_raises"

    def __call__(self, y_true, y_pred):
        def draw():
            np.random.random_sample(1000)
            self.position = random_position(np.random)

        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
        raise Refused


FITS = {
    "MLP": lambda metric: MLP([4, 8, 3], dropout=0.1).fit(
        X, Y, validation_fraction=0.2, metrics=[metric]
    ),
    "MLPClassifier": lambda metric: MLPClassifier(8, metrics=[metric]).fit(X, Y),
    "MLPRegressor": lambda metric: MLPRegressor(hidden_layer_sizes=8, metrics=[metric]).fit(X, Y),
    "RandomState": lambda metric: MLPClassifier(
        8, metrics=[metric], random_state=np.random.mtrand._rand
    ).fit(X, Y),
}  # fmt: skip


@pytest.mark.parametrize("call", FITS)
def test_a_refused_fit_does_not_take_back_what_others_have_drawn(call):
    metric = DrawsAndRaises()
    with pytest.raises(Refused):
        FITS[call](metric)
    assert is_at(np.random, metric.position)


def test_which_sources_are_global():
    assert is_global(np.random) and is_global(np.random.mtrand._rand)
    assert not is_global(np.random.RandomState(0)) and not is_global(np.random.default_rng(0))


def test_threads_that_draw_while_fits_are_refused_never_draw_the_same():
    drawn, goes_on = [], True

    def draw():
        while goes_on:
            drawn.append(np.random.random_sample(100))

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(50):
            with pytest.raises(ValueError, match="dropout"):
                MLPClassifier((500, 500), dropout=2.0).fit(X, Y)
    finally:
        goes_on = False
        thread.join()
    numbers = np.concatenate(drawn)
    assert len(np.unique(numbers)) == len(numbers) > 100


@pytest.fixture
def together(monkeypatch):
    """Train several epochs in one call, so that training goes on for longer than it should."""
    monkeypatch.setattr(fit, "TOGETHER_SECONDS", 1e9)


def fitted(**parameters):
    np.random.seed(3)
    # It stops after 6 epochs, of 7 that the first three calls train on: 1, 2 and 4.
    return MLPRegressor(hidden_layer_sizes=8, tol=10.0, n_iter_no_change=4, **parameters).fit(X, Y)


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("shuffle", [True, False])
def test_epochs_that_did_not_count_leave_no_trace(monkeypatch, shuffle):
    one = fitted(shuffle=shuffle)
    position = random_position(np.random)
    monkeypatch.setattr(fit, "TOGETHER_SECONDS", 0.0)
    other = fitted(shuffle=shuffle)
    assert one.n_iter_ == other.n_iter_ == 6
    assert is_at(np.random, position)
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


@pytest.mark.usefixtures("together")
def test_epochs_that_did_not_count_take_back_nothing_that_others_have_drawn(monkeypatch):
    expected, positions = fitted(), []

    def epochs(self, data, orders, call=Trainer.epochs):
        def draw():
            np.random.random_sample(1)
            positions.append(random_position(np.random))

        if len(orders) == 4 and not positions:  # those that go on for too long
            thread = threading.Thread(target=draw)
            thread.start()
            thread.join()
        return call(self, data, orders)

    monkeypatch.setattr(Trainer, "epochs", epochs)
    net = fitted()
    assert is_at(np.random, positions[0])
    np.testing.assert_array_equal(net.coefs_[0], expected.coefs_[0])
