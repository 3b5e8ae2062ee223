"""Independent: the random numbers of dropout and input noise, by NumPy's integers and functions."""

import numpy as np

ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]
PARITY = 0x1BD11BDA
WORD = np.uint64(2**32)


def threefry(counter, key):
    """Return the two words of Threefry-2x32; each argument is a pair of numbers or of arrays."""
    x, y = (np.asarray(c, np.uint64) for c in counter)
    keys = [np.asarray(k, np.uint64) for k in key]
    keys.append(keys[0] ^ keys[1] ^ np.uint64(PARITY))
    x, y = (x + keys[0]) % WORD, (y + keys[1]) % WORD
    for r in range(20):
        x = (x + y) % WORD
        y = y << np.uint64(ROTATIONS[r % 8])
        y = (y % WORD + y // WORD) ^ x
        if r % 4 == 3:
            s = r // 4 + 1
            x, y = (x + keys[s % 3]) % WORD, (y + keys[(s + 1) % 3] + np.uint64(s)) % WORD
    return x, y


class Draws:
    """What is drawn for a network whose key is `key`, a number of 64 bits.

    Parameters
    ----------
    key : int
    input_noise : float
    dropout : list of float, one for each hidden layer
    """

    def __init__(self, key, input_noise, dropout):
        self.key, self.input_noise, self.dropout = key, input_noise, dropout

    def words(self, purpose, rows, n):
        """Return the two words of each counter for n units, of every row."""
        key = threefry((purpose, 0), (self.key % 2**32, self.key // 2**32 % 2**32))
        rows = np.asarray(rows, np.uint64)[:, np.newaxis]
        counters = np.arange((n + 1) // 2, dtype=np.uint64), rows % WORD
        return threefry(counters, (key[0], key[1] ^ rows // WORD))

    def noise(self, rows, n):
        first, second = self.words(0, rows, n)
        radius = np.sqrt(-2 * np.log((first // 2 + 1) / 2**31))
        angle = 2 * np.pi * second / 2**32
        return self.input_noise * in_place(radius * np.cos(angle), radius * np.sin(angle), n)

    def mask(self, l, rows, n):
        """Return what the outputs of hidden layer l (the first is 0) are multiplied by."""
        p = self.dropout[l]
        words = in_place(*self.words(l + 1, rows, n), n)
        return np.where(words >= int(p * 2**32 + 0.5), 1 / (1 - p), 0.0)


def in_place(first, second, n):
    """Give the first half of n units what is first, the second what is second."""
    half = n // 2
    return np.concatenate([first[:, :half], second[:, :half], first[:, half:]], axis=1)[:, :n]
