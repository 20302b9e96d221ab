"""The epilogue: one scalar function over a tile, chosen once per tile by a small integer.

The switch is made from :data:`fastkb.scalar.kernels.FUNCTIONS`: each function has a branch-free,
vectorised loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkb.runtime.jit import inline, switch
from fastkb.scalar.kernels import FUNCTIONS, n_parameters


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

    return apply


# apply(code, values, p): values = g(values), in place, for a contiguous array. p is as long as the most
# parameters of any function; each takes as many of them as it has.
apply = switch([_loop(function) for function in FUNCTIONS])
