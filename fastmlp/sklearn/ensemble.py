"""`MLPEnsembleClassifier` and `MLPEnsembleRegressor`: the mean of several networks."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fastmlp.sklearn.base import BaseMLP
from fastmlp.sklearn.classes import ClassPredictions
from fastmlp.sklearn.classifier import MLPClassifier
from fastmlp.sklearn.ensemble_base import BaseEnsemble
from fastmlp.sklearn.regressor import MLPRegressor


class MLPEnsembleClassifier(ClassifierMixin, ClassPredictions, BaseEnsemble):  # type: ignore[misc]
    """The mean of several `MLPClassifier` with different seeds.

    The members are trained side by side by `fastmlp.fit_many`. Their mean probabilities are mostly
    better than those of one member, for the price of training and predicting with all of them.

    Parameters
    ----------
    estimator : MLPClassifier or None, default=None
        What the members are copies of; None for ``MLPClassifier()``. Its `random_state` is not
        used.
    n_estimators : int, default=5
        The number of members.
    bootstrap : bool, default=False
        Whether each member is trained on as many samples as there are, drawn with replacement: its
        sample weights are multiplied by how often each was drawn. All members know all classes.
        Early stopping needs enough samples that some of those it holds out are drawn. Otherwise
        members differ by their initial weights and the orders of samples, and by the samples that
        early stopping holds out.
    n_threads : int or None, default=None
        The number of threads of all members together in `fit`, and of each in predictions. None is
        all processors. The results have the same bits for any number. `n_threads` of the estimator
        limits each member.
    random_state : int, RandomState or None, default=None
        The source of the members' seeds. From the same int, the first k members are the same for
        any `n_estimators`.
    verbose : bool or int, default=False
        Whether to show a bar with the number of members that are trained.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
        The members.
    classes_ : array of shape (n_classes,)
    n_features_in_, n_outputs_ : int
    feature_names_in_ : array of str
        The columns of X, if it was a data frame.
    metadata_ : dict
        What was saved with the ensemble, if it was loaded.

    See Also
    --------
    fastmlp.fit_many : Several models at once.

    Notes
    -----
    Probabilities are added in float64 in the order of the members. `predict` returns the most
    probable class of the mean, or the labels with a mean probability above one half. (Hansen and
    Salamon, Neural network ensembles, 1990; Lakshminarayanan, Pritzel and Blundell, Simple and
    Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017.)

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from fastmlp.sklearn import MLPClassifier, MLPEnsembleClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    >>> member = MLPClassifier(64, max_iter=50, tol=0.01)
    >>> ensemble = MLPEnsembleClassifier(member, n_estimators=3, random_state=0).fit(X, y)
    >>> bool(ensemble.score(X_test, y_test) > 0.95)
    True
    >>> len(ensemble.estimators_), ensemble.predict_proba(X_test).shape
    (3, (450, 10))
    """

    _kind: ClassVar[type[BaseMLP]] = MLPClassifier
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseEnsemble._parameter_constraints,
        "estimator": [MLPClassifier, None],
    }

    @property
    def classes_(self) -> np.ndarray:
        """The classes."""
        classes: np.ndarray = self._first.classes_
        return classes

    @property
    def _label_binarizer(self) -> Any:
        return self._first._label_binarizer

    def _outputs(self, X: Any) -> np.ndarray:
        return self._mean("_outputs", X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPEnsembleRegressor(RegressorMixin, BaseEnsemble):  # type: ignore[misc]
    """The mean of several `MLPRegressor` with different seeds.

    The members are trained side by side by `fastmlp.fit_many`. Their mean prediction is mostly
    better than that of one member, for the price of training and predicting with all of them.

    Parameters
    ----------
    estimator : MLPRegressor or None, default=None
        What the members are copies of; None for ``MLPRegressor()``. Its `random_state` is not
        used.
    n_estimators : int, default=5
        The number of members.
    bootstrap : bool, default=False
        Whether each member is trained on as many samples as there are, drawn with replacement: its
        sample weights are multiplied by how often each was drawn. Early stopping needs enough
        samples that some of those it holds out are drawn. Otherwise members differ by their
        initial weights and the orders of samples, and by the samples that early stopping holds out.
    n_threads : int or None, default=None
        The number of threads of all members together in `fit`, and of each in predictions. None is
        all processors. The results have the same bits for any number. `n_threads` of the estimator
        limits each member.
    random_state : int, RandomState or None, default=None
        The source of the members' seeds. From the same int, the first k members are the same for
        any `n_estimators`.
    verbose : bool or int, default=False
        Whether to show a bar with the number of members that are trained.

    Attributes
    ----------
    estimators_ : list of MLPRegressor
        The members.
    n_features_in_, n_outputs_ : int
    feature_names_in_ : array of str
        The columns of X, if it was a data frame.
    metadata_ : dict
        What was saved with the ensemble, if it was loaded.

    See Also
    --------
    fastmlp.fit_many : Several models at once.

    Notes
    -----
    Predictions are added in float64 in the order of the members. For the squared error the loss of
    the mean is at most the mean loss of the members: it is less by the variance of their
    predictions. (Krogh and Vedelsby, Neural Network Ensembles, Cross Validation, and Active
    Learning, 1994.)

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastmlp.sklearn import MLPEnsembleRegressor, MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> member = MLPRegressor(preset="tabular", max_iter=50)
    >>> ensemble = MLPEnsembleRegressor(member, n_estimators=3, random_state=0).fit(X, y)
    >>> bool(ensemble.score(X, y) > 0.4)
    True
    >>> ensemble.predict(X[:2]).shape
    (2,)
    """

    _kind: ClassVar[type[BaseMLP]] = MLPRegressor
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseEnsemble._parameter_constraints,
        "estimator": [MLPRegressor, None],
    }

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean prediction of the members for each row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the type of the members' predictions.
        """
        return self._mean("predict", X)
