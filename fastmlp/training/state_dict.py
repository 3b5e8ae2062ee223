"""Convert a `State` to plain values and arrays, for files and pickles, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

import numpy as np

from fastmlp import options, random_sources
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.serialization import model_files
from fastmlp.settings import ARGUMENTS
from fastmlp.training.state import State


def kinds(name: str) -> dict[str, Any]:
    """Return the classes of an argument by their names; none for other arguments."""
    if name == "learning_rate":
        from fastmlp.schedules import SCHEDULES  # imported here: most rates are constant

        return SCHEDULES
    named: dict[str, Any] = {"loss": LOSSES, "optimizer": OPTIMIZERS}
    return named.get(name, {})


def to_dict(state: State) -> dict[str, Any]:
    """Return the whole network, independent of the processor."""
    return {
        "class": state.class_name,
        "arguments": plain_arguments(state),
        "random_state": state.random,
        "history_": state.history,
        "fitted": state.is_fitted,
        "feature_names": state.feature_names,
    } | training_to_dict(state)


def training_to_dict(state: State) -> dict[str, Any]:
    """Return what the next steps depend on: parameters, moments, counts and the key."""
    network = state.network
    return {
        "weights": [np.ascontiguousarray(view) for view in network.weights],
        "biases": [view.copy() for view in network.biases],
        "moments": {
            name: [np.ascontiguousarray(view) for views in network.views(flat) for view in views]
            for name, flat in state.optimizer.moments.items()
        },
        "descent": state.optimizer.state,
        "seen": state.rows_seen,
        "key": state.key,
    }


def plain_arguments(state: State) -> dict[str, Any]:
    """Return the arguments, except random_state, as in a file."""
    return {name: _plain(name, value, state) for name, value in state.arguments.items()}


def _plain(name: str, value: Any, state: State) -> Any:
    if type(value) in kinds(name).values():
        with contextlib.suppress(TypeError):  # for a `WarmUp` of a custom function
            return options.to_dict(value, kinds(name))
    if callable(value):  # a custom learning rate: its next value
        return float(value(state.optimizer.taken))
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.name if isinstance(value, np.dtype) else value


def argument(name: str, plain: Any) -> Any:
    """Return the argument for a value of `plain_arguments`."""
    return options.from_dict(plain, kinds(name)) if isinstance(plain, dict) else plain


def from_dict(found: dict[str, Any]) -> State:
    """Return the state for a dict of `to_dict`; arguments are checked again, nothing is drawn."""
    arguments = {name: argument(name, value) for name, value in found["arguments"].items()}
    settings = ARGUMENTS[found["class"]].settings(arguments)
    state = State(settings, found["random_state"], found["class"])
    restore(state, found)
    return state


def restore(state: State, found: dict[str, Any]) -> None:
    """Restore everything that training changes from a dict of `to_dict`."""
    restore_training(state, found)
    state.history, state.is_fitted = found["history_"], found["fitted"]
    state.feature_names = found.get("feature_names")


def restore_training(state: State, found: dict[str, Any]) -> None:
    """Restore what the next steps depend on from a dict of `training_to_dict`."""
    network, optimizer = state.network, state.optimizer
    _fill([*network.weights, *network.biases], [*found["weights"], *found["biases"]])
    for name, flat in optimizer.moments.items():
        _fill([view for views in network.views(flat) for view in views], found["moments"][name])
    optimizer.state, state.rows_seen, state.key = found["descent"], found["seen"], found["key"]


def _fill(views: list[np.ndarray], arrays: list[np.ndarray]) -> None:
    for view, array in zip(views, arrays, strict=True):
        for j in range(0, len(view), 64):  # the view is transposed: a few rows stay in the cache
            view[j : j + 64] = array[j : j + 64]


# Pickles ----------------------------------------------------------------------------------------

#: Attributes of a network that the user did not set.
PRIVATE = {"_state", "_mlp", "_trainer"}


def pickled(state: State, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the argument of `unpickled`, including a learning rate that is a function."""
    others = {name: value for name, value in attributes.items() if name not in PRIVATE}
    return {
        "network": to_dict(state),
        "learning_rate": state.settings.learning_rate,
        "others": others | {"stop_training": state.stop_training},
    }


def unpickled(found: dict[str, Any]) -> State:
    """Return the state from `pickled`; attributes set by the user stay in "others"."""
    state = from_dict(found["network"])
    state.change(learning_rate=found["learning_rate"])
    state.stop_training = found["others"].pop("stop_training", False)
    return state


# Files ------------------------------------------------------------------------------------------


def loaded(path: Any, class_names: Collection[str]) -> State:
    """Return the state of a network of one of the classes from a file.

    Raises
    ------
    FileNotFoundError
    ValueError
        For other files, and for networks of other classes.
    """
    return of_file(path, model_files.read(path), class_names)


def of_file(path: Any, found: dict[str, Any], class_names: Collection[str]) -> State:
    """Return the state of a network for what `model_files.read` found in a file."""
    model_files.check_class(path, found, class_names)
    try:
        found["random_state"] = random_sources.from_dict(found["random_state"])
        return from_dict(found)
    except Exception as error:  # of the arguments
        raise model_files.not_a_network(path, error) from None
