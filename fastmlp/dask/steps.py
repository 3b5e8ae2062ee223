"""Rounds of `local_steps`: minibatches of the endless sequence of epochs of a shard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.training.data import FitData
from fastmlp.training.sources import Epoch
from fastmlp.training.state import State


def rows_before(step: int, n: int, batch_size: int) -> int:
    """Return how many rows come before a minibatch, if an epoch has n rows.

    Minibatches are counted from 0 over all epochs, and the last one of an epoch may be smaller.
    """
    epochs, steps = divmod(step, -(-n // batch_size))
    return epochs * n + steps * batch_size


class Steps(FitData):
    """Minibatches that follow each other in the epochs of a shard, as one epoch.

    Parameters
    ----------
    state, batch_size, shuffle
        See `FitData`.
    first, n : int
        The number of the first minibatch, counted over all epochs, and how many are trained on.
    source_of : callable
        Returns what the order of an epoch, of this number, is drawn from.
    last : array or None
        The order of the epoch of the first minibatch; if it is None, or an epoch begins with this
        minibatch, it is drawn.

    Attributes
    ----------
    last : array (n_samples,)
        The order of the last epoch that was begun.
    """

    def __init__(
        self,
        state: State,
        batch_size: int,
        shuffle: bool | str,
        first: int,
        n: int,
        source_of: Callable[[int], Any],
        last: np.ndarray | None = None,
    ):
        super().__init__(state, batch_size, shuffle, continues=True)
        self.first, self.n, self.source_of, self.last = first, n, source_of, last
        self._n_rows, self._weight = 0, 0.0

    def epoch(self, source: Any) -> Epoch:
        """Return the minibatches, those of each epoch together."""
        data, size = self.weighted, self.batch_size
        assert data is not None
        in_epoch = -(-len(data.X) // size)
        step, end = self.first, self.first + self.n
        while step < end:
            epoch, start = divmod(step, in_epoch)
            stop = min(in_epoch, start + end - step)
            if start == 0 or self.last is None:
                blocks = super().epoch(self.source_of(epoch))
                self.last = np.concatenate([rows for _, rows in blocks])
            rows = self.last[start * size : stop * size]
            self._n_rows += len(rows)
            self._weight = data.weight_of(rows, self._weight)
            yield data, rows
            step += stop - start

    @property
    def weight(self) -> float:
        """What the sum of the losses was divided by; 0 if no sample has a weight."""
        if self._weight > 0 and self.reader.state.settings.l2_per_batch:
            return float(self._n_rows)  # the losses are means of minibatches
        return self._weight
