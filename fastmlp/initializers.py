"""Initial weights.

Each initializer is a function (source, n_out, n_in) -> float64 array (n_out, n_in), for one layer.
`source` is the module `numpy.random`, a RandomState or a Generator, and the only source of random
numbers, so that a seed gives the same weights again. Initial biases are zeros.

Examples
--------
>>> import numpy as np
>>> from fastmlp.initializers import he_normal
>>> he_normal(np.random.default_rng(0), 3, 2).shape
(3, 2)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def xavier_normal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw from N(0, 2 / (n_in + n_out)), which balances the variances of activations and deltas.

    (Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010, section 4.2.1, equation 12.) These are also the initial weights of `NeuralNet`.
    """
    return source.standard_normal((n_out, n_in)) * np.sqrt(2 / (n_in + n_out))


def xavier_uniform(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw from U(-a, a) with a = sqrt(6 / (n_in + n_out)), with the variance of `xavier_normal`.

    (Glorot and Bengio, 2010, section 4.2.1, equation 16.)
    """
    return _uniform(source, n_out, n_in, np.sqrt(6 / (n_in + n_out)))


def he_normal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw from N(0, 2 / n_in), which preserves the mean square through relu.

    (He et al., Delving Deep into Rectifiers, 2015, section 2.2, equation 10.)
    """
    return source.standard_normal((n_out, n_in)) * np.sqrt(2 / n_in)


def he_uniform(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw from U(-a, a) with a = sqrt(6 / n_in), with the variance of `he_normal`."""
    return _uniform(source, n_out, n_in, np.sqrt(6 / n_in))


def lecun_normal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw from N(0, 1 / n_in), which preserves the variance through linear units.

    (LeCun, Bottou, Orr and Mueller, Efficient BackProp, 1998, section 4.6, equation 16.)
    """
    return source.standard_normal((n_out, n_in)) * np.sqrt(1 / n_in)


def lecun_uniform(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw from U(-a, a) with a = sqrt(3 / n_in), with the variance of `lecun_normal`."""
    return _uniform(source, n_out, n_in, np.sqrt(3 / n_in))


def orthogonal(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Draw orthonormal rows, or orthonormal columns if n_out > n_in, uniformly.

    Q of the QR decomposition of normal draws, each column multiplied by the sign of R's diagonal.
    Linear networks of any depth then preserve norms (Saxe, McClelland and Ganguli, Exact solutions
    to the nonlinear dynamics of learning in deep linear neural networks, 2014, section 3; the
    signs: Mezzadri, How to generate random matrices from the classical compact groups, 2007,
    section 5). LAPACK computes Q, so the last bits depend on NumPy's build.
    """
    tall = source.standard_normal((max(n_out, n_in), min(n_out, n_in)))
    q, r = np.linalg.qr(tall)
    q *= np.copysign(1, np.diagonal(r))
    return q if n_out >= n_in else q.T


def zeros(source: Any, n_out: int, n_in: int) -> np.ndarray:
    """Return zeros, without a draw. A network with a hidden layer of zeros does not learn."""
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
