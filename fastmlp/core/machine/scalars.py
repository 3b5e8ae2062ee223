"""The smaller and the larger of two numbers, for kernels."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic


def _chosen(typing_context, x, y, comparison):
    """Return the signature and the code of ``y if y < x else x``, with `comparison` for ``<``."""
    kind = typing_context.unify_types(types.unliteral(x), types.unliteral(y))

    def write(context, builder, signature, values):
        first, second = values
        if isinstance(kind, types.Float):
            chosen = builder.fcmp_ordered(comparison, second, first)
        else:
            compare = builder.icmp_signed if kind.signed else builder.icmp_unsigned
            chosen = compare(comparison, second, first)
        return builder.select(chosen, second, first)

    return kind(kind, kind), write


@intrinsic
def smaller(typing_context, x, y):
    """``min(x, y)``. Numba's own is a function of Python, which takes 40 ms to compile."""
    return _chosen(typing_context, x, y, "<")


@intrinsic
def larger(typing_context, x, y):
    """``max(x, y)``, likewise."""
    return _chosen(typing_context, x, y, ">")
