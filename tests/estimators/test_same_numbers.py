"""From equal seeds, the numbers are scikit-learn's."""

import warnings

import numpy as np
import pytest
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import fastmlp.sklearn
from helpers.estimators import EPOCHS, IS_LONG

TOLERANCE = 1e-9
#: Before, scikit-learn's networks had neither sample weights nor the Poisson loss.
since_1_7 = pytest.mark.skipif(
    "loss" not in neural_network.MLPRegressor().get_params(), reason="needs scikit-learn 1.7"
)


def digits():
    X, y = datasets.load_digits(return_X_y=True)
    return "MLPClassifier", X / 16, y


def breast_cancer():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return "MLPClassifier", scale(X), y


def diabetes():
    X, y = datasets.load_diabetes(return_X_y=True)
    return "MLPRegressor", X, (y - y.mean()) / y.std()


def multilabel():
    """Return 333 samples, so that the last minibatch of an epoch is smaller."""
    X, y = datasets.make_multilabel_classification(333, 20, n_classes=4, random_state=1)
    return "MLPClassifier", X, y


def two_outputs():
    kind, X, y = diabetes()
    return kind, X, np.stack([y, y**2], axis=1)


CASES = {
    "digits": (digits, {"hidden_layer_sizes": 32}),
    "digits, two layers": (digits, {"hidden_layer_sizes": (64, 32)}),
    "breast cancer": (breast_cancer, {}),
    "diabetes": (diabetes, {}),
    "multilabel": (multilabel, {}),
    "two outputs": (two_outputs, {"hidden_layer_sizes": [8]}),
    "no hidden layer": (breast_cancer, {"hidden_layer_sizes": ()}),
}


def fitted(case, sample_weight=None, after=None, **parameters):
    """Return an estimator of both libraries, fitted to the same data from the same seed."""
    options = {} if sample_weight is None else {"sample_weight": sample_weight}
    data, given = CASES[case] if isinstance(case, str) else case
    name, X, y = data()
    pair = []
    for module in (neural_network, fastmlp.sklearn):
        estimator = getattr(module, name)(**{"random_state": 0, **given, **parameters})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "scipy.optimize")  # of scikit-learn 1.6
            estimator.fit(X, y, **options)
            if after is not None:
                after(estimator, X, y)
        pair.append(estimator)
    return *pair, X


def distance(theirs, ours):
    """Return the largest differences of the parameters, and of the losses."""
    pairs = zip(
        [*theirs.coefs_, *theirs.intercepts_], [*ours.coefs_, *ours.intercepts_], strict=True
    )
    losses = np.abs(np.subtract(theirs.loss_curve_, ours.loss_curve_)).max()
    return max(np.abs(a - b).max() for a, b in pairs), losses


def assert_same(theirs, ours, X):
    assert ours.n_iter_ == theirs.n_iter_ and ours.t_ == theirs.t_
    assert len(ours.loss_curve_) == len(theirs.loss_curve_)
    assert max(distance(theirs, ours)) < TOLERANCE
    for name in ("loss_", "best_loss_", "best_validation_score_", "validation_scores_"):
        expected, found = getattr(theirs, name), getattr(ours, name)
        assert (found is None) == (expected is None), name
        if expected is not None:
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=name)
    assert ours._no_improvement_count == theirs._no_improvement_count
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    for method in ("predict", "predict_proba"):
        if hasattr(theirs, method):
            expected, found = getattr(theirs, method)(X), getattr(ours, method)(X)
            assert found.shape == expected.shape and found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=TOLERANCE)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("case", CASES)
def test_the_defaults(case, solver):
    assert_same(*fitted(case, solver=solver, max_iter=EPOCHS))


@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": "tanh", "alpha": 0.5},
        {"activation": "logistic", "solver": "sgd", "learning_rate_init": 0.1},
        {"activation": "identity", "shuffle": False, "batch_size": 37},
        {"solver": "sgd", "momentum": 1.0, "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
        {"tol": 0.02, "n_iter_no_change": 3},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01},
        {"early_stopping": True, "n_iter_no_change": 3},
        {"early_stopping": True, "validation_fraction": 0.25, "tol": 0.0, "solver": "sgd"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("case", ["breast cancer", *["diabetes", "multilabel"] * IS_LONG])
def test_parameters(case, parameters):
    assert_same(*fitted(case, max_iter=max(EPOCHS, 20), **parameters))


@since_1_7
def test_poisson():
    def counts():
        kind, X, y = two_outputs()
        return kind, X, np.round(np.abs(y) * 2)

    case = (counts, {"loss": "poisson"})
    assert_same(*fitted(case, max_iter=EPOCHS, learning_rate_init=0.01, alpha=0.1))


@since_1_7
@pytest.mark.parametrize("case", ["digits", "diabetes", *["multilabel"] * IS_LONG])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sample_weights(case, early_stopping):
    n = len(CASES[case][0]()[1])
    weights = np.random.default_rng(0).integers(0, 4, n) / 2
    assert_same(*fitted(case, weights, max_iter=EPOCHS, early_stopping=early_stopping))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_and_warm_start(solver):
    def more(estimator, X, y):
        for rows in (slice(0, 50), slice(50, 300), slice(0, 569)):
            estimator.partial_fit(X[rows], y[rows])
        estimator.set_params(warm_start=True, max_iter=3, alpha=0.1).fit(X, y)
        estimator.partial_fit(X[:300], y[:300])

    pair = fitted("breast cancer", max_iter=3, solver=solver, after=more)
    assert_same(*pair)
    theirs, ours, _ = pair
    assert len(ours.loss_curve_) == 10
    assert ours.classes_.tolist() == theirs.classes_.tolist() == [0, 1]


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("of", [0, 1])
def test_early_stopping_with_one_class(solver, of):
    def one_class():
        return "MLPClassifier", np.random.RandomState(0).randn(257, 3), np.full(257, of)

    given = {"hidden_layer_sizes": 9, "early_stopping": True, "max_iter": 15, "batch_size": 64}
    pair = fitted((one_class, given), solver=solver)
    assert set(pair[1].validation_scores_) == {1.0}
    assert_same(*pair)


def test_a_random_state_goes_on_where_it_was():
    """Two fits from one RandomState draw different weights, as scikit-learn's do."""
    source = [np.random.RandomState(3) for _ in range(2)]
    found = []
    for module, random_state in zip((neural_network, fastmlp.sklearn), source, strict=True):
        _, X, y = diabetes()
        estimator = module.MLPRegressor(max_iter=2, random_state=random_state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.append(estimator.fit(X, y).fit(X, y))
    assert max(distance(*found)) < TOLERANCE
    assert source[0].randint(2**31) == source[1].randint(2**31)


@pytest.mark.parametrize("case", ["breast cancer", "diabetes", *["digits", "multilabel"] * IS_LONG])
def test_lbfgs(case):
    """Both minimize the same loss: its values agree until the paths part in the last bits."""
    theirs, ours, X = fitted(case, solver="lbfgs", max_iter=10)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-7)
    packed = np.concatenate([a.ravel() for a in (*theirs.coefs_, *theirs.intercepts_)])
    y = CASES[case][0]()[2]
    if hasattr(theirs, "classes_"):
        y = theirs._label_binarizer.transform(y)
    loss, gradient = ours._loss_grad_lbfgs(packed, X, y.reshape(len(X), -1), None)
    expected = theirs_at(theirs, packed, X, y.reshape(len(X), -1))
    np.testing.assert_allclose(loss, expected[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=0, atol=1e-14)
    theirs, ours, X = fitted(case, solver="lbfgs", max_iter=200 if IS_LONG else 60)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=0.02, atol=1e-3)


def theirs_at(estimator, packed, X, y):
    """Return scikit-learn's loss and gradient for packed parameters."""
    activations = [X] + [None] * (estimator.n_layers_ - 1)
    gradients = [[np.empty_like(a) for a in of] for of in (estimator.coefs_, estimator.intercepts_)]
    deltas = [None] * (estimator.n_layers_ - 1)
    weights = [None] if "loss" in neural_network.MLPRegressor().get_params() else []
    return estimator._loss_grad_lbfgs(packed, X, y, *weights, activations, deltas, *gradients)
