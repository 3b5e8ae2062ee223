"""A training that starts or resumes, as a script for `test_killed.py`.

    python tests/helpers/killed_training.py FOLDER OPTIMIZER SOURCE MOMENT COUNT

With "many" for a moment, one that nobody disturbs, and one that is forked and killed until it ends;
with another, one that waits there to be killed.
"""

import io
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

from fastmlp import MLP, schedules
from fastmlp.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint
from helpers.killing import Begins, forked, was_killed

folder, optimizer, source, moment, count = sys.argv[1:]
folder, left = Path(folder), int(count)


def train(folder):
    made_data = np.random.default_rng(0)
    X = made_data.random((80, 8), np.float32)
    y = made_data.integers(0, 4, 80)  # random labels: soon no epoch is better
    # Only the first process has the seed.
    seed = os.getpid() if any(folder.glob("model*.npz")) else 5
    np.random.seed(seed)
    mlp = MLP(
        [8, 12, 4], optimizer=optimizer, learning_rate=schedules.Cosine(0.1, 300), dropout=0.2,
        input_noise=0.05, random_state=None if source == "global" else seed,
    )  # fmt: skip
    stopping = EarlyStopping(patience=15)
    mlp.fit(
        X, y, epochs=40, batch_size=16, validation_fraction=0.25, resume=True,
        callbacks=[
            Begins(), stopping, CSVLogger(folder / "log.csv"),
            ModelCheckpoint(folder / ("model-{epoch}.npz" if source == "names" else "model.npz")),
            ModelCheckpoint(folder / "best.npz", monitor="validation_loss"),
        ],
    )  # fmt: skip
    mlp.save(folder / "final.npz")
    epochs = len(mlp.history_["loss"])
    assert stopping.best_epoch == epochs - 16 and epochs < 40, epochs  # it did stop early
    after = np.random.random() if source == "global" else None
    (folder / "end.json").write_text(json.dumps([mlp.history_, after, stopping.best]))


def wait_here():
    print("here", flush=True)
    time.sleep(100)


def waits(function, before=None):
    def waiting(*arguments, **others):
        global left
        left -= 1
        if left == 0 and before is not None:
            before(*arguments, **others)
        if left != 0 or moment == "replaced":
            function(*arguments, **others)
        if left == 0:
            wait_here()

    return waiting


def write_half(file, **arrays):
    whole = io.BytesIO()
    savez(whole, **arrays)
    file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
    file.flush()


def kill_until_the_end():
    undisturbed, killed = folder / "undisturbed", folder / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    MLP([8, 4], random_state=0).fit(np.zeros((1, 8), np.float32), [0], epochs=1)  # compiles
    child, begun = forked(train, undisturbed)
    os.read(begun, 1)
    began = time.perf_counter()
    assert not was_killed(child)
    seconds, kills, lines = time.perf_counter() - began, 0, set()
    for attempt in range(500):
        os.close(begun)
        child, begun = forked(train, killed)
        if attempt % 4 > 0:  # otherwise the kill may come before training starts
            os.read(begun, 1)
        time.sleep(random.uniform(0, seconds / 5 * (1 + attempt / 20)))
        os.kill(child, signal.SIGKILL)
        if not was_killed(child):
            if kills >= 3 and len(lines) >= 2:
                break
            # The undisturbed one was slow, so that signals came late: again with earlier ones.
            shutil.rmtree(killed)
            killed.mkdir()
            seconds, kills, lines = seconds / 2, 0, set()
            continue
        kills += 1
        log = killed / "log.csv"
        lines.add(len(log.read_text().splitlines()) if log.exists() else 0)
    print(json.dumps([kills, len(lines)]))


savez = np.savez
if moment == "many":
    kill_until_the_end()
    sys.exit()
elif moment == "half":
    np.savez = waits(savez, write_half)
elif moment == "written":
    os.fsync = waits(os.fsync)
elif moment in ("replace", "replaced"):
    os.replace = waits(os.replace)
elif moment == "epoch":
    Callback.on_epoch_begin = waits(Callback.on_epoch_begin)
train(folder)
