"""The one inner product of the library and the tile shapes it runs in (floor 0).

Forward, propagate and update are the same sum of outer products, read from different arrays.
"""

from __future__ import annotations

from fastmlp.core import processor
from fastmlp.core.kernel import kernel
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
def add_listed(tile, listed, n_listed, x, x_at, y, y_at, y_term):
    """`add_product` for one row and the listed terms alone, in the order of the list."""
    for s in range(n_listed):
        t = listed[s]
        tile = add_outer(tile, x, x_at + t, 0, y, y_at + t * y_term)
    return tile
