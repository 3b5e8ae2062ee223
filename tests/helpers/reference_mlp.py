"""The slow reference: training by the formulas, in float64, with plain NumPy.

It shares no code with the package and is written to be read, not to be fast. `tests/pytorch`
compares it with PyTorch.
"""

import math

import numpy as np
from scipy.special import erfc, expit

from helpers.mlp_cases import NetOptions

# X, z, a and delta are (rows of the minibatch, units).


def softplus(z):
    return np.logaddexp(z, 0)


def normal_cdf(z):
    return 0.5 * erfc(-z / math.sqrt(2))


def normal_pdf(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


#: Each activation f(z) and its derivative f'(z).
ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "elu": (elu, lambda z: np.exp(np.minimum(z, 0))),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "softplus": (softplus, expit),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z)),
    "silu": (
        lambda z: z * expit(z),
        lambda z: expit(z) + z * expit(z) * expit(-z),
    ),
}


def softmax_loss(a, y, label_smoothing=0.0):
    """y is labels (n,) or probabilities of the classes (n, n_out)."""
    n_out = a.shape[1]
    probabilities = np.eye(n_out)[y] if np.ndim(y) == 1 else np.asarray(y, np.float64)
    target = (1 - label_smoothing) * probabilities + label_smoothing / n_out
    logarithms = a - a.max(axis=1, keepdims=True)
    logarithms -= np.log(np.exp(logarithms).sum(axis=1, keepdims=True))
    # `losses_of` takes the mean over the outputs; this loss is the sum.
    return -target * logarithms * n_out, (np.exp(logarithms) - target) * n_out


def logistic_loss(a, target):
    return softplus(a) - target * a, expit(a) - target


def squared_error(a, target):
    return (a - target) ** 2, 2 * (a - target)


def absolute_error(a, target):
    return np.abs(a - target), np.sign(a - target)


def huber_loss(a, target, delta=1.0):
    r = a - target
    small = np.abs(r) <= delta
    return (
        np.where(small, r**2 / 2, delta * (np.abs(r) - delta / 2)),
        np.where(small, r, delta * np.sign(r)),
    )


def poisson_loss(a, target):
    return np.exp(a) - target * a, np.exp(a) - target


def pinball_loss(a, target, quantile=0.5):
    below = target > a
    return (
        np.where(below, quantile * (target - a), (1 - quantile) * (a - target)),
        np.where(below, -quantile, np.where(target < a, 1 - quantile, 0.0)),
    )


#: Each loss: from outputs a and targets to the loss of every output and its derivative.
LOSSES = {
    "softmax": softmax_loss,
    "logistic": logistic_loss,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber_loss,
    "poisson": poisson_loss,
    "pinball": pinball_loss,
}


def sgd(p, g, state, rate, t):
    return p - rate * g


def momentum(p, g, state, rate, t, momentum=0.9):
    state["velocity"] = momentum * state.get("velocity", 0) + g
    return p - rate * state["velocity"]


def nesterov(p, g, state, rate, t, momentum=0.9):
    state["velocity"] = momentum * state.get("velocity", 0) + g
    return p - rate * (g + momentum * state["velocity"])


def rmsprop(p, g, state, rate, t, decay=0.99, epsilon=1e-8):
    state["square"] = decay * state.get("square", 0) + (1 - decay) * g**2
    return p - rate * g / (np.sqrt(state["square"]) + epsilon)


def adagrad(p, g, state, rate, t, epsilon=1e-10):
    state["square"] = state.get("square", 0) + g**2
    return p - rate * g / (np.sqrt(state["square"]) + epsilon)


def adam(p, g, state, rate, t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    state["mean"] = beta1 * state.get("mean", 0) + (1 - beta1) * g
    state["square"] = beta2 * state.get("square", 0) + (1 - beta2) * g**2
    mean = state["mean"] / (1 - beta1**t)
    square = state["square"] / (1 - beta2**t)
    return p - rate * mean / (np.sqrt(square) + epsilon)


#: Each update of a parameter p with gradient g, at step t = 1, 2, ... Adam and AdamW differ only in
#: where l2 enters, see `ReferenceMLP.step`.
OPTIMIZERS = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adam,
}


# Random numbers for dropout and input noise ------------------------------------------------------

ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]
PARITY = 0x1BD11BDA
WORD = np.uint64(2**32)


def threefry(counter, key):
    """Return the two words of Threefry-2x32; each argument is a pair of integers or arrays."""
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


def words_for(key, rows, n):
    """Return the words for n units of every row, a pair for every two units."""
    rows = np.asarray(rows, np.uint64)[:, np.newaxis]
    counters = np.arange((n + 1) // 2, dtype=np.uint64), rows % WORD
    return threefry(counters, (np.uint64(key[0]), np.uint64(key[1]) ^ rows // WORD))


def by_unit(first, second, n):
    """Arrange pairs: the first half of n units has the first of each pair, the rest the second."""
    half = n // 2
    return np.concatenate([first[:, :half], second[:, :half], first[:, half:]], axis=1)[:, :n]


def dropout_factors(key, rows, n, probability):
    """Return what n units of every row are multiplied by."""
    words = by_unit(*words_for(key, rows, n), n)
    return np.where(words >= int(probability * 2**32 + 0.5), 1 / (1 - probability), 0.0)


def standard_normals(key, rows, n):
    """Return normally distributed values for n inputs of every row (Box and Muller)."""
    first, second = words_for(key, rows, n)
    radius = np.sqrt(-2 * np.log((first // 2 + 1) / 2**31))
    angle = 2 * np.pi * second / 2**32
    return by_unit(radius * np.cos(angle), radius * np.sin(angle), n)


class RandomDraws:
    """The dropout and input noise of a network.

    Parameters
    ----------
    key : int
        The network's key, 64 bits.
    input_noise : float
    dropout : list of float, one for each hidden layer
    """

    def __init__(self, key, input_noise, dropout):
        self.key, self.input_noise, self.dropout = key, input_noise, dropout

    def key_for(self, purpose):
        return threefry((purpose, 0), (self.key % 2**32, self.key // 2**32 % 2**32))

    def noise(self, rows, n):
        return self.input_noise * standard_normals(self.key_for(0), rows, n)

    def mask(self, l, rows, n):
        """Return what the outputs of hidden layer l (the first is 0) are multiplied by."""
        return dropout_factors(self.key_for(l + 1), rows, n, self.dropout[l])


# The network -------------------------------------------------------------------------------------


class ReferenceMLP:
    """A network with `NetOptions`.

    A learning rate is a number or a function of the step; `draws` is a `RandomDraws` where there is
    dropout or input noise.
    """

    def __init__(self, weights, biases, *, draws=None, **options):
        given, n = NetOptions(**options), len(weights)
        self.weights = [np.array(w, np.float64) for w in weights]
        self.biases = [np.array(b, np.float64) for b in biases]
        names, self.l2, self.l1, self.max_norm = given.of_layers(n)
        self.activations = [ACTIVATIONS[name] for name in names]
        self.loss_function, self.loss_options = LOSSES[given.loss], given.loss_options or {}
        self.optimizer, self.optimizer_options = given.optimizer, given.optimizer_options or {}
        rate = given.learning_rate
        self.rate = rate if callable(rate) else lambda step: rate
        self.clip_norm = given.clip_norm
        self.draws = draws
        self.states = [{} for _ in range(2 * n)]  # of the weights, then of the biases
        self.n_steps = self.n_seen = 0
        self.losses = []  # of every epoch

    def forward(self, X, rows=None):
        """Return every layer's a (a[0] is X) and its derivative with respect to z.

        In training, `rows` are the running numbers of the samples, which noise and dropout depend
        on; None in prediction.
        """
        drawn = self.draws is not None and rows is not None
        a, derivatives = [np.array(X, np.float64)], []
        if drawn:
            a[0] += self.draws.noise(rows, a[0].shape[1])
        for l, (f, derivative) in enumerate(self.activations):
            z = a[-1] @ self.weights[l].T + self.biases[l].T
            a.append(f(z))
            derivatives.append(derivative(z))
            if drawn and l < len(self.activations) - 1:
                mask = self.draws.mask(l, rows, z.shape[1])
                a[-1], derivatives[-1] = a[-1] * mask, derivatives[-1] * mask
        return a, derivatives

    def output(self, X):
        return self.forward(X)[0][-1]

    def losses_of(self, a, y):
        """Return the losses of the samples, and their derivatives with respect to a."""
        if self.loss_function is not softmax_loss:
            y = np.reshape(y, a.shape)
        losses, slopes = self.loss_function(a, y, **self.loss_options)
        return losses.mean(axis=1), slopes / a.shape[1]

    def loss(self, X, y, sample_weight=None):
        """Return ``sum_i w_i loss_i / sum_i w_i``."""
        return np.average(self.losses_of(self.output(X), y)[0], weights=sample_weight)

    def gradients(self, X, y, sample_weight=None, rows=None):
        """Return the gradients of `loss` with respect to the weights and the biases."""
        return self.loss_and_gradients(X, y, sample_weight, rows)[1:]

    def loss_and_gradients(self, X, y, sample_weight=None, rows=None):
        w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        a, derivatives = self.forward(X, rows)
        losses, slopes = self.losses_of(a[-1], y)
        share = w / w.sum() if w.any() else w
        slopes *= share[:, np.newaxis]
        weight_grads, bias_grads = [], []
        for l in reversed(range(len(self.weights))):
            delta = slopes * derivatives[l]
            weight_grads.insert(0, delta.T @ a[l])
            bias_grads.insert(0, delta.sum(axis=0)[:, np.newaxis])
            slopes = delta @ self.weights[l]
        return (share * losses).sum(), weight_grads, bias_grads

    def step(self, X, y, sample_weight=None):
        """Train on one minibatch; return its loss before the update."""
        rows = np.arange(self.n_seen, self.n_seen + len(X))
        loss, weight_grads, bias_grads = self.loss_and_gradients(X, y, sample_weight, rows)
        rate, n = self.rate(self.n_steps), len(self.weights)
        self.n_steps += 1
        self.n_seen += len(X)
        if self.clip_norm is not None:
            norm = math.sqrt(sum((g**2).sum() for g in weight_grads + bias_grads))
            share = min(1.0, self.clip_norm / (norm + 1e-6))
            weight_grads = [share * g for g in weight_grads]
            bias_grads = [share * g for g in bias_grads]
        for l in range(n):
            w, g = self.weights[l], weight_grads[l]
            g = g + self.l1[l] * np.sign(w)
            if self.optimizer == "adamw":
                w = w * (1 - rate * self.l2[l])
            else:
                g = g + self.l2[l] * w
            w = self.updated(w, g, self.states[l], rate)
            if self.max_norm is not None:
                norms = np.sqrt((w**2).sum(axis=1, keepdims=True))
                longer = norms > self.max_norm[l]
                w = np.where(longer, w * (self.max_norm[l] / np.where(longer, norms, 1)), w)
            self.weights[l] = w
            self.biases[l] = self.updated(self.biases[l], bias_grads[l], self.states[n + l], rate)
        return loss

    def updated(self, p, g, state, rate):
        options = self.optimizer_options
        return OPTIMIZERS[self.optimizer](p, g, state, rate, self.n_steps, **options)

    def fit(self, X, y, epochs=1, batch_size=32, sample_weight=None):
        """Train on the samples in the order given."""
        w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        for _ in range(epochs):
            total = 0.0
            for first in range(0, len(X), batch_size):
                some = slice(first, first + batch_size)
                total += w[some].sum() * self.step(X[some], y[some], w[some])
            self.losses.append(total / w.sum())
        return self
