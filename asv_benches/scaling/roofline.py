"""The shortest time per sample on this machine (Williams, Waterman and Patterson, 2009).

A sample takes at least as long as its arithmetic at the machine's peak, and at least as long as its
memory traffic at the machine's bandwidth. The traffic is the minimum: a step reads every weight in
the forward pass, reads and writes it in the update, and reads a row of X for each sample.

The bandwidth depends on the cache that the data fits into. So it is measured over arrays of many
sizes; the largest one that does not exceed the weights, or X, is used.
"""

from typing import NamedTuple

from points import DTYPE


class Limits(NamedTuple):
    """The limits of the machine for one number of threads."""

    flops: float  # per second: fused multiply-adds in registers, 2 operations each
    bandwidth: dict[int, float]  # bytes per second, by the bytes of the array


def bandwidth_for(limits, n_bytes):
    """Return the bandwidth over the largest measured array of at most n_bytes."""
    sizes = limits.bandwidth
    return sizes[max((size for size in sizes if size <= n_bytes), default=min(sizes))]


def weight_bytes(point):
    """Return the bytes of weights moved per sample: a step reads them twice and writes them."""
    return 3 * point.weights * DTYPE.itemsize / point.batch_size


def row_bytes(point):
    """Return the bytes of a row of X."""
    return point.layers[0] * DTYPE.itemsize


def intensity(point):
    """Return the floating-point operations per byte that must move."""
    return point.flops / (weight_bytes(point) + row_bytes(point))


def least_seconds(point, limits):
    """Return the shortest seconds per sample that each limit allows: {limit: seconds}."""
    all_weights = point.weights * DTYPE.itemsize
    all_rows = point.n_samples * row_bytes(point)
    return {
        "arithmetic": point.flops / limits.flops,
        "weights": weight_bytes(point) / bandwidth_for(limits, all_weights),
        "X": row_bytes(point) / bandwidth_for(limits, all_rows),
    }
