"""Writing ONNX files: completely or not at all, and what cannot be written."""

import sys
import tracemalloc

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.exchange import onnx_graph, onnx_network
from fastmlp.exchange.layers import Layer, Layers
from helpers.onnx_models import content_of, session_of


def test_paths_and_open_files_get_the_same(tmp_path):
    mlp = MLP([4, 3], random_state=0)
    path = tmp_path / "net.onnx"
    for each in (path, str(path)):
        mlp.to_onnx(each)
        assert path.read_bytes() == content_of(mlp)
    assert [each.name for each in tmp_path.iterdir()] == ["net.onnx"]


def test_nothing_is_written_after_an_error(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr(onnx_graph, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"^`network` must have at most 100 bytes of parameters "):
        MLP([10, 10]).to_onnx(path)
    assert path.read_bytes() == b"old" and len([*tmp_path.iterdir()]) == 1


def test_more_than_two_gigabytes_are_refused_before_they_are_copied(monkeypatch):
    """With weights that are one number in memory."""
    weights = np.broadcast_to(np.float32(0), (2**14 + 2**8, 2**15))
    biases = np.broadcast_to(np.float32(0), len(weights))
    monkeypatch.setattr(onnx_network, "of_state", lambda state: Layers([Layer(weights, biases)]))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="got 2,181,104,640; to_safetensors has no limit.$"):
            MLP([4, 3]).to_onnx("never.onnx")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_model_that_the_limit_allows_by_its_parameters_alone(monkeypatch):
    mlp = MLP([10, 10])
    monkeypatch.setattr(onnx_graph, "MOST_BYTES", 4 * 110)
    with pytest.raises(ValueError, match="440"):
        content_of(mlp)


def test_an_invalid_path_is_an_error_of_the_file_system(tmp_path):
    with pytest.raises(OSError):
        MLP([4, 3]).to_onnx(tmp_path / "none" / "net.onnx")
    with pytest.raises(TypeError, match="`path` must be a str"):
        MLP([4, 3]).to_onnx(3)


@pytest.mark.parametrize("method, module, line", [
    ("to_onnx", "onnx", 'Exporting to ONNX needs onnx: pip install "fastmlp[onnx]"'),
    ("to_safetensors", "safetensors", "Exchanging safetensors files needs safetensors: "
     'pip install "fastmlp[safetensors]"'),
])  # fmt: skip
def test_what_is_missing_is_one_sentence(method, module, line, monkeypatch, tmp_path):
    for name in [*sys.modules]:
        if name == module or name.startswith(f"{module}."):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as error:
        getattr(MLP([4, 3]), method)(tmp_path / "net")
    assert str(error.value) == line and not [*tmp_path.iterdir()]


def test_nan_gives_nan():
    """The runtime does not refuse it."""
    found = session_of(content_of(MLP([2, 3]))).run(
        None, {"X": np.array([[np.nan, 1]], np.float32)}
    )
    assert np.isnan(found[1]).all()
