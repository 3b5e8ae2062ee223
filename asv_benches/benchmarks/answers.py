"""The results of training: a wrong result is a regression too."""

import numpy as np

import fastmlp

N_TRAIN = 1400  # of the 1,797 digits


class Answers:
    """Guards the results: with a fixed seed, these curves are constant."""

    params = [["float32", "float64"]]
    param_names = ["dtype"]

    def setup(self, dtype):
        X, y = fastmlp.datasets.digits()
        self.X, self.y = X / 16, y
        self.net = fastmlp.NeuralNet(
            [64, 64, 10],
            learning_rate=0.2,
            output_activation="identity",
            dtype=np.dtype(dtype),
            random_state=0,
        )

    def track_accuracy(self, dtype):
        self.net.fit(self.X[:N_TRAIN], self.y[:N_TRAIN], epochs=20, batch_size=32)
        return 100 * self.net.score(self.X[N_TRAIN:], self.y[N_TRAIN:])

    def track_loss(self, dtype):
        self.net.fit(self.X, self.y, epochs=2, batch_size=32)
        return self.net.history_["loss"][-1]

    track_accuracy.unit = "% of 397 held-out digits"
    track_accuracy.pretty_name = "Accuracy on digits after 20 epochs of 64-64-10"
    track_loss.unit = "nats"
    track_loss.pretty_name = "Mean loss on digits in steps 58 to 114 of 64-64-10"
