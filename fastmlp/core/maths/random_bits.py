"""Counter-based random numbers for dropout and input noise.

A generator with a state would have to be advanced in one order. Here a number is a function of a
key and a counter, so it does not depend on the number of threads or vector lanes.
"""

from __future__ import annotations

import numpy as np

from fastmlp.core.machine.kernel import joined, kernel
from fastmlp.core.machine.scalars import smaller
from fastmlp.core.maths.float_bits import number
from fastmlp.core.maths.functions import log

_PARITY = np.uint32(0x1BD11BDA)
_QUARTER_TURN = np.uint32(2**30)


@kernel
def _round(x, y, turn):
    # Numba adds and shifts uint32 as 64 bits; with the casts LLVM uses 32 bits again.
    x = np.uint32(x + y)
    y = np.uint32((y << turn) | (y >> np.uint32(32 - turn)))
    return x, np.uint32(y ^ x)


@kernel
def _four_even_rounds(x, y):
    x, y = _round(x, y, np.uint32(13))
    x, y = _round(x, y, np.uint32(15))
    x, y = _round(x, y, np.uint32(26))
    return _round(x, y, np.uint32(6))


@kernel
def _four_odd_rounds(x, y):
    x, y = _round(x, y, np.uint32(17))
    x, y = _round(x, y, np.uint32(29))
    x, y = _round(x, y, np.uint32(16))
    return _round(x, y, np.uint32(24))


@kernel
def _add_key(x, y, key, next_key, count):
    return np.uint32(x + key), np.uint32(y + next_key + count)


@kernel
def threefry(counter_low, counter_high, key_low, key_high):
    """Return two random words: Threefry-2x32 with 20 rounds.

    A bijection of the counter for each key. One round is ``x += y; y = rotate(y) ^ x``, and the
    key is added after every four (Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy
    as 1, 2, 3, SC 2011).

    Parameters
    ----------
    counter_low, counter_high, key_low, key_high : uint32

    Returns
    -------
    two uint32
    """
    key_2 = np.uint32(_PARITY ^ key_low ^ key_high)
    x, y = _add_key(counter_low, counter_high, key_low, key_high, np.uint32(0))
    x, y = _four_even_rounds(x, y)
    x, y = _add_key(x, y, key_high, key_2, np.uint32(1))
    x, y = _four_odd_rounds(x, y)
    x, y = _add_key(x, y, key_2, key_low, np.uint32(2))
    x, y = _four_even_rounds(x, y)
    x, y = _add_key(x, y, key_low, key_high, np.uint32(3))
    x, y = _four_odd_rounds(x, y)
    x, y = _add_key(x, y, key_high, key_2, np.uint32(4))
    x, y = _four_even_rounds(x, y)
    return _add_key(x, y, key_2, key_low, np.uint32(5))


@kernel
def _counter_and_key(row, key_high):
    """Return the high word of the counter and that of the key, which depend on the row's number."""
    return np.uint32(row), np.uint32(key_high ^ (row >> 32))


@kernel
def _factors(words, threshold, kept):
    first, second = words
    dropped = number(0.0, kept)
    return kept if first >= threshold else dropped, kept if second >= threshold else dropped


@kernel
def drop(key_low, key_high, row, probability, activations, derivatives):
    """Dropout: ``a[j] *= m[j]; f'(z)[j] *= m[j]`` with m 0 with probability p, else 1 / (1 - p).

    This keeps the mean of what the next layer receives (inverted dropout; Srivastava et al.,
    Dropout: a simple way to prevent neural networks from overfitting, JMLR 15, 2014, section 10).
    With n units and h = floor(n / 2), the two words of the counter (j, row) decide about the units
    j and h + j; if n is odd, the first word of the counter (h, row) decides about the last unit.

    Parameters
    ----------
    key_low, key_high : uint32
        Random words from the seed and the layer, see `key_of`; no two purposes share a key.
    row : int64
        The running number of the sample, which no other sample has. Its high word goes into the
        key.
    probability : float
        p, with 0 <= p < 1; a unit is dropped if its word is below p * 2**32, rounded.
    activations, derivatives : arrays of the same length
        Of the layer's units without padding, because the masks depend on their number;
        overwritten. NaN and infinity become NaN where they are dropped.
    """
    low, high = _counter_and_key(row, key_high)
    threshold = np.uint32(smaller(probability * 2.0**32 + 0.5, 2.0**32 - 1))
    kept = number(1 / (1 - probability), activations[0])
    n = len(activations)
    half = n // 2
    for j in range(half):
        words = threefry(np.uint32(j), low, key_low, high)
        first, second = _factors(words, threshold, kept)
        activations[j] *= first
        derivatives[j] *= first
        activations[half + j] *= second
        derivatives[half + j] *= second
    if n % 2 == 1:
        words = threefry(np.uint32(half), low, key_low, high)
        first, _ = _factors(words, threshold, kept)
        activations[n - 1] *= first
        derivatives[n - 1] *= first


@kernel
def _cosine(word, like):
    """``cos(2 pi t)`` for the angle t = word / 2**32, in turns.

    As a signed integer the word gives t from -1/2 to 1/2, and cos(2 pi t) = sin(2 pi (1/4 - |t|))
    is computed by the Taylor polynomial of degree 13. Largest error measured: 6.7e-10 in float64,
    that of the polynomial; 1.5e-7 in float32, from rounding.
    """
    t = number(np.int32(word), like) * number(2.0**-32, like)
    x = (number(0.25, like) - abs(t)) * number(2 * np.pi, like)
    square = x * x
    p = number(1 / 6227020800, like)
    p = p * square - number(1 / 39916800, like)
    p = p * square + number(1 / 362880, like)
    p = p * square - number(1 / 5040, like)
    p = p * square + number(1 / 120, like)
    p = p * square - number(1 / 6, like)
    return p * square * x + x


@joined  # a call that stays one prevents vectorization
def _normals(words, deviation):
    first, second = words
    u = number(np.int32(first >> 1), deviation) + number(1.0, deviation)  # never 0
    u *= number(2.0**-31, deviation)
    radius = deviation * np.sqrt(number(-2.0, deviation) * log(u))
    sine = _cosine(np.uint32(second - _QUARTER_TURN), deviation)
    return radius * _cosine(second, deviation), radius * sine


@kernel
def add_noise(key_low, key_high, row, deviation, x):
    """``x[k] += deviation * normal``, with two standard normals from the two words of a counter.

    With u and t uniform from 0 to 1, sqrt(-2 ln u) cos(2 pi t) and sqrt(-2 ln u) sin(2 pi t) are
    two independent normals (Box and Muller, A note on the generation of random normal deviates,
    Annals of Mathematical Statistics 29, 1958). With n inputs and h = floor(n / 2), the counter
    (k, row) gives those of the inputs k and h + k; if n is odd, (h, row) gives that of the last.

    u is a nonzero multiple of 2**-31, so no normal exceeds 6.56 in size (one in 2e10 would), and t
    is a multiple of 2**-32; float32 rounds both to 24 bits.

    Parameters
    ----------
    key_low, key_high, row
        As in `drop`, with a different key.
    deviation : float
    x : array
        All inputs of the sample without padding; overwritten.
    """
    low, high = _counter_and_key(row, key_high)
    scale = number(deviation, x[0])
    n = len(x)
    half = n // 2
    for k in range(half):
        words = threefry(np.uint32(k), low, key_low, high)
        first, second = _normals(words, scale)
        x[k] += first
        x[half + k] += second
    if n % 2 == 1:
        words = threefry(np.uint32(half), low, key_low, high)
        first, _ = _normals(words, scale)
        x[n - 1] += first


@kernel
def key_of(seed, purpose):
    """Return the key for a purpose, such as a layer's dropout, from a seed of 64 bits."""
    return threefry(np.uint32(purpose), np.uint32(0), np.uint32(seed), np.uint32(seed >> 32))
