"""Datasets: handwritten digits, and files in the IDX format such as MNIST."""

from __future__ import annotations

from importlib import resources

import numpy as np

from fastmlp.datasets.idx import read_idx

__all__ = ["digits", "read_idx"]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Load 1,797 handwritten digits, images of 8 x 8 pixels.

    This is the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and
    C. Kaynak (UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49), used under
    CC BY 4.0: the images and order that scikit-learn's ``load_digits`` returns.

    Returns
    -------
    X : ndarray of uint8, shape (1797, 64)
        One image per row, its pixels line by line, from 0 (paper) to 16 (ink).
    y : ndarray of int64, shape (1797,)
        The digit on each image, 0 to 9.

    Every call returns new arrays.

    Examples
    --------
    >>> from fastmlp.datasets import digits
    >>> X, y = digits()
    >>> X.shape, int(X.max()), y[:5].tolist()
    ((1797, 64), 16, [0, 1, 2, 3, 4])
    """
    with resources.files(__name__).joinpath("digits.npz").open("rb") as file:
        with np.load(file, allow_pickle=False) as arrays:
            # The labels are bytes in the file; NumPy indexes with int64.
            return arrays["X"], arrays["y"].astype(np.int64)
