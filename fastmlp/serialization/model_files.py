"""Model files, in all versions of the format."""

from __future__ import annotations

from typing import Any

from fastmlp import random_sources
from fastmlp.messages import must, short
from fastmlp.serialization import files, npz_format, schema

FORMAT = "fastmlp network"
FORMAT_VERSION = 3  # 2 added input_shift and input_scale, 3 `MLP` and checkpoints


def save(state: dict[str, Any], path: Any) -> None:
    """Write the dict of a network, and of a checkpoint if there is one, to a path or an open file.

    Raises
    ------
    ValueError, TypeError
        For values that `read` would not accept. Nothing is written.
    """
    state = state | {"random_state": random_sources.to_dict(state["random_state"])}
    schema.checked(state)
    with files.open_for_writing(path) as file:
        npz_format.write(file, {"format": FORMAT, "format_version": FORMAT_VERSION} | state)


def read(path: Any) -> dict[str, Any]:
    """Return what `save` wrote; ValueError for any other file or a newer format."""
    with files.open_for_reading(path) as file:
        try:
            return schema.checked(npz_format.read(file, _of_this_version))
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
    return state if version == 3 else _of_version_2(state)


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


def not_a_network(
    path: Any, reason: Exception | None = None, wanted: str = "a network saved by fastmlp"
) -> ValueError:
    """Return the error for a file with other contents."""
    text = str(reason or "").rstrip(".")
    why = f" ({short(text, 120)})" if text else ""
    return ValueError(must("path", f"be {wanted}", f"{short(str(path), 150)}{why}"))
