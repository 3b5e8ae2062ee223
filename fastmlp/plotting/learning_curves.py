"""`LearningCurvesDisplay`: losses and scores by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.metrics import METRICS
from fastmlp.plotting import axes
from fastmlp.plotting.models import network_of
from fastmlp.validation import checks

VALIDATION = "validation_"
#: From which ratio of the largest to the smallest loss their axis is logarithmic.
DECADES = 30.0
#: Colour, style and marker of each line: those of losses, and those of scores.
LOSSES = ((axes.BLUE, "-", "o"), (axes.ORANGE, "--", "s"), (axes.VERMILION, ":", "D"))
SCORES = ((axes.GREEN, "-.", "^"), (axes.PURPLE, (0, (5, 1)), "v"), ("0.4", ":", "P"))
MARKS = 8  # on a line


class LearningCurvesDisplay:
    """The losses and scores of a training by epoch, with the best epoch marked.

    Losses have the axis on the left, which is logarithmic if they span more than a decade and a
    half; scores have an axis on the right. Epochs are counted from 1 in the picture. Values that
    are NaN or infinite are gaps.

    Parameters
    ----------
    history : dict of lists of float, or DataFrame
        The values of each epoch, by name. Names that end in "loss" are losses, others scores;
        those of validation data begin with ``validation_``.
    best_epoch : int or None, default None
        Which epoch is marked, counted from 0 as in `callbacks.EarlyStopping`; None for none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        That of losses, or of scores if no loss is drawn.
    score_ax_ : matplotlib Axes or None
        That of scores, if they have one of their own.
    figure_ : matplotlib Figure
    lines_ : dict of matplotlib Line2D
        The line of each name.
    best_line_ : matplotlib Line2D or None

    See Also
    --------
    LearningCurvesDisplay.from_history, LearningCurvesDisplay.from_estimator

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastmlp import MLP, datasets
    >>> from fastmlp.plotting import LearningCurvesDisplay
    >>> X, y = datasets.digits()
    >>> mlp = MLP([64, 32, 10], input_scale=1 / 16, random_state=0)
    >>> mlp = mlp.fit(X, y, epochs=5, validation_fraction=0.2)
    >>> display = LearningCurvesDisplay.from_estimator(mlp, ax=Figure().subplots())
    >>> list(display.lines_)
    ['loss', 'validation_loss', 'validation_accuracy']
    >>> display.best_epoch
    4
    """

    def __init__(self, history: Mapping[str, Sequence[float]], *, best_epoch: int | None = None):
        self.history = _checked(history)
        if best_epoch is not None:
            n_epochs = max(map(len, self.history.values()))
            if checks.whole_number("best_epoch", best_epoch, 0) >= n_epochs:
                requirement = f"be one of the {n_epochs} epochs, counted from 0"
                raise ValueError(must("best_epoch", requirement, shown(best_epoch)))
        self.best_epoch = best_epoch

    @classmethod
    def from_history(
        cls,
        history: Mapping[str, Sequence[float]],
        *,
        monitor: str | None = "auto",
        best_epoch: int | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw a history, such as `MLP.history_`.

        Parameters
        ----------
        history : dict of lists of float, or DataFrame
            At least one value. The file of a `callbacks.CSVLogger`, read by pandas, is one.
        monitor : str or None, default "auto"
            The name whose best value marks the best epoch, the first one of several. "auto" is the
            loss of the validation data or, without it, their first score; None marks nothing, nor
            does "auto" without validation data.
        best_epoch : int or None, default None
            The epoch to mark instead, counted from 0.
        ax : matplotlib Axes or None, default None
            None creates a figure.
        **options
            Of `plot`.

        Returns
        -------
        LearningCurvesDisplay
            It has been drawn.

        Raises
        ------
        ValueError, TypeError
            For a history without values, and for other names of `monitor`.
        ImportError
            If matplotlib is missing.
        """
        axes.library("axes", cls.__name__)
        checked = _checked(history)
        if best_epoch is None:
            best_epoch = _best_epoch(checked, monitor)
        display = cls(checked, best_epoch=best_epoch)
        display.plot(ax, **options)
        return display

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        monitor: str | None = "auto",
        best_epoch: int | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw the last training of a network or an estimator.

        Parameters
        ----------
        estimator : MLP, NeuralNet, `sklearn.MLPClassifier`, `sklearn.MLPRegressor`
            Or scikit-learn's, also as the last step of a pipeline or the best of a search. That
            of an estimator with early stopping marks the epoch whose weights were kept.
        monitor, best_epoch, ax, **options
            As in `from_history`.

        Returns
        -------
        LearningCurvesDisplay
            It has been drawn.

        Raises
        ------
        ValueError
            If it was not trained, or not in epochs, as by lbfgs.
        """
        network = network_of(estimator)
        history = _history_of(network)
        if best_epoch is None and monitor == "auto":
            best_epoch = _kept_epoch(network, max(map(len, history.values())))
        return cls.from_history(history, monitor=monitor, best_epoch=best_epoch, ax=ax, **options)

    def plot(
        self, ax: Any = None, *, names: Sequence[str] | None = None, scale: str = "auto"
    ) -> Any:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default None
            None creates a figure.
        names : list of str or None, default None
            Which values are drawn. None is those of "loss", "validation_loss", and of the first
            score of validation data or, without one, of training data.
        scale : {"auto", "linear", "log"}, default "auto"
            That of the losses.

        Returns
        -------
        matplotlib Axes
            `ax_`.
        """
        checks.choice("scale", scale, ("auto", "linear", "log"))
        chosen = self._chosen(names)
        ax = axes.axes(ax, type(self).__name__)
        losses = [name for name in chosen if _is_loss(name)]
        scores = [name for name in chosen if not _is_loss(name)]
        self.ax_, self.figure_ = ax, ax.figure
        self.score_ax_ = ax.twinx() if losses and scores else None
        self.lines_: dict[str, Any] = {}
        for names_, where, styles in (
            (losses, ax, LOSSES), (scores, self.score_ax_ or ax, SCORES),
        ):  # fmt: skip
            for k, name in enumerate(names_):
                self.lines_[name] = self._line(where, name, styles[k % len(styles)])
            if names_:
                where.set_ylabel(_axis_label(names_))
        if losses:
            values = np.concatenate([np.asarray(self.history[name], float) for name in losses])
            ax.set_yscale(_scale(values) if scale == "auto" else scale)
        self._set_epochs(ax)
        handles = list(self.lines_.values())
        self.best_line_ = self._mark_best(ax)
        if self.best_line_ is not None:
            handles.append(self.best_line_)
        if self.score_ax_ is not None:  # the legend is above the lines of both axes
            self.score_ax_.grid(False)  # beside that of `ax`
            self.score_ax_.patch.set_visible(ax.patch.get_visible())
            ax.set_zorder(self.score_ax_.get_zorder() + 1)
            ax.patch.set_visible(False)
        points = [axes.line_points(ax, line) for line in self.lines_.values()]
        self.legend_ = axes.add_legend(ax, handles, points)
        return ax

    def _chosen(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            found = [name for name in ("loss", VALIDATION + "loss") if name in self.history]
            score = _first_score(self.history, VALIDATION) or _first_score(self.history, "")
            return [*found, *([score] if score else [])] or list(self.history)
        if isinstance(names, str):
            names = [names]
        for name in names:
            if name not in self.history:
                raise ValueError(must("names", _one_of(self.history), shown(name)))
        return list(dict.fromkeys(names))

    def _line(self, ax: Any, name: str, style: tuple[Any, Any, Any]) -> Any:
        color, line_style, marker = style
        values = np.asarray(self.history[name], float)
        finite = np.isfinite(values)
        values = np.where(finite, values, np.nan)
        # A value between two gaps has no line, so it is always marked.
        alone = finite & ~np.r_[False, finite[:-1]] & ~np.r_[finite[1:], False]
        marked = np.zeros(len(values), bool)
        step = math.ceil(len(values) / MARKS)
        marked[len(self.lines_) * step // 3 % step :: step] = True  # beside those of other lines
        (line,) = ax.plot(
            np.arange(1, len(values) + 1), values, color=color, linestyle=line_style,
            marker=marker, markersize=5, markevery=np.flatnonzero(marked | alone).tolist(),
            linewidth=1.6, label=axes.name_text(_in_words(name)),
        )  # fmt: skip
        return line

    def _set_epochs(self, ax: Any) -> None:
        n_epochs = max(len(line.get_xdata()) for line in self.lines_.values())
        ticks = axes.library("ticker", type(self).__name__)
        ax.set_xlabel("epoch")
        locator = ticks.MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
        ax.xaxis.set_major_locator(locator)
        margin = 0.5 if n_epochs == 1 else 0.03 * (n_epochs - 1)
        ax.set_xlim(max(0.5, 1 - margin), n_epochs + margin)  # without the epoch 0

    def _mark_best(self, ax: Any) -> Any:
        if self.best_epoch is None:
            return None
        epoch = self.best_epoch + 1
        return ax.axvline(
            epoch, color=axes.GREY, linestyle=(0, (1, 1)), linewidth=1.4, zorder=1,
            label=f"best epoch: {epoch}",
        )  # fmt: skip


# Names --------------------------------------------------------------------------------------------


def _is_loss(name: str) -> bool:
    return name.endswith("loss")


def _in_words(name: str) -> str:
    """Return a name of a history as it stands in a legend."""
    is_validation = name.startswith(VALIDATION)
    bare = name.removeprefix(VALIDATION)
    bare = "R²" if bare == "r2" else bare.replace("_", " ")
    return f"{'validation' if is_validation else 'training'} {bare}"


def _axis_label(names: Sequence[str]) -> str:
    """Return the common part of names, such as "loss"."""
    found = list(dict.fromkeys(_in_words(name).partition(" ")[2] for name in names))
    return axes.name_text(
        found[0] if len(found) == 1 else "loss" if _is_loss(names[0]) else "score"
    )


def _first_score(history: Mapping[str, Sequence[float]], prefix: str) -> str | None:
    """Return the first score whose name has a prefix, preferably one of `fastmlp.metrics`."""
    names = [name for name in history if name.startswith(prefix) and not _is_loss(name)]
    if not prefix:
        names = [name for name in names if not name.startswith(VALIDATION)]
    known = [name for name in names if name.removeprefix(VALIDATION) in METRICS]
    return next(iter([*known, *names]), None)


def _one_of(history: Mapping[str, Any]) -> str:
    return f"be among the recorded values ({short(', '.join(map(repr, history)), 150)})"


# Histories ----------------------------------------------------------------------------------------


def _checked(history: Any) -> dict[str, list[float]]:
    """Return a history without empty lists, and without the numbers of the epochs."""
    if not hasattr(history, "items"):
        raise TypeError(must("history", "be a dict of lists", shown(history)))
    found = {}
    for name, values in history.items():
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty((0, 0))
        if not isinstance(name, str) or numbers.ndim != 1:
            requirement = "be a dict of lists of numbers"
            raise TypeError(must("history", requirement, shown({name: values})))
        if len(numbers) > 0 and name != "epoch":  # as in the files of `CSVLogger`
            found[name] = numbers.tolist()
    if not found:
        raise ValueError(must("history", "have a value for at least one epoch", "none"))
    return found


def _history_of(network: Any) -> dict[str, list[float]]:
    """Return the history of a network or of an estimator; ValueError if there is none."""
    history = getattr(network, "history_", None) or {}
    history = {name: values for name, values in history.items() if len(values) > 0}
    if not history and getattr(network, "loss_curve_", None):  # of scikit-learn's
        history = {"loss": network.loss_curve_}
    if not history:
        got = type(network).__name__
        if getattr(network, "solver", None) == "lbfgs":
            got += " with solver='lbfgs'"
        requirement = "be a network or an estimator that was trained in epochs"
        raise ValueError(must("estimator", requirement, f"{got} without a history"))
    scores = getattr(network, "validation_scores_", None)
    n_epochs = max(map(len, history.values()))
    if scores and len(scores) >= n_epochs and _first_score(history, VALIDATION) is None:
        history[VALIDATION + "score"] = list(scores)[-n_epochs:]
    return history


def _kept_epoch(network: Any, n_epochs: int) -> int | None:
    """Return the epoch of the last training whose weights early stopping has kept."""
    scores = getattr(network, "validation_scores_", None)
    if not scores or not np.isfinite(scores).any():
        return None
    is_best = np.flatnonzero(np.asarray(scores) == np.nanmax(scores))
    epoch = int(is_best[-1 if hasattr(network, "encoder_") else 0])  # as `stopping.EpochEnd`
    epoch -= len(scores) - n_epochs  # of earlier trainings, with `warm_start`
    return epoch if epoch >= 0 else None


def _best_epoch(history: Mapping[str, Sequence[float]], monitor: str | None) -> int | None:
    """Return the epoch with the best value of `monitor`; None if there is none."""
    if monitor == "auto":
        loss = VALIDATION + "loss"
        monitor = loss if loss in history else _first_score(history, VALIDATION)
    if monitor is None:
        return None
    if monitor not in history:
        raise ValueError(must("monitor", _one_of(history), shown(monitor)))
    name = monitor.removeprefix(VALIDATION)
    is_greater_better = not _is_loss(name) and (
        name not in METRICS or METRICS[name].greater_is_better
    )
    values = np.asarray(history[monitor], float)
    if not np.isfinite(values).any():
        return None
    lost = -np.inf if is_greater_better else np.inf
    values = np.where(np.isfinite(values), values, lost)
    return int(values.argmax() if is_greater_better else values.argmin())


def _scale(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    if len(finite) == 0 or finite.min() <= 0:
        return "linear"
    return "log" if finite.max() > DECADES * finite.min() else "linear"
