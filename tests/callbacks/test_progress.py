"""Progress bars."""

import io
import os
import subprocess
import sys

import pytest

from fastmlp.callbacks import Callback, ModelCheckpoint, Progress
from helpers.callbacks import At


def test_progress_is_written_to_a_stream(make_mlp, data):
    stream = io.StringIO()
    mlp = make_mlp().fit(*data, epochs=3, callbacks=[Progress(stream)])
    shown = stream.getvalue()
    assert "180/180" in shown and "100%" in shown and shown.endswith("\n")
    assert f"loss={mlp.history_['loss'][-1]:.4f}" in shown


def test_verbose_is_one_bar_on_stderr(make_mlp, data, capsys):
    make_mlp().fit(*data, epochs=3, verbose=True)
    out, err = capsys.readouterr()
    assert "180/180" in err and out == ""
    stream = io.StringIO()
    make_mlp().fit(*data, epochs=3, verbose=True, callbacks=[Progress(stream)])
    assert capsys.readouterr().err == "" and "180/180" in stream.getvalue()
    make_mlp().fit(*data, epochs=3)
    assert capsys.readouterr().err == ""


def test_progress_of_batches_whose_number_is_unknown(make_mlp, data):
    X, y = data
    progress, totals = Progress(io.StringIO()), []
    look = At("on_epoch_end", lambda *_: totals.append(progress._bar.total))
    make_mlp().fit([(X[:20], y[:20]), (X[20:], y[20:])], epochs=2, callbacks=[progress, look])
    assert "120 samples" in progress.stream.getvalue() and totals == [None, None]


def test_progress_of_a_resumed_training_begins_where_it_does(make_mlp, data, tmp_path):
    checkpoint, progress = ModelCheckpoint(tmp_path / "m.npz"), Progress(io.StringIO())
    shown = []

    class Look(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            shown.append(progress._bar.n)

    make_mlp().fit(*data, epochs=2, callbacks=[checkpoint, progress, Look()])
    make_mlp().fit(*data, epochs=4, callbacks=[checkpoint, progress, Look()], resume=True)
    assert shown == [0, 60, 120, 180] and "240/240" in progress.stream.getvalue()


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end"])
def test_the_bar_is_closed_when_training_fails(make_mlp, data, hook):
    stream, bars = io.StringIO(), []
    progress = Progress(stream)

    def fail(*_):
        bars.append(progress._bar)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_mlp().fit(*data, callbacks=[progress, At(hook, fail)])
    assert bars[0].disable and progress._bar is None and stream.getvalue().endswith("\n")


# tqdm shares a lock with forked processes; one of them is killed while it draws.
KILLED_WHILE_IT_DRAWS = """
import os, signal
from tqdm import tqdm
from fastmlp import MLP
lock = tqdm.get_lock()
MLP([1, 2], random_state=0).fit([[0.0]], [0], verbose=True)
child = os.fork()
if child == 0:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
MLP([1, 2], random_state=0).fit([[0.0]], [0], verbose=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_process_does_not_stop_the_bars_of_others():
    subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_DRAWS], check=True, timeout=200)
