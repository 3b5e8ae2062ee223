"""Where everything is stored: flat, aligned arrays, the table of layers, and views for users.

This module needs only NumPy. The parameters of all layers are one flat array. For each layer in
turn it has the weights, by input, and then the biases::

    weights_at: padded_in rows of stride_out elements
        w(0,0)      w(0,1)  ...  w(0,n_out-1)       0 ... 0
        w(1,0)      w(1,1)  ...  w(1,n_out-1)       0 ... 0
        ...
        w(n_in-1,0)         ...  w(n_in-1,n_out-1)  0 ... 0
        0 ... 0                                             up to padded_in rows
    biases_at: one row of stride_out elements
        b(0)        b(1)    ...  b(n_out-1)         0 ... 0

``w(k,j)`` is the weight from input k to output j; users see the transpose, of shape (n_out, n_in).
padded_out is n_out rounded up to whole vectors, and stride_out may be a cache line more. Padding is
zero and stays zero, because it multiplies zeros and receives gradients of zero. Gradients and the
moments of the optimizer have the same layout.

The activations are one flat array too: for each layer, from the input of the first to the output of
the last, as many rows as a minibatch has at most, of stride_in or stride_out elements. So the
outputs of a layer are the inputs of the next. The deltas have the layout of all outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.equations.activations import IDENTITY, RELU
from fastmlp.core.equations.losses import OUTPUTS_TOGETHER, ROWS_TOGETHER
from fastmlp.core.equations.norms import RUNNING_SUMS
from fastmlp.core.equations.product import MOST_ROWS, PANEL_LINES, PARTS, ROW
from fastmlp.core.inputs.nonzeros import (
    DENSE,
    INPUTS_TOGETHER,
    LISTED_TOGETHER,
    ROWS_IN_A_WORD,
    SPARSE,
    UNKNOWN,
    ZERO_RICH,
)
from fastmlp.core.machine.processor import CACHE_LINE, LANES
from fastmlp.core.machine.structure import by_address

#: What kernels know of a layer. Sizes, strides and positions are counted in elements.
LAYER = np.dtype(
    [
        ("number", np.int64),  # 1 for the first layer; 0 would be the input
        ("n_in", np.int64),  # units of the layer before
        ("n_out", np.int64),  # units of this layer
        ("padded_in", np.int64),  # n_in rounded up to whole vectors and to `MOST_ROWS`
        ("padded_out", np.int64),  # n_out, likewise
        ("columns_in", np.int64),  # of padded_in, those that products compute, see `product.LAST`
        ("columns_out", np.int64),  # of padded_out, likewise
        ("stride_in", np.int64),  # from a row of the inputs to the next
        ("stride_out", np.int64),  # from a row of the outputs, deltas or weights to the next
        ("weights_at", np.int64),  # position of the first weight in the parameters
        ("biases_at", np.int64),  # position of the first bias in the parameters
        ("input_at", np.int64),  # position of row 0 of the inputs in the activations
        ("output_at", np.int64),  # position of row 0 of the outputs in the activations
        ("delta_at", np.int64),  # position of row 0 of the deltas in `Workspace.deltas`
        ("listed_at", np.int64),  # position of row 0's lists in `ForwardSpace.listed`
        ("stride_listed", np.int64),  # from a row's lists to the next row's
        ("n_blocks", np.int64),  # number of blocks of inputs; each row has a list for each
        ("block_inputs", np.int64),  # the largest number of inputs in the list of a block
        ("stride_marks", np.int64),  # from the marks of a vector of inputs to those of the next
        ("rows_together", np.int64),  # rows whose losses are computed together
        ("activation", np.int64),  # a code of `activations.ACTIVATIONS`
        ("stores_derivative", np.bool_),  # whether forward stores f'(z) where the deltas go
        ("squares_at", np.int64),  # position of the first sum in `OptimizerOptions.squares`
        ("l2", np.float64),  # penalty: the gradient of a weight w grows by l2 * w
        ("l1", np.float64),  # penalty: the gradient of a weight w grows by l1 * sign(w)
        ("max_norm", np.float64),  # of the weights into a unit; infinity for no limit
        ("dropout", np.float64),  # the probability that training drops an output
    ]
)


GRADIENTS_TOGETHER = 2**14  # weights whose gradients a worker stores before it changes them


def _padded(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _stride(padded: int, dtype: np.dtype) -> int:
    """Return the stride of rows; at multiples of 1 KiB they would compete for cache sets."""
    return padded + (CACHE_LINE // dtype.itemsize if padded * dtype.itemsize % 1024 == 0 else 0)


def zeros(n: int, dtype: np.dtype) -> np.ndarray:
    """Return `n` zeros, aligned to a cache line."""
    n_bytes = n * dtype.itemsize
    raw = np.zeros(n_bytes + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + n_bytes].view(dtype)


@by_address
class Columns(NamedTuple):
    """For sparse rows: the elements of a minibatch sorted by input, see `sparse`."""

    values: np.ndarray  # (n_listed,), of the network's dtype
    rows: np.ndarray  # (n_listed,), uint32: the row of each
    ends: np.ndarray  # (n_in,), uint32: where the elements of each input end; 0 between updates
    touched: np.ndarray  # (n_in,), uint32: for each worker, the inputs that have elements


@by_address
class ForwardSpace(NamedTuple):
    """What the forward pass overwrites, and the table of layers."""

    layers: np.ndarray  # (n_layers,), LAYER: for minibatches of at most `capacity` rows
    activations: np.ndarray  # for each layer (capacity, stride), beginning with the input
    # The lists of nonzero inputs, (rows, n_blocks, 1 + block_inputs) for each layer, and the values
    # of these inputs at the same positions: of all rows in the first layer if zeros are skipped,
    # otherwise only of row 0. See `nonzeros`.
    listed: np.ndarray  # uint32
    values: np.ndarray
    # (padded_in / lanes, stride_marks), uint16: the nonzero inputs, a bit for each lane
    marks: np.ndarray


@by_address
class Workspace(NamedTuple):
    """Everything that a step overwrites besides parameters; allocated before the first step."""

    forward: ForwardSpace
    deltas: np.ndarray  # for each layer (capacity, stride_out): dloss/dz
    panels: np.ndarray  # (n_workers, `PANEL_LINES` cache lines): see `product.Product`
    columns: Columns
    # (n_workers, words of 64 rows, `INPUTS_TOGETHER`), int64: the rows in which an input is marked
    words: np.ndarray
    losses: np.ndarray  # (capacity,), float64: the loss of each row
    gradients: np.ndarray  # (n_workers, some rows of weights of a layer): their gradients
    sums: np.ndarray  # (n_workers, running sums or units), float64: sums of squares
    status: np.ndarray  # (n_workers,), int64: 0, or why the worker stops; see `step.train_steps`


class Network:
    """The sizes of a network and the flat array of all its weights and biases, at first zero.

    Parameters
    ----------
    sizes : list of int
        Units of the input, of each hidden layer and of the output.
    output_activation : int
        A code of `activations`.
    dtype : dtype
        float32 or float64.
    scaling : array of `dtype`, optional
        (2 * n_in,): how X is scaled as it is read, shifts and then scales; see `gather.gather`.
    hidden_activations : list of int, optional
        The code of each hidden layer; relu by default.
    n_moments : int, default 0
        How many moments the optimizer keeps per parameter.

    Attributes
    ----------
    trained : array (1 + n_moments, n)
        All that training changes, in one array, which is fast to copy and to check.
    parameters : flat array (n,)
    moments : array (n_moments, n)
        The moments of the optimizer, with the layout of the parameters.
    weights, biases : lists of arrays
        Writable views for each layer, of shape (n_out, n_in) and (n_out, 1).
    activations : list of int
        The code of each layer.
    is_simple : bool
        Whether all activations are identity or relu.
    is_basic : bool
        Whether it has only identity and relu, and no option but l2.
    drops : bool
        Whether a layer has dropout.
    can_skip_zeros : bool
        Whether the outputs of the first layer fill the registers of a row, so that skipping inputs
        that are zero may be faster.
    is_constrained : bool
        Whether the units of a layer have a maximum norm.
    paces : dict
        What `run` knows of the speed of training and predictions.
    multiply_adds : int
        To train on one sample: forward, gradients of weights, deltas of hidden layers.
    """

    def __init__(
        self,
        sizes: list[int],
        output_activation: int,
        dtype: np.dtype,
        scaling: np.ndarray | None = None,
        hidden_activations: list[int] | None = None,
        n_moments: int = 0,
    ):
        self.sizes, self.output_activation, self.dtype = sizes, output_activation, dtype
        self.scaling = np.empty(0, dtype) if scaling is None else scaling
        products = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.can_skip_zeros = sizes[1] * dtype.itemsize >= ROW.vectors * LANES * 4
        self.multiply_adds = 3 * sum(products) - products[0]
        self._table = self._layers_of_one_row()
        self._table["activation"][:-1] = RELU if hidden_activations is None else hidden_activations
        self.activations = self._table["activation"].tolist()
        self._others = ~np.isin(self._table["activation"], (IDENTITY, RELU))
        self.is_simple = not self._others.any()
        self.set_regularization()
        self.trained = self.like_parameters(1 + n_moments)
        self.parameters, self.moments = self.trained[0], self.trained[1:]
        self.paces: dict[str, Any] = {}
        self._spare: dict[int, list[ForwardSpace]] = {DENSE: [], SPARSE: [], UNKNOWN: []}
        self.weights, self.biases = self.views(self.parameters)
        self._padding = [part for part in self._padding_of(self.parameters) if part.size > 0]

    def set_regularization(
        self, l2: Any = 0.0, l1: Any = 0.0, max_norm: Any = np.inf, dropout: Any = 0.0
    ) -> None:
        """Set penalties, norms and dropout; each argument is a number or has one per layer.

        A layer's dropout applies to its outputs. Affects workspaces that are created afterwards.
        """
        self._table["l2"], self._table["l1"] = l2, l1
        self._table["max_norm"], self._table["dropout"] = max_norm, dropout
        drops = self._table["dropout"] > 0
        self._table["stores_derivative"] = self._others | drops
        self.drops = bool(drops.any())
        self.is_constrained = bool((self._table["max_norm"] < np.inf).any())
        self.is_basic = not (
            self._table["stores_derivative"].any() or self._table["l1"].any() or self.is_constrained
        )

    def like_parameters(self, n: int) -> np.ndarray:
        """Return n rows of zeros with the layout of the parameters, aligned to cache lines."""
        last = self._table[-1]
        size = _padded(
            int(last["biases_at"] + last["stride_out"]), CACHE_LINE // self.dtype.itemsize
        )
        return zeros(n * size, self.dtype).reshape(n, size)

    @property
    def n_squares(self) -> int:
        """The number of sums of squares of `clip.square_gradients`."""
        return int(self._table["squares_at"][-1] + self._table["padded_in"][-1] // MOST_ROWS + 1)

    def views(self, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return views of the weights and biases in an array with the layout of the parameters."""
        weights, biases = [], []
        for stored, stored_biases, n_in, n_out in self._stored(flat):
            weights.append(stored[:n_in, :n_out].T)
            biases.append(stored_biases[:n_out].reshape(n_out, 1))
        return weights, biases

    def _stored(self, flat: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int, int]]:
        """Yield each layer's weights and biases as stored, with padding, and n_in and n_out."""
        for layer in self._table:
            n_in, n_out, rows, stride = (
                int(layer[name]) for name in ("n_in", "n_out", "padded_in", "stride_out")
            )
            at, biases_at = int(layer["weights_at"]), int(layer["biases_at"])
            stored = flat[at:biases_at].reshape(rows, stride)
            yield stored, flat[biases_at : biases_at + stride], n_in, n_out

    def clear_padding(self) -> None:
        """Set the padding to zero; infinite weights may have made it NaN."""
        for part in self._padding:
            part.fill(0)

    def _padding_of(self, flat: np.ndarray) -> Iterator[np.ndarray]:
        for stored, biases, n_in, n_out in self._stored(flat):
            yield from (stored[n_in:], stored[:n_in, n_out:], biases[n_out:])

    def _layers_of_one_row(self) -> np.ndarray:
        """Return the table of `LAYER` for minibatches of one row."""
        multiple = max(LANES * 4 // self.dtype.itemsize, MOST_ROWS)
        table = np.zeros(len(self.sizes) - 1, LAYER)
        parameters_at = input_at = listed_at = squares_at = 0
        for layer, n_in, n_out in zip(table, self.sizes[:-1], self.sizes[1:], strict=True):
            layer["n_in"], layer["n_out"] = n_in, n_out
            layer["padded_in"] = _padded(n_in, multiple)
            layer["padded_out"] = _padded(n_out, multiple)
            layer["columns_in"] = _padded(n_in, multiple // PARTS)
            layer["columns_out"] = _padded(n_out, multiple // PARTS)
            layer["stride_in"] = _stride(int(layer["padded_in"]), self.dtype)
            layer["stride_out"] = _stride(int(layer["padded_out"]), self.dtype)
            layer["weights_at"] = parameters_at
            layer["biases_at"] = parameters_at + layer["padded_in"] * layer["stride_out"]
            parameters_at = layer["biases_at"] + layer["stride_out"]
            layer["input_at"] = input_at
            layer["output_at"] = input_at = input_at + layer["stride_in"]
            layer["delta_at"] = layer["output_at"] - table[0]["stride_in"]
            layer["listed_at"] = listed_at
            layer["n_blocks"], layer["block_inputs"] = 1, layer["padded_in"]
            layer["stride_listed"] = layer["padded_in"] + 1
            listed_at += layer["stride_listed"]
            layer["squares_at"] = squares_at
            squares_at += layer["padded_in"] // MOST_ROWS + 1
        table["rows_together"] = np.clip(OUTPUTS_TOGETHER // table["n_out"], 1, ROWS_TOGETHER)
        table["number"] = np.arange(1, len(table) + 1)
        table[-1]["activation"] = self.output_activation
        return table

    def workspace(
        self, n_rows: int, n_workers: int, inputs: int = DENSE, most_listed: int = 0
    ) -> Workspace:
        """Return a workspace for minibatches of up to `n_rows` rows and for `n_workers` workers.

        `inputs` is how the first layer reads X: a code of `nonzeros`. A row's list has room for
        `most_listed` inputs if X is sparse, and for all if it has many zeros. Otherwise only row 0
        has a list, for minibatches of one row.
        """
        capacity = _padded(n_rows, MOST_ROWS)
        table = self._table.copy()
        first = table[0]
        if inputs == SPARSE:
            first["block_inputs"] = most_listed
            for name in ("output_at", "input_at"):  # there are no dense inputs
                table[name] -= first["stride_in"]
            first["input_at"] = 0
        elif inputs != DENSE:
            first["block_inputs"] = LISTED_TOGETHER
            first["n_blocks"] = -(-first["padded_in"] // LISTED_TOGETHER)
        of_a_row = first["n_blocks"] * (first["block_inputs"] + 1)
        table["listed_at"][1:] += of_a_row - first["stride_listed"]
        first["stride_listed"] = of_a_row
        n_listed = int(table[-1]["listed_at"] + table[-1]["stride_listed"])
        if inputs != DENSE:
            of_other_rows = (n_rows - 1) * int(table[0]["stride_listed"])
            table["listed_at"][1:] += of_other_rows
            n_listed += of_other_rows
        for name in ("input_at", "output_at", "delta_at"):
            table[name] *= capacity
        last = table[-1]
        panel = PANEL_LINES * CACHE_LINE // self.dtype.itemsize
        n_words = -(-n_rows // ROWS_IN_A_WORD) if inputs == ZERO_RICH else 0
        table["stride_marks"] = n_words * ROWS_IN_A_WORD
        n_marks = int(table[0]["padded_in"] * table[0]["stride_marks"])
        n_found = max(n_words, 2) * INPUTS_TOGETHER if n_words > 0 else 0  # with `list_found`
        n_sorted, n_inputs = (n_listed, self.sizes[0]) if inputs == SPARSE else (0, 0)
        forward = ForwardSpace(
            layers=table,
            activations=zeros(int(last["output_at"] + capacity * last["stride_out"]), self.dtype),
            listed=np.zeros(n_listed, np.uint32),
            values=zeros(n_listed, self.dtype),
            marks=np.zeros(n_marks // (LANES * 4 // self.dtype.itemsize), np.uint16),
        )
        return Workspace(
            forward=forward,
            deltas=zeros(int(last["delta_at"] + capacity * last["stride_out"]), self.dtype),
            panels=zeros(n_workers * panel, self.dtype),
            columns=Columns(
                values=zeros(n_sorted, self.dtype),
                rows=np.zeros(n_sorted, np.uint32),
                ends=np.zeros(n_inputs, np.uint32),
                touched=np.zeros(n_inputs, np.uint32),
            ),
            words=np.zeros(n_workers * n_found, np.int64),
            losses=np.zeros(capacity),
            gradients=zeros(n_workers * self._gradients_together(inputs, n_workers), self.dtype),
            sums=np.zeros(n_workers * max(RUNNING_SUMS, int(table["stride_out"].max()))),
            status=np.zeros(n_workers, np.int64),
        )

    def _gradients_together(self, inputs: int, n_workers: int) -> int:
        """Return for how many weights a worker stores gradients before it changes them.

        Few enough for the L2 cache; for sparse inputs all of them, because these are sorted only
        once. Memory that no rule uses is never touched.
        """
        strides = self._table["stride_out"]
        rows = -(-int(self._table[0]["padded_in"]) // (n_workers * MOST_ROWS)) * MOST_ROWS
        all_of_first = rows * int(strides[0]) if inputs == SPARSE else 0
        return max(GRADIENTS_TOGETHER, MOST_ROWS * int(strides.max()), all_of_first)

    def borrow(self, n: int, n_rows: int, inputs: int, most_listed: int = 0) -> list[ForwardSpace]:
        """Return space for the forward pass of each of n workers, which is reused if possible.

        No other thread gets it until `give_back`. `n_rows` must be the same in every call, and
        `inputs` is a code of `nonzeros` other than `ZERO_RICH`; see `workspace`.
        """
        spare = self._spare[inputs]
        spaces: list[ForwardSpace] = []
        while len(spaces) < n:
            try:
                spaces.append(spare.pop())
            except IndexError:
                spaces.append(self.workspace(n_rows, 1, inputs, most_listed).forward)
        return spaces

    def give_back(self, spaces: list[ForwardSpace], inputs: int) -> None:
        """Keep borrowed spaces for the next call of `borrow`, except those for sparse rows."""
        if inputs != SPARSE:
            self._spare[inputs].extend(spaces)
