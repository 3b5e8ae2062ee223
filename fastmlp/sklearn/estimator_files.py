"""Files of estimators, see `fastmlp.serialization.estimator_schema`."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastmlp import losses, optimizers, options, random_sources, schedules
from fastmlp.argument_types import File
from fastmlp.messages import must, shown
from fastmlp.metrics import chosen_metrics
from fastmlp.serialization import model_files
from fastmlp.serialization.estimator_schema import ENSEMBLES, ESTIMATORS, RECORDS
from fastmlp.sklearn import parameters
from fastmlp.sklearn.classes import classes_of, set_classes
from fastmlp.sklearn.columns import Column
from fastmlp.sklearn.encoder import TableEncoder
from fastmlp.sklearn.scaling import checked_quantiles
from fastmlp.sklearn.tied import TiedState, sizes_of
from fastmlp.validation import checks

#: Options that a file has by their names and fields.
KINDS: dict[str, dict[str, Any]] = {
    "optimizer": optimizers.OPTIMIZERS,
    "loss": losses.LOSSES,
    "schedule": schedules.SCHEDULES,
}
TARGET_SCALING = ("center", "scale")
MEMBER = "estimator"  # the parameter of an ensemble that is an estimator


class SavedEstimator:
    """`save` and `load` of the estimators."""

    def save(self, path: File, metadata: dict[str, Any] | None = None) -> None:
        """Save the fitted estimator to one ``.npz`` file, atomically and without pickle.

        `load` and `fastmlp.load` restore its parameters, its attributes and the state of its
        solver, bit by bit.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for writing
        metadata : dict, optional
            Numbers, text, True, False, None, and lists and dicts of them, which become `metadata_`
            of the estimator that is loaded. By default its present `metadata_`.

        Raises
        ------
        NotFittedError
        OSError
            If the file cannot be written.
        ValueError, TypeError
            For values that cannot be saved, such as a function as `learning_rate`. Nothing is
            written.
        """
        if metadata is None:
            metadata = getattr(self, "metadata_", {})
        model_files.save_estimator(to_dict(self, metadata), path)

    @classmethod
    def load(cls, path: File) -> Self:
        """Return the estimator that `save` wrote, without trusting the file.

        Parameters
        ----------
        path : str, os.PathLike or a binary file open for reading

        Returns
        -------
        estimator : object
            Of this class; `metadata_` is the dict that was saved with it.

        Raises
        ------
        FileNotFoundError
        ValueError
            For other files, estimators of the other class, and later formats.
        """
        found = model_files.read(path)
        model_files.check_class(path, found, (_public_class(cls).__name__,))
        return loaded(path, found, cls)


def _public_class(cls: type) -> Any:
    """Return the public class of `fastmlp.sklearn` that `cls` is or inherits from."""
    names, here = {**ESTIMATORS, **ENSEMBLES}, "fastmlp.sklearn."
    return next(
        each for each in cls.__mro__ if each.__name__ in names and each.__module__.startswith(here)
    )


# To plain values ----------------------------------------------------------------------------------


def to_dict(estimator: Any, metadata: Any) -> dict[str, Any]:
    """Return a fitted estimator or ensemble as plain values and arrays."""
    if _public_class(type(estimator)).__name__ in ENSEMBLES:
        return _ensemble(estimator, metadata)
    check_is_fitted(estimator, "coefs_")
    _check_outputs(estimator)
    kind, known = _public_class(type(estimator)), vars(estimator)
    plain = _parameters(estimator, kind)
    tied: TiedState = estimator._tie()
    memory = tied.memory()
    names, encoder, solver = (
        known.get(name) for name in ("feature_names_in_", "encoder_", "_optimizer")
    )
    return {
        "class": kind.__name__,
        "layers": sizes_of(tied.coefs),
        "dtype": tied.state.network.dtype.name,
        "parameters": plain,
        "n_features": estimator.n_features_in_,
        "feature_names": None if names is None else [str(name) for name in names],
        "coefs": [np.array(coefs, order="C") for coefs in tied.coefs],
        "intercepts": [intercepts.copy() for intercepts in tied.intercepts],
        "out_activation": estimator.out_activation_,
        "targets": _targets(estimator),
        "records": {name: known[name] for name in RECORDS if name in known},
        "solver": None if solver is None else _solver(solver),
        "moments": memory["moments"],
        "descent": memory["optimizer"],
        "seen": memory["seen"],
        "key": memory["key"],
        "encoder": None if encoder is None else _encoder(encoder),
        "preset": None
        if encoder is None
        else {name: _plain(name, value) for name, value in estimator.preset_parameters_.items()},
        "metadata": metadata,
    }


def _ensemble(ensemble: Any, metadata: Any) -> dict[str, Any]:
    check_is_fitted(ensemble, "estimators_")
    kind, member = _public_class(type(ensemble)), ensemble.estimator
    plain = _parameters(ensemble, kind, without=MEMBER)
    return {
        "class": kind.__name__,
        "parameters": plain,
        MEMBER: None if member is None else _parameters(member, _public_class(type(member))),
        "members": [to_dict(each, {}) for each in ensemble.estimators_],
        "metadata": metadata,
    }


def _parameters(estimator: Any, kind: type, without: str = "") -> dict[str, Any]:
    names = [name for name in parameters.names_of(kind) if name != without]
    return {name: _plain(name, getattr(estimator, name)) for name in names}


def _plain(name: str, value: Any) -> Any:
    """Return the value of a parameter for a file; TypeError if it cannot be saved."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, range):
        value = tuple(value)
    elif hasattr(value, "__array__"):  # also a pandas Series
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufU":
            return {"array": value}
        value = value.tolist() if value.dtype.kind == "O" else value
    if isinstance(value, (list, tuple)):
        parts = [_plain(name, part) for part in value]
        return parts if isinstance(value, list) else {"tuple": parts}
    if isinstance(value, dict):
        return {"dict": [[_plain(name, each) for each in item] for item in value.items()]}
    if isinstance(value, np.random.RandomState):
        return {"random_state": random_sources.to_dict(value)}
    for kind, classes in KINDS.items():
        if type(value) in classes.values():
            try:
                return {kind: options.to_dict(value, classes)}
            except TypeError:  # a `WarmUp` of a function
                break
    requirement = "be numbers, text or options of fastmlp to be saved"
    raise TypeError(must(name, requirement, shown(value)))


def _targets(estimator: Any) -> dict[str, Any] | None:
    if hasattr(estimator, "_label_binarizer"):
        kind, classes, is_sparse = classes_of(estimator)
        return {
            "kind": kind,
            "classes": list(classes) if classes.dtype.kind == "O" else classes,
            "sparse": bool(is_sparse),
        }
    if not estimator._has_preset:
        return None
    found = {name: getattr(estimator, f"target_{name}_") for name in TARGET_SCALING}
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def _solver(solver: parameters.Solver) -> dict[str, Any]:
    schedule = solver.schedule
    return {
        "rule": options.to_dict(solver.rule, optimizers.OPTIMIZERS),
        "rate": float(solver.rate),
        "schedule": schedule if isinstance(schedule, str) else _plain("learning_rate", schedule),
        "power": float(solver.power),
        "learning_rate": solver.learning_rate,
    }


def _encoder(encoder: TableEncoder) -> dict[str, Any]:
    given = encoder.get_params()
    plain = {name: _plain(f"encoder.{name}", given[name]) for name in given if name != "dtype"}
    columns = [column._asdict() for column in encoder.columns_]
    return {
        "parameters": plain | {"dtype": np.dtype(encoder.dtype).name},
        "columns": [column | {"categories": list(column["categories"])} for column in columns],
    }


# From plain values --------------------------------------------------------------------------------


def loaded(path: Any, found: dict[str, Any], cls: Any = None) -> Any:
    """Return the estimator for what `model_files.read` found in a file.

    `cls` is its class, if it is not the one that was saved.
    """
    try:
        return _of_dict(_class_of(found["class"]) if cls is None else cls, found)
    except Exception as error:  # of the parameters
        raise model_files.not_a_network(path, error, "an estimator saved by fastmlp") from None


def _class_of(name: str) -> Any:
    from fastmlp import sklearn  # imported here: its classes inherit from one of this module

    return getattr(sklearn, name)


def _of_dict(cls: Any, found: dict[str, Any]) -> Any:
    if found["class"] in ENSEMBLES:
        return _ensemble_of(cls, found)
    estimator, kind = _unfitted(cls, found["parameters"]), _public_class(cls)
    _set_features(estimator, found)
    if found["preset"] is not None:
        estimator.preset_parameters_ = of_preset = {
            name: _value(value) for name, value in found["preset"].items()
        }
        kind(**of_preset)._validate_params()
        parameters.hidden_sizes(of_preset.get("hidden_layer_sizes", ()))
    _set_targets(estimator, found)
    vars(estimator).update(found["records"])
    estimator.out_activation_ = found["out_activation"]
    estimator.coefs_, estimator.intercepts_ = found["coefs"], found["intercepts"]
    estimator.n_layers_, estimator.n_outputs_ = len(found["layers"]), found["layers"][-1]
    if found["solver"] is not None:
        estimator._optimizer = _solver_of(found["solver"])
    estimator._memory = {
        "moments": found["moments"],
        "optimizer": found["descent"],
        "seen": found["seen"],
        "key": found["key"],
    }
    estimator.metadata_ = found["metadata"]
    _check_unconstrained(estimator, estimator._tie())
    return estimator


def _ensemble_of(cls: Any, found: dict[str, Any]) -> Any:
    ensemble, kind = _unfitted(cls, found["parameters"]), _class_of(ENSEMBLES[found["class"]])
    if found[MEMBER] is not None:
        ensemble.estimator = _unfitted(kind, found[MEMBER])
    ensemble.estimators_ = [_of_dict(kind, each) for each in found["members"]]
    ensemble.metadata_ = found["metadata"]
    return ensemble


def _unfitted(cls: Any, given: dict[str, Any]) -> Any:
    """Return an estimator with these parameters, which are checked."""
    estimator, given = cls.__new__(cls), dict(given)
    for name, parameter in inspect.signature(_public_class(cls)).parameters.items():
        setattr(estimator, name, _value(given.pop(name)) if name in given else parameter.default)
    if given:
        raise ValueError(must("parameters", "be those of the class", shown(min(given))))
    estimator._validate_params()
    return estimator


def _check_unconstrained(estimator: Any, tied: TiedState) -> None:
    """Check the parameters that neither scikit-learn's constraints nor the settings cover."""
    parameters.hidden_sizes(estimator.hidden_layer_sizes)
    _check_outputs(estimator)
    weights = getattr(estimator, "class_weight", None)
    if isinstance(weights, dict):
        for weight in weights.values():
            checks.non_negative("class_weight", weight)
    elif weights not in (None, "balanced"):
        raise ValueError(must("class_weight", "be a dict, 'balanced' or None", shown(weights)))
    if estimator.metrics is not None:
        chosen_metrics(estimator.metrics, tied.state.settings.loss.task)
    if estimator.callbacks not in (None, []):
        raise ValueError(must("callbacks", "be None in a file", shown(estimator.callbacks)))


def _check_outputs(estimator: Any) -> None:
    """Check that the loss is one for the outputs that the network was trained for."""
    estimator._network_loss()
    expected = estimator._output_activation()
    if expected != estimator.out_activation_:
        requirement = f"be one for the outputs of the last fit, {estimator.out_activation_!r}"
        raise ValueError(must("loss", requirement, shown(estimator.loss)))


def _value(plain: Any) -> Any:
    """Return the value of a parameter for what `_plain` returned."""
    if isinstance(plain, list):
        return [_value(part) for part in plain]
    if not isinstance(plain, dict):
        return plain
    (kind, value), *_ = plain.items()
    if kind == "array" and isinstance(value, np.ndarray):
        return value
    if kind == "tuple":
        return tuple(map(_value, value))
    if kind == "dict":
        return {_value(key): _value(each) for key, each in value}
    if kind == "random_state":
        return random_sources.from_dict(random_sources.checked_source(kind, value))
    return options.from_dict(value, KINDS[kind])


def _set_features(estimator: Any, found: dict[str, Any]) -> None:
    places = [estimator]
    if found["encoder"] is not None:
        given = {name: _value(value) for name, value in found["encoder"]["parameters"].items()}
        encoder = TableEncoder(**given | {"dtype": np.dtype(given["dtype"]).type})
        encoder._validate_params()
        checked_quantiles("quantile_range", encoder.quantile_range)
        encoder.columns_ = [
            Column(**column | {"categories": tuple(column["categories"])})
            for column in found["encoder"]["columns"]
        ]
        estimator.encoder_ = encoder
        places.append(encoder)
    for place in places:
        place.n_features_in_ = found["n_features"]
        if found["feature_names"] is not None:
            place.feature_names_in_ = np.array(found["feature_names"], object)


def _set_targets(estimator: Any, found: dict[str, Any]) -> None:
    targets = found["targets"]
    if found["class"] == "MLPClassifier":
        set_classes(estimator, targets["kind"], targets["classes"], targets["sparse"])
    elif targets is not None:
        for name in TARGET_SCALING:
            value = targets[name]
            setattr(estimator, f"target_{name}_", np.float64(value) if value.ndim == 0 else value)


def _solver_of(plain: dict[str, Any]) -> parameters.Solver:
    schedule = _value(plain["schedule"])
    is_named = isinstance(schedule, str) and schedule in parameters.SCHEDULES
    if not is_named and not isinstance(schedule, schedules.Schedule):
        raise ValueError(must("solver.schedule", "be a schedule", shown(schedule)))
    rule = options.from_dict(plain["rule"], optimizers.OPTIMIZERS)
    solver = parameters.Solver(rule, plain["rate"], schedule, plain["power"])
    solver.learning_rate = plain["learning_rate"]
    return solver
