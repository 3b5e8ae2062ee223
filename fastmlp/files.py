"""Models on disk: one ``.npz``, written whole or not at all, read without pickle (floor 4)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

FORMAT = "fastmlp network"
ARRAY = "array in this file"  # a name, where an array has been
FORMAT_VERSION = 3  # 2 brought input_shift and input_scale, 3 `MLP` and checkpoints


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes `path` when the block ends, and vanishes if it fails."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_state(path: str | os.PathLike, state: dict[str, Any]) -> None:
    """Write the state of a network: its arrays bit by bit, the rest as JSON beside them."""
    arrays: dict[str, Any] = {}
    plain = {"format": FORMAT, "format_version": FORMAT_VERSION, **_without(arrays, state)}
    text = json.dumps(plain, default=lambda number: number.item())  # NumPy's numbers
    with written_whole(path) as file:
        np.savez(file, network=np.array(text), **arrays)


def _without(arrays: dict[str, Any], value: Any, name: str = "") -> Any:
    """Return `value` with the names of arrays in their places, and the arrays in `arrays`."""
    if isinstance(value, np.ndarray):
        while name in arrays:  # "a_b" in one dict, and "b" in "a" of it
            name += "_"
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return _without(arrays, _plain_random_state(value), name)
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else None
    )
    if items is None:
        return value
    parts = {
        key: _without(arrays, part, f"{name}_{key}" if name else str(key)) for key, part in items
    }
    return parts if isinstance(value, dict) else list(parts.values())


def _with(arrays: Any, value: Any) -> Any:
    """Return what `_without` was given, random states apart."""
    if isinstance(value, dict):
        if set(value) == {ARRAY}:
            return arrays[value[ARRAY]]
        return {name: _with(arrays, part) for name, part in value.items()}
    return [_with(arrays, part) for part in value] if isinstance(value, list) else value


def load_state(path: str | os.PathLike) -> dict[str, Any]:
    """Read what `save_state` wrote; ValueError for any other file or a newer format."""
    with open(path, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            state = json.loads(str(arrays["network"]))
            known, version = state["format"] == FORMAT, int(state["format_version"])
        except Exception:  # a damaged file raises errors of every kind
            raise not_a_network(path) from None
        if known and version > FORMAT_VERSION:
            raise ValueError(
                f"{path} has format version {version}; this release reads up to {FORMAT_VERSION}"
            )
        try:
            if not known:
                raise ValueError
            state = _with(arrays, state if version == 3 else _of_version_2(state))
            state["random_state"] = _random_state(state["random_state"])
        except Exception:
            raise not_a_network(path) from None
    return state


def _of_version_2(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a file from when there was `NeuralNet` alone."""
    n_layers = len(state["layers"]) - 1
    names = ("layers", "learning_rate", "reg_lambda", "output_activation", "dtype", "n_threads")
    optional = {"input_shift": 0.0, "input_scale": 1.0}  # which version 1 has not
    parameters = {
        kind: [{ARRAY: f"{kind}_{l}"} for l in range(n_layers)] for kind in ("weights", "biases")
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
    path: str | os.PathLike, accepted: str = "a network saved by fastmlp"
) -> ValueError:
    """Return the refusal of a file that holds something else."""
    return ValueError(f"{path} is not {accepted}, which is accepted")


def _plain_random_state(source: Any) -> Any:
    """Return the state of a RandomState or Generator in lists, strings and numbers."""
    if source is None:
        return None
    if isinstance(source, np.random.Generator):
        kind, state = "Generator", source.bit_generator.state
    else:
        kind, state = "RandomState", source.get_state(legacy=False)

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        if isinstance(value, np.ndarray):
            return {"array": value.tolist(), "dtype": value.dtype.name}
        return value.item() if isinstance(value, np.generic) else value

    return {"kind": kind, "state": plain(state)}


def _random_state(plain: Any) -> Any:
    """Return the RandomState or Generator of `_plain_random_state`."""
    if plain is None:
        return None

    def restored(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"array", "dtype"}:
            return np.array(value["array"], value["dtype"])
        if isinstance(value, dict):
            return {name: restored(part) for name, part in value.items()}
        return value

    state = restored(plain["state"])
    bit_generators = {
        kind.__name__: kind
        for kind in (
            np.random.MT19937,
            np.random.PCG64,
            np.random.PCG64DXSM,
            np.random.Philox,
            np.random.SFC64,
        )
    }
    bit_generator = bit_generators[state["bit_generator"]]()
    if plain["kind"] == "Generator":
        bit_generator.state = state
        return np.random.Generator(bit_generator)
    source = np.random.RandomState(bit_generator)
    source.set_state(state)
    return source
