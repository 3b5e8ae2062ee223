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
from fastmlp.dask.collections import in_memory
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
MOST_LOCAL = 2**31  # epochs or steps of a shard in a round


def fit(
    model: MLP,
    X: Any,
    y: Any = None,
    *,
    client: Any = None,
    n_shards: int = 4,
    local_epochs: int = 1,
    local_steps: int | None = None,
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
    r"""Train a network on many machines by averaging.

    The data are divided into `n_shards` shards. In each round every shard trains `local_epochs`
    epochs, or `local_steps` minibatches, from the same weights and moments, and their mean is what
    the next round begins from:

    .. math:: W^{r+1} = \frac{1}{V} \sum_{s=1}^{V} \mathrm{train}_{r,s}(W^r),

    summed in the order of the shards in float64. The result depends on the arguments alone: it has
    the same bits on any number of workers and threads, after workers have died, and in one process
    without Dask. With one shard it is that of ``model.fit(X, y, epochs=rounds * local_epochs)``,
    also if that many epochs are divided into rounds of `local_steps`.

    A round passes the weights on, which takes 20 to 200 ms. So it should compute for a second or
    more, otherwise one processor is as fast; a `ShortRoundsWarning` says how many `local_epochs`
    or `local_steps` take a second. See :doc:`/guide/many_machines` for when this is worth it.

    Parameters
    ----------
    model : MLP
        Trained in place, after each round.
    X : array-like, dask array or data frame (n_samples, n_in), or callable
        As in `MLP.fit`, or a collection of Dask. Shard s has the rows s, s + `n_shards`,
        s + 2 * `n_shards` and so on, whatever the chunks. A function ``X(shard)`` returns
        ``(X, y)`` or ``(X, y, sample_weight)`` of a shard, counted from 0; it must return the same
        whenever it is called, on any worker. Its shards count equally, whatever their sizes.
    y : array-like, dask array or series, optional
        As in `MLP.fit`; None if X is a function.
    client : dask.distributed.Client, False or None, default None
        None is the current client. False trains in this process, one shard after the other, and
        does not need Dask.
    n_shards : int, default 4
        At most the number of samples. As many tasks run at a time; more than four, or eight with
        adam, need more epochs for the same accuracy.
    local_epochs : int, default 1
        Epochs on each shard between two means.
    local_steps : int, optional
        Minibatches of each shard between two means, in place of whole epochs: for shards that
        take minutes for an epoch. Round r has the minibatches r * `local_steps` and following of
        the endless sequence of the epochs of a shard. So every row is trained on once in each
        epoch, the last minibatch of which may be smaller; a round may go on with an epoch, or have
        several; and shards of different sizes take the same number of steps. `local_epochs` must be
        1, its default.
    rounds : int, default 10
    batch_size : int, default 32
        The number of samples of a step, in each shard.
    shuffle : bool or "blocks", default True
        Whether to shuffle each shard in every epoch, see `MLP.fit`.
    scale_rate : float or "auto", default "auto"
        The factor of all learning rates, above 0, which is reached in equal parts over the first
        five rounds, of whatever length. The mean of V shards has taken 1 / V of the steps of an
        epoch, which larger steps make up for: "auto" is V, at most 4, and at most 8 for adam and
        adamw.
    sample_weight : array-like or dask array (n_samples,), optional
        The weight of each sample in the loss. Shards count equally, whatever their weights.
    class_weight : dict, array-like (n_classes,) or "balanced", optional
        See `MLP.fit`; "balanced" counts the samples of all shards.
    validation_data : tuple (X, y) or (X, y, sample_weight), optional
        Scored after every round, never trained on.
    metrics : str, callable or a list of them, optional
        Scores of the validation data; see `MLP.fit`.
    callbacks : list of callbacks.Callback, optional
        A round is an epoch to them.
    checkpoint : path, optional
        Where the network is saved after every round, atomically. `fastmlp.load` reads the file.
    resume : bool or path, default False
        Resume from `checkpoint`, if it exists already, or from another file that this function
        wrote. With the same arguments and data, training ends with the same bits as without an
        interruption.
    verbose : bool, default False
        Show a bar of the rounds, with the loss, the first score, and the bytes of weights that a
        round has moved.

    Returns
    -------
    MLP
        The model. `history_` has a value for each round: "loss", the mean over all samples of the
        last epoch, or of `local_steps` (NaN if none of these has a weight), "validation_loss" and
        the scores. Schedules of the learning rate count the steps of one shard.

    Warns
    -----
    DivergenceWarning
        If a loss, a weight or a moment is NaN or infinite: training stops with the weights of the
        last round.
    ShortRoundsWarning
        If a round on a cluster computes for less than a second.

    Raises
    ------
    ValueError, TypeError
        For invalid arguments or data, which names the shard. Nothing is changed, unless a worker
        reads other data in a later round.
    RuntimeError
        If the cluster is lost, or if this network is already being trained. Finished rounds are
        kept.
    ImportError
        If `client` is not False and Dask is missing: ``pip install "fastmlp[dask]"``.
    KeyboardInterrupt
        After Ctrl-C; finished rounds are kept.

    Notes
    -----
    The mean of weights is that of McMahan et al., Communication-Efficient Learning of Deep
    Networks from Decentralized Data, AISTATS 2017, section 2, with shards of equal weight; the
    factor and its warm-up are those of Goyal et al., Accurate, Large Minibatch SGD, 2017,
    section 2.1 and 2.2, for the shards in place of the size of the batch.

    Examples
    --------
    >>> import fastmlp.dask
    >>> from fastmlp import MLP, datasets
    >>> X, y = datasets.digits()
    >>> mlp = MLP([64, 32, 10], input_scale=1 / 16, random_state=0)
    >>> fastmlp.dask.fit(mlp, X, y, client=False, rounds=30).score(X, y) > 0.95
    True
    """
    if not isinstance(model, MLP):
        raise TypeError(must("model", "be an MLP", shown(model)))
    state = model._state
    n_shards = checks.whole_number("n_shards", n_shards, 1, MOST_SHARDS)
    epochs, steps = epochs_or_steps(local_epochs, local_steps)
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
        validation = reader.batch("validation_data", in_memory(validation_data, client))
    sample_weights.check_has_classes(class_weight, state.loss, state.network.sizes[-1])
    options = Options(
        n_shards,
        epochs,
        steps,
        checks.whole_number("rounds", rounds, 0),
        checks.whole_number("batch_size", batch_size, 1),
        shuffle,
        rates.rate_factor(scale_rate, state.settings.optimizer, n_shards),
        class_weight,
        chosen,
        validation is not None,
        checkpoint_path(checkpoint),
        names,
    )
    resumes = resumes_from(resume, options.checkpoint)
    runner = runner_of(client)
    watching = CallbackList(callbacks, model)
    if checks.flag("verbose", verbose):
        watching = CallbackList([*watching, RoundsProgress(runner)], model)
    try:
        form = Format(
            job_settings(state.settings), state.class_name, names, n_shards, callable(source)
        )
        sizes = runner.load(form, source, validation)
        names = sources.common_names(names, sizes)
        if names is None:
            names = reader.feature_names  # only the validation data have names
        Reader(state, names).check_names("validation_data[0]", reader.feature_names)
        options = options._replace(feature_names=names)
        Rounds(state, options, sizes, runner, watching).run(resumes)
    finally:
        runner.close()
    return model


def runner_of(client: Any) -> InProcess | OnCluster:
    """Return what computes rounds where the argument `client` says."""
    return InProcess() if client is False else OnCluster(client)


def epochs_or_steps(local_epochs: Any, local_steps: Any) -> tuple[int, int | None]:
    """Return how long each shard trains in a round: so many epochs, or steps unless it is None."""
    epochs = checks.whole_number("local_epochs", local_epochs, 1, MOST_LOCAL)
    if local_steps is None:
        return epochs, None
    steps = checks.whole_number("local_steps", local_steps, 1, MOST_LOCAL)
    if epochs != 1:
        raise ValueError(must("local_epochs", "be 1 if `local_steps` is given", f"{epochs}"))
    return epochs, steps


def checkpoint_path(checkpoint: Any) -> str | None:
    """Return the path of the checkpoint, at which a file can be written; None for none."""
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise TypeError(must("checkpoint", "be None or a path", shown(checkpoint)))
    path = files.file_name(checkpoint, "checkpoint")
    files.check_writable(path)
    return path


def resumes_from(resume: Any, checkpoint: str | None) -> str | None:
    """Return the path to resume from; None to begin."""
    if resume is None or resume is False:
        return None
    if resume is not True:
        if not isinstance(resume, (str, os.PathLike)):
            raise TypeError(must("resume", "be True, False or a path", shown(resume)))
        path = files.file_name(resume, "resume")
        open(path, "rb").close()  # if it is missing, this is said before the data are read
        return path
    if checkpoint is None:
        raise ValueError(must("resume", "be a path, or True with `checkpoint`", "True without one"))
    return checkpoint if os.path.exists(checkpoint) else None
