"""A call of fit of an estimator: from data of any kind to rounds."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import is_regressor

from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.core.run import Diverged
from fastmlp.dask import fitting as networks
from fastmlp.dask import rates, sources, targets
from fastmlp.dask.collections import Blocks, in_memory, is_collection
from fastmlp.dask.progress import RoundsProgress
from fastmlp.dask.rounds import job_settings
from fastmlp.dask.shards import Arrays, Format, Size
from fastmlp.dask.steps import rows_before
from fastmlp.dask.training import Options, Rounds
from fastmlp.messages import must, shown
from fastmlp.metrics import chosen_metrics
from fastmlp.mlp import MLP
from fastmlp.sklearn import MLPClassifier, MLPRegressor, draws, fitting, inputs, stopping
from fastmlp.sklearn.base import Validation
from fastmlp.sklearn.fit_tasks import FitTasks
from fastmlp.sklearn.tied import TiedState
from fastmlp.training.reading import Reader, names_of
from fastmlp.training.samples import Data
from fastmlp.training.sources import BLOCK_BYTES
from fastmlp.validation import sample_weights


def are_in_memory(*data: Any) -> bool:
    """Whether these are neither functions nor collections of Dask."""
    return not any(callable(each) or is_collection(each) for each in data)


def refuse(estimator: Any, X: Any, y: Any, sample_weight: Any, validates: bool) -> None:
    """Raise ValueError for what training in rounds does not have."""
    if estimator.solver == "lbfgs":
        requirement = "be trained by minibatches to train in rounds"
        raise ValueError(must("solver", requirement, "'lbfgs'", "use fastmlp.sklearn"))
    if estimator.preset is not None:
        requirement = "be None to train in rounds"
        advice = "encode the columns with a TableEncoder"
        raise ValueError(must("preset", requirement, shown(estimator.preset), advice))
    if estimator.metrics is not None and not validates:
        requirement = "be None without X_val and y_val"
        raise ValueError(must("metrics", requirement, shown(estimator.metrics)))
    networks.epochs_or_steps(estimator.local_epochs, estimator.local_steps)
    if not estimator.early_stopping:
        return
    if estimator.checkpoint is not None:
        requirement = "be None if early_stopping=True, as it does not keep the best weights"
        raise ValueError(must("checkpoint", requirement, shown(estimator.checkpoint)))
    if not validates and not are_in_memory(X, y, sample_weight):
        requirement = "be False without X_val and y_val, unless X and y are in memory"
        raise ValueError(must("early_stopping", requirement, "True"))


class EstimatorFit:
    """A call of fit.

    Parameters
    ----------
    estimator : object
        Of `fastmlp.dask`. It gets attributes as it is fitted.
    """

    def __init__(self, estimator: Any):
        self.estimator, self.runner = estimator, networks.runner_of(estimator.client)
        self.n_shards: int = int(estimator.n_shards)
        self.kind: Any = MLPRegressor if is_regressor(estimator) else MLPClassifier

    def close(self) -> None:
        """Release the shards."""
        self.runner.close()

    def run(self, X: Any, y: Any, sample_weight: Any, validation: Validation | None) -> None:
        """Fit the estimator."""
        estimator = self.estimator
        # Files are checked before the data are read.
        path = networks.checkpoint_path(estimator.checkpoint)
        resumes_from = networks.resumes_from(estimator.resume, path)
        is_first = not hasattr(estimator, "coefs_") or not estimator.warm_start
        reset = is_first or not hasattr(estimator, "n_features_in_")
        source, seen = self._read(X, y, sample_weight, reset)
        estimator._learn_targets(targets.twice(seen.example), False)
        estimator.out_activation_ = estimator._output_activation()
        estimator._random_state = inputs.random_source(estimator)
        dtype = np.dtype(np.float32 if seen.columns.are_float32 else np.float64)
        n_outputs = estimator._encoded(seen.example, dtype).n_outputs
        estimator._begin_network(seen.columns.n, n_outputs, dtype, is_first)
        tied = fitting.begun(estimator)
        settings = tied.state.settings
        held_out = estimator._held_out(_computed(validation, estimator.client), settings.dtype)
        passed = None if held_out is None else held_out.data(settings)
        scored = passed if estimator.early_stopping else None
        if estimator.early_stopping and passed is None:
            source, scored = self._split(source, settings)
        names = getattr(estimator, "feature_names_in_", None)
        form = Format(
            job_settings(settings),
            tied.state.class_name,
            None if names is None else names.tolist(),
            self.n_shards,
            callable(source),
            partial(targets.converted, targets.shell_of(estimator, seen)),
        )
        sizes = self.runner.load(form, source, passed)
        tasks = FitTasks(estimator, int(estimator.max_iter), X, y, sample_weight)
        rounds, epoch_end = self._rounds(tied, sizes, form, passed, scored, path, tasks)
        self._train(tied, rounds, epoch_end, resumes_from, tasks)

    # Data ----------------------------------------------------------------------------------------

    def _read(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Any, targets.Seen]:
        """Return the source of the shards, and what all of it shows; learn the columns."""
        n_shards, see = self.n_shards, partial(targets.see, self.kind)
        if are_in_memory(X, y, sample_weight):
            X, y = inputs.rows_and_targets(self.estimator, X, y, reset)
            X = X.tocsr() if hasattr(X, "tocsr") else X
            weights = inputs.weights_of(sample_weight, X.shape[0])
            source = sources.checked_source(X, y, weights, n_shards, X.shape[1])
            return source, see(X, y)
        if callable(X):
            source = looked_at = sources.checked_source(X, y, sample_weight, n_shards, 0)
        else:
            X = np.asarray(X) if isinstance(X, (list, tuple)) else X
            shape: tuple[Any, ...] = getattr(X, "shape", ())
            if len(shape) != 2 or not shape[1] > 0:  # NaN if it is unknown
                requirement = "have shape (n_samples, n_features), with at least one column"
                raise ValueError(must("X", requirement, shown(X)))
            columns = targets.Columns(int(X.shape[1]), names_of(X), targets.are_float32(X))
            source = sources.checked_source(X, y, sample_weight, n_shards, columns.n)
            looked_at = Blocks(y, y)  # instead of X only its length counts
            see = partial(targets.see_targets, self.kind, columns)
        seen = targets.together(self._look(looked_at, see))
        self._learn_columns(seen.columns, reset)
        return source, seen

    def _look(self, source: Any, see: Any) -> list[targets.Seen]:
        """Return what the shards show, which are read again later: few of them fit in memory."""
        settings: Any = None
        form = Format(settings, "", None, self.n_shards, callable(source), look=see)
        runner = networks.runner_of(self.estimator.client)
        try:
            seen: Any = runner.load(form, source, None)
        finally:
            runner.close()
        return list(seen)

    def _learn_columns(self, columns: targets.Columns, reset: bool) -> None:
        estimator, names = self.estimator, columns.names
        if reset:
            estimator.n_features_in_ = columns.n
            estimator.__dict__.pop("feature_names_in_", None)
            if names is not None:
                estimator.feature_names_in_ = np.array(names, object)
        elif columns.n != estimator.n_features_in_:
            raise ValueError(
                f"X has {columns.n} features, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input"
            )
        elif hasattr(estimator, "feature_names_in_"):
            known = estimator.feature_names_in_.tolist()
            Reader(None, known).check_names("X", names)  # type: ignore[arg-type]

    def _split(self, source: Arrays, settings: Any) -> tuple[Arrays, Data]:
        """Return arrays to train on, and the samples that early stopping holds out."""
        estimator, (X, y, weights) = self.estimator, source
        dtype, n = settings.dtype, X.shape[0]
        strata = estimator._encoded(y, dtype).strata
        fraction = estimator.validation_fraction
        rows, kept = draws.split(n, estimator._random_state, fraction, strata)
        if len(rows) < self.n_shards:
            requirement = f"be at most {len(rows)}, the rows of X that are not held out"
            raise ValueError(must("n_shards", requirement, f"{self.n_shards}"))
        held_out = fitting.Samples(
            X[kept], estimator._encoded(y[kept], dtype).targets, _rows(weights, kept)
        )
        scored = held_out.data(settings)
        name, of_those = "sample_weight", " that is held out"
        sample_weights.check_positive(name, scored.targets.weights, of_those)
        return Arrays(X[rows], y[rows], _rows(weights, rows)), scored

    # Rounds --------------------------------------------------------------------------------------

    def _rounds(
        self,
        tied: TiedState,
        sizes: list[Size],
        form: Format,
        passed: Data | None,
        scored: Data | None,
        path: str | None,
        tasks: FitTasks,
    ) -> tuple[Rounds, stopping.EpochEnd]:
        estimator, state = self.estimator, tied.state
        n_samples, largest = sum(s.n_samples for s in sizes), max(s.n_samples for s in sizes)
        batch_size = fitting.batch_size_of(estimator, largest)
        epochs, steps = networks.epochs_or_steps(estimator.local_epochs, estimator.local_steps)
        of_round = steps or epochs * -(-largest // batch_size)
        fitting.run_for(estimator, tied, int(estimator.max_iter) * of_round)
        shuffle, settings = estimator.shuffle, state.settings
        if n_samples * settings.layers[0] * settings.dtype.itemsize <= BLOCK_BYTES:
            shuffle = bool(shuffle)  # as in `fastmlp.sklearn`: all rows are one block
        options = Options(
            self.n_shards,
            epochs,
            steps,
            int(estimator.max_iter),
            batch_size,
            shuffle if isinstance(shuffle, str) else bool(shuffle),
            rates.rate_factor(estimator.scale_rate, settings.optimizer, self.n_shards),
            None,  # the samples have the weights of their classes
            () if passed is None else chosen_metrics(estimator.metrics, settings.loss.task),
            passed is not None,
            path,
            form.feature_names,
            [str(each) for each in np.asarray(getattr(estimator, "classes_", [])).tolist()],
        )
        callbacks = list(estimator.callbacks or ())
        if estimator.verbose == "bar":
            callbacks.append(RoundsProgress(self.runner))
        epoch_end = stopping.EpochEnd(estimator, tied, 0, fitting.scorer(estimator, tied, scored))
        self._judge, self._epoch_end = tasks.after(epoch_end), epoch_end
        self._rows_before = partial(_rows_before, sizes, options)
        # As in `fastmlp.sklearn`, whose orders one shard has.
        order = np.arange(n_samples) if options.shuffle is True and self.n_shards == 1 else None
        model = MLP._of(state)
        return Rounds(
            state, options, sizes, self.runner, CallbackList(callbacks, model),
            lambda _: self._after_round(state), order,
        ), epoch_end  # fmt: skip

    def _after_round(self, state: Any) -> bool:
        """Record all rounds that are not yet, several after a resume; return whether to stop."""
        estimator, stops = self.estimator, False
        estimator._trains = True
        losses = state.history["loss"]
        for number in range(estimator.n_iter_, len(losses)):
            rows = self._rows_before(number + 1) - self._rows_before(number)
            self._epoch_end.n_samples = rows
            stops = self._judge({"loss": losses[number]})
        if estimator._optimizer.changes:
            state.change(learning_rate=estimator._optimizer.learning_rate)
        return stops

    def _train(
        self,
        tied: TiedState,
        rounds: Rounds,
        epoch_end: stopping.EpochEnd,
        resumes_from: str | None,
        tasks: FitTasks,
    ) -> None:
        estimator, state = self.estimator, tied.state
        estimator.n_iter_ = 0
        try:
            tasks.begin_epoch()
            rounds.run(resumes_from)
            self._after_round(state)  # if there was no round after those of a checkpoint
        except Diverged:
            fitting.give_up(estimator, epoch_end)
        except KeyboardInterrupt:
            if not estimator._trains:
                raise
            stopping.warn("Training interrupted by user.", UserWarning)
        else:
            fitting.warn_if_unconverged(estimator, epoch_end)
        finally:  # also if a cluster is lost
            fitting.keep_history(estimator, state.history)
        if estimator.early_stopping:
            tied.take(estimator._best_coefs, estimator._best_intercepts)
        tasks.end()


def _rows(weights: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if weights is None else weights[rows]


def _rows_before(sizes: list[Size], options: Options, number: int) -> int:
    """Return how many samples all shards have trained on before a round."""
    if options.local_steps is None:
        return number * options.local_epochs * sum(size.n_samples for size in sizes)
    step = number * options.local_steps
    return sum(rows_before(step, size.n_samples, options.batch_size) for size in sizes)


def _computed(validation: Validation | None, client: Any) -> Validation | None:
    """Return validation data in memory."""
    if validation is None or are_in_memory(*validation):
        return validation
    for name, values in zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True):
        if callable(values) and not is_collection(values):
            requirement = "be an array, a data frame, or one of Dask"
            raise TypeError(must(name, requirement, shown(values)))
    return Validation(*in_memory(tuple(validation), client))
