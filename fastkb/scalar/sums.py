"""Sums: plain ones in the order that suits the vector unit, and what rounding takes from others."""

from __future__ import annotations

from fastkb.runtime import inline
from fastkb.scalar.bits import fma


@inline(any_order=True)
def quick_sum(values):
    """The sum of an array, the same each time: its order depends on the number of terms alone."""
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


@inline
def two_sum(a, b):
    """a + b as rounded, and what was rounded away (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@inline
def two_product(a, b):
    """a·b as rounded, and what was rounded away."""
    product = a * b
    return product, fma(a, b, -product)
