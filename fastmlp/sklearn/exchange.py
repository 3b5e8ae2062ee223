"""Estimators as models of other programs, and scikit-learn's own as estimators."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
from sklearn import neural_network
from sklearn.utils.validation import check_is_fitted

from fastmlp.argument_types import File
from fastmlp.exchange import layers
from fastmlp.messages import must, shown
from fastmlp.sklearn.classes import classes_of, set_classes
from fastmlp.sklearn.parameters import RENAMED, SCHEDULES, solver_of
from fastmlp.validation import checks

#: The activations of scikit-learn's networks, by their names here.
ACTIVATIONS = {"identity": "identity", "relu": "relu", "tanh": "tanh"} | {
    ours: theirs for theirs, ours in RENAMED.items()
}
#: What a fit leaves, besides weights and classes, in both.
RECORDS = (
    "n_features_in_", "feature_names_in_", "n_layers_", "n_outputs_", "out_activation_", "n_iter_",
    "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_",
    "_no_improvement_count",
)  # fmt: skip
#: Values of parameters that scikit-learn has as well.
THEIR_VALUES = {
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": (*SCHEDULES,),
    "loss": ("squared_error", "poisson"),
}


class ExchangedEstimator:
    """The methods of the estimators that convert."""

    @property
    def _has_preset(self) -> bool:
        """Whether the last fit was with a preset; of `BaseMLP`."""
        raise NotImplementedError

    def to_onnx(self, path: File) -> None:
        """Write the fitted estimator as an ONNX model, for onnxruntime and other programs.

        The model has the same outputs as those of skl2onnx. A classifier has `label`, what
        `predict` returns: int64, text, bool or double, as `classes_` are; and `probabilities`, what
        `predict_proba` returns. A regressor has `variable` of shape (n_samples, n_outputs). The
        number of samples is open. The model has opset 17 and IR version 8.

        Its input is `X` of shape (n_samples, n_features), of the type of the network. With
        ``preset="tabular"`` the encoding of the columns belongs to the model. Its inputs are then
        the columns of the data frame that the estimator was fitted on, by name, each of shape
        (n_samples, 1): text as text, numbers and booleans as double, NaN where they are missing.
        Text that is missing is any text that the training data did not have. Columns that the
        encoder leaves out are no inputs. After a fit on an array of numbers the input is one
        matrix `X`, double; on an array with text, columns are named x0, x1 and so on.

        Needs ``pip install "fastmlp[onnx]"``. Use `register_skl2onnx` for pipelines.

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
            For more than 2 GB of parameters, for classes of other types, and for columns with the
            name of an output. Nothing is written.

        Notes
        -----
        Without a preset, NaN is not refused. Predictions differ by rounding.

        Examples
        --------
        >>> import io
        >>> import onnxruntime
        >>> import pandas as pd
        >>> from fastmlp.sklearn import MLPClassifier
        >>> table = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "colour": ["red", None] * 2})
        >>> model = MLPClassifier(preset="tabular", max_iter=50, random_state=0)
        >>> file = io.BytesIO()
        >>> model.fit(table, ["a", "a", "b", "b"]).to_onnx(file)
        >>> session = onnxruntime.InferenceSession(file.getvalue())
        >>> [(each.name, each.type, each.shape) for each in session.get_inputs()]
        [('size', 'tensor(double)', [None, 1]), ('colour', 'tensor(string)', [None, 1])]
        >>> label, probabilities = session.run(None, {"size": [[1.5]], "colour": [["red"]]})
        >>> label.shape, probabilities.shape
        ((1,), (1, 2))
        """
        from fastmlp.sklearn import onnx_estimator

        check_is_fitted(self, "coefs_")
        onnx_estimator.save_estimator(self, path)

    def to_torch(self, *, logits: bool = False) -> Any:
        """Return a ``torch.nn.Sequential`` with the same parameters, in evaluation mode.

        Its output is the probability of each class, or of the second of two, or the prediction of
        a regressor. With a preset, it takes the rows that ``encoder_.transform`` returns, and a
        regressor predicts ``(y - target_center_) / target_scale_``.

        Parameters
        ----------
        logits : bool, default=False
            Whether to leave out Softmax, Sigmoid or exp at the end.

        Returns
        -------
        module : torch.nn.Sequential

        Raises
        ------
        NotFittedError
        ImportError
            If PyTorch is missing.
        """
        from fastmlp.exchange import torch_modules

        check_is_fitted(self, "coefs_")
        checks.flag("logits", logits)
        return torch_modules.to_module(layers.of_state(_state_of(self)), logits)

    def to_safetensors(self, path: File) -> None:
        """Write the parameters as a safetensors file with the keys of ``to_torch().state_dict()``.

        `fastmlp.MLP.from_safetensors` reads it; `save` writes the whole estimator.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for writing

        Raises
        ------
        NotFittedError
        ImportError
            If safetensors is missing.
        OSError
            If the file cannot be written.
        """
        from fastmlp.exchange import safetensors_files

        check_is_fitted(self, "coefs_")
        state = _state_of(self)
        safetensors_files.save(layers.of_state(state), state.settings.loss, path)

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """Return the fitted estimator of scikit-learn as one of this class.

        It has the same parameters, weights, classes and records, as copies; predictions differ by
        rounding. The state of the solver is not kept: `partial_fit` and ``warm_start`` begin with a
        new one.

        Parameters
        ----------
        estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
            Of the same name as this class, fitted.

        Returns
        -------
        estimator : object

        Raises
        ------
        TypeError
            For other objects.
        NotFittedError

        Examples
        --------
        >>> from sklearn import neural_network
        >>> from sklearn.datasets import load_iris
        >>> from fastmlp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> theirs = neural_network.MLPClassifier(8, solver="lbfgs", tol=0.1, random_state=0)
        >>> ours = MLPClassifier.from_sklearn(theirs.fit(X, y))
        >>> bool((ours.predict(X) == theirs.predict(X)).all())
        True
        """
        kind: Any = _theirs(cls)
        if not isinstance(estimator, kind):
            requirement = f"be a fitted sklearn.neural_network.{kind.__name__}"
            raise TypeError(must("estimator", requirement, shown(estimator)))
        check_is_fitted(estimator, "coefs_")
        known = inspect.signature(cls).parameters
        given = estimator.get_params(deep=False)
        made: Any = cls(**{name: value for name, value in given.items() if name in known})
        _copy(estimator, made)
        if made.solver != "lbfgs":
            made._optimizer = solver_of(made)
        _state_of(made)
        return made

    def to_sklearn(self) -> Any:
        """Return this fitted estimator as scikit-learn's class of the same name.

        It has the same weights, classes and records, as copies; predictions differ by rounding.
        Parameters that matter only in training keep their values if scikit-learn has them, and are
        otherwise its defaults: dropout, and solvers, schedules and losses of `fastmlp`.

        Returns
        -------
        estimator : sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        NotFittedError
        ValueError
            If scikit-learn cannot predict the same: for a preset and for other activations than
            identity, logistic, tanh and relu.
        """
        check_is_fitted(self, "coefs_")
        if self._has_preset:
            raise ValueError(must("preset", "be None for scikit-learn's networks", "'tabular'"))
        kind: Any = _theirs(type(self))
        settings = _state_of(self).settings
        names = {*settings.activation}
        if len(names) > 1 or not names <= {*ACTIVATIONS}:
            requirement = f"be one of {', '.join(ACTIVATIONS.values())} for scikit-learn's networks"
            raise ValueError(must("activation", requirement, shown(settings.activation)))
        known = inspect.signature(kind).parameters
        if getattr(self, "out_activation_", "") == "exp" and "loss" not in known:
            raise ValueError(
                must("loss", "be squared_error for scikit-learn before 1.7", "poisson")
            )
        given = {
            name: value
            for name, value in self.get_params(deep=False).items()  # type: ignore[attr-defined]
            if name in known and _is_theirs(name, value)
        }
        given["activation"] = ACTIVATIONS[names.pop()] if names else "relu"
        made = kind(**given)
        _copy(self, made)
        return made


def _state_of(estimator: Any) -> Any:
    return estimator._tie().state


def _theirs(cls: type) -> type:
    """Return scikit-learn's class for one of this package."""
    for each in cls.__mro__:
        found = getattr(neural_network, each.__name__, None)
        if found is not None:
            return found
    raise TypeError(f"{cls.__name__} is no class of fastmlp.sklearn")


def _is_theirs(name: str, value: Any) -> bool:
    """Whether scikit-learn has this value of a parameter."""
    if name == "verbose":
        return value != "bar"
    return name not in THEIR_VALUES or (isinstance(value, str) and value in THEIR_VALUES[name])


def _copy(source: Any, target: Any) -> None:
    """Give an estimator copies of what another one has learned."""
    target.coefs_ = [np.array(coefs, order="C") for coefs in source.coefs_]
    target.intercepts_ = [np.array(intercepts) for intercepts in source.intercepts_]
    for name in RECORDS:
        if name in vars(source):
            value = vars(source)[name]
            is_mutable = isinstance(value, (list, np.ndarray))
            setattr(target, name, value.copy() if is_mutable else value)
    if hasattr(source, "classes_"):
        kind, classes, is_sparse = classes_of(source)
        set_classes(target, kind, classes.copy(), is_sparse)
