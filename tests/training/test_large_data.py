"""Data larger than memory: memory-mapped files, blocks, bounded memory."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from fastmlp import MLP
from fastmlp.core.run import no_targets
from fastmlp.training import sources
from fastmlp.training.samples import Data
from helpers.batches import parts
from helpers.same_bits import file_of

# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_file_trains_as_the_array(make_mlp, data, tmp_path, small_blocks, dtype):
    X = (data[0] * 50 + 100).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    for shuffle in (False, "blocks"):
        trained = [
            make_mlp(input_scale=0.01).fit(each, data[1], 3, 8, shuffle=shuffle)
            for each in (mapped, X)
        ]
        assert file_of(trained[0]) == file_of(trained[1])
    by_default = make_mlp(input_scale=0.01).fit(mapped, data[1], 3, 8)
    assert file_of(by_default) == file_of(trained[0])  # shuffled in blocks
    assert by_default.predict(mapped).tolist() == by_default.predict(X).tolist()


def test_a_file_can_be_validated_on_and_split(make_mlp, data, tmp_path):
    X, y = data
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for options in ({"validation_fraction": 0.3}, {"validation_data": (mapped, y)}):
        trained = [make_mlp().fit(each, y, shuffle="blocks", **options) for each in (mapped, X)]
        assert trained[0].history_ == trained[1].history_
        assert file_of(trained[0]) == file_of(trained[1])


# Shuffling in blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("n, size", [(1, 1), (7, 3), (1000, 1000), (1000, 200), (999, 70), (5, 64)])
def test_blocks_have_every_row_once(n, size):
    for seed in range(5):
        blocks = list(sources._orders_by_blocks(n, size, np.random.RandomState(seed)))
        assert sorted(np.concatenate(blocks)) == list(range(n))
        assert [len(block) for block in blocks[:-1]] == [size] * ((n - 1) // size)
        assert 0 < len(blocks[-1]) <= size


def test_the_rows_of_a_block_come_from_many_pieces():
    n, size = 100_000, 6400
    blocks = list(sources._orders_by_blocks(n, size, np.random.RandomState(0)))
    for block in blocks[:-1]:
        # Pieces have 100 rows: a block has rows from the whole array.
        assert len(set(block // 100)) >= sources.PIECES
        assert block.min() < n // 10 and block.max() > n - n // 10
        first, second = block[: size // 2], block[size // 2 :]
        assert abs(first.mean() - second.mean()) < n / 50  # and is mixed
        assert np.count_nonzero(np.diff(block) == 1) < size // 50
    again = list(sources._orders_by_blocks(n, size, np.random.RandomState(1)))
    assert (again[0] != blocks[0]).any()


class Rows:
    """Records the rows trained on, by their targets, which are the row numbers."""

    def __init__(self, monkeypatch):
        self.epochs = []
        from fastmlp.training.epoch import Trainer

        original_train, original_epoch = Trainer._train, Trainer.epoch

        def epoch(training, *arguments):
            self.epochs.append([])
            return original_epoch(training, *arguments)

        def train(training, data, order, *others):
            self.epochs[-1].append(data.targets.values[order].astype(int))
            return original_train(training, data, order, *others)

        monkeypatch.setattr(Trainer, "epoch", epoch)
        monkeypatch.setattr(Trainer, "_train", train)


@pytest.fixture
def numbers():
    """Return a network, and samples whose targets are their row numbers."""
    X = np.random.default_rng(0).random((300, 8), np.float32)
    mlp = MLP([8, 1], loss="squared_error", learning_rate=1e-7, random_state=0)
    return mlp, X, np.arange(300)


@pytest.mark.parametrize("kind", ["whole", "array", "list", "sparse"])
def test_every_row_is_seen_once_an_epoch(numbers, monkeypatch, small_blocks, kind):
    mlp, X, y = numbers
    rows = Rows(monkeypatch)
    sizes = (7, 100, 1, 150, 42)
    if kind == "whole":
        mlp.fit(X, y, epochs=3, batch_size=8)
    elif kind == "array":
        mlp.fit(X, y, epochs=3, batch_size=8, shuffle="blocks")
    else:
        X = scipy.sparse.csr_array(X) if kind == "sparse" else X
        mlp.fit(parts(X, y, sizes), epochs=3, batch_size=8)
    for blocks in rows.epochs:
        assert [len(block) for block in blocks] == ([300] if kind == "whole" else [40] * 7 + [20])
        assert sorted(np.concatenate(blocks)) == y.tolist()
        assert all((np.sort(block) != block).any() for block in blocks)
        if kind in ("list", "sparse"):  # shuffled within blocks, which keep their order
            assert [block.min() for block in blocks] == list(range(0, 300, 40))
    orders = [np.concatenate(blocks).tolist() for blocks in rows.epochs]
    assert orders[0] != orders[1] != orders[2]


def test_blocks_leave_out_what_is_validated_on(numbers, monkeypatch, small_blocks):
    mlp, X, y = numbers
    rows, held = Rows(monkeypatch), []

    def keep(targets, outputs):
        held.append(targets.ravel().astype(int).tolist())
        return 0.0  # also in the trial before training

    mlp.fit(X, y, 2, 8, shuffle="blocks", validation_fraction=0.2, metrics=keep)
    for blocks, others in zip(rows.epochs, held[1:], strict=True):
        assert len(others) == 60
        assert sorted([*np.concatenate(blocks).tolist(), *others]) == y.tolist()


# Memory ------------------------------------------------------------------------------------------


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from fastmlp import MLP
from fastmlp.callbacks import Callback

def now():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

class Look(Callback):
    def on_train_batch_end(self, batch, logs=None):
        peaks.append(now())

def batches():
    for i in range(N):
        peaks.append(now())
        X = made.random((4096, 512), np.float32)  # 8 MB
        yield X, np.zeros(len(X), int)

kind, folder = sys.argv[1:]
N, made, mlp = 60, np.random.default_rng(0), MLP([512, 4, 2], random_state=0)
mlp.fit(np.zeros((2, 512), np.float32), [0, 1], epochs=1)  # compiles
if kind == "file":
    path = Path(folder, "X.npy")
    X = np.lib.format.open_memmap(path, "w+", np.float32, (4096 * 40, 512))
    for i in range(40):
        X[4096 * i : 4096 * (i + 1)] = made.random((4096, 512), np.float32)
    del X
    X = np.load(path, mmap_mode="r")
    peaks = [now()]
    mlp.fit(X, np.zeros(len(X), int), epochs=1, batch_size=256, callbacks=[Look()])
else:
    peaks = [now()]
    mlp.fit(batches, epochs=1, batch_size=256, callbacks=[Look()])
assert len(peaks) > 5
print(max(peaks) - peaks[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind, megabytes", [("batches", 300), ("file", 60)])
def test_memory_is_bounded(tmp_path, kind, megabytes):
    # 480 MB in batches, with blocks of 64 MB in memory; 320 MB in a file, which is not copied.
    script = tmp_path / "memory.py"
    script.write_text(MEMORY)
    safe = ["-P"] if sys.flags.safe_path else []
    command = [sys.executable, *safe, str(script), kind, str(tmp_path)]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert 0 <= float(grown) < megabytes


def test_a_block_is_about_64_megabytes():
    for batch_size, row_bytes in ((32, 784 * 4), (1, 10), (100_000, 10_000)):
        rows = sources.block_rows(batch_size, row_bytes)
        assert rows % batch_size == 0
        assert rows == batch_size or 2**25 < rows * row_bytes <= 2**26


@pytest.mark.parametrize("rows", [None, np.arange(5, 1000, 2)])
def test_copied_blocks_have_the_same_rows_in_the_same_order(small_blocks, rows):
    X = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    targets = no_targets(np.dtype(np.float32))._replace(values=np.arange(1000, dtype=np.float32))
    data = Data(X, targets)

    def seen(copies):
        source = np.random.RandomState(0)
        blocks = sources.epoch_of_arrays(data, rows, "blocks", source, 4, copies)
        return [(block.X[order], block.targets.values[order]) for block, order in blocks]

    in_place, copied = seen(False), seen(True)
    assert len(in_place) > 3
    for one, other in zip(in_place, copied, strict=True):
        assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
