"""Images and labels from files, for the command line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastmlp.datasets import read_idx
from fastmlp.messages import must, short

IMAGES = 10_000  # that are predicted at a time


def read_array(path: str) -> np.ndarray:
    """Read an IDX or a .npy file; raises ``ValueError`` if it is neither, or damaged."""
    with open(path, "rb") as file:
        magic = file.read(6)
        if magic != b"\x93NUMPY" and not path.endswith(".npy"):
            return read_idx(path)
        file.seek(0)
        try:
            # Reads .npy only: np.load would also read archives and pickles.
            return np.lib.format.read_array(file, allow_pickle=False)
        except ValueError as error:
            got = f"a damaged or different file ({short(str(error), 120)})"
            raise ValueError(must(short(path, 150), "be a valid .npy file", got)) from error


def read_images(path: str) -> np.ndarray:
    """Read images as rows of numbers, ``(n_samples, n_in)``, in the type they are stored in."""
    images = read_array(path)
    if images.ndim < 2 or images.dtype.kind not in "buif":
        requirement = "hold images: real numbers in 2 dimensions or more"
        got = f"{images.dtype} of shape {images.shape}"
        raise ValueError(must(short(path, 150), requirement, got))
    return images.reshape(len(images), math.prod(images.shape[1:]))


def read_labels(path: str, n_samples: int) -> np.ndarray:
    """Read class numbers, ``(n_samples,)``, as int64."""
    labels = read_array(path)
    if labels.shape != (n_samples,) or labels.dtype.kind not in "ui":
        requirement = f"hold {n_samples} integer labels, one for each image"
        got = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(must(short(path, 150), requirement, got))
    labels = labels.astype(np.int64)
    if n_samples and labels.min() < 0:
        raise ValueError(must(short(path, 150), "hold labels of at least 0", f"{labels.min()}"))
    return labels


def find_scale(path: str, X: np.ndarray) -> float:
    """Return the smallest power of two that is at least every ``|x|``; 1 if all are 0.

    Dividing by a power of two only changes the exponent of a number, so nothing is rounded.
    """
    # Python's ints, because -128 as int8 has no absolute value in int8.
    largest = max(abs(X.min().item()), abs(X.max().item()))
    if not math.isfinite(largest):
        row = int(np.argmin(np.isfinite(X).all(axis=1)))
        raise ValueError(must(short(path, 150), "be finite", f"NaN or infinity in row {row}"))
    mantissa, exponent = math.frexp(largest)  # largest == mantissa * 2 ** exponent
    if mantissa == 0.5:  # `largest` is itself a power of two
        exponent -= 1
    if abs(exponent) > 64:
        requirement = (
            "have a largest absolute value between 2 ** -64 and 2 ** 64, so that float32 can "
            "represent it and the other values"
        )
        raise ValueError(must(short(path, 150), requirement, f"{largest:g}"))
    return math.ldexp(1.0, exponent)


def parts(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield all images in pieces, at least one, so that what is predicted for it is small."""
    for start in range(0, max(len(X), 1), IMAGES):
        yield X[start : start + IMAGES]


def number_of_classes(net: Any) -> int:
    """Return how many classes a network predicts; ValueError for networks that predict none.

    A single logistic output is the probability of class 1.
    """
    loss = getattr(net, "loss", None)
    name = "softmax" if loss is None else type(loss).__name__.lower()
    n_out = int(net.layers[-1])
    if name == "softmax":
        return n_out
    if name == "logistic" and n_out == 1:
        return 2
    raise ValueError(must("MODEL", "predict classes", f"a network with the loss {name}"))


def class_probabilities(net: Any, X: np.ndarray) -> np.ndarray:
    """Return the probability of each of the `number_of_classes`, (n_samples, n_classes)."""
    found = np.asarray(net.predict_proba(X)).reshape(len(X), -1)
    if found.shape[1] == number_of_classes(net):
        return found
    return np.concatenate([1 - found, found], axis=1)
