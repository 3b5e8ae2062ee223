"""A network as plain values and arrays, and back (floor 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp import random_sources
from fastmlp.losses import LOSSES
from fastmlp.messages import short, shown
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import as_plain, from_plain
from fastmlp.schedules import SCHEDULES
from fastmlp.serialization import files, npz_format, schema

FORMAT = "fastmlp network"
FORMAT_VERSION = 3  # 2 brought input_shift and input_scale, 3 `MLP` and checkpoints

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
        "feature_names": model._feature_names,
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
        with contextlib.suppress(TypeError):  # a schedule of a function, which no file has
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
    """Make `model` the network of `plain`, whatever it was; draw nothing."""
    arguments = {
        name: from_plain(value, KINDS[name]) if isinstance(value, dict) else value
        for name, value in state["arguments"].items()
    }
    model._is_restored = True
    model._kind.__init__(model, arguments.pop("layers"), **arguments, random_state=0)
    del model._is_restored
    model._random = state["random_state"]
    restore(model, state)


def restore(model: Any, state: dict[str, Any]) -> None:
    """Bring the parameters and all that training changes to where `plain` found them."""
    own = model._state
    _fill([*own.network.weights, *own.network.biases], [*state["weights"], *state["biases"]])
    for name, flat in own.moments().items():
        _fill([view for views in own.network.views(flat) for view in views], state["moments"][name])
    own.descent.state, own.seen, own.key = state["descent"], state["seen"], state["key"]
    model.history_, model._fitted = state["history_"], state["fitted"]
    model._feature_names = state.get("feature_names")


def _fill(views: list[np.ndarray], arrays: list[np.ndarray]) -> None:
    for view, array in zip(views, arrays, strict=True):
        for j in range(0, len(view), 64):  # the view is transposed: few rows stay in the cache
            view[j : j + 64] = array[j : j + 64]


# Files --------------------------------------------------------------------------------------------


def save(state: dict[str, Any], path: Any) -> None:
    """Write what `plain` returned, perhaps with a checkpoint, to a path or an open file.

    Raises
    ------
    ValueError, TypeError
        For what `read` would refuse. Nothing is written.
    """
    state = state | {"random_state": random_sources.plain(state["random_state"])}
    schema.checked(state)
    with files.written(path) as file:
        npz_format.write(file, {"format": FORMAT, "format_version": FORMAT_VERSION} | state)


def read(path: Any) -> dict[str, Any]:
    """Return what `save` wrote; ValueError for any other file or a newer format."""
    with files.opened(path) as file:
        try:
            return schema.checked(npz_format.read(file, _of_this_version))
        except NewerFormat as error:
            raise ValueError(f"{path} {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # a damaged file raises errors of every kind
            raise not_a_network(path, error) from None


class NewerFormat(Exception):
    """A file was written by a later release."""


def _of_this_version(state: Any) -> dict[str, Any]:
    """Return the JSON of a file in this release's format, without what says the format."""
    known, version = state.pop("format") == FORMAT, state.pop("format_version")
    if not known or type(version) is not int or version < 1:
        raise ValueError("it has another format")
    if version > FORMAT_VERSION:
        raise NewerFormat(
            f"has format version {version}; this release reads up to {FORMAT_VERSION}"
        )
    return state if version == 3 else _of_version_2(state)


def _of_version_2(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a file from when there was `NeuralNet` alone."""
    n_layers = len(state["layers"]) - 1
    names = ("layers", "learning_rate", "reg_lambda", "output_activation", "dtype", "n_threads")
    optional = {"input_shift": 0.0, "input_scale": 1.0}  # which version 1 has not
    parameters = {
        kind: [{npz_format.ARRAY: f"{kind}_{l}"} for l in range(n_layers)]
        for kind in ("weights", "biases")
    }
    return parameters | {
        "class": "NeuralNet",
        "arguments": {name: state[name] for name in names}
        | {name: state.get(name, default) for name, default in optional.items()},
        "random_state": state["random_state"],
        "history_": state["history_"],
        "fitted": True,
        "moments": {},
        "descent": {"taken": 0, "powers": [1.0, 1.0], "rate_factor": 1.0},
        "seen": 0,
        "key": 0,
    }


def not_a_network(
    path: Any, reason: Exception | None = None, accepted: str = "a network saved by fastmlp"
) -> ValueError:
    """Return the refusal of a file that holds something else."""
    why = f": {short(str(reason), 120)}" if reason and str(reason) else ""
    return ValueError(f"{short(str(path), 200)} is not {accepted}, which is accepted{why}")


def loaded(classes: Sequence[Any], path: Any) -> Any:
    """Return the network in a file, of that of the classes that it names.

    Raises
    ------
    ValueError
        For a file of another kind, and one that holds another class.
    """
    state = read(path)
    kinds = {cls._kind.__name__: cls for cls in classes}
    cls = kinds.get(state["class"])
    if cls is None:
        raise ValueError(
            f"{short(str(path), 200)} holds a network of class {state['class']}; "
            f"accepted is {' or '.join(kinds)}"
        )
    try:
        state["random_state"] = random_sources.from_plain(state["random_state"])
        return made(cls, state)
    except Exception as error:  # of the arguments
        raise not_a_network(path, error) from None


def checkpoint(model: Any, path: Any, same: dict[str, Any]) -> dict[str, Any]:
    """Return what a run goes on from: the network's state, and that of its `Fit`.

    Raises
    ------
    FileNotFoundError
    ValueError
        For a file of another kind, or written by a run with other data or arguments: `same` says
        which of the fit must be equal.
    """
    state = read(path)
    if "fit" not in state:
        raise not_a_network(path, accepted="a checkpoint of a fit")
    mine, found = plain(model), state["fit"]
    compared = {"class": state["class"], **state["arguments"]}
    compared |= {name: found[name] for name in same}
    wanted = {"class": mine["class"], **mine["arguments"], **same}
    for name in wanted:
        if name in RELEVANT | set(same) and compared.get(name) != wanted[name]:
            raise ValueError(
                f"resume is {short(repr(str(path)), 200)} with {name} "
                f"{shown(compared.get(name))}, this fit has {shown(wanted[name])}; accepted is the "
                "checkpoint of an equal one"
            )
    return found | {"model": state}


def assignable(model: Any) -> dict[str, Any]:
    """Return the settings that a callback may assign, and that later steps depend on.

    Not a learning rate that is a function of the user's own: files have its next value alone.
    """
    values = {name: v for name, v in model._arguments().items() if name in ASSIGNABLE}
    return {
        name: _plain(name, value, model)
        for name, value in values.items()
        if not callable(value) or type(value) in KINDS["learning_rate"].values()
    }


def assign(model: Any, began_with: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Assign what callbacks had assigned when a checkpoint was written.

    Settings that this model began with on purpose, other than those that the fit of the checkpoint
    `began_with`, are left. ValueError for what a file has in place of a setting.
    """
    own = assignable(model)
    changed = {
        name: arguments[name]
        for name, value in own.items()
        if name in began_with and began_with[name] == value != arguments[name]
    }
    before = {name: getattr(model, name) for name in changed}
    try:
        for name, value in changed.items():
            kinds = KINDS.get(name, {})
            setattr(model, name, from_plain(value, kinds) if isinstance(value, dict) else value)
    except Exception as error:
        for name, value in before.items():
            setattr(model, name, value)
        raise ValueError(
            f"resume is a checkpoint with a setting of no use ({short(str(error), 120)}); accepted "
            "is one that fastmlp wrote"
        ) from None


#: Settings on which steps depend and that may be assigned while they are taken.
ASSIGNABLE = {
    "learning_rate", "l2", "l1", "max_norm", "dropout", "input_noise", "clip_norm", "reg_lambda"
}  # fmt: skip
#: What of a network must be equal for a run to go on; the rest may be changed on purpose.
RELEVANT = {
    "class", "layers", "activation", "output_activation", "loss", "optimizer", "dtype"
}  # fmt: skip
