"""`fit_many`: train several networks at once, each in a thread of its own."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np

from fastmlp.base import BaseNetwork
from fastmlp.callbacks.output import bar_class
from fastmlp.core.machine.processor import usable_threads
from fastmlp.core.machine.shares import Share, raise_if_stopped, threads_of_this
from fastmlp.core.machine.workers import POLL_SECONDS
from fastmlp.messages import must, shown
from fastmlp.validation import checks, real_numbers

M = TypeVar("M")
SOURCES = (np.random.RandomState, np.random.Generator)


def fit_many(
    models: Sequence[M],
    X: Any,
    y: Any = None,
    *,
    n_threads: int | None = None,
    progress: bool = False,
    **fit_arguments: Any,
) -> list[M]:
    """Call ``fit`` of several models at once, and return them as a list.

    Each model is trained by one thread, and by more when fewer models are left than threads. Their
    compiled code does not hold Python's global lock, so that they train side by side. Parameters
    and history have the same bits as after ``model.fit(X, y, **fit_arguments)`` for one model after
    the other, unless several have ``random_state=None``: the order in which threads draw from
    NumPy's global state is random.

    Parameters
    ----------
    models : sequence of MLP, NeuralNet or estimators
        Different objects with different `random_state` objects, also in steps of pipelines. They
        may have different sizes and options. Anything with a method ``fit(X, y)`` is accepted, such
        as a scikit-learn `Pipeline`. They are fitted in place.
    X : array-like (n_samples, n_in), or sequence of one pair (X, y) for each model
        Shared by all models and not copied. Where networks of a dtype need a conversion of an
        array, it is made once. Pairs, such as the folds of a cross-validation, are given without y.
    y : array-like, optional
        See ``fit`` of the models.
    n_threads : int or None, default None
        The number of threads of all models together; None is the number of processors that this
        process may use. A model's own `n_threads` limits its share.
    progress : bool, default False
        Whether to show a bar with the number of models that are trained.
    **fit_arguments
        Other arguments of ``fit``, the same for each model, except `callbacks`: a sequence of one
        list for each model, because callbacks have a state.

    Returns
    -------
    list
        The models.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid. Nothing is trained.
    RuntimeError
        If models raised errors, after all others are trained. The message names the first of these
        models, and its error is the ``__cause__``.
    KeyboardInterrupt
        After Ctrl-C, when every model has finished its present run of at most 0.1 s.

    Examples
    --------
    >>> from fastmlp import MLP, datasets, fit_many
    >>> X, y = datasets.digits()
    >>> nets = [MLP([64, 32, 10], input_scale=1 / 16, random_state=seed) for seed in range(4)]
    >>> nets = fit_many(nets, X, y, epochs=20)
    >>> all(net.score(X, y) > 0.95 for net in nets)
    True
    """
    models = _checked_models(models)
    most = usable_threads() if n_threads is None else checks.thread_count(n_threads)
    progress = checks.flag("progress", progress)
    data, arguments = _data_of(models, X, y), _arguments_of(models, fit_arguments)
    most = min(most, threads_of_this())  # inside of another fit_many
    share, configured = Share(most, len(models)), _configuration()

    def fit(model: Any, pair: tuple[Any, ...], arguments: dict[str, Any]) -> None:
        with share.taken(), configured():
            model.fit(*pair, **arguments)

    calls = [(model, *rest) for model, *rest in zip(models, data, arguments, strict=True)]
    with bar_class()(total=len(calls), unit=" models", disable=not progress) as bar:
        errors = _run(fit, calls, most, share, bar.update)
    for number, error in errors.items():
        name = f"models[{number}], {shown(models[number])},"
        n_others = len(errors) - 1
        others = f"; {n_others} other{'s' * (n_others > 1)} failed too" if n_others else ""
        raise RuntimeError(f"{name} raised {type(error).__name__}: {error}{others}") from error
    return models


def _run(
    fit: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    n_threads: int,
    share: Share,
    after_each: Callable[[], Any],
) -> dict[int, BaseException]:
    """Run all calls, at most n_threads at a time; return the errors by the number of the call.

    Anything but an `Exception`, also in this thread, stops all of them and is raised.
    """
    futures: list[Future[None]] = []
    with ThreadPoolExecutor(max(1, min(n_threads, len(calls)))) as executor:
        try:
            for call in calls:  # with the context variables of this thread, such as np.errstate
                futures.append(executor.submit(contextvars.copy_context().run, fit, *call))
            left = set(futures)
            while left:  # on some systems, Ctrl-C does not interrupt a longer wait
                raise_if_stopped()
                ended, left = wait(left, POLL_SECONDS, FIRST_COMPLETED)
                for error in [future.exception() for future in ended]:
                    if error is not None and not isinstance(error, Exception):
                        raise error
                    after_each()
        except BaseException:
            share.stop()
            executor.shutdown(cancel_futures=True)
            raise
    found = ((number, future.exception()) for number, future in enumerate(futures))
    return {number: error for number, error in found if error is not None}


def _configuration() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Return what enters scikit-learn's configuration of this thread, which others do not have."""
    sklearn = sys.modules.get("sklearn")
    if sklearn is None:
        return contextlib.nullcontext
    return functools.partial(sklearn.config_context, **sklearn.get_config())


def _checked_models(models: Any) -> list[Any]:
    """Return the models as a list, which cannot disturb each other."""
    if isinstance(models, (str, bytes)) or not isinstance(models, Sequence | np.ndarray):
        raise TypeError(must("models", "be a sequence of models", shown(models)))
    models = list(models)
    for number, model in enumerate(models):
        if not callable(getattr(model, "fit", None)) or isinstance(model, type):
            requirement = "have a method `fit`, such as an MLP"
            raise TypeError(must(f"models[{number}]", requirement, shown(model)))
    _check_apart(models)
    return models


def _check_apart(models: list[Any]) -> None:
    """Raise ValueError if fits of two models would change the same object."""
    users: dict[int, tuple[int, Any]] = {}  # by id; the objects are kept, so that ids stay unique
    for number, model in enumerate(models):
        for part in _changed_by_fit(model):
            first, _ = users.setdefault(id(part), (number, part))
            names = f"models[{first}] and models[{number}] must"
            if first == number:
                continue
            if models[first] is model:
                raise ValueError(f"{names} be different objects")
            if isinstance(part, SOURCES):
                raise ValueError(
                    f"{names} have different random_state objects, because the order in which "
                    "threads draw from one is random; ints are better"
                )
            raise ValueError(f"{names} not share {shown(part)}, which each of them would fit")


def _changed_by_fit(model: Any) -> Iterator[Any]:
    """Yield a model, its source of random numbers, and the same of each step of a pipeline."""
    yield model
    source = getattr(model, "random_state", None)
    if isinstance(source, SOURCES):
        yield source
    for _, step in model.steps if hasattr(model, "named_steps") else ():
        if hasattr(step, "fit"):
            yield from _changed_by_fit(step)


def _data_of(models: list[Any], X: Any, y: Any) -> list[tuple[Any, ...]]:
    """Return the positional arguments of each model's fit; X is converted once for a dtype."""
    if y is None:
        return _pairs_of(models, X)
    converted: dict[Any, Any] = {}
    pairs = []
    for model in models:
        dtype = model._state.network.dtype if isinstance(model, BaseNetwork) else None
        if dtype not in converted:
            converted[dtype] = X if dtype is None else _as_read(X, dtype)
        pairs.append((converted[dtype], y))
    return pairs


def _pairs_of(models: list[Any], X: Any) -> list[tuple[Any, ...]]:
    requirement = f"be a sequence of {len(models)} pairs (X, y), one a model, if y is None"
    if not isinstance(X, Sequence) or isinstance(X, (str, bytes)):
        raise TypeError(must("X", requirement, shown(X)))
    if len(X) != len(models):
        raise ValueError(must("X", requirement, f"a sequence of {len(X)}"))
    for number, pair in enumerate(X):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(must(f"X[{number}]", "be a pair (X, y)", shown(pair)))
    return [tuple(pair) for pair in X]


def _as_read(X: Any, dtype: np.dtype[Any]) -> Any:
    """Return an array as the kernels of networks of this dtype read it: X itself if they can.

    Anything else than an array of numbers is left to each network's own checks.
    """
    if type(X) is not np.ndarray or X.dtype.kind not in real_numbers.KINDS:
        return X
    kept = X.dtype in (np.uint8, np.bool_, np.float16)
    return checks.readable(X, X.dtype if kept else dtype)


def _arguments_of(models: list[Any], fit_arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the keyword arguments of each model's fit."""
    if fit_arguments.get("verbose"):
        got = shown(fit_arguments["verbose"])
        raise ValueError(must("verbose", "be False; `progress` shows one bar for all models", got))
    if "callbacks" not in fit_arguments:
        return [fit_arguments] * len(models)
    callbacks = fit_arguments["callbacks"]
    requirement = f"be a sequence of {len(models)} lists, one a model"
    if not isinstance(callbacks, Sequence) or not all(isinstance(c, Sequence) for c in callbacks):
        raise TypeError(must("callbacks", requirement, shown(callbacks)))
    if len(callbacks) != len(models):
        raise ValueError(must("callbacks", requirement, f"a sequence of {len(callbacks)}"))
    owners: dict[int, int] = {}
    for number, of_model in enumerate(callbacks):
        for callback in of_model:
            if (first := owners.setdefault(id(callback), number)) != number:
                lists = f"callbacks[{first}] and callbacks[{number}]"
                raise ValueError(f"{lists} must not share {shown(callback)}, which has a state")
    return [fit_arguments | {"callbacks": list(c)} for c in callbacks]
