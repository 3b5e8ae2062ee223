"""How long predictions take, asked for one by one, in hundreds, or all at once."""

import numpy as np

import fastmlp

from .data import make_data

N_ROWS = 10_000


class Predict:
    """Guards what a call costs beside its arithmetic: the rows are the same 10,000 every time."""

    params = [[1, 100, N_ROWS], ["float32", "float64"]]
    param_names = ["rows in a call", "dtype"]
    repeat = (5, 20, 2.0)
    number = 1
    warmup_time = 0.0

    def setup(self, n_rows, dtype):
        self.X, _ = make_data(N_ROWS, 784, 10, dtype)
        self.net = fastmlp.NeuralNet(
            [784, 64, 10],
            output_activation="identity",
            dtype=np.dtype(dtype),
            random_state=0,
            n_threads=1,
        )
        self.predict_rows(self.net.predict, n_rows, n_rows)
        self.predict_rows(self.net.predict_proba, n_rows, n_rows)

    def predict_rows(self, predict, n_rows, stop=N_ROWS):
        for start in range(0, stop, n_rows):
            predict(self.X[start : start + n_rows])

    def time_predict(self, n_rows, dtype):
        self.predict_rows(self.net.predict, n_rows)

    def time_predict_proba(self, n_rows, dtype):
        self.predict_rows(self.net.predict_proba, n_rows)

    time_predict.pretty_name = "Labels of 10,000 rows from 784-64-10, by the rows in a call"
    time_predict_proba.pretty_name = (
        "Probabilities of 10,000 rows from 784-64-10, by the rows in a call"
    )
