"""Slow and independent: minibatch training by the formulas, in float64, one sample at a time."""

import numpy as np


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def forward(weights, biases, x, output_activation):
    """Return every layer's z and a (a[0] is x) for one sample."""
    zs, activations = [], [np.asarray(x, np.float64)]
    for l in range(len(weights)):
        z = weights[l] @ activations[-1] + biases[l].ravel()
        zs.append(z)
        last = l == len(weights) - 1
        activations.append(z if last and output_activation == "identity" else np.maximum(z, 0))
    return zs, activations


def loss(weights, biases, X, labels, output_activation):
    """Return the mean cross-entropy of the samples."""
    total = 0.0
    for x, y in zip(X, labels, strict=True):
        a = forward(weights, biases, x, output_activation)[1][-1]
        total -= a[y] - a.max() - np.log(np.exp(a - a.max()).sum())
    return total / len(X)


def gradients(weights, biases, X, labels, output_activation):
    """Return the gradients of `loss` by every weight and bias."""
    weight_grads = [np.zeros_like(w) for w in weights]
    bias_grads = [np.zeros_like(b) for b in biases]
    for x, y in zip(X, labels, strict=True):
        zs, activations = forward(weights, biases, x, output_activation)
        delta = softmax(activations[-1])
        delta[y] -= 1
        if output_activation == "relu":
            delta = delta * (zs[-1] > 0)
        for l in reversed(range(len(weights))):
            weight_grads[l] += np.outer(delta, activations[l]) / len(X)
            bias_grads[l] += delta.reshape(-1, 1) / len(X)
            if l > 0:
                delta = (weights[l].T @ delta) * (zs[l - 1] > 0)
    return weight_grads, bias_grads


def fit(net, X, labels, epochs, batch_size):
    """Return weights, biases and losses of `net` trained by the formulas, in the given order."""
    weights = [np.array(w, np.float64) for w in net.weights]
    biases = [np.array(b, np.float64) for b in net.biases]
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(X), batch_size):
            rows, ys = X[start : start + batch_size], labels[start : start + batch_size]
            total += len(rows) * loss(weights, biases, rows, ys, net.output_activation)
            weight_grads, bias_grads = gradients(weights, biases, rows, ys, net.output_activation)
            for l in range(len(weights)):
                penalty = net.reg_lambda * weights[l]
                weights[l] = weights[l] - net.learning_rate * (weight_grads[l] + penalty)
                biases[l] = biases[l] - net.learning_rate * bias_grads[l]
        losses.append(total / len(X))
    return weights, biases, losses
