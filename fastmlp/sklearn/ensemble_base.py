"""What the ensembles have in common: their members, and how these are trained."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastmlp.argument_types import File
from fastmlp.many import fit_many
from fastmlp.random_sources import is_global, random_position, return_to_position
from fastmlp.sklearn import inputs, parameters
from fastmlp.sklearn.base import BaseMLP
from fastmlp.sklearn.constraints import Interval
from fastmlp.sklearn.estimator_files import SavedEstimator

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
