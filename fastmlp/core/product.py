"""The one inner product of the library and the tile shapes it runs in (floor 0).

Forward, propagate and update are the same sum of outer products, read from different arrays.
"""

from __future__ import annotations

from fastmlp.core import processor
from fastmlp.core.kernel import kernel
from fastmlp.core.lists import INPUTS_TOGETHER, ROWS_IN_A_MARK, lowest_mark
from fastmlp.core.tile import Shape, add_outer

# The widest shape keeps the multiply-add units busy from as few loads as the registers allow;
# the narrower ones finish the columns that are left over.
WIDE, PAIR, SINGLE = (
    (Shape(4, 4), Shape(8, 2), Shape(8, 1))
    if processor.REGISTERS == 32
    else (Shape(4, 2), Shape(4, 2), Shape(8, 1))
)
MOST_ROWS = 8  # of the shapes above: a worker's share is whole blocks of so many rows
ROW, ROW_SINGLE = Shape(1, 4), Shape(1, 1)


@kernel(inline=True)
def add_product(tile, n, x, x_at, x_row, x_term, y, y_at, y_term):
    """``tile[r, c] + sum over t < n of x[x_at + r x_row + t x_term] * y[y_at + c + t y_term]``.

    The sum runs in the order of t, one fused multiply-add after the other.
    """
    for t in range(n):
        tile = add_outer(tile, x, x_at + t * x_term, x_row, y, y_at + t * y_term)
    return tile


@kernel(inline=True)
def add_listed(tile, listed, at, x, x_at, y, y_at, y_term):
    """`add_product` for one row and the terms of the list at `at` alone, in the list's order."""
    for s in range(at + 1, at + 1 + listed[at]):
        t = listed[s]
        tile = add_outer(tile, x, x_at + t, 0, y, y_at + t * y_term)
    return tile


@kernel(inline=True)
def add_marked(tile, marks, at, n_marks, x, x_at, x_term, y, y_at, y_term):
    """`add_product` for one row and the terms that are marked alone, in their order."""
    for m in range(n_marks):
        bits = marks[at + m * INPUTS_TOGETHER]
        while bits != 0:
            t = m * ROWS_IN_A_MARK + lowest_mark(bits)
            bits &= bits - 1
            tile = add_outer(tile, x, x_at + t * x_term, 0, y, y_at + t * y_term)
    return tile
