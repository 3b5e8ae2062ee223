"""The trial of metrics before the first epoch."""

import numpy as np
import pytest

from fastmlp import MLP, callbacks
from fastmlp.metrics import METRICS, Metric
from fastmlp.training import fit
from helpers.same_bits import bits_of

X, Y = np.linspace(-1, 1, 24).reshape(12, 2), np.arange(12) // 6  # sorted by class

#: The data that is scored.
SCORED = {
    "training": {},
    "validation_data": {"validation_data": (X, Y)},
    "validation_fraction": {"validation_fraction": 0.5},
}


class Told(callbacks.Callback):
    def __init__(self):
        self.hooks = []

    def on_epoch_begin(self, epoch, logs=None):
        self.hooks.append("on_epoch_begin")

    def close(self):
        self.hooks.append("close")


def refused(metrics, error, **options):
    """Fit with a metric that fails; check that nothing changed, and return the error."""
    net = MLP([2, 3, 2], random_state=np.random.RandomState(0)).fit(X, Y, epochs=1)
    weights, told = bits_of(net), Told()
    position, history = net._state.random.get_state()[1].copy(), {**net.history_}
    with pytest.raises(error) as raised:
        net.fit(X, Y, metrics=metrics, callbacks=[told], **options)
    assert told.hooks == ["close"]
    assert bits_of(net) == weights
    assert np.array_equal(position, net._state.random.get_state()[1]) and net.history_ == history
    return raised.value


@pytest.mark.parametrize("scored", SCORED)
@pytest.mark.parametrize("takes_weight", [False, True])
def test_a_metric_that_raises_costs_no_epoch(scored, takes_weight):
    mine = KeyError("of the user's own")

    def fails(targets, outputs, *weight):
        assert len(weight) == takes_weight
        raise mine

    metric = Metric("fails", fails, takes_weight=takes_weight)
    error = refused(["accuracy", metric], KeyError, **SCORED[scored])
    assert error is mine and error.__notes__ == ["raised by the metric 'fails'"]


@pytest.mark.parametrize("scored", SCORED)
@pytest.mark.parametrize("returned", [None, "0.5", 10**400])
def test_a_metric_that_returns_no_number_costs_no_epoch(scored, returned):
    def own(targets, outputs):
        return returned

    message = str(refused([own], TypeError, **SCORED[scored]))
    assert message.startswith("`function` must return a number") and "metric 'own'" in message


def test_batches_are_tried_on_their_validation_data():
    def own(targets, outputs):
        raise KeyError("own")

    net = MLP([2, 3, 2], random_state=0)
    before = bits_of(net)
    with pytest.raises(KeyError):
        net.fit([(X, Y)], validation_data=(X, Y), metrics=own)
    assert bits_of(net) == before


@pytest.mark.parametrize("scored", SCORED)
def test_a_metric_is_tried_on_all_that_will_be_scored(scored):
    """A metric that needs both classes must not be refused because of the first few rows."""
    seen = []

    def both(targets, outputs):
        assert set(targets.tolist()) == {0, 1} and outputs.shape == (len(targets), 2)
        seen.append(len(targets))
        return len(targets)

    net = MLP([2, 3, 2], random_state=0).fit(X, Y, epochs=2, metrics=both, **SCORED[scored])
    assert len(set(seen)) == 1 and len(seen) == 3
    assert [*net.history_.values()][-1] == seen[1:]
    net.fit(X, Y, epochs=0, metrics=both, **SCORED[scored])
    assert len(seen) == 3


def test_the_trial_changes_no_bit_and_built_in_metrics_have_none(monkeypatch):
    calls, evaluate = [], fit.evaluate
    monkeypatch.setattr(
        fit, "evaluate", lambda *given: calls.append(len(given[2])) or evaluate(*given)
    )
    nets = [
        MLP([2, 3, 2], dropout=0.5, input_noise=0.1, random_state=0).fit(
            X, Y, epochs=2, metrics=metrics, validation_fraction=0.25
        )
        for metrics in (["f1"], ["f1", METRICS["accuracy"]], ["f1", lambda targets, outputs: 0.0])
    ]
    assert calls == [1, 1, 2, 2, 1, 2, 2]
    assert all(np.array_equal(nets[0].weights[0], net.weights[0]) for net in nets)
