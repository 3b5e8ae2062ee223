"""Callbacks of scikit-learn 1.9 are called for a fit and its epochs."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp.sklearn import MLPClassifier

callback = pytest.importorskip("sklearn.callback")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


class Records:
    """Records its calls, and stops a fit after some epochs."""

    def __init__(self, stops_after=None):
        self.calls, self.losses, self.scores, self.stops_after = [], [], [], stops_after

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        if context.task_name == "epoch":
            self.losses.append(estimator.loss_)
            self.scores.append((fitted_estimator, X, y))
        return len(self.losses) == self.stops_after


@pytest.fixture(scope="module")
def data():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_each_epoch_is_a_task(solver, data):
    records, options = Records(), {"solver": solver, "max_iter": 5, "random_state": 0}
    net = MLPClassifier(8, **options).set_callbacks(records).fit(*data)
    epoch = ["begin epoch", "end epoch"]
    assert records.calls == ["setup", "begin fit", *epoch * 5, "end fit", "teardown"]
    assert records.losses == net.loss_curve_
    plain = MLPClassifier(8, **options).fit(*data)
    for one, other in zip(net.coefs_, plain.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    # Each fitted estimator is the network after its epoch, not the last one.
    for n, (fitted, X, y) in enumerate(records.scores, 1):
        short = MLPClassifier(8, **options | {"max_iter": n}).fit(*data)
        np.testing.assert_array_equal(fitted.predict_proba(X), short.predict_proba(X))
        np.testing.assert_array_equal(y, data[1])


def test_a_callback_can_stop_a_fit(data):
    records = Records(stops_after=3)
    net = MLPClassifier(8, max_iter=50, random_state=0).set_callbacks(records).fit(*data)
    assert net.n_iter_ == len(net.loss_curve_) == 3
    assert records.calls[-2:] == ["end fit", "teardown"]


def test_lbfgs_is_one_task(data):
    records = Records()
    MLPClassifier(8, solver="lbfgs", random_state=0).set_callbacks(records).fit(*data)
    assert records.calls == ["setup", "begin fit", "end fit", "teardown"]


def test_a_callback_is_torn_down_after_an_error(data):
    class Fails(Records):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("no")

    records = Fails()
    net = MLPClassifier(8, max_iter=5, random_state=0).set_callbacks(records)
    with pytest.raises(RuntimeError, match="^no$"):
        net.fit(*data)
    assert records.calls[-1] == "teardown"


def test_scores_are_monitored_through_pipelines_and_searches(data):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = MLPClassifier(8, max_iter=4, random_state=0).set_callbacks(monitor)
    make_pipeline(StandardScaler(), clone(net)).fit(*data)
    search = GridSearchCV(net, {"alpha": [0.1, 1.0]}, cv=2, n_jobs=2).fit(*data)
    assert search.best_estimator_.n_iter_ == 4
    assert monitor.get_logs() is not None
