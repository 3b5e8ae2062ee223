"""Predictions for the collections of Dask, which are computed block by block when they are used."""

from __future__ import annotations

import hashlib
import pickle
import sys
from typing import Any, NamedTuple

import numpy as np

from fastmlp.base import BaseNetwork
from fastmlp.core.machine.processor import usable_threads
from fastmlp.core.machine.shares import limited_to
from fastmlp.dask.collections import check_kind, check_width, is_collection, is_frame
from fastmlp.messages import must, shown
from fastmlp.mlp import MLP
from fastmlp.tables.extras import pandas
from fastmlp.training.reading import Reader, names_of


def predict(model: Any, X: Any) -> Any:
    """Return the prediction for each row of X, of a collection of Dask lazily.

    Parameters
    ----------
    model : MLP, NeuralNet or a fitted estimator of fastmlp.sklearn or fastmlp.dask
        The result depends on the model as it is now, not on what is changed later. Its class is
        the same in every process that computes.
    X : array-like, dask array or dask data frame (n_samples, n_in)
        As in `predict` of the model. Only a block of a dask array, or a partition of a data frame,
        is in memory at a time for each thread; blocks may be sparse, empty, and of unknown lengths.

    Returns
    -------
    array, dask array, dask series or dask data frame
        For a collection nothing is computed yet. For a dask array of any chunks it is a dask array
        of the type and shape that `predict` of the model has, with the same chunks of rows; for a
        data frame, a series with the same index and divisions, or a data frame if there are several
        outputs. For others it is what `predict` of the model returns, with the same bits.

    Raises
    ------
    ValueError, TypeError
        For X with other columns, and for other models. When the result is computed, for values that
        the model refuses: the message names the block or partition.

    Notes
    -----
    The threads of a worker, or of this process, are shared by the blocks that are computed at the
    same time.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastmlp.dask
    >>> from fastmlp import MLP, datasets
    >>> X, y = datasets.digits()
    >>> mlp = MLP([64, 32, 10], input_scale=1 / 16, random_state=0).fit(X, y, epochs=5)
    >>> lazy = fastmlp.dask.predict(mlp, da.from_array(X, chunks=(500, 64)))
    >>> lazy.shape, lazy.dtype
    ((1797,), dtype('int64'))
    >>> bool((lazy.compute() == mlp.predict(X)).all())
    True
    """
    return _predicted(model, "predict", X)


def predict_proba(model: Any, X: Any) -> Any:
    """Return the probabilities of each row of X, of a collection of Dask lazily.

    Parameters, errors and kinds of results are those of `predict`. The result of a data frame has
    a column for each class.

    Raises
    ------
    AttributeError
        For a model of regression.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastmlp.dask
    >>> from fastmlp import MLP
    >>> mlp = MLP([4, 8, 3], random_state=0)
    >>> fastmlp.dask.predict_proba(mlp, da.ones((1000, 4), chunks=(100, 2))).chunks[1]
    (3,)
    """
    return _predicted(model, "predict_proba", X)


def _predicted(model: Any, method: str, X: Any) -> Any:
    if not (isinstance(model, BaseNetwork) or _is_estimator(model)):
        requirement = "be an MLP, a NeuralNet or an estimator of fastmlp"
        raise TypeError(must("model", requirement, shown(model)))
    if is_collection(X):
        return lazily(model, method, X)
    return getattr(model, method)(X)


class Result(NamedTuple):
    """What a method of a model returns for each row."""

    dtype: Any
    n_columns: int | None  # None for one value
    columns: list[Any]  # of a data frame

    def empty(self) -> np.ndarray:
        """Return the result for no rows."""
        return np.empty((0,) if self.n_columns is None else (0, self.n_columns), self.dtype)


def lazily(model: Any, method: str, X: Any) -> Any:
    """Return what a method of a model returns for each row of a collection, not computed yet.

    Parameters
    ----------
    model : MLP, NeuralNet or estimator
    method : str
        "predict", "predict_proba" or "predict_log_proba".
    X : dask array or dask data frame

    Raises
    ------
    ValueError, TypeError
    """
    import dask

    check_kind("X", X)
    result = _result_of_estimator(model, method)
    if result is None:
        result = _result_of_network(model, method)
    _check_columns(model, X)
    # A copy that the tasks share, whose name is its content: dask may keep results by their names.
    pickled = _pickled(model)
    token = hashlib.sha256(pickled).hexdigest()[:32]
    name = f"fastmlp_model-{token}"
    shared = dask.delayed(pickle.loads, pure=True)(pickled, dask_key_name=name)
    if is_frame(X):
        return _of_frame(X, shared, method, result)
    return _of_array(X, shared, method, result, token)


def _of_array(X: Any, model: Any, method: str, result: Result, token: str) -> Any:
    import dask

    X = X if len(X.chunks[1]) == 1 else X.rechunk({1: -1})
    rows, meta = X.chunks[0], result.empty()
    shape: dict[str, Any] = {"drop_axis": 1, "chunks": (rows,)}
    if result.n_columns is not None:
        shape = {"chunks": (rows, (result.n_columns,))}
    name = f"fastmlp_{method}-{dask.base.tokenize(X.name, token, method)}"
    return X.map_blocks(
        _of_block, model, method, meta, dtype=result.dtype, meta=meta, name=name, **shape
    )


def _of_block(
    X: Any, model: Any, method: str, empty: np.ndarray, block_id: tuple[int, ...] | None = None
) -> Any:
    """Return what a method of a model returns for the rows of a block."""
    return _found(X, model, method, empty, f"block {block_id[0]} of " if block_id else "")


def _found(X: Any, model: Any, method: str, empty: np.ndarray, place: str) -> np.ndarray:
    if X.shape[0] == 0:
        return empty
    try:
        with limited_to(_threads_here()):
            found: Any = getattr(model, method)(X)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{place}`X`: {error}") from None
    return found.toarray() if hasattr(found, "tocsr") else found


def _of_frame(X: Any, model: Any, method: str, result: Result) -> Any:
    empty = result.empty()
    meta = _like(X._meta, empty, result.columns)
    return X.map_partitions(
        _of_partition, model, method, empty, result.columns, meta=meta, enforce_metadata=False
    )


def _of_partition(
    X: Any,
    model: Any,
    method: str,
    empty: np.ndarray,
    columns: list[Any],
    partition_info: Any = None,
) -> Any:
    place = f"partition {partition_info['number']} of " if partition_info else ""
    return _like(X, _found(X, model, method, empty, place), columns)


def _like(frame: Any, found: np.ndarray, columns: list[Any]) -> Any:
    """Return predictions with the index of a frame."""
    if found.ndim == 1:
        return pandas().Series(found, index=frame.index)
    return pandas().DataFrame(found, index=frame.index, columns=columns)


def _threads_here() -> int:
    """Return how many threads all blocks together may use that are computed here."""
    distributed = sys.modules.get("distributed")
    if distributed is not None:
        try:
            return int(distributed.get_worker().state.nthreads)
        except ValueError:  # not a task of a worker
            pass
    return usable_threads()


# Models ------------------------------------------------------------------------------------------


def _is_estimator(model: Any) -> bool:
    """Whether this is an estimator of `fastmlp.sklearn`, which is not imported to find out."""
    module = sys.modules.get("fastmlp.sklearn.estimator_files")
    return module is not None and isinstance(model, module.SavedEstimator)


def _pickled(model: Any) -> bytes:
    """Return a model as bytes; cloudpickle, which Dask needs, knows functions of users as well."""
    try:
        return pickle.dumps(model, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        found: bytes = cloudpickle.dumps(model)
        return found


def _result_of_network(model: BaseNetwork, method: str) -> Result:
    """Return what `MLP.predict` or `MLP.predict_proba` says that it returns."""
    state = model._state
    task, n_out, dtype = state.settings.loss.task, state.network.sizes[-1], state.network.dtype
    if method == "predict_proba":
        if task == "values":
            MLP._of(state).predict_proba(None)  # raises the error, before it reads X
        return Result(dtype, n_out, list(range(n_out)))
    n_columns = None if n_out == 1 or task == "classes" else n_out
    return Result(dtype if task == "values" else np.dtype(np.int64), n_columns, list(range(n_out)))


def _result_of_estimator(model: Any, method: str) -> Result | None:
    """Return what a method of an estimator says that it returns; None for a network."""
    if isinstance(model, BaseNetwork):
        return None
    from sklearn.base import is_classifier
    from sklearn.utils.validation import check_is_fitted

    getattr(model, method)  # raises an error for probabilities of a regressor
    check_is_fitted(model)
    first = model.estimators_[0] if hasattr(model, "estimators_") else model
    dtype, n = first.coefs_[0].dtype, first.n_outputs_
    if not is_classifier(model):
        dtype = np.dtype(np.float64) if first._has_preset else dtype
        return Result(dtype, None if n == 1 else n, list(range(n)))
    classes = np.asarray(model.classes_)
    if method == "predict":
        from fastmlp.sklearn.classes import is_multilabel

        if is_multilabel(first):
            return Result(np.dtype(np.int64), n, list(classes))
        return Result(classes.dtype, None, [])
    return Result(dtype, max(n, 2), list(classes))


def _check_columns(model: Any, X: Any) -> None:
    """Raise an error if X has other columns than the model knows."""
    names = None if (known := getattr(model, "feature_names_in_", None)) is None else known.tolist()
    Reader(None, names).check_names("X", names_of(X))  # type: ignore[arg-type]
    n_in = model._state.network.sizes[0] if isinstance(model, BaseNetwork) else model.n_features_in_
    check_width(X, n_in)
