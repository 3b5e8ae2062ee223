"""`ConfusionMatrixDisplay`: how often each class is predicted as each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn import metrics
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted

from fastmlp.base import BaseNetwork
from fastmlp.messages import must
from fastmlp.plotting import axes
from fastmlp.plotting.models import classes_of, flat, one_output

LEAST_FONT = 6.0  # points; smaller values are not written


class ConfusionMatrixDisplay(metrics.ConfusionMatrixDisplay):  # type: ignore[misc]
    """A confusion matrix, for any number of classes: `sklearn.metrics.ConfusionMatrixDisplay`.

    It also takes networks. `plot` writes the values if they fit into their cells, and as many
    names of classes as fit beside the axes. The scale of the colours is that of square roots, so
    that a few errors are visible beside many right predictions.

    Parameters
    ----------
    confusion_matrix : array (n_classes, n_classes)
        A row for each true class, a column for each predicted one.
    display_labels : array-like (n_classes,) or None, default None
        The names of the classes; None is their positions.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
    text_ : array of matplotlib Text or None
        The values in the cells.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastmlp import NeuralNet, datasets
    >>> from fastmlp.plotting import ConfusionMatrixDisplay
    >>> X, y = datasets.digits()
    >>> net = NeuralNet([64, 32, 10], 0.2, input_scale=1 / 16, random_state=0).fit(X, y)
    >>> display = ConfusionMatrixDisplay.from_estimator(net, X, y, ax=Figure().subplots())
    >>> display.confusion_matrix.shape
    (10, 10)
    """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, labels: Any = None, **options: Any
    ) -> Self:
        """Draw the confusion matrix of the predictions of a classifier.

        Parameters
        ----------
        estimator : MLP, NeuralNet, or classifier of scikit-learn's kind
        X : array-like (n_samples, n_features)
        y : array-like (n_samples,), or (n_samples, n_outputs) for several labels
            The true classes. For a network also one-hot rows.
        labels : array-like or None, default None
            The classes that are drawn, in this order. None is those of the estimator and of y.
        **options
            As for `from_predictions`.

        Returns
        -------
        ConfusionMatrixDisplay
            It has been drawn.

        Raises
        ------
        NotFittedError
        ValueError, TypeError
            For regressors, and for invalid arguments.
        ImportError
            If matplotlib is missing.
        """
        axes.library("axes", cls.__name__)
        classes = classes_of(estimator)
        if classes is None:
            if not isinstance(estimator, BaseNetwork):
                check_is_fitted(estimator)
            raise ValueError(must("estimator", "predict classes", type(estimator).__name__))
        found, y = np.asarray(estimator.predict(X)), np.asarray(y)
        if found.ndim == 1:
            if y.ndim == 2 and y.shape[1] == len(classes) > 1:
                y = classes[y.argmax(axis=1)]
            if labels is None:
                labels = unique_labels(classes, flat(y))
        return cls.from_predictions(y, found, labels=labels, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        labels: Any = None,
        sample_weight: Any = None,
        normalize: str | None = None,
        display_labels: Sequence[Any] | None = None,
        output: int | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw the confusion matrix of predicted classes.

        Parameters
        ----------
        y_true, y_pred : array-like (n_samples,), or (n_samples, n_outputs) for several labels
        labels : array-like or None, default None
            The classes that are drawn, in this order. None is all in `y_true` and `y_pred`.
        sample_weight : array-like (n_samples,) or None, default None
        normalize : {"true", "pred", "all"} or None, default None
            What is divided by its sum: each row, each column, or the whole matrix.
        display_labels : array-like (n_classes,) or None, default None
            The names of the classes; None is `labels`.
        output : int or None, default None
            The position of the label that is drawn, if there are several.
        ax : matplotlib Axes or None, default None
            None creates a figure.
        **options
            Of `plot`.

        Returns
        -------
        ConfusionMatrixDisplay
            It has been drawn.
        """
        axes.library("axes", cls.__name__)
        true = one_output("y_true", y_true, output, "labels")
        found = one_output("y_pred", y_pred, output, "labels")
        if labels is None:
            labels = unique_labels(true, found)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A single label was found", UserWarning)
            matrix = metrics.confusion_matrix(
                true, found, labels=labels, sample_weight=sample_weight, normalize=normalize
            )
        names = labels if display_labels is None else display_labels
        if len(names) != len(matrix):
            requirement = f"have a name for each of {len(matrix)} classes"
            raise ValueError(must("display_labels", requirement, f"{len(names)}"))
        display = cls(matrix, display_labels=np.asarray(names))
        display.plot(ax, **options)
        return display

    def plot(
        self,
        ax: Any = None,
        *,
        include_values: bool | str = "auto",
        cmap: Any = axes.CMAP,
        xticks_rotation: float | str = "auto",
        values_format: str | None = None,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Any:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes or None, default None
            None creates a figure.
        include_values : bool or "auto", default "auto"
            Whether values are written into the cells; "auto" does if they fit.
        cmap : str or matplotlib Colormap, default "cividis"
        xticks_rotation : {"auto", "vertical", "horizontal"} or float, default "auto"
            Of the predicted classes; "auto" is horizontal if their names fit.
        values_format, colorbar, im_kw, text_kw
            As in scikit-learn's class.

        Returns
        -------
        matplotlib Axes
            `ax_`.
        """
        name = type(self).__name__
        ax = axes.axes(ax, name)
        matrix = np.asarray(self.confusion_matrix)
        is_share = matrix.dtype.kind == "f" and matrix.max() <= 1
        rounds = values_format is None and is_share
        size, texts = axes.font_size(ax), self._class_names(ax)
        cell = _side(ax, texts, size, colorbar) / len(matrix)
        form = ".2f" if rounds else values_format
        values_font = min(size, _font_that_fits(matrix, form, cell))
        if include_values == "auto":
            include_values = values_font >= LEAST_FONT
        if include_values:
            text_kw = {"fontsize": max(values_font, LEAST_FONT)} | (text_kw or {})
        norm = axes.library("colors", name).PowerNorm(0.5, vmin=0, vmax=matrix.max() or 1)
        super().plot(
            include_values=bool(include_values), cmap=cmap, values_format=form, ax=ax,
            colorbar=colorbar, im_kw={"norm": norm} | (im_kw or {}), text_kw=text_kw,
        )  # fmt: skip
        if include_values:
            self._show_values(rounds, "color" in (text_kw or {}))
        self._name_classes(texts, cell, size, xticks_rotation)
        if colorbar:
            bar, ticks = self.im_.colorbar, axes.library("ticker", name)
            bar.locator = ticks.MaxNLocator(nbins=5, integer=matrix.dtype.kind != "f")
            bar.formatter = ticks.ScalarFormatter()
            bar.formatter.set_powerlimits((-2, 4))
            bar.set_label("share" if is_share else "samples")
        return ax

    def _show_values(self, rounds: bool, is_colored: bool) -> None:
        """Give each value the end of the colours that is further from that of its cell.

        If values are rounded, zeros are written differently from values that are rounded to zero.
        """
        dark, light = self.im_.cmap(0), self.im_.cmap(1.0)
        for value, text in zip(self.im_.get_array().ravel(), self.text_.ravel(), strict=True):
            if not is_colored:
                text.set_color(light if self.im_.norm(value) < 0.5 else dark)
            if rounds and value == 0:
                text.set_text("0")

    def _class_names(self, ax: Any) -> list[str]:
        names = self.display_labels
        if names is None:
            names = np.arange(len(self.confusion_matrix))
        width, _ = axes.size_in_points(ax)
        most = axes.letters(0.35 * width, axes.font_size(ax))
        return [axes.name_text(name, most) for name in names]

    def _name_classes(
        self, texts: list[str], cell: float, size: float, rotation: float | str
    ) -> None:
        """Write as many names of classes as fit, and turn those of columns if they are long."""
        n = len(texts)
        step = axes.every(n, int(n * cell / (1.25 * size)))  # for labels one below the other
        longest = max(map(len, texts)) * axes.LETTER * size + size / 2
        wider = axes.every(n, int(n * cell / longest))  # for labels one beside the other
        self.ax_.set_yticks(np.arange(0, n, step), texts[::step])
        x_step, slant = step, {"rotation": rotation}
        if rotation == "auto":
            if wider <= 2 * step:
                x_step, slant = wider, {"rotation": 0}
            elif step * cell > 1.6 * size:
                slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
            else:
                slant = {"rotation": 90}
        self.ax_.set_xticks(np.arange(0, n, x_step), texts[::x_step], **slant)
        self.ax_.set(xlabel="predicted class", ylabel="true class")
        self.ax_.grid(False)  # which some styles have, across the values


def _side(ax: Any, texts: list[str], size: float, colorbar: bool) -> float:
    """Return about how long the sides of the matrix become beside its labels, in points."""
    width, height = axes.size_in_points(ax)
    more = max(0.0, max(map(len, texts)) * axes.LETTER * size - 2.5 * size)
    return max(size, min((0.8 if colorbar else 1.0) * width - more, height - 0.7 * more))


def _font_that_fits(matrix: np.ndarray, form: str | None, cell: float) -> float:
    """Return the largest size of a font with which the values fit into cells of some points."""
    if len(matrix) > 50:  # whose thousands of values would take long to format
        return 0.0
    texts = [format(value, form) if form else _shortest(value) for value in matrix.ravel()]
    return min(0.9 * cell / (axes.LETTER * max(map(len, texts))), 0.7 * cell)


def _shortest(value: Any) -> str:
    """Return a value as scikit-learn's display writes it."""
    text = format(value, ".2g")
    if isinstance(value, (float, np.floating)):
        return text
    return min(text, format(value, "d"), key=len)
