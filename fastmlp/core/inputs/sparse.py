"""Sparse rows of X: their lists, and the same numbers sorted by input, for the update.

Such rows are never made dense. A row's list, which forward goes along, is what lies in memory.
For the update every input's numbers are brought together, row after row, so the sums are those of
`update` in the same order.
"""

from __future__ import annotations

from fastmlp.core.inputs.gather import AHEAD
from fastmlp.core.inputs.nonzeros import list_at
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.processor import CACHE_LINE
from fastmlp.core.machine.tile import prefetch


@kernel
def list_sparse(layer, X, scaling, order, start, listed, values, first, last):
    """List the inputs of the sparse rows first to last of the minibatch.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The first layer.
    X : gather.Sparse
        Read. None where rows are dense.
    scaling : array
        As in `gather.gather`; of the shifts, which would fill X, none is other than 0.
    order : int64 array
    start : int
        Where in `order` this minibatch begins.
    listed : uint32 array
    values : flat array
        Overwritten: the rows' lists, as `nonzeros.list_inputs` makes them.
    first, last : int

    Returns
    -------
    int
        1 + the row of X in which NaN or infinity was found, 0 where all is finite.
    """
    if X is None:
        return 0
    refused = 0
    for i in range(first, last):
        row = order[start + i]
        if start + i + AHEAD < len(order):  # this minibatch's or the next one's
            _prefetch(X, order[start + i + AHEAD])
        begin, n = X.starts[row], X.starts[row + 1] - X.starts[row]
        at = list_at(layer, i, 0)
        listed[at] = n
        numbers, inputs = X.numbers[begin : begin + n], X.inputs[begin : begin + n]
        own_values, own_list = values[at + 1 : at + 1 + n], listed[at + 1 : at + 1 + n]
        for s in range(n):
            own_list[s] = inputs[s]
        broken = False
        for s in range(n):
            value = numbers[s]
            if len(scaling) > 0:
                value = value * scaling[layer.n_in + inputs[s]]
            own_values[s] = value
            broken |= value - value != 0
        if broken and refused == 0:
            refused = row + 1
    return refused


@kernel(inline=True)
def _prefetch(X, row):
    line = CACHE_LINE // 4
    for s in range(X.starts[row], X.starts[row + 1], line):
        prefetch(X.numbers, s)
        prefetch(X.inputs, s)


@kernel
def sort_by_input(layer, listed, values, columns, n_rows, first, last):
    """Bring the listed numbers of the inputs first to last together, input by input.

    Afterwards ``columns.touched[first:]`` names the inputs that are listed at all. The numbers of
    the first of them, in the order of their rows, begin at the first place returned and end
    before ``columns.ends`` of that input, where those of the next one begin.

    Returns
    -------
    int, int
        Where the numbers begin, and how many inputs are named.
    """
    ends, touched = columns.ends, columns.touched[first:last]
    n_touched = n_below = 0
    for i in range(n_rows):
        begin, end = _part(layer, listed, i, first, last)
        n_below += begin - list_at(layer, i, 0) - 1
        own_list = listed[begin:end]
        for s in range(len(own_list)):
            k = own_list[s]
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
        own_list, own_values = listed[begin:end], values[begin:end]
        for s in range(len(own_list)):
            k = own_list[s]
            at = ends[k]
            columns.rows[at] = i
            columns.values[at] = own_values[s]
            ends[k] = at + 1
    return n_below, n_touched


@kernel
def _part(layer, listed, i, first, last):
    """Return where the inputs from first to last begin and end in the list of row i."""
    begin = list_at(layer, i, 0) + 1
    end = begin + listed[begin - 1]
    while begin < end and listed[begin] < first:
        begin += 1
    while begin < end and listed[end - 1] >= last:
        end -= 1
    return begin, end
