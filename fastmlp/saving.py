"""A network as plain values and arrays, and back (floor 4)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp import files
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import as_plain, from_plain
from fastmlp.schedules import SCHEDULES

#: Arguments that are instances of one of some classes.
KINDS: dict[str, Any] = {"loss": LOSSES, "optimizer": OPTIMIZERS, "learning_rate": SCHEDULES}


def plain(model: Any) -> dict[str, Any]:
    """Return all that makes a network, in forms that do not depend on the processor."""
    state = model._state
    arguments = {name: _plain(name, value, model) for name, value in model._arguments().items()}
    return {
        "class": model._kind.__name__,
        "arguments": arguments,
        "random_state": model._random,
        "history_": model.history_,
        "fitted": model._fitted,
        "weights": [np.ascontiguousarray(view) for view in model.weights],
        "biases": [view.copy() for view in model.biases],
        "moments": {
            name: [
                np.ascontiguousarray(view) for views in state.network.views(flat) for view in views
            ]
            for name, flat in state.moments().items()
        },
        "descent": state.descent.state,
        "seen": state.seen,
        "key": state.key,
    }


def _plain(name: str, value: Any, model: Any) -> Any:
    if type(value) in KINDS.get(name, {}).values():
        return as_plain(value, KINDS[name])
    if callable(value):  # a learning rate of the user's own: what it would be next
        return float(value(model._state.descent.taken))
    return value.name if isinstance(value, np.dtype) else value


def made(cls: Any, state: dict[str, Any]) -> Any:
    """Return the network of `plain`; its arguments are checked once more."""
    model = cls.__new__(cls)
    remake(model, state)
    return model


def remake(model: Any, state: dict[str, Any]) -> None:
    """Make `model` the network of `plain`, whatever it was."""
    arguments = {
        name: from_plain(value, KINDS[name]) if isinstance(value, dict) else value
        for name, value in state["arguments"].items()
    }
    model._kind.__init__(model, arguments.pop("layers"), **arguments, random_state=0)
    model._random = state["random_state"]
    restore(model, state)


def restore(model: Any, state: dict[str, Any]) -> None:
    """Bring the parameters and all that training changes to where `plain` found them."""
    own = model._state
    model.weights, model.biases = state["weights"], state["biases"]
    for name, flat in own.moments().items():
        views = [view for views in own.network.views(flat) for view in views]
        for view, array in zip(views, state["moments"][name], strict=True):
            view[...] = array
    own.descent.state, own.seen, own.key = state["descent"], state["seen"], state["key"]
    model.history_, model._fitted = state["history_"], state["fitted"]


def loaded(classes: Sequence[Any], path: str | os.PathLike) -> Any:
    """Return the network in a file, of that of the classes that it names.

    Raises
    ------
    ValueError
        For a file of another kind, and one that holds another class.
    """
    state = files.load_state(path)
    kinds = {cls._kind.__name__: cls for cls in classes}
    try:
        cls = kinds.get(state["class"])
        if cls is not None:
            return made(cls, state)
    except Exception:
        raise files.not_a_network(path) from None
    raise ValueError(
        f"{path} holds a network of class {state['class']}; accepted is {' or '.join(kinds)}"
    )


def checkpoint(model: Any, path: str | os.PathLike, same: dict[str, Any]) -> dict[str, Any]:
    """Return what a run goes on from: the network's state, and that of its `Fit`.

    Raises
    ------
    FileNotFoundError
    ValueError
        For a file of another kind, or written by a run with other data or arguments: `same` says
        which of the fit must be equal.
    """
    state = files.load_state(path)
    mine = plain(model)
    try:
        found = state["fit"]
        compared = {"class": state["class"], **state["arguments"]}
        compared |= {name: found[name] for name in same}
    except (KeyError, TypeError):
        raise files.not_a_network(path, "a checkpoint of a fit") from None
    wanted = {"class": mine["class"], **mine["arguments"], **same}
    for name in wanted:
        if name in RELEVANT | set(same) and compared.get(name) != wanted[name]:
            raise ValueError(
                f"resume is {str(path)!r} with {name} {compared.get(name)!r}, this fit has "
                f"{wanted[name]!r}; accepted is the checkpoint of an equal one"
            )
    return found | {"model": state}


#: What of a network must be equal for a run to go on; the rest may be changed on purpose.
RELEVANT = {
    "class", "layers", "activation", "output_activation", "loss", "optimizer", "dtype"
}  # fmt: skip
