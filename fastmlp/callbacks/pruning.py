"""The callback that ends trials of Optuna early."""

from __future__ import annotations

import copy
from typing import Any

from fastmlp.callbacks.monitors import Monitor
from fastmlp.messages import must, shown
from fastmlp.tables.extras import required


class OptunaPruning(Monitor):
    """Report each epoch to a trial of Optuna, and end the trial if its study's pruner says so.

    The monitored value is reported with the epoch, counted from 0, as its step. If the trial should
    be pruned, `fit` raises `optuna.TrialPruned`, which `study.optimize` handles; the network keeps
    the state after that epoch.

    Needs ``pip install "fastmlp[optuna]"``.

    Parameters
    ----------
    trial : optuna.trial.Trial
        That of the objective function, of a study with one objective. A `FixedTrial` or a
        `FrozenTrial` is accepted, too; they are never pruned.
    monitor : str, default "validation_loss"
        A name in `MLP.history_`, which the study must minimize if smaller values are better, and
        maximize if greater ones are.
    mode : {"auto", "max", "min"}, default "auto"
        Whether greater or smaller is better; "auto" decides by the loss or metric.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    ValueError, TypeError
        If a parameter is invalid; before training, if the fit does not record the monitor or the
        study has the other direction.
    optuna.TrialPruned
        By `fit`.

    Notes
    -----
    An epoch that the trial has reported before is neither reported nor judged again: after a
    resume, and if an objective trains several networks, such as those of a cross-validation, of
    which the first decides. scikit-learn's `cross_val_score` turns errors into scores of NaN unless
    it is called with ``error_score="raise"``.

    NaN is reported as it is: most pruners prune a trial without any other value. A training that
    diverges ends without a report of that epoch, and with the last finite weights.

    Examples
    --------
    >>> import optuna
    >>> from fastmlp import MLP, callbacks, datasets
    >>> X, y = datasets.digits()
    >>> def objective(trial):
    ...     rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    ...     mlp = MLP([64, 32, 10], input_scale=1 / 16, learning_rate=rate, random_state=0)
    ...     pruning = callbacks.OptunaPruning(trial, "validation_accuracy")
    ...     mlp.fit(X, y, epochs=10, validation_fraction=0.2, callbacks=[pruning])
    ...     return mlp.history_["validation_accuracy"][-1]
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(
    ...     direction="maximize",
    ...     sampler=optuna.samplers.RandomSampler(seed=0),
    ...     pruner=optuna.pruners.MedianPruner(n_startup_trials=2),
    ... )
    >>> study.optimize(objective, n_trials=6)
    >>> study.best_value > 0.9
    True
    """

    def __init__(self, trial: Any, monitor: str = "validation_loss", mode: str = "auto"):
        self._optuna = _optuna()
        super().__init__(monitor, mode)
        if not isinstance(trial, self._optuna.trial.BaseTrial):
            raise TypeError(must("trial", "be a trial of Optuna", shown(trial)))
        self.trial = trial
        n = 1 if self._study is None else len(self._study.directions)
        if n > 1:
            requirement = "be of a study with one objective, as Optuna does not prune others"
            raise ValueError(must("trial", requirement, f"one with {n}"))
        self._reported: set[int] = set()

    @property
    def _study(self) -> Any:
        """The study of the trial, None for trials that stand alone."""
        return getattr(self.trial, "study", None)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Compare the direction of the study, and read which epochs were reported before."""
        super().on_train_begin(logs)
        if self._study is None:
            return
        maximizes = self._study.direction == self._optuna.study.StudyDirection.MAXIMIZE
        if maximizes != (self._sign > 0):
            verb, better = ("maximizes", "smaller") if maximizes else ("minimizes", "greater")
            got = f"{shown(self.monitor)}, of which {better} values are better"
            raise ValueError(must("monitor", f"be what the study {verb}", got))
        trials = self._study.get_trials(deepcopy=False)
        self._reported = set(trials[self.trial.number].intermediate_values)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the epoch; raise `optuna.TrialPruned` if the trial should be pruned."""
        value = float(self._of(logs))
        if epoch in self._reported:
            return
        self._reported.add(epoch)
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            text = f"pruned after epoch {epoch}, with {self.monitor} = {value:.6g}"
            raise self._optuna.TrialPruned(text)

    def __deepcopy__(self, memo: dict[int, Any]) -> OptunaPruning:
        # scikit-learn's clone copies parameters deeply; a copy of the trial would belong to no
        # study that anyone reads.
        return copy.copy(self)


def _optuna() -> Any:
    """Import Optuna."""
    return required("optuna", "Optuna", "OptunaPruning", 'pip install "fastmlp[optuna]"')
