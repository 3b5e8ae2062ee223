"""Class weights count for the loss that is trained on, and not for scores."""

import numpy as np
import pytest
from sklearn import datasets
from sklearn.model_selection import train_test_split

from fastmlp import callbacks
from fastmlp.sklearn import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (8, 6), "max_iter": 6, "random_state": 0, "n_threads": 1}


@pytest.fixture(scope="module")
def iris():
    return datasets.load_iris(return_X_y=True)


class Predictions(callbacks.Callback):
    """Keeps the predictions for some rows after each epoch."""

    def __init__(self, X):
        self.X, self.found = X, []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.model.predict_proba(self.X))


def share_of_right(probabilities, y, weights):
    """Return the weighted accuracy, sample by sample."""
    right = total = 0.0
    for p, label, weight in zip(probabilities, y, weights, strict=True):
        predicted = int(p[0] > 0.5) if len(p) == 1 else int(p.argmax())
        right += weight * (predicted == label)
        total += weight
    return right / total


@pytest.mark.parametrize("class_weight", [{0: 20.0}, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_classes_weigh_in_the_loss_and_not_in_scores(iris, class_weight, n_classes, is_weighted):
    of_classes = iris[1] > 2 - n_classes  # the first ones are left out
    X, y = iris[0][of_classes], iris[1][of_classes] - (3 - n_classes)
    X = X + np.random.RandomState(1).normal(scale=1.5, size=X.shape)  # some are wrong
    weights = np.random.RandomState(2).exponential(size=len(y)) if is_weighted else np.ones(len(y))
    source = np.random.RandomState(0)
    for n_in, n_out in ((4, 6), (6, 1 if n_classes == 2 else 3)):
        source.uniform(size=(n_in + 1) * n_out)  # the initial parameters
    strata = y if n_classes == 2 else None
    _, rows = train_test_split(
        np.arange(len(y)), test_size=0.3, random_state=source, stratify=strata
    )
    held_out, all_rows = Predictions(X[rows]), Predictions(X)
    net = MLPClassifier(
        6, class_weight=class_weight, random_state=0, early_stopping=True, max_iter=15,
        learning_rate_init=0.1,
        validation_fraction=0.3, metrics="accuracy", callbacks=[held_out, all_rows],
    ).fit(X, y, weights if is_weighted else None)  # fmt: skip
    assert len(held_out.found) == net.n_iter_ > 5
    expected = [share_of_right(found, y[rows], weights[rows]) for found in held_out.found]
    assert 0 < min(expected) < max(expected) < 1
    np.testing.assert_allclose(net.validation_scores_, expected, rtol=1e-12)
    expected = [share_of_right(found, y, weights) for found in all_rows.found]
    np.testing.assert_allclose(net.history_["accuracy"], expected, rtol=1e-12)


def test_classes_do_not_weigh_in_scores_of_given_data(iris):
    X, y = iris[0] + np.random.RandomState(1).normal(scale=1.5, size=iris[0].shape), iris[1]
    weights = np.random.RandomState(2).exponential(size=50)
    held_out = Predictions(X[::3])
    net = MLPClassifier(
        class_weight={0: 20.0}, early_stopping=True, callbacks=[held_out], **SMALL
    ).fit(X, y, X_val=X[::3], y_val=y[::3], sample_weight_val=weights)
    expected = [share_of_right(found, y[::3], weights) for found in held_out.found]
    np.testing.assert_allclose(net.validation_scores_, expected, rtol=1e-12)
    losses = [
        np.average(-np.log(found[np.arange(50), y[::3]]), weights=weights)
        for found in held_out.found
    ]
    np.testing.assert_allclose(net.validation_loss_curve_, losses, rtol=1e-9)


def test_held_out_samples_must_count(iris):
    net, weights = MLPClassifier(early_stopping=True, **SMALL), np.zeros(150)
    weights[0] = 1
    with pytest.raises(ValueError, match=r"^`sample_weight` must be above 0 .* held out, got only"):
        net.fit(*iris, weights)
    assert set(vars(net)) == set(net.get_params())
    with pytest.raises(ValueError, match=r"^`sample_weight_val` must be above 0 for at least one"):
        net.fit(*iris, X_val=iris[0], y_val=iris[1], sample_weight_val=0.0)
