"""The slow reference of training in rounds: `ReferenceMLP` on each shard, and plain means."""

import numpy as np

from helpers.reference_mlp import RandomDraws, ReferenceMLP


def words_of(random_state):
    """Return the two words that a training in rounds draws from a source."""
    return list(np.frombuffer(random_state.bytes(8), "<u4"))


def in_rounds(
    weights, biases, X, y, words, n_shards, factors, *, local_epochs=1, batch_size=32,
    sample_weight=None, input_noise=0.0, dropout=None, shuffle=True, **options,
):  # fmt: skip
    """Train from these parameters; return the reference network after the last round.

    `factors` has the factor of the learning rate of each round, and so their number; a learning
    rate in the options is a number.
    """
    rate = options.pop("learning_rate")
    mean = ReferenceMLP(weights, biases, learning_rate=rate, **options)
    for number, factor in enumerate(factors):
        shards = []
        for shard in range(n_shards):
            net = ReferenceMLP(mean.weights, mean.biases, learning_rate=rate * factor, **options)
            net.states = [dict(state) for state in mean.states]
            net.n_steps, net.n_seen = mean.n_steps, mean.n_seen
            source = np.random.RandomState([*words, number, shard])
            if input_noise > 0 or dropout:
                key = int.from_bytes(source.bytes(8), "little", signed=True)
                net.draws = RandomDraws(key, input_noise, dropout or [0.0] * (len(weights) - 1))
            rows = np.arange(shard, len(X), n_shards)
            for _ in range(local_epochs):
                order = rows[source.permutation(len(rows))] if shuffle else rows
                for start in range(0, len(order), batch_size):
                    batch = order[start : start + batch_size]
                    w = None if sample_weight is None else sample_weight[batch]
                    net.step(X[batch], y[batch], w)
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
    return mean
