"""
=====================
More data than memory
=====================

More than a million images in a file, under a limit of memory that is a quarter of the file. First
the limit is shown to work: ``np.load`` of the file fails. Then the network is trained on the file
all the same, and after that on images that are made while it is trained, and are in no file at all.

Only Linux keeps such a limit. On other systems the example runs without one.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastmlp import MLP, datasets

N_IMAGES = 1_600_000
MORE = 96 * 2**20  # bytes: what may be allocated beyond what the program has before

# %%
# A large file
# ------------
#
# The images are variants of 1,400 real digits: enlarged to 16 x 16 pixels, moved by up to one of
# them in each direction, with a little random ink added. That is a usual way to get more data than
# there are. They are written in pieces of 20,000, and no more than one piece is in memory.
# ``open_memmap`` makes a ``.npy`` file whose rows can be assigned like those of an array.

digits, labels = datasets.digits()
large = digits.reshape(-1, 8, 8).repeat(2, axis=1).repeat(2, axis=2)
X_train, y_train = large[:1400].reshape(-1, 256), labels[:1400]
X_test, y_test = large[1400:].reshape(-1, 256), labels[1400:]
moved = np.stack(
    [
        np.roll(large[:1400], (down, right), axis=(1, 2)).reshape(-1, 256)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
)


def pieces(seed, size=20_000):
    """Yield images and labels, piece by piece; the same seed gives the same ones."""
    random = np.random.default_rng(seed)
    for _ in range(N_IMAGES // size):
        which = random.integers(0, 1400, size)
        images = moved[random.integers(0, len(moved), size), which]
        images += random.integers(0, 2, images.shape, np.uint8)
        yield np.minimum(images, 16, out=images), labels[which]


folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
path = Path(folder.name, "images.npy")
file = np.lib.format.open_memmap(path, "w+", np.uint8, (N_IMAGES, 256))
y = np.empty(N_IMAGES, np.uint8)
done = 0
for images, classes in pieces(seed=0):
    rows = slice(done, done + len(images))
    file[rows], y[rows] = images, classes
    done += len(images)
file.flush()
del file
print(f"{path.name}: {path.stat().st_size / 2**20:.0f} MB, limit: {MORE / 2**20:.0f} MB more")

# %%
# A limit
# -------
#
# ``RLIMIT_DATA`` limits the memory that a process may allocate, that of all its libraries and
# threads included. The limit is set to what is allocated now plus 96 MB. Pages of a file that is
# only read do not count: the system can drop them and read them again.


@contextlib.contextmanager
def memory_limit(n_bytes):
    """Let this process allocate at most so much more, where the system can limit it."""
    if sys.platform != "linux":
        yield
        return
    import resource

    status = Path("/proc/self/status").read_text(encoding="ascii")
    allocated = 1024 * int(status.split("VmData:")[1].split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (allocated + n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


# %%
# For comparison, and to compile what is needed before there is a limit, a network is trained on the
# 1,400 digits alone. One thread, because each has memory of its own that would count.


def new_network():
    """Return a network before its training."""
    return MLP([256, 64, 10], input_scale=1 / 16, random_state=0, n_threads=1)


small = new_network().fit(X_train, y_train, epochs=30)
print(f"accuracy, trained on 1,400 digits: {small.score(X_test, y_test):.3f}")

# %%
# Train on the file
# -----------------
#
# The difference between the two lines is ``mmap_mode="r"``: X is then an array whose rows are in
# the file until they are needed. ``fit`` reads such an array in long contiguous pieces, and
# shuffles the rows of 64 pieces at a time.

with memory_limit(MORE):
    if sys.platform == "linux":
        try:
            np.load(path)
        except MemoryError as error:
            print(f"np.load: MemoryError: {error}")
    mlp = new_network().fit(np.load(path, mmap_mode="r"), y, epochs=1, batch_size=128)
print(f"accuracy, trained on the file: {mlp.score(X_test, y_test):.3f}")
folder.cleanup()

# %%
# Train on images that are in no file
# -----------------------------------
#
# X may also be a function that returns an iterator over pieces of any size. It is called at the
# beginning of every epoch. Here it makes as many images that are stored nowhere.

with memory_limit(MORE):
    mlp = new_network().fit(lambda: pieces(seed=1), epochs=1, batch_size=128)
print(f"accuracy, trained on generated images: {mlp.score(X_test, y_test):.3f}")

# %%
# Tables
# ------
#
# A CSV or Parquet file may be larger than memory too, without a program: ``fastmlp train large.csv
# --target price`` reads it in pieces.
