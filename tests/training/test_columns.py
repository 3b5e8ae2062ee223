"""The columns of data frames."""

import pickle

import numpy as np
import pytest

from fastmlp import MLP, callbacks
from helpers.same_bits import bits_of

SIZES = [6, 140, 5, 3]


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 300)


def test_a_frame_must_have_the_columns_of_the_fit(data, tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = data
    names = list("abcdef")
    frame = pd.DataFrame(X, columns=names)
    mlp = MLP(SIZES, random_state=0).fit(frame, y, epochs=1)
    assert mlp.feature_names_in_.tolist() == names
    mlp.save(tmp_path / "mlp.npz")
    for each in (mlp, MLP.load(tmp_path / "mlp.npz"), pickle.loads(pickle.dumps(mlp))):
        assert each.feature_names_in_.tolist() == names
        assert np.array_equal(each.predict(frame), each.predict(X))
        before = bits_of(each)
        for wrong, message in (
            (
                frame[names[::-1]],
                "`X` must have the columns .*, got 'f' in place of 'a' at position 0",
            ),
            (
                frame.rename(columns={"c": "z"}),
                "`X` must have the columns .*, got 'z' in place of 'c' at position 2",
            ),
        ):
            for call in (each.predict, each.predict_proba):
                with pytest.raises(ValueError, match=message):
                    call(wrong)
            for call in (each.score, each.fit, each.partial_fit):
                with pytest.raises(ValueError, match=message):
                    call(wrong, y)
            with pytest.raises(ValueError, match=r"^`validation_data\[0\]" + message[2:]):
                each.fit(X, y, validation_data=(wrong, y))
            with pytest.raises(ValueError, match=r"^`X\[i\]\[0\]` must have the columns"):
                each.fit([(frame, y), (wrong, y)])
        assert bits_of(each) == before and each.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match=r"^`X` must have shape \(n_samples, 6\), got \(\d+, 5\)"):
        mlp.predict(frame[names[:5]])


def test_resuming_and_batches_bind_columns(data, tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcdef"))
    wrong = frame[list("fedcba")]
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "mlp.npz")
    MLP(SIZES, random_state=0).fit(frame, y, epochs=1, callbacks=[checkpoint])
    mlp = MLP(SIZES, random_state=0)
    with pytest.raises(
        ValueError, match="^`X` must have the columns .*, got 'f' in .* at position 0"
    ):
        mlp.fit(wrong, y, epochs=2, callbacks=[checkpoint], resume=True)
    mlp.fit(X, y, epochs=2, callbacks=[checkpoint], resume=True)
    assert mlp.feature_names_in_.tolist() == list("abcdef")
    for batches in ([(wrong, y)], lambda: iter([(wrong, y)])):
        with pytest.raises(ValueError, match=r"^`X\[i\]\[0\]` must have the columns .*, got 'f'"):
            MLP(SIZES, random_state=0).fit(batches, validation_data=(frame, y))


def test_columns_are_learned_where_there_are_names(data):
    pd = pytest.importorskip("pandas")
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcdef"))
    mlp = MLP(SIZES, random_state=0)
    for unnamed in (X, pd.DataFrame(X), pd.DataFrame(X, columns=[*"abcde", 5])):
        mlp.fit(unnamed, y, epochs=1)
        with pytest.raises(AttributeError, match="was not fitted on a frame"):
            mlp.feature_names_in_  # noqa: B018
    with pytest.raises(ValueError):
        mlp.fit(frame, y, epochs=-1)
    assert not hasattr(mlp, "feature_names_in_")
    mlp.fit([(X, y), (frame, y)], epochs=1)
    assert mlp.feature_names_in_.tolist() == list("abcdef")
    cold = MLP(SIZES, warm_start=False, random_state=0).fit(frame, y, epochs=1)
    other = frame.rename(columns=str.upper)
    assert cold.fit(other, y, epochs=1).feature_names_in_.tolist() == list("ABCDEF")
    assert not hasattr(cold.fit(X, y, epochs=1), "feature_names_in_")
