"""scikit-learn's networks as estimators of this package, and back."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
CLASSIFIERS = [neural_network.MLPClassifier, MLPClassifier]
REGRESSORS = [neural_network.MLPRegressor, MLPRegressor]


def data(n=90, dtype=np.float64):
    X = np.random.default_rng(0).normal(size=(n, 5)).astype(dtype)
    return X, np.arange(n) % 3


def fitted(kind, X, y, **given):
    given = {"hidden_layer_sizes": (8, 6), "max_iter": 4, "random_state": 0} | given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(**given).fit(X, y)


def exchanged(estimator):
    """Return the estimator of the other package."""
    if type(estimator).__module__.startswith("fastmlp"):
        return estimator.to_sklearn()
    return KINDS[type(estimator).__name__].from_sklearn(estimator)


def assert_same(found, estimator, X):
    """Compare all that both have, the bits of weights, and predictions."""
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(found, name), getattr(estimator, name), strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape and not np.shares_memory(a, b)
            assert np.array(a, order="C").tobytes() == np.array(b, order="C").tobytes()
    for name in ("n_iter_", "loss_", "loss_curve_", "t_", "n_layers_", "n_outputs_",
                 "out_activation_", "n_features_in_", "best_loss_", "validation_scores_",
                 "best_validation_score_"):  # fmt: skip
        assert getattr(found, name, None) == getattr(estimator, name, None), name
    ours, theirs = found.get_params(), estimator.get_params()
    both = (ours.keys() & theirs.keys()) - {"activation"}
    assert len(both) > 20 and all(ours[name] == theirs[name] for name in both)
    tolerance = 1e-5 if estimator.coefs_[0].dtype == np.float32 else 1e-12
    close = {"rtol": tolerance, "atol": tolerance}
    if hasattr(estimator, "classes_"):
        assert found.classes_.dtype == estimator.classes_.dtype
        assert found.classes_.tolist() == estimator.classes_.tolist()
        np.testing.assert_allclose(found.predict_proba(X), estimator.predict_proba(X), **close)
        assert found.predict(X).tolist() == estimator.predict(X).tolist()
        assert found.predict(X).dtype == estimator.predict(X).dtype
    else:
        np.testing.assert_allclose(found.predict(X), estimator.predict(X), **close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize(
    "classes", [[0, 1, 2], [3, 7], ["a", "b", "c"], ["no", "yes"], [False, True], [5]]
)
def test_classifiers(classes, kind, dtype):
    X, y = data(dtype=dtype)
    estimator = fitted(kind, X, np.array(classes)[y % len(classes)])
    found = exchanged(estimator)
    assert_same(found, estimator, X)
    assert_same(exchanged(found), estimator, X)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_several_labels(kind):
    X, _ = data()
    estimator = fitted(kind, X, (X[:, :3] > 0).astype(int))
    assert_same(exchanged(estimator), estimator, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressors(n_outputs, kind, dtype):
    X, _ = data(dtype=dtype)
    y = X[:, :n_outputs] if n_outputs > 1 else X[:, 0]
    estimator = fitted(kind, X, y)
    found = exchanged(estimator)
    assert_same(found, estimator, X)
    assert_same(exchanged(found), estimator, X)


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
@pytest.mark.parametrize("given", [
    *[{"activation": name} for name in ("identity", "logistic", "tanh", "relu")],
    *[{"solver": name} for name in ("lbfgs", "sgd")],
    {"hidden_layer_sizes": ()}, {"hidden_layer_sizes": 7}, {"early_stopping": True},
    {"learning_rate": "adaptive", "solver": "sgd"}, {"random_state": None}, {"verbose": False},
], ids=str)  # fmt: skip
def test_parameters(given, kind):
    X, y = data()
    estimator = fitted(kind, X, y, **given)
    assert_same(exchanged(estimator), estimator, X)


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
def test_names_of_columns(kind):
    X, y = data()
    frame = pd.DataFrame(X, columns=[*"abcde"])
    estimator = fitted(kind, frame, y)
    found = exchanged(estimator)
    assert_same(found, estimator, frame)
    assert found.feature_names_in_.tolist() == [*"abcde"]
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame.rename(columns={"a": "z"}))


def test_poisson():
    X, _ = data()
    ours = fitted(MLPRegressor, X, X[:, 0] ** 2, loss="poisson")
    if "loss" not in neural_network.MLPRegressor().get_params():
        with pytest.raises(ValueError, match="before 1.7"):
            ours.to_sklearn()
        return
    assert_same(ours.to_sklearn(), ours, X)
    theirs = fitted(neural_network.MLPRegressor, X, X[:, 0] ** 2, loss="poisson")
    assert_same(MLPRegressor.from_sklearn(theirs), theirs, X)


@pytest.mark.parametrize("given, theirs", [
    ({"solver": "adamw"}, {"solver": "adam"}),
    ({"learning_rate": "cyclic_cosine"}, {"learning_rate": "constant"}),
    ({"verbose": "bar", "dropout": 0.1, "clip_norm": 1.0}, {"verbose": False}),
    ({"activation": ["tanh", "tanh"]}, {"activation": "tanh"}),
    ({"activation": ["sigmoid", "logistic"]}, {"activation": "logistic"}),
])  # fmt: skip
def test_what_scikit_learn_lacks_is_its_default(given, theirs):
    X, y = data()
    estimator = fitted(MLPClassifier, X, y, **given)
    found = estimator.to_sklearn()
    assert {name: found.get_params()[name] for name in theirs} == theirs
    np.testing.assert_allclose(found.predict_proba(X), estimator.predict_proba(X), atol=1e-12)
    found.fit(X, y)  # with parameters that it accepts


@pytest.mark.parametrize("given, name", [
    ({"activation": "silu"}, "activation"), ({"activation": ["tanh", "relu"]}, "activation"),
    ({"preset": "tabular"}, "preset"),
])  # fmt: skip
def test_what_scikit_learn_cannot_predict_is_refused(given, name):
    X, y = data()
    estimator = fitted(MLPClassifier, X, y, **given)
    with pytest.raises(ValueError, match=f"^`{name}` must be .* for scikit-learn's networks, got "):
        estimator.to_sklearn()


def test_a_loss_that_scikit_learn_lacks():
    X, y = data()
    estimator = fitted(MLPRegressor, X, y, loss="huber")
    assert_same_predictions = estimator.to_sklearn()
    np.testing.assert_allclose(assert_same_predictions.predict(X), estimator.predict(X), atol=1e-12)


def test_other_objects_are_refused():
    X, y = data()
    theirs = fitted(neural_network.MLPRegressor, X, y)
    for wrong in (theirs, None, fitted(MLPClassifier, X, y)):
        with pytest.raises(
            TypeError, match="^`estimator` must be a fitted sklearn.neural_network.MLPC"
        ):
            MLPClassifier.from_sklearn(wrong)
    with pytest.raises(NotFittedError):
        MLPClassifier.from_sklearn(neural_network.MLPClassifier())


def test_classes_that_inherit():
    class Ours(MLPClassifier):
        pass

    class Theirs(neural_network.MLPClassifier):
        pass

    X, y = data()
    assert type(Ours.from_sklearn(fitted(Theirs, X, y))) is Ours
    assert type(fitted(Ours, X, y).to_sklearn()) is neural_network.MLPClassifier


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_training_goes_on(kind):
    """With the weights of the other package; the state of the solver is a new one."""
    X, y = data()
    estimator = fitted(kind, X, y, solver="sgd", momentum=0.0, shuffle=False)
    found = exchanged(estimator)
    for each in (found, estimator):
        each.partial_fit(X, y)
    for a, b in zip(found.coefs_, estimator.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert found.t_ == estimator.t_


def test_an_estimator_from_scikit_learn_is_saved_and_exported(tmp_path):
    X, y = data()
    found = MLPClassifier.from_sklearn(fitted(neural_network.MLPClassifier, X, y))
    found.save(tmp_path / "model.npz")
    again = MLPClassifier.load(tmp_path / "model.npz")
    assert again.predict_proba(X).tobytes() == found.predict_proba(X).tobytes()
    found.to_onnx(tmp_path / "model.onnx")
