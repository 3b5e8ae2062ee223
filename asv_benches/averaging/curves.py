"""Scores by epoch, for each number of shards."""

import functools
from typing import NamedTuple

import numpy as np
from problems import problem

import fastmlp.dask
from fastmlp import MLP

SHARDS = (1, 2, 4, 8, 16)
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam")  # AdamW: as Adam
RATES = ("auto", "unchanged")
BATCH_SIZE = 32


class Case(NamedTuple):
    """What differs between curves."""

    problem: str
    optimizer: str
    shards: int
    rate: str  # one of `RATES`


def cases(problems, optimizers):
    """Return all cases; one shard has one, because its rate does not change."""
    return [
        Case(name, optimizer, shards, rate)
        for name in problems
        for optimizer in optimizers
        for shards in SHARDS
        for rate in (RATES if shards > 1 else RATES[:1])
    ]


def curve(case, seed, epochs, folder):
    """Return the score of the test samples after each epoch, at the optimizer's default rate."""
    found = problem(case.problem, seed, folder)
    mlp = MLP(found.layers, optimizer=case.optimizer, random_state=seed, **found.options)
    fastmlp.dask.fit(
        mlp, found.X, found.y, client=False, n_shards=case.shards, rounds=epochs,
        batch_size=BATCH_SIZE, scale_rate="auto" if case.rate == "auto" else 1.0,
        validation_data=(found.X_test, found.y_test), metrics=found.metric,
    )  # fmt: skip
    return mlp.history_[f"validation_{found.metric}"]


def curves(chosen, seeds, epochs, folder, tell):
    """Return the mean curve over the seeds of each case."""
    results = {}
    for case in chosen:
        run = functools.partial(curve, case, epochs=epochs, folder=folder)
        results[case] = np.mean([run(seed) for seed in range(seeds)], axis=0)
        tell(f"{', '.join(map(str, case))}: {results[case][-1]:.4f}")
    return results
