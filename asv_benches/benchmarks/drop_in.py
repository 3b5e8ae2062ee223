"""The drop-in, compared with the NumPy version that it replaces."""

import random
from functools import partial

import numpy as np

import fastmlp
from fastmlp import numpy_version

from .data import layers_of
from .timed import Timed, interleave, median_ratio, seconds_of

NETS = ["64-32-10", "784-64-10"]
N_SAMPLES = 500
ROUNDS = 9


class DropIn(Timed):
    """Guards the speed of the drop-in's `train`: one sample at a time, in float64."""

    params = [NETS]
    param_names = ["net"]
    repeat = (3, 20, 1.0)

    def setup(self, net):
        layers = layers_of(net)
        rng = np.random.default_rng(0)
        one_hots = np.eye(layers[-1])[rng.integers(0, layers[-1], N_SAMPLES), :, np.newaxis]
        columns = rng.random((N_SAMPLES, layers[0], 1))
        self.pairs = list(zip(columns, one_hots, strict=True))
        np.random.seed(0)
        random.seed(0)
        self.ours, self.theirs = fastmlp.NeuralNet(layers), numpy_version.NeuralNet(layers)
        self.ours.train(self.pairs[:10], epochs=1)

    def time_train(self, net):
        self.ours.train(self.pairs, epochs=1)

    def track_numpy_over_fastmlp(self, net):
        turns = [
            partial(seconds_of, partial(version.train, self.pairs, epochs=1))
            for version in (self.theirs, self.ours)
        ]
        return median_ratio(*interleave(turns, ROUNDS))

    time_train.pretty_name = "The drop-in's train on 500 samples, by net"
    track_numpy_over_fastmlp.unit = "times as long"
    track_numpy_over_fastmlp.pretty_name = "Time of the NumPy version over that of the drop-in"
