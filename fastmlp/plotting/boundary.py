"""`DecisionBoundaryDisplay`: what a model predicts for each point of a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.plotting import axes
from fastmlp.plotting.models import numbers, outputs_of
from fastmlp.validation import checks

MARGIN = 0.05  # of the range of each column, around the samples
MOST_NAMED = 8  # classes in a legend; more have a colour bar
LIGHT = 0.4  # the share of white in the colour of a class's region
RASTER = 2000  # from this many on, the samples are an image in vector formats


class DecisionBoundaryDisplay:
    """What a model predicts for each point of the plane of its two inputs, with the samples.

    Two classes: the probability of the second one, with a line where it is a half. More classes:
    the region of each, with lines between them; samples differ in marker as well as in colour.
    Regression: the predicted value.

    Parameters
    ----------
    xx0, xx1 : arrays (n_rows, n_columns)
        The coordinates of the points, as `numpy.meshgrid` returns them.
    response : array (n_rows, n_columns) or (n_rows, n_columns, n_classes)
        The probability of the second class, or a value if `classes` is None; or the probability of
        each class.
    classes : array-like (n_classes,) or None, default None
    X, y : array-like (n_samples, 2) and (n_samples,), or None, default None
        The samples; they are drawn if y is given.
    class_names : list or None, default None
        None is `classes`.
    xlabel, ylabel : str, default "" and ""

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    surface_ : matplotlib QuadContourSet or QuadMesh
    boundaries_ : list of matplotlib QuadContourSet
        The lines between classes.
    samples_ : list of matplotlib PathCollection
        Those of each class; one of all samples for regression.

    Notes
    -----
    `sklearn.inspection.DecisionBoundaryDisplay` takes no networks, and the arguments of its
    constructor differ between versions.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from fastmlp import MLP
    >>> from fastmlp.plotting import DecisionBoundaryDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> mlp = MLP([2, 8, 2], random_state=0).fit(X, y, epochs=20)
    >>> display = DecisionBoundaryDisplay.from_estimator(mlp, X, y, ax=Figure().subplots())
    >>> display.response.shape
    (200, 200)
    """

    def __init__(
        self,
        *,
        xx0: np.ndarray,
        xx1: np.ndarray,
        response: np.ndarray,
        classes: Any = None,
        X: Any = None,
        y: Any = None,
        class_names: Sequence[Any] | None = None,
        xlabel: str = "",
        ylabel: str = "",
    ):
        self.xx0, self.xx1, self.response = xx0, xx1, response
        self.classes, self.class_names = classes, class_names
        self.X, self.y = X, y
        self.xlabel, self.ylabel = xlabel, ylabel

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        grid_resolution: int = 200,
        output: int | None = None,
        class_names: Sequence[Any] | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw the predictions of a model of two inputs.

        Parameters
        ----------
        estimator : MLP, NeuralNet, or classifier or regressor of scikit-learn's kind
        X : array-like or DataFrame (n_samples, 2)
            Numbers, whose range is that of the picture.
        y : array-like (n_samples,) or None, default None
            The targets of the samples; None draws no samples.
        grid_resolution : int, default 200
            The number of points along each axis.
        output : int or None, default None
            The position of the label or value that is drawn, if there are several.
        class_names : list of str or None, default None
            Of each class of the model; None is the classes.
        xlabel, ylabel : str or None, default None
            None is the names of the columns of a data frame.
        ax : matplotlib Axes or None, default None
            None creates a figure.
        **options
            Of `plot`.

        Returns
        -------
        DecisionBoundaryDisplay
            It has been drawn.

        Raises
        ------
        ValueError, TypeError
            For other numbers of columns, columns without numbers, classes that the estimator does
            not have, and invalid arguments.
        ImportError
            If matplotlib is missing.
        """
        axes.library("axes", cls.__name__)
        n = checks.whole_number("grid_resolution", grid_resolution, 2, 10_000)
        points = _numbers(X)
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        margin = np.where(high > low, MARGIN * (high - low), 0.5)
        sides = [np.linspace(*ends, n) for ends in zip(low - margin, high + margin, strict=True)]
        xx0, xx1 = np.meshgrid(*sides)
        grid = np.stack([xx0.ravel(), xx1.ravel()], axis=1)
        task, classes, found = outputs_of(estimator, _like(X, grid))
        if task != "classes" and found.shape[1] > 1:
            if output is None or checks.whole_number("output", output, 0) >= found.shape[1]:
                requirement = f"be the position of one of {found.shape[1]} outputs"
                raise ValueError(must("output", requirement, shown(output)))
            found = found[:, [output]]
        if task == "labels":
            classes, found = np.arange(2), np.concatenate([1 - found, found], axis=1)
        if task == "values" or len(classes) == 2:
            found = found[:, -1]
        if y is not None:
            y = np.asarray(y)
            y = y[:, output or 0] if y.ndim == 2 and task != "classes" else y
            if y.ndim == 2:  # one-hot rows, or a column
                y = y[:, 0] if y.shape[1] == 1 else classes[y.argmax(axis=1)]
            if len(y) != len(points):
                raise ValueError(must("y", f"have {len(points)} values, as X", f"{len(y)}"))
            y = numbers("y", y) if task == "values" else _known(y, classes)
        if class_names is not None and task != "values" and len(class_names) != len(classes):
            requirement = f"have a name for each of {len(classes)} classes"
            raise ValueError(must("class_names", requirement, f"{len(class_names)}"))
        names = [*map(str, X.columns)] if hasattr(X, "columns") else ["first input", "second input"]
        display = cls(
            xx0=xx0, xx1=xx1, response=found.reshape(n, n, *found.shape[1:]), classes=classes,
            X=points, y=y, class_names=class_names,
            xlabel=names[0] if xlabel is None else xlabel,
            ylabel=names[1] if ylabel is None else ylabel,
        )  # fmt: skip
        display.plot(ax, **options)
        return display

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: Any = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Draw the predictions and the samples.

        Parameters
        ----------
        ax : matplotlib Axes or None, default None
            None creates a figure.
        cmap : str, matplotlib Colormap or None, default None
            None is "cividis" for probabilities and values, and "viridis" for classes.
        scatter_kwargs : dict or None, default None
            Arguments of `Axes.scatter`.

        Returns
        -------
        matplotlib Axes
            `ax_`.
        """
        self.ax_ = ax = axes.axes(ax, type(self).__name__)
        self.figure_ = ax.figure
        size = axes.font_size(ax)
        width, height = axes.size_in_points(ax)
        most = axes.letters(0.75 * width - 6 * size, size)  # beside the power of ten of the ticks
        ax.set_xlabel(axes.name_text(self.xlabel, min(30, most)))
        ax.set_ylabel(axes.name_text(self.ylabel, min(30, axes.letters(height, size))))
        ax.set_xlim(self.xx0.min(), self.xx0.max())
        ax.set_ylim(self.xx1.min(), self.xx1.max())
        self.boundaries_: list[Any] = []
        self.samples_: list[Any] = []
        self._style = {"edgecolors": "black", "linewidths": 0.6, "s": 28} | (scatter_kwargs or {})
        if self.classes is None:
            self._plot_values(cmap or axes.CMAP)
        elif np.ndim(self.response) == 2:
            self._plot_probability(cmap or axes.CMAP)
        else:
            self._plot_regions(cmap or axes.CLASS_CMAP)
        axes.thin_ticks(ax, type(self).__name__)
        ax.grid(False)
        return ax

    # Two classes, values and regions --------------------------------------------------------------

    def _plot_probability(self, cmap: Any) -> None:
        """Shade the probability of the second class, with a line at a half."""
        self.surface_ = self.ax_.contourf(
            self.xx0, self.xx1, self.response, levels=np.linspace(0, 1, 11), cmap=cmap, alpha=0.75
        )
        self._draw_line(self.response - 0.5)
        _, height = axes.size_in_points(self.ax_)
        room = axes.letters(height, axes.font_size(self.ax_))
        name = self._names(max(4, room - len("probability of ")))[1]
        self.figure_.colorbar(
            self.surface_, ax=self.ax_, ticks=[0, 0.25, 0.5, 0.75, 1],
            label=f"probability of {name}",
        )  # fmt: skip
        self._draw_classes(self._colors(cmap))

    def _plot_values(self, cmap: Any) -> None:
        """Shade predicted values, and draw true ones in the same colours."""
        response = np.asarray(self.response, np.float64)
        values = response if self.y is None else np.r_[response.ravel(), np.asarray(self.y, float)]
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        norm = axes.library("colors", type(self).__name__).Normalize(low, high)
        levels = np.linspace(low, high, 13)
        self.surface_ = self.ax_.contourf(
            self.xx0, self.xx1, response, levels=levels, cmap=cmap, norm=norm
        )
        mappable = self.surface_
        if self.y is not None:
            mappable = self._scatter(slice(None), c=np.asarray(self.y, float), cmap=cmap, norm=norm)
        self.figure_.colorbar(mappable, ax=self.ax_, label="value")

    def _plot_regions(self, cmap: Any) -> None:
        """Colour the region of each class, with lines between them."""
        colors = self._colors(cmap)
        n = len(colors)
        light = LIGHT + (1 - LIGHT) * colors[:, :3]
        listed = axes.library("colors", type(self).__name__).ListedColormap
        best = self.response.argmax(axis=2)
        # An image in vector formats too, where each of its cells would be a polygon.
        self.surface_ = self.ax_.pcolormesh(
            self.xx0, self.xx1, best, cmap=listed(light), vmin=-0.5, vmax=n - 0.5,
            shading="nearest", rasterized=True,
        )  # fmt: skip
        for k in np.unique(best):
            others = np.delete(self.response, k, axis=2)
            if others.shape[2] > 0:
                self._draw_line(self.response[:, :, k] - others.max(axis=2))
        self._draw_classes(colors)
        if n > MOST_NAMED:
            step = axes.every(n, 12)
            scalars = axes.library("cm", type(self).__name__).ScalarMappable
            shades = scalars(cmap=listed(colors))
            shades.set_clim(-0.5, n - 0.5)
            bar = self.figure_.colorbar(shades, ax=self.ax_, label="class")
            bar.set_ticks(np.arange(0, n, step), labels=self._names()[::step])

    # What they share ------------------------------------------------------------------------------

    def _names(self, most: int = 20) -> list[str]:
        names = self.classes if self.class_names is None else self.class_names
        return [axes.name_text(name, most) for name in names]

    def _colors(self, cmap: Any) -> np.ndarray:
        """Return a colour for each class, (n_classes, 4), from dark to light."""
        if isinstance(cmap, str):
            cmap = axes.library("", type(self).__name__).colormaps[cmap]
        return cmap(np.linspace(0, 1, len(self.classes)))

    def _draw_line(self, margin: np.ndarray) -> None:
        """Draw the line where a margin is zero, if there is one."""
        if margin.min() < 0 < margin.max():
            self.boundaries_.append(
                self.ax_.contour(
                    self.xx0, self.xx1, margin, levels=[0], colors="black", linewidths=1.2
                )
            )

    def _draw_classes(self, colors: np.ndarray) -> None:
        """Draw the samples of each class, and a legend if there are few classes."""
        names = self._names()
        handles = []
        for k, label in enumerate(self.classes):
            if self.y is not None:
                of_class = np.asarray(self.y) == label
                marker = axes.MARKERS[k % len(axes.MARKERS)]
                found = self._scatter(of_class, color=[colors[k]], marker=marker, label=names[k])
                handles.append(found)
            elif np.ndim(self.response) == 3:
                patch = axes.library("patches", type(self).__name__).Patch
                light = LIGHT + (1 - LIGHT) * colors[k, :3]
                handles.append(patch(facecolor=light, edgecolor="black", label=names[k]))
        if handles and len(names) <= MOST_NAMED:
            points = [axes.sample_points(self.ax_, drawn) for drawn in self.samples_]
            self.legend_ = axes.add_legend(self.ax_, handles, points)

    def _scatter(self, rows: Any, **given: Any) -> Any:
        style = self._style | {"rasterized": len(self.X) > RASTER} | given
        found = self.ax_.scatter(self.X[rows, 0], self.X[rows, 1], zorder=3, **style)
        self.samples_.append(found)
        return found


def _numbers(X: Any) -> np.ndarray:
    """Return the two columns of X as numbers, (n_samples, 2)."""
    try:
        found = np.asarray(X.toarray() if hasattr(X, "toarray") else X, np.float64)
    except (TypeError, ValueError):
        raise ValueError(must("X", "have two columns of numbers", "other values")) from None
    if found.ndim != 2 or found.shape[1] != 2:
        raise ValueError(must("X", "have two columns of numbers", f"shape {found.shape}"))
    if not np.isfinite(found).any(axis=0).all():
        got = "a column without one" if len(found) else "no row"
        raise ValueError(must("X", "have a finite number in each column", got))
    return np.where(np.isfinite(found), found, np.nan)


def _known(y: np.ndarray, classes: Any) -> np.ndarray:
    """Return targets; ValueError for one that is none of the classes, which would not be drawn."""
    known = set(classes.tolist())
    for value in y.tolist():
        if value not in known:
            requirement = f"hold classes of the estimator ({short(str(classes.tolist()), 80)})"
            raise ValueError(must("y", requirement, shown(value)))
    return y


def _like(X: Any, grid: np.ndarray) -> Any:
    """Return points as X is: a data frame with the same columns, or an array."""
    if not hasattr(X, "columns"):
        return grid
    if hasattr(X, "iloc"):
        return type(X)(grid, columns=X.columns)
    return type(X)(grid, schema=list(X.columns))
