"""`load`: the network in a file, whichever class it is of (floor 4)."""

from __future__ import annotations

from fastmlp.mlp import MLP
from fastmlp.neural_net import NeuralNet
from fastmlp.training import state_dict
from fastmlp.typing import File


def load(path: File) -> MLP | NeuralNet:
    """Return the network in a file that `MLP.save`, `NeuralNet.save` or a checkpoint wrote.

    Parameters
    ----------
    path : str, os.PathLike or a binary file open for reading

    Returns
    -------
    MLP or NeuralNet
        Of the class that was saved. `MLP.load` and `NeuralNet.load` accept their own class only.

    Raises
    ------
    FileNotFoundError
    ValueError
        For a file of another kind, or of a later format.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmlp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.npz")
    ...     fastmlp.NeuralNet([4, 3], random_state=0).save(path)
    ...     fastmlp.load(path)
    NeuralNet([4, 3])
    """
    state = state_dict.loaded(path, ("MLP", "NeuralNet"))
    classes: dict[str, type[MLP] | type[NeuralNet]] = {"MLP": MLP, "NeuralNet": NeuralNet}
    return classes[state.class_name]._of(state)
