"""`load`: read a network or an estimator of any class from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmlp.argument_types import File
from fastmlp.mlp import MLP
from fastmlp.neural_net import NeuralNet
from fastmlp.serialization import model_files
from fastmlp.serialization.estimator_schema import ENSEMBLES, ESTIMATORS
from fastmlp.training import state_dict

if TYPE_CHECKING:
    from fastmlp.sklearn import (
        MLPClassifier,
        MLPEnsembleClassifier,
        MLPEnsembleRegressor,
        MLPRegressor,
    )

    Estimator = MLPClassifier | MLPRegressor | MLPEnsembleClassifier | MLPEnsembleRegressor


def load(path: File) -> MLP | NeuralNet | Estimator:
    """Return the network or estimator in a file written by its `save`, or by a checkpoint.

    Parameters
    ----------
    path : str, os.PathLike or a binary file open for reading

    Returns
    -------
    MLP, NeuralNet, `sklearn.MLPClassifier`, `sklearn.MLPRegressor` or an ensemble of these
        The class that was saved. `MLP.load` and those of the others load only their own class.

    Raises
    ------
    FileNotFoundError
    ValueError
        For other files, and for later formats.
    ImportError
        For an estimator, if scikit-learn is missing.

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
    found = model_files.read(path)
    if found["class"] in (*ESTIMATORS, *ENSEMBLES):
        from fastmlp.sklearn import estimator_files  # imported here: it needs scikit-learn

        return estimator_files.loaded(path, found)
    state = state_dict.of_file(path, found, ("MLP", "NeuralNet"))
    classes: dict[str, type[MLP] | type[NeuralNet]] = {"MLP": MLP, "NeuralNet": NeuralNet}
    return classes[state.class_name]._of(state)
