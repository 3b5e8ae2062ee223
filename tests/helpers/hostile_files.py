"""Load files with invalid contents, and find each sentence of refusal."""

import io

import numpy as np
import pytest

import fastmlp
from helpers.messages import assert_form
from helpers.model_files import DELETED

NAN, INF = float("nan"), float("inf")
DATA = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 3
NO_COUNTS = (-1, 1.5, 2.0, NAN, INF, 2**63, 10**39, True, "3", None, [3], {}, DELETED)
NO_RATES = (-1, -0.5, NAN, INF, "1", None, True, [1.0], DELETED)
NO_LAYERS = (
    [], [5], [5, 4], [5, 4, 3, 1], [60000, 60000, 3], [5, 4.0, 3], [5, True, 3], [5, "4", 3],
    [5, 0, 3], [5, -4, 3], [4, 5, 3], [2**31, 4, 3], [10**30, 4, 3], "543", 5, None, {},
    [[5, 4, 3]], DELETED,
)  # fmt: skip


def load(content):
    return fastmlp.load(io.BytesIO(content))


def refused(content, message=""):
    with pytest.raises(ValueError) as caught:
        load(content)
    text = str(caught.value)
    assert message in assert_form(text)
    assert text.startswith("`path` must be a network saved by fastmlp, got ")
    assert not isinstance(caught.value, UnicodeError)


def arrays_like(array, kind):
    wrong = [
        np.full_like(array, NAN), np.full_like(array, INF), -np.full_like(array, INF),
        array.astype(np.float64), array.astype(np.float16), array.astype(np.complex64),
        array.astype(np.int32), array.astype("U8"), array.reshape(-1), array.T, array[:-1],
        np.float32(1), array[None],
    ]  # fmt: skip
    return [*wrong, -np.ones_like(array)] if kind == "moments_second" else wrong
