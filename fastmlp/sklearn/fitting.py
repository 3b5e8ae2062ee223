"""A call of fit: from the data of an estimator to the loop of `fastmlp.training`."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import optimizers
from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.core.equations.losses import Targets
from fastmlp.core.run import Diverged, no_targets
from fastmlp.messages import must, shown
from fastmlp.metrics import chosen_metrics
from fastmlp.mlp import MLP
from fastmlp.schedules import Schedule
from fastmlp.settings import Settings
from fastmlp.sklearn import draws, lbfgs, parameters, preset, stopping
from fastmlp.sklearn.fit_tasks import FitTasks
from fastmlp.sklearn.preset import in_effect
from fastmlp.sklearn.tied import TiedState, sizes_of
from fastmlp.training.data import FitData
from fastmlp.training.fit import Fit, Plan
from fastmlp.training.samples import Data, all_finite, part
from fastmlp.training.sources import BLOCK_BYTES
from fastmlp.validation import checks, sample_weights

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
#: Options that make the loss random or not smooth, or that belong to epochs.
NOT_FOR_LBFGS = {
    "dropout": 0.0, "input_noise": 0.0, "l1": 0.0,
    "clip_norm": None, "max_norm": None, "callbacks": None, "metrics": None,
}  # fmt: skip


class Samples(NamedTuple):
    """The data of an estimator, after scikit-learn's checks."""

    X: Any
    targets: Targets
    weights: np.ndarray | None
    class_weights: np.ndarray | None = None  # of each sample
    strata: np.ndarray | None = None  # what early stopping stratifies by
    parts: preset.Split | None = None  # that a preset has drawn for early stopping
    weight_name: str = "sample_weight"
    require_positive: bool = True  # of at least one weight

    def data(self, settings: Settings) -> Data:
        """Return the samples as the kernels of a network with these settings read them.

        Without class weights, which count for the loss in training, but not for scores.
        """
        rows = checks.feature_rows("X", self.X, settings.layers[0], settings.dtype)
        if isinstance(rows, np.ndarray) and rows.dtype != self.X.dtype and not all_finite(rows):
            checks.finite_rows("X", rows)
        targets = sample_weights.weighted(
            self.targets, self.weights, len(rows), self.require_positive, self.weight_name
        )
        values = np.ascontiguousarray(targets.values, settings.dtype)
        return Data(rows, targets._replace(values=values))

    def weighted(self, data: Data) -> Data:
        """Return what `data` has returned, with class weights."""
        if self.class_weights is None:
            return data
        both = self.class_weights if self.weights is None else self.class_weights * self.weights
        weighted = sample_weights.weighted(
            data.targets, both, len(data.X), self.require_positive,
            "sample_weight times class_weight",
        )  # fmt: skip
        return Data(data.X, weighted)


def values_only(values: np.ndarray) -> Targets:
    """Return targets that are values, (n_samples * n_outputs,), without weights."""
    return no_targets(values.dtype)._replace(values=values)


def labels_only(labels: np.ndarray, dtype: Any) -> Targets:
    """Return targets that are classes, (n_samples,), without weights."""
    return no_targets(np.dtype(dtype))._replace(labels=labels)


# Stochastic solvers -----------------------------------------------------------------------------


def fit_stochastic(
    estimator: Any, samples: Samples, validation: Samples | None, tasks: FitTasks | None
) -> None:
    """Train by minibatches: for `max_iter` epochs, or for one if `tasks` is None."""
    incremental, used = tasks is None, in_effect(estimator)
    tied = begun(estimator, incremental)
    state, source = tied.state, estimator._random_state
    data = samples.data(state.settings)
    weighted = samples.weighted(data)
    rows = scored = None
    held_out = None if validation is None else validation.data(state.settings)
    if used.early_stopping:
        scored = held_out
        if scored is None:
            fraction, strata = used.validation_fraction, samples.strata
            rows, kept = samples.parts or draws.split(len(data.X), source, fraction, strata)
            scored = part(data, kept)
            weights = scored.targets.weights
            sample_weights.check_positive("sample_weight", weights, " that is held out")
    n_samples = len(data.X) if rows is None else len(rows)
    batch_size = batch_size_of(estimator, n_samples)
    if not incremental:
        run_for(estimator, tied, int(used.max_iter) * -(-n_samples // batch_size))
    in_file = isinstance(samples.X, np.memmap) or used.shuffle == "blocks"
    is_large = isinstance(samples.X, np.ndarray) and samples.X.nbytes > BLOCK_BYTES
    in_blocks = used.shuffle and in_file and is_large
    found = FitData(state, batch_size, "blocks" if in_blocks else True, continues=incremental)
    found.copies = in_blocks
    order = None if in_blocks else draws.Orders(len(data.X), rows, used.shuffle, source)
    found.give(data, weighted, rows, order, held_out)
    epoch_end = stopping.EpochEnd(estimator, tied, n_samples, scorer(estimator, tied, scored))
    try:
        _run(estimator, tied, found, epoch_end, tasks)
    finally:
        if order is not None:
            order.give_back()
    if used.early_stopping:
        tied.take(estimator._best_coefs, estimator._best_intercepts)


def begun(estimator: Any, incremental: bool = False) -> TiedState:
    """Return the network of an estimator before a fit, its solver begun."""
    if not incremental or not hasattr(estimator, "_optimizer"):
        estimator._optimizer = parameters.solver_of(estimator)
    tied: TiedState = estimator._tie(estimator._optimizer)
    state = tied.state
    state.random = estimator._random_state
    if estimator._optimizer.changes:
        state.optimizer.rate = estimator._optimizer.learning_rate
    if not incremental:
        state.optimizer.reset()
    stopping.complete_records(estimator)
    return tied


def run_for(estimator: Any, tied: TiedState, n_steps: int) -> None:
    """Spread the learning rate over the steps of a fit, if it depends on their number."""
    estimator._optimizer.run_for(n_steps)
    if callable(estimator._optimizer.schedule):
        tied.state.change(learning_rate=estimator._optimizer.schedule)


def batch_size_of(estimator: Any, n_samples: int) -> int:
    """Return the samples of a minibatch, in epochs of `n_samples`."""
    if isinstance(estimator.batch_size, str):
        return preset.auto_batch_size(estimator, n_samples)
    if estimator.batch_size > n_samples:
        stopping.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            UserWarning,
        )
    return min(int(estimator.batch_size), n_samples)


def scorer(estimator: Any, tied: TiedState, scored: Data | None) -> Any:
    """Return a function that returns the validation score of early stopping; None without data."""
    if scored is None:
        return None
    targets = scored.targets
    return lambda: estimator._score_of(tied.state.outputs(scored.X)[0], targets)


def _run(
    estimator: Any,
    tied: TiedState,
    data: FitData,
    epoch_end: stopping.EpochEnd,
    tasks: FitTasks | None,
) -> None:
    state, incremental, used = tied.state, tasks is None, in_effect(estimator)
    estimator.n_iter_ = 0
    shows_bar, callbacks = estimator.verbose == "bar", estimator.callbacks or ()
    plan = Plan(
        epochs=1 if incremental else int(used.max_iter),
        callbacks=CallbackList(callbacks, MLP._of(state), shows_bar)
        if callbacks or shows_bar
        else (),
        metrics=chosen_metrics(estimator.metrics, state.settings.loss.task)
        if estimator.metrics is not None or data.validates
        else (),
        scores_training=estimator.metrics is not None,
        continues=incremental,
        after_epoch=epoch_end if tasks is None else tasks.after(epoch_end),
        looks_back=not (
            epoch_end.needs_the_network or callbacks or tasks or shows_bar or data.validates
        )
        and estimator.metrics is None
        and data.order is not None
        and (
            not callable(estimator.learning_rate) or isinstance(estimator.learning_rate, Schedule)
        ),
        warns=False,
    )
    fit = Fit(state, data, plan, tied.trainer)
    tied.trainer = None
    try:
        if tasks is not None:
            tasks.begin_epoch()
        estimator._trains = True
        fit.run()
    except Diverged:
        give_up(estimator, epoch_end)
    except KeyboardInterrupt:
        stopping.warn("Training interrupted by user.", UserWarning)
    else:
        if incremental:
            tied.trainer = fit.trainer
        elif used is estimator:
            warn_if_unconverged(estimator, epoch_end)
    keep_history(estimator, state.history)


def warn_if_unconverged(estimator: Any, epoch_end: stopping.EpochEnd) -> None:
    """Warn if training has ended because of `max_iter` alone."""
    if estimator.n_iter_ == estimator.max_iter and not epoch_end.has_converged:
        stopping.warn_unconverged(estimator.max_iter)


def keep_history(estimator: Any, history: dict[str, list[float]]) -> None:
    """Make a history of training the attributes of an estimator."""
    estimator.history_ = history
    if "validation_loss" in history:
        estimator.validation_loss_curve_ = history["validation_loss"]


def give_up(estimator: Any, epoch_end: stopping.EpochEnd) -> None:
    """End a fit that has diverged: with an error, unless the best network is kept."""
    if epoch_end.score is None:
        raise ValueError(NOT_FINITE) from None
    estimator.n_iter_ += 1
    estimator.loss_ = float("nan")
    estimator.loss_curve_.append(estimator.loss_)
    epoch_end.judge_score(float("nan"))
    stopping.warn(
        "Training stopped because a loss or a weight became NaN or infinite; the weights with the "
        "best validation score are kept.",
        ConvergenceWarning,
    )


# L-BFGS -----------------------------------------------------------------------------------------


def settings_for_lbfgs(estimator: Any, sizes: list[int]) -> Settings:
    """Return the settings of `lbfgs.Objective` for the parameters of an estimator."""
    for name, default in NOT_FOR_LBFGS.items():
        value = getattr(estimator, name)
        if value is not None and np.any(np.asarray(value, object) != default):
            requirement = f"be {default} if solver='lbfgs'"
            raise ValueError(must(name, requirement, shown(value)))
    solver = parameters.Solver(optimizers.SGD(), 0.0, "constant", 0.0)
    settings = parameters.settings_of(estimator, solver, sizes, np.float64)
    return dataclasses.replace(settings, clip_norm=lbfgs.COLLECT)


def fit_lbfgs(estimator: Any, samples: Samples) -> None:
    """Train with all samples at once, in float64 whatever the type of X."""
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    settings = settings_for_lbfgs(estimator, sizes_of(coefs))
    objective = lbfgs.Objective(settings, samples.weighted(samples.data(settings)))
    packed = lbfgs.pack(coefs, intercepts).astype(np.float64)
    estimator._trains = True
    found, estimator.loss_, estimator.n_iter_ = lbfgs.minimize(
        objective, packed, estimator.tol, int(estimator.max_iter), int(estimator.max_fun)
    )
    if not np.isfinite(found).all():
        raise ValueError(NOT_FINITE)
    views = [array.copy() for array in (*coefs, *intercepts)]
    lbfgs.unpack(found, views)
    estimator.coefs_, estimator.intercepts_ = views[: len(coefs)], views[len(coefs) :]
    estimator._tie()
