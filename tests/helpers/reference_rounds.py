"""The slow reference of training in rounds: `ReferenceMLP` on each shard, and plain means."""

import itertools

import numpy as np

from helpers.reference_mlp import RandomDraws, ReferenceMLP


def words_of(random_state):
    """Return the two words that a training in rounds draws from a source."""
    return list(np.frombuffer(random_state.bytes(8), "<u4"))


def minibatches(rows, batch_size):
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def endless(rows, words, shard, batch_size, shuffle=True, draws=False):
    """Yield the minibatches of `local_steps`, epoch after epoch, of the rows of a shard."""
    for epoch in itertools.count():
        source = np.random.RandomState([*words, epoch, shard])
        if draws:
            source.bytes(8)  # the key of a round
        order = rows[source.permutation(len(rows))] if shuffle else rows
        yield from minibatches(order, batch_size)


def in_rounds(
    weights, biases, X, y, words, n_shards, factors, *, local_epochs=1, local_steps=None,
    batch_size=32, sample_weight=None, input_noise=0.0, dropout=None, shuffle=True, **options,
):  # fmt: skip
    """Train from these parameters; return the reference network after the last round.

    `factors` has the factor of the learning rate of each round, and so their number; a learning
    rate in the options is a number. `losses` of the network are those of rounds.
    """
    rate = options.pop("learning_rate")
    draws = bool(input_noise > 0 or dropout)
    w = np.ones(len(X)) if sample_weight is None else sample_weight
    rows = [np.arange(shard, len(X), n_shards) for shard in range(n_shards)]
    sequences = [
        endless(rows[shard], words, shard, batch_size, shuffle, draws) for shard in range(n_shards)
    ]
    mean = ReferenceMLP(weights, biases, learning_rate=rate, **options)
    for number, factor in enumerate(factors):
        shards, of_last_epochs = [], []
        for shard in range(n_shards):
            net = ReferenceMLP(mean.weights, mean.biases, learning_rate=rate * factor, **options)
            net.states = [dict(state) for state in mean.states]
            net.n_steps, net.n_seen = mean.n_steps, mean.n_seen
            source = np.random.RandomState([*words, number, shard])
            if draws:
                key = int.from_bytes(source.bytes(8), "little", signed=True)
                net.draws = RandomDraws(key, input_noise, dropout or [0.0] * (len(weights) - 1))
            if local_steps is not None:
                epochs = [list(itertools.islice(sequences[shard], local_steps))]
            else:
                n = len(rows[shard])
                orders = (
                    source.permutation(n) if shuffle else range(n) for _ in range(local_epochs)
                )
                epochs = [minibatches(rows[shard][order], batch_size) for order in orders]
            for batches in epochs:
                losses = [(net.step(X[b], y[b], w[b]) * w[b].sum(), w[b].sum()) for b in batches]
            of_last_epochs += losses
            shards.append(net)
        for l in range(len(weights)):
            mean.weights[l] = sum(net.weights[l] for net in shards) / n_shards
            mean.biases[l] = sum(net.biases[l] for net in shards) / n_shards
        mean.states = [
            {name: sum(states[name] for states in each) / n_shards for name in each[0]}
            for each in zip(*(net.states for net in shards), strict=True)
        ]
        mean.n_steps = max(net.n_steps for net in shards)
        mean.n_seen += sum(net.n_seen - mean.n_seen for net in shards)
        mean.losses.append(np.divide(*np.sum(of_last_epochs, axis=0)))
    return mean


def take_mean(mlp, trained):
    """Give a network the mean parameters of others, summed in their order in float64."""
    for kind in ("weights", "biases"):
        for l in range(len(mlp.layers) - 1):
            total = np.zeros_like(getattr(mlp, kind)[l], np.float64)
            for other in trained:
                total = total + getattr(other, kind)[l]
            getattr(mlp, kind)[l] = (total / len(trained)).astype(mlp.dtype)
