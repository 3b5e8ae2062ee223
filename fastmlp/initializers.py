"""Where the weights begin (floor 4).

Each is a function (source, n_out, n_in) -> float64 array (n_out, n_in), for one layer. `source`
is what `random_sources.random_source` returns: the module `numpy.random`, a RandomState or a
Generator. They draw from it alone, so a seed gives the same weights again. Biases begin as zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def xavier_normal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return draws from N(0, 2 / (n_in + n_out)): as much variance forward as backward.

    (Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010, section 4.2.1, equation 12.) Bit for bit what `NeuralNet` begins with.
    """
    return source.standard_normal((n_out, n_in)) * np.sqrt(2 / (n_in + n_out))


def xavier_uniform(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return draws from U(-a, a) with a = sqrt(6 / (n_in + n_out)), of `xavier_normal`'s variance.

    (Glorot and Bengio, 2010, section 4.2.1, equation 16.)
    """
    return _uniform(source, n_out, n_in, np.sqrt(6 / (n_in + n_out)))


def he_normal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return draws from N(0, 2 / n_in), which keeps the mean square through relu.

    (He et al., Delving Deep into Rectifiers, 2015, section 2.2, equation 10.)
    """
    return source.standard_normal((n_out, n_in)) * np.sqrt(2 / n_in)


def he_uniform(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return draws from U(-a, a) with a = sqrt(6 / n_in), of `he_normal`'s variance."""
    return _uniform(source, n_out, n_in, np.sqrt(6 / n_in))


def lecun_normal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return draws from N(0, 1 / n_in), which keeps the variance through linear units.

    (LeCun, Bottou, Orr and Mueller, Efficient BackProp, 1998, section 4.6, equation 16.)
    """
    return source.standard_normal((n_out, n_in)) * np.sqrt(1 / n_in)


def lecun_uniform(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return draws from U(-a, a) with a = sqrt(3 / n_in), of `lecun_normal`'s variance."""
    return _uniform(source, n_out, n_in, np.sqrt(3 / n_in))


def orthogonal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return rows of length 1 at right angles, or such columns where n_out > n_in.

    All such matrices are equally likely: Q of the QR decomposition of normal draws, each column
    by the sign of R's diagonal. Whatever the depth, a linear network keeps lengths (Saxe,
    McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, 2014, section 3; the signs: Mezzadri, How to generate random matrices from
    the classical compact groups, 2007, section 5). LAPACK computes Q, so its last bits are those
    of NumPy's build.
    """
    tall = source.standard_normal((max(n_out, n_in), min(n_out, n_in)))
    q, r = np.linalg.qr(tall)
    q *= np.copysign(1, np.diagonal(r))
    return q if n_out >= n_in else q.T


def zeros(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return zeros, and draw nothing. Behind a hidden layer of zeros nothing is ever learnt."""
    return np.zeros((n_out, n_in))


def _uniform(source: Any, n_out: int, n_in: int, limit: float) -> np.ndarray:
    return source.uniform(-limit, limit, (n_out, n_in))


#: The names that users may pass, and what they stand for.
INITIALIZERS: dict[str, Callable[[Any, int, int], np.ndarray]] = {
    function.__name__: function
    for function in (
        xavier_normal,
        xavier_uniform,
        he_normal,
        he_uniform,
        lecun_normal,
        lecun_uniform,
        orthogonal,
        zeros,
    )
}
