"""The L-BFGS solver: SciPy's, with losses and gradients from the compiled step."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from fastmlp.core.run import Diverged
from fastmlp.settings import Settings
from fastmlp.sklearn.stopping import warn
from fastmlp.sklearn.tied import TiedState
from fastmlp.training.epoch import Trainer
from fastmlp.training.samples import Data

#: So large a norm that no gradient is scaled, but that gradients are collected.
COLLECT = float(np.finfo(np.float64).max)


class Objective:
    """The loss of all samples as a function of the packed parameters, and its gradient.

    A call is a step of SGD with the learning rate 0, whose gradients are collected as for clipping.

    Parameters
    ----------
    settings : Settings
        For float64, the update rule SGD, the learning rate 0 and the `clip_norm` `COLLECT`.
    data : Data
    """

    def __init__(self, settings: Settings, data: Data):
        self.tied, self.data = TiedState(settings), data
        self.order = np.arange(len(data.X))
        self.trainer = Trainer(self.tied.state, len(data.X))

    def __call__(self, packed: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and the packed gradient; infinity and NaN if they are not finite."""
        unpack(packed, [*self.tied.coefs, *self.tied.intercepts])
        try:
            loss = self.trainer.epoch(iter([(self.data, self.order)]))
        except Diverged:
            return np.inf, np.full(len(packed), np.nan)
        network = self.tied.state.network
        weights, biases = network.views(self.tied.state.optimizer.gradients)
        return loss, pack([w.T for w in weights], [b[:, 0] for b in biases])


def pack(coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> np.ndarray:
    """Return all parameters in one vector: those of all `coefs`, then those of `intercepts`."""
    return np.concatenate([array.ravel() for array in (*coefs, *intercepts)])


def unpack(packed: np.ndarray, views: list[np.ndarray]) -> None:
    """Copy parameters that `pack` has packed to the views."""
    start = 0
    for view in views:
        view[...] = packed[start : start + view.size].reshape(view.shape)
        start += view.size


def minimize(
    objective: Any, packed: np.ndarray, tol: float, max_iter: int, max_fun: int
) -> tuple[np.ndarray, float, int]:
    """Return the parameters with the smallest loss, that loss, and the number of iterations.

    Warns
    -----
    ConvergenceWarning
        If it ends for another reason than `tol`.
    """
    options = {"maxfun": max_fun, "maxiter": max_iter, "gtol": tol}
    found = scipy.optimize.minimize(objective, packed, method="L-BFGS-B", jac=True, options=options)
    n_iter = int(min(found.nit, max_iter))
    if found.status != 0:
        advice = "scaling the data or increasing the number of iterations may help"
        warn(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={found.status}): "
            f"{found.message}; {advice} (max_iter={max_iter}, max_fun={max_fun})",
            ConvergenceWarning,
        )
    return found.x, found.fun, n_iter
