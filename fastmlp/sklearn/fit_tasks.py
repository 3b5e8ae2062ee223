"""Callbacks of scikit-learn (1.9 or later): a fit is a task, and so is each of its epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.sklearn.preset import in_effect

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: there are no callbacks to support."""

    def with_callbacks(method: Any) -> Any:
        """Return the method."""
        return method


__all__ = ["CallbackSupportMixin", "FitTasks", "with_callbacks"]


class FitTasks:
    """Calls the callbacks that `set_callbacks` of an estimator has set, if there are any.

    Parameters
    ----------
    estimator : CallbackSupportMixin
    n_epochs : int
        The largest number of epochs; 0 if the callbacks are not called after each.
    X, y, sample_weight
        Passed to callbacks that ask for them.
    """

    def __init__(self, estimator: Any, n_epochs: int, X: Any, y: Any, sample_weight: Any):
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": {}}
        if sample_weight is not None:
            self._data["metadata"] = {"sample_weight": sample_weight}
        self._fit = self._epoch = None
        if hasattr(estimator, "_skl_callbacks"):
            self._fit = estimator._init_callback_context(max_subtasks=n_epochs)
            self._begin(self._fit)

    def __bool__(self) -> bool:
        return self._fit is not None

    def _begin(self, task: Any) -> None:
        task.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def _end(self, task: Any) -> bool:
        """Call the hooks for the end of a task; return whether one asks to stop.

        A callback that asks for a fitted estimator gets a copy, which has all attributes.
        """
        return bool(
            task.call_on_fit_task_end(
                estimator=self._estimator, reconstruction_attributes=dict, **self._data
            )
        )

    def begin_epoch(self) -> None:
        """Begin the task of an epoch."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._begin(self._epoch)

    def after(self, epoch_end: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """Return `epoch_end`, then the end of an epoch's task and the beginning of the next."""

        def call(recorded: Any) -> bool:
            stops = epoch_end(recorded)
            stops |= self._end(self._epoch)
            if not stops and self._estimator.n_iter_ < in_effect(self._estimator).max_iter:
                self.begin_epoch()
            return stops

        return call if self else epoch_end

    def end(self) -> None:
        """End the task of the fit."""
        if self._fit is not None:
            self._end(self._fit)
