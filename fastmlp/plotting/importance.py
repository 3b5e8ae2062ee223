"""`PermutationImportanceDisplay`: how much worse a model is without what a column says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn import inspection

from fastmlp.messages import must, shown
from fastmlp.plotting import axes
from fastmlp.validation import checks

MOST = 20  # columns, unless `max_features` is given


class PermutationImportanceDisplay:
    """The permutation importance of each column: how much its shuffling lowers the score.

    The bars are means over the repetitions, the dots the repetitions themselves. Importances below
    zero are noise.

    Parameters
    ----------
    importances : array (n_features, n_repeats)
        The decreases in the score, as `sklearn.inspection.permutation_importance` returns them.
    feature_names : list of str or None, default None
        None is the positions of the columns.
    score_name : str, default "score"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
        The most important column first.
    repeats_ : matplotlib PathCollection
    order_ : array of int
        The positions of the columns that are drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from fastmlp import MLP
    >>> from fastmlp.plotting import PermutationImportanceDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = (X[:, 1] > 0).astype(int)
    >>> mlp = MLP([3, 8, 2], random_state=0).fit(X, y, epochs=20)
    >>> display = PermutationImportanceDisplay.from_estimator(
    ...     mlp, X, y, random_state=0, ax=Figure().subplots()
    ... )
    >>> int(display.order_[0])
    1
    """

    def __init__(
        self,
        importances: Any,
        *,
        feature_names: Sequence[Any] | None = None,
        score_name: str = "score",
    ):
        self.importances = np.asarray(importances, np.float64)
        shape = self.importances.shape
        if len(shape) != 2 or 0 in shape:
            requirement = "have a row for each column of X, with the repetitions"
            raise ValueError(must("importances", requirement, f"shape {shape}"))
        if feature_names is not None and len(feature_names) != shape[0]:
            requirement = f"have a name for each of {shape[0]} columns"
            raise ValueError(must("feature_names", requirement, f"{len(feature_names)}"))
        self.feature_names, self.score_name = feature_names, score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        n_repeats: int = 5,
        n_jobs: int | None = None,
        random_state: Any = None,
        sample_weight: Any = None,
        max_samples: float | int = 1.0,
        feature_names: Sequence[Any] | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Compute the importances by scikit-learn's `permutation_importance`, and draw them.

        Parameters
        ----------
        estimator : MLP, NeuralNet, or estimator of scikit-learn's kind
        X : array-like or DataFrame (n_samples, n_features)
            Preferably samples that the estimator was not trained on.
        y : array-like
        scoring : str, callable or None, default None
            The score; None is that of the estimator: accuracy, or R2.
        n_repeats : int, default 5
            How often each column is shuffled.
        n_jobs, random_state, sample_weight, max_samples
            As in `sklearn.inspection.permutation_importance`.
        feature_names : list of str or None, default None
            None is the columns of a data frame, or their positions.
        ax : matplotlib Axes or None, default None
            None creates a figure.
        **options
            Of `plot`.

        Returns
        -------
        PermutationImportanceDisplay
            It has been drawn.

        Raises
        ------
        ValueError, TypeError
            For invalid arguments, and several scores.
        ImportError
            If matplotlib is missing.
        """
        axes.library("axes", cls.__name__)
        if isinstance(scoring, (list, tuple, dict, set)):
            raise ValueError(must("scoring", "be one score", shown(scoring)))
        found = inspection.permutation_importance(
            estimator, X, y, scoring=scoring, n_repeats=n_repeats, n_jobs=n_jobs,
            random_state=random_state, sample_weight=sample_weight, max_samples=max_samples,
        )  # fmt: skip
        if feature_names is None and hasattr(X, "columns"):
            feature_names = list(X.columns)
        name = scoring.replace("_", " ") if isinstance(scoring, str) else "score"
        display = cls(found["importances"], feature_names=feature_names, score_name=name)
        display.plot(ax, **options)
        return display

    def plot(self, ax: Any = None, *, max_features: int | None = None) -> Any:
        """Draw a bar for each of the most important columns.

        Parameters
        ----------
        ax : matplotlib Axes or None, default None
            None creates a figure.
        max_features : int or None, default None
            How many; None is as many as fit, and at most 20.

        Returns
        -------
        matplotlib Axes
            `ax_`.
        """
        self.ax_ = ax = axes.axes(ax, type(self).__name__)
        self.figure_ = ax.figure
        size = axes.font_size(ax)
        width, height = axes.size_in_points(ax)
        if max_features is None:
            n_drawn = max(1, min(MOST, int(height / (1.3 * size))))
        else:
            n_drawn = checks.whole_number("max_features", max_features, 1)
        means = self.importances.mean(axis=1)
        self.order_ = np.argsort(-means, kind="stable")[:n_drawn]
        drawn, rows = self.importances[self.order_], np.arange(len(self.order_))
        self.bars_ = ax.barh(rows, means[self.order_], height=0.7, color=axes.BLUE, alpha=0.45)
        self.repeats_ = ax.scatter(
            drawn.ravel(), np.repeat(rows, drawn.shape[1]), s=12, zorder=3,
            color=axes.line_color(type(self).__name__),
            marker="|" if drawn.shape[1] > 10 else "o", linewidths=0.8,
        )  # fmt: skip
        ax.axvline(0, color=axes.GREY, linewidth=1, zorder=2)
        most = axes.letters(0.4 * width, size)
        names = self.feature_names
        texts = [str(k) if names is None else axes.name_text(names[k], most) for k in self.order_]
        ax.set_yticks(rows, texts)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlabel(f"decrease in {axes.name_text(self.score_name)} if shuffled")
        n_all = len(means)
        ax.set_ylabel("column" if len(rows) == n_all else f"column ({len(rows)} of {n_all:,})")
        return ax
