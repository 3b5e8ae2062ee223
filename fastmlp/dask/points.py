"""Points: the parameters, moments and counts that a round begins from and ends with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp import random_sources
from fastmlp.training import state_dict
from fastmlp.training.state import State


class Point(NamedTuple):
    """What training changes in a `State`, independent of the processor.

    Arrays have the shapes of the public attributes and of files: (n_out, n_in) and (n_out, 1).
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]
    moments: dict[str, list[np.ndarray]]  # by name, of weights, then of biases
    descent: dict[str, Any]  # `OptimizerState.state`
    seen: int  # rows trained on
    key: int  # of dropout and noise
    source: dict[str, Any] | None = None  # the random source, where it goes along
    order: np.ndarray | None = None  # of the last epoch, if it goes on or the next one shuffles it

    @property
    def arrays(self) -> list[np.ndarray]:
        """All arrays."""
        moments = (array for arrays in self.moments.values() for array in arrays)
        return [*self.weights, *self.biases, *moments]

    @property
    def n_bytes(self) -> int:
        """The bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def is_finite(self) -> bool:
        """Whether no parameter and no moment is NaN or infinite."""
        return all(np.isfinite(array).all() for array in self.arrays)


def point_of(state: State, with_source: bool = False) -> Point:
    """Return the point of a state, with copies of its arrays."""
    source = random_sources.copy_of(state.source) if with_source else None
    return Point(**state_dict.training_to_dict(state), source=source)


def put(point: Point, state: State) -> None:
    """Make a point the parameters, moments and counts of a state."""
    state_dict.restore_training(state, point._asdict())


def summed(before: Sequence[np.ndarray] | None, points: Sequence[Point]) -> list[np.ndarray]:
    """Return the sums of the arrays of points, added one after the other to those before them.

    So the bits do not depend on where one sum ends and the next one goes on.
    """
    rest = iter(points)
    if before is None:
        sums = [array.astype(np.float64) for array in next(rest).arrays]
    else:
        sums = [array.copy() for array in before]
    for point in rest:
        for array, more in zip(sums, point.arrays, strict=True):
            with np.errstate(over="ignore"):  # whoever divides checks that all are finite
                array += more
    return sums


def divided(sums: Sequence[np.ndarray], n: int, like: Point) -> Point:
    """Return a point whose arrays are sums divided by n; all else is of the point `like`."""
    means = ((array / n).astype(old.dtype) for array, old in zip(sums, like.arrays, strict=True))
    return like._replace(
        weights=[next(means) for _ in like.weights],
        biases=[next(means) for _ in like.biases],
        moments={name: [next(means) for _ in arrays] for name, arrays in like.moments.items()},
    )
