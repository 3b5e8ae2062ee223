"""Checkpoints of rounds are not trusted."""

import numpy as np
import pytest

import fastmlp
import fastmlp.dask
from fastmlp import MLP
from fastmlp.callbacks import ReduceLROnPlateau
from helpers.hostile_files import DATA, NO_COUNTS, NO_RATES, refused
from helpers.messages import assert_form
from helpers.model_files import DELETED, Parts
from helpers.same_bits import bits_of

CHANGES = {
    "batch_size": (*NO_COUNTS, 0),
    "n_samples": (*NO_COUNTS, 0),
    "n_shards": (*NO_COUNTS, 0, 2**40),
    "local_epochs": (*NO_COUNTS, 0, 2**40),
    "local_steps": (*(value for value in NO_COUNTS if value is not None), 0, 2**40),
    "rate_factor": NO_RATES,
    "rounds_done": (*NO_COUNTS, 1, 3),
    "seed": (None, 3, [], [1], [1, 2, 3], [1, -1], [1, 2**32], [1, 0.5], [True, 1], "12", DELETED),
    "stopped": (0, 1, None, "no", DELETED),
    "history": (["other"], "loss", [1], None, {}, DELETED),
    "callbacks": (["a"] * 2, "loss", [1], None, {}, DELETED),
    "callback_states": ([], {}, None, [1], [[]], DELETED),
    "random_state": ("RandomState", "Generator of PCG64", 3, None, "", DELETED),
    "random_position": (None, 3, {}, {"bit_generator": "MT19937"}, DELETED),
    "began_with": (None, 3, [], DELETED),
    "order": (3, "1", [0, 1], {}, {"array in this file": "weights_0"}, DELETED),
    "more": (1,),
}


def train(**options):
    mlp = MLP([5, 4, 3], random_state=0)
    return fastmlp.dask.fit(
        mlp, *DATA, client=False, callbacks=[ReduceLROnPlateau("loss")], **{"rounds": 2} | options
    )


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("rounds") / "checkpoint.npz"
    train(checkpoint=path)
    return path.read_bytes()


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_checkpoint_may_hold(content, name, tmp_path):
    for value in CHANGES[name]:
        damaged = Parts(content).change(f"rounds.{name}", value).content()
        refused(damaged)
        path = tmp_path / "damaged.npz"
        path.write_bytes(damaged)
        with pytest.raises(ValueError) as caught:
            train(resume=path)
        assert_form(str(caught.value))


ROWS = np.arange(len(DATA[0]))


@pytest.mark.parametrize(
    "order", [ROWS[:-1], ROWS + 1, ROWS - 1, ROWS // 2, ROWS[:, None], ROWS * 1.0]
)
def test_the_order_of_rows(content, order, tmp_path):
    """Of one shard of an estimator; other orders would read memory that is not theirs."""
    parts = Parts(content).change("rounds.order", {"array in this file": "rounds_order"})
    path = tmp_path / "damaged.npz"
    parts.arrays["rounds_order"] = ROWS[::-1].copy()
    refused(parts.content())  # there are four shards
    parts.change("rounds.n_shards", 1)
    path.write_bytes(parts.content())
    fastmlp.load(path)
    parts.arrays["rounds_order"] = order
    refused(parts.content())


@pytest.mark.parametrize("state", [{"best": "1", "wait": 0}, {"best": 1.0}, {"wait": -1}, {}])
def test_states_of_callbacks(content, state, tmp_path):
    path = tmp_path / "damaged.npz"
    path.write_bytes(Parts(content).change("rounds.callback_states", [state]).content())
    mlp = MLP([5, 4, 3], random_state=0)
    before = bits_of(mlp)
    with pytest.raises(ValueError, match="`ReduceLROnPlateau.state"):
        fastmlp.dask.fit(
            mlp, *DATA, client=False, callbacks=[ReduceLROnPlateau("loss")], resume=path
        )
    assert bits_of(mlp) == before and mlp.history_ == {}


def test_a_checkpoint_is_written_whole_or_not_at_all(content, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(content)

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("fastmlp.serialization.npz_format.write", fail)
    with pytest.raises(OSError, match="no space left"):
        train(checkpoint=path, rounds=4)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    mlp = MLP([5, 4, 3], random_state=0)
    with pytest.raises(OSError):
        fastmlp.dask.fit(mlp, *DATA, client=False, checkpoint=tmp_path / "missing" / "it.npz")
    assert mlp.history_ == {}
