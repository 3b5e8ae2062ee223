"""Model files, in all versions of the format."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastmlp import random_sources
from fastmlp.messages import must, short
from fastmlp.serialization import estimator_schema, files, npz_format, schema
from fastmlp.serialization.estimator_schema import ENSEMBLES, ESTIMATORS

FORMAT = "fastmlp network"
#: 2 added input_shift and input_scale, 3 `MLP` and checkpoints, 4 estimators. Networks are written
#: as version 3, which earlier releases read.
FORMAT_VERSION, VERSION_OF_NETWORKS = 4, 3


def save(state: dict[str, Any], path: Any) -> None:
    """Write the dict of a network, and of a checkpoint if there is one, to a path or an open file.

    Raises
    ------
    ValueError, TypeError
        For values that `read` would not accept. Nothing is written.
    """
    state = state | {"random_state": random_sources.to_dict(state["random_state"])}
    _write(state, VERSION_OF_NETWORKS, path)


def save_estimator(state: dict[str, Any], path: Any) -> None:
    """Write the dict of an estimator, see `estimator_schema`, as `save` does."""
    _write(state, FORMAT_VERSION, path)


def _write(state: dict[str, Any], version: int, path: Any) -> None:
    _checked(state)
    with files.open_for_writing(path) as file:
        npz_format.write(file, {"format": FORMAT, "format_version": version} | state)


def _checked(state: Any) -> dict[str, Any]:
    is_estimator = isinstance(state, dict) and state.get("class") in (*ESTIMATORS, *ENSEMBLES)
    return (estimator_schema if is_estimator else schema).checked(state)


def read(path: Any) -> dict[str, Any]:
    """Return what `save` or `save_estimator` wrote; ValueError for any other or newer file."""
    with files.open_for_reading(path) as file:
        try:
            return _checked(npz_format.read(file, _of_this_version))
        except NewerFormat as error:
            requirement = f"have format version {FORMAT_VERSION} or lower"
            got, advice = f"{error} in {short(str(path), 150)}", "upgrade fastmlp to read it"
            raise ValueError(must("path", requirement, got, advice)) from None
        except MemoryError:
            raise
        except Exception as error:  # damaged files raise errors of many kinds
            raise not_a_network(path, error) from None


class NewerFormat(Exception):
    """The version of a file that a later release wrote."""


def _of_this_version(state: Any) -> dict[str, Any]:
    """Return the JSON of a file, converted to the format of this release."""
    known, version = state.pop("format") == FORMAT, state.pop("format_version")
    if not known or type(version) is not int or version < 1:
        raise ValueError("it has an unknown format")
    if version > FORMAT_VERSION:
        raise NewerFormat(version)
    return state if version >= 3 else _of_version_2(state)


def _of_version_2(state: dict[str, Any]) -> dict[str, Any]:
    """Convert a file of version 1 or 2, which have `NeuralNet` only."""
    n_layers = len(state["layers"]) - 1
    names = ("layers", "learning_rate", "reg_lambda", "output_activation", "dtype", "n_threads")
    optional = {"input_shift": 0.0, "input_scale": 1.0}  # missing in version 1
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


def check_class(path: Any, found: dict[str, Any], names: Collection[str]) -> None:
    """Raise ValueError if a file has another class than these."""
    if found["class"] not in names:
        requirement = f"hold a network of class {' or '.join(names)}"
        got = f"{found['class']} in {short(str(path), 150)}"
        raise ValueError(must("path", requirement, got))


def not_a_network(
    path: Any, reason: Exception | None = None, wanted: str = "a network saved by fastmlp"
) -> ValueError:
    """Return the error for a file with other contents."""
    text = str(reason or "").rstrip(".")
    why = f" ({short(text, 120)})" if text else ""
    return ValueError(must("path", f"be {wanted}", f"{short(str(path), 150)}{why}"))
