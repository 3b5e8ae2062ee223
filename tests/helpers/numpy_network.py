"""What a network predicts, in NumPy and float64, one layer after the other."""

import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(z):
    return np.where(
        z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))
    )


FUNCTIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
    "gelu": lambda z: z * (1 + erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z * sigmoid(z),
}


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


LINKS = {"softmax": softmax, "logistic": sigmoid, "poisson": np.exp}


def predicted(X, weights, biases, activations, loss, shift=0.0, scale=1.0):
    """Return the predicted means; `activations` has a name for each layer, `loss` is a name."""
    a = (np.asarray(X, np.float64) - shift) * scale
    for w, b, name in zip(weights, biases, activations, strict=True):
        a = FUNCTIONS[name](a @ np.asarray(w, np.float64).T + np.asarray(b, np.float64).ravel())
    return LINKS.get(loss, FUNCTIONS["identity"])(a)
