"""What both estimators have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.core.equations.losses import Targets
from fastmlp.core.machine.shares import raise_if_stopped
from fastmlp.core.run import NotFinite
from fastmlp.messages import must, shown
from fastmlp.random_sources import is_global, random_position, return_to_position
from fastmlp.sklearn import draws, fitting, inputs, lbfgs, parameters, stopping
from fastmlp.sklearn.estimator_files import SavedEstimator
from fastmlp.sklearn.exchange import ExchangedEstimator
from fastmlp.sklearn.fit_tasks import CallbackSupportMixin, FitTasks, with_callbacks
from fastmlp.sklearn.preset import Split, in_effect, split
from fastmlp.sklearn.tied import TyingEstimator, sizes_of, type_of
from fastmlp.validation import checks


class Encoded(NamedTuple):
    """Targets as the network takes them."""

    targets: Targets
    n_outputs: int
    strata: np.ndarray | None  # what early stopping stratifies by; None for nothing


class Validation(NamedTuple):
    """Validation data that was passed to fit."""

    X: Any
    y: Any
    sample_weight: Any


class BaseMLP(
    TyingEstimator,
    SavedEstimator,
    ExchangedEstimator,
    CallbackSupportMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """The common part of `MLPClassifier` and `MLPRegressor`."""

    _trains: bool  # whether the call of fit has begun to train
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = parameters.CONSTRAINTS
    preset: str | None = None  # which estimators of earlier pickles lack

    @property
    def _has_preset(self) -> bool:
        """Whether the last fit, or one that has begun, was with a preset."""
        return "preset_parameters_" in vars(self)

    #: What takes columns that are no numbers.
    _for_tables: ClassVar[str] = "preset='tabular'"

    # Of subclasses -------------------------------------------------------------------------------

    def _learn_targets(self, y: Any, incremental: bool) -> None:
        """Learn the classes of y, or check that they are known."""

    def _check_known(self, y: Any) -> None:
        """Raise ValueError if y has other classes than the training data."""

    def _encoded(self, y: Any, dtype: Any) -> Encoded:
        """Return checked targets as the network takes them."""
        raise NotImplementedError

    def _learn_scale(self, y: Any, weights: np.ndarray | None) -> None:
        """Learn how a preset scales y."""

    def _class_weights(self, y: Any) -> np.ndarray | None:
        """Return the weight of the class of each sample; None for weights of 1."""
        return None

    def _output_activation(self) -> str:
        """Return the name of the output activation."""
        raise NotImplementedError

    def _network_loss(self) -> Any:
        """Return the loss as one of `fastmlp.losses`."""
        raise NotImplementedError

    def _score_of(self, outputs: np.ndarray, targets: Targets) -> float:
        """Return the validation score of early stopping."""
        raise NotImplementedError

    # Training ------------------------------------------------------------------------------------

    @with_callbacks
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
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 stays float32, everything else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Validation data: its loss after each epoch is in `validation_loss_curve_`, and
            `early_stopping` uses it instead of a part of X.

        Returns
        -------
        self : object
            The trained estimator.

        Warns
        -----
        ConvergenceWarning
            If training ended before it had converged.

        Raises
        ------
        ValueError
            For invalid parameters or data, and if a loss or a weight becomes NaN or infinite.
        """
        parameters.check(self)
        validation = None
        if X_val is not None or y_val is not None or sample_weight_val is not None:
            if X_val is None or y_val is None:
                missing = "X_val" if X_val is None else "y_val"
                raise ValueError(must(missing, "be passed together with validation data", "None"))
            validation = Validation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, incremental=False, validation=validation)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        incremental: bool,
        validation: Validation | None = None,
        begin: Callable[[], None] | None = None,
    ) -> Self:
        raise_if_stopped()  # as in a search, of which Ctrl-C has ended the last fit
        with undone_before_training(self):
            if begin is not None:
                begin()
            return self._fit_or_raise(X, y, sample_weight, incremental, validation)

    def _fit_or_raise(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, validation: Validation | None
    ) -> Self:
        parameters.hidden_sizes(self.hidden_layer_sizes)  # an error before those of X and y
        self._refuse(incremental, validation)
        is_first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        self._refuse_another_preset(is_first)
        reset = is_first or not hasattr(self, "n_features_in_")
        X, y = inputs.rows_and_targets(self, X, y, reset, validation is not None)
        self._learn_targets(y, incremental)
        self.out_activation_ = self._output_activation()
        weights = inputs.weights_of(sample_weight, X.shape[0])
        class_weights = self._class_weights(y)
        self._random_state = inputs.random_source(self)
        parts = None
        if self._has_preset:
            parts = self._parts(y, validation)
            X = self._learned_table(X, y, weights, parts, reset)
        dtype = X.dtype if is_first else type_of(self.coefs_)
        encoded = self._encoded(y, dtype)
        self._begin_network(X.shape[1], encoded.n_outputs, dtype, is_first)
        samples = fitting.Samples(X, encoded.targets, weights, class_weights, encoded.strata, parts)
        has_epochs = self.solver != "lbfgs"
        tasks = None
        if not incremental:
            tasks = FitTasks(self, int(in_effect(self).max_iter) * has_epochs, X, y, sample_weight)
        if has_epochs:
            held_out = self._held_out(validation, dtype)
            fitting.fit_stochastic(self, samples, held_out, tasks)
        else:
            fitting.fit_lbfgs(self, samples)
        if tasks is not None:
            tasks.end()
        return self

    def _refuse(self, incremental: bool, validation: Validation | None) -> None:
        """Raise an error for what cannot be combined."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        class_weight = getattr(self, "class_weight", None)
        if incremental and isinstance(class_weight, str):
            raise ValueError(
                must("class_weight", "be a dict or None for partial_fit", shown(class_weight))
            )
        if validation is not None and self.solver == "lbfgs":
            raise ValueError(must("X_val", "be None if solver='lbfgs'", "validation data"))
        if self.preset is not None and self.solver == "lbfgs":
            requirement = f"be trained by minibatches if preset={self.preset!r}"
            raise ValueError(must("solver", requirement, "'lbfgs'"))
        if incremental and self.learning_rate == parameters.CYCLIC:
            raise ValueError(
                must("learning_rate", "have no end for partial_fit", "'cyclic_cosine'")
            )

    def _refuse_another_preset(self, is_first: bool) -> None:
        """Raise ValueError if training would continue with a preset that it began without."""
        known = "tabular" if self._has_preset else None
        if not is_first and self.preset != known:
            requirement = f"be {known!r}, as in the last fit, if warm_start=True"
            raise ValueError(must("preset", requirement, shown(self.preset)))

    def _begin_network(self, n_inputs: int, n_outputs: int, dtype: Any, is_first: bool) -> None:
        """Draw a new network, or check that the present one has these outputs."""
        self.n_outputs_ = n_outputs
        if is_first:
            hidden = parameters.hidden_sizes(in_effect(self).hidden_layer_sizes)
            self._initialize([n_inputs, *hidden, n_outputs], dtype)
        elif self.coefs_[-1].shape[1] != n_outputs:
            raise ValueError(
                f"y has {n_outputs} outputs, but {type(self).__name__} was fitted with "
                f"{self.coefs_[-1].shape[1]}"
            )
        self.n_layers_ = len(self.coefs_) + 1

    def _initialize(self, sizes: list[int], dtype: Any) -> None:
        """Draw weights and biases, and begin all records."""
        activation = in_effect(self).activation
        drawn = draws.initial_parameters(sizes, activation, self._random_state)
        self.coefs_ = [coefs.astype(dtype, copy=False) for coefs, _ in drawn]
        self.intercepts_ = [intercepts.astype(dtype, copy=False) for _, intercepts in drawn]
        self.n_iter_ = self.t_ = 0
        for name in ("_optimizer", "_memory", "_tied", "validation_loss_curve_", "metadata_"):
            self.__dict__.pop(name, None)
        if self.solver != "lbfgs":
            stopping.start_records(self)

    def _parts(self, y: Any, validation: Validation | None) -> Split | None:
        """Draw which samples a preset holds out; None if it holds out none."""
        used = in_effect(self)
        if validation is not None or not used.early_stopping:
            return None
        strata = y if is_classifier(self) and y.ndim == 1 else None
        return split(y.shape[0], self._random_state, used.validation_fraction, strata)

    def _learned_table(
        self, X: Any, y: Any, weights: np.ndarray | None, parts: Split | None, reset: bool
    ) -> np.ndarray:
        """Return the encoded rows of a table; `reset` learns from those that are trained on."""
        rows = None if parts is None else parts.rows
        if reset and rows is not None:
            self._learn_scale(y[rows], None if weights is None else weights[rows])
        elif reset:
            self._learn_scale(y, weights)
        return inputs.encoded(self, X, reset, rows)

    def _held_out(self, validation: Validation | None, dtype: Any) -> fitting.Samples | None:
        """Return the validation data that was passed to fit, checked."""
        if validation is None:
            return None
        X, y = inputs.rows_and_targets(self, validation.X, validation.y, reset=False)
        if self._has_preset:
            X = inputs.encoded(self, X)
        self._check_known(y)
        encoded = self._encoded(y, dtype)
        name = "sample_weight_val"
        weights = inputs.weights_of(validation.sample_weight, X.shape[0], name)
        return fitting.Samples(X, encoded.targets, weights, weight_name=name)

    def _has_partial_fit(self) -> bool:
        if self.preset is not None or self._has_preset:
            raise AttributeError(
                "partial_fit is not available with a preset, which needs all samples: encode them "
                "with a TableEncoder and use a new estimator with preset=None"
            )
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
            )
        return True

    def _loss_grad_lbfgs(
        self, packed: np.ndarray, X: Any, y: Any, sample_weight: Any = None, *scratch: Any
    ) -> tuple[float, np.ndarray]:
        """Return the loss of the samples and its gradient, for packed parameters.

        Parameters
        ----------
        packed : array
            All `coefs_`, then all `intercepts_`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array of shape (n_samples, n_outputs)
            One column for each output, as `LabelBinarizer` encodes classes.
        sample_weight : array of shape (n_samples,), default=None
        *scratch
            Ignored: scikit-learn passes arrays to overwrite.
        """
        sizes = sizes_of(self.coefs_)
        settings = fitting.settings_for_lbfgs(self, sizes)
        weights = inputs.weights_of(sample_weight, X.shape[0])
        values = np.ascontiguousarray(y, np.float64).reshape(-1)
        samples = fitting.Samples(X, fitting.values_only(values), weights)
        return lbfgs.Objective(settings, samples.data(settings))(packed)

    # Prediction ----------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the network for the rows of X, (n_samples, n_outputs)."""
        check_is_fitted(self, "coefs_")
        try:
            return self._tie().outputs(inputs.rows(self, X))
        except NotFinite as error:
            with inputs.named_if_not_numbers(self, X):  # raises its error
                validate_data(self, X, accept_sparse=inputs.SPARSE, reset=False)
            dtype = self._tie().state.network.dtype
            raise checks.not_finite("X", error.row, dtype) from None

    # Tags ----------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.preset is None
        tags.input_tags.allow_nan = self.preset is not None
        tags.input_tags.string = tags.input_tags.categorical = self.preset is not None
        return tags


@contextlib.contextmanager
def undone_before_training(estimator: BaseMLP) -> Iterator[None]:
    """Restore an estimator and its source of random numbers after an error before the first step.

    Setting `_trains` to True ends that. The weights need no copy: `fit` begins with a new network,
    and `partial_fit` writes to them only in steps. NumPy's global source is not restored, because
    other threads may have drawn from it meanwhile.
    """
    before = dict(vars(estimator))
    source = estimator.random_state
    is_own = isinstance(source, np.random.RandomState) and not is_global(source)
    position = random_position(source) if is_own else None
    estimator._trains = False
    try:
        yield
    except BaseException:
        if not estimator._trains:
            estimator.__dict__.clear()
            estimator.__dict__.update(before)
            if is_own:
                return_to_position(source, position)
        raise
    finally:
        estimator.__dict__.pop("_trains", None)
