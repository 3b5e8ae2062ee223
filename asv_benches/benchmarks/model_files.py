"""How long saving and loading a model takes."""

import tempfile
from pathlib import Path

import fastmlp

from .data import layers_of
from .timed import Timed

NETS = ["784-64-10", "784-512-512-10"]


class ModelFile(Timed):
    """Guards save and load: the overhead with a small model, the throughput with a large one."""

    params = [NETS]
    param_names = ["net"]
    repeat = (5, 20, 1.0)

    def setup(self, net):
        self.net = fastmlp.NeuralNet(layers_of(net), dtype="float32", random_state=0)
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.npz"
        self.net.save(self.path)
        fastmlp.NeuralNet.load(self.path)

    def teardown(self, net):
        self.folder.cleanup()

    def time_save(self, net):
        self.net.save(self.path)

    def time_load(self, net):
        fastmlp.NeuralNet.load(self.path)

    time_save.pretty_name = "Save a model in float32, by its net"
    time_load.pretty_name = "Load a model in float32, by its net"
