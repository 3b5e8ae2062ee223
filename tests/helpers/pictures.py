"""Texts of a figure, and the boxes in which they are drawn."""

import itertools

from matplotlib.text import Text

SIZES = [(6.4, 4.8), (3.2, 2.4)]  # inches: of a notebook, and half of it


def texts_of(figure):
    """Return the visible texts of a figure that is not empty, with their boxes in pixels."""
    figure.draw_without_rendering()
    found = [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and _is_drawn(text)
    ]
    return [(text, text.get_window_extent()) for text in found]


def _is_drawn(text):
    """Whether a text is no label of a tick that is outside of its axis."""
    return not any(
        text in (tick.label1, tick.label2)
        and not (min(limits) <= tick.get_loc() <= max(limits) and tick.get_visible())
        for ax in text.get_figure().axes
        for axis in (ax.xaxis, ax.yaxis)
        for limits in [axis.get_view_interval()]
        for tick in (*axis.majorTicks, *axis.minorTicks)
    )


def assert_readable(figure):
    """Assert that texts are inside the figure, large enough, and do not cover each other."""
    found = texts_of(figure)
    assert found
    for text, box in found:
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, text
        assert text.get_fontsize() >= 6, text
    for (a, box_a), (b, box_b) in itertools.combinations(found, 2):
        if a.get_rotation() % 90 == 0 == b.get_rotation() % 90:  # boxes of slanted texts are wide
            width = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0)
            height = min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
            assert min(width, height) < 1, f"{a} covers {b}"
