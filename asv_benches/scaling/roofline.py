"""The least time that a sample can take on this machine (Williams, Waterman and Patterson, 2009).

A sample takes at least as long as its arithmetic at the machine's peak, and as long as what it
moves takes at the machine's bandwidth. Of that only the least is counted: a step reads every weight
in the forward pass, reads and writes it in the update, and reads a row of X for each sample.

How fast numbers move depends on the cache that they fit into. So the bandwidth is measured over
arrays of many sizes, and what counts is an array no larger than the weights, or than X.
"""

from typing import NamedTuple

from points import DTYPE


class Limits(NamedTuple):
    """What the machine can do at all, with some number of threads."""

    flops: float  # a second: fused multiply-adds that never leave the registers, 2 each
    bandwidth: dict[int, float]  # bytes a second, by the bytes of the array


def bandwidth_for(limits, n_bytes):
    """Return the bandwidth over the largest measured array of at most n_bytes."""
    sizes = limits.bandwidth
    return sizes[max((size for size in sizes if size <= n_bytes), default=min(sizes))]


def weight_bytes(point):
    """Return the bytes of weights that a sample moves: read, read again and written in a step."""
    return 3 * point.weights * DTYPE.itemsize / point.batch_size


def row_bytes(point):
    """Return the bytes of a row of X."""
    return point.layers[0] * DTYPE.itemsize


def intensity(point):
    """Return the floating-point operations for each byte that must move."""
    return point.flops / (weight_bytes(point) + row_bytes(point))


def least_seconds(point, limits):
    """Return {what bounds it: the seconds that a sample takes at the least for that alone}."""
    all_weights = point.weights * DTYPE.itemsize
    all_rows = point.n_samples * row_bytes(point)
    return {
        "arithmetic": point.flops / limits.flops,
        "weights": weight_bytes(point) / bandwidth_for(limits, all_weights),
        "X": row_bytes(point) / bandwidth_for(limits, all_rows),
    }
