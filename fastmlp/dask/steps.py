"""What a round trains on: epochs of a shard, or minibatches of the endless sequence of them.

With `local_steps`, round r has the minibatches from r * `local_steps` on: slices of the orders of
epochs. A shard keeps the order of the epoch that it is in; another worker draws it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp.dask.file_rows import in_memory
from fastmlp.training.data import FitData
from fastmlp.training.sources import Epoch
from fastmlp.training.state import State


def rows_before(step: int, n: int, batch_size: int) -> int:
    """Return how many rows come before a minibatch, if an epoch has n rows.

    Minibatches are counted from 0 over all epochs, and the last one of an epoch may be smaller.
    """
    epochs, steps = divmod(step, -(-n // batch_size))
    return epochs * n + steps * batch_size


class Epochs(FitData):
    """The samples of a shard; rows in a file are read in blocks."""

    def epoch(self, source: Any) -> Epoch:
        """Return the samples of an epoch, in an order drawn from `source`."""
        return in_memory(super().epoch(source), self.batch_size)


class Drawn(NamedTuple):
    """The order of an epoch."""

    origin: Any  # that of `Steps`
    epoch: int
    order: np.ndarray  # (n_samples,)


class Steps(FitData):
    """Minibatches that follow each other in the epochs of a shard, as one epoch.

    Parameters
    ----------
    state, batch_size, shuffle
        See `FitData`.
    first, n : int
        The number of the first minibatch, counted over all epochs, and how many are trained on.
    origin : object
        What all orders depend on besides the number of the epoch.
    source_of : callable
        Returns the source that the order of an epoch, of this number, is drawn from.
    drawn : Drawn or None
        The order of an epoch, if one is known.

    Attributes
    ----------
    drawn : Drawn
        The order of the last epoch that was begun.
    """

    def __init__(
        self,
        state: State,
        batch_size: int,
        shuffle: bool | str,
        first: int,
        n: int,
        origin: Any,
        source_of: Callable[[int], Any],
        drawn: Drawn | None,
    ):
        super().__init__(state, batch_size, shuffle, continues=True)
        self.first, self.n, self.origin, self.source_of = first, n, origin, source_of
        self.drawn = drawn
        self._n_rows, self._weight = 0, 0.0

    def epoch(self, source: Any) -> Epoch:
        """Return the minibatches, those of each epoch together."""
        return in_memory(self._minibatches(), self.batch_size)

    def _minibatches(self) -> Epoch:
        data, size = self.weighted, self.batch_size
        assert data is not None
        in_epoch = -(-len(data.X) // size)
        step, end = self.first, self.first + self.n
        while step < end:
            epoch, start = divmod(step, in_epoch)
            stop = min(in_epoch, start + end - step)
            rows = self._order(epoch)[start * size : stop * size]
            self._n_rows += len(rows)
            self._weight = data.weight_of(rows, self._weight)
            yield data, rows
            step += stop - start

    def _order(self, epoch: int) -> np.ndarray:
        if self.drawn is None or self.drawn[:2] != (self.origin, epoch):
            blocks = super().epoch(self.source_of(epoch))
            order = np.concatenate([rows for _, rows in blocks])
            self.drawn = Drawn(self.origin, epoch, order)
        return self.drawn.order

    @property
    def weight(self) -> float:
        """What the sum of the losses was divided by; 0 if no sample has a weight."""
        if self._weight > 0 and self.reader.state.settings.l2_per_batch:
            return float(self._n_rows)  # the losses are means of minibatches
        return self._weight
