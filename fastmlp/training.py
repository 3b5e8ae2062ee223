"""Epochs of training: what they go through, what is measured, and who is told (floor 4)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastmlp.core.descent import Descent
from fastmlp.core.gather import SparseRows, rows_of
from fastmlp.core.lists import DENSE, SPARSE
from fastmlp.core.losses import SOFTMAX, Loss, Targets
from fastmlp.core.run import Diverged, NotFinite, Pace, inputs_of, predict, train_epoch, workers_for
from fastmlp.core.step import Draws, Samples
from fastmlp.core.storage import Network, Workspace
from fastmlp.metrics import METRICS, Metric
from fastmlp.targets import as_scored


class DivergenceWarning(RuntimeWarning):
    """Training stopped because the loss, or a weight, was NaN or infinity."""


class Data(NamedTuple):
    """Samples that `checks` has brought into form."""

    X: np.ndarray | SparseRows  # (n_samples, n_in), as `checks.feature_rows` returns it
    targets: Targets

    def weight_of(self, rows: np.ndarray, before: float) -> float:
        """Return `before` plus these samples' weights, each 1 where none are given, one by one.

        So the sum does not depend on where an epoch is cut.
        """
        weights = self.targets.weights
        if len(weights) == 0:
            return before + len(rows)
        return float(np.add.accumulate(np.append(before, weights[rows]))[-1])


class Room(NamedTuple):
    """A workspace, and the minibatches that it has room for."""

    work: Workspace
    inputs: int  # how the first layer reads them: a code of `lists`
    batch_size: int
    most_listed: int  # in a row, where they are sparse


#: One epoch: samples, and the order in which their rows are trained on, one or several times.
Epoch = Iterator[tuple[Data, np.ndarray]]


@dataclass
class State:
    """What training changes."""

    network: Network
    descent: Descent
    loss: Loss
    key: int = 0  # of what is drawn for dropout and input noise
    input_noise: float = 0.0
    seen: int = 0  # rows that were trained on

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the parameters and the moments."""
        return self.network.parameters, self.descent.first, self.descent.second

    @property
    def is_plain(self) -> bool:
        """Whether predictions are probabilities, from nothing but identity and relu."""
        return self.loss == (SOFTMAX, 0.0) and self.network.is_simple

    def outputs(
        self, X: np.ndarray | SparseRows, n_threads: int | None, targets: Targets | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the means that are predicted for the rows of X, and their losses."""
        return predict(self.network, X, None if self.is_plain else self.loss, n_threads, targets)

    def moments(self) -> dict[str, np.ndarray]:
        """Return the moments that the update rule has, laid out as the parameters."""
        both = {"first": self.descent.first, "second": self.descent.second}
        return {name: flat for name, flat in both.items() if len(flat) > 0}

    def forget(self) -> None:
        """Be as before the first step."""
        self.descent.first[...] = self.descent.second[...] = 0
        self.descent.state, self.seen = self.descent.START, 0

    def copy(self) -> Callable[[], None]:
        """Return a function that puts everything back as it is now."""
        copies, state = [a.copy() for a in self.arrays()], self.descent.state
        seen, key = self.seen, self.key

        def restore() -> None:
            for array, copy in zip(self.arrays(), copies, strict=True):
                array[...] = copy
            self.descent.state, self.seen, self.key = state, seen, key

        return restore

    @property
    def is_finite(self) -> bool:
        """Whether no parameter is NaN or infinity."""
        return bool(np.isfinite(self.network.parameters).all())


class Training:
    """One call of fit.

    Parameters
    ----------
    state : State
        Changed.
    batch_size : int
    n_threads : int or None
        As in `NeuralNet`.
    history : dict of lists
        Each epoch appends "loss" and the scores.
    validation : Data, optional
        Scored after every epoch as "validation_loss" and "validation_" and each metric's name.
    scored : Data, optional
        Likewise, without "validation_" and without the loss.
    metrics : list of Metric
    report : callable, optional
        See `run.train_epoch`.
    """

    def __init__(
        self,
        state: State,
        batch_size: int,
        n_threads: int | None,
        history: dict[str, list[float]],
        validation: Data | None = None,
        scored: Data | None = None,
        metrics: Sequence[Metric] = (),
        report: Callable[[int, float], None] | None = None,
    ):
        self.state, self.batch_size, self.n_threads = state, batch_size, n_threads
        self.history, self.metrics, self.report = history, metrics, report
        self.validation, self.scored = validation, scored
        self._pace = Pace(state.network, batch_size)
        self._room: Room | None = None
        history.setdefault("loss", [])
        state.network.clear_padding()

    def epoch(self, blocks: Epoch) -> bool:
        """Train on all blocks of samples once, and score; return whether to go on.

        Where the loss is not finite, warn, and leave the last parameters that were.
        """
        restore, loss, total, done = self.state.copy(), 0.0, 0.0, 0
        diverged = False
        try:
            for data, order in blocks:
                loss = self._train(data, order, done, loss)
                total = data.weight_of(order, total)
                done += len(order)
        except Diverged:
            diverged = True
        if not self.state.is_finite:
            diverged = True
            restore()
        if diverged:
            warnings.warn(
                "training has stopped, for the loss was NaN or infinity: a smaller learning_rate, "
                "scaled inputs or clip_norm may help; the weights are the last finite ones",
                DivergenceWarning,
                stacklevel=6,
            )
            return False
        self._record("loss", loss / total if total > 0 else 0.0)
        self._score()
        return True

    def _train(self, data: Data, order: np.ndarray, done: int, loss: float) -> float:
        """Train on one block; return `loss` plus its losses."""
        state, room = self.state, self._room_for(data)
        plain = state.is_plain and state.descent.is_plain and state.input_noise == 0
        samples = Samples(
            rows_of(data.X),
            state.network.scaling,
            data.targets,
            None if plain else state.loss,
            None if plain else Draws(state.key, state.seen, state.input_noise),
            order.astype(np.int64),
            min(self.batch_size, len(order)),
            room.inputs,
        )

        def report(rows: int, total: float) -> None:
            if self.report is not None:
                self.report(done + rows, total)

        loss = train_epoch(
            state.network, state.descent, samples, room.work, self._pace, report, loss
        )
        state.seen += len(order)
        return loss

    def _room_for(self, data: Data) -> Room:
        """Return room for minibatches of `data`, that of the last block where it suffices."""
        network, X, old = self.state.network, data.X, self._room
        batch_size, sparse = min(self.batch_size, len(X)), isinstance(X, SparseRows)
        most_listed = X.most_listed if isinstance(X, SparseRows) else 0
        suffices = old is not None and (
            sparse == (old.inputs == SPARSE)
            and batch_size <= old.batch_size
            and most_listed <= old.most_listed
        )
        if old is None or not suffices:
            noisy = self.state.input_noise > 0  # noise fills X
            inputs = DENSE if noisy else inputs_of(network, X, batch_size)
            n_workers = workers_for(self.n_threads, network, batch_size, len(X))
            work = network.workspace(batch_size, n_workers, inputs, most_listed)
            self._room = old = Room(work, inputs, batch_size, most_listed)
        return old

    def try_metrics(self) -> None:
        """Call the user's own metrics on what will be scored: one that fails costs no epoch."""
        own = [metric for metric in self.metrics if metric not in METRICS.values()]
        data = self.scored if self.validation is None else self.validation
        if own and data is not None:
            self._evaluate(data, own)

    def _evaluate(self, data: Data, metrics: Sequence[Metric]) -> tuple[float, dict[str, float]]:
        try:
            return evaluate(self.state, data, metrics, self.n_threads)
        except NotFinite as error:  # as scaled: the numbers themselves were looked at
            name = error.name if data is self.scored else "validation_data[0]"
            raise NotFinite(error.row, name) from None

    def _score(self) -> None:
        if self.validation is not None:
            loss, scores = self._evaluate(self.validation, self.metrics)
            self._record("validation_loss", loss)
            for name, score in scores.items():
                self._record(f"validation_{name}", score)
        if self.scored is not None:
            _, scores = self._evaluate(self.scored, self.metrics)
            for name, score in scores.items():
                self._record(name, score)

    def _record(self, name: str, value: float) -> None:
        self.history.setdefault(name, []).append(value)


def evaluate(
    state: State, data: Data, metrics: Sequence[Metric], n_threads: int | None
) -> tuple[float, dict[str, float]]:
    """Return the mean loss, weighted by the samples' weights, and the value of each metric."""
    outputs, losses = state.outputs(data.X, n_threads, data.targets)
    scored = as_scored(data.targets, outputs)
    scores = {metric.name: metric(*scored) for metric in metrics}
    return float(np.average(losses, weights=scored[-1])), scores
