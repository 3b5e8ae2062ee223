"""Train and test splits for the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_NAMED = 5  # classes in a message


def drawn_split(
    labels: np.ndarray, source: np.random.RandomState, share: float = 0.2
) -> tuple[Any, Any]:
    """Draw a share of every class; return the rows to train on and those held out, both sorted.

    The rows are sorted by class, shuffled within each class, and every fifth row, for a share of
    0.2, is held out, from a random start. So that share of the samples of each class is held out,
    rounded up or down, and of all samples. A class with a single sample is used for training, as is
    at least one sample of every other class: at most half of the rows of such classes are held out.

    Parameters
    ----------
    labels : array (n_samples,)
    source : RandomState
        The source of random numbers.
    share : float
        At most 0.5.

    Returns
    -------
    train, held_out : arrays of int64
    """
    classes, counts = _classes(labels)
    rows = source.permutation(len(labels))
    if len(counts) > 1:  # not for one class: each step takes as much memory as `rows`
        rows = rows[np.argsort(classes[rows], kind="stable")]
    if (counts <= 1).any():
        rows = rows[(counts > 1)[classes[rows]]]
    n_held_out = min(int(len(labels) * share), len(rows) // 2)
    is_held_out = np.zeros(len(labels), bool)
    if n_held_out > 0:
        start = source.randint(len(rows))
        is_held_out[rows[(start + np.arange(n_held_out) * len(rows)) // n_held_out]] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each sample, counted from 0 in the order of labels, and their sizes."""
    if labels.dtype.kind in "iu" and len(labels) > 0 and labels.min() >= 0:
        if labels.max() < len(labels):  # they are positions of classes already
            return labels, np.bincount(labels)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return classes, counts


def last_split(labels: np.ndarray) -> tuple[Any, Any]:
    """Hold out the last fifth, for time series; return the slices (train, held_out)."""
    n_train = len(labels) - len(labels) // 5
    return slice(0, n_train), slice(n_train, len(labels))


def gaps(train: np.ndarray, held_out: np.ndarray) -> list[str]:
    """Return sentences about classes that only one of two arrays of labels has."""
    unknown, unmeasured = np.setdiff1d(held_out, train), np.setdiff1d(train, held_out)
    sentences = []
    if len(unknown) > 0:
        n = np.count_nonzero(np.isin(held_out, unknown))
        sentences.append(
            f"{n} of the {len(held_out)} held-out samples belong to classes without a training "
            f"sample: {_listed(unknown)}; without --no-shuffle, every class is split"
        )
    if len(unmeasured) > 0:
        sentences.append(
            "the accuracy says nothing about classes without a held-out sample: "
            f"{_listed(unmeasured)}"
        )
    return sentences


def _listed(classes: np.ndarray) -> str:
    """List some classes, and the number of others."""
    named = ", ".join(map(str, classes[:MAX_NAMED].tolist()))
    others = len(classes) - MAX_NAMED
    return f"{named} and {others} more" if others > 0 else named
