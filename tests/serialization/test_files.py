"""Loaded networks have the same bits as saved ones, and no file is left half written."""

import json
import os

import numpy as np
import pytest

from fastmlp import NeuralNet
from fastmlp.serialization import model_files, npz_format
from helpers.same_bits import assert_same_bits

RANDOM_STATES = {
    "none": lambda: None,
    "int": lambda: 3,
    "RandomState": lambda: np.random.RandomState(3),
    "RandomState of PCG64": lambda: np.random.RandomState(np.random.PCG64(3)),
    **{
        kind: lambda kind=kind: np.random.Generator(getattr(np.random, kind)(3))
        for kind in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("random_state", RANDOM_STATES)
def test_save_and_load_restore_every_bit(random_state, dtype, tmp_path, digits):
    X, y = digits
    net = NeuralNet(
        [64, 17, 10], 0.1, 1e-4,
        output_activation="identity", dtype=dtype, n_threads=1,
        random_state=RANDOM_STATES[random_state](),
    )  # fmt: skip
    net.fit(X, y, epochs=2, validation_data=(X, y))
    net.save(tmp_path / "net")
    assert os.listdir(tmp_path) == ["net"]
    loaded = NeuralNet.load(tmp_path / "net")
    assert repr(loaded) == repr(net) and loaded.history_ == net.history_
    assert_same_bits(net, loaded)
    for each in (net, loaded):
        np.random.seed(0)
        each.fit(X, y, epochs=1)
    assert np.array_equal(net.weights[0], loaded.weights[0])


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    net = NeuralNet([3, 2])
    path = tmp_path / "net.npz"
    net.save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz_format.np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        NeuralNet([3, 2]).save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.npz"]


def test_saving_to_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        NeuralNet([3, 2]).save(tmp_path / "missing" / "net.npz")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.npz"
    with pytest.raises(FileNotFoundError):
        NeuralNet.load(path)
    NeuralNet([3, 2]).save(path)
    content = path.read_bytes()
    for wrong in (b"", b"text", content[:100], content[: len(content) // 2]):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="^`path` must be a network saved by fastmlp, got "):
            NeuralNet.load(path)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(ValueError, match="^`path` must be a network saved by fastmlp, got "):
        NeuralNet.load(path)
    np.savez(path, network=np.array([{"layers": 1}], object))
    with pytest.raises(ValueError, match="^`path` must be a network saved by fastmlp, got "):
        NeuralNet.load(path)


def test_a_later_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "VERSION_OF_NETWORKS", 5)
    NeuralNet([3, 2]).save(tmp_path / "net.npz")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="^`path` must have format version 4 or lower, got 5 in "):
        NeuralNet.load(tmp_path / "net.npz")


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="links need rights")
def test_saving_through_a_link_keeps_the_link_and_the_mode(tmp_path):
    (tmp_path / "net.npz").touch(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "net.npz")
    NeuralNet([3, 2]).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "net.npz").stat().st_size > 0
    assert (tmp_path / "net.npz").stat().st_mode & 0o777 == 0o600


def test_numpy_s_numbers_are_saved(tmp_path):
    net = NeuralNet([3, 2], np.float32(0.25))
    net.learning_rate = np.float32(0.25)
    net.history_ = {"loss": [np.float32(0.5)]}
    net.save(tmp_path / "net.npz")
    loaded = NeuralNet.load(tmp_path / "net.npz")
    assert loaded.learning_rate == 0.25 and loaded.history_ == {"loss": [0.5]}


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        '{"format": "another network", "format_version": 1, "layers": [1]}',
        '{"format": "fastmlp network", "format_version": 1, "layers": [2, 2]}',
        '{"format": "fastmlp network", "format_version": 1, "layers": [], "random_state": null}',
    ],
)
def test_other_networks_are_refused(content, tmp_path):
    np.savez(tmp_path / "other.npz", network=np.array(content))
    with pytest.raises(ValueError, match="^`path` must be a network saved by fastmlp, got "):
        NeuralNet.load(tmp_path / "other.npz")


def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    net, path = NeuralNet([3, 2], random_state=0), tmp_path / "net.npz"
    net.save(path)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        )
        try:
            loaded = NeuralNet.load(path)
        except ValueError as error:
            assert "must be a network saved by fastmlp" in str(error) or "version" in str(error)
        else:
            assert np.array_equal(loaded.weights[0], net.weights[0])


def test_a_later_format_is_named_whatever_it_holds(tmp_path):
    plain = json.dumps({"format": model_files.FORMAT, "format_version": 5})
    np.savez(tmp_path / "net.npz", network=np.array(plain))
    with pytest.raises(ValueError, match="^`path` must have format version 4 or lower, got 5 in "):
        NeuralNet.load(tmp_path / "net.npz")


def test_a_name_as_long_as_the_system_allows(tmp_path):
    NeuralNet([3, 2]).save(tmp_path / ("n" * 250))
    assert os.listdir(tmp_path) == ["n" * 250]


@pytest.mark.parametrize("version", [1, 2])
def test_networks_of_older_formats(version, tmp_path):
    weights, biases = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[7.0], [8]])
    plain = {
        "format": model_files.FORMAT, "format_version": version, "layers": [3, 2], 
        "learning_rate": 0.5,
        "reg_lambda": 0.25, "output_activation": "identity", "dtype": "float64",
        "n_threads": None, "random_state": None, "history_": {"loss": [1.5]},
    }  # fmt: skip
    if version == 2:
        plain |= {"input_shift": [1.0, 2.0, 3.0], "input_scale": 2.0}
    np.savez(
        tmp_path / "net.npz",
        network=np.array(json.dumps(plain)),
        weights_0=weights,
        biases_0=biases,
    )
    net = NeuralNet.load(tmp_path / "net.npz")
    assert np.array_equal(net.weights[0], weights) and np.array_equal(net.biases[0], biases)
    assert (net.learning_rate, net.reg_lambda, net.history_) == (0.5, 0.25, {"loss": [1.5]})
    x = np.array([[1.0, 0, 2]]) if version == 1 else np.array([[1.5, 2, 4]])
    z = weights @ [1.0, 0, 2] + biases.ravel()
    np.testing.assert_allclose(net.predict_proba(x)[0], np.exp(z) / np.exp(z).sum())
