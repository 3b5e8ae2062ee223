"""Networks and arrays compared bit by bit."""

import hashlib
import io

import numpy as np


def arrays_of(what):
    """Return a list of arrays, given an array, several, or a network (its parameters)."""
    if isinstance(what, np.ndarray):
        return [what]
    return [*what.weights, *what.biases] if hasattr(what, "weights") else list(what)


def bits_of(what):
    """Return dtypes, shapes and bytes, which are equal only if every bit is."""
    return tuple((a.dtype.str, a.shape, a.tobytes()) for a in arrays_of(what))


def assert_same_bits(one, *others):
    """Check that networks, arrays or lists of arrays are equal to the last bit."""
    for other in others:
        assert bits_of(one) == bits_of(other)


def digest_of(arrays):
    """Return a digest of an iterable of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.dtype.str, array.shape)).encode() + array.tobytes())
    return digest.hexdigest()


def file_of(net):
    """Return the bytes of a saved network: its parameters and everything else it depends on."""
    file = io.BytesIO()
    net.save(file)
    return file.getvalue()
