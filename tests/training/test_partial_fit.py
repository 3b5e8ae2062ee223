"""`partial_fit`, and `fit` with and without a warm start."""

import numpy as np
import pytest

from helpers.batches import parts
from helpers.same_bits import assert_same_bits, file_of


def test_partial_fits_are_epochs_of_one_training(make_mlp, data, tmp_path):
    X, y = data
    for warm_start in (True, False):
        for optimizer in ("adam", "momentum"):
            arguments = {"warm_start": warm_start, "optimizer": optimizer, "dropout": 0.1}
            whole, partial = make_mlp(**arguments), make_mlp(**arguments)
            whole.fit(X, y, epochs=3, batch_size=16)
            for _ in range(3):
                assert partial.partial_fit(X, y, batch_size=16) is partial
            assert file_of(partial) == file_of(whole)
            assert len(partial.history_["loss"]) == 3


def test_partial_fits_of_pieces_and_batches(make_mlp, data, tmp_path):
    X, y = data
    weights = np.linspace(0.5, 2, 200)
    options = {"batch_size": 20, "shuffle": False}
    whole = make_mlp().fit(X, y, epochs=1, sample_weight=weights, **options)
    pieces, batches = make_mlp(), make_mlp()
    for part_X, part_y, weight in parts(X, y, (60, 40, 100), weights):
        pieces.partial_fit(part_X, part_y, sample_weight=weight, **options)
        batches.partial_fit(iter([(part_X, part_y, weight)]), **options)
    assert_same_bits(pieces, whole)
    assert file_of(batches) == file_of(pieces)
    assert len(pieces.history_["loss"]) == 3


def test_a_refused_partial_fit_changes_nothing(make_mlp, data, tmp_path):
    mlp = make_mlp(dropout=0.2).fit(*data, epochs=2)
    before, history = file_of(mlp), {"loss": list(mlp.history_["loss"])}
    X = data[0].copy()
    X[150] = np.inf
    for arguments in ((X, data[1]), ([(X, data[1])],), (data[0], data[1][1:]), ([3],)):
        with pytest.raises((TypeError, ValueError)):
            mlp.partial_fit(*arguments)
        assert file_of(mlp) == before and mlp.history_ == history


def test_fits_continue_or_start_over(make_mlp, data, tmp_path):
    X, y = data
    # Two fits in a row are one fit, except that the history is that of the last.
    warm, whole = make_mlp(), make_mlp().fit(X, y, epochs=5)
    warm.fit(X, y, epochs=2).fit(X, y, epochs=3)
    assert warm.history_["loss"] == whole.history_["loss"][2:]
    whole.history_ = warm.history_
    assert file_of(warm) == file_of(whole)
    # Without warm_start: like a new network made with the current random state.
    source = np.random.RandomState(0)
    cold = make_mlp(warm_start=False, dropout=0.1, random_state=source)
    drawn = [w.copy() for w in cold.weights]
    cold.fit(X, y, epochs=2)
    other = np.random.RandomState()
    other.set_state(source.get_state())
    cold.fit(X, y, epochs=3)
    new = make_mlp(warm_start=False, dropout=0.1, random_state=other).fit(X, y, epochs=3)
    assert file_of(cold) == file_of(new)
    first = make_mlp(warm_start=False, dropout=0.1)  # the first fit uses the initial weights
    assert all((a == b).all() for a, b in zip(first.weights, drawn, strict=True))
