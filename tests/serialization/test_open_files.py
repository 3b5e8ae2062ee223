"""Open files, streams and names as the target of `save` and `load`."""

import gzip
import io
import os
import tempfile

import numpy as np
import pytest

import fastmlp
from fastmlp import MLP, NeuralNet
from fastmlp.callbacks import CSVLogger, ModelCheckpoint
from fastmlp.serialization.files import atomic_write

posix = pytest.mark.skipif(os.name == "nt", reason="modes, pipes and locks are POSIX's")


@pytest.fixture
def net():
    return NeuralNet([3, 2], random_state=0)


@pytest.mark.parametrize("cls", [MLP, NeuralNet])
def test_open_binary_files(cls, tmp_path):
    net = cls([3, 2], random_state=0)

    def same(loaded):
        assert type(loaded) is cls and np.array_equal(loaded.weights[0], net.weights[0])

    memory = io.BytesIO()
    net.save(memory)
    same(cls.load(memory))  # at any position
    memory.seek(0)
    same(fastmlp.load(memory))
    assert not memory.closed
    with open(tmp_path / "net", "wb") as file:
        net.save(file)
        assert not file.closed
    with open(tmp_path / "net", "rb") as file:
        same(cls.load(file))
    same(cls.load(tmp_path / "net"))
    with gzip.open(tmp_path / "net.gz", "wb") as file:
        net.save(file)
    with gzip.open(tmp_path / "net.gz", "rb") as file:
        same(cls.load(file))
    with tempfile.TemporaryFile() as file:
        net.save(file)
        same(cls.load(file))
    with tempfile.SpooledTemporaryFile() as file:
        net.save(file)
        file.seek(0)
        same(cls.load(file))


class OneWay:
    """A stream that can only be read, or only be written."""

    def __init__(self, content=b""):
        self.stream = io.BytesIO(content)

    def read(self, n=-1):
        return self.stream.read(n)


class Sink(io.RawIOBase):
    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def test_streams_that_cannot_seek(net):
    sink = Sink()
    net.save(sink)
    assert np.array_equal(fastmlp.load(OneWay(sink.content)).weights[0], net.weights[0])


def test_invalid_files(tmp_path, net):
    closed = io.BytesIO()
    closed.close()
    with open(tmp_path / "text", "w") as text, open(tmp_path / "text", "rb") as reading:
        wrong = [None, 3, True, 1.5, b"net.npz", b"PK", [], {}, object(), io.StringIO(), closed]
        for path in [*wrong, text, reading]:
            with pytest.raises(TypeError) as caught:
                net.save(path)
            message = str(caught.value)
            start = "`path` must be a str, an os.PathLike or a binary file open for writing, got "
            assert message.startswith(f"{start}{path!r}"[: len(start) + 60])
        with open(tmp_path / "new", "wb") as writing:
            for path in [*wrong, text, writing]:
                for load in (fastmlp.load, MLP.load, NeuralNet.load):
                    with pytest.raises(
                        TypeError, match="^`path` must be .*binary file open for reading"
                    ):
                        load(path)
    assert (tmp_path / "text").read_bytes() == b""
    for long in (list(range(1000)), [10**5000]):
        with pytest.raises(TypeError, match="^`path` must be ") as caught:
            net.save(long)
        assert len(str(caught.value)) < 200


@posix  # Windows allows lone surrogates in names
@pytest.mark.parametrize("path", ["", "a\0b", "\ud800"])
def test_invalid_names(path, tmp_path, net, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (net.save, fastmlp.load, atomic_write(path).__enter__, ModelCheckpoint, CSVLogger):
        arguments = () if use.__name__ == "__enter__" else (path,)
        with pytest.raises(ValueError) as caught:
            use(*arguments)
        assert str(caught.value) == f"`path` must be a valid file name, got {path!r}."
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("use", [ModelCheckpoint, CSVLogger])
def test_callbacks_take_names_alone(use):
    for path in (3, None, b"m", io.BytesIO()):
        with pytest.raises(TypeError, match="^`path` must be a str or os.PathLike, got"):
            use(path)


def test_a_failed_save_writes_nothing_into_an_open_file(net):
    net.weights[0][0, 0] = np.inf
    file = io.BytesIO(b"old")
    with pytest.raises(ValueError, match=r"^`weights\[0\]` must be finite, got NaN or infinity"):
        net.save(file)
    assert file.getvalue() == b"old"
