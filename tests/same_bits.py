"""Networks and arrays compared bit by bit."""

import hashlib
import io

import numpy as np


def arrays_of(what):
    """Return a list of arrays: of an array itself, several, or the parameters of a network."""
    if isinstance(what, np.ndarray):
        return [what]
    return [*what.weights, *what.biases] if hasattr(what, "weights") else list(what)


def bits_of(what):
    """Return what differs where any bit does: dtypes, shapes and bytes."""
    return tuple((a.dtype.str, a.shape, a.tobytes()) for a in arrays_of(what))


def assert_same_bits(one, *others):
    """Check that networks, arrays or lists of arrays are equal to the last bit."""
    for other in others:
        assert bits_of(one) == bits_of(other)


def digest_of(arrays):
    """Return a digest of many arrays, which need not be in memory together."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.dtype.str, array.shape)).encode() + array.tobytes())
    return digest.hexdigest()


def file_of(net):
    """Return the bytes of a network's file: its whole state, on which all that it does depends."""
    file = io.BytesIO()
    net.save(file)
    return file.getvalue()
