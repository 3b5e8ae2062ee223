"""Sparse rows of X: as lists for forward, and sorted by input for the update.

Sparse rows are never converted to dense ones. The list of a row, for forward, is a copy of it. For
the update, the elements of each input are brought together in the order of their rows, so the sums
are those of `update.update`, in the same order.
"""

from __future__ import annotations

from fastmlp.core.inputs.gather import AHEAD
from fastmlp.core.inputs.nonzeros import list_at
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.processor import CACHE_LINE
from fastmlp.core.machine.tile import prefetch


@kernel
def list_sparse(layer, X, samples, start, space, first, last):
    """List the nonzero inputs of the sparse rows first to last of the minibatch.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The first layer.
    X : gather.Sparse
        Read. None if rows are dense.
    samples : step.Samples
        Read: `scaling`, whose shifts are 0, because others would make X dense, and `order`.
    start : int
        The position in `order` where this minibatch begins.
    space : storage.ForwardSpace
        The rows' lists are overwritten, as by `nonzeros.list_inputs`.
    first, last : int

    Returns
    -------
    int
        1 + the first row of X with NaN or infinity, 0 if there is none.
    """
    if X is None:
        return 0
    scaling, order, listed, values = samples.scaling, samples.order, space.listed, space.values
    bad_row = 0
    for i in range(first, last):
        row = order[start + i]
        if start + i + AHEAD < len(order):  # this minibatch's or the next one's
            _prefetch(X, order[start + i + AHEAD])
        begin, n = X.starts[row], X.starts[row + 1] - X.starts[row]
        at = list_at(layer, i, 0)
        listed[at] = n
        numbers, inputs = X.numbers[begin : begin + n], X.inputs[begin : begin + n]
        row_values, row_inputs = values[at + 1 : at + 1 + n], listed[at + 1 : at + 1 + n]
        for s in range(n):
            row_inputs[s] = inputs[s]
        broken = False
        for s in range(n):
            value = numbers[s]
            if len(scaling) > 0:
                value = value * scaling[layer.n_in + inputs[s]]
            row_values[s] = value
            broken |= value - value != 0
        if broken and bad_row == 0:
            bad_row = row + 1
    return bad_row


@kernel
def _prefetch(X, row):
    line = CACHE_LINE // 4
    for s in range(X.starts[row], X.starts[row + 1], line):
        prefetch(X.numbers, s)
        prefetch(X.inputs, s)


@kernel
def sort_by_input(layer, space, columns, n_rows, first, last):
    """Sort the listed elements of the inputs first to last by input, and then by row.

    ``columns.touched[first:]`` then holds the inputs that occur in a list. The elements of the
    first one begin at the position that is returned and end before its ``columns.ends``, where
    those of the next one begin; and so on.

    Returns
    -------
    int, int
        Where the elements begin, and the number of inputs that occur.
    """
    listed, values = space.listed, space.values
    ends, touched = columns.ends, columns.touched[first:last]
    n_touched = n_below = 0
    for i in range(n_rows):
        begin, end = _part(layer, listed, i, first, last)
        n_below += begin - list_at(layer, i, 0) - 1
        row_inputs = listed[begin:end]
        for s in range(len(row_inputs)):
            k = row_inputs[s]
            if ends[k] == 0:
                touched[n_touched] = k
                n_touched += 1
            ends[k] += 1
    end = n_below
    for c in range(n_touched):
        n = ends[touched[c]]
        ends[touched[c]] = end
        end += n
    for i in range(n_rows):
        begin, end = _part(layer, listed, i, first, last)
        row_inputs, row_values = listed[begin:end], values[begin:end]
        for s in range(len(row_inputs)):
            k = row_inputs[s]
            at = ends[k]
            columns.rows[at] = i
            columns.values[at] = row_values[s]
            ends[k] = at + 1
    return n_below, n_touched


@kernel
def _part(layer, listed, i, first, last):
    """Return where the inputs first to last begin and end in the list of row i."""
    begin = list_at(layer, i, 0) + 1
    end = begin + listed[begin - 1]
    while begin < end and listed[begin] < first:
        begin += 1
    while begin < end and listed[end - 1] >= last:
        end -= 1
    return begin, end
