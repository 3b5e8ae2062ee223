"""How long predictions take: of one row per call, of ten, or of many."""

from functools import partial

import numpy as np

import fastmlp

from .data import layers_of, make_data
from .timed import Timed, interleave, median_ratio, seconds_of

CALLS = {1: 200, 10: 100, 20_000: 1}  # per timing, which takes some milliseconds


class Predict(Timed):
    """Guards the overhead of a call, and, with many rows, the arithmetic."""

    params = [list(CALLS), ["float32", "float64"]]
    param_names = ["rows in a call", "dtype"]
    repeat = (5, 20, 1.0)

    def setup(self, n_rows, dtype):
        self.X, _ = make_data(n_rows, 784, 10, dtype)
        self.net = fastmlp.NeuralNet(
            [784, 64, 10],
            output_activation="identity",
            dtype=np.dtype(dtype),
            random_state=0,
            n_threads=1,
        )
        self.net.predict(self.X[:100])
        self.net.predict_proba(self.X[:100])

    def time_predict(self, n_rows, dtype):
        for _ in range(CALLS[n_rows]):
            self.net.predict(self.X)

    def time_predict_proba(self, n_rows, dtype):
        for _ in range(CALLS[n_rows]):
            self.net.predict_proba(self.X)

    time_predict.pretty_name = "Labels from 784-64-10: 200 calls of 1 row, 100 of 10, 1 of 20,000"
    time_predict_proba.pretty_name = (
        "Probabilities from 784-64-10: 200 calls of 1 row, 100 of 10, 1 of 20,000"
    )


class PredictOverNumPy:
    """Guards calls with few rows as a ratio to plain NumPy."""

    params = [["784-64-10", "64-32-10"], [1, 10], ["predict", "predict_proba"]]
    param_names = ["net", "rows in a call", "method"]
    unit = "times as long as NumPy"

    def setup(self, net, n_rows, method):
        layers = layers_of(net)
        X, _ = make_data(n_rows, layers[0], layers[-1])
        mlp = fastmlp.MLP(layers, random_state=0, n_threads=1)
        (W1, W2), (b1, b2) = (
            [np.ascontiguousarray(a.T) for a in b] for b in (mlp.weights, mlp.biases)
        )

        def probabilities(X):
            z = np.maximum(X @ W1 + b1, 0) @ W2 + b2
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)

        def labels(X):
            return probabilities(X).argmax(axis=1)

        numpy = labels if method == "predict" else probabilities
        np.testing.assert_allclose(getattr(mlp, method)(X), numpy(X), rtol=1e-4)
        self.turns = [partial(self.calls, call, X) for call in (getattr(mlp, method), numpy)]

    def calls(self, call, X):
        def all_of_them():
            for _ in range(100):
                call(X)

        return seconds_of(all_of_them)

    def track_ratio(self, net, n_rows, method):
        return median_ratio(*interleave(self.turns, 25))

    track_ratio.pretty_name = "Time of a prediction over that of three lines of NumPy"
