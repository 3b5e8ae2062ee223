"""`PredictionErrorDisplay`: predicted values against true ones."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn import metrics
from sklearn.utils import resample

from fastmlp.messages import must, shown
from fastmlp.plotting import axes
from fastmlp.plotting.models import classes_of, numbers, one_output

KINDS = ("actual_vs_predicted", "residual_vs_predicted")


class PredictionErrorDisplay(metrics.PredictionErrorDisplay):  # type: ignore[misc]
    """The predictions of a regression against true values.

    `sklearn.metrics.PredictionErrorDisplay`, also for networks, with R2 in the legend.

    Parameters
    ----------
    y_true, y_pred : array-like (n_samples,)
    score : float or None, default None
        R2 of the predictions. None is that of the samples that are drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    scatter_ : matplotlib PathCollection
    line_ : matplotlib Line2D
        That of predictions without error.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastmlp.plotting import PredictionErrorDisplay
    >>> true, found = [1.0, 2.0, 3.0], [1.1, 1.9, 3.3]
    >>> ax = Figure().subplots()
    >>> display = PredictionErrorDisplay.from_predictions(true, found, ax=ax)
    >>> round(display.score, 3)
    0.945
    """

    def __init__(self, *, y_true: Any, y_pred: Any, score: float | None = None):
        true, found = (
            numbers(name, one_output(name, values, None, "outputs"))
            for name, values in (("y_true", y_true), ("y_pred", y_pred))
        )
        if len(true) != len(found) or len(true) == 0:
            requirement = "have as many values as `y_true`, at least one"
            raise ValueError(must("y_pred", requirement, f"{len(found)} and {len(true)}"))
        for name, values in (("y_true", true), ("y_pred", found)):
            if not np.isfinite(values).all():
                raise ValueError(must(name, "be finite", "NaN or infinity"))
        super().__init__(y_true=true, y_pred=found)
        self.score = _r2(true, found) if score is None else score

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Draw the predictions of a regressor.

        Parameters
        ----------
        estimator : MLP, or regressor of scikit-learn's kind
        X : array-like (n_samples, n_features)
        y : array-like (n_samples,) or (n_samples, n_outputs)
        **options
            As for `from_predictions`.

        Returns
        -------
        PredictionErrorDisplay
            It has been drawn.

        Raises
        ------
        ValueError, TypeError
            For classifiers, and for invalid arguments.
        ImportError
            If matplotlib is missing.
        """
        axes.library("axes", cls.__name__)
        if classes_of(estimator) is not None:
            raise ValueError(must("estimator", "predict numbers", type(estimator).__name__))
        return cls.from_predictions(y, estimator.predict(X), **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        kind: str = "actual_vs_predicted",
        subsample: float | int | None = 1_000,
        random_state: Any = None,
        output: int | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw predictions.

        Parameters
        ----------
        y_true, y_pred : array-like (n_samples,) or (n_samples, n_outputs)
        kind : {"actual_vs_predicted", "residual_vs_predicted"}, default "actual_vs_predicted"
            Whether the axis on the left is that of true values or of their difference to the
            predictions, which have the other axis.
        subsample : float, int or None, default 1_000
            How many samples are drawn, as a number or as a share of all; None is all. R2 is that
            of all samples.
        random_state : int, RandomState or None, default None
            Which they are.
        output : int or None, default None
            The position of the output that is drawn, if there are several.
        ax : matplotlib Axes or None, default None
            None creates a figure.
        **options
            Of `plot`.

        Returns
        -------
        PredictionErrorDisplay
            It has been drawn.
        """
        axes.library("axes", cls.__name__)
        true = one_output("y_true", y_true, output, "outputs")
        found = one_output("y_pred", y_pred, output, "outputs")
        whole = cls(y_true=true, y_pred=found)
        n_drawn = _n_drawn(subsample, len(true))
        if n_drawn < len(true):
            true, found = resample(
                true, found, replace=False, n_samples=n_drawn, random_state=random_state
            )
        display = cls(y_true=true, y_pred=found, score=whole.score)
        display.plot(ax, kind=kind, **options)
        return display

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "actual_vs_predicted",
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Draw the predictions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default None
            None creates a figure.
        kind : {"actual_vs_predicted", "residual_vs_predicted"}, default "actual_vs_predicted"
        scatter_kwargs, line_kwargs : dict or None, default None
            Arguments of `Axes.scatter` and of `Axes.plot`.

        Returns
        -------
        matplotlib Axes
            `ax_`.
        """
        if kind not in KINDS:
            requirement = f"be {' or '.join(map(repr, KINDS))}"
            raise ValueError(must("kind", requirement, shown(kind)))
        name = type(self).__name__
        ax = axes.axes(ax, name)
        score = f"{self.score:.3f}" if abs(self.score) < 10 else f"{self.score:.3g}"
        score = "" if np.isnan(self.score) else f", R² = {score}".replace("-", "\u2212")
        n = len(self.y_true)
        points = {
            "color": axes.BLUE, "alpha": 0.5, "s": 16, "edgecolors": "none",
            "label": f"{n:,} sample{'s' * (n != 1)}{score}", "rasterized": n > 5000,
        }  # fmt: skip
        if "c" in (scatter_kwargs or {}):
            del points["color"]
        line = {"color": axes.line_color(name), "alpha": 1.0, "label": "no error"}
        super().plot(
            ax=ax, kind=kind, scatter_kwargs=points | (scatter_kwargs or {}),
            line_kwargs=line | (line_kwargs or {}),
        )  # fmt: skip
        self.line_.set_zorder(3)  # above the points
        lower = "true" if kind == KINDS[0] else "true \u2212 predicted"
        ax.set(xlabel="predicted", ylabel=lower)
        if kind == KINDS[0]:
            low, high = self.line_.get_xdata()
            margin = 0.05 * (high - low) or 0.5
            ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
            ax.set_aspect("equal", adjustable="box")
        axes.thin_ticks(ax, name)  # instead of ticks at fifths of the range
        drawn = [axes.sample_points(ax, self.scatter_), axes.line_points(ax, self.line_)]
        self.legend_ = axes.add_legend(ax, [self.scatter_, self.line_], drawn)
        return ax


def _r2(true: np.ndarray, found: np.ndarray) -> float:
    """Return R2; NaN for a single sample, for which it is not defined."""
    return float("nan") if len(true) < 2 else float(metrics.r2_score(true, found))


def _n_drawn(subsample: Any, n_samples: int) -> int:
    if subsample is None:
        return n_samples
    is_count = isinstance(subsample, (int, np.integer)) and not isinstance(subsample, bool)
    if is_count and subsample > 0:
        return min(int(subsample), n_samples)
    if isinstance(subsample, float) and 0 < subsample < 1:
        return max(1, int(subsample * n_samples))
    requirement = "be an int above 0, a share between 0 and 1, or None"
    raise ValueError(must("subsample", requirement, shown(subsample)))
