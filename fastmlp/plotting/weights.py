"""`FirstLayerWeightsDisplay`: the weights of each unit of the first layer, as an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastmlp.base import BaseNetwork
from fastmlp.messages import must, shown
from fastmlp.plotting import axes
from fastmlp.plotting.models import network_of
from fastmlp.validation import checks

MOST = 100  # units, unless `max_units` is given
SHOWN = 0.995  # the share of the weights within the scale, which a few large ones would make coarse


class FirstLayerWeightsDisplay:
    """The weights of the first layer, with an image of the inputs for each unit.

    Zero is in the middle of the scale, which has the same length on both sides. Colours become
    lighter from negative to positive weights, so that their signs can also be told in grey.

    Parameters
    ----------
    weights : array (n_units, n_in)
    shape : tuple of int or None, default None
        Of an image: (height, width), (height, width, 3) or (3, height, width) for red, green and
        blue. None is a square.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        All images side by side.
    units_ : array of int
        Which units are drawn, row by row.
    limit_ : float
        The largest absolute weight of the scale.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastmlp import NeuralNet
    >>> from fastmlp.plotting import FirstLayerWeightsDisplay
    >>> net = NeuralNet([64, 6, 10], random_state=0)
    >>> display = FirstLayerWeightsDisplay.from_estimator(net, ax=Figure().subplots())
    >>> display.shape, len(display.units_)
    ((8, 8), 6)
    """

    def __init__(self, weights: Any, *, shape: Sequence[int] | None = None):
        self.weights = np.asarray(weights, np.float64)
        if self.weights.ndim != 2 or 0 in self.weights.shape:
            requirement = "have a row of weights for each unit"
            raise ValueError(must("weights", requirement, f"shape {self.weights.shape}"))
        self.shape = _checked_shape(shape, self.weights.shape[1])

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, shape: Sequence[int] | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draw the first layer of a network or an estimator.

        Parameters
        ----------
        estimator : MLP, NeuralNet, `sklearn.MLPClassifier`, `sklearn.MLPRegressor`
            Or scikit-learn's, also as the last step of a pipeline or the best of a search.
        shape : tuple of int or None, default None
            As for the class.
        ax : matplotlib Axes or None, default None
            None creates a figure.
        **options
            Of `plot`.

        Returns
        -------
        FirstLayerWeightsDisplay
            It has been drawn.

        Raises
        ------
        ValueError
            If the inputs do not have the shape, or no square without `shape`.
        ImportError
            If matplotlib is missing.
        """
        axes.library("axes", cls.__name__)
        network = network_of(estimator)
        if isinstance(network, BaseNetwork):
            weights = np.asarray(network.weights[0])
        elif hasattr(network, "coefs_"):
            weights = np.asarray(network.coefs_[0]).T
        else:
            requirement = "be a network or a fitted estimator of one"
            raise ValueError(must("estimator", requirement, type(network).__name__))
        display = cls(weights, shape=shape)
        display.plot(ax, **options)
        return display

    def plot(
        self,
        ax: Any = None,
        *,
        max_units: int | None = None,
        limit: float | None = None,
        cmap: Any = axes.CMAP,
        colorbar: bool = True,
    ) -> Any:
        """Draw an image for each unit.

        Parameters
        ----------
        ax : matplotlib Axes or None, default None
            None creates a figure.
        max_units : int or None, default None
            If there are more units, those with the largest weights (by their Euclidean norm) are
            drawn, in this order; otherwise all, in their own. None is 100.
        limit : float or None, default None
            The largest absolute weight of the scale; None is the largest of the weights that are
            drawn, apart from 0.5 % of them.
        cmap : str or matplotlib Colormap, default "cividis"
            Not for red, green and blue.
        colorbar : bool, default True

        Returns
        -------
        matplotlib Axes
            `ax_`.
        """
        most = MOST if max_units is None else checks.whole_number("max_units", max_units, 1)
        if limit is not None:
            checks.above_zero("limit", limit)
        self.ax_ = ax = axes.axes(ax, type(self).__name__)
        self.figure_ = ax.figure
        n_units = len(self.weights)
        self.units_ = np.arange(n_units)
        if n_units > most:
            norms = np.linalg.norm(self.weights, axis=1)
            self.units_ = np.argsort(-norms, kind="stable")[:most]
        drawn = self.weights[self.units_]
        finite = np.abs(drawn[np.isfinite(drawn)])
        largest = float(finite.max(initial=0.0))
        if limit is None and largest > 0:
            limit = float(np.quantile(finite, SHOWN, method="higher")) or largest
        self.limit_ = limit or 1.0
        tiles = _as_images(drawn, self.shape)
        width, height = axes.size_in_points(ax)
        room = 0.8 if colorbar and tiles.ndim == 3 else 1.0
        mosaic = _mosaic(tiles, room * width / height)
        if mosaic.ndim == 3:
            self.image_ = ax.imshow(_as_colors(mosaic, self.limit_), interpolation="nearest")
        else:
            self.image_ = ax.imshow(
                np.ma.masked_invalid(mosaic), cmap=cmap, vmin=-self.limit_, vmax=self.limit_,
                interpolation="nearest",
            )  # fmt: skip
            if colorbar:
                extend = "both" if largest > self.limit_ else "neither"
                self.figure_.colorbar(self.image_, ax=ax, label="weight", extend=extend)
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
        n_drawn = len(self.units_)
        units = f"{n_units:,} unit{'s' * (n_units != 1)}"
        ax.set_xlabel(units if n_drawn == n_units else f"the largest {n_drawn:,} of {units}")
        return ax


def _checked_shape(shape: Any, n_in: int) -> tuple[int, ...]:
    if shape is None:
        side = math.isqrt(n_in)
        if side * side != n_in:
            requirement = f"be given for {n_in} inputs, which are no square"
            raise ValueError(must("shape", requirement, "None"))
        return side, side
    requirement = f"be (height, width), or with 3 colours, of {n_in} inputs"
    try:
        sizes = tuple(checks.whole_number("shape", size, 1) for size in shape)
    except (TypeError, ValueError):
        raise ValueError(must("shape", requirement, shown(shape))) from None
    has_colors = len(sizes) == 3 and (sizes[2] in (1, 3) or sizes[0] in (1, 3))
    if math.prod(sizes) != n_in or not (len(sizes) == 2 or has_colors):
        raise ValueError(must("shape", requirement, shown(shape)))
    return sizes


def _as_images(weights: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image for each unit: (n_units, height, width), or with 3 colours at the end."""
    images = weights.reshape(-1, *shape)
    if len(shape) == 3:
        if shape[2] not in (1, 3):  # colours first, as in PyTorch
            images = np.moveaxis(images, 1, 3)
        if images.shape[3] == 1:
            images = images[..., 0]
    return images


def _mosaic(tiles: np.ndarray, ratio: float) -> np.ndarray:
    """Return tiles side by side, with gaps of NaN, in as many columns as make them largest.

    `ratio` is the width of the axes divided by their height.
    """
    n, height, width = tiles.shape[:3]
    gap = max(1, round(min(height, width) / 12))

    def size(n_columns: int) -> float:
        n_rows = -(-n // n_columns)
        return min(ratio / (n_columns * (width + gap)), 1 / (n_rows * (height + gap)))

    n_columns = max(range(1, n + 1), key=size)
    n_rows = -(-n // n_columns)
    whole = np.full((n_rows * n_columns, height + gap, width + gap, *tiles.shape[3:]), np.nan)
    whole[:n, :height, :width] = tiles
    whole = whole.reshape(n_rows, n_columns, height + gap, width + gap, *tiles.shape[3:])
    whole = np.moveaxis(whole, 2, 1)
    whole = whole.reshape(n_rows * (height + gap), n_columns * (width + gap), *tiles.shape[3:])
    return whole[:-gap, :-gap]


def _as_colors(mosaic: np.ndarray, limit: float) -> np.ndarray:
    """Return red, green, blue and opacity of weights, whose zero is the middle of each."""
    colors = np.clip(0.5 + mosaic / (2 * limit), 0, 1)
    is_tile = np.isfinite(colors).all(axis=2, keepdims=True)
    return np.concatenate([np.where(is_tile, colors, 0), is_tile], axis=2)
