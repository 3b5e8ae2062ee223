"""What happens at the end of an epoch: records, the best network, and whether to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import messages
from fastmlp.sklearn.preset import in_effect
from fastmlp.sklearn.tied import TiedState


class EpochEnd:
    """Records an epoch in the attributes of an estimator, and judges whether training goes on.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    tied : TiedState
        Its network. The learning rate of the next epoch is set.
    n_samples : int
        The samples of an epoch.
    score : callable or None
        Returns the validation score, on which early stopping depends; None for no early stopping.
    """

    def __init__(
        self, estimator: Any, tied: TiedState, n_samples: int, score: Callable[[], float] | None
    ):
        self.estimator, self.tied = estimator, tied
        self.n_samples, self.score = n_samples, score
        self.has_converged = False

    def __call__(self, recorded: dict[str, float]) -> bool:
        """Return whether training stops after an epoch that has recorded these values."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss = recorded["loss"]
        estimator.t_ += self.n_samples
        estimator.loss_curve_.append(loss)
        self._say(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.score is None:
            self._judge_loss(loss)
        else:
            self.judge_score(self.score())
        solver = estimator._optimizer
        solver.epoch_ends(estimator.t_)
        if estimator._no_improvement_count > in_effect(estimator).n_iter_no_change:
            self.has_converged = self._stops()
        if solver.changes:
            self.tied.state.optimizer.rate = solver.learning_rate
        return self.has_converged

    @property
    def needs_the_network(self) -> bool:
        """Whether a call depends on the network after the epoch, or changes the next one."""
        return self.score is not None or bool(self.estimator._optimizer.changes)

    def _say(self, text: str) -> None:
        if self.estimator.verbose and self.estimator.verbose != "bar":
            print(text)

    def _judge_loss(self, loss: float) -> None:
        estimator = self.estimator
        improved = not loss > estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss

    def judge_score(self, score: float) -> None:
        """Record a validation score, and keep the parameters if it is the best so far."""
        estimator = self.estimator
        estimator.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        improved = not score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        is_best = score > estimator.best_validation_score_
        # Of equal scores a preset keeps the last, which had the most training.
        if is_best or (score == estimator.best_validation_score_ and estimator._has_preset):
            estimator.best_validation_score_ = score
            keep_best(estimator)

    def _stops(self) -> bool:
        estimator = self.estimator
        reason = estimator._optimizer.stops()
        what = "Training loss" if self.score is None else "Validation score"
        end = reason or f"Setting learning rate to {estimator._optimizer.learning_rate:f}"
        self._say(
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs. {end}"
        )
        if not reason:
            estimator._no_improvement_count = 0
        return bool(reason)


def keep_best(estimator: Any) -> None:
    """Keep a copy of the present parameters as the best so far."""
    estimator._best_coefs = [coef.copy() for coef in estimator.coefs_]
    estimator._best_intercepts = [intercept.copy() for intercept in estimator.intercepts_]


def start_records(estimator: Any) -> None:
    """Set what training records to its value before the first epoch."""
    vars(estimator).update(_records(estimator))
    keep_best(estimator)


def complete_records(estimator: Any) -> None:
    """Set records that are missing, because weights were assigned or parameters have changed."""
    known = vars(estimator)
    for name, value in _records(estimator).items():
        if known.get(name) is None:
            known[name] = value
    if "_best_coefs" not in known:
        keep_best(estimator)


def _records(estimator: Any) -> dict[str, Any]:
    stops_early = in_effect(estimator).early_stopping
    return {
        "t_": 0,
        "loss_curve_": [],
        "_no_improvement_count": 0,
        "validation_scores_": [] if stops_early else None,
        "best_validation_score_": -np.inf if stops_early else None,
        "best_loss_": None if stops_early else np.inf,
    }


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that filters take for scikit-learn's: programs filter those by module."""
    messages.warn(message, category, "sklearn.neural_network")


def warn_unconverged(max_iter: int) -> None:
    """Warn that training has ended before it had converged."""
    warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization "
        "hasn't converged yet.",
        ConvergenceWarning,
    )
