"""Random numbers in the order in which scikit-learn draws them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastmlp.random_sources import is_at, lock_of, random_position, return_to_position


def initial_parameters(
    sizes: Sequence[int], activation: Any, source: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the weights (n_in, n_out) and the biases (n_out,) of each layer, float64.

    Both are uniform within ``sqrt(6 / (n_in + n_out))``, or ``sqrt(2 / (n_in + n_out))`` for the
    logistic activation (Glorot and Bengio, Understanding the difficulty of training deep
    feedforward neural networks, 2010, section 4.2.1).
    """
    factor = 2.0 if isinstance(activation, str) and activation == "logistic" else 6.0
    drawn = []
    for n_in, n_out in itertools.pairwise(sizes):
        bound = np.sqrt(factor / (n_in + n_out))
        weights = source.uniform(-bound, bound, (n_in, n_out))
        drawn.append((weights, source.uniform(-bound, bound, n_out)))
    return drawn


def split(
    n: int, source: np.random.RandomState, fraction: float, stratify: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which of n samples are trained on and which are held out.

    Raises
    ------
    ValueError
        If fewer than two samples are held out, or if a class has too few samples.
    """
    rows, held_out = train_test_split(
        np.arange(n), random_state=source, test_size=fraction, stratify=stratify
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return rows, held_out


class Orders:
    """The orders of the epochs: each shuffles that of the epoch before.

    Parameters
    ----------
    n : int
        The number of samples.
    rows : array of int or None
        Which of them are trained on, in their first order; None for all.
    shuffles : bool
        If not, all orders are the first.
    source : RandomState
    """

    def __init__(
        self, n: int, rows: np.ndarray | None, shuffles: bool, source: np.random.RandomState
    ):
        self._order = np.arange(n) if rows is None else rows
        self._shuffles, self._source = shuffles, source
        self._ahead: list[np.ndarray] = []  # drawn, but not used yet
        self._used = 0  # of the orders that were drawn ahead

    def __call__(self) -> np.ndarray:
        """Return the rows of the next epoch."""
        if not self._ahead:
            return self._next()
        self._used += 1
        return self._ahead.pop(0)

    @property
    def last(self) -> np.ndarray:
        """The rows of the last epoch that was drawn."""
        return self._order

    def _next(self) -> np.ndarray:
        if self._shuffles:
            self._order = self._order[self._source.permutation(len(self._order))]
        return self._order

    def ahead(self, n: int) -> list[np.ndarray]:
        """Return the rows of the next n epochs, all of the former having been used."""
        self._began, self._used = random_position(self._source), 0
        self._ahead = [self._next() for _ in range(n)]
        return list(self._ahead)

    def give_back(self) -> None:
        """Undo the draws of unused orders, unless others have drawn from the source since."""
        unused, self._ahead = len(self._ahead), []
        if unused == 0 or not self._shuffles:
            return
        replay = copy.deepcopy(self._source)
        return_to_position(replay, self._began)
        after_used, after_all = (self._position_after(replay, n) for n in (self._used, unused))
        with lock_of(self._source):
            if is_at(self._source, after_all):
                return_to_position(self._source, after_used)

    def _position_after(self, source: np.random.RandomState, n: int) -> Any:
        """Return the position of a source after drawing n orders."""
        for _ in range(n):
            source.permutation(len(self._order))
        return random_position(source)
