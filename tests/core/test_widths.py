"""Layer widths below, at and above each at which the compiled code changes its behavior."""

import numpy as np
import pytest

from fastmlp import MLP
from fastmlp.core.equations.activations import STRIP
from fastmlp.core.equations.losses import OUTPUTS_TOGETHER
from fastmlp.core.equations.norms import RUNNING_SUMS
from fastmlp.core.equations.product import ROWS_AT_ONCE, TERMS
from fastmlp.core.inputs import nonzeros
from fastmlp.core.machine import processor
from fastmlp.core.storage import GRADIENTS_TOGETHER, Network
from helpers import mlp_cases
from helpers.reference_mlp import RandomDraws
from helpers.sized_cases import assert_all_met, assert_trained, case

CONSTANTS = {
    *(RUNNING_SUMS, STRIP, TERMS, ROWS_AT_ONCE, OUTPUTS_TOGETHER),
    *(nonzeros.INPUTS_TOGETHER, nonzeros.LISTED_TOGETHER),
}
#: Rows of a multiple of 1024 bytes, which get padding, have 128, 256 or 512 units.
WIDTHS = [127, 128, 129, 200, 255, 256, 257, 300, 511, 512, 513, 520, 1023, 1024, 1025, 1100]

pytestmark = pytest.mark.usefixtures("eight_processors")


def at_width(width, i):
    """Return a case in which the inputs, the hidden units or the outputs have this width.

    It has two minibatches, and a last one of a single row.
    """
    shift = WIDTHS.index(width)
    places = [width, 70, 5], [20, width, 5], [20, 70, width], [width, width, 6]
    return case(places[(i + shift) % 4], i, shift, 35, 17)


@pytest.mark.parametrize("i", range(9))
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_with_every_option(width, i):
    assert_trained(at_width(width, i))


def test_the_cases_above_are_complete():
    for constant in CONSTANTS:
        assert {constant - 1, constant, constant + 1} <= set(WIDTHS)
    for width in WIDTHS:
        assert_all_met([at_width(width, i) for i in range(9)])


@pytest.mark.parametrize("i", range(9))
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9, 12, 13, 16, 17, 24, 25, 33, 100])
def test_widths_that_do_not_fill_the_last_vector(width, i):
    """All layers are so narrow; 150 rows are more than are together in losses, 37 an odd number."""
    for place, sizes in enumerate([[width, 20, 5], [20, width, 6], [20, 12, max(width, 2)]]):
        assert_trained(case(sizes, i, width + place, 300, 150), n_threads=(1, 2))
        assert_trained(case(sizes, i, width + place, 70, 37), n_threads=(1,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_the_padding_stays_zero(optimizer, clip_norm, dtype):
    """Of layers of different widths, whose gradients are stored at the same place in turn."""
    sizes = [130, 100, 36, 20, 10, 3]
    X, y = mlp_cases.samples("softmax", sizes, 150)
    given = {"optimizer": optimizer, "clip_norm": clip_norm}
    net = MLP(sizes, dtype=dtype, random_state=0, l2=0.01, **given)
    net.fit(X, y, epochs=3, batch_size=70)
    network = net._state.network
    for array in network.trained:
        assert not any(part.any() for part in network._padding_of(array))


# Clipping ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, slack", [("float32", 1e-5), ("float64", 1e-9)])
@pytest.mark.parametrize("width", [10, 100, 120, 121, *WIDTHS])
def test_an_update_is_as_long_as_clip_norm_and_no_longer(width, dtype, slack):
    sizes, clip_norm = [20, width, width, 5], 0.1
    weights, biases = mlp_cases.parameters(sizes)
    X, y = mlp_cases.samples("softmax", sizes, 32)
    given = {"learning_rate": 1.0, "clip_norm": clip_norm}
    net = mlp_cases.mlp(weights, biases, given, dtype=dtype, n_threads=1)
    before = [np.array(p, np.float64) for p in [*net.weights, *net.biases]]
    net.fit(X, y, epochs=1, batch_size=32)
    after = [*net.weights, *net.biases]
    squares = [((a - b) ** 2).sum() for a, b in zip(before, after, strict=True)]
    assert np.sqrt(sum(squares)) == pytest.approx(clip_norm, rel=1e-4)
    assert np.sqrt(sum(squares)) <= clip_norm * (1 + slack)


# Gradients kept for their update -----------------------------------------------------------------


@pytest.mark.parametrize("i", range(9))
@pytest.mark.parametrize(
    "sizes",
    [
        *([n_in, 64, 3] for n_in in (248, 256, 257, 264, 521)),  # 256 rows of 64 weights, float64
        *([n_in, 56, 3] for n_in in (288, 289, 297)),  # 36 blocks of 8 rows of 56
        *([17, n_out, 3] for n_out in (2040, 2048, 2049)),  # a single block has as many or more
    ],
    ids=str,
)
def test_layers_around_the_weights_whose_gradients_are_kept_together(sizes, i):
    assert_trained(case(sizes, i, sum(sizes), 13, 12))


def test_where_the_sizes_above_cross_what_is_kept_together():
    assert GRADIENTS_TOGETHER == 256 * 64 == 8 * 2048
    assert 36 * 8 * 56 < GRADIENTS_TOGETHER < 37 * 8 * 56


# Row strides -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_lie_apart_and_begin_on_cache_lines(dtype):
    """Rows a multiple of 1024 bytes apart would map to the same cache sets."""
    n_bytes, moved = np.dtype(dtype).itemsize, 0
    for width in range(1, 1200):
        layer = Network([width, width], 0, np.dtype(dtype)).workspace(1, 1).forward.layers[0]
        for padded, stride in (("padded_in", "stride_in"), ("padded_out", "stride_out")):
            assert width <= layer[padded] <= layer[stride]
            assert layer[stride] * n_bytes % 1024 != 0
            assert layer[padded] * n_bytes % (processor.LANES * 4) == 0
            moved += layer[padded] < layer[stride]
    assert moved > 0


# Dropout and noise -------------------------------------------------------------------------------


@pytest.mark.parametrize("i", [1, 2, 4])  # dropout, noise, both
@pytest.mark.parametrize("before", [2**32 - 35, 2**32 - 17, 2**32 - 5, 2**32, 2**33 - 1])
def test_rows_around_a_counter_of_32_bits(i, before):
    """The whole path from a fit to `drop` counts rows in 64 bits."""
    assert_trained(case([20, 129, 200, 3], i, 0, 35, 17), seen=before)


def test_rows_beyond_a_counter_of_32_bits_draw_what_no_others_do():
    draws = RandomDraws(12345, 0.0, [0.5])
    near, far = draws.mask(0, [3], 200), draws.mask(0, [2**32 + 3], 200)
    assert 60 < (near != far).sum() < 140
