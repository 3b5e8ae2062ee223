"""Slow and independent: the training of `MLP` by its formulas, in float64, one sample at a time.

Nothing here is shared with the code under test, or clever: `tests/pytorch` holds it to PyTorch.
"""

import math

import numpy as np


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def normal_cdf(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


def normal_pdf(z):
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


#: Each activation f(z), and its derivative f'(z).
ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: 1.0),
    "relu": (lambda z: max(z, 0.0), lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else math.expm1(z), lambda z: 1.0 if z > 0 else math.exp(z)),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (math.tanh, lambda z: 1 - math.tanh(z) ** 2),
    "softplus": (softplus, sigmoid),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z)),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) + z * sigmoid(z) * sigmoid(-z),
    ),
}


def softmax_loss(a, y, label_smoothing=0.0):
    """Of y, a label or the probabilities of the classes."""
    probabilities = np.eye(len(a))[y] if np.ndim(y) == 0 else np.asarray(y, np.float64)
    target = (1 - label_smoothing) * probabilities + label_smoothing / len(a)
    logarithms = a - a.max() - math.log(np.exp(a - a.max()).sum())
    return -(target * logarithms).sum(), np.exp(logarithms) - target


def logistic_loss(a, target):
    return [softplus(z) - t * z for z, t in zip(a, target, strict=True)], [
        sigmoid(z) - t for z, t in zip(a, target, strict=True)
    ]


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


#: Each loss of the outputs a of one sample: the losses of its outputs, and their derivatives.
LOSSES = {
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


#: Each update of a parameter p by its gradient g, at step t = 1, 2, ... Adam's is AdamW's too: what
#: differs is where l2 enters.
OPTIMIZERS = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adam,
}


class ReferenceMLP:
    """Takes what `MLP` takes; options of losses and optimizers as dicts, rates by step or fixed."""

    def __init__(
        self,
        weights,
        biases,
        *,
        activation="relu",
        output_activation="identity",
        loss="softmax",
        loss_options=None,
        optimizer="sgd",
        optimizer_options=None,
        learning_rate=0.1,
        l2=0.0,
        l1=0.0,
        max_norm=None,
        clip_norm=None,
    ):
        n = len(weights)
        self.weights = [np.array(w, np.float64) for w in weights]
        self.biases = [np.array(b, np.float64) for b in biases]
        hidden = [activation] * (n - 1) if isinstance(activation, str) else list(activation)
        self.activations = [ACTIVATIONS[name] for name in [*hidden, output_activation]]
        self.loss_name, self.loss_options = loss, loss_options or {}
        self.optimizer, self.optimizer_options = optimizer, optimizer_options or {}
        self.rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
        self.l2, self.l1 = np.broadcast_to(l2, n), np.broadcast_to(l1, n)
        self.max_norm = None if max_norm is None else np.broadcast_to(max_norm, n)
        self.clip_norm = clip_norm
        self.states = [{} for _ in range(2 * n)]  # of the weights, then of the biases
        self.n_steps = 0
        self.losses = []  # of every epoch

    def forward(self, x):
        """Return every layer's z and a (a[0] is x) for one sample."""
        zs, a = [], [np.array(x, np.float64)]
        for w, b, (f, _) in zip(self.weights, self.biases, self.activations, strict=True):
            zs.append(w @ a[-1] + b.ravel())
            a.append(np.array([f(z) for z in zs[-1]]))
        return zs, a

    def output(self, X):
        return np.array([self.forward(x)[1][-1] for x in X])

    def loss_of_sample(self, a, y):
        """Return the loss of one sample, and its derivative by each of the outputs a."""
        if self.loss_name == "softmax":
            return softmax_loss(a, y, **self.loss_options)
        losses, slopes = LOSSES[self.loss_name](a, np.atleast_1d(y), **self.loss_options)
        return np.mean(losses), np.array(slopes) / len(a)

    def loss(self, X, y, sample_weight=None):
        """Return ``sum_i w_i loss_i / sum_i w_i``."""
        w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        losses = [self.loss_of_sample(a, t)[0] for a, t in zip(self.output(X), y, strict=True)]
        return (w * losses).sum() / w.sum()

    def gradients(self, X, y, sample_weight=None):
        """Return the derivatives of `loss` by every weight and bias."""
        w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        weight_grads = [np.zeros_like(p) for p in self.weights]
        bias_grads = [np.zeros_like(p) for p in self.biases]
        for x, t, share in zip(X, y, w / w.sum(), strict=True):
            zs, a = self.forward(x)
            slopes = share * self.loss_of_sample(a[-1], t)[1]
            for l in reversed(range(len(self.weights))):
                derivative = self.activations[l][1]
                delta = slopes * [derivative(z) for z in zs[l]]
                weight_grads[l] += np.outer(delta, a[l])
                bias_grads[l] += delta.reshape(-1, 1)
                slopes = self.weights[l].T @ delta
        return weight_grads, bias_grads

    def step(self, X, y, sample_weight=None):
        """Update every weight and bias by one minibatch."""
        weight_grads, bias_grads = self.gradients(X, y, sample_weight)
        rate, n = self.rate(self.n_steps), len(self.weights)
        self.n_steps += 1
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
                for j in range(len(w)):
                    norm = math.sqrt((w[j] ** 2).sum())
                    if norm > self.max_norm[l]:
                        w[j] *= self.max_norm[l] / norm
            self.weights[l] = w
            self.biases[l] = self.updated(self.biases[l], bias_grads[l], self.states[n + l], rate)

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
                total += w[some].sum() * self.loss(X[some], y[some], w[some])
                self.step(X[some], y[some], w[some])
            self.losses.append(total / w.sum())
        return self
