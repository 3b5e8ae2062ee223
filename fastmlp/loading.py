"""`load`: read a network of any class from a file."""

from __future__ import annotations

from fastmlp.argument_types import File
from fastmlp.mlp import MLP
from fastmlp.neural_net import NeuralNet
from fastmlp.training import state_dict


def load(path: File) -> MLP | NeuralNet:
    """Return the network in a file written by `MLP.save`, `NeuralNet.save` or a checkpoint.

    Parameters
    ----------
    path : str, os.PathLike or a binary file open for reading

    Returns
    -------
    MLP or NeuralNet
        The class that was saved. `MLP.load` and `NeuralNet.load` load only their own class.

    Raises
    ------
    FileNotFoundError
    ValueError
        For other files, and for later formats.

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
