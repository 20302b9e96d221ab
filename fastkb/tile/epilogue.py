"""The epilogue: one scalar function over a tile, chosen once per tile by a small integer.

The switch is made from :data:`fastkb.scalar.kernels.FUNCTIONS`: each function has a branch-free,
vectorised loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkb.runtime.cpu import cpu
from fastkb.runtime.jit import inline, switch
from fastkb.scalar.kernels import FUNCTIONS, n_parameters

# Functions whose numbers are more than the 16 registers of AVX2: in a loop over four runs side by side
# they are loaded once for the four (exp: 1.2 ns an element instead of 1.5). That takes longer to compile,
# so only the most used is among them. Of 32 registers enough are left for the numbers.
_SIDE_BY_SIDE = ("exponential",) if cpu().registers < 32 else ()


@inline
def _leave(values, p):
    return


def _loop(function: Callable) -> Any:
    if function.__name__ == "identity":  # nothing to do, and a loop that does it would cost a pass
        return _leave
    compiled, n = inline(function), n_parameters(function)

    @inline
    def apply(values, p):
        # From 0: an index that might be negative would be wrapped around, element by element, and the
        # loop not be vectorised (exp: 4 ns instead of 0.4).
        for j in range(len(values)):
            values[j] = compiled(values[j], *p[:n])

    @inline
    def apply_to_four(values, p):
        quarter = len(values) // 4
        a, b = values[:quarter], values[quarter : 2 * quarter]
        c, d = values[2 * quarter : 3 * quarter], values[3 * quarter : 4 * quarter]
        for j in range(quarter):
            of_a, of_b = compiled(a[j], *p[:n]), compiled(b[j], *p[:n])
            of_c, of_d = compiled(c[j], *p[:n]), compiled(d[j], *p[:n])
            a[j], b[j], c[j], d[j] = of_a, of_b, of_c, of_d
        for j in range(len(values) & 3):
            values[4 * quarter + j] = compiled(values[4 * quarter + j], *p[:n])

    return apply_to_four if function.__name__ in _SIDE_BY_SIDE else apply


# apply(code, values, p): values = g(values), in place, for a contiguous array. p is as long as the most
# parameters of any function; each takes as many of them as it has.
apply = switch([_loop(function) for function in FUNCTIONS])
