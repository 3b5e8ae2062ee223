"""`fastmlp.load` returns the class that a file holds."""

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, NeuralNet


@pytest.mark.parametrize("cls", [MLP, NeuralNet])
def test_load_returns_the_class_that_was_saved(cls, tmp_path):
    net, path = cls([3, 4, 2], random_state=0), tmp_path / "net.npz"
    net.save(path)
    loaded = fastmlp.load(path)
    assert type(loaded) is cls and repr(loaded) == repr(net)
    assert np.array_equal(loaded.weights[0], net.weights[0])
    (other,) = {MLP, NeuralNet} - {cls}
    message = (
        f"^`path` must hold a network of class {other.__name__}, got {cls.__name__} in .*net.npz"
    )
    with pytest.raises(ValueError, match=message):
        other.load(path)


def test_load_refuses_other_files(tmp_path):
    path = tmp_path / "other.npz"
    with pytest.raises(FileNotFoundError):
        fastmlp.load(path)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(
        ValueError, match="^`path` must be a network saved by fastmlp, got .*other.npz"
    ):
        fastmlp.load(path)
