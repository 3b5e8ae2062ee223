"""The network behind an estimator, whose parameters are the arrays in its attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmlp.core.inputs.gather import SparseRows
from fastmlp.settings import Settings
from fastmlp.training.epoch import Trainer
from fastmlp.training.state import State
from fastmlp.validation import checks


class TiedState:
    """A `State` whose parameters are the arrays in `coefs_` and `intercepts_` of an estimator.

    Parameters
    ----------
    settings : Settings
    random : RandomState or None
        The source of random numbers.

    Attributes
    ----------
    state : State
    coefs, intercepts : lists of arrays
        Views of shape (n_in, n_out) and (n_out,) for each layer.
    trainer : Trainer or None
        Of the last `partial_fit`, with its workspace.
    key : tuple
        What the settings depend on, see `parameters.key_of`.
    """

    trainer: Trainer | None = None
    key: tuple[Any, ...] = ()

    def __init__(self, settings: Settings, random: Any = None):
        self.state = State(settings, random)
        self.coefs = [weights.T for weights in self.state.network.weights]
        self.intercepts = [biases[:, 0] for biases in self.state.network.biases]

    def is_of(self, coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> bool:
        """Whether these are the views, so that there is nothing to copy."""
        return (
            len(coefs) == len(self.coefs)
            and all(map(_is_same, coefs, self.coefs))
            and len(intercepts) == len(self.intercepts)
            and all(map(_is_same, intercepts, self.intercepts))
        )

    def take(self, coefs: list[Any], intercepts: list[Any]) -> None:
        """Copy these parameters; ValueError or TypeError if they do not fit."""
        for name, views, values in (
            ("coefs_", self.coefs, coefs),
            ("intercepts_", self.intercepts, intercepts),
        ):
            for l, (view, value) in enumerate(zip(views, values, strict=True)):
                if value is not view:
                    view[...] = checks.parameter_values(f"{name}[{l}]", value, view)

    def tie(self, estimator: Any) -> None:
        """Make the views the attributes of the estimator."""
        estimator.coefs_, estimator.intercepts_ = list(self.coefs), list(self.intercepts)
        estimator._tied = self

    def rows(self, X: Any) -> np.ndarray | SparseRows:
        """Return X as the kernels read it."""
        network = self.state.network
        return checks.feature_rows("X", X, network.sizes[0], network.dtype)

    def outputs(self, X: Any) -> np.ndarray:
        """Return the predicted means for the rows of X, (n_samples, n_outputs)."""
        return self.state.outputs(self.rows(X))[0]

    # Pickles ----------------------------------------------------------------------------------

    def memory(self) -> dict[str, Any]:
        """Return what the next steps depend on besides parameters and settings."""
        optimizer, network = self.state.optimizer, self.state.network
        return {
            "moments": {
                name: [np.array(v, order="C") for views in network.views(flat) for v in views]
                for name, flat in optimizer.moments.items()
            },
            "optimizer": optimizer.state,
            "seen": self.state.rows_seen,
            "key": self.state.key,
        }

    def remember(self, memory: dict[str, Any]) -> None:
        """Restore what `memory` returned, for the same update rule."""
        state, network = self.state, self.state.network
        if set(memory["moments"]) != set(state.optimizer.moments):
            return
        for name, flat in state.optimizer.moments.items():
            views = [view for both in network.views(flat) for view in both]
            for view, values in zip(views, memory["moments"][name], strict=True):
                view[...] = values
        state.optimizer.state, state.rows_seen = memory["optimizer"], memory["seen"]
        state.key = memory["key"]


def sizes_of(coefs: list[np.ndarray]) -> list[int]:
    """Return the sizes of the layers, the input included."""
    return [coefs[0].shape[0], *(each.shape[1] for each in coefs)]


def _is_same(one: Any, other: Any) -> bool:
    return one is other
