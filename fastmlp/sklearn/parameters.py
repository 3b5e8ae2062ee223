"""The parameters of the estimators: their checks, and what they are for the network."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config

from fastmlp import losses, optimizers
from fastmlp.core.equations.activations import ACTIVATIONS
from fastmlp.messages import must, shown
from fastmlp.options import chosen
from fastmlp.schedules import CyclicCosine
from fastmlp.settings import Settings
from fastmlp.sklearn.constraints import Interval, Options, StrOptions
from fastmlp.sklearn.preset import in_effect
from fastmlp.validation import checks

SCHEDULES = {"constant", "invscaling", "adaptive"}
CYCLIC = "cyclic_cosine"  # `schedules.CyclicCosine` over all steps of a fit
#: scikit-learn's names of activations that have another name here.
RENAMED = {"logistic": "sigmoid"}
LEAST_RATE = 1e-6  # at which an adaptive learning rate stops training

#: What scikit-learn checks, in the form that it checks it.
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({*RENAMED, *ACTIVATIONS}), "array-like"],
    "solver": [StrOptions({"lbfgs", *optimizers.OPTIMIZERS}), optimizers.Optimizer],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({*SCHEDULES, CYCLIC}), callable],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean", StrOptions({"blocks"})],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose", StrOptions({"bar"})],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "preset": [StrOptions({"tabular"}), None],
}


def check(estimator: Any) -> None:
    """Raise scikit-learn's error for the first parameter that is invalid."""
    if not get_config()["skip_parameter_validation"]:
        estimator._validate_params()


def hidden_sizes(value: Any) -> list[int]:
    """Return the sizes of the hidden layers, given as an int or as any sequence."""
    sizes = list(value) if hasattr(value, "__iter__") else [value]
    if not all(isinstance(size, Integral) for size in sizes):
        raise ValueError(must("hidden_layer_sizes", "be whole numbers", shown(value)))
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if any(size > checks.MAX_LAYER_SIZE for size in sizes):
        requirement = f"be at most {checks.MAX_LAYER_SIZE}"
        raise ValueError(must("hidden_layer_sizes", requirement, shown(value)))
    return [int(size) for size in sizes]


@dataclass
class Solver:
    """The update rule of a fit, and its learning rate, which may change after an epoch.

    Parameters
    ----------
    rule : Optimizer
    rate : float
        The initial learning rate.
    schedule : str or callable
        "constant", "invscaling", "adaptive", "cyclic_cosine", or a function of the step.
    power : float
        Of "invscaling".

    Attributes
    ----------
    learning_rate : float
        That of the next epoch.
    """

    rule: optimizers.Optimizer
    rate: float
    schedule: Any
    power: float

    def __post_init__(self) -> None:
        self.learning_rate = float(self.rate)

    @property
    def changes(self) -> bool:
        """Whether the learning rate may change after an epoch."""
        return self.schedule in ("invscaling", "adaptive")

    def run_for(self, n_steps: int) -> None:
        """Spread "cyclic_cosine" over the steps of a fit."""
        if self.schedule == CYCLIC:
            self.schedule = CyclicCosine(float(self.rate), n_steps)

    def epoch_ends(self, samples_seen: int) -> None:
        """Set the learning rate of the next epoch, if it depends on the samples seen so far."""
        if self.schedule == "invscaling":
            self.learning_rate = float(self.rate) / (samples_seen + 1) ** self.power

    def stops(self) -> str:
        """Return why training stops if it does not improve; or divide the rate by 5, and "" ."""
        if self.schedule != "adaptive":
            return "Stopping."
        if self.learning_rate <= LEAST_RATE:
            return "Learning rate too small. Stopping."
        self.learning_rate /= 5.0
        return ""


def solver_of(estimator: Any) -> Solver:
    """Return the solver that the parameters of an estimator describe."""
    estimator = in_effect(estimator)
    solver, schedule = estimator.solver, estimator.learning_rate
    if solver == "adam" and schedule in ("invscaling", "adaptive"):
        schedule = "constant"
    return Solver(_rule(estimator), estimator.learning_rate_init, schedule, estimator.power_t)


def _rule(estimator: Any) -> Any:
    if estimator.solver == "adam":
        return optimizers.Adam(
            estimator.beta_1, estimator.beta_2, estimator.epsilon, epsilon_hat=True
        )
    if estimator.solver == "lbfgs" or (estimator.solver == "sgd" and estimator.momentum == 0):
        return optimizers.SGD()
    if estimator.solver == "sgd":
        kind = optimizers.Nesterov if estimator.nesterovs_momentum else optimizers.Momentum
        return kind(estimator.momentum, rate_in_velocity=True)
    return chosen("solver", estimator.solver, optimizers.OPTIMIZERS)


def settings_of(estimator: Any, solver: Solver, sizes: list[int], dtype: Any) -> Settings:
    """Return the settings of a network for the parameters of an estimator."""
    schedule, used = solver.schedule, in_effect(estimator)
    return Settings(
        layers=sizes,
        activation=_activation(used.activation),
        loss=estimator._network_loss(),
        optimizer=solver.rule,
        learning_rate=schedule if callable(schedule) else solver.learning_rate,
        init="zeros",
        l2=used.alpha,
        l1=used.l1,
        l2_per_batch=used.solver in ("sgd", "adam", "lbfgs"),
        max_norm=used.max_norm,
        dropout=used.dropout,
        input_noise=used.input_noise,
        clip_norm=used.clip_norm,
        dtype=dtype,
        n_threads=used.n_threads,
    )


def names_of(kind: type) -> list[str]:
    """Return the names of the parameters of an estimator."""
    return [*inspect.signature(kind).parameters]


#: What predictions depend on, besides the weights.
PREDICTING = ("activation", "loss", "out_activation_", "n_threads")
#: What else may change between two calls of `partial_fit`, and then matters.
TRAINING = ("alpha", "l1", "dropout", "input_noise", "clip_norm", "max_norm", "label_smoothing")
#: Whose values are also equal if they are not the same object.
PLAIN = {str, float, int}


def key_of(estimator: Any, solver: Solver | None) -> tuple[Any, ...]:
    """Return what the settings of a network depend on, for `equal`.

    `solver` is that of a fit; None for a prediction, which depends on less.
    """
    predicting = [getattr(estimator, name, None) for name in PREDICTING]
    if solver is None:
        return tuple(predicting)
    return (*predicting, solver, *[getattr(estimator, name, None) for name in TRAINING])


def equal(known: tuple[Any, ...], key: tuple[Any, ...]) -> bool:
    """Whether a key describes the same settings as one that was known, or a part of them."""
    if len(known) < len(key):
        return False
    for a, b in zip(known, key, strict=False):
        if a is not b and not (type(a) in PLAIN and a == b):
            return False
    return True


def _activation(value: Any) -> Any:
    if isinstance(value, str):
        return RENAMED.get(value, value)
    return [RENAMED.get(name, name) for name in value]


#: The losses of regression by their names in scikit-learn, with its factors.
REGRESSION: dict[str, losses.Loss] = {
    "squared_error": losses.SquaredError(half=True, reduction="mixed"),
    "poisson": losses.Poisson(deviance=True, reduction="sum"),
}
