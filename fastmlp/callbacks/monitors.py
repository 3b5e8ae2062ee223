"""Callbacks that monitor a loss or metric."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastmlp.callbacks.base import Callback
from fastmlp.messages import must, short, shown
from fastmlp.metrics import METRICS
from fastmlp.serialization import schema
from fastmlp.validation import checks, forms


class Monitor(Callback):
    """A callback that monitors one of the values that each epoch records."""

    def __init__(self, monitor: str, mode: str):
        if not isinstance(monitor, str):
            raise TypeError(must("monitor", "be the name of a loss or metric", shown(monitor)))
        self.monitor, self.mode = monitor, checks.choice("mode", mode, ("auto", "max", "min"))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Determine whether greater is better, and check that the monitor is recorded."""
        self._sign = 1.0 if self._greater_is_better(logs or {}) else -1.0

    def _greater_is_better(self, logs: dict[str, Any]) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        if "greater_is_better" in logs:
            return self._of(logs["greater_is_better"])
        name = self.monitor.removeprefix("validation_")
        if name != "loss" and name not in METRICS:
            requirement = f"be 'max' or 'min' for {shown(self.monitor)}"
            raise ValueError(must("mode", requirement, "'auto'"))
        return name != "loss" and METRICS[name].greater_is_better

    def _of(self, recorded: dict[str, Any] | None) -> Any:
        """Return the recorded value of the monitor; ValueError if there is none."""
        if not recorded or self.monitor not in recorded:
            names = short(", ".join(map(repr, recorded or ())), 150) or "nothing"
            requirement = f"be one of the values that this fit records ({names})"
            raise ValueError(must("monitor", requirement, shown(self.monitor)))
        return recorded[self.monitor]

    def _gain(self, value: float, best: float) -> float:
        """Return by how much a value is better than `best`."""
        return self._sign * (value - best)


class Patience(Monitor):
    """A monitor that counts the epochs without an improvement."""

    def __init__(self, monitor: str, mode: str, patience: int, min_delta: float):
        super().__init__(monitor, mode)
        self.patience = checks.whole_number("patience", patience, 1)
        self.min_delta = checks.non_negative("min_delta", min_delta)
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self._wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Reset the best value and the count."""
        super().on_train_begin(logs)
        self._reset()

    def _improved(self, logs: dict[str, Any] | None) -> bool:
        """Whether the epoch is the best so far by more than min_delta; never for NaN."""
        value = float(self._of(logs))
        first = self.best is None and not math.isnan(value)
        if first or self.best is not None and self._gain(value, self.best) > self.min_delta:
            self.best, self._wait = value, 0
            return True
        self._wait += 1
        return False

    def state(self) -> dict[str, Any]:
        """Return the best value, and the number of epochs since then."""
        return {"best": self.best, "wait": self._wait}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned."""
        best = forms.optional(forms.between(-np.inf, np.inf))
        found = _restored(self, state, {"best": best, "wait": schema.COUNT})
        self.best, self._wait = found["best"], found["wait"]


class EarlyStopping(Patience):
    """Stop training when the monitored value stops improving.

    Parameters
    ----------
    monitor : str, default "validation_loss"
        A name in `MLP.history_`.
    patience : int, default 10
        At least 1: training stops after this many epochs in a row without an improvement.
    min_delta : float, default 0.0
        At least 0; an improvement must be larger than this.
    restore_best_weights : bool, default True
        Whether to restore the parameters of the best epoch when training ends, also after the last
        epoch, but not after an interrupt.
    mode : {"auto", "max", "min"}, default "auto"
        Whether greater or smaller is better; "auto" decides by the loss or metric.

    Attributes
    ----------
    best, best_epoch : float and int, or None
        The best value so far, and its epoch, counted from 0.

    Raises
    ------
    ValueError, TypeError
        If a parameter is invalid, as for all callbacks. If the fit does not record the monitor,
        this is raised before training with mode "auto", otherwise after the first epoch.

    Examples
    --------
    >>> from fastmlp import MLP, datasets
    >>> from fastmlp.callbacks import EarlyStopping
    >>> X, y = datasets.digits()
    >>> stopping = EarlyStopping(patience=5)
    >>> mlp = MLP([64, 32, 10], input_scale=1 / 16, learning_rate=0.01, random_state=0)
    >>> _ = mlp.fit(X, y, epochs=200, validation_fraction=0.2, callbacks=[stopping])
    >>> len(mlp.history_["loss"]) == stopping.best_epoch + 1 + 5
    True
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        mode: str = "auto",
    ):
        super().__init__(monitor, mode, patience, min_delta)
        self.restore_best_weights = checks.flag("restore_best_weights", restore_best_weights)

    def _reset(self) -> None:
        super()._reset()
        self.best_epoch: int | None = None
        self._weights: list[np.ndarray] = []
        self._biases: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Copy the parameters if the epoch is the best; stop if `patience` runs out."""
        if not self._improved(logs):
            self.model.stop_training |= self._wait >= self.patience
            return
        self.best_epoch = epoch
        if self.restore_best_weights:
            self._weights = [view.copy() for view in self.model.weights]
            self._biases = [view.copy() for view in self.model.biases]

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the best parameters."""
        if self._weights:
            self.model.weights, self.model.biases = self._weights, self._biases

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and its parameters."""
        kept = {"best_epoch": self.best_epoch, "weights": self._weights, "biases": self._biases}
        return super().state() | kept

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned."""
        super().restore(state)
        kept = {"best_epoch": forms.optional(schema.COUNT)}
        if state.get("weights") != []:  # until an epoch is the best
            for name, views in (("weights", self.model.weights), ("biases", self.model.biases)):
                kept[name] = forms.each_of([forms.array(v.shape, v.dtype) for v in views])
        found = _restored(self, state, kept)
        self.best_epoch = found["best_epoch"]
        self._weights, self._biases = found.get("weights", []), found.get("biases", [])


class ReduceLROnPlateau(Patience):
    """Multiply the learning rate by a factor when the monitored value stops improving.

    This multiplies `MLP.rate_factor`, which applies to all schedules, is kept by later calls of
    `fit`, and is saved with the network.

    Parameters
    ----------
    monitor, mode
        As in `EarlyStopping`.
    factor : float, default 0.1
        Above 0 and below 1.
    patience : int, default 5
        At least 1: the rate is lowered after this many epochs in a row without an improvement.
    min_delta : float, default 1e-4
        At least 0; an improvement must be larger than this.
    cooldown : int, default 0
        At least 0: the number of epochs after a reduction that do not count towards `patience`.
    min_rate : float, default 0.0
        At least 0; the rate of the next step is never lowered below this.

    Examples
    --------
    >>> from fastmlp import MLP
    >>> from fastmlp.callbacks import ReduceLROnPlateau
    >>> mlp = MLP([1, 2], random_state=0)
    >>> plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    >>> _ = mlp.fit([[0.0], [1.0]], [0, 1], epochs=3, callbacks=[plateau])
    >>> mlp.rate_factor
    0.25
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        factor: float = 0.1,
        patience: int = 5,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_rate: float = 0.0,
        mode: str = "auto",
    ):
        super().__init__(monitor, mode, patience, min_delta)
        self.factor = checks.between_zero_and_one("factor", factor)
        self.cooldown = checks.whole_number("cooldown", cooldown, 0)
        self.min_rate = checks.non_negative("min_rate", min_rate)

    def _reset(self) -> None:
        super()._reset()
        self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Lower the rate after `patience` epochs without an improvement."""
        self._improved(logs)
        if self._cooling > 0:
            self._cooling, self._wait = self._cooling - 1, 0
        if self._wait >= self.patience:
            self._cooling, self._wait = self.cooldown, 0
            self._reduce()

    def _reduce(self) -> None:
        model, rate = self.model, self.model.next_learning_rate
        lower = model.rate_factor * self.factor
        if rate > 0:  # if a schedule is at 0, no factor can make it min_rate
            lower = max(lower, self.min_rate / rate * model.rate_factor)
        model.rate_factor = min(lower, model.rate_factor)

    def state(self) -> dict[str, Any]:
        """Return the best value, the epochs since then and those of the cooldown that are left."""
        return super().state() | {"cooling": self._cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned."""
        super().restore(state)
        self._cooling = _restored(self, state, {"cooling": schema.COUNT})["cooling"]


def _restored(callback: Callback, state: Any, checkers: dict[str, checks.Checker]) -> Any:
    """Return some fields of a callback's state in a checkpoint; ValueError if they are invalid."""
    try:
        return forms.fields(checkers)(f"{type(callback).__name__}.state", state)
    except (TypeError, ValueError) as error:
        raise ValueError(short(str(error), 200)) from None
