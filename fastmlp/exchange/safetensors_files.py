"""Networks as safetensors files, with the keys of the ``nn.Sequential`` that `MLP.to_torch` makes.

The file's metadata has the rest of the network as JSON, under `KEY`. Files are not trusted: the
library checks that tensors lie within the file, and this module everything else.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fastmlp import options
from fastmlp.core.equations.activations import ACTIVATIONS
from fastmlp.exchange.layers import Layer, Layers, check_shapes, link_of
from fastmlp.losses import LOSSES, Loss
from fastmlp.messages import must, short
from fastmlp.serialization import files
from fastmlp.tables import extras
from fastmlp.validation import checks
from fastmlp.validation.forms import anything, dict_of, list_of, one_of, record, whole

INSTALL = 'pip install "fastmlp[safetensors]"'
KEY, VERSION = "fastmlp", 1
LENGTH_BYTES = 8  # of the header, at the beginning


def library() -> Any:
    """Import safetensors for NumPy."""
    purpose = "Exchanging safetensors files"
    return extras.required("safetensors.numpy", "safetensors", purpose, INSTALL)


def keys_of(layers: Layers) -> list[str]:
    """Return the names of the modules with parameters in the equal ``nn.Sequential``.

    Each activation and each dropout is a module of its own; so is the scaling of inputs.
    """
    at = 0 if layers.scale is None else 1
    names = []
    for layer in layers.layers:
        names.append(f"{at}")
        at += 3 if layer.dropout > 0 else 2
    return names


def save(layers: Layers, loss: Loss, path: Any) -> None:
    """Write a network to a path or an open file, atomically."""
    tensors: dict[str, np.ndarray] = {}
    if layers.shift is not None and layers.scale is not None:
        tensors = {"0.shift": layers.shift, "0.scale": layers.scale}
    for name, layer in zip(keys_of(layers), layers.layers, strict=True):
        tensors |= {f"{name}.weight": layer.weights, f"{name}.bias": layer.biases}
    description = {
        "version": VERSION,
        "activations": [layer.activation for layer in layers.layers],
        "dropout": [layer.dropout for layer in layers.layers],
        "loss": options.to_dict(loss, LOSSES),
    }
    written = library().save(
        {name: np.ascontiguousarray(values) for name, values in tensors.items()},
        {KEY: json.dumps(description)},  # with two keys, their order would be random
    )
    with files.open_for_writing(path) as file:
        file.write(written)


def load(path: Any) -> tuple[Layers, Loss]:
    """Return the layers and the loss in a file that `save` wrote.

    Raises
    ------
    FileNotFoundError
    ValueError
        For other files.
    """
    numpy = library()
    with files.open_for_reading(path) as file:
        content = file.read()
    try:
        tensors = numpy.load(content)
        length = int.from_bytes(content[:LENGTH_BYTES], "little")
        header = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])
        return _network(tensors, json.loads(header["__metadata__"][KEY]))
    except MemoryError:
        raise
    except Exception as error:  # damaged files raise errors of many kinds
        raise _not_a_network(path, error) from None


_DESCRIPTION = record({
    "version": whole(VERSION, VERSION),
    "activations": list_of(one_of(ACTIVATIONS)),
    "dropout": list_of(checks.from_zero_below_one),
    "loss": dict_of(anything),
})  # fmt: skip


def _network(tensors: dict[str, np.ndarray], description: Any) -> tuple[Layers, Loss]:
    about = _DESCRIPTION("", description)
    loss = options.from_dict(about["loss"], LOSSES)
    n_layers = len(about["activations"])
    list_of(anything, n_layers)("dropout", about["dropout"])
    if n_layers == 0:
        raise ValueError("it has no layers")
    empty = np.empty((0, 0))
    layers = [
        Layer(empty, empty, activation, dropout)
        for activation, dropout in zip(about["activations"], about["dropout"], strict=True)
    ]
    if layers[-1].dropout > 0:
        raise ValueError("it has dropout of the outputs")
    found = Layers(layers, link_of(loss))
    if "0.shift" in tensors:
        found.shift, found.scale = tensors.pop("0.shift"), tensors.pop("0.scale")
    for name, layer in zip(keys_of(found), layers, strict=True):
        layer.weights, layer.biases = tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.bias")
    if tensors:
        raise ValueError("it has tensors that belong to no layer")
    _check_arrays(found)
    return found, loss


def _check_arrays(found: Layers) -> None:
    """Check types and shapes, which nothing is allocated by before."""
    dtype = checks.float_type(found.dtype)
    for layer in found.layers:
        if layer.weights.dtype != dtype or layer.biases.dtype != dtype:
            raise ValueError("its tensors are not all of one type")
        if layer.weights.ndim != 2 or layer.biases.shape != layer.weights.shape[:1]:
            raise ValueError("its weights and biases have other shapes")
    check_shapes(found, "file")


def _not_a_network(path: Any, reason: Exception) -> ValueError:
    text = str(reason).rstrip(".") if not isinstance(reason, KeyError) else f"no key {reason}"
    got = f"{short(str(path), 150)} ({short(text, 120)})"
    return ValueError(must("path", "be a network that to_safetensors wrote", got))
