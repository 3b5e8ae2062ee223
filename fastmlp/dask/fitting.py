"""`fit`: train one network on many machines."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fastmlp.argument_types import ArrayLike, Path
from fastmlp.callbacks import Callback
from fastmlp.callbacks.callback_list import CallbackList
from fastmlp.dask import rates, sources
from fastmlp.dask.cluster import OnCluster
from fastmlp.dask.in_process import InProcess
from fastmlp.dask.progress import RoundsProgress
from fastmlp.dask.rounds import job_settings
from fastmlp.dask.shards import Format
from fastmlp.dask.training import Options, Rounds
from fastmlp.messages import must, shown
from fastmlp.metrics import chosen_metrics
from fastmlp.mlp import MLP
from fastmlp.serialization import files
from fastmlp.training.reading import Reader
from fastmlp.validation import checks, sample_weights

MOST_SHARDS = 2**20


def fit(
    model: MLP,
    X: Any,
    y: Any = None,
    *,
    client: Any = None,
    n_shards: int = 4,
    local_epochs: int = 1,
    rounds: int = 10,
    batch_size: int = 32,
    shuffle: bool | Literal["blocks"] = True,
    scale_rate: float | Literal["auto"] = "auto",
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | ArrayLike | Literal["balanced"] | None = None,
    validation_data: tuple[Any, ...] | None = None,
    metrics: Any = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    resume: bool | Path = False,
    verbose: bool = False,
) -> MLP:
    """Placeholder."""
    if not isinstance(model, MLP):
        raise TypeError(must("model", "be an MLP", shown(model)))
    state = model._state
    n_shards = checks.whole_number("n_shards", n_shards, 1, MOST_SHARDS)
    shuffle = checks.flag("shuffle", shuffle, "blocks")
    if isinstance(X, np.memmap) and shuffle is True:
        shuffle = "blocks"
    chosen = chosen_metrics(metrics, state.settings.loss.task)
    if metrics is not None and validation_data is None:
        requirement = "be None without `validation_data`"
        raise ValueError(must("metrics", requirement, shown(metrics)))
    restarts = state.is_fitted and not state.settings.warm_start
    reader = Reader(state, None if restarts else state.feature_names)
    source, names = sources.source_of(reader, X, y, sample_weight, n_shards)
    reader.feature_names = names
    validation = None
    if validation_data is not None:
        validation = reader.batch("validation_data", validation_data)
    sample_weights.check_has_classes(class_weight, state.loss, state.network.sizes[-1])
    options = Options(
        n_shards,
        checks.whole_number("local_epochs", local_epochs, 1, 2**31),
        checks.whole_number("rounds", rounds, 0),
        checks.whole_number("batch_size", batch_size, 1),
        shuffle,
        rates.rate_factor(scale_rate, state.settings.optimizer, n_shards),
        class_weight,
        chosen,
        validation is not None,
        _path(checkpoint),
        names,
    )
    resumes_from = _resumes_from(resume, options.checkpoint)
    runner = InProcess() if client is False else OnCluster(client)
    watching = CallbackList(callbacks, model)
    if checks.flag("verbose", verbose):
        watching = CallbackList([*callbacks, RoundsProgress(runner)], model)
    try:
        form = Format(
            job_settings(state.settings), state.class_name, names, n_shards, callable(source)
        )
        sizes = runner.load(form, source, validation)
        Rounds(state, options, sizes, runner, watching).run(resumes_from)
    finally:
        runner.close()
    return model


def _path(checkpoint: Any) -> str | None:
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise TypeError(must("checkpoint", "be None or a path", shown(checkpoint)))
    path = files.file_name(checkpoint, "checkpoint")
    files.check_writable(path)
    return path


def _resumes_from(resume: Any, checkpoint: str | None) -> str | None:
    """Return the path to resume from; None to begin."""
    if resume is None or resume is False:
        return None
    if resume is not True:
        if not isinstance(resume, (str, os.PathLike)):
            raise TypeError(must("resume", "be True, False or a path", shown(resume)))
        return files.file_name(resume, "resume")
    if checkpoint is None:
        raise ValueError(must("resume", "be a path, or True with `checkpoint`", "True without one"))
    return checkpoint if os.path.exists(checkpoint) else None
