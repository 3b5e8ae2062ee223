"""Images and labels from files, for the command line (floor 5)."""

from __future__ import annotations

import math

import numpy as np

from fastmlp.datasets import read_idx


def read_array(path: str) -> np.ndarray:
    """Read an IDX or a .npy file; raises ``ValueError`` if it is neither, or damaged."""
    with open(path, "rb") as file:
        magic = file.read(6)
        if magic != b"\x93NUMPY" and not path.endswith(".npy"):
            return read_idx(path)
        file.seek(0)
        try:
            # Reads .npy alone: np.load would also take archives and pickles.
            return np.lib.format.read_array(file, allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{path} is not a readable .npy file: {error}") from error


def read_images(path: str) -> np.ndarray:
    """Read images as rows of numbers, ``(n_samples, n_in)``, in the type they are stored in."""
    images = read_array(path)
    if images.ndim < 2 or images.dtype.kind not in "buif":
        raise ValueError(
            f"{path} does not hold images: expected real numbers in 2 dimensions or more, found "
            f"{images.dtype} of shape {images.shape}."
        )
    return images.reshape(len(images), math.prod(images.shape[1:]))


def read_labels(path: str, n_samples: int) -> np.ndarray:
    """Read class numbers, ``(n_samples,)``, as int64."""
    labels = read_array(path)
    if labels.shape != (n_samples,) or labels.dtype.kind not in "ui":
        raise ValueError(
            f"{path} does not hold the labels: expected {n_samples} whole numbers, one for each "
            f"image, found {labels.dtype} of shape {labels.shape}."
        )
    labels = labels.astype(np.int64)
    if n_samples and labels.min() < 0:
        raise ValueError(f"{path} holds the label {labels.min()}: expected no negative one.")
    return labels


def find_scale(path: str, X: np.ndarray) -> float:
    """Find the smallest power of two that is no less than any ``|x|``; 1 for zeros alone.

    Dividing by a power of two only changes the exponent of a number, so nothing is rounded.
    """
    # Python's numbers, because the absolute value of int8's -128 is no int8.
    largest = max(abs(X.min().item()), abs(X.max().item()))
    if not math.isfinite(largest):
        row = int(np.argmin(np.isfinite(X).all(axis=1)))
        raise ValueError(f"{path} has NaN or infinity in row {row}; accepted are finite numbers")
    mantissa, exponent = math.frexp(largest)  # largest == mantissa * 2 ** exponent
    if mantissa == 0.5:  # the smallest there is: `largest` is a power of two itself
        exponent -= 1
    if abs(exponent) > 64:
        raise ValueError(
            f"The largest absolute value in {path} is {largest:g}: expected one between "
            "2 ** -64 and 2 ** 64, so that float32 can hold it and others beside it."
        )
    return math.ldexp(1.0, exponent)
