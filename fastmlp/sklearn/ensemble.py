"""`MLPEnsembleClassifier` and `MLPEnsembleRegressor`: the mean of several networks."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastmlp.argument_types import File
from fastmlp.many import fit_many
from fastmlp.random_sources import is_global, random_position, return_to_position
from fastmlp.sklearn import inputs, parameters
from fastmlp.sklearn.base import BaseMLP
from fastmlp.sklearn.classes import ClassPredictions
from fastmlp.sklearn.classifier import MLPClassifier
from fastmlp.sklearn.constraints import Interval
from fastmlp.sklearn.estimator_files import SavedEstimator
from fastmlp.sklearn.regressor import MLPRegressor

MOST_SEED = np.iinfo(np.int32).max  # as of scikit-learn's ensembles


class BaseEnsemble(SavedEstimator, BaseEstimator):  # type: ignore[misc]
    """The common part of both ensembles.

    What all members have in common, such as classes, is that of the first one.
    """

    _kind: ClassVar[type[BaseMLP]]  # of the members
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    estimators_: list[Any]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 5,
        *,
        bootstrap: bool = False,
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: Any = False,
    ):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.bootstrap = bootstrap
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    # Training ------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit all members to X and y.

        After an error or Ctrl-C, the ensemble is what it was before.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Validation data of all members, see `fit` of the estimator. Without them, each member
            that stops early holds out its own samples.

        Returns
        -------
        self : object
            The trained ensemble.

        Warns
        -----
        ConvergenceWarning
            For each member whose training ended before it had converged.

        Raises
        ------
        ValueError, TypeError
            For invalid parameters or data. An error of a member names the first that failed.
        RuntimeError
            For other errors of members, which are its ``__cause__``.
        """
        parameters.check(self)
        source = self.random_state
        is_own = isinstance(source, np.random.RandomState) and not is_global(source)
        position = random_position(source) if is_own else None
        try:
            members = self._new_members()
            validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
            self._train(members, X, y, sample_weight, validation)
        except BaseException:
            if is_own:
                return_to_position(source, position)
            raise
        self.__dict__.pop("metadata_", None)
        self.estimators_ = members
        return self

    def _member(self) -> Any:
        """Return what the members are copies of."""
        return self._kind() if self.estimator is None else self.estimator

    def _new_members(self) -> list[Any]:
        """Return the members, whose seeds are drawn in their order."""
        source = check_random_state(self.random_state)
        seeds = source.randint(MOST_SEED, size=self.n_estimators).tolist()
        members = [clone(self._member()).set_params(random_state=seed) for seed in seeds]
        for member in members:
            if member.n_threads is None:
                member.n_threads = self.n_threads
        return members

    def _train(
        self, members: list[Any], X: Any, y: Any, sample_weight: Any, validation: dict[str, Any]
    ) -> None:
        known = clone(members[0])
        parameters.check(known)
        rows, y = inputs.rows_and_targets(known, X, y, reset=True)
        sample_weight = inputs.weights_of(sample_weight, rows.shape[0])
        if known.preset is None:  # converted once; a table, which a preset encodes, in each fit
            X = rows
            if validation["X_val"] is not None and validation["y_val"] is not None:
                validation["X_val"], validation["y_val"] = inputs.rows_and_targets(
                    known, validation["X_val"], validation["y_val"], reset=False
                )
        calls: Sequence[Any] = members
        if self.bootstrap:
            calls = [_Bootstrap(member) for member in members]
        try:
            fit_many(
                calls, X, y,
                n_threads=self.n_threads, progress=bool(self.verbose),
                sample_weight=sample_weight, **validation,
            )  # fmt: skip
        except RuntimeError as error:
            cause = error.__cause__
            if cause is None:
                raise
            kind = type(cause) if type(cause) in (ValueError, TypeError) else RuntimeError
            raise kind(str(error).replace("models[", "estimators_[", 1)) from cause
        if known.preset is None and hasattr(known, "feature_names_in_"):
            for member in members:
                member.feature_names_in_ = known.feature_names_in_

    # What is learned -----------------------------------------------------------------------------

    @property
    def _first(self) -> Any:
        """The first member; AttributeError before `fit`."""
        return self.estimators_[0]

    @property
    def n_features_in_(self) -> int:
        """The number of columns of X."""
        return int(self._first.n_features_in_)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The columns of X, if it was a data frame."""
        names: np.ndarray = self._first.feature_names_in_
        return names

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of each network."""
        return int(self._first.n_outputs_)

    # Prediction ----------------------------------------------------------------------------------

    def _mean(self, method: str, X: Any) -> np.ndarray:
        """Return the mean of what a method of all members returns, added in their order."""
        check_is_fitted(self, "estimators_")
        found = getattr(self._first, method)(X)
        total = found.astype(np.float64)
        for member in self.estimators_[1:]:
            total += getattr(member, method)(X)
        total /= len(self.estimators_)
        return total.astype(found.dtype, copy=False)

    # Files ---------------------------------------------------------------------------------------

    def to_onnx(self, path: File) -> None:
        """Write the fitted ensemble as one ONNX model, for onnxruntime and other programs.

        Inputs and outputs are those of `to_onnx` of the estimator. The nodes of all members are
        in the model, and those that compute the mean.

        Needs ``pip install "fastmlp[onnx]"``.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for writing

        Raises
        ------
        NotFittedError
        ImportError
            If onnx is missing.
        OSError
            If the file cannot be written.
        ValueError, TypeError
            As `to_onnx` of the estimator. Nothing is written.
        """
        from fastmlp.sklearn import onnx_estimator

        check_is_fitted(self, "estimators_")
        onnx_estimator.save_ensemble(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        member = self._member()
        if isinstance(member, BaseMLP):
            tags.input_tags = member.__sklearn_tags__().input_tags
        return tags


class _Bootstrap:
    """A member whose sample weights count how often each row was drawn."""

    def __init__(self, member: Any):
        self.member = member

    def __repr__(self) -> str:
        return repr(self.member)

    def fit(self, X: Any, y: Any, sample_weight: np.ndarray | None, **arguments: Any) -> None:
        n_samples = y.shape[0]
        source = np.random.RandomState([self.member.random_state, 1])  # other than its weights'
        drawn = source.randint(n_samples, size=n_samples)
        counts = np.bincount(drawn, minlength=n_samples).astype(np.float64)
        weights = counts if sample_weight is None else counts * sample_weight
        self.member.fit(X, y, weights, **arguments)


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
