"""The update of the first layer for sparse rows, whose cost is that of their stored elements."""

from __future__ import annotations

from fastmlp.core.equations.product import ROW, ROW_SINGLE
from fastmlp.core.equations.update import apply_gradient
from fastmlp.core.inputs.sparse import sort_by_input
from fastmlp.core.machine.barrier import stopped
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.tile import add_outer, zeros
from fastmlp.core.machine.tile import columns as columns_of


@kernel
def update_sparse(layer, X, work, n_rows, sink, team, first, last):
    """Update the first layer from sparse rows, with the same sums as `update.update`.

    Parameters
    ----------
    layer, n_rows, sink, team, first, last
        As in `update.update`. If a gradient of zero changes no weight, only the weights of inputs
        that occur in some row are read or changed.
    X : gather.Sparse
        None if rows are dense: then this does nothing.
    work : storage.Workspace
        The deltas and the rows' lists, of `sparse.list_sparse`, are read. `columns` are
        overwritten, except for `ends`, which is all 0 before and after.
    """
    if X is None:
        return
    columns, deltas = work.columns, work.deltas
    begin, n_touched = sort_by_input(layer, work.forward, columns, n_rows, first, last)
    touched = columns.touched[first : first + n_touched]
    if sink.l2 != 0 or not sink.descends:
        touched = _touch_all(columns, n_touched, first, last)
    j = _update_sparse(ROW, 0, layer, deltas, sink, team, columns, touched, begin)
    _update_sparse(ROW_SINGLE, j, layer, deltas, sink, team, columns, touched, begin)
    for c in range(len(touched)):
        columns.ends[touched[c]] = 0


@kernel
def _touch_all(columns, n_touched, first, last):
    """Add the inputs without elements: with weight decay all weights change."""
    end = columns.ends[columns.touched[first + n_touched - 1]] if n_touched > 0 else 0
    for k in range(first, last):
        if columns.ends[k] == 0:
            columns.ends[k] = end
            columns.touched[first + n_touched] = k
            n_touched += 1
    return columns.touched[first:last]


@kernel
def _update_sparse(shape, j, layer, deltas, sink, team, columns, touched, begin):
    width, stride, n_columns = columns_of(shape, deltas), layer.stride_out, layer.padded_out
    weights_at, delta_at = layer.weights_at, layer.delta_at
    while j + width <= n_columns and not stopped(team):
        s = begin
        for c in range(len(touched)):
            k = touched[c]
            weight_grads = zeros(shape, deltas)
            while s < columns.ends[k]:
                row_at = delta_at + columns.rows[s] * stride + j
                weight_grads = add_outer(weight_grads, columns.values, s, 0, deltas, row_at)
                s += 1
            at = weights_at + k * stride + j
            apply_gradient(weight_grads, sink, at, 0)
        j += width
    return j
