"""Epochs of training, with their history and their scores on validation data (floor 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from fastmlp.core.gather import SparseRows, rows_of
from fastmlp.core.run import Pace, inputs_of, predict, train_epoch, workers_for
from fastmlp.core.step import Rule, Samples
from fastmlp.core.storage import Network


class Data(NamedTuple):
    """Samples that `checks` has brought into form."""

    X: np.ndarray | SparseRows  # (n_samples, n_in), as `checks.feature_rows` returns it
    labels: np.ndarray  # (n_samples,), int64


def train_epochs(
    network: Network,
    data: Data,
    orders: Iterable[np.ndarray],
    batch_size: int,
    rule: Rule,
    n_threads: int | None,
    history: dict[str, list[float]],
    validation: Data | None = None,
    report: Callable[[int, float], None] | None = None,
) -> Iterator[int]:
    """Train an epoch for each order of the samples, and yield its number, from 1 on, after it.

    Parameters
    ----------
    network : Network
        Its parameters are changed.
    data : Data
    orders : iterable of int arrays
        Rows of X in the order of training, an array for each epoch.
    batch_size : int
    rule : Rule
    n_threads : int or None
        As in `NeuralNet`.
    history : dict of lists
        Overwritten: "loss", and with validation data "validation_loss", "validation_accuracy".
    validation : Data, optional
    report : callable, optional
        See `run.train_epoch`, also for the errors raised.
    """
    n = len(data.X)
    batch_size = min(batch_size, n)
    n_workers = workers_for(n_threads, network, batch_size, n)
    inputs = inputs_of(network, data.X, batch_size)
    most_listed = data.X.most_listed if isinstance(data.X, SparseRows) else 0
    work = network.workspace(batch_size, n_workers, inputs, most_listed)
    rows = rows_of(data.X)
    pace = Pace(network, batch_size)
    network.clear_padding()
    history |= {"loss": []}
    if validation is not None:
        history |= {"validation_loss": [], "validation_accuracy": []}
    for epoch, order in enumerate(orders, 1):
        samples = Samples(
            rows, network.scaling, data.labels, order.astype(np.int64), batch_size, inputs
        )
        history["loss"].append(train_epoch(network, rule, samples, work, pace, report))
        if validation is not None:
            loss, accuracy = scores(network, validation, n_threads)
            history["validation_loss"].append(loss)
            history["validation_accuracy"].append(accuracy)
        yield epoch


def scores(network: Network, data: Data, n_threads: int | None) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy, 0 to 1."""
    probabilities, losses = predict(network, data.X, n_threads, data.labels)
    correct = probabilities.argmax(axis=1) == data.labels
    return float(losses.mean()), float(correct.mean())
