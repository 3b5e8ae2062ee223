"""Training in rounds computes what the formulas say, and one shard is `MLP.fit`."""

import numpy as np
import pytest

import fastmlp.dask
from fastmlp import MLP, schedules
from fastmlp.dask import rates
from fastmlp.dask.points import divided, point_of, summed
from helpers import mlp_cases
from helpers.reference_rounds import in_rounds, take_mean, words_of
from helpers.same_bits import assert_same_bits, file_of

SIZES = [6, 9, 7, 3]


def fit(mlp, X, y, **options):
    return fastmlp.dask.fit(mlp, X, y, client=False, **options)


def compare(optimizer, n_shards, *, rounds=3, scale_rate="auto", dropout=0.0, noise=0.0, **options):
    """Compare float64 parameters with the slow reference."""
    X, y = mlp_cases.samples("softmax", SIZES, 67)
    weights, biases = mlp_cases.parameters(SIZES)
    _, rate = mlp_cases.OPTIMIZERS[optimizer]
    source = np.random.RandomState(7)
    mlp = MLP(
        SIZES, optimizer=optimizer, learning_rate=rate, dtype=np.float64, init=weights,
        dropout=dropout, input_noise=noise, random_state=source,
    )  # fmt: skip
    mlp.biases = biases
    copy = np.random.RandomState()
    copy.set_state(source.get_state())
    factor = rates.rate_factor(scale_rate, mlp.optimizer, n_shards)
    reference = in_rounds(
        weights, biases, X, y, words_of(copy), n_shards,
        [rates.factor_of_round(factor, number) for number in range(rounds)],
        batch_size=7, optimizer=optimizer, learning_rate=rate,
        input_noise=noise, dropout=[dropout] * 2 if dropout else None, **options,
    )  # fmt: skip
    fit(mlp, X, y, n_shards=n_shards, rounds=rounds, batch_size=7, scale_rate=scale_rate, **options)
    for mine, theirs in zip(
        [*mlp.weights, *mlp.biases], [*reference.weights, *reference.biases], strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-11)
    assert mlp._state.optimizer.taken == reference.n_steps
    assert mlp._state.rows_seen == reference.n_seen
    np.testing.assert_allclose(mlp.history_["loss"], reference.losses, rtol=1e-9)


@pytest.mark.parametrize("n_shards", [2, 3, 5])
@pytest.mark.parametrize("optimizer", mlp_cases.OPTIMIZERS)
def test_every_optimizer_computes_the_formulas(optimizer, n_shards):
    compare(optimizer, n_shards)


def test_local_epochs():
    compare("adam", 3, local_epochs=3)


@pytest.mark.parametrize("optimizer", mlp_cases.OPTIMIZERS)
@pytest.mark.parametrize("local_steps", [1, 3, 4, 6, 9])  # an epoch of three shards has four
def test_local_steps(optimizer, local_steps):
    compare(optimizer, 3, local_steps=local_steps, rounds=5)


STEPS = pytest.mark.parametrize("local_steps", [None, 3])


@STEPS
@pytest.mark.parametrize("shuffle", [True, False])
def test_shuffling(shuffle, local_steps):
    compare("sgd", 2, shuffle=shuffle, local_steps=local_steps)


@STEPS
def test_a_factor_of_the_rates(local_steps):
    compare("sgd", 2, scale_rate=0.5, rounds=7, local_steps=local_steps)


@STEPS
def test_as_many_shards_as_rows(local_steps):
    compare("momentum", 67, rounds=2, scale_rate=1.0, local_steps=local_steps)


@STEPS
def test_dropout_and_noise_draw_from_the_stream_of_the_shard(local_steps):
    compare("sgd", 3, dropout=0.3, noise=0.1, local_steps=local_steps)


@STEPS
def test_sample_weights_stay_with_their_rows(local_steps):
    weights = np.random.default_rng(3).random(67)
    weights[0::3] = 0  # a whole shard
    compare("adam", 3, sample_weight=weights, local_steps=local_steps)


def test_a_shard_counts_by_its_largest_number_of_steps(make_data):
    X, y = make_data(SIZES, 67)
    ends = [0, 10, 50, 67]  # the largest is neither the first nor the last

    def load(shard):
        rows = slice(ends[shard], ends[shard + 1])
        return X[rows], y[rows]

    mlp = MLP(SIZES, dropout=0.1, random_state=0)
    key = mlp._state.key
    fit(mlp, load, None, n_shards=3, rounds=2, batch_size=10)
    assert mlp._state.optimizer.taken == 2 * 4 and mlp._state.rows_seen == 2 * 67
    assert mlp._state.key == key != 0  # that of the network, not of a shard


def test_the_factor_of_a_network_is_multiplied_and_kept(make_data):
    X, y = make_data(SIZES, 67)
    half, whole = (MLP(SIZES, learning_rate=rate, random_state=0) for rate in (0.02, 0.01))
    half.rate_factor = 0.5
    assert_same_bits(*(fit(net, X, y, rounds=3) for net in (half, whole)))
    assert half.rate_factor == 0.5


# Bits --------------------------------------------------------------------------------------------


def by_hand(mlp, X, y, words, n_shards, rounds, **options):
    """Train a network with plain SGD by `MLP.fit` on each shard, and means in float64."""
    for number in range(rounds):
        trained = []
        for shard in range(n_shards):
            source = np.random.RandomState([*words, number, shard])
            other = MLP(mlp.layers, optimizer="sgd", dtype=mlp.dtype, init=list(mlp.weights),
                        learning_rate=mlp.learning_rate, random_state=source)  # fmt: skip
            other.biases = list(mlp.biases)
            trained.append(other.fit(X[shard::n_shards], y[shard::n_shards], 1, **options))
        take_mean(mlp, trained)
    return mlp


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes, n", [([8, 12, 3], 50), ([784, 1100, 10], 1500)])
def test_each_shard_has_the_bits_of_fit(make_data, dtype, sizes, n):
    X, y = make_data(sizes, n)

    def make():
        return MLP(sizes, optimizer="sgd", learning_rate=0.1, dtype=dtype, random_state=2)

    options = {"batch_size": 200}
    expected = make()
    by_hand(expected, X, y, words_of(expected.random_state), 3, 2, **options)
    found = fit(make(), X, y, n_shards=3, rounds=2, scale_rate=1.0, **options)
    assert_same_bits(expected, found)


def test_the_mean_is_a_sum_in_the_order_of_shards_in_float64(make_mlp):
    points = []
    random = np.random.default_rng(0)
    for _ in range(5):
        mlp = make_mlp()
        for l, weights in enumerate(mlp.weights):
            mlp.weights[l] = weights * 10.0 ** random.integers(-7, 7, weights.shape)
        points.append(point_of(mlp._state))
    of_two = summed(None, points[:2])
    again = [divided(summed(of_two, points[2:]), 5, points[0]) for _ in range(2)]
    assert_same_bits(again[0].arrays, again[1].arrays)  # as the sum of two is not changed
    found = again[0]
    total = np.zeros(points[0].weights[0].shape)
    for point in points:
        total = total + point.weights[0].astype(np.float64)
    assert_same_bits(found.weights[0], (total / 5).astype(np.float32))
    assert not np.array_equal(found.weights[0], np.mean([p.weights[0] for p in points], axis=0))


SOURCES = {
    "int": lambda: 3,
    "RandomState": lambda: np.random.RandomState(3),
    "Generator": lambda: np.random.default_rng(3),
    "Philox": lambda: np.random.Generator(np.random.Philox(3)),
    "None": lambda: None,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "options",
    [{}, {"dropout": 0.2, "input_noise": 0.1, "dtype": np.float64},
     {"optimizer": "adamw", "learning_rate": schedules.Cosine(0.02, 20), "clip_norm": 1.0},
     {"optimizer": "sgd", "l2": 0.01, "l2_per_batch": True, "max_norm": 2.0}],
)  # fmt: skip
def test_one_shard_is_fit(make_data, source, options):
    X, y = make_data([8, 12, 3], 90)
    held_out = X[:20], y[:20]

    def make():
        np.random.seed(11)
        return MLP([8, 12, 3], random_state=SOURCES[source](), **options)

    def position():
        return np.random.get_state()[1].tobytes(), np.random.get_state()[2]

    expected = make().fit(X, y, epochs=6, validation_data=held_out, class_weight="balanced")
    expected_position = position()
    arguments = {"n_shards": 1, "validation_data": held_out, "class_weight": "balanced"}
    found = fit(make(), X, y, rounds=6, **arguments)
    assert file_of(found) == file_of(expected)
    assert position() == expected_position
    found = fit(make(), X, y, rounds=2, local_epochs=3, **arguments)
    found.history_ = expected.history_
    assert file_of(found) == file_of(expected)


def test_one_shard_of_a_large_file_is_fit(tmp_path, make_data):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (24_000, 784))
    assert X.nbytes > 2**26  # beyond a block that is shuffled together
    X[:] = np.random.default_rng(0).random((1, 784), np.float32)
    X[:, 0] = np.arange(24_000) % 7
    y = np.arange(24_000) % 7
    expected = MLP([784, 8, 7], random_state=1).fit(X, y, epochs=2, batch_size=500)
    found = MLP([784, 8, 7], random_state=1)
    fit(found, X, y, n_shards=1, rounds=2, batch_size=500)
    assert_same_bits(expected, found)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_any_number_of_threads(make_data, eight_processors, n_threads):
    X, y = make_data([8, 60, 3], 300)
    found = [
        fit(MLP([8, 60, 3], random_state=0, n_threads=n), X, y, batch_size=64, rounds=3)
        for n in (n_threads, 5)
    ]
    assert_same_bits(*found)


# Rates -------------------------------------------------------------------------------------------


def test_the_factor_is_reached_in_equal_parts():
    factors = [rates.factor_of_round(3.0, number) for number in range(8)]
    steps = np.diff([1.0, *factors])
    assert (
        np.allclose(steps[: rates.WARM_UP], 2 / rates.WARM_UP) and not steps[rates.WARM_UP :].any()
    )
    assert {rates.factor_of_round(1.0, number) for number in range(8)} == {1.0}
