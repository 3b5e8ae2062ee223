"""Where everything lies: flat, aligned arrays, the table of offsets, and views for users (floor 3).

NumPy alone. A layer's weights lie as ``(n_in, n_out)``, both padded to whole vectors, row after
row, then its biases; layer follows layer in one array. Padding is zero and stays zero: it
multiplies zeros and receives gradients of zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastmlp.core.activations import RELU
from fastmlp.core.lists import INPUTS_TOGETHER, ROWS_IN_A_MARK
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


class Workspace(NamedTuple):
    """All that a step overwrites besides the parameters; allocated before the first step."""

    layers: np.ndarray  # LAYER: the table for this capacity
    activations: np.ndarray  # each layer's rows after those of the layer before
    deltas: np.ndarray  # likewise, without the inputs
    panels: np.ndarray  # each worker's few columns of transposed weights
    listed: np.ndarray  # int32: each row's list of inputs that are not zero, see `lists`
    values: np.ndarray  # the values of those inputs, each at its input's place
    marks: np.ndarray  # int64: each worker's marks of rows where some inputs are not zero
    labels: np.ndarray  # int64: the classes of the minibatch
    losses: np.ndarray  # float64: the cross-entropy of each row
    refused: np.ndarray  # int64, for each worker: 0, or why it ends: see `train_steps`


class Network:
    """The sizes of a network and the flat array of all its weights and biases, at first zero.

    Parameters
    ----------
    sizes : list of int
        Units of the input, of each hidden layer and of the output.
    output_activation : int
        A code of `activations`; hidden layers are relu.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    parameters : flat array
    weights, biases : lists of arrays
        Each layer's, as writable views of shape (n_out, n_in) and (n_out, 1).
    """

    def __init__(self, sizes: list[int], output_activation: int, dtype: np.dtype):
        self.sizes, self.output_activation, self.dtype = sizes, output_activation, dtype
        self._table = self._layers_of_one_row()
        last = self._table[-1]
        self.parameters = zeros(int(last["biases_at"] + last["stride_out"]), dtype)
        self._spare: list[Workspace] = []
        self.weights: list[np.ndarray] = []
        self.biases: list[np.ndarray] = []
        for stored, biases, n_in, n_out in self._stored():
            self.weights.append(stored[:n_in, :n_out].T)
            self.biases.append(biases[:n_out].reshape(n_out, 1))

    @property
    def multiply_adds(self) -> int:
        """Those of a sample's training: forward, weight gradients, deltas of hidden layers."""
        products = [a * b for a, b in zip(self.sizes[:-1], self.sizes[1:], strict=True)]
        return 3 * sum(products) - products[0]

    def _stored(self) -> Iterator[tuple[np.ndarray, np.ndarray, int, int]]:
        """Yield each layer's weights and biases as they lie, with n_in and n_out."""
        for layer in self._table:
            n_in, n_out, rows, stride = (
                int(layer[name]) for name in ("n_in", "n_out", "padded_in", "stride_out")
            )
            at, biases_at = int(layer["weights_at"]), int(layer["biases_at"])
            stored = self.parameters[at:biases_at].reshape(rows, stride)
            yield stored, self.parameters[biases_at : biases_at + stride], n_in, n_out

    def clear_padding(self) -> None:
        """Make the padding zero again, which weights that ran to infinity may have spoilt."""
        for stored, biases, n_in, n_out in self._stored():
            stored[n_in:] = 0
            stored[:, n_out:] = 0
            biases[n_out:] = 0

    def _layers_of_one_row(self) -> np.ndarray:
        """Return the table of `LAYER` for activations and deltas of a single row."""
        multiple = max(LANES * 4 // self.dtype.itemsize, MOST_ROWS)
        table = np.zeros(len(self.sizes) - 1, LAYER)
        parameters_at = input_at = listed_at = 0
        for layer, n_in, n_out in zip(table, self.sizes[:-1], self.sizes[1:], strict=True):
            layer["n_in"], layer["n_out"] = n_in, n_out
            layer["padded_in"] = _padded(n_in, multiple)
            layer["padded_out"] = _padded(n_out, multiple)
            layer["stride_in"] = _stride(int(layer["padded_in"]), self.dtype)
            layer["stride_out"] = _stride(int(layer["padded_out"]), self.dtype)
            layer["weights_at"] = parameters_at
            layer["biases_at"] = parameters_at + layer["padded_in"] * layer["stride_out"]
            parameters_at = layer["biases_at"] + layer["stride_out"]
            layer["input_at"] = input_at
            layer["output_at"] = input_at = input_at + layer["stride_in"]
            layer["delta_at"] = layer["output_at"] - table[0]["stride_in"]
            layer["listed_at"] = listed_at
            listed_at += layer["padded_in"] + 1
            layer["activation"] = RELU
        table[-1]["activation"] = self.output_activation
        return table

    def workspace(self, n_rows: int, n_workers: int, skips_zeros: bool = False) -> Workspace:
        """Return a workspace for minibatches of up to `n_rows` and as many workers.

        With room for a list of the first layer's inputs for every row where `skips_zeros`, else
        only for row 0, which may be a whole minibatch.
        """
        capacity = _padded(n_rows, MOST_ROWS)
        table = self._table.copy()
        n_listed = int(table[-1]["listed_at"] + table[-1]["padded_in"] + 1)
        if skips_zeros:
            of_other_rows = (n_rows - 1) * int(table[0]["padded_in"] + 1)
            table["listed_at"][1:] += of_other_rows
            n_listed += of_other_rows
        n_marks = INPUTS_TOGETHER * -(-n_rows // ROWS_IN_A_MARK)
        for name in ("input_at", "output_at", "delta_at"):
            table[name] *= capacity
        last = table[-1]
        n_activations = int(last["output_at"] + capacity * last["stride_out"])
        panel = 4 * CACHE_LINE // self.dtype.itemsize * int(table["stride_out"].max())
        return Workspace(
            layers=table,
            activations=zeros(n_activations, self.dtype),
            deltas=zeros(n_activations - capacity * int(table[0]["stride_in"]), self.dtype),
            panels=zeros(n_workers * panel, self.dtype),
            listed=np.zeros(n_listed, np.int32),
            values=zeros(n_listed, self.dtype),
            marks=np.zeros(n_workers * n_marks if skips_zeros else 0, np.int64),
            labels=np.zeros(capacity, np.int64),
            losses=np.zeros(capacity),
            refused=np.zeros(n_workers, np.int64),
        )

    def borrow(self, n_rows: int) -> Workspace:
        """Return a workspace of `n_rows` rows, always as many, for one worker: a spare one if any.

        No other thread has it until it is given back.
        """
        try:
            return self._spare.pop()
        except IndexError:
            return self.workspace(n_rows, 1)

    def give_back(self, works: list[Workspace]) -> None:
        """Keep borrowed workspaces for the next who needs one."""
        self._spare.extend(works)
