"""The sequences `weights` and `biases` of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp.messages import must
from fastmlp.validation import checks


class ParameterViews(Sequence[np.ndarray]):
    """The weights (or biases) of each layer, as views: writing to one changes the network.

    ``views[l]`` is an array; ``views[l] = values`` copies values of the same shape into it.
    """

    def __init__(self, name: str, views: list[np.ndarray]):
        self._name, self._views = name, views

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, l: Any) -> Any:
        return self._views[l]

    def __setitem__(self, l: Any, values: Any) -> None:
        if isinstance(l, slice):
            self._assign(range(len(self))[l], values)
        else:
            self._assign([range(len(self))[l]], [values])

    def __repr__(self) -> str:
        return repr(self._views)

    def assign(self, values: Any) -> None:
        """Copy an array into each view, after checking all of them."""
        self._assign(range(len(self)), values)

    def _assign(self, layers: Sequence[int], values: Any) -> None:
        arrays = checks.listed(self._name, values, "a list of arrays")
        if len(arrays) != len(layers):
            raise ValueError(must(self._name, f"have {len(layers)} arrays", f"{len(arrays)}"))
        # All copies are made before the first is written: values may be views of the parameters.
        copies = [
            checks.parameter_values(f"{self._name}[{l}]", array, self._views[l])
            for l, array in zip(layers, arrays, strict=True)
        ]
        for l, copy in zip(layers, copies, strict=True):
            self._views[l][...] = copy
