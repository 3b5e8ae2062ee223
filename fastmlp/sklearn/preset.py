"""`preset="tabular"`: what was measured to work on tables, in place of scikit-learn's defaults."""

from __future__ import annotations

import functools
import inspect
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from fastmlp.sklearn import draws
from fastmlp.sklearn.encoder import TableEncoder

# All numbers of the preset are here. They were chosen on the development half of the tables of
# asv_benches/tables, as its tables.md says.
#: Parameters of the estimators, instead of their defaults.
TABULAR: dict[str, Any] = {
    "hidden_layer_sizes": (128, 128, 128),
    "activation": "silu",
    "alpha": 0.0,
    "dropout": 0.3,
    "learning_rate": "cyclic_cosine",
    "learning_rate_init": 0.006,
    "max_iter": 100,
    "early_stopping": True,
    "validation_fraction": 0.15,
    "n_iter_no_change": np.inf,
}
#: Parameters of the `TableEncoder`.
ENCODER: dict[str, Any] = {
    "min_frequency": 2,
    "max_categories": 100,
    "n_harmonics": "auto",
    "dtype": np.float32,
}
#: With fewer samples than `FEW` none are held out, unless the user asks for it: so few choose the
#: epoch badly. The last one is kept, after training with these numbers in place of the others.
FEW = 300
TABULAR_FEW: dict[str, Any] = {"early_stopping": False, "learning_rate_init": 0.0015}
ENCODER_FEW: dict[str, Any] = {"n_harmonics": 0}
#: The fewest and most samples of a minibatch, and how many minibatches an epoch has between.
LEAST_BATCH, MOST_BATCH, BATCHES = 64, 256, 20


def in_effect(estimator: Any) -> Any:
    """Return the parameters with which an estimator trains and predicts.

    They are its own; once a fit with a preset has begun, those of the preset where its own are the
    defaults. The preset's are kept with the estimator: those of another release may differ.
    """
    if not estimator._has_preset:
        return estimator
    chosen, of_preset = {}, estimator.preset_parameters_
    kind: Any = type(estimator)
    for name, default in _defaults_of(kind).items():
        value = getattr(estimator, name)
        chosen[name] = of_preset.get(name, value) if _equal(value, default) else value
    return SimpleNamespace(**chosen)


@functools.cache
def _defaults_of(kind: Any) -> dict[str, Any]:
    """Return the defaults of the parameters of a class of estimators."""
    return {name: each.default for name, each in inspect.signature(kind).parameters.items()}


def _equal(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def has_few(estimator: Any, n_samples: int, validates: bool) -> bool:
    """Whether a fit to so many samples, perhaps with X_val, is one to few of them."""
    return n_samples < FEW and not validates and not estimator.early_stopping


def new_encoder(few: bool = False) -> TableEncoder:
    """Return the encoder of a preset, which is not fitted yet."""
    return TableEncoder(**ENCODER | (ENCODER_FEW if few else {}))


def auto_batch_size(estimator: Any, n_samples: int) -> int:
    """Return what ``batch_size="auto"`` is for an epoch of `n_samples`."""
    if not estimator._has_preset:
        return min(200, n_samples)
    return min(max(LEAST_BATCH, n_samples // BATCHES), MOST_BATCH, n_samples)


class Split(NamedTuple):
    """Which samples are trained on, and which are held out."""

    rows: np.ndarray | None  # None for all
    held_out: np.ndarray


def split(n: int, source: Any, fraction: float, labels: np.ndarray | None) -> Split:
    """Draw which of n samples are trained on and which are held out.

    With too few samples to hold out two of them and to keep two, all are both.

    Parameters
    ----------
    n : int
    source : RandomState
    fraction : float
    labels : array (n,) or None
        The classes, by which held-out samples are stratified if that is possible.
    """
    n_held_out = int(np.ceil(fraction * n))
    if n_held_out < 2 or n - n_held_out < 2:
        return Split(None, np.arange(n))
    strata = None if labels is None else _strata(labels, n_held_out)
    return Split(*draws.split(n, source, fraction, strata))


def _strata(labels: np.ndarray, n_held_out: int) -> np.ndarray | None:
    """Return the classes by which held-out samples are stratified, None for none.

    Classes of one sample are one stratum; if there is only one of them, it joins the largest class.
    """
    _, of_each, counts = np.unique(labels, return_inverse=True, return_counts=True)
    single = counts == 1
    if single.any():
        other = int(counts.argmax()) if single.sum() == 1 else int(single.argmax())
        of_each = np.where(single[of_each], other, of_each)
    n_strata = len(np.unique(of_each))
    return of_each if 1 < n_strata <= min(n_held_out, len(labels) - n_held_out) else None
