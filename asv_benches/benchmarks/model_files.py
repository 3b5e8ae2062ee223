"""How long a model takes to its file and back."""

import tempfile
from pathlib import Path

import fastmlp

NETS = ["784-64-10", "784-512-512-10"]


class ModelFile:
    """Guards save and load: small models in little more than a file's time, large ones by size."""

    params = [NETS]
    param_names = ["net"]
    repeat = (5, 20, 1.0)
    number = 1
    warmup_time = 0.0

    def setup(self, net):
        layers = [int(size) for size in net.split("-")]
        self.net = fastmlp.NeuralNet(layers, dtype="float32", random_state=0)
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
