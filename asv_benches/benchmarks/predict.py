"""How long predictions take: one row per call, a hundred, or all at once."""

import numpy as np

import fastmlp

from .data import make_data
from .timed import Timed

N_ROWS = 100_000
CALLS = {
    1: 200,
    100: 20,
    N_ROWS: 1,
}  # per timing, which takes some milliseconds, the last one tens of them


class Predict(Timed):
    """Guards the overhead of a call, and, with many rows, the arithmetic."""

    params = [list(CALLS), ["float32", "float64"]]
    param_names = ["rows in a call", "dtype"]
    repeat = (5, 20, 1.0)

    def setup(self, n_rows, dtype):
        if n_rows == N_ROWS and dtype == "float64":
            raise NotImplementedError("the data alone takes 627 MB")
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

    time_predict.pretty_name = "Labels from 784-64-10: 200 calls of 1 row, 20 of 100, 1 of 100,000"
    time_predict_proba.pretty_name = (
        "Probabilities from 784-64-10: 200 calls of 1 row, 20 of 100, 1 of 100,000"
    )
