"""Where everything lies: flat, aligned arrays, the table of offsets, and views for users (floor 3).

NumPy alone. A layer's weights lie as ``(n_in, n_out)``, both padded to whole vectors, row after
row, then its biases; layer follows layer in one array. Padding is zero and stays zero: it
multiplies zeros and receives gradients of zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmlp.core.activations import RELU
from fastmlp.core.processor import CACHE_LINE, LANES
from fastmlp.core.product import MOST_ROWS

#: What kernels know of a layer: sizes, strides and positions, in elements.
LAYER = np.dtype(
    [
        ("n_in", np.int64),
        ("n_out", np.int64),
        ("padded_in", np.int64),  # to whole vectors and whole tiles
        ("padded_out", np.int64),
        ("stride_in", np.int64),  # from a row of the layer's inputs to the next
        ("stride_out", np.int64),  # likewise of its outputs, deltas and stored weights
        ("weights_at", np.int64),  # in the parameters
        ("biases_at", np.int64),
        ("input_at", np.int64),  # in the activations
        ("output_at", np.int64),
        ("delta_at", np.int64),  # in the deltas
        ("listed_at", np.int64),  # in the lists of inputs that are not zero
        ("activation", np.int64),
    ]
)


def _padded(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _stride(padded: int, dtype: np.dtype) -> int:
    """Return the elements from row to row: rows a kibibyte multiple apart share cache sets."""
    return padded + (CACHE_LINE // dtype.itemsize if padded * dtype.itemsize % 1024 == 0 else 0)


def zeros(n: int, dtype: np.dtype) -> np.ndarray:
    """Return `n` zeros that begin on a cache line."""
    n_bytes = n * dtype.itemsize
    raw = np.zeros(n_bytes + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + n_bytes].view(dtype)


def layer_table(
    sizes: list[int], output_activation: int, dtype: np.dtype, n_rows: int
) -> np.ndarray:
    """Return the table of layers for minibatches of up to `n_rows`.

    Parameters
    ----------
    sizes : list of int
        Units of the input, of each hidden layer and of the output.
    output_activation : int
        A code of `activations`; hidden layers are relu.
    dtype : dtype
        float32 or float64.
    n_rows : int
        Rows that the activations and deltas have room for.

    Returns
    -------
    array of `LAYER`, one element for each layer of weights
    """
    capacity = _padded(n_rows, MOST_ROWS)
    multiple = max(LANES * 4 // dtype.itemsize, MOST_ROWS)
    table = np.zeros(len(sizes) - 1, LAYER)
    parameters_at = listed_at = 0
    input_at = 0
    for layer, n_in, n_out in zip(table, sizes[:-1], sizes[1:], strict=True):
        layer["n_in"], layer["n_out"] = n_in, n_out
        layer["padded_in"], layer["padded_out"] = _padded(n_in, multiple), _padded(n_out, multiple)
        layer["stride_in"] = _stride(int(layer["padded_in"]), dtype)
        layer["stride_out"] = _stride(int(layer["padded_out"]), dtype)
        layer["weights_at"] = parameters_at
        layer["biases_at"] = parameters_at + layer["padded_in"] * layer["stride_out"]
        parameters_at = layer["biases_at"] + layer["stride_out"]
        layer["input_at"] = input_at
        layer["output_at"] = input_at = input_at + capacity * layer["stride_in"]
        layer["delta_at"] = layer["output_at"] - capacity * table[0]["stride_in"]
        layer["listed_at"] = listed_at
        listed_at += layer["padded_in"] + 1
        layer["activation"] = RELU
    table[-1]["activation"] = output_activation
    return table


def new_parameters(table: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the flat array of all weights and biases, zero."""
    return zeros(int(table[-1]["biases_at"] + table[-1]["stride_out"]), dtype)


def weights_views(table: np.ndarray, parameters: np.ndarray) -> list[np.ndarray]:
    """Return each layer's weights as a writable view of shape (n_out, n_in)."""
    views = []
    for layer in table:
        n_in, n_out, stride = (int(layer[name]) for name in ("n_in", "n_out", "stride_out"))
        at = int(layer["weights_at"])
        views.append(parameters[at : at + n_in * stride].reshape(n_in, stride)[:, :n_out].T)
    return views


def biases_views(table: np.ndarray, parameters: np.ndarray) -> list[np.ndarray]:
    """Return each layer's biases as a writable view of shape (n_out, 1)."""
    starts = [(int(layer["biases_at"]), int(layer["n_out"])) for layer in table]
    return [parameters[at : at + n_out].reshape(n_out, 1) for at, n_out in starts]


def clear_padding(table: np.ndarray, parameters: np.ndarray) -> None:
    """Make the padding zero again, which weights that ran to infinity may have spoilt."""
    for layer in table:
        n_in, n_out, stride = (int(layer[name]) for name in ("n_in", "n_out", "stride_out"))
        at, biases_at = int(layer["weights_at"]), int(layer["biases_at"])
        weights = parameters[at:biases_at].reshape(-1, stride)
        weights[n_in:] = 0
        weights[:, n_out:] = 0
        parameters[biases_at + n_out : biases_at + stride] = 0


class Workspace(NamedTuple):
    """All that a step overwrites besides the parameters; allocated before the first step."""

    layers: np.ndarray  # LAYER: the table for this capacity
    activations: np.ndarray  # each layer's rows after those of the layer before
    deltas: np.ndarray  # likewise, without the inputs
    panels: np.ndarray  # each worker's few columns of transposed weights
    listed: np.ndarray  # int64: the inputs of row 0 that are not zero, of each layer
    labels: np.ndarray  # int64: the classes of the minibatch
    losses: np.ndarray  # float64: the cross-entropy of each row
    refused: np.ndarray  # int64, for each worker: 0, or why it ends: see `train_steps`


def new_workspace(
    sizes: list[int], output_activation: int, dtype: np.dtype, n_rows: int, n_workers: int
) -> Workspace:
    """Return a workspace for minibatches of up to `n_rows` and as many workers; see `Workspace`."""
    table = layer_table(sizes, output_activation, dtype, n_rows)
    capacity = _padded(n_rows, MOST_ROWS)
    last = table[-1]
    n_activations = int(last["output_at"] + capacity * last["stride_out"])
    panel = 4 * CACHE_LINE // dtype.itemsize * int(table["stride_out"].max())
    return Workspace(
        layers=table,
        activations=zeros(n_activations, dtype),
        deltas=zeros(n_activations - capacity * int(table[0]["stride_in"]), dtype),
        panels=zeros(n_workers * panel, dtype),
        listed=np.zeros(int(last["listed_at"] + last["padded_in"] + 1), np.int64),
        labels=np.zeros(capacity, np.int64),
        losses=np.zeros(capacity),
        refused=np.zeros(n_workers, np.int64),
    )
