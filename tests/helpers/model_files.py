"""Take model files apart and reassemble them, with or without errors."""

import copy
import io
import json

import numpy as np

from helpers import TESTS

DATA = TESTS / "data"
#: Written by earlier releases; the number is the version of the format.
VALID = ("neural_net_1", "neural_net_2", "neural_net_3", "mlp_3", "checkpoint_3")


class Parts:
    """The JSON and the arrays of a model file, read and written without fastmlp.

    Of one of `VALID`, or of the bytes of another file.
    """

    def __init__(self, name):
        source = io.BytesIO(name) if isinstance(name, bytes) else DATA / f"{name}.npz"
        with np.load(source) as members:
            self.arrays = dict(members)
        self.plain = json.loads(str(self.arrays.pop("network")))

    def copy(self):
        return copy.deepcopy(self)

    def change(self, place, value):
        """Set the value at a path in the JSON such as "random_state.state.pos"."""
        *parents, last = (int(key) if key.isdigit() else key for key in place.split("."))
        target = self.plain
        for key in parents:
            target = target[key]
        if value is DELETED:
            del target[last]
        else:
            target[last] = value
        return self

    def content(self, savez=np.savez):
        file = io.BytesIO()
        savez(file, network=np.array(json.dumps(self.plain)), **self.arrays)
        return file.getvalue()


DELETED = object()
