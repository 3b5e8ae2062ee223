"""Properties of any network and any data, for which hypothesis seeks counterexamples.

Some hold to the last bit. Where that involves sums, it takes numbers whose sums are
exact: small integers, rates and sums of weights that are powers of two, and no activation.
"""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import mlp_cases
from helpers.mlp_cases import ACTIVATIONS, LOSSES, OPTIMIZERS
from helpers.same_bits import assert_same_bits

# The same examples on every run of CI; elsewhere new ones, with failures kept.
settings.register_profile("here", max_examples=60, deadline=None)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "here")

WIDTHS = st.lists(st.integers(1, 20), min_size=1, max_size=3)
SEEDS = st.integers(0, 2**16)


@st.composite
def nets(draw, optimizers=tuple(OPTIMIZERS)):
    """Return the sizes, the settings of a net, and a seed."""
    loss = draw(st.sampled_from(list(LOSSES)))
    widths = draw(WIDTHS)
    n_out = draw(st.integers(2 if loss == "softmax" else 1, 6))
    return (
        [*widths, n_out],
        mlp_cases.settings(
            draw(st.sampled_from(optimizers)),
            activation=draw(st.sampled_from(ACTIVATIONS)),
            loss=loss,
            l2=draw(st.sampled_from([0.0, 0.1])),
            clip_norm=draw(st.sampled_from([None, 0.5])),
        ),
        draw(SEEDS),
    )


def build(sizes, settings, seed, **others):
    weights, biases = mlp_cases.parameters(sizes, seed)
    return mlp_cases.mlp(weights, biases, settings, n_threads=1, **others)


def one_step(net, X, y, **weights):
    return net.fit(X, y, epochs=1, batch_size=len(X), shuffle=False, **weights)


# Adaptive optimizers scale up gradients that consist of rounding errors alone.
PLAIN = ("sgd", "momentum", "nesterov")


@given(nets(PLAIN), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_order_within_a_batch_is_a_matter_of_rounding(net, n, random):
    sizes, options, seed = net
    X, y = mlp_cases.samples(options["loss"], sizes, n, seed)
    order = random.sample(range(n), n)
    one, other = build(*net), build(*net)
    one_step(one, X, y)
    one_step(other, X[order], y[order])
    mlp_cases.assert_close(one, other, 1e-12)
    assert one.history_["loss"] == pytest.approx(other.history_["loss"], rel=1e-12)


@given(nets(PLAIN), st.lists(st.integers(1, 4), min_size=1, max_size=20))
def test_a_weight_of_k_is_a_sample_k_times(net, counts):
    sizes, options, seed = net
    X, y = mlp_cases.samples(options["loss"], sizes, len(counts), seed)
    weighted, repeated = build(*net), build(*net)
    one_step(weighted, X, y, sample_weight=counts)
    one_step(repeated, np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
    mlp_cases.assert_close(weighted, repeated, 1e-12)
    assert weighted.history_["loss"] == pytest.approx(repeated.history_["loss"], rel=1e-12)


@st.composite
def exact_training(draw):
    """Return a linear net of integers, its data, and weights that sum to a power of two."""
    n_in, n_out = draw(st.integers(1, 20)), draw(st.sampled_from([1, 2, 4, 8]))
    n_hidden = draw(st.lists(st.integers(1, 9), max_size=1))
    random = np.random.default_rng(draw(SEEDS))
    sizes = [n_in, *n_hidden, n_out]
    weights = [
        random.integers(-2, 3, (b, a)).astype(float)
        for a, b in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    biases = [random.integers(-2, 3, (n, 1)).astype(float) for n in sizes[1:]]
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    whole = 1 << max(sum(counts), 1).bit_length()
    counts.append(whole - sum(counts))
    X = random.integers(-2, 3, (len(counts), n_in)).astype(float)
    y = random.integers(-2, 3, (len(counts), n_out)).astype(float)
    return weights, biases, X, y, np.array(counts)


def exact_net(weights, biases, dtype):
    given = {"loss": "squared_error", "activation": "identity", "learning_rate": 2.0**-3}
    return mlp_cases.mlp(weights, biases, given, dtype=dtype, n_threads=1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(training=exact_training(), random=st.randoms(use_true_random=False))
def test_exact_sums_have_the_same_bits_in_any_order(dtype, training, random):
    weights, biases, X, y, counts = training
    order = random.sample(range(len(X)), len(X))
    one, other = (exact_net(weights, biases, dtype) for _ in range(2))
    one_step(one, X, y, sample_weight=counts)
    one_step(other, X[order], y[order], sample_weight=counts[order])
    assert_same_bits(one, other)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(training=exact_training())
def test_a_weight_of_k_is_a_sample_k_times_to_the_last_bit(dtype, training):
    weights, biases, X, y, counts = training
    weighted, doubled, repeated = (exact_net(weights, biases, dtype) for _ in range(3))
    one_step(weighted, X, y, sample_weight=counts)
    one_step(doubled, X, y, sample_weight=2 * counts)
    one_step(repeated, np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
    assert_same_bits(weighted, repeated)
    assert_same_bits(weighted, doubled)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(training=exact_training())
def test_a_weight_of_zero_leaves_a_sample_out_to_the_last_bit(dtype, training):
    weights, biases, X, y, counts = training
    weighted, without = (exact_net(weights, biases, dtype) for _ in range(2))
    one_step(weighted, X, y, sample_weight=counts)
    kept = counts > 0
    one_step(without, X[kept], y[kept], sample_weight=counts[kept])
    assert_same_bits(weighted, without)


@given(nets(PLAIN), st.lists(st.booleans(), min_size=2, max_size=30).filter(any))
def test_a_weight_of_zero_leaves_a_sample_out(net, kept):
    sizes, options, seed = net
    X, y = mlp_cases.samples(options["loss"], sizes, len(kept), seed)
    weight = np.random.default_rng(seed).uniform(0.5, 2, len(kept)) * kept
    weighted, without = build(*net), build(*net)
    one_step(weighted, X, y, sample_weight=weight)
    one_step(without, X[kept], y[kept], sample_weight=weight[kept])
    mlp_cases.assert_close(weighted, without, 1e-12)
    assert weighted.history_["loss"] == pytest.approx(without.history_["loss"], rel=1e-12)


@given(
    nets(),
    st.integers(1, 40),
    st.integers(1, 15),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([0.0, 0.2]),
    st.booleans(),
)
def test_epochs_may_be_split(net, n, batch_size, dropout, input_noise, with_schedule):
    from fastmlp.schedules import Cosine

    sizes, options, seed = net
    X, y = mlp_cases.samples(options["loss"], sizes, n, seed)
    rate = 1e-3  # with a larger one, the exponentials of the Poisson loss may overflow
    schedule = Cosine(rate, 2 * -(-n // batch_size))
    options = {**options, "learning_rate": schedule if with_schedule else rate}
    others = {"dropout": dropout, "input_noise": input_noise, "random_state": seed}
    whole, halves = build(sizes, options, seed, **others), build(sizes, options, seed, **others)
    whole.fit(X, y, epochs=2, batch_size=batch_size)
    losses = []
    for _ in range(2):
        halves.fit(X, y, epochs=1, batch_size=batch_size)
        losses += halves.history_["loss"]
    assert_same_bits(whole, halves)
    assert whole.history_["loss"] == losses


@given(
    st.sampled_from(list(OPTIMIZERS)),
    SEEDS,
    st.lists(st.sampled_from([0.25, 0.5, 1.0, 3.7]), min_size=4, max_size=4),
    st.booleans(),
)
def test_class_weight_is_the_weight_of_the_samples_of_a_class(optimizer, seed, of_class, both):
    sizes, options = [5, 7, 4], mlp_cases.settings(optimizer, activation="tanh")
    X, y = mlp_cases.samples("softmax", sizes, 30, seed)
    of_sample = np.random.default_rng(seed).uniform(0.5, 2, 30) if both else None
    by_class, by_sample = build(sizes, options, seed), build(sizes, options, seed)
    order = {"epochs": 1, "batch_size": 8, "shuffle": False}
    class_weight = dict(enumerate(of_class))
    by_class.fit(X, y, **order, sample_weight=of_sample, class_weight=class_weight)
    weight = np.array(of_class)[y] * (of_sample if both else 1.0)
    by_sample.fit(X, y, **order, sample_weight=weight)
    assert_same_bits(by_class, by_sample)
    assert by_class.history_ == by_sample.history_
