"""Axes to draw on, and what all pictures share: colours, markers, short names and legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp.messages import must, shown
from fastmlp.tables import extras

INSTALL = 'pip install "fastmlp[plot]"'
#: Of Okabe and Ito (Color Universal Design, 2008), for the colour-blind.
BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
GREY = "0.5"  # visible on white and on black
MARKERS = "os^Dv*PX<>"
#: Becomes lighter monotonically, also for the colour-blind, and is grey in the middle.
CMAP = "cividis"
CLASS_CMAP = "viridis"  # the same with more colours
LETTER = 0.62  # the mean width of a letter, in sizes of the font
POINTS = 72.0  # per inch


def library(part: str, display: str) -> Any:
    """Import matplotlib or a part of it; ImportError with the line that installs it if missing."""
    name = f"matplotlib.{part}" if part else "matplotlib"
    return extras.required(name, "matplotlib", display, INSTALL)


def axes(ax: Any, display: str) -> Any:
    """Return `ax`, or axes in a new figure of pyplot if it is None; TypeError for others."""
    if ax is None:
        _, ax = library("pyplot", display).subplots(layout="constrained")
    elif not isinstance(ax, library("axes", display).Axes):
        raise TypeError(must("ax", "be matplotlib Axes or None", shown(ax)))
    return ax


def line_color(display: str) -> Any:
    """Return the colour of the style's text, which can be seen on its background."""
    return library("", display).rcParams["text.color"]


def thin_ticks(ax: Any, display: str) -> None:
    """Let the labels of ticks be short, and so few that they do not touch."""
    width, height = size_in_points(ax)
    size, locator = font_size(ax), library("ticker", display).MaxNLocator
    steps = [1, 2, 2.5, 5, 10]
    ax.ticklabel_format(scilimits=(-2, 4))
    for axis, room in ((ax.xaxis, width / (7 * LETTER * size)), (ax.yaxis, height / (2 * size))):
        axis.set_major_locator(locator(nbins=max(1, min(6, int(room))), steps=steps))


def size_in_points(ax: Any) -> tuple[float, float]:
    """Return the width and the height of axes, in units of font sizes."""
    scale = POINTS / ax.figure.dpi
    return ax.bbox.width * scale, ax.bbox.height * scale


def font_size(ax: Any) -> float:
    """Return the size of the labels of ticks."""
    return float(ax.xaxis.get_ticklabels()[0].get_fontsize()) if ax.xaxis.get_ticklabels() else 10.0


def name_text(name: Any, most: int = 30) -> str:
    r"""Return a name as matplotlib shows it literally, on one line of at most `most` characters.

    Matplotlib reads text between two ``$`` as mathematics and leaves labels that begin with ``_``
    out of legends.

    Examples
    --------
    >>> from fastmlp.plotting.axes import name_text
    >>> name_text("$ per $100"), name_text("")
    ('\\$ per \\$100', "''")
    """
    text = " ".join(str(name).split())
    if len(text) > most:  # names often differ at their ends
        end = most // 3
        text = f"{text[: most - 1 - end]}\u2026{text[-end:]}"
    text = text or repr(text)
    text = text.replace("$", r"\$")
    return "\u200b" + text if text.startswith("_") else text


def letters(points: float, size: float) -> int:
    """Return how many letters of a font fit into a width."""
    return max(4, int(points / (LETTER * size)))


def every(n: int, most: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 ... in whose steps `n` labels become `most`.

    Examples
    --------
    >>> from fastmlp.plotting.axes import every
    >>> every(10, 10), every(100, 24), every(1000, 24)
    (1, 5, 50)
    """
    step, factor = 1, 1
    while -(-n // step) > max(most, 1):
        for k in (1, 2, 5):
            step = k * factor
            if -(-n // step) <= max(most, 1):
                return step
        factor *= 10
    return step


# Legends ------------------------------------------------------------------------------------------

MARGIN = 0.02  # of a legend, as a share of the axes
MOST_COVERED = 0.3  # of the axes
#: Where legends may be: the first place that hides nothing.
PLACES = {
    "upper right": (1.0, 1.0), "upper left": (0.0, 1.0), "lower left": (0.0, 0.0),
    "lower right": (1.0, 0.0), "center right": (1.0, 0.5), "center left": (0.0, 0.5),
    "upper center": (0.5, 1.0), "lower center": (0.5, 0.0), "center": (0.5, 0.5),
}  # fmt: skip


def add_legend(ax: Any, handles: Sequence[Any], points: Sequence[np.ndarray]) -> Any:
    """Add a legend where it hides no points; above the axes if there is no such place.

    The points (n, 2) are shares of the axes, see `line_points`. Matplotlib's "best" place regards
    neither those of other axes nor the space above.
    """
    style = {"handles": handles, "fontsize": "small", "handlelength": 2.8}
    legend = ax.legend(**style, loc="upper right", framealpha=0.9)
    box = legend.get_window_extent().transformed(ax.transAxes.inverted())
    size = np.array([box.width, box.height])
    found = np.concatenate([np.empty((0, 2)), *points])
    for place, at in PLACES.items():
        low = np.array(at) * (1 - size) - MARGIN
        inside = ((found >= low) & (found <= low + size + 2 * MARGIN)).all(axis=1)
        if (size < 1).all() and size.prod() < MOST_COVERED and not inside.any():
            legend.set_loc(place)
            return legend
    room = 1.1 * ax.figure.bbox.width / ax.bbox.width / box.width  # for smaller letters
    n_columns = max(1, min(len(handles), int(room)))
    return ax.legend(
        **style | {"fontsize": "x-small", "handlelength": 2.4}, loc="lower center", frameon=False,
        bbox_to_anchor=(0.5, 1.0), ncols=n_columns, columnspacing=1.0, borderpad=0.0,
        borderaxespad=1.6,  # above the power of ten of an axis
    )  # fmt: skip


def line_points(ax: Any, line: Any) -> np.ndarray:
    """Return many points of a line, (n, 2), as shares of axes."""
    points = _as_shares(ax, line, line.get_xydata())
    if len(points) < 2:
        return points
    at, known = np.linspace(0, len(points) - 1, 400), np.arange(len(points))
    return np.stack([np.interp(at, known, column) for column in points.T], axis=1)


def sample_points(ax: Any, samples: Any) -> np.ndarray:
    """Return the points of a scatter plot, (n, 2), as shares of axes."""
    return _as_shares(ax, samples, samples.get_offsets())


def _as_shares(ax: Any, artist: Any, points: Any) -> np.ndarray:
    own = artist.axes
    own.get_xlim(), own.get_ylim()  # which computes limits that are out of date
    found = ax.transAxes.inverted().transform(own.transData.transform(np.ma.filled(points, np.nan)))
    return found[np.isfinite(found).all(axis=1)]
