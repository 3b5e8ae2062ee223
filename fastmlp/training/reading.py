"""Check and convert X, y and sample weights for a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmlp.core.equations.losses import Targets
from fastmlp.core.inputs.gather import SparseRows
from fastmlp.messages import must, shown
from fastmlp.training.samples import Data, first_not_finite
from fastmlp.training.state import State
from fastmlp.validation import checks, sample_weights, targets


class Reader:
    """Checks X, y and weights for a network, and converts them for the kernels.

    Parameters
    ----------
    state : State
        Read: the network's sizes, type and scaling, and the loss.
    feature_names : list of str or None
        The columns of the data frame that the network was fitted on, if X was one.
    """

    def __init__(self, state: State, feature_names: list[str] | None = None):
        self.state, self.feature_names = state, feature_names

    def rows(self, name: str, X: Any) -> np.ndarray | SparseRows:
        """Return X; the columns of a data frame must be those of the previous one."""
        network = self.state.network
        if self.feature_names is not None:
            self.check_names(name, names_of(X))
        rows = checks.feature_rows(name, X, network.sizes[0], network.dtype)
        if isinstance(rows, SparseRows) and network.scaling[: network.sizes[0]].any():
            raise ValueError(must(name, "be dense if `input_shift` is not 0", "a sparse matrix"))
        return rows

    def check_names(self, name: str, names: list[str] | None) -> None:
        """Raise ValueError if these are not the columns that the network was fitted on."""
        known = self.feature_names
        if names is None or known is None or names == known or len(names) != len(known):
            return
        k = next(k for k, pair in enumerate(zip(names, known, strict=True)) if len(set(pair)) > 1)
        requirement = "have the columns that the network was fitted on, in the same order"
        got = f"{shown(names[k])} in place of {shown(known[k])} at position {k}"
        raise ValueError(must(name, requirement, got))

    def targets(self, name: str, y: Any, n_samples: int) -> Targets:
        """Return y."""
        network = self.state.network
        return targets.targets(
            name, y, n_samples, self.state.loss, network.sizes[-1], network.dtype
        )

    def samples(
        self,
        X_name: str,
        X: Any,
        y_name: str,
        y: Any,
        sample_weight: Any = None,
        to_train_on: bool = False,
        require_positive: bool = True,
        weight_name: str = "sample_weight",
    ) -> Data:
        """Return X, y and the weights of the samples.

        The columns of the first data frame are required of later ones.
        """
        rows = self.rows(X_name, X)
        if to_train_on and isinstance(rows, SparseRows) and self.state.settings.input_noise > 0:
            raise sparse_with_noise(X_name)
        if self.feature_names is None:
            self.feature_names = names_of(X)
        found = self.targets(y_name, y, len(rows))
        weighted = sample_weights.weighted(
            found, sample_weight, len(rows), require_positive, weight_name
        )
        return Data(rows, weighted)

    def batch(self, name: str, batch: Any, to_train_on: bool = False) -> Data:
        """Return the samples of a tuple (X, y) or (X, y, sample_weight), checked to be finite."""
        wanted = "a tuple (X, y) or (X, y, sample_weight)"
        try:
            X, y, *weight = checks.listed(name, batch, wanted)
            if len(weight) > 1:
                raise ValueError
        except (TypeError, ValueError):
            raise TypeError(must(name, f"be {wanted}", shown(batch))) from None
        data = self.samples(
            f"{name}[0]", X, f"{name}[1]", y, weight[0] if weight else None,
            to_train_on, not to_train_on, f"{name}[2]",
        )  # fmt: skip
        self.check_finite(f"{name}[0]", data.X)
        return data

    def check_finite(self, name: str, X: np.ndarray | SparseRows) -> None:
        """Raise ValueError for the first row of X that is not finite."""
        row = first_not_finite(self.state.network, X)
        if row is not None:
            raise checks.not_finite(name, row, self.state.network.dtype)


def sparse_with_noise(name: str) -> ValueError:
    """Return the error for a sparse X that noise would make dense."""
    return ValueError(must(name, "be dense if `input_noise` is not 0", "a sparse matrix"))


def names_of(X: Any) -> list[str] | None:
    """Return the column names of a data frame; None if X has none, or other than strings."""
    columns = getattr(X, "columns", None)
    if columns is None:
        return None
    try:
        names = list(columns)
    except TypeError:
        return None
    return names if names and all(isinstance(name, str) for name in names) else None
