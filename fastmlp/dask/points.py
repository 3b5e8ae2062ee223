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
    found = state_dict.to_dict(state)
    source = random_sources.copy_of(state.source) if with_source else None
    return Point(*(found[name] for name in Point._fields[:-1]), source)


def put(point: Point, state: State) -> None:
    """Make a point the parameters, moments and counts of a state."""
    state_dict.restore_training(state, point._asdict())


def mean(points: Sequence[Point]) -> Point:
    """Return the mean of points: each sum in their order, in float64.

    Steps are those of the point with the most, the first one of several.
    """
    first = points[0]
    last = max(points, key=lambda point: point.descent["taken"])
    return first._replace(
        weights=[_mean(arrays) for arrays in zip(*(p.weights for p in points), strict=True)],
        biases=[_mean(arrays) for arrays in zip(*(p.biases for p in points), strict=True)],
        moments={
            name: [_mean(arrays) for arrays in zip(*(p.moments[name] for p in points), strict=True)]
            for name in first.moments
        },
        descent=last.descent,
    )


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    total = arrays[0].astype(np.float64)
    for array in arrays[1:]:
        total += array
    total /= len(arrays)
    return total.astype(arrays[0].dtype)
