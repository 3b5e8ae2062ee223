"""The network behind an estimator, whose parameters are the arrays in its attributes."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from fastmlp.core.inputs.gather import SparseRows
from fastmlp.settings import Settings
from fastmlp.sklearn import parameters
from fastmlp.training.epoch import Trainer
from fastmlp.training.state import State
from fastmlp.validation import checks

TYING = threading.RLock()  # while an estimator and its network are tied
TRAINED = ("coefs_", "intercepts_")


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


class TyingEstimator:
    """The part of an estimator that keeps a `TiedState`, also in pickles."""

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def _tie(self, solver: parameters.Solver | None = None) -> TiedState:
        """Return the network whose parameters are `coefs_` and `intercepts_`.

        They become views of it, if the user has assigned others or if settings have changed.
        `solver` is that of a fit; None for a prediction.
        """
        key = parameters.key_of(self, solver)
        tied = self._tied_as(key)
        if tied is None or not tied.is_of(self.coefs_, self.intercepts_):
            with TYING:  # predictions of several threads
                tied = self._tied_as(key)
                if tied is None:
                    tied = self._new_tied(solver, key)
                if not tied.is_of(self.coefs_, self.intercepts_):
                    tied.take(self.coefs_, self.intercepts_)
                    tied.tie(self)
                self.__dict__.pop("_memory", None)  # restored
        return tied

    def _tied_as(self, key: Any) -> TiedState | None:
        """Return the network that is tied, unless the parameters have become others."""
        tied: TiedState | None = vars(self).get("_tied")
        if (
            tied is None
            or not parameters.equal(tied.key, key)
            or tied.state.settings.layers != sizes_of(self.coefs_)
            or tied.state.settings.dtype != type_of(self.coefs_)
        ):
            return None
        return tied

    def _new_tied(self, solver: Any, key: Any) -> TiedState:
        before: TiedState | None = vars(self).get("_tied")
        if solver is None:
            solver = vars(self).get("_optimizer") or parameters.solver_of(self)
        sizes, dtype = sizes_of(self.coefs_), type_of(self.coefs_)
        settings = parameters.settings_of(self, solver, sizes, dtype)
        tied = TiedState(settings, getattr(self, "_random_state", None))
        tied.key = key
        memory = vars(self).get("_memory") if before is None else before.memory()
        if memory is not None:
            tied.remember(memory)
        tied.state.history = getattr(self, "history_", {})
        return tied

    # Pickles -------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        tied = state.pop("_tied", None)
        if tied is not None:
            state["_memory"] = tied.memory()
            for name in TRAINED:
                state[name] = [np.array(array, order="C") for array in state[name]]
        return state


def sizes_of(coefs: list[np.ndarray]) -> list[int]:
    """Return the sizes of the layers, the input included."""
    return [coefs[0].shape[0], *(each.shape[1] for each in coefs)]


def type_of(coefs: list[np.ndarray]) -> np.dtype[Any]:
    """Return the type of a network with these weights."""
    return np.dtype(np.float32 if coefs[0].dtype == np.float32 else np.float64)


def _is_same(one: Any, other: Any) -> bool:
    return one is other
