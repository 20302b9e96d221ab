"""Plain sums in the order that suits the vector unit."""

from __future__ import annotations

from fastkb.runtime import inline


@inline(any_order=True)
def quick_sum(values):
    """The sum of an array, the same each time: its order depends on the number of terms alone."""
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total
