"""Where everything lies: flat, aligned arrays, the table of offsets, and views for users.

NumPy alone. A layer's weights lie as ``(n_in, n_out)``, both padded to whole vectors, row after
row, then its biases; layer follows layer in one array. Padding is zero and stays zero: it
multiplies zeros and receives gradients of zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.equations.activations import IDENTITY, RELU
from fastmlp.core.equations.norms import RUNNING_SUMS
from fastmlp.core.equations.product import MOST_ROWS
from fastmlp.core.inputs.nonzeros import (
    DENSE,
    INPUTS_TOGETHER,
    LISTED_TOGETHER,
    ROWS_IN_A_WORD,
    SPARSE,
    ZERO_RICH,
)
from fastmlp.core.machine.processor import CACHE_LINE, LANES

#: What kernels know of a layer: sizes, strides and positions, in elements.
LAYER = np.dtype(
    [
        ("number", np.int64),  # from 1 on; 0 is the input
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
        ("stride_listed", np.int64),  # from a row's lists to the next's
        ("n_blocks", np.int64),  # of inputs, each with a list
        ("block_inputs", np.int64),  # how many a list names at the most
        ("stride_marks", np.int64),  # from a vector of inputs to the next, in their marks
        ("activation", np.int64),
        ("stores_derivative", np.bool_),  # forward stores f'(z) in the deltas
        ("squares_at", np.int64),  # in `Optimizer.squares`
        ("l2", np.float64),
        ("l1", np.float64),
        ("max_norm", np.float64),  # of a unit's weights; infinity for none
        ("dropout", np.float64),  # the share of its outputs that training drops
    ]
)


GRADIENTS_TOGETHER = 2**14  # weights


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


class Columns(NamedTuple):
    """For sparse rows: what is listed of a minibatch, input by input, see `sparse`."""

    values: np.ndarray  # the numbers, of the network's dtype
    rows: np.ndarray  # uint32: the row that each is of
    ends: np.ndarray  # uint32, for each input: where its numbers end; 0 between two updates
    touched: np.ndarray  # uint32: each worker's inputs that are listed at all


class ForwardSpace(NamedTuple):
    """What bringing rows forward overwrites, and the table that says where."""

    layers: np.ndarray  # LAYER: the table for this capacity
    activations: np.ndarray  # each layer's rows after those of the layer before
    listed: np.ndarray  # uint32: each row's list of inputs that are not zero, see `nonzeros`
    values: np.ndarray  # the values of those inputs, each at its input's place
    marks: np.ndarray  # uint16: of the minibatch's inputs that are not zero, see `nonzeros`


class Workspace(NamedTuple):
    """All that a step overwrites besides the parameters; allocated before the first step."""

    forward: ForwardSpace
    deltas: np.ndarray  # likewise, without the inputs
    panels: np.ndarray  # each worker's few columns of transposed weights
    columns: Columns
    words: np.ndarray  # int64: each worker's bits of the rows in which some inputs are marked
    losses: np.ndarray  # float64: the loss of each row
    gradients: np.ndarray  # each worker's, of some of its weights
    sums: np.ndarray  # float64: each worker's sums of squares
    status: np.ndarray  # int64, for each worker: 0, or why it ends: see `train_steps`


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
        What is done to X as it is read: n_in shifts, then n_in scales; see `gather.gather`.
    hidden_activations : list of int, optional
        A code for each hidden layer; relu for all by default.
    n_moments : int, default 0
        Of the optimizer: how many numbers it keeps for each parameter.

    Attributes
    ----------
    trained : array (1 + n_moments, n)
        All that training changes, in one piece: quick to copy, and to check for infinities.
    parameters : flat array (n,)
    moments : array (n_moments, n)
        Of the optimizer, laid out as the parameters.
    weights, biases : lists of arrays
        Each layer's, as writable views of shape (n_out, n_in) and (n_out, 1).
    activations : list of int
        The code of each layer.
    is_simple : bool
        Whether all activations are identity or relu.
    is_basic : bool
        Whether there is nothing but identity and relu, and l2.
    drops : bool
        Whether outputs of some layer are dropped.
    is_constrained : bool
        Whether units of some layer have a largest norm.
    multiply_adds : int
        Those of a sample's training: forward, weight gradients, deltas of hidden layers.
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
        self.multiply_adds = 3 * sum(products) - products[0]
        self._table = self._layers_of_one_row()
        self._table["activation"][:-1] = RELU if hidden_activations is None else hidden_activations
        self.activations = self._table["activation"].tolist()
        self._others = ~np.isin(self._table["activation"], (IDENTITY, RELU))
        self.is_simple = not self._others.any()
        self.regularise()
        self.trained = self.like_parameters(1 + n_moments)
        self.parameters, self.moments = self.trained[0], self.trained[1:]
        self._spare: dict[int, list[ForwardSpace]] = {DENSE: [], ZERO_RICH: []}
        self.weights, self.biases = self.views(self.parameters)
        self._padding = [part for part in self._padding_of(self.parameters) if part.size > 0]

    def regularise(
        self, l2: Any = 0.0, l1: Any = 0.0, max_norm: Any = np.inf, dropout: Any = 0.0
    ) -> None:
        """Set the penalties of each layer; each argument is a number or one for every layer.

        A layer's dropout is that of its outputs. Holds for workspaces made from then on.
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
        """Return n rows of zeros, each laid out as the parameters and beginning on a cache line."""
        last = self._table[-1]
        size = _padded(
            int(last["biases_at"] + last["stride_out"]), CACHE_LINE // self.dtype.itemsize
        )
        return zeros(n * size, self.dtype).reshape(n, size)

    @property
    def n_squares(self) -> int:
        """How many sums of squares `clip.square_gradients` makes."""
        return int(self._table["squares_at"][-1] + self._table["padded_in"][-1] // MOST_ROWS + 1)

    def views(self, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return each layer's weights and biases in an array that is laid out as the parameters."""
        weights, biases = [], []
        for stored, own_biases, n_in, n_out in self._stored(flat):
            weights.append(stored[:n_in, :n_out].T)
            biases.append(own_biases[:n_out].reshape(n_out, 1))
        return weights, biases

    def _stored(self, flat: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int, int]]:
        """Yield each layer's weights and biases as they lie, with n_in and n_out."""
        for layer in self._table:
            n_in, n_out, rows, stride = (
                int(layer[name]) for name in ("n_in", "n_out", "padded_in", "stride_out")
            )
            at, biases_at = int(layer["weights_at"]), int(layer["biases_at"])
            stored = flat[at:biases_at].reshape(rows, stride)
            yield stored, flat[biases_at : biases_at + stride], n_in, n_out

    def clear_padding(self) -> None:
        """Make the padding zero again, which weights that ran to infinity may have spoilt."""
        for part in self._padding:
            part.fill(0)

    def _padding_of(self, flat: np.ndarray) -> Iterator[np.ndarray]:
        for stored, biases, n_in, n_out in self._stored(flat):
            yield from (stored[n_in:], stored[:n_in, n_out:], biases[n_out:])

    def _layers_of_one_row(self) -> np.ndarray:
        """Return the table of `LAYER` for activations and deltas of a single row."""
        multiple = max(LANES * 4 // self.dtype.itemsize, MOST_ROWS)
        table = np.zeros(len(self.sizes) - 1, LAYER)
        parameters_at = input_at = listed_at = squares_at = 0
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
            layer["n_blocks"], layer["block_inputs"] = 1, layer["padded_in"]
            layer["stride_listed"] = layer["padded_in"] + 1
            listed_at += layer["stride_listed"]
            layer["squares_at"] = squares_at
            squares_at += layer["padded_in"] // MOST_ROWS + 1
        table["number"] = np.arange(1, len(table) + 1)
        table[-1]["activation"] = self.output_activation
        return table

    def workspace(
        self, n_rows: int, n_workers: int, inputs: int = DENSE, most_listed: int = 0
    ) -> Workspace:
        """Return a workspace for minibatches of up to `n_rows` and as many workers.

        `inputs` is how the first layer reads: a code of `nonzeros`. Each row's list has room for
        `most_listed` inputs where they are sparse, for all where they are rich in zeros; else only
        row 0, which may be a whole minibatch, has one.
        """
        capacity = _padded(n_rows, MOST_ROWS)
        table = self._table.copy()
        first = table[0]
        if inputs == SPARSE:
            first["block_inputs"] = most_listed
            for name in ("output_at", "input_at"):  # no dense inputs
                table[name] -= first["stride_in"]
            first["input_at"] = 0
        elif inputs == ZERO_RICH:
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
        panel = 4 * CACHE_LINE // self.dtype.itemsize * int(table["stride_out"].max())
        n_words = -(-n_rows // ROWS_IN_A_WORD) if inputs == ZERO_RICH else 0
        table["stride_marks"] = n_words * ROWS_IN_A_WORD
        n_marks = int(table[0]["padded_in"] * table[0]["stride_marks"])
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
            words=np.zeros(n_workers * n_words * INPUTS_TOGETHER, np.int64),
            losses=np.zeros(capacity),
            gradients=zeros(n_workers * self._gradients_together(inputs, n_workers), self.dtype),
            sums=np.zeros(n_workers * max(RUNNING_SUMS, int(table["stride_out"].max()))),
            status=np.zeros(n_workers, np.int64),
        )

    def _gradients_together(self, inputs: int, n_workers: int) -> int:
        """Return of how many weights a worker keeps gradients until it changes them.

        Rows that stay in the second cache; of sparse inputs all, which are sorted but once. Memory
        that no rule uses is never touched.
        """
        strides = self._table["stride_out"]
        rows = -(-int(self._table[0]["padded_in"]) // (n_workers * MOST_ROWS)) * MOST_ROWS
        all_of_first = rows * int(strides[0]) if inputs == SPARSE else 0
        return max(GRADIENTS_TOGETHER, MOST_ROWS * int(strides.max()), all_of_first)

    def borrow(self, n_rows: int, inputs: int) -> ForwardSpace:
        """Return space for one worker to bring rows forward: a spare one if there is any.

        No other thread has it until it is given back. `n_rows` is the same in every call, and
        `inputs` `nonzeros.DENSE` or `nonzeros.ZERO_RICH`; there are no marks (for updates only).
        """
        try:
            return self._spare[inputs].pop()
        except IndexError:
            space = self.workspace(n_rows, 1, inputs).forward
            return space._replace(marks=np.zeros(0, np.uint16))

    def give_back(self, spaces: list[ForwardSpace], inputs: int) -> None:
        """Keep borrowed spaces for the next who needs one."""
        self._spare[inputs].extend(spaces)
