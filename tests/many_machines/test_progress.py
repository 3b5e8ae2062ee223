"""The progress bar of rounds."""

import pytest

import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.dask.in_process import InProcess


@pytest.fixture
def shown(make_data, capsys):
    """Return a function that trains and returns the last state of the bar."""
    X, y = make_data([8, 12, 3], 90)

    def fit(loss="softmax", validates=True, **options):
        sizes = [8, 12, 3 if loss == "softmax" else 1]
        mlp, data = MLP(sizes, loss=loss, random_state=0), (X, y if loss == "softmax" else y * 1.0)
        options |= {"validation_data": data} if validates else {}
        try:
            fastmlp.dask.fit(mlp, *data, client=False, verbose=True, **{"rounds": 4} | options)
        finally:
            text = capsys.readouterr().err
            assert text.endswith("\n")
        return mlp, text.rstrip("\n").split("\r")[-1]

    return fit


def test_the_loss_and_the_first_score(shown):
    mlp, text = shown(metrics=["f1", "accuracy"])
    loss, f1 = (mlp.history_[name][-1] for name in ("loss", "validation_f1"))
    assert "| 4/4 [" in text and text.endswith(f"loss={loss:.4f}, validation_f1={f1:.4f}]")
    mlp, text = shown(loss="squared_error")
    loss, other = (mlp.history_[name][-1] for name in ("loss", "validation_loss"))
    assert text.endswith(f"loss={loss:.4f}, validation_loss={other:.4f}]")
    mlp, text = shown(validates=False)
    assert text.endswith(f"loss={mlp.history_['loss'][-1]:.4f}]")


def test_bytes_that_were_moved(shown, monkeypatch):
    monkeypatch.setattr(InProcess, "n_bytes_moved", 1_520_000)
    assert shown()[1].endswith(", moved=1.5 MB]")


def test_it_goes_on_where_a_checkpoint_was_written(shown, tmp_path):
    path = tmp_path / "model.npz"
    assert "| 4/4 [" in shown(checkpoint=path)[1]
    assert "| 6/6 [" in shown(checkpoint=path, resume=True, rounds=6)[1]


def test_it_is_closed_after_an_error_and_an_early_stop(shown):
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    class Fail(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("mine")

    assert "| 2/4 [" in shown(callbacks=[Stop()])[1]
    with pytest.raises(KeyError, match="mine"):
        shown(callbacks=[Fail()])
