"""What `weights` and `biases` of a network are to its user (floor 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp import checks


class ParameterViews(Sequence):
    """Each layer's weights (or biases): live views, so that writing to one changes the network.

    ``views[l]`` is an array; ``views[l] = values`` copies values of the same shape into it.
    """

    def __init__(self, name: str, views: list[np.ndarray]):
        self._name, self._views = name, views

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, l: Any) -> Any:
        return self._views[l]

    def __setitem__(self, l: int, values: Any) -> None:
        view = self._views[l]
        view[...] = checks.parameter_values(f"{self._name}[{l}]", values, view.shape)

    def __repr__(self) -> str:
        return repr(self._views)

    def assign(self, values: Sequence[Any]) -> None:
        """Copy an array of the right shape into each view, after a look at all of them."""
        if len(values) != len(self):
            raise ValueError(f"{self._name} has {len(values)} arrays; accepted are {len(self)}")
        checked = [
            checks.parameter_values(f"{self._name}[{l}]", array, view.shape)
            for l, (array, view) in enumerate(zip(values, self._views, strict=True))
        ]
        for view, array in zip(self._views, checked, strict=True):
            view[...] = array
