"""The loss and its derivative by the last activation (floor 1)."""

from __future__ import annotations

import numpy as np

from fastmlp.core.activations import RELU
from fastmlp.core.functions import exp
from fastmlp.core.kernel import kernel


@kernel
def softmax(z, n_out, probabilities):
    """``p[j] = exp(z[j]) / sum over k of exp(z[k])``, without overflow for any finite z.

    The largest z is subtracted first, which changes nothing in the quotient.

    Parameters
    ----------
    z : array of at least `n_out`
    n_out : int
    probabilities : array of as many as `z`
        Overwritten, those past `n_out` with values of no meaning; may be `z` itself.

    Returns
    -------
    float
        log(sum over k of exp(z[k])), of which z[j] is subtracted for ``-log p[j]``.
    """
    top = z[0]
    for j in range(1, n_out):
        top = max(top, z[j])
    for j in range(len(z)):  # to the end of the padding: whole vectors
        probabilities[j] = exp(z[j] - top)
    total = probabilities[0]
    for j in range(1, n_out):
        total += probabilities[j]
    share = 1 / total
    for j in range(len(z)):
        probabilities[j] *= share
    return np.log(np.float64(total)) + top


@kernel
def output_delta(layer, activations, deltas, labels, losses, first, last, scale):
    """``delta = scale * (softmax(a) - onehot(y)) * f'(z)`` of the rows first to last.

    The cross-entropy ``-log softmax(a)[y]`` has the derivative ``softmax(a) - onehot(y)`` by the
    activation a (Bishop, Pattern Recognition and Machine Learning, 2006, section 4.3.4); `scale`
    is 1 / batch_size, the one place where it enters.

    Parameters
    ----------
    layer : record of `storage.LAYER`
        The last layer.
    activations, deltas : flat arrays
        The layer's activations are read; its deltas are overwritten, the padding with zeros.
    labels : int64 array
        The class of each row.
    losses : float64 array
        Overwritten with each row's cross-entropy.
    first, last : int
    scale : float
    """
    n, n_out = layer.padded_out, layer.n_out
    for i in range(first, last):
        a_at = layer.output_at + i * layer.stride_out
        delta_at = layer.delta_at + i * layer.stride_out
        a = activations[a_at : a_at + n]
        delta = deltas[delta_at : delta_at + n]
        y = labels[i]
        losses[i] = softmax(a, n_out, delta) - a[y]
        delta[y] -= 1
        for j in range(n_out):
            delta[j] *= scale
        if layer.activation == RELU:
            for j in range(n_out):
                delta[j] = delta[j] if a[j] > 0 else delta.dtype.type(0)
        for j in range(n_out, n):
            delta[j] = 0
