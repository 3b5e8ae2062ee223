"""States of callbacks in checkpoints are not trusted."""

import json

import pytest

import fastmlp
from fastmlp import MLP
from fastmlp.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from helpers.hostile_files import DATA, NO_COUNTS, arrays_like
from helpers.messages import assert_form
from helpers.model_files import DELETED, Parts
from helpers.same_bits import bits_of

NAN, INF = float("nan"), float("inf")


# Well-formed nonsense ----------------------------------------------------------------------------


# Checkpoints -------------------------------------------------------------------------------------


STATES = [
    *(("0.best", value) for value in ("1", NAN, True, [], {}, DELETED)),
    *(("0.wait", value) for value in (*NO_COUNTS[:9], None)),
    *(("0.best_epoch", value) for value in (-1, 1.5, "3", True, [], DELETED)),
    *(("0.weights", value) for value in (None, {}, 3, [[1.0]], "w", DELETED)),
    *(("0.biases", value) for value in (None, {}, 3, [], [[1.0]] * 2, DELETED)),
    *(("1.best", value) for value in ("1", NAN, DELETED)),
    *(("1.cooling", value) for value in NO_COUNTS),
]


@pytest.mark.parametrize("place", dict.fromkeys(place for place, _ in STATES))
def test_what_callbacks_cannot_be_restored_from(place, tmp_path):
    class Stop(fastmlp.callbacks.Callback):
        pass

    path = tmp_path / "checkpoint.npz"
    for value in [value for where, value in STATES if where == place]:
        parts = Parts("checkpoint_3").change(f"fit.callback_states.{place}", value)
        unused = [
            f"fit_callback_states_0_{kind}_{l}" for kind in ("weights", "biases") for l in (0, 1)
        ]
        text = json.dumps(parts.plain)
        parts.arrays = {
            name: array
            for name, array in parts.arrays.items()
            if name not in unused or f'"{name}"' in text
        }
        path.write_bytes(parts.content())
        mlp = MLP([5, 4, 3], dropout=0.2, learning_rate=0.05, random_state=0)
        before = bits_of(mlp)
        callbacks = [
            EarlyStopping(patience=2), ReduceLROnPlateau("loss"), Stop(),
            ModelCheckpoint(tmp_path / "new.npz"),
        ]  # fmt: skip
        with pytest.raises(ValueError) as caught:
            mlp.fit(
                *DATA, epochs=5, batch_size=16, validation_fraction=0.25, callbacks=callbacks,
                resume=path,
            )  # fmt: skip
        name = ("EarlyStopping", "ReduceLROnPlateau")[int(place[0])]
        text = str(caught.value)
        assert assert_form(text).startswith(f"`{name}.state")
        assert bits_of(mlp) == before and mlp.history_ == {}


@pytest.mark.parametrize("name", ["weights", "biases"])
def test_parameters_that_are_kept_must_fit_too(name, tmp_path):
    parts, path = Parts("checkpoint_3"), tmp_path / "checkpoint.npz"
    for wrong in arrays_like(parts.arrays[f"fit_callback_states_0_{name}_1"], name):
        other = parts.copy()
        other.arrays[f"fit_callback_states_0_{name}_1"] = wrong
        path.write_bytes(other.content())

        class Stop(fastmlp.callbacks.Callback):
            pass

        callbacks = [
            EarlyStopping(patience=2), ReduceLROnPlateau("loss"), Stop(),
            ModelCheckpoint(tmp_path / "new.npz"),
        ]  # fmt: skip
        mlp = MLP([5, 4, 3], dropout=0.2, learning_rate=0.05, random_state=0)
        with pytest.raises(ValueError, match=rf"^`EarlyStopping.state.{name}\[1\]` must be "):
            mlp.fit(
                *DATA, epochs=5, batch_size=16, validation_fraction=0.25, callbacks=callbacks,
                resume=path,
            )  # fmt: skip


def test_a_refusal_of_a_checkpoint_is_short(tmp_path):
    path = tmp_path / "checkpoint.npz"
    parts = Parts("checkpoint_3")
    path.write_bytes(parts.change("fit.callbacks", ["x" * 5000] * 4).content())
    mlp = MLP([5, 4, 3], random_state=0)
    with pytest.raises(
        ValueError, match="^`resume` must be a checkpoint with this fit's callbacks, "
    ) as caught:
        mlp.fit(*DATA, batch_size=16, validation_fraction=0.25, resume=path)
    assert len(str(caught.value)) < 400
