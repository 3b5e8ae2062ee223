"""
==========================
Your NumPy network, faster
==========================

Many people write this program when they learn backpropagation: a multilayer perceptron in NumPy, of
about forty lines, trained on one sample at a time. fastmlp has a class with the same name, the same
methods and the same numbers. So one import replaces the class, and nothing else changes.

This example trains both from the same seeds, compares the weights, and times them. The ratio that
it prints is that of the machine it runs on.
"""

import random
import statistics
import time

import matplotlib.pyplot as plt
import numpy as np

import fastmlp
from fastmlp import datasets

# %%
# The network in NumPy
# --------------------
#
# Every vector is a column. A layer computes ``z = W a + b`` and ``a = relu(z)``; the last
# activation becomes probabilities by softmax. Backpropagation computes ``delta``, the derivative
# of the loss with respect to ``z``, from the last layer to the first.


def softmax(a):
    """Return probabilities, which sum to 1."""
    exps = np.exp(a - a.max())
    return exps / exps.sum()


class NeuralNet:
    """A multilayer perceptron."""

    def __init__(self, layers, learning_rate=0.05):
        self.learning_rate = learning_rate
        self.weights = [
            np.random.randn(n_out, n_in) * np.sqrt(2 / (n_in + n_out))
            for n_in, n_out in zip(layers[:-1], layers[1:], strict=True)
        ]
        self.biases = [np.zeros((n_out, 1)) for n_out in layers[1:]]

    def forward(self, x):
        """Return z and the activations of every layer."""
        z, activations = [], [x]
        for W, b in zip(self.weights, self.biases, strict=True):
            z.append(W @ activations[-1] + b)
            activations.append(np.maximum(z[-1], 0))
        return z, activations

    def backward(self, y, z, activations):
        """Return the delta of every layer."""
        deltas = [(softmax(activations[-1]) - y) * (z[-1] > 0)]
        for l in range(len(z) - 2, -1, -1):
            deltas.insert(0, (self.weights[l + 1].T @ deltas[0]) * (z[l] > 0))
        return deltas

    def train(self, training_data, validation_data=None, epochs=10):
        """Descend along the gradient of one sample after another."""
        order = list(range(len(training_data)))
        for epoch in range(epochs):
            random.shuffle(order)
            for i in order:
                x, y = training_data[i]
                z, activations = self.forward(x)
                deltas = self.backward(y, z, activations)
                for W, b, a, delta in zip(
                    self.weights, self.biases, activations[:-1], deltas, strict=True
                ):
                    W -= self.learning_rate * (delta @ a.T)
                    b -= self.learning_rate * delta
            if validation_data is not None:
                print(f"epoch {epoch + 1}: {self.test(validation_data):.2f} % correct")

    def test(self, test_data):
        """Return the percentage of samples that are classified correctly."""
        correct = [np.argmax(self.forward(x)[1][-1]) == np.argmax(y) for x, y in test_data]
        return 100 * np.mean(correct)


# %%
# The program that uses it
# ------------------------
#
# The data are pairs of columns, an image and a one-hot label. This function is the rest of the
# program; it is given the class that it is to use.

X, y = datasets.digits()
pairs = [(x.reshape(64, 1) / 16, np.eye(10)[:, [k]]) for x, k in zip(X, y, strict=True)]
training_data, validation_data = pairs[:1400], pairs[1400:]


def trained(NeuralNet, validation_data=None, epochs=6):
    """Seed, make a network and train it."""
    random.seed(1)
    np.random.seed(1)
    net = NeuralNet([64, 64, 10], learning_rate=0.05)
    net.train(training_data, validation_data, epochs)
    return net


net = trained(NeuralNet, validation_data)

# %%
# One changed import
# ------------------
#
# In a program of your own, delete the class and write ``from fastmlp import NeuralNet``. Here,
# where both are needed, the other class is passed to the same function. It prints the same lines.

fast = trained(fastmlp.NeuralNet, validation_data)

# %%
# And it has the same weights. The two add the same products in another order, which changes the
# last of some 16 digits; the difference is what thousands of steps have made of that.

largest = max(
    np.abs(ours - theirs).max() for ours, theirs in zip(fast.weights, net.weights, strict=True)
)
print(f"the largest difference of two weights is below 1e-10: {largest < 1e-10}")

# %%
# The time
# --------
#
# One training alone says little, since other programs use the processor too. So the two train in
# turn, several times, and the median of the ratios counts. Both have run before, so that
# compilation, which happens once and is then kept on disk, is not in these times.


def seconds(NeuralNet):
    """Return the time of one training."""
    began = time.perf_counter()
    trained(NeuralNet, epochs=2)
    return time.perf_counter() - began


rounds = [(seconds(NeuralNet), seconds(fastmlp.NeuralNet)) for _ in range(5)]
ratio = statistics.median(numpy / ours for numpy, ours in rounds)
numpy, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
print(f"NumPy {numpy:.3f} s, fastmlp {ours:.4f} s, median ratio {ratio:.1f}")

# %%
# On the left, every weight of the two networks: on the line, they are equal. On the right, the time
# of each training. If the points of a row are far apart, the machine was busy.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for theirs, ours in zip(net.weights, fast.weights, strict=True):
    left.plot(theirs.ravel(), ours.ravel(), "o", color="C0", markersize=3)
left.axline((0, 0), slope=1, color="0.4", linewidth=0.8)
left.set(title="weights after training", xlabel="NumPy", ylabel="fastmlp", aspect="equal")
for k, times in enumerate(zip(*rounds, strict=True)):
    right.plot(times, np.full(len(times), k), "o", color="C0", alpha=0.5)
right.set(title="each training", xlabel="seconds", xlim=(0, None), ylim=(1.5, -0.5))
right.set_yticks([0, 1], ["NumPy", "fastmlp"])
right.grid(axis="x", alpha=0.3)
plt.show()

# %%
# From here
# ---------
#
# Nothing more has to change, but more is possible. ``fit`` takes the images as the rows of one
# array and steps in minibatches; ``dtype="float32"`` halves the memory that moves.

net = fastmlp.NeuralNet(
    [64, 64, 10], learning_rate=0.2, output_activation="identity", dtype="float32", random_state=0
)
net.fit(X[:1400] / 16, y[:1400], epochs=20, batch_size=32)
print(f"accuracy with minibatches: {net.score(X[1400:] / 16, y[1400:]):.3f}")
