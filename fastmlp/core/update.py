"""Update: every weight by its gradient, which never leaves the registers (floor 2)."""

from __future__ import annotations

from fastmlp.core.barrier import stopped
from fastmlp.core.kernel import kernel
from fastmlp.core.lists import INPUTS_TOGETHER, ROWS_IN_A_WORD, find_rows, list_at
from fastmlp.core.product import CHANGE, ROW, ROW_SINGLE, Product, add_marked, multiply
from fastmlp.core.rules import change
from fastmlp.core.tile import add_outer, add_row, columns, descend, zeros


@kernel(inline=True)
def update(layer, parameters, activations, deltas, n_rows, rule, team, first, last):
    """``W -= learning_rate * (sum over i of delta[i] a_in[i].T + l2 * W)``, or as `rule` says.

    Parameters
    ----------
    layer : record of `storage.LAYER`
    parameters : flat array
        Changed: the weights of the layer's inputs first to last.
    activations, deltas : flat arrays
        Read: the layer's inputs and deltas, of which `scale` has made the sum a mean.
    n_rows : int
        The samples of this minibatch.
    rule : Rule
        Its moments are changed too.
    team : int64 array
        Where it is told to stop, so does this, between two tiles.
    first, last : int
        `first` a multiple of `MOST_ROWS`, `last` too or the layer's n_in.
    """
    multiply(_descent(layer, parameters, activations, deltas, n_rows, rule, 0), team, first, last)


@kernel(inline=True)
def _descent(layer, parameters, activations, deltas, n_rows, rule, j):
    """Return the `Product` of the weights from column j on."""
    return Product(
        n_terms=n_rows, n_columns=layer.padded_out - j,
        x=activations, x_at=layer.input_at, x_row=1, x_term=layer.stride_in,
        y=deltas, y_at=layer.delta_at + j, y_term=layer.stride_out,
        turned=False, panel=deltas,
        start=deltas, start_at=-1,
        target=parameters, target_at=layer.weights_at + j, target_row=layer.stride_out,
        finish=CHANGE, gate=deltas, gate_at=0, rule=rule,
    )  # fmt: skip


@kernel(inline=True)
def update_marked(
    layer, parameters, activations, deltas, n_rows, rule, team, marks, words, first, last
):
    """`update` that passes over inputs that are zero: the same sums.

    Parameters
    ----------
    layer, parameters, activations, deltas, n_rows, rule, team, first, last
        As in `update`.
    marks : uint16 array
        Of `lists.mark_inputs`; read.
    words : int64 array
        Overwritten: see `lists.find_rows`.
    """
    j = 0
    for k in range(first, last, INPUTS_TOGETHER):
        if stopped(team):
            break
        end = min(k + INPUTS_TOGETHER, last)
        find_rows(layer, activations, marks, words, n_rows, k, end)
        j = _update_marked(
            layer, parameters, activations, deltas, n_rows, rule, team, words, k, end
        )
    # The columns that are left fill too few registers to gain by it.
    multiply(_descent(layer, parameters, activations, deltas, n_rows, rule, j), team, first, last)


@kernel
def _update_marked(layer, parameters, activations, deltas, n_rows, rule, team, words, first, last):
    width, j = columns(ROW, parameters), 0
    n_words = (n_rows + ROWS_IN_A_WORD - 1) // ROWS_IN_A_WORD
    while j + width <= layer.padded_out and not stopped(team):
        for k in range(first, last):
            weight_grads = add_marked(
                zeros(ROW, parameters), words, k - first, n_words,
                activations, layer.input_at + k, layer.stride_in,
                deltas, layer.delta_at + j, layer.stride_out,
            )  # fmt: skip
            at = layer.weights_at + k * layer.stride_out + j
            change(ROW, weight_grads, rule, parameters, at, 0)
        j += width
    return j


@kernel(inline=True)
def update_sample(layer, parameters, deltas, rule, listed, values):
    """`update` for a minibatch of row 0 alone, for the inputs that its list names.

    Where an input is zero so is the gradient of its weights. For rules alone that move no weight
    then.
    """
    j = _update_sample(ROW, 0, layer, parameters, deltas, rule, listed, values)
    _update_sample(ROW_SINGLE, j, layer, parameters, deltas, rule, listed, values)


@kernel
def _update_sample(shape, j, layer, parameters, deltas, rule, listed, values):
    width, stride, n_columns = columns(shape, parameters), layer.stride_out, layer.padded_out
    weights_at, delta_at = layer.weights_at, layer.delta_at
    while j + width <= n_columns:
        for b in range(layer.n_blocks):
            at = list_at(layer, 0, b)
            for s in range(at + 1, at + 1 + listed[at]):
                grads = add_outer(zeros(shape, parameters), values, s, 0, deltas, delta_at + j)
                descend(grads, rule.rate, parameters, weights_at + listed[s] * stride + j, 0)
        j += width
    return j


@kernel(inline=True)
def update_biases(layer, parameters, deltas, n_rows, rule):
    """``b -= learning_rate * sum over i of delta[i]``, or as `rule` says; the biases change."""
    j = _update_bias_columns(ROW, 0, layer, parameters, deltas, n_rows, rule)
    _update_bias_columns(ROW_SINGLE, j, layer, parameters, deltas, n_rows, rule)


@kernel
def _update_bias_columns(shape, j, layer, parameters, deltas, n_rows, rule):
    width = columns(shape, parameters)
    while j + width <= layer.padded_out:
        bias_grads = zeros(shape, parameters)
        for i in range(n_rows):
            bias_grads = add_row(bias_grads, deltas, layer.delta_at + i * layer.stride_out + j)
        change(shape, bias_grads, rule, parameters, layer.biases_at + j, 0)
        j += width
    return j
